# SPDX-License-Identifier: Apache-2.0
"""Removal of single weights by their magnitude, along a cubic schedule (Zhu and Gupta 2017)."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.model.bitmask import bitmask_encode
from tailor_compress.model.forward import plain
from tailor_compress.pruning.limits import require_share
from tailor_compress.pruning.recovery import ParentObjective, Recovery
from tailor_compress.training.loop import train
from tailor_compress.training.processes import processes

_CHECKPOINT_STEPS = 200


def cubic_sparsity(initial: float, final: float, progress: float) -> float:
    """Return s_f + (s_i - s_f) (1 - t)^3 for t = ``progress``, cut to 0..1."""
    left = 1 - min(max(progress, 0.0), 1.0)
    return final + (initial - final) * left**3


def pruned_products(model: BertForSequenceClassification) -> dict[str, nn.Linear]:
    """Return the six products of each layer by the name of their module."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".encoder.layer." in name
    }


def _largest(magnitudes: Tensor, count: int) -> Tensor:
    mask = torch.zeros_like(magnitudes, dtype=torch.bool)
    mask[magnitudes.argsort(descending=True, stable=True)[:count]] = True
    return mask


def magnitude_masks(weights: Sequence[Tensor], sparsity: float, scope: str) -> list[Tensor]:
    """Return masks, true for the largest weights of all (``scope`` global) or of each matrix."""
    flat = [weight.detach().abs().flatten() for weight in weights]
    if scope == "matrix":
        found = [_largest(one, round((1 - sparsity) * len(one))) for one in flat]
    else:
        joined = torch.cat(flat)
        mask = _largest(joined, round((1 - sparsity) * len(joined)))
        found = list(mask.split([len(one) for one in flat]))
    return [mask.view_as(weight) for mask, weight in zip(found, weights, strict=True)]


class _Masks:
    """The masks in force; products see the weights through them.

    A masked weight keeps its value and gets no gradient, so that the next refresh may take it
    back. A refresh depends on the weights of its step alone: a run that continues from a
    checkpoint made at a refresh has the same masks.
    """

    def __init__(self, model: BertForSequenceClassification, scope: str) -> None:
        self._linears = list(pruned_products(model).values())
        self._scope = scope
        self._of: dict[nn.Module, Tensor] = {}

    def refresh(self, sparsity: float) -> None:
        """Choose the masks anew."""
        weights = [linear.weight for linear in self._linears]
        masks = magnitude_masks(weights, sparsity, self._scope)
        self._of = dict(zip(self._linears, masks, strict=True))

    def product(self, linear: nn.Linear, x: Tensor) -> Tensor:
        """Apply a product with its masked weights."""
        mask = self._of.get(linear)
        if mask is None:
            return plain(linear, x)
        return nn.functional.linear(x, linear.weight * mask, linear.bias)

    def burn_in(self) -> None:
        """Set the masked weights to zero."""
        with torch.no_grad():
            for linear, mask in self._of.items():
                weight: Any = linear.weight
                weight *= mask


@dataclass(frozen=True)
class PruneMagnitude(Recovery):
    """Removes the smallest weights while the parent is distilled into what stays."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    steps: int = setting(1000, "steps of distillation to the parent; 0 prunes at once")
    sparsity: float = setting(0.7, "share of the layers' weights to remove")
    initial: float = setting(0.0, "share to remove at the first step")
    ramp: float = setting(0.7, "share of the steps in which the sparsity rises")
    refresh_steps: int = setting(20, "steps between two choices of the masks")
    scope: str = setting("global", "where the smallest are looked for: global or matrix")

    def _require(self) -> None:
        for name in ("sparsity", "initial", "ramp"):
            require_share(name, getattr(self, name))
        if self.scope not in ("global", "matrix"):
            raise TailorError("`scope` global or matrix", self.scope, "correct `scope`")
        if self.refresh_steps < 1:
            raise TailorError("`refresh_steps` of 1 or more", str(self.refresh_steps), "correct it")

    def _train(self, context: Context, model: BertForSequenceClassification, masks: _Masks) -> None:
        objective = ParentObjective(context, self, model, masks.product)
        ramp = max(1.0, self.ramp * self.steps)

        def loss(number: int) -> Tensor:
            at = number // processes()
            if at % self.refresh_steps == 0:
                masks.refresh(cubic_sparsity(self.initial, self.sparsity, at / ramp))
            return objective(number)

        # Checkpoints lie on refreshes.
        distance = self.refresh_steps * max(1, _CHECKPOINT_STEPS // self.refresh_steps)
        schedule = self.schedule(context.seed, distance)
        train(model, loss, schedule, context.checkpoint, "magnitude")

    def make(self, context: Context) -> Made:
        """Return the model with zeros, and its matrices as values behind masks of bits."""
        self._require()
        began = time.monotonic()
        model = context.parent()
        masks = _Masks(model, self.scope)
        if self.steps > 0:
            self._train(context, model, masks)
        masks.refresh(self.sparsity)
        masks.burn_in()
        tensors: dict[str, Tensor] = {}
        for name, linear in pruned_products(model).items():
            tensors |= bitmask_encode(f"{name}.weight", linear.weight)
        seconds = time.monotonic() - began
        done = step("prune_magnitude", asdict(self), context.seed, context.data_id, seconds)
        return Made([done], model, tensors)
