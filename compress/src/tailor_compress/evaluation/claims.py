# SPDX-License-Identifier: Apache-2.0
"""Published claims beside what this family shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.bootstrap import paired
from tailor_compress.evaluation.metrics import Floats

Kind = Literal["faster", "better", "equal", "return"]
_NEEDED = {"faster": 2, "better": 2, "equal": 2, "return": 4}


@dataclass(frozen=True)
class Claim:
    """A published figure and the variants that test it.

    - `faster`: variants [cut, whole]; at least ``speed`` times as fast at ``quality`` of its nDCG.
    - `better`: variants [a, b]; a is better than b.
    - `equal`: variants [a, b]; they do not differ, or by less than ``quality``.
    - `return`: variants [large, its cut, small, its cut]; the large one gains more speed.
    """

    claim: str
    published: str
    kind: Kind
    variants: tuple[str, ...]
    speed: float = 1.0
    quality: float = 0.0

    def __post_init__(self) -> None:
        if len(self.variants) != _NEEDED[self.kind]:
            raise TailorError(
                f"{_NEEDED[self.kind]} variants of a claim `{self.kind}`",
                str(len(self.variants)),
                "correct `claims`",
            )


@dataclass(frozen=True)
class Measured:
    """What claims are held against: nDCG@10 by query, and seconds of a batch, by variant."""

    quality: Mapping[str, Floats]
    cost: Mapping[str, float]

    def speed(self, whole: str, cut: str) -> float:
        """Return how many times as fast ``cut`` is as ``whole``."""
        return self.cost[whole] / self.cost[cut]


def _verdict(holds: bool) -> str:
    return "confirmed" if holds else "not confirmed"


def _faster(claim: Claim, found: Measured) -> tuple[str, str]:
    cut, whole = claim.variants
    speed = found.speed(whole, cut)
    share = float(found.quality[cut].mean() / found.quality[whole].mean())
    shown = f"{speed:.2f} times as fast at {100 * share:.1f} % of the nDCG@10"
    return shown, _verdict(speed >= claim.speed and share >= claim.quality)


def _difference(claim: Claim, found: Measured) -> tuple[str, Any]:
    first, second = claim.variants
    test = paired(found.quality[first], found.quality[second])
    shown = f"{test.difference:+.4f} [{test.low:+.4f}, {test.high:+.4f}]"
    if first in found.cost and second in found.cost:
        shown += f" at {found.speed(second, first):.2f} times the speed"
    return shown, test


def _better(claim: Claim, found: Measured) -> tuple[str, str]:
    shown, test = _difference(claim, found)
    return shown, _verdict(test.low > 0)


def _equal(claim: Claim, found: Measured) -> tuple[str, str]:
    shown, test = _difference(claim, found)
    near = test.low <= 0 <= test.high or abs(test.difference) < claim.quality
    return shown, _verdict(near)


def _return(claim: Claim, found: Measured) -> tuple[str, str]:
    large, large_cut, small, small_cut = claim.variants
    gains = found.speed(large, large_cut), found.speed(small, small_cut)
    shown = f"{gains[0]:.2f} times as fast for `{large}`, {gains[1]:.2f} for `{small}`"
    return shown, _verdict(gains[0] > gains[1])


_KINDS: dict[str, Callable[[Claim, Measured], tuple[str, str]]] = {
    "faster": _faster,
    "better": _better,
    "equal": _equal,
    "return": _return,
}


def judged(claim: Claim, found: Measured) -> tuple[str, str]:
    """Return what was measured, and whether it confirms the claim."""
    timed = claim.kind in ("faster", "return")
    missing = [
        id_
        for id_ in claim.variants
        if id_ not in found.quality or (timed and id_ not in found.cost)
    ]
    if missing:
        return f"no figures of {', '.join(f'`{id_}`' for id_ in missing)}", "not measured"
    return _KINDS[claim.kind](claim, found)
