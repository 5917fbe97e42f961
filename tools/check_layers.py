#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a C++ file includes what its folder may not, when folders form a cycle, or when a
file is longer than 500 lines.

The table below is the design's layer rule; CMake's link lines repeat it, this script enforces it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 500

# folder -> folders of this project that it may include, beside itself.
_ENGINE_BELOW = {"base", "engine/tensor", "engine/model", "engine/api"}
_PIPELINE_BELOW = _ENGINE_BELOW | {"server/text", "server/telemetry", "server/pipeline"}
ALLOWED: dict[str, set[str]] = {
    "base": set(),
    "engine/tensor": {"base"},
    "engine/model": {"base", "engine/tensor"},
    "engine/api": {"base", "engine/tensor", "engine/model"},
    "engine/reference": _ENGINE_BELOW,
    "engine/cpu": _ENGINE_BELOW | {"engine/cpu/kernels"},
    "engine/cpu/kernels": {"base"},
    "engine/cuda": _ENGINE_BELOW | {"engine/cuda/kernels"},
    "engine/cuda/kernels": {"base"},
    "engine/linear": _ENGINE_BELOW,
    "engine": _ENGINE_BELOW | {"engine/reference", "engine/cpu", "engine/cuda", "engine/linear"},
    "server/text": {"base"},
    "server/telemetry": {"base"},
    "server/pipeline": _PIPELINE_BELOW - {"server/pipeline"},
    "server/pipeline/policies": _PIPELINE_BELOW,
    "server/rpc": _PIPELINE_BELOW,
    "server/http": _PIPELINE_BELOW,
    "server/simulator": _PIPELINE_BELOW,
    "server": _PIPELINE_BELOW | {"engine", "server/pipeline/policies", "server/rpc", "server/http"},
    "client": {"base"},
}
# Tops of the graph: they may include anything, and only tests include tests.
UNRESTRICTED = ("cli", "tests", "bench")

# external header prefix -> the only folders that may include it; a name with a slash at its end
# stands for the folder and everything below it.
_EDGE = ("server/rpc", "server", "client", "cli", "tests/", "bench/")
EXTERNAL: dict[str, tuple[str, ...]] = {
    "grpc": _EDGE,
    "tailor/v1/": _EDGE,
    "google/": _EDGE,
    "oneapi/dnnl/": ("engine/cpu",),
    "dnnl": ("engine/cpu",),
    "cuda": ("engine/cuda", "engine/cuda/kernels"),
    "cublas": ("engine/cuda",),
    "prometheus/": ("server/telemetry",),
    "httplib": ("server/http", "cli", "tests/"),
    "utf8proc": ("server/text", "client"),
    "CLI/": ("server", "client", "cli", "tests/"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def source_files() -> list[Path]:
    """Tracked and new C++ files of the project."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.cc",
            "*.h",
            "*.cu",
            "*.cuh",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def folder_of(path: str) -> str:
    """The layer that a file belongs to: its folder."""
    return str(Path(path).parent)


def is_test(path: Path) -> bool:
    """Tests and benchmarks may reach for fakes and for whatever they measure."""
    return path.stem.endswith(("_test", "_bench", "_fuzz"))


def external_violation(folder: str, header: str) -> str | None:
    """The rule that an external include breaks, or nothing."""
    for prefix, folders in EXTERNAL.items():
        if header.startswith(prefix):
            allowed = any(
                folder == f or (f"{folder}/".startswith(f) and f.endswith("/")) for f in folders
            )
            return None if allowed else f"only {', '.join(folders)} may include <{prefix}...>"
    return None


def check_file(path: Path, edges: dict[str, set[str]]) -> list[str]:
    """Problems of one file; records the folder edges of non-test code in `edges`."""
    name = str(path.relative_to(ROOT))
    folder = folder_of(name)
    lines = path.read_text(encoding="utf-8").splitlines()
    problems = []
    if len(lines) > MAX_LINES:
        problems.append(f"{name}: expected at most {MAX_LINES} lines, got {len(lines)}")
    free = folder.split("/")[0] in UNRESTRICTED or is_test(path)
    if not free and folder not in ALLOWED:
        problems.append(f"{name}: folder {folder} is not in the layer table")
        return problems
    for number, line in enumerate(lines, start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1) or match.group(2)
        target = folder_of(header)
        where = f"{name}:{number}"
        if (ROOT / header).exists():
            if target == folder or free:
                continue
            edges.setdefault(folder, set()).add(target)
            if target not in ALLOWED[folder]:
                problems.append(f"{where}: {folder} may not include {target} ({header})")
        elif not is_test(path):
            violation = external_violation(folder, header)
            if violation:
                problems.append(f"{where}: {violation}")
    return problems


def find_cycle(edges: dict[str, set[str]]) -> list[str] | None:
    """One cycle of the folder graph, or nothing."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str] | None:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return None
        for following in sorted(edges.get(node, set())):
            cycle = visit(following, [*trail, node])
            if cycle:
                return cycle
        done.add(node)
        return None

    for start in sorted(edges):
        cycle = visit(start, [])
        if cycle:
            return cycle
    return None


def main() -> int:
    """Prints every problem; exit code 1 when there is one."""
    edges: dict[str, set[str]] = {}
    files = source_files()
    problems = [problem for path in files for problem in check_file(path, edges)]
    cycle = find_cycle(edges)
    if cycle:
        problems.append("folder cycle: " + " -> ".join(cycle))
    for problem in problems:
        print(problem)
    print(f"check_layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
