#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when the documents claim what is no longer true.

Checked: the eight-file table of ARCHITECTURE.md (each file exists and holds the types named in its
row), paths in back quotes, relative links, `make` targets, and the numbering of the ADRs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOP_FOLDERS = (
    "base",
    "engine",
    "server",
    "client",
    "cli",
    "compress",
    "models",
    "bench",
    "tests",
    "tools",
    "proto",
    "docs",
    "cmake",
    "deploy",
)
PATH = re.compile(r"`((?:{})/[A-Za-z0-9_./-]+)`".format("|".join(TOP_FOLDERS)))
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MAKE = re.compile(r"`make ([a-z][a-z-]*)")
ROW = re.compile(r"^\|\s*(\d)\s*\|\s*`([^`]+)`\s*\|.*\|\s*([^|]*)\|\s*$")


def documents() -> list[Path]:
    """Markdown files of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def make_targets() -> set[str]:
    """Targets of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))


def check_paths(document: Path, text: str, targets: set[str]) -> list[str]:
    """Back-quoted paths, links and make targets of one document."""
    name = document.relative_to(ROOT)
    problems = []
    for path in PATH.findall(text):
        if not (ROOT / path.rstrip("/")).exists():
            problems.append(f"{name}: `{path}` does not exist")
    for link in LINK.findall(text):
        if not (document.parent / link).exists():
            problems.append(f"{name}: link to {link} leads nowhere")
    for target in MAKE.findall(text):
        if target not in targets:
            problems.append(f"{name}: `make {target}` is not a target of the Makefile")
    return problems


def check_eight_files(text: str) -> list[str]:
    """Rows `| n | `file` | what | `Type` `Type` |` of the path of a request."""
    rows = [match for match in map(ROW.match, text.splitlines()) if match]
    problems = []
    if [row.group(1) for row in rows] != [str(n) for n in range(1, 9)]:
        problems.append(
            f"ARCHITECTURE.md: expected the eight-file table with rows 1 to 8, got {len(rows)} rows"
        )
    for row in rows:
        path = ROOT / row.group(2)
        if not path.exists():
            problems.append(f"ARCHITECTURE.md: row {row.group(1)}: {row.group(2)} does not exist")
            continue
        sources = (
            sorted(path.glob("*.cc")) + sorted(path.glob("*.h"))
            if path.is_dir()
            else [path, path.with_suffix(".h")]
        )
        code = "\n".join(s.read_text(encoding="utf-8") for s in sources if s.exists())
        for type_name in re.findall(r"`([A-Za-z_]+)`", row.group(3)):
            if not re.search(rf"\b{type_name}\b", code):
                problems.append(
                    f"ARCHITECTURE.md: row {row.group(1)}: {type_name} is not in {row.group(2)}"
                )
    return problems


def check_adrs() -> list[str]:
    """ADRs are numbered without gaps or duplicates."""
    numbers = sorted(int(p.name[:4]) for p in (ROOT / "docs/adr").glob("[0-9][0-9][0-9][0-9]-*.md"))
    if numbers != list(range(1, len(numbers) + 1)):
        return [f"docs/adr: expected numbers 1 to {len(numbers)}, got {numbers}"]
    return []


def main() -> int:
    """Prints every problem; exit code 1 when there is one."""
    targets = make_targets()
    problems = check_adrs()
    for document in documents():
        text = document.read_text(encoding="utf-8")
        problems += check_paths(document, text, targets)
        if document == ROOT / "ARCHITECTURE.md":
            problems += check_eight_files(text)
    for problem in problems:
        print(problem)
    print(f"check_docs: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
