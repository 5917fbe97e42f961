# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the service share: paths, the machine, tables, `tailor load`."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

TAILOR = ROOT / "build/release/cli/tailor"
FAMILY = ROOT / "models/packages"
RESULTS = ROOT / "build/bench"
LOAD_VOID = 75  # exit code of `tailor load`: the client did not keep its schedule
ON_CORE_0 = ("taskset", "-c", "0")
ON_CORE_1 = ("taskset", "-c", "1")


class BenchError(Exception):
    """One line: why there is no result."""


def has_amx() -> bool:
    """Whether the CPU has AMX tiles, which the bf16 variants need."""
    return "amx_tile" in Path("/proc/cpuinfo").read_text("utf-8").split()


def machine() -> str:
    """CPU model, AMX or not, cores that this process may use, kernel."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()
    amx = "AMX" if has_amx() else "no AMX"
    cores = len(os.sched_getaffinity(0))
    return f"{model} ({amx}), {cores} cores, Linux {platform.release()}"


def heading(title: str) -> list[str]:
    """Title, machine, date and the command as given: without them a figure is worth nothing."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = shlex.join(["python3", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    return [f"### {title}", "", f"{machine()}; {now}; `{command}`", ""]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def publish(name: str, lines: Sequence[str], result: object) -> None:
    """Prints the Markdown and keeps it, with the JSON, below build/bench."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    print(text)
    (RESULTS / f"{name}.md").write_text(text, "utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(f"kept in {RESULTS.relative_to(ROOT)}/{name}.md and .json", file=sys.stderr)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range."""
    return (
        f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to "
        f"{max(values):.{digits}f})"
    )


@dataclass(frozen=True)
class LoadResult:
    """What the benchmarks take from `tailor load --json`."""

    answered: int
    tokens_per_s: float
    documents_per_s: float
    p50_ms: float


def load_report(
    server: str,
    options: Sequence[str],
    *,
    prefix: Sequence[str] = (),
    timeout_s: float = 300,
    tailor: Path | None = None,
) -> dict[str, Any]:
    """What one `tailor load --json` prints; BenchError when it fails or no call is answered."""
    program = str(tailor or TAILOR)
    command = [*prefix, program, "load", "--server", server, "--json", "--quiet", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode not in (0, LOAD_VOID):
        detail = done.stderr.strip() or done.stdout.strip() or "no message"
        raise BenchError(
            f"{shlex.join(command)} ended with exit code {done.returncode}: {detail[:500]}"
        )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def run_load(
    server: str, options: Sequence[str], *, prefix: Sequence[str] = (), timeout_s: float = 300
) -> LoadResult:
    """One `tailor load --json`, as the figures that most benchmarks need."""
    result = load_report(server, options, prefix=prefix, timeout_s=timeout_s)
    return LoadResult(
        answered=int(result["answered"]),
        tokens_per_s=float(result["tokens_per_s"]),
        documents_per_s=float(result["throughput_documents_per_s"]),
        p50_ms=float(result["latency_ms"]["p50"]["value"]),
    )
