# SPDX-License-Identifier: Apache-2.0
"""How much the loss depends on each head and each inner neuron.

To first order, removing a unit changes the loss by its mask's gradient: dL/dm at m = 1, where m
multiplies what the unit sends on. The unit sends it through columns of a product y = W (m * c), so
dL/dm = sum(W * dL/dW) over its columns: the weights' own gradients are enough, no mask is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.model.forward import logits
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.lists import score_lists
from tailor_compress.training.losses import listwise


@dataclass(frozen=True)
class Importance:
    """Of one layer: ``heads`` [heads] and ``neurons`` [ffn_dim], f64, larger is more important."""

    heads: Tensor
    neurons: Tensor


def _products(linear: Any) -> tuple[Tensor, Tensor]:
    """Return weight * gradient [out, in] and bias * gradient [out], f64."""
    weight, bias = linear.weight, linear.bias
    return (weight.detach() * weight.grad).double(), (bias.detach() * bias.grad).double()


def _layer_importance(layer: Any) -> Importance:
    """DynaBERT's formulas: |dL/dm| of a head, |w1 . g1 + b1 g1| + |w2 . g2| of a neuron."""
    out, _ = _products(layer.attention.output.dense)
    first, bias = _products(layer.intermediate.dense)
    second, _ = _products(layer.output.dense)
    heads = out.sum(dim=0).reshape(layer.attention.self.num_attention_heads, -1).sum(dim=1).abs()
    return Importance(heads, (first.sum(dim=1) + bias).abs() + second.sum(dim=0).abs())


def importances(
    model: BertForSequenceClassification, lists: Sequence[CandidateList]
) -> list[Importance]:
    """Return one entry a layer: absolute values per list, summed over the lists.

    The loss is the listwise one on the right document. The divergence from the model's own scores
    would be the other label-free choice, but it is at its minimum there: its gradient is zero for
    every unit. ``model`` is f32 and not in training mode; its gradients are cleared.
    """
    layers: Any = model.bert.encoder.layer
    total: list[Importance] = []
    for one in lists:
        model.zero_grad(set_to_none=True)
        found = score_lists([one.pairs], len(one.pairs), lambda batch: logits(model, batch))
        torch.autograd.backward(listwise(found))
        parts = [_layer_importance(layer) for layer in layers]
        total = (
            [
                Importance(a.heads + b.heads, a.neurons + b.neurons)
                for a, b in zip(total, parts, strict=True)
            ]
            if total
            else parts
        )
    model.zero_grad(set_to_none=True)
    return total
