# SPDX-License-Identifier: Apache-2.0
"""Means over seeds with 95 % intervals of Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student  # type: ignore[import-untyped]

_LEVEL = 0.975


@dataclass(frozen=True)
class Estimate:
    """A mean and the half width of its interval; the width is 0 with one seed."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half

    def shown(self, digits: int = 4, factor: float = 1) -> str:
        """As tables show it."""
        mean = f"{factor * self.mean:.{digits}f}"
        return mean if self.half == 0 else f"{mean} ± {factor * self.half:.{digits}f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of at least one value with its interval."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Estimate(mean, 0.0)
    deviation = float(np.std(values, ddof=1))
    return Estimate(mean, float(student.ppf(_LEVEL, count - 1)) * deviation / math.sqrt(count))


def paired(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Interval of the mean difference; value i and other i have the same seed."""
    return estimate([a - b for a, b in zip(values, others, strict=True)])
