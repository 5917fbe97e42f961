# SPDX-License-Identifier: Apache-2.0
"""`make bench-policies`: every policy on every trace, and docs/policies.md from it.

Results are kept in build/bench/policies.jsonl by the binary and the profiles that they come from; a
run that was stopped is continued by the next one.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import sys
from pathlib import Path

from profiles import FOLDER, read_profile
from report import Comparison, write_json, write_page
from runs import Store, all_runs, digest, run_missing

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/bench"
PROFILES = ("bundled", "bert-family", "dynabert")


def machine() -> str:
    """CPU model and cores: what the times of decisions were taken on."""
    names = (
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    )
    return f"{next(names, 'unknown CPU')}, {len(os.sched_getaffinity(0))} cores"


def main() -> int:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description="compare the policies in the simulator")
    parser.add_argument("--tailor", type=Path, default=ROOT / "build/release/cli/tailor")
    parser.add_argument("--profiles", nargs="+", default=list(PROFILES), help="names")
    parser.add_argument("--traces", nargs="+", default=[], help="only these")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--bound-seeds", type=int, default=2, help="seeds with the bound")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600, help="stop then, go on next time")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/policies.md")
    arguments = parser.parse_args()
    files = {name: FOLDER / f"{name}.json" for name in arguments.profiles}
    profiles = [read_profile(file) for file in files.values()]
    RESULTS.mkdir(parents=True, exist_ok=True)
    # The profile is part of the version one by one, so that a new one leaves the others' results.
    comparisons, missing = [], 0
    for profile, file in zip(profiles, files.values(), strict=True):
        store = Store(RESULTS / "policies.jsonl", digest(arguments.tailor, file))
        runs = list(all_runs(profile, arguments.seeds, arguments.bound_seeds, arguments.traces))
        share = arguments.minutes / len(profiles)
        missing += run_missing(runs, store, arguments.tailor, files, arguments.jobs, share)
        comparisons.append(Comparison(profile, store))
        print(f"{profile.name}: {len(store.results)} results, {missing} runs missing so far")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = shlex.join(["bench/policies/bench_policies.py", f"--seeds={arguments.seeds}"])
    provenance = f"{machine()}; {now}; `{command}`"
    write_page(comparisons, arguments.page, provenance, arguments.seeds, missing)
    write_json(comparisons, RESULTS / "policies.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
