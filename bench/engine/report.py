# SPDX-License-Identifier: Apache-2.0
"""Rows of a run as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as fast: medians over all turns, and the range of the turns' own."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(slower: Sequence[float], faster: Sequence[float]) -> Ratio:
        """From the seconds of two candidates in the same turns."""
        turns = [a / b for a, b in zip(slower, faster, strict=True)]
        return Ratio(statistics.median(slower) / statistics.median(faster), min(turns), max(turns))

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """One precision of one batch. `seconds`: of a run, one number a turn, by peer."""

    model: str
    batch: str
    precision: str
    tokens: int
    engine_seconds: list[float]
    seconds: dict[str, list[float]]
    target: float

    @property
    def best(self) -> str:
        return min(self.seconds, key=lambda name: statistics.median(self.seconds[name]))

    @property
    def ratio(self) -> Ratio:
        """To the best peer."""
        return Ratio.of(self.seconds[self.best], self.engine_seconds)

    def speed(self, seconds: Sequence[float]) -> float:
        """Useful tokens a second."""
        return self.tokens / statistics.median(seconds)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def cells(row: Row) -> list[str]:
    """A row of the table of ratios."""
    verdict = "" if row.ratio.median >= row.target else " (missed)"
    return [
        row.model,
        row.batch,
        row.precision,
        f"{1e3 * statistics.median(row.engine_seconds):,.2f}",
        f"{row.speed(row.engine_seconds):,.0f}",
        f"{row.speed(row.seconds[row.best]):,.0f} ({row.best})",
        str(row.ratio),
        f"{row.target:g}x{verdict}",
    ]


def ratios(rows: Sequence[Row]) -> list[str]:
    """The engine against the best peer of the same precision."""
    header = ["model", "batch", "precision", "engine ms", "engine tokens/s"]
    header += ["best peer tokens/s", "ratio (of single turns)", "target"]
    return _table(header, [cells(row) for row in rows])


def every_peer(rows: Sequence[Row]) -> list[str]:
    """Useful tokens a second of everybody, a table a model, a column a batch."""
    lines: list[str] = []
    for model in dict.fromkeys(row.model for row in rows):
        here = [row for row in rows if row.model == model]
        batches = list(dict.fromkeys(row.batch for row in here))
        speeds: dict[str, dict[str, str]] = {}
        for row in here:
            everybody = {f"**tailor {row.precision}**": row.engine_seconds, **row.seconds}
            for name, seconds in everybody.items():
                speeds.setdefault(name, {})[row.batch] = f"{row.speed(seconds):,.0f}"
        cells_of = {name: [of.get(batch, "") for batch in batches] for name, of in speeds.items()}
        lines += [*_table([model, *batches], [[name, *row] for name, row in cells_of.items()]), ""]
    return lines
