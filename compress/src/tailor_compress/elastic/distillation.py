# SPDX-License-Identifier: Apache-2.0
"""What one sub-network learns from a teacher on some lists: its scores and its hidden states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tailor_compress.elastic.subnetworks import SubNetwork
from tailor_compress.model.forward import Padded, embed, plain, run_layer
from tailor_compress.text import Ids
from tailor_compress.training.lists import score_lists

# Of 6x384 in bf16 on 2 cores, 32 pairs at a time are the fastest; so for the teacher's training.
_BUCKET = 32


@dataclass(frozen=True)
class Passed:
    """What a model made of some lists.

    ``scores`` [lists, candidates]. ``states[k][b]`` are the states of bucket b after k layers (0:
    the embeddings), [n, rows, hidden]: all tokens, but only [CLS] after the last layer, whose
    other rows nothing reads. ``masks[b]`` [n, length].
    """

    scores: Tensor
    states: list[list[Tensor]]
    masks: list[Tensor]


def run_lists(model: Any, lists: Sequence[Sequence[tuple[Ids, int]]], every_token: bool) -> Passed:
    """Run a model or a view; without ``every_token`` only [CLS] states are kept."""
    layers = list(model.bert.encoder.layer)
    states: list[list[Tensor]] = [[] for _ in range(len(layers) + 1)]
    masks: list[Tensor] = []

    def score(batch: Padded) -> Tensor:
        x, bias = embed(model, batch)
        masks.append(batch.mask)
        rows = x.shape[1] if every_token else 1
        states[0].append(x[:, :rows])
        for n, layer in enumerate(layers, start=1):
            asked = x[:, :1] if n == len(layers) else x
            x = run_layer(layer, x, bias, plain, asked)
            states[n].append(x[:, :rows])
        dense = model.bert.pooler.dense
        pooled = torch.tanh(dense(x[:, 0].to(dense.weight.dtype)))
        found: Tensor = model.classifier(pooled)
        return found.squeeze(-1)

    return Passed(score_lists(lists, _BUCKET, score), states, masks)


def matched_states(part: SubNetwork, layers: int) -> list[tuple[int, int]]:
    """Return which states of ``part`` learn from which of a teacher with ``layers`` layers.

    The embeddings from the embeddings, a kept layer from itself, the last from the last.
    """
    kept = part.depth.layers
    inner = [(n, layer + 1) for n, layer in enumerate(kept[:-1], start=1)]
    return [(0, 0), *inner, (len(kept), layers)]


def _mean_square(
    student: Sequence[Tensor], teacher: Sequence[Tensor], masks: Sequence[Tensor]
) -> Tensor:
    """Squares in the type of the states: a loss needs no more, and f32 copies take longer."""
    total = torch.zeros(())
    count = 0.0
    for ours, theirs, mask in zip(student, teacher, masks, strict=True):
        used = mask[:, : ours.shape[1], None].to(ours.dtype)
        total = total + ((ours - theirs) * used).square().sum(dtype=torch.float32)
        count += float(used.sum(dtype=torch.float32)) * ours.shape[-1]
    return total / count


def hidden_distance(student: Passed, teacher: Passed, matched: Sequence[tuple[int, int]]) -> Tensor:
    """Return the sum over ``matched`` states of the mean square over tokens and coordinates.

    Jiao et al. (2020) and DynaBERT, without a projection: every width has the whole hidden size.
    """
    parts = [
        _mean_square(student.states[ours], teacher.states[theirs], student.masks)
        for ours, theirs in matched
    ]
    return torch.stack(parts).sum()
