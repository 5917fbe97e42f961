# SPDX-License-Identifier: Apache-2.0
"""Augmentation by replaced words (TinyBERT), from the nearest of the teacher's word vectors.

TinyBERT asks a masked language model for words in place of whole ones. A fine-tuned ranker has no
head for words any more, so all replacements come from where TinyBERT takes those of rare words:
the neighbours among word vectors, here the teacher's own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tailor_compress.model.narrow import word_vectors
from tailor_compress.text import Ids

Pairs = list[tuple[Ids, int]]

_CONTINUED = "##"
# Shorter ones are mostly letters, units and function words.
_SHORTEST = 3
# Words that carry the grammar of a sentence, not its subject; left as they are.
_STOP_WORDS = frozenset(
    (
        *("about", "all", "also", "and", "any", "are", "been", "but", "can", "for", "from", "has"),
        *("have", "how", "into", "its", "more", "most", "not", "one", "only", "other", "our"),
        *("out", "over", "such", "than", "that", "the", "their", "them", "then", "there"),
        *("these", "they", "this", "under", "use", "used", "uses", "using", "via", "was", "were"),
        *("what", "when", "where", "which", "who", "will", "with", "without", "you", "your"),
    )
)
_CHUNK = 1024


def is_replaceable(token: str) -> bool:
    """Return whether a token is a whole word with a meaning of its own."""
    return token.isalpha() and len(token) >= _SHORTEST and token not in _STOP_WORDS


def neighbours(table: torch.Tensor, words: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return for each of ``words`` the ``count`` others of largest cosine, nearest first.

    ``table`` [vocab, hidden]; the result is [len(words), count] ids.
    """
    vectors = functional.normalize(table[torch.from_numpy(words)].float(), dim=-1)
    rows = []
    for first in range(0, len(words), _CHUNK):
        near = vectors[first : first + _CHUNK] @ vectors.T
        own = torch.arange(len(near))
        near[own, own + first] = -2.0
        rows.append(near.topk(min(count, len(words) - 1), dim=-1).indices)
    found: NDArray[np.int64] = words[torch.cat(rows).numpy()]
    return found


class WordReplacement:
    """Replaces words of whole lists: a word and its replacement are the same in all candidates.

    So query and document keep the words that they share; the teacher scores the changed texts.
    """

    def __init__(
        self, teacher: Any, tokens: Sequence[str], lists: float, words: float, count: int
    ) -> None:
        """Replace, in a share ``lists`` of the lists, a share ``words`` of the distinct words.

        The replacement is one of the ``count`` nearest words.
        """
        self._lists, self._words = lists, words
        ids = np.array([i for i, token in enumerate(tokens) if is_replaceable(token)], np.int64)
        self._continued = {i for i, token in enumerate(tokens) if token.startswith(_CONTINUED)}
        table = word_vectors(teacher).detach().cpu()
        near = neighbours(table, ids, count) if len(ids) > 1 else np.empty((0, 0), np.int64)
        self._near = dict(zip(ids.tolist(), near.tolist(), strict=False))

    def __call__(self, pairs: Pairs, rng: np.random.Generator) -> Pairs:
        """Return the pairs of one list, changed or not."""
        if rng.random() >= self._lists:
            return pairs
        chosen: dict[int, int] = {}

        def changed(ids: Ids) -> Ids:
            following = [*ids[1:], -1]
            return [
                self._drawn(one, chosen, rng) if behind not in self._continued else one
                for one, behind in zip(ids, following, strict=True)
            ]

        return [(changed(ids), first) for ids, first in pairs]

    def _drawn(self, word: int, chosen: dict[int, int], rng: np.random.Generator) -> int:
        if word not in chosen:
            near = self._near.get(word, [])
            replace = bool(near) and rng.random() < self._words
            chosen[word] = int(rng.choice(near)) if replace else word
        return chosen[word]
