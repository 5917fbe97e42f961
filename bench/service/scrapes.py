# SPDX-License-Identifier: Apache-2.0
"""What a running server says of itself: /metrics, and the decisions of /statusz."""

from __future__ import annotations

import json
import statistics
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

TIMEOUT_S = 10
LEAST_PREDICTED_MS = 0.5  # below, the clock and the kernel decide; no safety factor counts them


def fetch(http: str, path: str) -> str:
    """The body of a page."""
    with urllib.request.urlopen(f"http://{http}{path}", timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode("utf-8"))


def status(http: str) -> dict[str, Any]:
    """/statusz as JSON."""
    found: dict[str, Any] = json.loads(fetch(http, "/statusz?format=json"))
    return found


@dataclass(frozen=True)
class Metrics:
    """The samples of one scrape."""

    lines: tuple[str, ...]

    def total(self, name: str, labels: str = "") -> float:
        """Sum of a metric's samples whose labels contain `labels`."""
        found = 0.0
        for line in self.lines:
            if line.startswith((name + "{", name + " ")) and labels in line:
                found += float(line.rsplit(" ", 1)[1])
        return found


def metrics(http: str) -> Metrics:
    """One scrape of /metrics."""
    return Metrics(tuple(fetch(http, "/metrics").splitlines()))


@dataclass(frozen=True)
class PredictionError:
    """|engine time / prediction - 1| of the batches that were seen."""

    batches: int
    median: float
    p95: float

    def shown(self) -> str:
        """As tables show it."""
        return f"{100 * self.median:.1f} % / {100 * self.p95:.1f} %"


def prediction_error(pairs: Sequence[tuple[float, float]]) -> PredictionError:
    """`pairs`: predicted and actual milliseconds; very short predictions are left out."""
    errors = sorted(abs(b / a - 1) for a, b in pairs if a >= LEAST_PREDICTED_MS and b > 0)
    if not errors:
        return PredictionError(0, 0.0, 0.0)
    p95 = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    return PredictionError(len(errors), statistics.median(errors), p95)


def decisions_of(page: dict[str, Any]) -> dict[float, tuple[float, float]]:
    """Predicted and actual ms of a page's decisions, by when they were made (s of uptime)."""
    return {
        round(page["uptime_s"] - row["age_s"], 6): (row["predicted_ms"], row["actual_ms"])
        for row in page["decisions"]
        if row["actual_ms"] > 0
    }


class DecisionReader:
    """Collects decisions in the background while a server is under load; a context manager.

    /statusz shows the last 50, so that a look every `every_s` misses few.
    """

    def __init__(self, http: str, every_s: float = 0.5) -> None:
        self._found: dict[float, tuple[float, float]] = {}
        self._http = http
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> DecisionReader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def pairs(self) -> list[tuple[float, float]]:
        """Predicted and actual ms of what has been seen."""
        return list(self._found.values())

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._found.update(decisions_of(status(self._http)))
            except OSError:
                continue  # a busy server may be late with a page; the next look has it
