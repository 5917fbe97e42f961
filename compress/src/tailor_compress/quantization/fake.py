# SPDX-License-Identifier: Apache-2.0
"""Quantisation in training: values rounded to codes and back, gradients as if they were not.

Zafrir et al. (2019), "Q8BERT": weights by max|row|; static inputs by a moving average of max|x|;
the gradient goes straight through the rounding, saturated values included.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.model.forward import plain
from tailor_compress.quantization.calibrate import per_input, static_scale
from tailor_compress.quantization.products import TextRows, encoder_products, shared_input
from tailor_compress.quantization.quantizer import LEVELS, row_scales


class _StraightThrough(torch.autograd.Function):
    """clamp(round(x / scale), -127, 127) * scale in the type of x; the gradient of x is kept."""

    @staticmethod
    def forward(_: Any, x: Tensor, scale: Tensor) -> Tensor:
        codes = torch.round(x.float() / scale).clamp(-LEVELS, LEVELS)
        return (codes * scale).to(x.dtype)

    @staticmethod
    def backward(_: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def fake_quantised(x: Tensor, scale: Tensor) -> Tensor:
    """Return ``x`` rounded to codes of ``scale`` (it broadcasts), with a straight gradient."""
    found: Tensor = _StraightThrough.apply(x, scale)
    return found


class FakeQuantisation:
    """Applies products as if on integers, while ``model`` trains.

    ``state`` [inputs, 2] f64 is the moving average of max|x|, and that of 1: their ratio is not
    drawn to the start's zero (Kingma and Ba 2015, section 3). It is part of a checkpoint.
    """

    def __init__(
        self,
        model: BertForSequenceClassification,
        static: bool,
        decay: float,
        floats: Collection[str],
    ) -> None:
        products = encoder_products(model)
        self._products = {name: one for name, one in products.items() if name not in floats}
        self._quantised = set(self._products.values())
        inputs = sorted({shared_input(name) for name in self._products})
        self._inputs = {name: number for number, name in enumerate(inputs)}
        # A product that stays float may still speak for the input of others.
        self._place = {
            linear: self._inputs[shared_input(name)]
            for name, linear in products.items()
            if shared_input(name) in self._inputs
        }
        self._speakers = {products[name] for name in inputs}
        self._static, self._decay = static, decay
        self.state = torch.zeros(len(inputs), 2, dtype=torch.float64)
        self._rows = TextRows(model)

    def _observe(self, place: int, x: Tensor) -> None:
        largest = float(self._rows.of(x.detach()).abs().max())
        new = torch.tensor([largest, 1.0], dtype=torch.float64)
        self.state[place] = self._decay * self.state[place] + (1 - self._decay) * new

    def _input_scale(self, linear: nn.Linear, x: Tensor) -> Tensor:
        if not self._static:
            return row_scales(x.detach())[..., None]
        place = self._place[linear]
        # Query comes before key, which speaks for it: at the very first step it has to speak.
        if float(self.state[place, 1]) == 0:
            self._observe(place, x)
        return self._scale(place).to(x.device)

    def _scale(self, place: int) -> Tensor:
        largest, weight = self.state[place].tolist()
        return static_scale(largest / weight)

    def __call__(self, linear: nn.Linear, x: Tensor) -> Tensor:
        """Return the product for ``x`` [texts, length, in]."""
        if self._static and linear in self._speakers:
            self._observe(self._place[linear], x)
        if linear not in self._quantised:
            return plain(linear, x)
        weight = fake_quantised(linear.weight, row_scales(linear.weight.detach())[:, None])
        inputs = fake_quantised(x, self._input_scale(linear, x))
        return nn.functional.linear(inputs, weight, linear.bias)

    def input_scales(self) -> dict[str, Tensor]:
        """Return the static input scale [1] of each product; nothing of dynamic ones."""
        if not self._static:
            return {}
        found = {name: self._scale(place) for name, place in self._inputs.items()}
        return per_input(list(self._products), found)

    def close(self) -> None:
        """Stop watching the model."""
        self._rows.close()
