#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one server, three queries, 32 real documents each, five latency budgets.

Usage: tools/demo.py [--tailor build/release/cli/tailor] [--family models/packages]
                     [--documents FILE]
Prints a table per query; exit code 0 when every query was answered under the largest budget and the
server has stopped cleanly, else 1 with one line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from fetch_documents import STATE, Document, FetchError, QueryDocuments, query_documents
from server_process import ServerError, ServerProcess

ROOT = Path(__file__).resolve().parent.parent
BUDGETS_MS = (2, 10, 50, 250, 1000)
TOP = 5
COLUMNS = 118
RANK_TIMEOUT_S = 60
TRIES = 3  # of a budget that was missed or met a backlog: other work may have had the cores
# A tight budget that the machine cannot keep is part of the show; anything else is a failure.
LATE = {"DEADLINE", "DEADLINE_EXCEEDED"}  # as the server sees it, as the client does
REFUSALS = {"BUDGET_INFEASIBLE", "OVERLOADED", *LATE}


class DemoError(Exception):
    """One line: what went wrong."""


@dataclass(frozen=True)
class Hit:
    """A ranked document."""

    score: float
    index: int


@dataclass
class Row:
    """What came of one budget."""

    budget_ms: int
    variant: str = ""
    predicted_ms: float = 0.0
    actual_ms: float = 0.0
    hits: list[Hit] = field(default_factory=list)
    refusal: str = ""
    is_final: bool = True  # no other outcome is to be expected of another try
    ended: float = field(default_factory=time.monotonic)


def refusal_text(error: dict[str, object]) -> str:
    """The cell of a budget that was refused."""
    smallest = error.get("smallest_feasible_budget_ms")
    if isinstance(smallest, int | float):
        return f"refused: smallest feasible budget {smallest:.1f} ms"
    if error.get("reason") in LATE:
        return "missed: no answer in time"
    return f"refused: {error.get('reason')}: {error.get('message')}"


def row_from(budget_ms: int, answer: dict[str, object]) -> Row:
    """Reads what `tailor rank --json` has printed; DemoError when it is no answer or refusal."""
    error = answer.get("error")
    if isinstance(error, dict):
        if error.get("reason") not in REFUSALS:
            raise DemoError(f"budget {budget_ms} ms: {error.get('reason')}: {error.get('message')}")
        is_final = error.get("reason") == "BUDGET_INFEASIBLE"
        return Row(budget_ms, refusal=refusal_text(error), is_final=is_final)
    execution, results = answer.get("execution"), answer.get("results")
    if not isinstance(execution, dict) or not isinstance(results, list):
        raise DemoError(f"budget {budget_ms} ms: expected results and execution, got {answer}")
    return Row(
        budget_ms,
        variant=str(execution["variant"]),
        predicted_ms=float(execution["predicted_ms"]),
        actual_ms=float(execution["total_ms"]),
        hits=[Hit(float(result["score"]), int(result["index"])) for result in results],
    )


def rank(tailor: Path, server: str, query: str, documents: Path, budget_ms: int) -> Row:
    """One call through the command-line client."""
    command = [
        *(str(tailor), "rank", "--json", "--server", server, "--query", query),
        *("--budget", f"{budget_ms}ms", "--top", str(TOP), "--documents", str(documents)),
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=RANK_TIMEOUT_S
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        detail = done.stderr.strip().splitlines()
        raise DemoError(
            f"tailor rank ended with exit code {done.returncode}: "
            f"{detail[-1] if detail else 'no message'}"
        ) from None
    return row_from(budget_ms, answer)


def table_lines(rows: list[Row], documents: list[Document]) -> list[str]:
    """The table of one query, at most COLUMNS wide."""
    width = max([len("variant"), *(len(row.variant) for row in rows)])
    left = f"{'budget':>9}  {'variant':<{width}}  {'predicted':>10}  {'actual':>10}  "
    lines = [left + f"top {TOP}: score, package, first words"]
    for row in rows:
        budget = f"{row.budget_ms:>6} ms  "
        if row.refusal:
            lines.append((budget + row.refusal)[:COLUMNS])
            continue
        start = budget + (
            f"{row.variant:<{width}}  {row.predicted_ms:>7.2f} ms  {row.actual_ms:>7.2f} ms  "
        )
        for hit in row.hits:
            document = documents[hit.index]
            line = f"{start}{hit.score:7.4f}  {document.name}: {document.text}"
            lines.append(line if len(line) <= COLUMNS else line[: COLUMNS - 3] + "...")
            start = " " * len(left)
    return lines


def rank_under_all_budgets(tailor: Path, server: str, entry: QueryDocuments) -> list[Row]:
    """The rows of one query; DemoError when even the largest budget gets no answer."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(document.text + "\n" for document in entry.documents)
        file.flush()
        rows = []
        for budget_ms in BUDGETS_MS:
            for _ in range(TRIES):
                row = rank(tailor, server, entry.query, Path(file.name), budget_ms)
                if row.is_final:
                    break
            rows.append(row)
    if rows[-1].refusal:
        raise DemoError(f"no answer even within {rows[-1].budget_ms} ms: {rows[-1].refusal}")
    return rows


def run(tailor: Path, family: Path, entries: list[QueryDocuments]) -> None:
    """Starts the server, ranks, prints, stops the server."""
    with ServerProcess(tailor, family, log=STATE / "server.log") as server:
        print(f"server ready after {server.ready_s:.2f} s (gRPC {server.grpc}, HTTP {server.http})")
        first_answer_s = 0.0
        for entry in entries:
            rows = rank_under_all_budgets(tailor, server.grpc, entry)
            answered = min(row.ended for row in rows if not row.refusal)
            first_answer_s = first_answer_s or answered - server.started
            print(f'\nquery "{entry.query}", {len(entry.documents)} documents')
            print("\n".join(table_lines(rows, entry.documents)), flush=True)
    print(f"\nfirst answer {first_answer_s:.2f} s after the start of the server; server stopped")


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tailor", type=Path, default=ROOT / "build/release/cli/tailor")
    parser.add_argument("--family", type=Path, default=ROOT / "models/packages")
    parser.add_argument("--documents", type=Path, help="file with one document a line")
    arguments = parser.parse_args()
    try:
        entries = query_documents(arguments.documents)
        run(arguments.tailor, arguments.family, entries)
    except (DemoError, FetchError, ServerError, OSError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
