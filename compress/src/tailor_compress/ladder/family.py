# SPDX-License-Identifier: Apache-2.0
"""The family's own data as a source of lists."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from transformers import BertForSequenceClassification

from tailor_compress.data.candidates import LIST_SIZE
from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import VIEWS
from tailor_compress.evaluation.metrics import list_metrics
from tailor_compress.evaluation.report import QUALITY_SET
from tailor_compress.evaluation.scorer import Pair, score_pairs, view_pairs
from tailor_compress.ladder.plan import digest
from tailor_compress.method import Lists
from tailor_compress.model.forward import Apply
from tailor_compress.training.corpus import EASY, HARD, CandidateList, TrainingCorpus
from tailor_compress.workspace import Workspace


class FamilySource:
    """Lists of the family's task; made texts and tokens are kept for the stages to come."""

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self.lists = lru_cache(maxsize=4)(self._lists)

    @cached_property
    def dataset(self) -> Dataset:
        """The task."""
        return self._space.dataset()

    @property
    def data_id(self) -> str:
        """Fingerprint of the data."""
        return self.dataset.snapshot.id

    @cached_property
    def tokens(self) -> Sequence[str]:
        """The family's vocabulary."""
        return self._space.layout().tokens

    @property
    def fingerprint(self) -> str:
        """What all stages depend on: the texts, their splits, and how pairs are cut."""
        recipe, snapshot = self._space.recipe, self.dataset.snapshot
        return digest([snapshot.corpus, snapshot.seed, snapshot.splits["train"], recipe.max_len])

    @property
    def start_fingerprint(self) -> str:
        """What the trimmed checkpoint depends on."""
        recipe = self._space.recipe
        start = recipe.start
        # One round was all there was when fingerprints began.
        rounds = [] if start.rounds == 1 else [start.rounds]
        return digest([start.checkpoint, start.min_count, recipe.seed, *rounds])

    def _lists(self, seed: int) -> Lists:
        max_len = self._space.recipe.max_len
        return TrainingCorpus(self.dataset, self.tokens, max_len, seed)

    @cached_property
    def _dev_pairs(self) -> list[Pair]:
        return view_pairs(self.dataset, "dev", VIEWS[QUALITY_SET], self._space.layout())

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        """Return the first dev lists of set B, thinned to the mix of the training lists.

        Columns of an evaluation list: the right document, 16 by BM25, 8 of its section, 7 at
        random.
        """
        columns = [0, *range(1, 1 + HARD), *range(LIST_SIZE - EASY, LIST_SIZE)]
        pairs = self._dev_pairs
        return [
            CandidateList([pairs[start + column] for column in columns])
            for start in range(0, min(len(pairs), count * LIST_SIZE), LIST_SIZE)
        ]

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply) -> float:
        """Return nDCG@10 on the first dev queries of set B."""
        count = self._space.recipe.evaluation.dev_queries * LIST_SIZE
        scores = score_pairs(model, self._dev_pairs[:count], apply, "dev quality")
        lists = scores.astype(np.float64).reshape(-1, LIST_SIZE)
        return float(list_metrics(lists).ndcg10.mean())
