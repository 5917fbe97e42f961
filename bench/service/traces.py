# SPDX-License-Identifier: Apache-2.0
"""Seeded traces that both `tailor load` and `tailor simulate` replay."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """Arrivals of requests of one size with budgets in equal shares.

    `load`: 1 keeps the profile's capacity cut busy. `cv2`: squared coefficient of variation of the
    gaps, 1 for Poisson. `budgets`: in multiples of the time that the best cut takes for a request.
    """

    name: str
    load: float
    cv2: float
    budgets: tuple[float, ...]


TRACES = (
    Trace("poisson", 1.0, 1, (2.0,)),
    Trace("gamma-4", 1.2, 4, (1.5,)),
    Trace("budgets", 1.0, 1, (0.3, 1.0, 2.0, 5.0, 12.0)),
)


def lines_of(
    trace: Trace, *, rate: float, unit_ms: float, seconds: float, documents: int, seed: int
) -> list[str]:
    """Lines "SECONDS BUDGET DOCUMENTS" from 0 on; the last one is not after `seconds`.

    `rate`: requests a second at load 1. `unit_ms`: what `budgets` are multiples of.
    """
    generator = random.Random(f"{trace.name} {seed}")
    shape, mean = 1 / trace.cv2, 1 / (rate * trace.load)
    lines, at = [], 0.0
    while at <= seconds:
        budget = unit_ms * generator.choice(trace.budgets)
        lines.append(f"{at:.6f} {budget:.1f}ms {documents}")
        at += generator.gammavariate(shape, mean / shape)
    return lines
