# SPDX-License-Identifier: Apache-2.0
"""`tailor simulate` from outside: repeatable output, its options, exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from served import ROOT, run_tailor

EXIT_USAGE = 64
EXIT_DATA = 65
EXIT_NO_INPUT = 66
PROFILES = ROOT / "bench/policies/profiles"


def simulate(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return run_tailor(
        "simulate", "--profiles", str(PROFILES), "--duration", "5s", *arguments, **extra
    )


def simulated(*arguments: str) -> dict[str, Any]:
    ran = simulate(*arguments)
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def test_two_runs_with_one_seed_are_the_same_bytes() -> None:
    arguments = (
        "--profile",
        "dynabert",
        "--trace",
        "mixed",
        "--fault",
        "slow-phases",
        "--seed",
        "7",
    )
    first = simulate(*arguments)
    assert first.returncode == 0, first.stderr
    assert simulate(*arguments).stdout == first.stdout
    assert simulate(*arguments[:-1], "8").stdout != first.stdout


@pytest.mark.parametrize("profile", sorted(path.stem for path in PROFILES.glob("*.json")))
def test_every_policy_runs_on_every_profile(profile: str) -> None:
    listed = simulate("--profile", profile, "--trace", "gamma-4", "--policy", "none").stderr
    names = listed.split("expected one of ")[1].split(", got ")[0].split(", ")
    assert "tailored" in names
    cut = json.loads((PROFILES / f"{profile}.json").read_text())["cuts"][0]["id"]
    for name in names:
        policy = name.replace("VARIANT", cut)
        result = simulated("--profile", profile, "--trace", "gamma-4", "--policy", policy)
        outcomes = (result[key] for key in ("met", "refused", "given_up", "late"))
        assert sum(outcomes) == result["requests"] > 0, policy


def test_the_trace_file_of_tailor_load(tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("# three calls\n0 500ms 2\n0.1\n0.2 1s\n")
    assert simulated("--profile", "dynabert", "--trace", str(trace))["met"] == 3


def test_options_come_from_the_environment_too() -> None:
    arguments = ("--profile", "dynabert", "--trace", "poisson")
    assert json.loads(simulate(*arguments, TAILOR_LOAD="0.1").stdout)["load"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "part"),
    [
        (("--policy", "tailord"), EXIT_USAGE, 'did you mean "tailored"?'),
        (("--trace", "gauss"), EXIT_USAGE, "expected a file or one of poisson, gamma-2"),
        (("--profile", "dynabret"), EXIT_USAGE, 'did you mean "dynabert"?'),
        (("--load", "0"), EXIT_USAGE, "load: expected above 0"),
        (("--trace", "./missing.txt"), EXIT_NO_INPUT, "./missing.txt: cannot be read"),
        (("--profile", "./missing.json"), EXIT_NO_INPUT, "./missing.json: cannot be read"),
        (("--trace", str(ROOT / "README.md")), EXIT_DATA, "README.md:"),
        (("--profile", str(ROOT / "models/packages/linear/variant.json")), EXIT_DATA, "json: "),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, str], exit_code: int, part: str) -> None:
    right = {"--profile": "dynabert", "--trace": "poisson", "--policy": "tailored"}
    given = right | {arguments[0]: arguments[1]}
    ran = simulate(*(word for pair in given.items() for word in pair))
    assert ran.returncode == exit_code, ran.stderr
    assert part in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert ran.stdout == ""
