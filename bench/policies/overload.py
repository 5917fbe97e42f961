# SPDX-License-Identifier: Apache-2.0
"""Far more than the cheapest cut can serve, then calm: with and without the backstop.

Each run offers a multiple of what the cheapest cut serves for ``--seconds``, then a third of it.
``hidden`` is time that no engine is measured for, a batch, in parts of the time of a full batch.
Goodput: requests answered in time, a second, against the most of the loads tried with the same
rule. Broken: of what was let in, what was not answered in time; up to 1 % the 99th percentile
of what was accepted is within its budget. Recovery: seconds after the overload until as many are
answered in time as from the tenth second on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from profiles import FOLDER

ROOT = Path(__file__).resolve().parents[2]
LOADS = (1, 2, 5, 10)
CALM_LOAD = 0.33
CALM_SECONDS = 20
FULL_BATCH_US = 2000  # IsFullBatch: a batch ends when it takes so long


@dataclass(frozen=True)
class Outcome:
    """One run."""

    goodput: float  # requests a second
    broken: float  # share of what was let in
    recovery: int  # seconds


def arrivals(rate: float, calm_rate: float, seconds: int, seed: int) -> Iterator[float]:
    """Seconds of Poisson arrivals at one rate, then at the other."""
    random = np.random.default_rng(seed)
    for start, length, per_second in ((0, seconds, rate), (seconds, CALM_SECONDS, calm_rate)):
        count = random.poisson(per_second * length)
        yield from np.sort(start + length * random.random(count))


def capacity(content: dict[str, Any]) -> float:
    """Usual requests a second that the cheapest cut serves, its fixed cost left out."""
    documents, tokens = content["request"]["documents"], content["request"]["tokens"]
    rows = (
        cut.get("per_row_us", 0)
        + tokens * cut.get("per_token_us", 0)
        + tokens**2 * cut.get("per_square_us", 0)
        for cut in content["cuts"]
    )
    return float(1e6 / (documents * min(rows)))


def changed(content: dict[str, Any], hidden: float) -> dict[str, Any]:
    """The profile with time between batches that nothing measures."""
    server = {**content.get("server", {}), "batch_overhead_us": hidden * FULL_BATCH_US}
    return {**content, "server": server}


def met_share(second: dict[str, float]) -> float:
    """Of the requests of a second, those answered in time."""
    return second["met"] / max(1, second["requests"])


def judged(result: dict[str, Any], seconds: int) -> Outcome:
    """The figures of a run from its seconds."""
    by_second = result["by_second"]
    met = sum(second["met"] for second in by_second[1:seconds])
    let_in = result["requests"] - result["refused"]
    calm = [met_share(second) for second in by_second[seconds:]]
    usual = float(np.mean(calm[CALM_SECONDS // 2 :]))
    bad = [i for i, share in enumerate(calm[: CALM_SECONDS // 2]) if share < 0.98 * usual]
    return Outcome(
        goodput=met / (seconds - 1),
        broken=(let_in - result["met"]) / let_in,
        recovery=bad[-1] + 1 if bad else 0,
    )


def run(tailor: Path, profile: Path, trace: Path, seconds: int, *, backstop: bool) -> Outcome:
    """One simulation."""
    command = [str(tailor), "simulate", "--json", "--by-second", "--profile", str(profile)]
    command += ["--trace", str(trace), "--duration", f"{seconds + CALM_SECONDS}s"]
    command += [] if backstop else ["--no-backstop"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return judged(json.loads(done.stdout), seconds)


def compared(tailor: Path, content: dict[str, Any], hidden: float, seconds: int) -> Iterator[str]:
    """A row of the table for every load: with / without the rule."""
    rate = capacity(content)
    most = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        profile, trace = Path(folder) / "profile.json", Path(folder) / "trace"
        profile.write_text(json.dumps(changed(content, hidden)), encoding="utf-8")
        for load in LOADS:
            times = arrivals(load * rate, CALM_LOAD * rate, seconds, seed=1)
            trace.write_text("".join(f"{t:.6f}\n" for t in times), encoding="utf-8")
            pair = [run(tailor, profile, trace, seconds, backstop=rule) for rule in (True, False)]
            most = [max(a, o.goodput) for a, o in zip(most, pair, strict=True)]
            goodput = (100 * o.goodput / a for o, a in zip(pair, most, strict=True))
            cells = [
                content["name"],
                f"{hidden:g}",
                f"{load}",
                " / ".join(f"{o.goodput:.0f}" for o in pair),
                " / ".join(f"{g:.1f}" for g in goodput),
                " / ".join(f"{100 * o.broken:.2f}" for o in pair),
                " / ".join(f"{o.recovery}" for o in pair),
            ]
            yield "| " + " | ".join(cells) + " |"


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description="overload with and without the backstop")
    parser.add_argument("--tailor", type=Path, default=ROOT / "build/release/cli/tailor")
    parser.add_argument("--profiles", nargs="+", default=["dynabert", "bundled"])
    parser.add_argument("--without", nargs="*", default=["linear"], help="cuts to leave out")
    parser.add_argument("--hidden", nargs="+", type=float, default=[0, 0.5, 1])
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    print("| profile | hidden | load | goodput, /s | of its most, % | broken, % | recovery, s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in arguments.profiles:
        content = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
        content["cuts"] = [c for c in content["cuts"] if c["id"] not in arguments.without]
        for hidden in arguments.hidden:
            for row in compared(arguments.tailor, content, hidden, arguments.seconds):
                print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
