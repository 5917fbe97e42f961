# SPDX-License-Identifier: Apache-2.0
"""What a method of compression is to the rest: settings, and a way from parents to a variant.

A method is a frozen dataclass. Its fields are its settings: keys of a recipe's stage and flags of
the command line at once, described by the ``help`` of their metadata (``setting``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.export.trained import Step
from tailor_compress.model.forward import Apply, plain
from tailor_compress.training.corpus import CandidateList


def setting(default: Any, help_: str) -> Any:
    """Return a dataclass field with a default and the text of its flag."""
    return field(default=default, metadata={"help": help_})


class Lists(Protocol):
    """Lists of candidates of one size; number n is always the same one."""

    @property
    def id(self) -> str:
        """A name that changes whenever a list would."""

    @property
    def size(self) -> int:
        """Candidates of a list."""

    def __len__(self) -> int:
        """Return the lists of one epoch; numbers beyond it go on with the next epoch."""

    def drawn(self, number: int) -> CandidateList:
        """Return one list."""


class Context(Protocol):
    """What a method may use: parents, data, and where its state goes."""

    @property
    def id(self) -> str:
        """The variant in the making."""

    @property
    def seed(self) -> int:
        """Of everything random."""

    @property
    def lists(self) -> Lists:
        """Training lists; another seed draws others."""

    @property
    def checkpoint(self) -> Path:
        """File for the state of a training; a method of several trainings adds suffixes."""

    @property
    def data_id(self) -> str:
        """Fingerprint of the data, for the steps of the record."""

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary that the lists' ids count."""

    def parent(self, role: str = "base") -> BertForSequenceClassification:
        """Return a fresh f32 copy of a parent, not in training mode."""

    def scores(self, role: str, lists: Lists, count: int) -> NDArray[np.float32]:
        """Return a parent's scores [count, lists.size] of the first lists, cached on disk."""

    def dev_lists(self, count: int) -> Sequence[CandidateList]:
        """Return lists of the dev split: for importance, calibration and choosing settings."""

    def dev_quality(self, model: BertForSequenceClassification, apply: Apply = plain) -> float:
        """Return nDCG@10 on the dev split's set B (of other data: of its held-out lists)."""


@dataclass(frozen=True)
class Made:
    """What a method leaves.

    ``model`` is a float model, perhaps with cut layers (model/cut.py); None when the variant is
    its parent with a load-time step. ``tensors`` replace or join the model's by name (int8 weights
    with their scales, masks). ``manifest`` holds the keys of variant.json that the method decides
    (``derive``, ``elastic``, ``activations``). ``apply`` is how the products are to be evaluated.
    """

    steps: Sequence[Step]
    model: BertForSequenceClassification | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    apply: Apply = plain


class Method(Protocol):
    """One way to make a variant; ``roles`` are the parents that it needs."""

    roles: ClassVar[tuple[str, ...]]

    def make(self, context: Context) -> Made:
        """Make the variant, or continue from its checkpoint."""
