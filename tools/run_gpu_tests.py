#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests labelled `gpu` of a build, with counts, then the same under compute-sanitizer.

Usage: tools/run_gpu_tests.py --build build/cuda

Without a GPU every test says why it is skipped, and the exit code is 1: nothing was tested.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / ".venv-cuda/cuda/bin"
LIMIT_S = 1800  # of one program under one tool; racecheck is the slow one


def binaries(listing: dict[str, Any]) -> list[str]:
    """The programs of `ctest --show-only=json-v1`, each once."""
    return sorted({test["command"][0] for test in listing["tests"] if "command" in test})


def gpu_tests(build: Path) -> list[str]:
    """The programs that hold tests labelled gpu."""
    shown = subprocess.run(
        ["ctest", "--test-dir", str(build), "-L", "^gpu$", "--show-only=json-v1"],
        check=True,
        capture_output=True,
        text=True,
    )
    return binaries(json.loads(shown.stdout))


def gpu_missing() -> str | None:
    """Why there is no GPU to run on, or nothing."""
    if not shutil.which("nvidia-smi"):
        return "no nvidia-smi on PATH"
    listed = subprocess.run(["nvidia-smi", "-L"], check=False, capture_output=True, text=True)
    if listed.returncode != 0 or "GPU 0" not in listed.stdout:
        lines = (listed.stdout + listed.stderr).strip().splitlines()
        return f"nvidia-smi sees no GPU: {lines[0] if lines else 'no output'}"
    return None


def succeeds(command: list[str]) -> bool:
    """Whether the command ends well, and in time."""
    try:
        return subprocess.run(command, cwd=ROOT, check=False, timeout=LIMIT_S).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"compute-sanitizer: ended after {LIMIT_S} s")
        return False


def sanitize(sanitizer: str, tests: list[str]) -> int:
    """Number of runs with an error; each test program under each tool, in one process."""
    failed = 0
    for tool in ("memcheck", "racecheck"):
        for test in tests:
            # Ours alone: cuBLASLt's kernels are not ours to mend, and there are many.
            ours = ["--kernel-name", "kernel_substring=tailor"]
            command = [sanitizer, "--tool", tool, *ours, "--error-exitcode", "1", test]
            print("+ " + " ".join(command), flush=True)
            failed += not succeeds(command)
    print(f"compute-sanitizer: {2 * len(tests)} runs, {failed} failed")
    return failed


def main() -> int:
    """Exit code 0 when tests ran on a GPU and neither they nor compute-sanitizer found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/cuda")
    arguments = parser.parse_args()
    runner = [sys.executable, str(ROOT / "tools/run_tests.py"), "--build", arguments.build]
    ran = subprocess.run([*runner, "--label", "gpu", "--no-python"], cwd=ROOT, check=False)
    sanitizer = shutil.which("compute-sanitizer") or shutil.which(WHEELS / "compute-sanitizer")
    missing = gpu_missing() if sanitizer else "expected it on PATH or in .venv-cuda, got neither"
    if sanitizer is None or missing:
        print(f"compute-sanitizer: not run: {missing}")
        return ran.returncode or 1
    return 1 if sanitize(sanitizer, gpu_tests(ROOT / arguments.build)) or ran.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
