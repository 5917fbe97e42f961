# SPDX-License-Identifier: Apache-2.0
"""A batch as every candidate gets it, and what a candidate is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """A ragged batch as the engine packs it, and padded to its longest sequence for the peers.

    `lengths` are the tokens of each sequence; `inputs` are int64 [sequences, longest].
    """

    spec: str
    lengths: npt.NDArray[np.int64]
    inputs: dict[str, npt.NDArray[np.int64]]

    @property
    def tokens(self) -> int:
        """Useful tokens, without padding."""
        return int(self.lengths.sum())

    @staticmethod
    def from_description(spec: str, description: dict[str, list[int]]) -> Batch:
        offsets = np.asarray(description["sequence_offsets"])
        lengths = np.diff(offsets)
        shape = (len(lengths), int(lengths.max()))
        ids = np.zeros(shape, np.int64)
        types = np.zeros(shape, np.int64)
        mask = np.zeros(shape, np.int64)
        for row, (start, length) in enumerate(zip(offsets[:-1], lengths, strict=True)):
            ids[row, :length] = description["token_ids"][start : start + length]
            types[row, :length] = description["token_type_ids"][start : start + length]
            mask[row, :length] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return Batch(spec, lengths, inputs)


class Candidate(Protocol):
    """Something that scores batches. `time` gives seconds of each of `repeats` runs."""

    name: str

    def score(self, batch: Batch) -> Scores: ...

    def time(self, batch: Batch, repeats: int) -> list[float]: ...

    def close(self) -> None: ...


class CandidateError(Exception):
    """One line: why a candidate gives nothing."""
