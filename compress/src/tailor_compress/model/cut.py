# SPDX-License-Identifier: Apache-2.0
"""Cuts of a BERT classifier: some of its layers, some heads and inner neurons of each.

The modules stay transformers' own, with smaller matrices: what runs a whole model runs a cut one,
as long as it asks each layer for its number of heads (model/forward.py does).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.narrow import install_narrow
from tailor_compress.quantization.quantizer import QuantisedLinear


@dataclass(frozen=True)
class LayerShape:
    """One row of variant.json's layer table, with its names."""

    heads: int
    head_dim: int
    ffn_dim: int


@dataclass(frozen=True)
class LayerCut:
    """What stays of one layer: numbers of heads and of inner neurons, in the order to keep."""

    layer: int
    heads: Sequence[int]
    neurons: Sequence[int]


def layer_shapes(model: BertForSequenceClassification) -> list[LayerShape]:
    """Return the layer table of a model, cut or not."""
    layers: Any = model.bert.encoder.layer
    return [
        LayerShape(
            one.attention.self.num_attention_heads,
            one.attention.self.attention_head_size,
            one.intermediate.dense.out_features,
        )
        for one in layers
    ]


def _resized(old: nn.Linear, weight: Tensor, bias: Tensor) -> nn.Linear:
    new = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=old.weight.dtype)
    new.weight = nn.Parameter(weight.contiguous(), requires_grad=old.weight.requires_grad)
    new.bias = nn.Parameter(bias.contiguous(), requires_grad=old.bias.requires_grad)
    return new


def _rows(linear: nn.Linear, index: Tensor) -> nn.Linear:
    if isinstance(linear, QuantisedLinear):
        return linear.rows(index)
    return _resized(linear, linear.weight.detach()[index], linear.bias.detach()[index])


def _columns(linear: nn.Linear, index: Tensor) -> nn.Linear:
    if isinstance(linear, QuantisedLinear):
        return linear.columns(index)
    return _resized(linear, linear.weight.detach()[:, index], linear.bias.detach().clone())


def _set_heads(attention: Any, heads: int) -> None:
    attention.num_attention_heads = heads
    attention.all_head_size = heads * attention.attention_head_size


def _cut_layer(layer: Any, cut: LayerCut) -> None:
    attention = layer.attention.self
    size = attention.attention_head_size
    kept = torch.tensor([h * size + i for h in cut.heads for i in range(size)], dtype=torch.long)
    for name in ("query", "key", "value"):
        setattr(attention, name, _rows(getattr(attention, name), kept))
    layer.attention.output.dense = _columns(layer.attention.output.dense, kept)
    _set_heads(attention, len(cut.heads))
    neurons = torch.tensor(list(cut.neurons), dtype=torch.long)
    layer.intermediate.dense = _rows(layer.intermediate.dense, neurons)
    layer.output.dense = _columns(layer.output.dense, neurons)


def cut_model(
    model: BertForSequenceClassification, cuts: Sequence[LayerCut]
) -> BertForSequenceClassification:
    """Return a copy with one layer per entry of ``cuts``, in their order.

    An entry may keep no heads or no neurons: the sublayer then adds its output bias only. Raises
    TailorError for a layer, head or neuron that the model does not have.
    """
    shapes = layer_shapes(model)
    for cut in cuts:
        if not 0 <= cut.layer < len(shapes):
            raise TailorError(
                f"layers 0 to {len(shapes) - 1}", str(cut.layer), "name a layer of the model"
            )
        shape = shapes[cut.layer]
        for what, kept, count in (
            ("heads", cut.heads, shape.heads),
            ("neurons", cut.neurons, shape.ffn_dim),
        ):
            if len(set(kept)) != len(kept) or any(not 0 <= one < count for one in kept):
                raise TailorError(
                    f"distinct {what} 0 to {count - 1} of layer {cut.layer}",
                    str(list(kept))[:80],
                    f"name {what} of the layer once",
                )
    result = copy.deepcopy(model)
    layers: Any = result.bert.encoder.layer
    chosen = []
    for cut in cuts:
        layer = copy.deepcopy(layers[cut.layer])
        _cut_layer(layer, cut)
        chosen.append(layer)
    result.bert.encoder.layer = nn.ModuleList(chosen)
    result.config.num_hidden_layers = len(chosen)
    return result


def empty_model(config: BertConfig, shapes: Sequence[LayerShape]) -> BertForSequenceClassification:
    """Return a model of these layer shapes; its weights are to be loaded."""
    config = copy.deepcopy(config)
    config.num_hidden_layers = len(shapes)
    model = BertForSequenceClassification(config)
    layers: Any = model.bert.encoder.layer
    for layer, shape in zip(layers, shapes, strict=True):
        attention, inner = layer.attention.self, shape.heads * shape.head_dim
        hidden = config.hidden_size
        attention.attention_head_size = shape.head_dim
        _set_heads(attention, shape.heads)
        for name in ("query", "key", "value"):
            setattr(attention, name, nn.Linear(hidden, inner))
        layer.attention.output.dense = nn.Linear(inner, hidden)
        layer.intermediate.dense = nn.Linear(hidden, shape.ffn_dim)
        layer.output.dense = nn.Linear(shape.ffn_dim, hidden)
    return model


def load_weights(
    config: BertConfig, shapes: Sequence[LayerShape], tensors: Mapping[str, Tensor]
) -> BertForSequenceClassification:
    """Return an f32 model of these shapes with these weights, not in training mode."""
    model = empty_model(config, shapes)
    width = tensors["bert.embeddings.word_embeddings.weight"].shape[1]
    if width != config.hidden_size:
        install_narrow(model, width)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    model.train(False)
    return model
