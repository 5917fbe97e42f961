# SPDX-License-Identifier: Apache-2.0
"""A sub-network that computes with slices of the whole model's weights.

The slices are views, so a gradient that flows into one lands in its part of the whole weight and
nowhere else. A view has the attributes that model/forward.py reads of a model and no others.
"""

from types import SimpleNamespace
from typing import Any

from torch import nn
from transformers import BertForSequenceClassification

from tailor_compress.elastic.subnetworks import SubNetwork


def _rows(linear: nn.Linear, count: int) -> Any:
    return SimpleNamespace(weight=linear.weight[:count], bias=linear.bias[:count])


def _columns(linear: nn.Linear, count: int) -> Any:
    # Products of dense matrices are faster; the copy is small beside them.
    return SimpleNamespace(weight=linear.weight[:, :count].contiguous(), bias=linear.bias)


def _layer(layer: Any, heads: int, neurons: int) -> Any:
    own, out = layer.attention.self, layer.attention.output
    inner = heads * own.attention_head_size
    attention = SimpleNamespace(
        num_attention_heads=heads,
        attention_head_size=own.attention_head_size,
        **{name: _rows(getattr(own, name), inner) for name in ("query", "key", "value")},
    )
    output = SimpleNamespace(dense=_columns(out.dense, inner), LayerNorm=out.LayerNorm)
    last = SimpleNamespace(
        dense=_columns(layer.output.dense, neurons), LayerNorm=layer.output.LayerNorm
    )
    return SimpleNamespace(
        attention=SimpleNamespace(self=attention, output=output),
        intermediate=SimpleNamespace(dense=_rows(layer.intermediate.dense, neurons)),
        output=last,
    )


def view(model: BertForSequenceClassification, part: SubNetwork) -> Any:
    """Return ``part`` of ``model``: what ``logits`` takes.

    A view is for one step: its slices of columns are those of the weights when it was made.
    """
    layers: Any = model.bert.encoder.layer
    chosen = [_layer(layers[n], part.width.heads, part.width.ffn_dim) for n in part.depth.layers]
    bert = SimpleNamespace(
        embeddings=model.bert.embeddings,
        encoder=SimpleNamespace(layer=chosen),
        pooler=model.bert.pooler,
    )
    return SimpleNamespace(bert=bert, classifier=model.classifier)
