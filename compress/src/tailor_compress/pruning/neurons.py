# SPDX-License-Identifier: Apache-2.0
"""Removal of inner neurons by their first-order Taylor score (Molchanov et al. 2017)."""

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
    open_gates,
)
from tailor_compress.pruning.limits import require_share
from tailor_compress.pruning.recovery import Recovery, recover
from tailor_compress.pruning.rounds import ByLayer, remove_in_rounds


def neuron_importance(gradients: Gradients) -> ByLayer:
    """Return E |dL/dxi|: the loss's change, to first order, when the neuron's output becomes 0.

    The gradient of the gate is the sum of output times gradient over the tokens, which is also
    the sum of weight times gradient over the neuron's column of output.dense.
    """
    return [of_layer.abs().mean(dim=0) for of_layer in gradients.neurons]


@dataclass(frozen=True)
class PruneNeurons(Recovery):
    """Removes inner neurons in rounds, wherever their scores are lowest, scored anew in each."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    keep: float = setting(0.5, "share of the inner neurons to keep")
    round_share: float = setting(0.1, "share of all neurons that one round removes")
    lists: int = setting(128, "training lists behind the importance")

    def make(self, context: Context) -> Made:
        """Return the cut model."""
        require_share("keep", self.keep)
        began = time.monotonic()
        parent = context.parent()
        lists = [context.lists.drawn(number) for number in range(self.lists)]
        full, scored = open_gates(parent), fast_copy(parent)

        def importance(neurons: ByLayer) -> ByLayer:
            return neuron_importance(gate_gradients(scored, lists, Gates(full.heads, neurons)))

        total = sum(len(neurons) for neurons in full.neurons)
        target = round(self.keep * total)
        left = remove_in_rounds(full.neurons, target, self.round_share, importance, lambda _: True)
        model = fold(parent, Gates(full.heads, left))
        recover(context, self, model)
        params = {**asdict(self), "neurons": [int(neurons.sum()) for neurons in left]}
        seconds = time.monotonic() - began
        return Made([step("prune_neurons", params, context.seed, context.data_id, seconds)], model)
