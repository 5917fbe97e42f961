# SPDX-License-Identifier: Apache-2.0
"""Scores of many pairs without gradients, in batches of similar length."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import View
from tailor_compress.model.forward import Apply, logits, pad
from tailor_compress.progress import Progress
from tailor_compress.text import Ids, PairLayout, encode_texts, make_tokenizer

Pair = tuple[Ids, int]

# Padded tokens of one forward pass: activations of 4096 x 1536 stay within the cache's reach.
_BATCH_TOKENS = 4096


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices by falling length, so that a batch is nearly a rectangle."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        size = max(1, _BATCH_TOKENS // lengths[order[start]])
        yield order[start : start + size]
        start += size


def score_pairs(
    model: BertForSequenceClassification, pairs: Sequence[Pair], apply: Apply, stage: str
) -> NDArray[np.float32]:
    """Return the raw scores [len(pairs)], or [len(pairs), labels] of a model with several labels.

    ``apply`` is the format of the encoder's products.
    """
    labels = int(model.config.num_labels or 1)
    scores = np.empty((len(pairs), labels) if labels > 1 else len(pairs), dtype=np.float32)
    with torch.inference_mode(), Progress(stage, len(pairs), unit="pair") as progress:
        for batch in _batches([len(ids) for ids, _ in pairs]):
            found = logits(model, pad([pairs[i] for i in batch]), apply)
            scores[batch] = found.float().cpu().numpy()
            progress.advance(len(batch))
    return scores


def view_pairs(dataset: Dataset, split: str, view: View, layout: PairLayout) -> list[Pair]:
    """Return the pairs of one test set, list by list, the right document first in each."""
    items, lists = dataset.items, dataset.lists[split]
    tokenizer = make_tokenizer(layout.tokens)
    shown = sorted(set(lists.ravel().tolist()))
    texts = [view.document(items[i].paragraphs) for i in shown]
    documents = dict(zip(shown, encode_texts(tokenizer, texts), strict=True))
    seed = dataset.snapshot.seed
    queries = encode_texts(
        tokenizer, [view.query(items[q].synopsis, seed) for q in lists[:, 0].tolist()]
    )
    return [
        layout.join(query, documents[i])
        for query, row in zip(queries, lists.tolist(), strict=True)
        for i in row
    ]
