# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar with an ETA on a terminal, JSON lines elsewhere.

Both go to standard error, so that standard output carries results only.
"""

import json
import sys
import time
from typing import Never, TextIO

from tqdm import tqdm

# A log that nobody watches needs one line now and then, not one per step.
_LINE_INTERVAL_S = 10.0


class Progress:
    """Counts ``total`` units of one stage and shows how far it is; a context manager."""

    def __init__(
        self, stage: str, total: int, *, start: int = 0, unit: str = "it", out: TextIO | None = None
    ) -> None:
        self._stage, self._total, self._start, self._unit = stage, total, start, unit
        self._done = start
        self._out = sys.stderr if out is None else out
        self._began = self._last_line = time.monotonic()
        self._bar: tqdm[Never] | None = None
        if self._out.isatty():
            self._bar = tqdm(
                desc=stage, total=total, initial=start, unit=unit, file=self._out, smoothing=0.05
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif exc[0] is None:
            self._line({})

    def advance(self, n: int = 1, **figures: float) -> None:
        """Count ``n`` units as done; ``figures`` (a loss, a rate) are shown beside them."""
        self._done += n
        if self._bar is not None:
            if figures:
                self._bar.set_postfix(figures, refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._last_line >= _LINE_INTERVAL_S:
            self._line(figures)

    def _line(self, figures: dict[str, float]) -> None:
        now = self._last_line = time.monotonic()
        rate = (self._done - self._start) / max(now - self._began, 1e-9)
        left = self._total - self._done
        record = {
            "stage": self._stage,
            "done": self._done,
            "total": self._total,
            "unit": self._unit,
            "elapsed_s": round(now - self._began, 1),
            "eta_s": round(left / rate, 1) if rate > 0 else None,
            **{name: round(value, 5) for name, value in figures.items()},
        }
        print(json.dumps(record), file=self._out, flush=True)
