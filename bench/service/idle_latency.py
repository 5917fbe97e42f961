#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Idle latency: one short pair every 1.05 s, against Tailor and against a bare echo server.

Prints one JSON object with both distributions and their difference. The two servers are called in
turns, in the same run, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


def wait_for_text(path: Path) -> str:
    """The content of a file that a starting server writes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and path.read_text(encoding="utf-8").endswith("\n"):
            return path.read_text(encoding="utf-8")
        time.sleep(0.05)
    raise SystemExit(f"idle_latency: {path.name} was not written within {START_SECONDS} s")


def wait_until_ready(tailor: Path, http_port: int) -> None:
    """Waits for /healthz through the binary's own health command."""
    deadline = time.monotonic() + START_SECONDS
    command = [str(tailor), "health", "--http", f"127.0.0.1:{http_port}"]
    while time.monotonic() < deadline:
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise SystemExit(f"idle_latency: the server was not ready within {START_SECONDS} s")


def measure(client: Path, port: int, calls: int, gap_ms: int) -> subprocess.Popen[str]:
    """Starts one client; its output is the distribution."""
    return subprocess.Popen(
        [str(client), f"127.0.0.1:{port}", str(calls), str(gap_ms)],
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> int:
    """Runs both servers and prints the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--family", type=Path, default=ROOT / "models/packages")
    parser.add_argument("--calls", type=int, default=120)
    parser.add_argument("--gap-ms", type=int, default=1050)
    arguments = parser.parse_args()
    tailor = arguments.build / "cli/tailor"
    client = arguments.build / "bench/service/idle_client"
    with tempfile.TemporaryDirectory() as folder:
        echo_file, tailor_file = Path(folder) / "echo", Path(folder) / "tailor.json"
        servers = [
            subprocess.Popen([str(arguments.build / "bench/service/echo_server"), str(echo_file)]),
            subprocess.Popen(
                [
                    str(tailor),
                    "serve",
                    "--family",
                    str(arguments.family),
                    "--listen",
                    "127.0.0.1:0",
                    "--http-listen",
                    "127.0.0.1:0",
                    "--port-file",
                    str(tailor_file),
                    "--log-level",
                    "warning",
                    "--drain-delay",
                    "0s",
                ]
            ),
        ]
        try:
            ports = json.loads(wait_for_text(tailor_file))
            echo_port = int(wait_for_text(echo_file))
            wait_until_ready(tailor, ports["http"])
            # Half a gap apart, so that the two never run at the same time.
            runs = [measure(client, ports["grpc"], arguments.calls, arguments.gap_ms)]
            time.sleep(arguments.gap_ms / 2000)
            runs.append(measure(client, echo_port, arguments.calls, arguments.gap_ms))
            results = [json.loads(run.communicate()[0]) for run in runs]
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait()
    ours, echo = results
    above = {
        q: round(ours["beyond_engine_us"][q] - echo["beyond_engine_us"][q], 1)
        for q in ("p50", "p90", "p99")
    }
    print(json.dumps({"tailor": ours, "echo": echo, "above_echo_us": above}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
