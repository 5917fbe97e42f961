# SPDX-License-Identifier: Apache-2.0
"""A small student before its distillation.

A small encoder from random weights stays at the loss of guessing for thousands of queries: it
has to discover that equal words in query and document matter. Three choices at the start remove
that plateau (out of it after 40 steps, against 240 and more without the last one): the teacher's
word vectors in fewer dimensions, queries and keys that start equal (a token then attends to its
like), and products that keep the size of what they are given.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

# Positions say little to a matcher, and large ones hide the likeness of equal tokens.
_POSITION_SCALE = 0.25
# The teacher's two segments nearly coincide; a token has to see on which side its like stands.
_SEGMENT_SCALE = 0.5


@dataclass(frozen=True)
class StudentShape:
    """Sizes of the student; the vocabulary is the family's."""

    layers: int = 2
    hidden: int = 128
    heads: int = 4
    ffn: int = 512


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
