# SPDX-License-Identifier: Apache-2.0
"""Trims a checkpoint's vocabulary to what the corpus needs.

The rows of unused tokens are a third of the checkpoint's weights; without them training is
faster and the exported files are smaller. All variants of the family share the result, so that
the server tokenises a request once.
"""

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.text import (
    SPECIAL_TOKENS,
    UNCASED,
    UNK,
    Casing,
    encode_texts,
    make_tokenizer,
    read_vocabulary,
    save_tokenizer,
)


@dataclass(frozen=True)
class Trimmed:
    """What trimming kept: tokens, and the shares of the corpus they cover."""

    before: int
    after: int
    pieces_per_word: float
    unknown_share: float


def kept_tokens(
    tokens: Sequence[str],
    texts: Sequence[str],
    min_count: int,
    rounds: int = 2,
    casing: Casing = UNCASED,
) -> list[str]:
    """Return, in the old order, special tokens, single ASCII characters and frequent tokens.

    Single characters stay so that every ASCII word still has pieces and never becomes [UNK].
    Tokens that go change how their words are cut, and so the counts of others: each round counts
    with what the one before has left.
    """
    characters = {c for c in string.printable if not c.isspace()}
    if casing.lower_case:
        characters = {c.lower() for c in characters}
    always = set(SPECIAL_TOKENS) | characters | {f"##{c}" for c in characters}
    kept = list(tokens)
    for _ in range(rounds):
        encoded = encode_texts(make_tokenizer(kept, casing), texts)
        counts = Counter(i for ids in encoded for i in ids)
        kept = [one for i, one in enumerate(kept) if one in always or counts[i] >= min_count]
    return kept


def keep_rows(
    model: BertForSequenceClassification, tokens: Sequence[str], kept: Sequence[str]
) -> None:
    """Leave the word vectors of ``kept``, a part of the model's ``tokens``, in their order."""
    old = {token: i for i, token in enumerate(tokens)}
    rows = torch.tensor([old[token] for token in kept])
    table = model.bert.embeddings.word_embeddings.weight.detach()[rows].clone()
    model.resize_token_embeddings(len(kept), mean_resizing=False)
    model.bert.embeddings.word_embeddings.weight.data.copy_(table)
    model.config.pad_token_id = 0


def coverage(
    before: int, kept: Sequence[str], texts: Sequence[str], casing: Casing = UNCASED
) -> Trimmed:
    """Say what a vocabulary makes of the texts; ``before`` is the size of the one it came from."""
    ids = encode_texts(make_tokenizer(kept, casing), texts)
    pieces = sum(map(len, ids))
    unknown = sum(row.count(kept.index(UNK)) for row in ids)
    words = sum(len(text.split()) for text in texts)
    return Trimmed(before, len(kept), pieces / max(words, 1), unknown / max(pieces, 1))


def trim_checkpoint(
    checkpoint: Path,
    texts: Sequence[str],
    min_count: int,
    rounds: int,
    max_len: int,
    seed: int,
    out: Path,
) -> Trimmed:
    """Write a classifier folder with the kept rows of ``checkpoint`` to ``out``.

    The encoder and the pooler are the checkpoint's; the classifier (one label) is new, from
    ``seed``. All position rows are kept here; a bundle stores those that its pairs reach.
    """
    tokens = read_vocabulary(checkpoint)
    kept = kept_tokens(tokens, texts, min_count, rounds)
    torch.manual_seed(seed)
    config = BertConfig.from_pretrained(checkpoint, num_labels=1)
    model = BertForSequenceClassification.from_pretrained(checkpoint, config=config)
    keep_rows(model, tokens, kept)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    save_tokenizer(kept, out, max_len)
    return coverage(len(tokens), kept, texts)
