# SPDX-License-Identifier: Apache-2.0
"""A user's own data as a source of lists, with a teacher's scores in place of missing labels."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.data.user_data import Line, UserData
from tailor_compress.evaluation.metrics import Floats, list_metrics
from tailor_compress.evaluation.scorer import Pair, score_pairs
from tailor_compress.method import Lists
from tailor_compress.model.forward import Apply
from tailor_compress.text import Casing, Ids, PairLayout, encode_texts, make_tokenizer
from tailor_compress.training.corpus import CandidateList

# As many candidates as the bundled family's lists have, where the data have them.
_LIST = 8
# Scores pairs by the teacher, [n].
Score = Callable[[Sequence[Pair]], NDArray[np.float32]]


@dataclass(frozen=True)
class _Encoded:
    """A line as ids: its documents by falling grade, the right one first."""

    query: Ids
    documents: list[Ids]
    grades: list[float]

    @property
    def wrong(self) -> list[Ids]:
        """Documents of a lower grade than the first."""
        pairs = zip(self.documents, self.grades, strict=True)
        return [ids for ids, grade in pairs if grade < self.grades[0]]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 3, epoch]).permutation(size)


class OwnLists:
    """Lists of one size out of a user's lines; short ones are filled with others' documents."""

    def __init__(
        self, lines: Sequence[_Encoded], layout: PairLayout, size: int, seed: int, id_: str
    ) -> None:
        self._lines, self._layout, self._seed = lines, layout, seed
        self.size = size
        self.id = f"{id_}-{seed}-{size}-{layout.max_len}-{len(layout.tokens)}"

    def __len__(self) -> int:
        """Return the lists of one epoch: each query once."""
        return len(self._lines)

    def drawn(self, number: int) -> CandidateList:
        """Return list ``number``, always the same one."""
        epoch, at = divmod(number, len(self))
        return self.of_line(int(_order(self._seed, epoch, len(self))[at]), number)

    def of_line(self, n: int, number: int) -> CandidateList:
        """Return a list of line ``n``."""
        line, rng = self._lines[n], np.random.default_rng([self._seed, 4, number])
        wrong = line.wrong
        kept = rng.permutation(len(wrong))[: self.size - 1].tolist()
        documents = [line.documents[0], *(wrong[i] for i in kept)]
        while len(documents) < self.size:
            other = self._lines[int(rng.integers(len(self._lines)))].documents
            documents.append(other[int(rng.integers(len(other)))])
        return CandidateList([self._layout.join(line.query, ids) for ids in documents])


class OwnSource:
    """Training and held-out lists of a user's file.

    ``score`` grades the documents where the file has no labels; its grades are kept in ``cache``
    under ``teacher``, a name of its weights.
    """

    def __init__(
        self,
        data: UserData,
        layout: PairLayout,
        casing: Casing,
        score: Score | None,
        cache: Path,
        teacher: str,
        score_index: int = 0,
    ) -> None:
        self._data, self._layout = data, layout
        self._tokenizer = make_tokenizer(layout.tokens, casing)
        self._score, self._cache, self._teacher = score, cache, teacher
        self._score_index = score_index
        self._train = self._encoded(data.train, "train")
        self._held_out = self._encoded(data.held_out, "held-out")
        most = max(len(line.documents) for line in self._train)
        self._size = max(2, min(_LIST, most))

    @property
    def data_id(self) -> str:
        """Fingerprint of the data."""
        return self._data.id

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary."""
        return self._layout.tokens

    def _encoded(self, lines: Sequence[Line], part: str) -> list[_Encoded]:
        queries = encode_texts(self._tokenizer, [line.query for line in lines])
        documents = [encode_texts(self._tokenizer, line.documents) for line in lines]
        grades = [list(line.labels or ()) for line in lines]
        if not self._data.is_labelled:
            grades = self._graded(queries, documents, part)
        found = []
        for query, texts, marks in zip(queries, documents, grades, strict=True):
            order = sorted(range(len(texts)), key=lambda i: -marks[i])
            found.append(_Encoded(query, [texts[i] for i in order], [marks[i] for i in order]))
        return found

    def _graded(
        self, queries: Sequence[Ids], documents: Sequence[Sequence[Ids]], part: str
    ) -> list[list[float]]:
        """Return the teacher's scores as grades; all equal when there is no teacher."""
        if self._score is None:
            return [[0.0] * len(texts) for texts in documents]
        pairs = [
            self._layout.join(query, ids)
            for query, texts in zip(queries, documents, strict=True)
            for ids in texts
        ]
        name = f"{self._teacher}-{self._data.id}-{self._layout.max_len}-{part}.npy"
        path = self._cache / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, self._score(pairs))
            partial.replace(path)
        flat = iter(np.load(path).tolist())
        return [[next(flat) for _ in texts] for texts in documents]

    def lists(self, seed: int) -> Lists:
        """Return the training lists of a seed."""
        key = hashlib.sha256(f"{self._data.id}-{self._teacher}".encode()).hexdigest()[:12]
        return OwnLists(self._train, self._layout, self._size, seed, key)

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        """Return lists of held-out queries."""
        lists = OwnLists(self._held_out, self._layout, self._size, 0, "held-out")
        return [lists.of_line(n, n) for n in range(min(count, len(lists)))]

    def held_out_scores(self, score: Score) -> Floats:
        """Return [queries, size] scores of the held-out lists, the right document in column 0."""
        lists = self.dev_lists(len(self._held_out))
        pairs = [pair for one in lists for pair in one.pairs]
        return score(pairs).astype(np.float64).reshape(len(lists), -1)

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply) -> float:
        """Return nDCG@10 on the held-out lists."""

        def score(pairs: Sequence[Pair]) -> NDArray[np.float32]:
            found = score_pairs(model, pairs, apply, "held-out quality")
            return found if found.ndim == 1 else found[:, self._score_index]

        return float(list_metrics(self.held_out_scores(score)).ndcg10.mean())
