#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What metrics cost at full load: recording as a share of a call, and scrapes by the throughput.

Recording cannot be switched off, since the cost models read what it records. So its time comes
from server/telemetry/recorder_bench.cc, which records all that a call records, and is divided by
the time between two answers of a saturated server on one core. Scrapes are measured on and off, in
turns, on the same server.

Usage: bench/service/metrics_cost.py [--rounds 5] [--build build/release]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from measurement import (
    FAMILY,
    ON_CORE_0,
    ON_CORE_1,
    ROOT,
    BenchError,
    heading,
    load_report,
    publish,
    spread,
    table,
)
from pinned_server import pinned_server
from scrapes import fetch
from server_process import ServerError, ServerProcess

RECORDER_BENCH = "server/telemetry/recorder_bench"
VARIANT = "student-2x128-bf16"  # the shorter a call, the larger the share of what is recorded
SCRAPES_PER_S = (0.0, 1.0, 20.0)
TARGET = 0.01
CONCURRENCY = 8


def benchmark_us(build: Path) -> dict[str, float]:
    """CPU of each benchmark of the recorder, the median of several runs, in microseconds."""
    program = build / RECORDER_BENCH
    if not program.exists():
        raise BenchError(f"expected the program {program}, found none: build it first")
    command = [*ON_CORE_0, str(program), "--benchmark_format=json", "--benchmark_repetitions=5"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return medians_us(json.loads(done.stdout))


def medians_us(report: dict[str, Any]) -> dict[str, float]:
    """From a report of Google Benchmark."""
    per_us = {"ns": 1e-3, "us": 1.0, "ms": 1e3}
    return {
        row["run_name"]: row["cpu_time"] * per_us[row["time_unit"]]
        for row in report["benchmarks"]
        if row.get("aggregate_name") == "median"
    }


class Scraper:
    """Fetches /metrics so many times a second until it is left; a context manager."""

    def __init__(self, http: str, per_s: float) -> None:
        self.count = 0
        self._http = http
        self._per_s = per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Scraper:
        if self._per_s > 0:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._per_s > 0:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1 / self._per_s):
            fetch(self._http, "/metrics")
            self.count += 1


def calls_per_s(server: ServerProcess, seconds: int, documents: int) -> float:
    """Answers a second of a closed loop."""
    options = ["--concurrency", str(CONCURRENCY), "--documents-per-call", str(documents)]
    options += ["--variant", VARIANT, "--budget", "30s", "--warmup", "0.5s"]
    options += ["--duration", f"{seconds + 0.5}s"]
    report = load_report(server.grpc, options, prefix=ON_CORE_1)
    return float(report["answered"]) / float(report["measured_s"])


def run(arguments: argparse.Namespace) -> dict[float, list[float]]:
    """Calls a second by scrapes a second, one figure a round; the order turns."""
    found: dict[float, list[float]] = {per_s: [] for per_s in SCRAPES_PER_S}
    tailor = arguments.build / "cli/tailor"
    with pinned_server(tailor, arguments.family, "tailored", "metrics-cost.log") as server:
        calls_per_s(server, 1, arguments.documents)
        for turn in range(arguments.rounds):
            for i in range(len(SCRAPES_PER_S)):
                per_s = SCRAPES_PER_S[(i + turn) % len(SCRAPES_PER_S)]
                with Scraper(server.http, per_s):
                    rate = calls_per_s(server, arguments.seconds, arguments.documents)
                found[per_s].append(rate)
                print(f"{per_s:g} scrapes/s: {rate:.1f} calls/s", file=sys.stderr)
    return found


def report(
    arguments: argparse.Namespace, micro: dict[str, float], found: dict[float, list[float]]
) -> list[str]:
    """The Markdown."""
    base = statistics.median(found[0.0])
    call_us = 1e6 / base
    record_us, scrape_us = micro["BM_OneCall"], micro["BM_Scrape"]
    share = record_us / call_us
    verdict = "yes" if share <= TARGET else "no"
    rows = [
        [
            "recording",
            f"{record_us:.2f} us of {call_us:.0f} us a call",
            f"{100 * share:.3f} %",
            f"<= {100 * TARGET:g} %: {verdict}",
        ]
    ]
    for per_s in SCRAPES_PER_S[1:]:
        ratios = [on / off - 1 for on, off in zip(found[per_s], found[0.0], strict=True)]
        rows.append(
            [
                f"{per_s:g} scrapes/s",
                f"{spread(found[per_s], 1)} calls/s, without {spread(found[0.0], 1)}",
                f"{-100 * statistics.median(ratios):+.2f} % fewer calls; "
                f"{1e-4 * scrape_us * per_s:.2f} % by the time of a scrape",
                "",
            ]
        )
    title = (
        f"Metrics at full load, {VARIANT}, {arguments.documents} documents a call: medians of "
        f"{arguments.rounds} rounds"
    )
    lines = heading(title) + table(["", "measured", "cost", "target"], rows)
    return [*lines, "", f"One scrape takes {scrape_us / 1000:.2f} ms of CPU."]


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--documents", type=int, default=1, help="a call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    arguments = parser.parse_args()
    try:
        micro = benchmark_us(arguments.build)
        found = run(arguments)
    except (BenchError, ServerError, OSError) as error:
        print(f"metrics_cost: {error}", file=sys.stderr)
        return 1
    result = {"micro_us": micro, "calls_per_s": {str(key): value for key, value in found.items()}}
    publish("metrics-cost", report(arguments, micro, found), result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
