#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs ctest on a build and pytest, and ends with the counts of both and the reason of every skip.

Usage: tools/run_tests.py --build build/release [--label LABEL] [--no-python]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Counts:
    """Outcome of one runner."""

    passed: int = 0
    failed: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Number of skipped tests."""
        return sum(self.skips.values())


def read_junit(path: Path) -> Counts:
    """Counts the cases of a JUnit file; a missing file counts as one failure."""
    counts = Counts()
    if not path.exists():
        counts.failed = 1
        counts.failures.append(f"no result file {path.name}: the runner did not finish")
        return counts
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if skipped is not None:
            # ctest's own message only says by which of its properties it knew.
            output = (case.findtext("system-out") or "").strip()
            counts.skips[skip_reason(output or skipped.get("message") or "")] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            counts.failed += 1
            counts.failures.append(name)
        else:
            counts.passed += 1
    return counts


def skip_reason(text: str) -> str:
    """The line that says why: GoogleTest prints it after "Skipped", pytest as the message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.endswith(": Skipped") and number + 1 < len(lines):
            return lines[number + 1]
    return lines[-1] if lines else "no reason given"


def ctest_command(build: str, junit: Path, label: str | None) -> list[str]:
    """Every test of a build, or those of one label."""
    return [
        "ctest",
        "--test-dir",
        str(ROOT / build),
        "--output-on-failure",
        "--no-tests=error",
        "-j2",
        "--output-junit",
        str(junit),
        *(["-L", f"^{label}$"] if label else []),
    ]


def run(command: list[str]) -> None:
    """Runs a test runner; its verdict is read from its result file."""
    print("+ " + " ".join(command), flush=True)
    subprocess.run(command, cwd=ROOT, check=False)


def report(name: str, counts: Counts) -> None:
    """One line of counts, then failures and skips."""
    print(f"{name}: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    for failure in counts.failures:
        print(f"  failed: {failure}")
    for reason, number in sorted(counts.skips.items()):
        print(f"  skipped {number}: {reason}")


def main() -> int:
    """Exit code 0 when something ran and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--label", help="only the C++ tests that carry it")
    parser.add_argument("--no-python", action="store_true")
    arguments = parser.parse_args()
    totals: dict[str, Counts] = {}
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "ctest.xml"
        run(ctest_command(arguments.build, junit, arguments.label))
        totals["C++ (ctest)"] = read_junit(junit)
        if not arguments.no_python:
            junit = Path(folder) / "pytest.xml"
            run(
                [
                    str(ROOT / ".venv/bin/python"),
                    "-m",
                    "pytest",
                    "-q",
                    "-rs",
                    "compress/tests",
                    "tests",
                    "bench/policies",
                    f"--junitxml={junit}",
                ]
            )
            totals["Python (pytest)"] = read_junit(junit)
    print()
    for name, counts in totals.items():
        report(name, counts)
    passed, failed, skipped = (
        sum(getattr(c, key) for c in totals.values()) for key in ("passed", "failed", "skipped")
    )
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
