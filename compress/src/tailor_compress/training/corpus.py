# SPDX-License-Identifier: Apache-2.0
"""The training items as token ids, and the lists that are drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import last_index
from tailor_compress.text import Ids, PairLayout, encode_texts, make_tokenizer

# One right and seven wrong candidates: four of BM25's best twenty, three at random.
HARD, EASY = 4, 3
LIST = 1 + HARD + EASY
# Shares of the ways a list shows its documents: half of them in the way of test set B.
_VIEWS = ("last", "whole", "without_first", "any")
_VIEW_SHARES = (0.45, 0.35, 0.1, 0.1)
# In this share of the lists each word of the query is dropped with the probability below.
_DROP_LISTS, _DROP_WORDS = 0.3, 0.3


@dataclass(frozen=True)
class CandidateList:
    """One query with its candidates as pairs (ids, ids in segment 0), the right one first."""

    pairs: list[tuple[Ids, int]]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(size)


class TrainingCorpus:
    """Draws training lists; list number n of a seed is always the same one."""

    def __init__(self, dataset: Dataset, tokens: Sequence[str], max_len: int, seed: int) -> None:
        items = [dataset.items[i] for i in dataset.train.tolist()]
        tokenizer = make_tokenizer(tokens)
        self._layout = PairLayout(tokens, max_len)
        self._seed = seed
        self.id = f"{dataset.snapshot.splits['train'][:12]}-{seed}-{max_len}-{len(tokens)}"
        encoded = tokenizer.encode_batch([i.synopsis for i in items], add_special_tokens=False)
        self._queries = [e.ids for e in encoded]
        self._query_words = [e.word_ids for e in encoded]
        flat = encode_texts(tokenizer, [p for item in items for p in item.paragraphs])
        ends = np.cumsum([len(item.paragraphs) for item in items]).tolist()
        starts = [0, *ends[:-1]]
        self._documents = [flat[a:b] for a, b in zip(starts, ends, strict=True)]
        self._last = [last_index(item.paragraphs) for item in items]
        self._groups = [item.group for item in items]
        position = {item: n for n, item in enumerate(dataset.train.tolist())}
        self._negatives = np.vectorize(position.__getitem__)(dataset.negatives)

    @property
    def size(self) -> int:
        """Candidates of a list."""
        return LIST

    def __len__(self) -> int:
        """Return the number of queries in one epoch."""
        return len(self._queries)

    def _query(self, n: int, rng: np.random.Generator) -> Ids:
        ids, words = self._queries[n], self._query_words[n]
        if rng.random() >= _DROP_LISTS:
            return ids
        kept = rng.random(len(ids) + 1) >= _DROP_WORDS
        left = [i for i, w in zip(ids, words, strict=True) if w is None or kept[w]]
        return left or ids

    def _document(self, n: int, view: str, rng: np.random.Generator) -> Ids:
        paragraphs = self._documents[n]
        if view == "last":
            return paragraphs[self._last[n]]
        if view == "any":
            return paragraphs[rng.integers(len(paragraphs))]
        if view == "without_first":
            paragraphs = paragraphs[1:] or paragraphs
        return [i for paragraph in paragraphs for i in paragraph]

    def lists(self, first: int, count: int) -> list[CandidateList]:
        """Return lists ``first`` to ``first + count - 1``."""
        return [self.drawn(number) for number in range(first, first + count)]

    def drawn(self, number: int) -> CandidateList:
        """Return list ``number``; len(self) successive ones show each query once."""
        epoch, at = divmod(number, len(self))
        n = int(_order(self._seed, epoch, len(self))[at])
        return self._draw(n, np.random.default_rng([self._seed, 1, number]))

    def _draw(self, n: int, rng: np.random.Generator) -> CandidateList:
        view = str(rng.choice(_VIEWS, p=_VIEW_SHARES))
        chosen = [n, *rng.choice(self._negatives[n], HARD, replace=False).tolist()]
        while len(chosen) < LIST:
            other = int(rng.integers(len(self)))
            if other not in chosen and self._groups[other] != self._groups[n]:
                chosen.append(other)
        query = self._query(n, rng)
        return CandidateList(
            [self._layout.join(query, self._document(c, view, rng)) for c in chosen]
        )
