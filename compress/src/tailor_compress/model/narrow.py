# SPDX-License-Identifier: Apache-2.0
"""Narrow word vectors: a table [vocab, E] and a product E -> hidden in place of [vocab, hidden].

The modules keep the names of the bundle's contract: the table stays
`bert.embeddings.word_embeddings`, the product is `bert.encoder.embedding_hidden_mapping_in`. What
comes after it (positions, segments, norm) has the hidden size, so a reader may fold both into one
table.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.forward import EMBEDDING_MAP


def embedding_map(model: Any) -> nn.Linear | None:
    """Return the product behind narrow word vectors, None of a model with full ones."""
    found: nn.Linear | None = getattr(model.bert.encoder, EMBEDDING_MAP, None)
    return found


def embedding_width(model: Any) -> int:
    """Return the width of the word vectors: the hidden size unless they are narrow."""
    return int(model.bert.embeddings.word_embeddings.weight.shape[1])


def word_vectors(model: Any) -> Tensor:
    """Return the word vectors [vocab, hidden] as the encoder sees them, with their gradient."""
    table: Tensor = model.bert.embeddings.word_embeddings.weight
    narrow = embedding_map(model)
    return table if narrow is None else narrow(table)


def install_narrow(model: Any, width: int) -> None:
    """Give ``model`` empty word vectors of ``width`` and their product, in place."""
    config = model.config
    model.bert.embeddings.word_embeddings = nn.Embedding(
        config.vocab_size, width, padding_idx=config.pad_token_id
    )
    setattr(model.bert.encoder, EMBEDDING_MAP, nn.Linear(width, config.hidden_size))


def narrow_embedding(
    model: BertForSequenceClassification, width: int
) -> BertForSequenceClassification:
    """Return a copy with word vectors of ``width``: the best ones of that rank (Eckart-Young).

    With the mean m of the table X and X - m = U S V', the vectors are U S and the product is
    x -> x V' + m, each cut to ``width`` directions. Raises TailorError for a width that is not
    below the hidden size, and for a model that has narrow vectors.
    """
    hidden = model.config.hidden_size
    if embedding_map(model) is not None or not 1 <= width < hidden:
        raise TailorError(
            f"a model with full word vectors, and an embedding of 1 to {hidden - 1}",
            f"word vectors of {embedding_width(model)} to make {width} wide",
            "correct `embedding`",
        )
    table = word_vectors(model).detach().float()
    mean = table.mean(dim=0)
    _, _, basis = torch.linalg.svd(table - mean, full_matrices=False)
    basis = basis[:width]
    result = copy.deepcopy(model)
    install_narrow(result, width)
    made: Any = result.bert
    mapping = getattr(made.encoder, EMBEDDING_MAP)
    with torch.no_grad():
        made.embeddings.word_embeddings.weight.copy_((table - mean) @ basis.T)
        mapping.weight.copy_(basis.T)
        mapping.bias.copy_(mean)
    return result
