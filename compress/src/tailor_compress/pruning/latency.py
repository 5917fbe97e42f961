# SPDX-License-Identifier: Apache-2.0
"""The measured cost of a layer by its heads and inner neurons, as a file.

JSON: {"host": text, "batch": text, "threads": n, "attention_ms": [by heads, from 0 on],
"ffn_ms": [[neurons, ms], ...], "fixed_ms": what is in no layer}. A sublayer of any layer costs the
same; between measured numbers of neurons the cost is a straight line.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerShape


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of one batch on one host."""

    host: str
    batch: str
    threads: int
    attention_ms: Sequence[float]
    ffn_ms: Sequence[tuple[int, float]]
    fixed_ms: float

    def attention(self, heads: int) -> float:
        """Return the cost of a layer's attention."""
        return self.attention_ms[heads]

    def ffn(self, neurons: int) -> float:
        """Return the cost of a layer's feed-forward."""
        counts, costs = zip(*self.ffn_ms, strict=True)
        return float(np.interp(neurons, counts, costs))

    def model(self, shapes: Sequence[LayerShape]) -> float:
        """Return the cost of a model of these shapes."""
        return self.fixed_ms + sum(
            self.attention(shape.heads) + self.ffn(shape.ffn_dim) for shape in shapes
        )

    def require(self, shapes: Sequence[LayerShape]) -> None:
        """Raise TailorError unless the table covers every cut of a model of these shapes."""
        heads = max(shape.heads for shape in shapes)
        neurons = max(shape.ffn_dim for shape in shapes)
        has = len(self.attention_ms) - 1, self.ffn_ms[-1][0]
        if has[0] < heads or has[1] < neurons:
            raise TailorError(
                f"a latency table up to {heads} heads and {neurons} neurons",
                f"one up to {has[0]} and {has[1]}",
                "measure one for this parent",
            )


def _problem(table: LatencyTable) -> str | None:
    costs = [*table.attention_ms, *(ms for _, ms in table.ffn_ms), table.fixed_ms]
    counts = [neurons for neurons, _ in table.ffn_ms]
    if not np.isfinite(costs).all() or min(costs) < 0:
        return "a time that is negative or not finite"
    if len(table.attention_ms) < 2 or not counts:
        return "no times"
    if counts[0] != 0 or sorted(set(counts)) != counts:
        return f"ffn_ms of {str(counts)[:60]} neurons"
    return None


def write_table(table: LatencyTable, path: Path) -> None:
    """Write the file, beside and then in place."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(table), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def read_table(path: Path) -> LatencyTable:
    """Read the file. Raises TailorError when it is none."""
    remedy = "measure one with `python -m tailor_compress.pruning.measure_latency`"
    expected = f"a latency table in {path}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        table = LatencyTable(
            host=str(record["host"]),
            batch=str(record["batch"]),
            threads=int(record["threads"]),
            attention_ms=[float(ms) for ms in record["attention_ms"]],
            ffn_ms=[(int(neurons), float(ms)) for neurons, ms in record["ffn_ms"]],
            fixed_ms=float(record["fixed_ms"]),
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TailorError(expected, f"{type(error).__name__} {error}", remedy) from error
    if (problem := _problem(table)) is not None:
        raise TailorError(
            f"{expected}: times of 0 ms and more, neurons rising from 0", problem, remedy
        )
    return table
