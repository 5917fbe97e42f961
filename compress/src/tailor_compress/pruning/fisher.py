# SPDX-License-Identifier: Apache-2.0
"""Pruning without retraining, to a share of the FLOPs or of the measured time.

Kwon et al. (2022), "A Fast Post-Training Pruning Framework for Transformers": mask search by the
diagonal Fisher information, rearrangement by its blocks, factors by least squares.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.model.cut import LayerShape, layer_shapes
from tailor_compress.pruning.flops import head_flops, model_flops, neuron_flops, scoring_flops
from tailor_compress.pruning.gates import Gates, fast_copy, fold, gate_gradients
from tailor_compress.pruning.latency import LatencyTable, read_table
from tailor_compress.pruning.limits import require_reachable
from tailor_compress.pruning.rearrange import rearrange
from tailor_compress.pruning.search import Choice, fisher, search_flops, search_latency
from tailor_compress.pruning.tuning import tune

MASKS = "masks.safetensors"
# Numbers of neurons that the latency search tries: the width of the engine's tiles.
_NEURON_STEP = 32


def flops_masks(
    model: BertForSequenceClassification, importance: Gates, share: float, tokens: int
) -> Gates:
    """Return masks of at most ``share`` of the model's FLOPs at pairs of ``tokens`` tokens.

    Raises TailorError when even a model without layers would cost more.
    """
    shapes, hidden = layer_shapes(model), int(model.config.hidden_size)
    total, floor = model_flops(shapes, hidden, tokens), scoring_flops(hidden)
    require_reachable("flops", share, floor / total)
    head = head_flops(hidden, shapes[0].head_dim, tokens)
    budget = int(share * total) - floor
    return search_flops(importance, head, neuron_flops(hidden, tokens), budget)


def _neuron_counts(shape: LayerShape) -> list[int]:
    return sorted({*range(0, shape.ffn_dim, _NEURON_STEP), shape.ffn_dim})


def latency_masks(
    model: BertForSequenceClassification, importance: Gates, share: float, table: LatencyTable
) -> Gates:
    """Return masks of at most ``share`` of the model's time by ``table``.

    Raises TailorError for a table of a smaller model, and for a share that no mask reaches.
    """
    shapes = layer_shapes(model)
    table.require(shapes)
    attention = [
        Choice(range(shape.heads + 1), [table.attention(n) for n in range(shape.heads + 1)])
        for shape in shapes
    ]
    ffn = [
        Choice(counts, [table.ffn(n) for n in counts])
        for counts in (_neuron_counts(shape) for shape in shapes)
    ]
    total = table.model(shapes)
    floor = table.fixed_ms + sum(min(choice.costs) for choice in (*attention, *ffn))
    # The search rounds each cost up to a step of the budget; the floor has to fit after that too.
    require_reachable("latency", share, 1.005 * floor / total)
    return search_latency(importance, attention, ffn, share * total - table.fixed_ms)


def mask_tensors(gates: Gates) -> dict[str, Tensor]:
    """Return the tensors of masks.safetensors. Raises TailorError for layers of unlike shapes."""
    if len({(len(h), len(n)) for h, n in zip(gates.heads, gates.neurons, strict=True)}) > 1:
        raise TailorError(
            "a parent with layers of one shape", "a cut one", "prune the model that it was cut from"
        )
    return {
        "heads": torch.stack(list(gates.heads)).float(),
        "neurons": torch.stack(list(gates.neurons)).float(),
    }


@dataclass(frozen=True)
class PruneFisher:
    """Masks of heads and neurons for a budget, as a derived variant of the parent."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    flops: float = setting(0.0, "share of the parent's FLOPs; 0 to use `latency`")
    latency: float = setting(0.0, "share of the parent's time by `table`; 0 to use `flops`")
    table: str = setting("", "file with the measured times, for `latency`")
    tokens: int = setting(128, "length of the pair whose FLOPs count")
    lists: int = setting(512, "training lists behind the Fisher information")
    tuning_lists: int = setting(64, "training lists behind the factors; 0 leaves plain masks")
    rearrange: bool = setting(True, "whether layers exchange units by the blocks of the Fisher")
    derived: bool = setting(True, "masks beside the parent's weights; false to store cut weights")
    format: str = setting("f32", "of the products of a derived variant: f32, bf16, f16 or int8")

    def _masks(self, model: BertForSequenceClassification, importance: Gates) -> Gates:
        if self.flops > 0:
            return flops_masks(model, importance, self.flops, self.tokens)
        return latency_masks(model, importance, self.latency, read_table(Path(self.table)))

    def make(self, context: Context) -> Made:
        """Return the masks, and the model cut by them for evaluation."""
        if (self.flops > 0) == (self.latency > 0):
            raise TailorError(
                "one target, `flops` or `latency`, above 0",
                f"{self.flops:g} and {self.latency:g}",
                "set one of them",
            )
        began = time.monotonic()
        model = context.parent()
        lists = [context.lists.drawn(n) for n in range(max(self.lists, self.tuning_lists))]
        gradients = gate_gradients(fast_copy(model), lists[: self.lists])
        gates = self._masks(model, fisher(gradients))
        if self.rearrange:
            gates = rearrange(gradients, gates)
        if self.tuning_lists > 0:
            gates = tune(model, gates, lists[: self.tuning_lists])
        tensors = mask_tensors(gates) if self.derived else {}
        manifest = {"derive": {"masks": MASKS, "format": self.format}} if self.derived else {}
        params: dict[str, Any] = {
            **asdict(self),
            "heads": [int((one != 0).sum()) for one in gates.heads],
            "neurons": [int((one != 0).sum()) for one in gates.neurons],
        }
        seconds = time.monotonic() - began
        done = step("prune_fisher", params, context.seed, context.data_id, seconds)
        return Made([done], fold(model, gates), tensors, manifest)
