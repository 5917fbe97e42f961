# SPDX-License-Identifier: Apache-2.0
"""Runs of the simulator, kept in a file of JSON lines so that a comparison can be continued."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bound import bound, read_requests
from profiles import Profile, read_profile
from scenarios import BOUND_DURATION, SCENARIOS, Scenario, policies, simulate

BOUND = "bound"  # in the place of a policy: the clairvoyant bound of a trace
_MOST_LOAD_OF_BOUND = 1


@dataclass(frozen=True)
class Run:
    """One cell of the comparison."""

    profile: str
    scenario: Scenario
    policy: str
    seed: int

    def key(self) -> str:
        """What names it in the file."""
        return f"{self.profile}|{self.scenario.label()}|{self.policy}|{self.seed}"


def digest(*files: Path) -> str:
    """Of what decides the results: they are not mixed with those of another binary or profile."""
    content = hashlib.sha256()
    for file in files:
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


def has_bound(scenario: Scenario) -> bool:
    """Whether the distance to the bound is asked for: up to capacity, with a sound engine."""
    return scenario.load <= _MOST_LOAD_OF_BOUND and scenario.fault == "none"


def all_runs(profile: Profile, seeds: int, bound_seeds: int, only: Sequence[str]) -> Iterator[Run]:
    """Every run of a profile, seed by seed, so that an early stop leaves whole seeds."""
    wanted = [s for s in SCENARIOS if not only or s.trace in only]
    for seed in range(1, seeds + 1):
        for scenario in wanted:
            for policy in policies(profile):
                yield Run(profile.name, scenario, policy, seed)
            if seed <= bound_seeds and has_bound(scenario):
                yield Run(profile.name, scenario, BOUND, seed)


def execute(run: Run, tailor: Path, profile_file: Path) -> dict[str, Any]:
    """The result of one run. A bound comes with what ``tailored`` reaches without noise."""
    if run.policy != BOUND:
        result = simulate(tailor, profile_file, run.scenario, run.policy, run.seed)
        del result["cuts"]
        return result
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "requests"
        reached = {}
        for policy in ("tailored", "slackfit"):
            result = simulate(
                tailor,
                profile_file,
                run.scenario,
                policy,
                run.seed,
                noise=0,
                duration=BOUND_DURATION,
                record=record,
            )
            reached[policy] = result["effective_quality"]
        requests = read_requests(record)
    profile = read_profile(profile_file)
    quality = np.array([cut.quality for cut in profile.cuts])
    total = bound(requests, profile.variable_seconds(requests.shape), quality)
    return {"bound": total / len(requests.arrival), "reached": reached}


class Store:
    """Results by key, of one binary and one set of profiles; appended to a file as they come."""

    def __init__(self, file: Path, version: str) -> None:
        """Read what the file has of ``version``."""
        self.file = file
        self.version = version
        self.results: dict[str, dict[str, Any]] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry["version"] == version:
                    self.results[entry["key"]] = entry["result"]

    def add(self, run: Run, result: dict[str, Any]) -> None:
        """Keep a result."""
        self.results[run.key()] = result
        entry = {"version": self.version, "key": run.key(), "result": result}
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def values(
        self, profile: str, scenario: Scenario, policy: str, of: Callable[[dict[str, Any]], float]
    ) -> dict[int, float]:
        """A figure of every seed that was run."""
        prefix = f"{profile}|{scenario.label()}|{policy}|"
        return {
            int(key.removeprefix(prefix)): of(result)
            for key, result in self.results.items()
            if key.startswith(prefix)
        }


def run_missing(
    runs: Sequence[Run],
    store: Store,
    tailor: Path,
    files: dict[str, Path],
    jobs: int,
    minutes: float,
) -> int:
    """Execute what the store lacks until the time is up; returns how many are still missing."""
    missing = [run for run in runs if run.key() not in store.results]
    end = time.monotonic() + 60 * minutes
    done = 0
    with ThreadPoolExecutor(jobs) as pool:
        for begin in range(0, len(missing), jobs):
            if time.monotonic() > end:
                break
            part = missing[begin : begin + jobs]
            results = pool.map(lambda run: execute(run, tailor, files[run.profile]), part)
            for run, result in zip(part, results, strict=True):
                store.add(run, result)
                done += 1
    return len(missing) - done
