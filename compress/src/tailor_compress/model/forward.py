# SPDX-License-Identifier: Apache-2.0
"""The forward pass of a BERT classifier, as training and evaluation run it.

The weights live in transformers' own modules; only the order of the steps is written here, for
two reasons: attention as plain products trains about four times faster in bf16 on a CPU than the
fused function, and past the last layer's keys and values only the [CLS] row is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.device import device

# Applies one Linear of the encoder; the seam for formats other than the weights' own.
Apply = Callable[[nn.Linear, Tensor], Tensor]

# Name, in the encoder, of the product that maps narrow word vectors to the hidden size; ALBERT's.
EMBEDDING_MAP = "embedding_hidden_mapping_in"

# Below any score that a softmax could notice, within the range of bf16.
_MASKED = -1e4


def plain(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply ``linear`` in the type of its weights."""
    return nn.functional.linear(x, linear.weight, linear.bias)


@dataclass(frozen=True)
class Padded:
    """Pairs as rectangular tensors, each [n, length]; ``mask`` is 1 for tokens, 0 for padding."""

    ids: Tensor
    segments: Tensor
    mask: Tensor


def pad(pairs: Sequence[tuple[list[int], int]]) -> Padded:
    """Pad (ids, number of ids in segment 0) to the longest; the padding id is 0."""
    length = max(len(ids) for ids, _ in pairs)
    ids = torch.zeros(len(pairs), length, dtype=torch.long)
    segments = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, (values, first) in enumerate(pairs):
        ids[row, : len(values)] = torch.tensor(values)
        segments[row, first : len(values)] = 1
        mask[row, : len(values)] = 1
    return Padded(ids.to(device()), segments.to(device()), mask.to(device()))


def _heads(x: Tensor, n: int, size: int) -> Tensor:
    """[b, l, n * d] -> [b, n, l, d]; a layer may have lost all of its heads."""
    return x.reshape(*x.shape[:2], n, size).transpose(1, 2)


@dataclass(frozen=True)
class Attended:
    """What one layer's attention made of b texts, for n heads of d: q, k, v are [b, n, rows, d].

    ``scores`` [b, n, rows, length] are those before the softmax, scaled and with the bias.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    scores: Tensor


def run_layer(
    layer: Any,
    x: Tensor,
    bias: Tensor,
    apply: Apply,
    rows: Tensor,
    watch: Callable[[Attended], None] | None = None,
) -> Tensor:
    """Run one post-norm layer for ``rows``, a prefix of the tokens of ``x`` [b, l, h].

    ``watch`` is shown what the attention made on the way.
    """
    attention, out = layer.attention.self, layer.attention.output
    n, size = attention.num_attention_heads, attention.attention_head_size
    q = _heads(apply(attention.query, rows), n, size)
    k = _heads(apply(attention.key, x), n, size)
    v = _heads(apply(attention.value, x), n, size)
    scores = q @ k.transpose(-1, -2) * size**-0.5 + bias
    if watch is not None:
        watch(Attended(q, k, v, scores))
    context = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    y = out.LayerNorm(apply(out.dense, context) + rows)
    inner = nn.functional.gelu(apply(layer.intermediate.dense, y))
    result: Tensor = layer.output.LayerNorm(apply(layer.output.dense, inner) + y)
    return result


def embed(model: BertForSequenceClassification, batch: Padded) -> tuple[Tensor, Tensor]:
    """Return the first layer's input [n, length, hidden] and the scores' bias [n, 1, 1, length].

    Every layer adds the bias to its attention scores: 0 for tokens, below any score for padding.
    """
    emb: Any = model.bert.embeddings
    # A model that was not moved to the device in use computes where it is.
    place = emb.word_embeddings.weight.device
    batch = Padded(batch.ids.to(place), batch.segments.to(place), batch.mask.to(place))
    positions = emb.position_embeddings.weight[: batch.ids.shape[1]]
    words = emb.word_embeddings(batch.ids)
    # Narrow word vectors are mapped to the hidden size (model/narrow.py).
    narrow = getattr(model.bert.encoder, EMBEDDING_MAP, None)
    if narrow is not None:
        words = narrow(words)
    x: Tensor = emb.LayerNorm(words + emb.token_type_embeddings(batch.segments) + positions)
    bias = ((1 - batch.mask) * _MASKED).to(x.dtype)[:, None, None, :]
    return x, bias


def first_states(
    model: BertForSequenceClassification, batch: Padded, apply: Apply = plain
) -> Tensor:
    """Return the last layer's [CLS] rows, [n, hidden], in the type of the encoder's weights."""
    x, bias = embed(model, batch)
    *inner, last = model.bert.encoder.layer
    for layer in inner:
        x = run_layer(layer, x, bias, apply, x)
    return run_layer(last, x, bias, apply, x[:, :1])[:, 0]


def head_logits(model: Any, states: Tensor) -> Tensor:
    """Return the outputs of pooler and classifier for [CLS] rows [n, hidden], in f32.

    [n] of a model with one label, [n, labels] of others.
    """
    dense = model.bert.pooler.dense
    scores: Tensor = model.classifier(torch.tanh(dense(states.to(dense.weight.dtype))))
    return scores.squeeze(-1)


def logits(model: Any, batch: Padded, apply: Apply = plain) -> Tensor:
    """Return the raw scores [n] in f32 of a model with one label; the head computes in f32."""
    return head_logits(model, first_states(model, batch, apply))
