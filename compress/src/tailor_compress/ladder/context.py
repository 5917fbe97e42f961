# SPDX-License-Identifier: Apache-2.0
"""What a method is given: parents, lists and scores of a family or of a user's own data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.device import fast_precision
from tailor_compress.errors import TailorError
from tailor_compress.method import Lists
from tailor_compress.model.forward import Apply, plain
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.teacher_scores import teacher_scores

Loader = Callable[[], BertForSequenceClassification]


class Source(Protocol):
    """Where lists come from: the family's data set, or a user's file."""

    @property
    def data_id(self) -> str:
        """Fingerprint of the data."""

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary that the lists' ids count."""

    def lists(self, seed: int) -> Lists:
        """Return the training lists of a seed."""

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        """Return lists that are not trained on."""

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply) -> float:
        """Return nDCG@10 on what is not trained on."""


@dataclass(frozen=True)
class StageContext:
    """A stage's context; see method.Context for what its members mean."""

    id: str
    seed: int
    lists: Lists
    checkpoint: Path
    source: Source
    parents: Mapping[str, Loader]
    scores_folder: Path

    @property
    def data_id(self) -> str:
        """Fingerprint of the data."""
        return self.source.data_id

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary that the lists' ids count."""
        return self.source.tokens

    def parent(self, role: str = "base") -> BertForSequenceClassification:
        """Return a fresh f32 copy of a parent."""
        if role not in self.parents:
            raise TailorError(
                f"a parent in the role `{role}` for `{self.id}`",
                ", ".join(self.parents) or "none",
                "name it in `parents`",
            )
        return self.parents[role]()

    def scores(self, role: str, lists: Lists, count: int) -> NDArray[np.float32]:
        """Return a parent's scores [count, lists.size] of the first lists."""
        model = self.parent(role)
        return teacher_scores(model, lists, count, fast_precision(), self.scores_folder)

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        """Return lists that are not trained on."""
        return self.source.dev_lists(count)

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply = plain) -> float:
        """Return nDCG@10 on what is not trained on."""
        return self.source.dev_quality(model, apply)
