#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of a call beyond a bare echo server: admission, queue, selector and worker, null engine.

bench/service/null_server.cc and echo_server.cc stand on the same gRPC stack. Each gets, on core 0
and in turns, the same open loop of short calls from core 1; what its process used is divided by
the calls.

Usage: bench/service/overhead.py [--rate 5000] [--rounds 5] [--build build/release]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measurement import (
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

SERVERS = ("echo_server", "null_server")
TARGET_US = 10.0
START_S = 60
BUDGET = "1s"
TEXTS = {"queries": "w1\nw2\n", "documents": "w1 w2 w3 w4\nw5 w6 w7 w8\n"}  # of null_server's words


class CountedServer:
    """A server on core 0 whose CPU time is read; ends when told."""

    def __init__(self, program: Path, folder: Path) -> None:
        if not program.exists():
            raise BenchError(f"expected the program {program}, found none: build it first")
        port_file = folder / f"{program.name}.port"
        self.process = subprocess.Popen([*ON_CORE_0, str(program), str(port_file)])
        self.address = f"127.0.0.1:{self._port(port_file)}"

    def cpu_us(self) -> float:
        """User and system time so far, of all threads."""
        return cpu_us_of(Path(f"/proc/{self.process.pid}/stat").read_text("ascii"))

    def end(self) -> None:
        """At once."""
        self.process.kill()
        self.process.wait()

    def _port(self, port_file: Path) -> int:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            text = port_file.read_text("ascii") if port_file.exists() else ""
            if text.endswith("\n"):
                return int(text)
            time.sleep(0.05)
        self.end()
        raise BenchError(f"{port_file.name} was not written within {START_S} s")


def cpu_us_of(stat: str) -> float:
    """From /proc/PID/stat: utime and stime are fields 14 and 15, in clock ticks."""
    fields = stat.rpartition(")")[2].split()
    return 1e6 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server: CountedServer, options: Sequence[str]) -> float:
    """Microseconds of CPU a call in one run; BenchError unless every call is answered."""
    before = server.cpu_us()
    report = load_report(server.address, options, prefix=ON_CORE_1)
    calls = int(report["calls"])
    if int(report["answered"]) != calls:
        raise BenchError(f"expected {calls} answers, got {report['answered']}")
    return (server.cpu_us() - before) / calls


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """CPU of a call by server, one figure a round; the first round only warms up."""
    options = ["--rate", str(arguments.rate), "--duration", f"{arguments.seconds}s"]
    options += ["--warmup", "0s", "--documents-per-call", "1", "--budget", BUDGET]
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "ascii")
        options += [f"--{name}", str(folder / name)]
    found: dict[str, list[float]] = {name: [] for name in SERVERS}
    servers: dict[str, CountedServer] = {}
    try:
        for name in SERVERS:
            servers[name] = CountedServer(arguments.build / "bench/service" / name, folder)
        for turn in range(arguments.rounds + 1):
            for name, server in servers.items():
                used = measure(server, options)
                print(f"{turn}/{arguments.rounds} {name}: {used:.1f} us", file=sys.stderr)
                if turn > 0:
                    found[name].append(used)
    finally:
        for server in servers.values():
            server.end()
    return found


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--rate", type=float, default=5000, help="calls a second")
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="tailor-") as folder:
            found = run(arguments, Path(folder))
    except (BenchError, OSError) as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 1
    beyond = [b - a for a, b in zip(*(found[name] for name in SERVERS), strict=True)]
    verdict = "yes" if statistics.median(beyond) <= TARGET_US else "no"
    rows = [[name.replace("_", " "), spread(values, 1), ""] for name, values in found.items()]
    rows.append(["difference", spread(beyond, 1), f"<= {TARGET_US:g}: {verdict}"])
    title = (
        f"CPU of a call, {arguments.rate:g} calls/s of one document, null engine: median (range) "
        f"of {arguments.rounds} rounds"
    )
    lines = heading(title) + table(["", "us a call", "target"], rows)
    publish("overhead", lines, {**found, "beyond_echo_us": beyond})
    return 0


if __name__ == "__main__":
    sys.exit(main())
