# SPDX-License-Identifier: Apache-2.0
"""Distils a small student from the teacher's scores.

A small encoder from random weights stays at the loss of guessing for thousands of queries: it
has to discover that equal words in query and document matter. Three things remove that plateau:
the teacher's word vectors in fewer dimensions, queries and keys that start equal (a token then
attends to its like), and an auxiliary loss that asks each token whether it occurs in the other
segment.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.model.forward import Padded, first_states, head, plain
from tailor_compress.training.corpus import TrainingCorpus
from tailor_compress.training.lists import score_lists
from tailor_compress.training.loop import Schedule, train
from tailor_compress.training.losses import listwise, listwise_distillation

# Positions say little to a matcher, and large ones hide the likeness of equal tokens.
_POSITION_SCALE = 0.25
# Small sequences of a small model: larger rectangles than the teacher's, fewer calls.
_BUCKET = 64


@dataclass(frozen=True)
class StudentShape:
    """Sizes of the student; the vocabulary is the family's."""

    layers: int = 2
    hidden: int = 128
    heads: int = 4
    ffn: int = 512


@dataclass(frozen=True)
class Distillation:
    """Weights of the loss: KL to the teacher at ``temperature`` + ``hard`` * listwise + overlap.

    ``overlap`` weighs the auxiliary loss at the start; it falls to zero at half time. ``lists``
    is the number of distinct lists that the teacher scores.
    """

    lists: int
    temperature: float = 2.0
    hard: float = 0.2
    overlap: float = 1.0


def _reduced(table: Tensor, basis: Tensor) -> Tensor:
    return (table - table.mean(dim=0)) @ basis


def new_student(
    teacher: BertForSequenceClassification, shape: StudentShape, seed: int
) -> BertForSequenceClassification:
    """Return a student whose embeddings are the teacher's in their first principal directions.

    Word vectors keep their inner products as well as ``hidden`` dimensions allow (Eckart-Young);
    they are scaled to unit variance per coordinate, the size that the norm behind them gives.
    """
    torch.manual_seed(seed)
    old: Any = teacher.bert.embeddings
    sizes: dict[str, Any] = {
        "vocab_size": teacher.config.vocab_size,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": teacher.config.max_position_embeddings,
        "type_vocab_size": teacher.config.type_vocab_size,
        "pad_token_id": 0,
        "num_labels": 1,
    }
    config = BertConfig(**sizes)
    student = BertForSequenceClassification(config)
    words = old.word_embeddings.weight.detach().float()
    centred = words - words.mean(dim=0)
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[: shape.hidden].T
    scale = 1.0 / float((centred @ basis).std())
    new: Any = student.bert.embeddings
    with torch.no_grad():
        new.word_embeddings.weight.copy_(scale * (centred @ basis))
        positions = _reduced(old.position_embeddings.weight.detach().float(), basis)
        new.position_embeddings.weight.copy_(scale * _POSITION_SCALE * positions)
        segments = old.token_type_embeddings.weight.detach().float()
        new.token_type_embeddings.weight.copy_(scale * _reduced(segments, basis))
        layers: Any = student.bert.encoder.layer
        for layer in layers:
            attention = layer.attention.self
            nn.init.orthogonal_(attention.query.weight)
            attention.key.weight.copy_(attention.query.weight)
    return student


def occurs_in_other_segment(batch: Padded) -> Tensor:
    """Return [n, length] f32: 1 where a token's id also stands in the pair's other segment."""
    same = batch.ids[:, :, None] == batch.ids[:, None, :]
    other = batch.segments[:, :, None] != batch.segments[:, None, :]
    real = batch.mask[:, None, :].bool()
    return (same & other & real).any(dim=-1).float()


class OverlapProbe(nn.Module):
    """Reads from the first layer's states whether a token occurs in the other segment."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 1)

    def forward(self, states: Tensor, batch: Padded) -> Tensor:
        """Return the mean binary cross-entropy over the real tokens of ``batch``."""
        found = self.out(states.float()).squeeze(-1)
        target = occurs_in_other_segment(batch)
        loss = nn.functional.binary_cross_entropy_with_logits(found, target, reduction="none")
        return (loss * batch.mask).sum() / batch.mask.sum()


def distil_student(
    student: BertForSequenceClassification,
    corpus: TrainingCorpus,
    scores: NDArray[np.float32],
    settings: Distillation,
    schedule: Schedule,
    checkpoint: Path,
) -> float:
    """Train ``student`` in place on the scored lists and return the seconds it took.

    ``scores`` [lists, candidates] belong to the corpus's first lists; they are shown in a new
    order in every round.
    """
    probe = OverlapProbe(student.config.hidden_size)
    count, size = len(scores), schedule.lists_per_step

    @cache
    def order(round_: int) -> NDArray[np.int64]:
        return np.random.default_rng([schedule.seed, 2, round_]).permutation(count)

    def objective(step: int) -> Tensor:
        shown = range(step * size, (step + 1) * size)
        numbers = [int(order(at // count)[at % count]) for at in shown]
        weight = settings.overlap * max(0.0, 1.0 - 2.0 * step / schedule.steps)
        overlaps: list[Tensor] = []

        def score(batch: Padded) -> Tensor:
            taps: list[Tensor] = []
            states = first_states(student, batch, plain, taps)
            if weight > 0 and taps:
                overlaps.append(probe(taps[0], batch))
            return head(student, states)

        found = score_lists([corpus.drawn(number).pairs for number in numbers], _BUCKET, score)
        loss = listwise_distillation(found, torch.from_numpy(scores[numbers]), settings.temperature)
        loss = loss + settings.hard * listwise(found)
        return loss + weight * torch.stack(overlaps).mean() if overlaps else loss

    return train(student, objective, schedule, checkpoint, "student", probe)
