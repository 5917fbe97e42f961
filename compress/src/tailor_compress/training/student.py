# SPDX-License-Identifier: Apache-2.0
"""Distils a small student from the teacher's scores.

A small encoder from random weights stays at the loss of guessing for thousands of queries: it
has to discover that equal words in query and document matter. Three choices at the start remove
that plateau (out of it after 40 steps, against 240 and more without the last one): the teacher's
word vectors in fewer dimensions, queries and keys that start equal (a token then attends to its
like), and products that keep the size of what they are given.
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

from tailor_compress.method import Lists
from tailor_compress.model.forward import logits
from tailor_compress.training.lists import score_lists
from tailor_compress.training.loop import Schedule, train
from tailor_compress.training.losses import listwise, listwise_distillation

# Positions say little to a matcher, and large ones hide the likeness of equal tokens.
_POSITION_SCALE = 0.25
# The teacher's two segments nearly coincide; a token has to see on which side its like stands.
_SEGMENT_SCALE = 0.5
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
    """The loss: KL to the teacher at ``temperature`` + ``hard`` * listwise.

    ``lists`` is the number of distinct lists that the teacher scores.
    """

    lists: int
    temperature: float = 2.0
    hard: float = 0.2


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
        # Products keep the variance of their inputs. BERT's 0.02 is made for 768 dimensions; at
        # 128 attention would add a hundredth of what it is added to.
        "initializer_range": shape.hidden**-0.5,
    }
    config = BertConfig(**sizes)
    student = BertForSequenceClassification(config)
    words, places = (
        table.weight.detach().float() - table.weight.detach().float().mean(dim=0)
        for table in (old.word_embeddings, old.position_embeddings)
    )
    basis = torch.linalg.svd(words, full_matrices=False).Vh[: shape.hidden].T
    scale = 1.0 / float((words @ basis).std())
    new: Any = student.bert.embeddings
    with torch.no_grad():
        new.word_embeddings.weight.copy_(scale * (words @ basis))
        new.position_embeddings.weight.copy_(scale * _POSITION_SCALE * (places @ basis))
        nn.init.normal_(new.token_type_embeddings.weight, std=_SEGMENT_SCALE)
        layers: Any = student.bert.encoder.layer
        for layer in layers:
            attention = layer.attention.self
            nn.init.orthogonal_(attention.query.weight)
            attention.key.weight.copy_(attention.query.weight)
    return student


def distil_student(
    student: BertForSequenceClassification,
    corpus: Lists,
    scores: NDArray[np.float32],
    settings: Distillation,
    schedule: Schedule,
    checkpoint: Path,
) -> float:
    """Train ``student`` in place on the scored lists and return the seconds it took.

    ``scores`` [lists, candidates] belong to the corpus's first lists; they are shown in a new
    order in every round.
    """
    count, size = len(scores), schedule.lists_per_step

    @cache
    def order(round_: int) -> NDArray[np.int64]:
        return np.random.default_rng([schedule.seed, 2, round_]).permutation(count)

    def objective(step: int) -> Tensor:
        shown = range(step * size, (step + 1) * size)
        numbers = [int(order(at // count)[at % count]) for at in shown]
        drawn = [corpus.drawn(number).pairs for number in numbers]
        found = score_lists(drawn, _BUCKET, lambda batch: logits(student, batch))
        loss = listwise_distillation(found, torch.from_numpy(scores[numbers]), settings.temperature)
        return loss + settings.hard * listwise(found)

    return train(student, objective, schedule, checkpoint, "student")
