# SPDX-License-Identifier: Apache-2.0
"""Profiles as `tailor simulate` reads them: what a family's cuts cost and how good they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "profiles"
_MICRO = 1e-6


@dataclass(frozen=True)
class Cut:
    """Seconds of a batch: fixed + per_token * tokens + per_square * squares + per_row * rows."""

    id: str
    quality: float
    fixed: float
    per_token: float
    per_square: float
    per_row: float


@dataclass(frozen=True)
class Profile:
    """A family; ``cuts`` is in the order of the file."""

    name: str
    source: str
    capacity_cut: str
    cuts: tuple[Cut, ...]

    def best(self) -> Cut:
        """The cut of the highest quality."""
        return max(self.cuts, key=lambda cut: cut.quality)

    def cheapest(self) -> Cut:
        """The cut whose full batches are cheapest a row of 128 tokens."""
        return min(self.cuts, key=lambda c: c.per_row + 128 * c.per_token + 128**2 * c.per_square)

    def variable_seconds(self, shapes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Costs without the constant of a batch, [requests, cuts].

        ``shapes``: [requests, 3] documents, tokens and the sum of the squares of the lengths.
        """
        terms = np.array([[c.per_row, c.per_token, c.per_square] for c in self.cuts])
        return np.asarray(shapes @ terms.T, dtype=np.float64)


def read_profile(path: Path) -> Profile:
    """Read a profile file; the C++ loader is the one that checks it."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    cuts = tuple(
        Cut(
            id=str(cut["id"]),
            quality=float(cut["quality"]),
            fixed=_MICRO * float(cut.get("fixed_us", 0)),
            per_token=_MICRO * float(cut.get("per_token_us", 0)),
            per_square=_MICRO * float(cut.get("per_square_us", 0)),
            per_row=_MICRO * float(cut.get("per_row_us", 0)),
        )
        for cut in data["cuts"]
    )
    return Profile(str(data["name"]), str(data["source"]), str(data["capacity_cut"]), cuts)
