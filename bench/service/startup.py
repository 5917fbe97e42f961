#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the start of the server until it is ready (warm-up included), and its resident memory.

Usage: bench/service/startup.py [--runs 10] [--family DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measurement import (
    FAMILY,
    RESULTS,
    TAILOR,
    BenchError,
    heading,
    publish,
    run_load,
    spread,
    table,
)
from server_process import ServerError, ServerProcess

TARGET_READY_S = 3.0


def measure(family: Path, runs: int, load_s: int) -> dict[str, list[float]]:
    """Ready times, and memory idle, after load and at the peak, of `runs` servers in turn."""
    found: dict[str, list[float]] = {
        "ready_s": [],
        "idle_mib": [],
        "loaded_mib": [],
        "peak_mib": [],
    }
    for run in range(runs):
        with ServerProcess(TAILOR, family, log=RESULTS / "startup.log") as server:
            found["ready_s"].append(server.ready_s)
            found["idle_mib"].append(server.resident_mib())
            if run == runs - 1:
                load = ["--concurrency", "4", "--duration", f"{load_s}s", "--warmup", "0s"]
                run_load(server.grpc, [*load, "--budget", "10s"])
                found["loaded_mib"].append(server.resident_mib())
                found["peak_mib"].append(server.resident_mib("VmHWM"))
        print(f"run {run + 1}: ready after {server.ready_s:.3f} s", file=sys.stderr)
    return found


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--load-seconds", type=int, default=10, help="load before the last figure")
    parser.add_argument("--family", type=Path, default=FAMILY)
    arguments = parser.parse_args()
    try:
        found = measure(arguments.family, arguments.runs, arguments.load_seconds)
    except (BenchError, ServerError) as error:
        print(f"startup: {error}", file=sys.stderr)
        return 1
    rows = [
        ["start to ready, s", spread(found["ready_s"]), f"<= {TARGET_READY_S:g}"],
        ["resident memory when ready, MiB", spread(found["idle_mib"], 0), ""],
        [
            f"resident memory after {arguments.load_seconds} s of load, MiB",
            spread(found["loaded_mib"], 0),
            "",
        ],
        ["its peak, MiB", spread(found["peak_mib"], 0), ""],
    ]
    title = f"Start of the server, {arguments.runs} runs: median (range)"
    publish(
        "startup",
        heading(title) + table(["", "measured", "target"], rows),
        {"family": arguments.family.name, **found},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
