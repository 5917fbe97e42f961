# SPDX-License-Identifier: Apache-2.0
"""What a pruning cannot be asked for."""

from tailor_compress.errors import TailorError


def require_share(name: str, share: float) -> None:
    """Raise TailorError unless ``share`` is a share of a whole."""
    if not 0 <= share <= 1:
        raise TailorError(f"`{name}` of 0 to 1", f"{share:g}", f"correct `{name}`")


def require_reachable(name: str, share: float, smallest: float) -> None:
    """Raise TailorError when a share of the parent's cost is beyond what pruning can reach."""
    if not smallest <= share <= 1:
        raise TailorError(
            f"`{name}` of {smallest:.4f}, with nothing left in any layer, to 1",
            f"{share:g}",
            f"raise `{name}`, or start from a smaller parent",
        )
