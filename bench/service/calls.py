# SPDX-License-Identifier: Apache-2.0
"""The calls of a run as `tailor load --record` writes them, and what follows from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """One call; `at_s` is the intended send time from the start of the run.

    Only an answer (met or missed) has a variant and a quality.
    """

    at_s: float
    outcome: str  # met, missed, refused, failed
    variant: str = ""
    quality: float = 0.0

    @property
    def is_met(self) -> bool:
        """Whether it was answered within its budget."""
        return self.outcome == "met"


@dataclass(frozen=True)
class Figures:
    """What policies are compared by; shares from 0 to 1."""

    calls: int
    attainment: float  # met / calls
    mean_quality: float  # of what was met; 0 when nothing was
    effective_quality: float  # quality summed over what was met / calls


def read_calls(file: Path) -> list[Call]:
    """In the order of the intended sends."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [
        Call(row["at_s"], row["outcome"], row.get("variant", ""), row.get("quality", 0.0))
        for row in rows
    ]


def figures(calls: Sequence[Call]) -> Figures:
    """Over all calls, refusals and failures included."""
    met = [call.quality for call in calls if call.is_met]
    whole = max(1, len(calls))
    return Figures(
        calls=len(calls),
        attainment=len(met) / whole,
        mean_quality=sum(met) / max(1, len(met)),
        effective_quality=sum(met) / whole,
    )


def by_second(calls: Sequence[Call], seconds: int) -> list[list[Call]]:
    """The calls of each second of a run; later ones are left out."""
    slots: list[list[Call]] = [[] for _ in range(seconds)]
    for call in calls:
        if call.at_s < seconds:
            slots[int(call.at_s)].append(call)
    return slots


def variant_shares(calls: Sequence[Call], most: int) -> list[tuple[str, float]]:
    """The variants that answered most often, and their shares of the answers."""
    counts = Counter(call.variant for call in calls if call.outcome in {"met", "missed"})
    total = max(1, counts.total())
    return [(name, count / total) for name, count in counts.most_common(most)]
