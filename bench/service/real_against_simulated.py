#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same traces against the real server and in the simulator, policy by policy.

The server runs on core 0 with one engine thread, `tailor load --trace` on core 1. The profile that
the simulator gets is the mean of what such a server shows just before and after (in_situ.py).
Cascades and live quality are off in both: the simulator has neither.

Usage: .venv/bin/python bench/service/real_against_simulated.py [--seconds 60] [--tailor PROGRAM]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calls import Figures, figures, read_calls
from in_situ import CAPACITY_CUT, DOCUMENTS, InSitu, between, longest_of, measure, texts_of
from measurement import (
    FAMILY,
    ON_CORE_1,
    RESULTS,
    TAILOR,
    BenchError,
    heading,
    load_report,
    publish,
    table,
)
from pinned_server import pinned_server, without_cascades
from scrapes import DecisionReader, prediction_error
from server_process import ServerError, ServerProcess
from traces import TRACES, lines_of

POLICIES = ("tailored", "slackfit", "infaas-slowest-fit", "fixed:student-2x128-int8")
LOG = "real.log"
KEPT = RESULTS / "real"  # profile, traces and calls, to simulate again
SEEDS = (1, 2, 3)  # of the simulator's lengths and noise; the trace is the same
TARGET_POINTS = 3.0
TARGET_ERROR = (0.08, 0.2)  # median and 95th percentile


@dataclass(frozen=True)
class Cell:
    """One policy on one trace."""

    trace: str
    policy: str
    real: Figures
    simulated: Figures
    predictions: list[tuple[float, float]]  # of the real server's batches, and what they took, ms
    problems: list[str]  # why the real run is void

    @property
    def points(self) -> float:
        """Real less simulated attainment, in points."""
        return 100 * (self.real.attainment - self.simulated.attainment)


def mean_of(all_figures: Sequence[Figures]) -> Figures:
    """Of the same requests in several runs."""
    return Figures(
        calls=all_figures[0].calls,
        attainment=statistics.mean(one.attainment for one in all_figures),
        mean_quality=statistics.mean(one.mean_quality for one in all_figures),
        effective_quality=statistics.mean(one.effective_quality for one in all_figures),
    )


def simulate(tailor: Path, situ: InSitu, trace: Path, policy: str, seconds: float) -> Figures:
    """The mean of a few runs of `tailor simulate`."""
    found = []
    for seed in SEEDS:
        command = [str(tailor), "simulate", "--json", "--profile", str(situ.profile)]
        command += ["--trace", str(trace), "--policy", policy, "--noise", f"{situ.noise:.4f}"]
        command += ["--duration", f"{seconds:g}s", "--seed", str(seed)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"tailor simulate: {done.stderr.strip()}")
        result: dict[str, Any] = json.loads(done.stdout)
        fields = ("attainment", "mean_quality", "effective_quality")
        found.append(Figures(int(result["requests"]), *(float(result[f]) for f in fields)))
    return mean_of(found)


def play(
    server: ServerProcess, tailor: Path, trace: Path, texts: Sequence[str]
) -> tuple[Figures, list[tuple[float, float]], list[str]]:
    """One trace against the server: its figures, predicted and actual ms, why it is void."""
    record = trace.with_suffix(".calls")
    options = ["--trace", str(trace), "--warmup", "0s", "--record", str(record), *texts]
    with DecisionReader(server.http, every_s=1) as decisions:
        report = load_report(server.grpc, options, prefix=ON_CORE_1, timeout_s=900, tailor=tailor)
    return figures(read_calls(record)), decisions.pairs(), list(report["problems"])


def write_traces(situ: InSitu, folder: Path, seconds: float, seed: int) -> dict[str, Path]:
    """A file for each of TRACES, scaled to what was measured."""
    files = {}
    for trace in TRACES:
        lines = lines_of(
            trace,
            rate=situ.rate(),
            unit_ms=situ.unit_ms,
            seconds=seconds,
            documents=DOCUMENTS,
            seed=seed,
        )
        files[trace.name] = folder / f"{trace.name}.trace"
        files[trace.name].write_text("\n".join(lines) + "\n", "ascii")
    return files


def run(arguments: argparse.Namespace, folder: Path) -> tuple[InSitu, list[Cell]]:
    """Profile, every policy on every trace, profile again; then the same in the simulator."""
    family = without_cascades(arguments.family, folder)
    texts, longest = texts_of(family, folder), longest_of(family)
    tailor: Path = arguments.tailor
    KEPT.mkdir(parents=True, exist_ok=True)
    with pinned_server(tailor, family, "tailored", LOG) as server:
        first = measure(server, tailor, texts, longest, KEPT)
    files = write_traces(first, KEPT, arguments.seconds, arguments.seed)
    played = []
    for policy in arguments.policies:
        with pinned_server(tailor, family, policy, LOG) as server:
            for name, file in files.items():
                played.append((name, policy, *play(server, tailor, file, texts)))
                print(f"{policy}, {name}: met {played[-1][2].attainment:.4f}", file=sys.stderr)
    with pinned_server(tailor, family, "tailored", LOG) as server:
        situ = between(first, measure(server, tailor, texts, longest, KEPT), KEPT)
    cells = []
    for name, policy, real, pairs, problems in played:
        simulated = simulate(tailor, situ, files[name], policy, arguments.seconds)
        cells.append(Cell(name, policy, real, simulated, pairs, problems))
    return situ, cells


def winner(cells: Sequence[Cell], *, is_real: bool) -> str:
    """The policy of the highest effective quality."""

    def effective(cell: Cell) -> float:
        return (cell.real if is_real else cell.simulated).effective_quality

    return max(cells, key=effective).policy


def row(cell: Cell) -> list[str]:
    """One line of the table."""
    real, simulated = cell.real, cell.simulated
    return [
        cell.trace,
        cell.policy,
        f"{100 * real.attainment:.2f}",
        f"{100 * simulated.attainment:.2f}",
        f"{cell.points:+.2f}",
        f"{real.mean_quality:.4f}",
        f"{simulated.mean_quality:.4f}",
        f"{real.effective_quality:.4f}",
        f"{simulated.effective_quality:.4f}",
        prediction_error(cell.predictions).shown(),
    ]


def report(arguments: argparse.Namespace, situ: InSitu, cells: Sequence[Cell]) -> list[str]:
    """The Markdown."""
    header = ["trace", "policy", "met %, real", "simulated", "difference"]
    header += ["quality of what was met, real", "simulated"]
    header += ["effective quality, real", "simulated", "prediction error p50 / p95"]
    lines = heading(f"The same traces, real and simulated, {arguments.seconds:g} s each")
    lines += table(header, [row(cell) for cell in cells])
    lines.append("")
    for trace in dict.fromkeys(cell.trace for cell in cells):
        mine = [cell for cell in cells if cell.trace == trace]
        real, simulated = winner(mine, is_real=True), winner(mine, is_real=False)
        same = "the same" if real == simulated else f"simulated {simulated}"
        lines.append(f"- {trace}: {mine[0].real.calls} calls; best is {real}, {same}")
    pooled = prediction_error([pair for cell in cells for pair in cell.predictions])
    worst = max(cells, key=lambda cell: abs(cell.points))
    lines += [
        f"- attainment differs by at most {abs(worst.points):.2f} points ({worst.policy} on "
        f"{worst.trace}), wanted {TARGET_POINTS:g}",
        f"- engine time against its prediction, {pooled.batches} batches: {pooled.shown()}, wanted "
        f"{100 * TARGET_ERROR[0]:g} % / {100 * TARGET_ERROR[1]:g} %",
        f"- profile: noise {situ.noise:.3f}, {situ.gap_us:.0f} us between batches; "
        f"{CAPACITY_CUT} answers {situ.rate():.1f} requests/s; prediction error of "
        f"busy loops {situ.loop_error}",
    ]
    lines += [
        f"- void: {cell.policy} on {cell.trace}: {p}" for cell in cells for p in cell.problems
    ]
    return lines


def as_json(cell: Cell) -> dict[str, Any]:
    """Without the single predictions."""
    fields = dataclasses.asdict(cell)
    del fields["predictions"]
    return {**fields, "prediction_error": dataclasses.asdict(prediction_error(cell.predictions))}


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tailor", type=Path, default=TAILOR)
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--seconds", type=float, default=60, help="of each trace")
    parser.add_argument("--seed", type=int, default=1, help="of the traces")
    parser.add_argument("--policies", nargs="+", default=[*POLICIES, f"fixed:{CAPACITY_CUT}"])
    arguments = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})  # nothing but the server belongs on core 0
    try:
        with tempfile.TemporaryDirectory(prefix="tailor-") as folder:
            situ, cells = run(arguments, Path(folder))
            profile = json.loads(situ.profile.read_text("utf-8"))
    except (BenchError, ServerError, OSError) as error:
        print(f"real_against_simulated: {error}", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, cores)
    result = {
        "profile": profile,
        "noise": situ.noise,
        "load": [dataclasses.asdict(t) for t in TRACES],
    }
    publish(
        "real",
        report(arguments, situ, cells),
        {**result, "cells": [as_json(cell) for cell in cells]},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
