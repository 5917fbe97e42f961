# SPDX-License-Identifier: Apache-2.0
"""Gates: a factor on every head's context and on every inner neuron's output.

Both are factors on input columns of a product (attention.output.dense, output.dense), so that the
forward pass takes them through its seam for products, and a gated model can be folded into a
smaller one that computes the same.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.device import fast_precision
from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes
from tailor_compress.model.forward import Apply, logits, pad, plain
from tailor_compress.progress import Progress
from tailor_compress.quantization.quantizer import QuantisedLinear
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.loop import set_precision
from tailor_compress.training.losses import listwise


@dataclass(frozen=True)
class Gates:
    """Factors by layer: ``heads[l]`` [heads of layer l], ``neurons[l]`` [its ffn_dim]; f32."""

    heads: Sequence[Tensor]
    neurons: Sequence[Tensor]


@dataclass(frozen=True)
class Gradients:
    """Gradients of the loss of each list: ``heads[l]`` [lists, heads], ``neurons[l]`` alike."""

    heads: Sequence[Tensor]
    neurons: Sequence[Tensor]


def open_gates(model: BertForSequenceClassification) -> Gates:
    """Return the gates that change nothing."""
    shapes = layer_shapes(model)
    return Gates(
        [torch.ones(shape.heads) for shape in shapes],
        [torch.ones(shape.ffn_dim) for shape in shapes],
    )


def gated(model: BertForSequenceClassification, gates: Gates, apply: Apply = plain) -> Apply:
    """Return how ``model`` applies its products behind ``gates``."""
    factors: dict[nn.Module, Tensor] = {}
    layers: Any = model.bert.encoder.layer
    for layer, heads, neurons in zip(layers, gates.heads, gates.neurons, strict=True):
        size = layer.attention.self.attention_head_size
        factors[layer.attention.output.dense] = heads.repeat_interleave(size)
        factors[layer.output.dense] = neurons

    def product(linear: nn.Linear, x: Tensor) -> Tensor:
        factor = factors.get(linear)
        return apply(linear, x if factor is None else x * factor.to(x))

    return product


def fast_copy(model: BertForSequenceClassification) -> BertForSequenceClassification:
    """Return a copy for gradients, in the precision that this machine computes fastest.

    Statistics over many lists do not show the rounding; bf16 is about four times faster.
    """
    result = copy.deepcopy(model).requires_grad_(False)
    set_precision(result, fast_precision())
    return result


def gate_gradients(
    model: BertForSequenceClassification,
    lists: Sequence[CandidateList],
    gates: Gates | None = None,
) -> Gradients:
    """Return d loss / d gate of each list; the loss is the softmax over the list's candidates.

    ``gates`` is where the gradient is taken, by default at 1. A closed gate has a gradient too.
    The sample of all statistics is the list: its candidates share one loss.
    """
    here = open_gates(model) if gates is None else gates
    wanted = [gate.detach().clone().requires_grad_() for gate in (*here.heads, *here.neurons)]
    count = len(here.heads)
    found: list[list[Tensor]] = [[] for _ in wanted]
    with Progress("gate gradients", len(lists), unit="list") as progress:
        for one in lists:
            apply = gated(model, Gates(wanted[:count], wanted[count:]))
            loss = listwise(logits(model, pad(one.pairs), apply)[None])
            for rows, gradient in zip(found, torch.autograd.grad(loss, wanted), strict=True):
                rows.append(gradient)
            progress.advance()
    stacked = [torch.stack(rows) for rows in found]
    return Gradients(stacked[:count], stacked[count:])


def _scale(linear: Any, factors: Tensor) -> None:
    if isinstance(linear, QuantisedLinear) and bool((factors != 1).any()):
        raise TailorError(
            "gates of 0 and 1 for a parent with int8 weights",
            f"{float(factors[factors != 1][0]):g}",
            "name a parent with float weights",
        )
    linear.weight *= factors


def fold(model: BertForSequenceClassification, gates: Gates) -> BertForSequenceClassification:
    """Return a copy without the closed heads and neurons; other factors go into its weights."""
    heads = [gate.nonzero().flatten().tolist() for gate in gates.heads]
    neurons = [gate.nonzero().flatten().tolist() for gate in gates.neurons]
    result = cut_model(
        model, [LayerCut(n, h, f) for n, (h, f) in enumerate(zip(heads, neurons, strict=True))]
    )
    layers: Any = result.bert.encoder.layer
    with torch.no_grad():
        for n, layer in enumerate(layers):
            size = layer.attention.self.attention_head_size
            factors = gates.heads[n][heads[n]].repeat_interleave(size)
            _scale(layer.attention.output.dense, factors)
            _scale(layer.output.dense, gates.neurons[n][neurons[n]])
    return result
