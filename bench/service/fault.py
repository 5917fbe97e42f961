#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server whose core is shared with hogs for ten seconds: what becomes of answers and quality.

The server runs on core 0, `tailor load` on core 1 with a steady Poisson trace. In the middle of
the run busy loops start on core 0, so many that the engine takes about five times as long, and
end after a sixth of it. `tailor simulate --fault slow-spell` gets the same trace and the profile
of that server (in_situ.py); its engine is five times as slow in the same seconds.

Usage: .venv/bin/python bench/service/fault.py [--seconds 60] [--hogs 4] [--tailor PROGRAM]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calls import Call, by_second, figures, read_calls, variant_shares
from in_situ import DOCUMENTS, InSitu, longest_of, measure, texts_of
from measurement import (
    FAMILY,
    LOAD_VOID,
    ON_CORE_0,
    ON_CORE_1,
    TAILOR,
    BenchError,
    heading,
    publish,
    table,
)
from pinned_server import pinned_server, without_cascades
from scrapes import status
from server_process import ServerError, ServerProcess
from traces import Trace, lines_of

TRACE = Trace("steady", 0.5, 1, (4.0,))
HOG = "while True: pass"
ANSWERS = 8  # that a change must show in to count
MARGIN_S = 5  # around the spell that the table shows


@dataclass(frozen=True)
class Spell:
    """When the engine is slow, seconds from the start of the run."""

    start: float
    end: float


@dataclass(frozen=True)
class Course:
    """How quality and answers followed a spell; times in seconds after its start or its end."""

    attainment: tuple[float, float, float]  # before, in and after the spell
    quality: tuple[float, float, float]  # means of what was met
    moved_s: float | None  # until the last answers were nearer to the quality of the spell
    returned_s: float | None  # until they were nearer to the quality of before


def spell_of(seconds: float) -> Spell:
    """As the simulator places its slow spell."""
    return Spell(seconds / 2, seconds / 2 + min(10, seconds / 5))


def crossing(calls: Sequence[Call], since: float, level: float, *, falling: bool) -> float | None:
    """Seconds after `since` until the mean quality of the last few answers passes `level`."""
    answers = [call for call in calls if call.outcome in {"met", "missed"}]
    for end, call in enumerate(answers):
        if call.at_s < since or end + 1 < ANSWERS:
            continue
        mean = sum(one.quality for one in answers[end + 1 - ANSWERS : end + 1]) / ANSWERS
        if (mean <= level) if falling else (mean >= level):
            return call.at_s - since
    return None


def course_of(calls: Sequence[Call], spell: Spell, settle_s: float = 1) -> Course:
    """The first `settle_s` of the run and after each change belong to no part."""
    bounds = [(settle_s, spell.start), (spell.start + settle_s, spell.end)]
    bounds.append((spell.end + settle_s, float("inf")))
    parts = [figures([c for c in calls if low <= c.at_s < high]) for low, high in bounds]
    level = (parts[0].mean_quality + parts[1].mean_quality) / 2
    return Course(
        attainment=(parts[0].attainment, parts[1].attainment, parts[2].attainment),
        quality=(parts[0].mean_quality, parts[1].mean_quality, parts[2].mean_quality),
        moved_s=crossing(calls, spell.start, level, falling=True),
        returned_s=crossing(calls, spell.end, level, falling=False),
    )


class Hogs:
    """Busy loops on core 0 that wait until they are let loose; a context manager that ends them."""

    def __init__(self, count: int) -> None:
        command = [*ON_CORE_0, sys.executable, "-c", HOG]
        self._loops = [subprocess.Popen(command) for _ in range(count)]
        self._signal(signal.SIGSTOP)

    def __enter__(self) -> Hogs:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def start(self) -> None:
        """All at once."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """For good."""
        for loop in self._loops:
            loop.kill()
            loop.wait()

    def _signal(self, number: signal.Signals) -> None:
        for loop in self._loops:
            loop.send_signal(number)


def play(
    server: ServerProcess, tailor: Path, trace: Path, texts: Sequence[str], spell: Spell, hogs: int
) -> tuple[list[Call], dict[str, float]]:
    """The calls, and the corrections of the cost models at the end of the spell, by variant."""
    record = trace.with_suffix(".calls")
    command = [*ON_CORE_1, str(tailor), "load", "--server", server.grpc, "--trace", str(trace)]
    command += ["--warmup", "0s", "--record", str(record), "--json", *texts]
    with (
        Hogs(hogs) as loops,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as load,
    ):
        if load.stderr is None:
            raise BenchError("expected the progress of tailor load on standard error, got none")
        # Its lines come a second apart, the first one a second after the start.
        first = load.stderr.readline()
        if not first.startswith("{"):
            raise BenchError(f"{shlex.join(command)}: {first.strip() or 'no progress'}")
        started = time.monotonic() - float(json.loads(first)["elapsed_s"])
        time.sleep(max(0.0, started + spell.start - time.monotonic()))
        loops.start()
        time.sleep(max(0.0, started + spell.end - 0.5 - time.monotonic()))
        ratios = {row["id"]: row["cost"]["ratio"] for row in status(server.http)["variants"]}
        time.sleep(max(0.0, started + spell.end - time.monotonic()))
        loops.end()
        load.communicate()
    if load.returncode not in (0, LOAD_VOID):
        raise BenchError(f"{shlex.join(command)} ended with exit code {load.returncode}")
    return read_calls(record), ratios


def simulated_seconds(
    tailor: Path, situ: InSitu, trace: Path, seconds: float
) -> list[dict[str, float]]:
    """Requests, met and summed quality of each second of a simulated slow spell."""
    command = [str(tailor), "simulate", "--json", "--by-second", "--profile", str(situ.profile)]
    command += ["--trace", str(trace), "--fault", "slow-spell", "--duration", f"{seconds:g}s"]
    command += ["--noise", f"{situ.noise:.4f}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"tailor simulate: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    found: list[dict[str, float]] = result["by_second"]
    return found


def row(second: int, calls: Sequence[Call], simulated: dict[str, float], spell: Spell) -> list[str]:
    """One second of the table."""
    real = figures(calls)
    shares = [f"{name} {100 * share:.0f} %" for name, share in variant_shares(calls, most=2)]
    met, requests = simulated["met"], simulated["requests"]
    return [
        f"{second}{' slow' if spell.start <= second < spell.end else ''}",
        str(real.calls),
        f"{100 * real.attainment:.0f}",
        f"{real.mean_quality:.4f}",
        ", ".join(shares),
        f"{100 * met / max(1, requests):.0f}",
        f"{simulated['quality'] / max(1, met):.4f}",
    ]


def report(
    arguments: argparse.Namespace,
    calls: Sequence[Call],
    simulated: Sequence[dict[str, float]],
    ratios: dict[str, float],
) -> list[str]:
    """The Markdown."""
    spell = spell_of(arguments.seconds)
    slots = by_second(calls, min(int(arguments.seconds), len(simulated)))
    header = ["second", "calls", "met %, real", "quality", "variants", "met %, simulated"]
    shown = range(int(spell.start) - MARGIN_S, min(len(slots), int(spell.end) + 2 * MARGIN_S))
    lines = heading(f"{arguments.hogs} busy loops on the server's core for ten seconds")
    rows = [row(second, slots[second], simulated[second], spell) for second in shown]
    lines += table([*header, "quality"], rows)
    course = course_of(calls, spell)
    phases = zip(("before", "slow", "after"), course.attainment, course.quality, strict=True)
    lines += ["", *(f"- {name}: met {100 * a:.2f} %, quality {q:.4f}" for name, a, q in phases)]
    used = variant_shares([c for c in calls if spell.start + 1 <= c.at_s < spell.end], most=1)
    name = used[0][0] if used else ""
    lines.append(
        f"- the choice moved {_after(course.moved_s)} the start (wanted: 1 s) and returned "
        f"{_after(course.returned_s)} the end; {name} was then taken to be "
        f"{ratios.get(name, 0):.1f} times as slow as at warm-up"
    )
    return lines


def _after(seconds: float | None) -> str:
    return "at no time after" if seconds is None else f"{seconds:.2f} s after"


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tailor", type=Path, default=TAILOR)
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hogs", type=int, default=4, help="busy loops beside the engine")
    arguments = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})  # nothing but the server and the hogs belongs on core 0
    try:
        with tempfile.TemporaryDirectory(prefix="tailor-") as place:
            folder = Path(place)
            family = without_cascades(arguments.family, folder)
            texts, longest = texts_of(family, folder), longest_of(family)
            with pinned_server(arguments.tailor, family, "tailored", "fault.log") as server:
                situ = measure(server, arguments.tailor, texts, longest, folder)
                lines = lines_of(
                    TRACE,
                    rate=situ.rate(),
                    unit_ms=situ.unit_ms,
                    seconds=arguments.seconds,
                    documents=DOCUMENTS,
                    seed=1,
                )
                trace = folder / "steady.trace"
                trace.write_text("\n".join(lines) + "\n", "ascii")
                spell = spell_of(arguments.seconds)
                calls, ratios = play(server, arguments.tailor, trace, texts, spell, arguments.hogs)
            simulated = simulated_seconds(arguments.tailor, situ, trace, arguments.seconds)
    except (BenchError, ServerError, OSError) as error:
        print(f"fault: {error}", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, cores)
    result = {
        "course": dataclasses.asdict(course_of(calls, spell)),
        "ratios": ratios,
        "simulated": simulated,
        "calls": [dataclasses.asdict(call) for call in calls],
    }
    publish("fault", report(arguments, calls, simulated, ratios), result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
