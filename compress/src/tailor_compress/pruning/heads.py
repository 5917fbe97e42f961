# SPDX-License-Identifier: Apache-2.0
"""Removal of attention heads by the gradient of their gates (Michel et al. 2019)."""

import time
from dataclasses import asdict, dataclass
from typing import ClassVar

from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.pruning.gates import (
    Gates,
    Gradients,
    fast_copy,
    fold,
    gate_gradients,
    gated,
    open_gates,
)
from tailor_compress.pruning.limits import require_share
from tailor_compress.pruning.recovery import Recovery, recover
from tailor_compress.pruning.rounds import ByLayer, remove_in_rounds


def head_importance(gradients: Gradients) -> ByLayer:
    """Return E |dL/dxi| of each head, of L2 norm 1 in each layer."""
    means = [of_layer.abs().mean(dim=0) for of_layer in gradients.heads]
    return [mean / mean.norm().clamp_min(1e-20) for mean in means]


@dataclass(frozen=True)
class PruneHeads(Recovery):
    """Removes heads in rounds, scored anew in each."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    keep: float = setting(0.5, "share of the heads to keep")
    least_quality: float = setting(0.0, "stop above this share of the parent's dev quality")
    round_share: float = setting(0.1, "share of all heads that one round removes")
    lists: int = setting(128, "training lists behind the importance")

    def make(self, context: Context) -> Made:
        """Return the cut model."""
        require_share("keep", self.keep)
        began = time.monotonic()
        parent = context.parent()
        lists = [context.lists.drawn(number) for number in range(self.lists)]
        full, scored = open_gates(parent), fast_copy(parent)
        floor = self.least_quality and self.least_quality * context.dev_quality(parent)

        def importance(heads: ByLayer) -> ByLayer:
            return head_importance(gate_gradients(scored, lists, Gates(heads, full.neurons)))

        def accept(heads: ByLayer) -> bool:
            apply = gated(parent, Gates(heads, full.neurons))
            return floor == 0 or context.dev_quality(parent, apply) >= floor

        total = sum(len(heads) for heads in full.heads)
        target = round(self.keep * total)
        left = remove_in_rounds(full.heads, target, self.round_share, importance, accept)
        model = fold(parent, Gates(left, full.neurons))
        recover(context, self, model)
        params = {**asdict(self), "heads": [int(heads.sum()) for heads in left]}
        seconds = time.monotonic() - began
        return Made([step("prune_heads", params, context.seed, context.data_id, seconds)], model)
