#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nDCG@10 of a running server at several budgets, with and without cascades, on the test lists.

Lists are sent one after the other, with and without cascade in turns, so that both meet the same
machine. Between two there is a pause: the server takes calls that come without one for a load that
goes on, and serves them as it would under that load. A call that is refused or late counts as 0.

Usage: .venv/bin/python bench/service/cascade.py [--family DIR] [--lists 100] [--budgets 3,5,8]
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from grpc_tools import protoc  # type: ignore[import-untyped]
from measurement import FAMILY, RESULTS, ROOT, TAILOR, BenchError, heading, publish, table
from server_process import ServerError, ServerProcess
from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import VIEWS
from tailor_compress.evaluation.report import QUALITY_SET
from tailor_compress.evaluation.systems import view_texts

BUDGETS = "2,3,5,8,12,16,20,25"
CUTOFF = 10
US_PER_MS = 1000


@dataclass
class Arm:
    """Calls of one budget, with cascades or without."""

    gains: list[float] = field(default_factory=list)  # nDCG@10 of each answer
    lost: int = 0
    total_ms: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    twice: list[int] = field(default_factory=list)  # documents that were scored twice

    @property
    def effective(self) -> float:
        """Mean nDCG@10 over all calls, 0 for those without an answer in time."""
        return sum(self.gains) / max(1, len(self.gains) + self.lost)


def gain(results: Any) -> float:
    """nDCG@10 of an answer to a list whose right document is number 0."""
    for rank, document in enumerate(results[:CUTOFF]):
        if document.index == 0:
            return 1 / math.log2(2 + rank)
    return 0.0


def call(ranker: Any, request: Any, arm: Arm) -> None:
    """Sends one list and keeps what came."""
    try:
        answer = ranker.Rank(request)
    except grpc.RpcError:
        arm.lost += 1
        return
    arm.gains.append(gain(answer.results))
    arm.total_ms.append(answer.execution.total_us / US_PER_MS)
    arm.reasons[answer.execution.reason] += 1
    arm.variants[answer.execution.variant] += 1
    if answer.execution.reason == "cascade":
        last = answer.execution.variant
        arm.twice.append(sum(document.variant == last for document in answer.results))


def row(budget_ms: float, name: str, arm: Arm) -> list[str]:
    """One line of the table."""
    mean_ms = sum(arm.total_ms) / max(1, len(arm.total_ms))
    variant, count = arm.variants.most_common(1)[0] if arm.variants else ("none", 0)
    twice = f"{sum(arm.twice) / len(arm.twice):.1f}" if arm.twice else ""
    share = arm.reasons["cascade"] / max(1, len(arm.gains))
    return [
        f"{budget_ms:g}",
        name,
        f"{arm.effective:.3f}",
        str(arm.lost),
        f"{mean_ms:.1f}",
        f"{100 * share:.0f} %",
        twice,
        f"{variant} ({count})",
    ]


def measure(
    address: str, stubs: Path, dataset: Dataset, options: argparse.Namespace
) -> dict[tuple[float, str], Arm]:
    """Returns the arms by (budget, name)."""
    sys.path.insert(0, str(stubs))
    messages = importlib.import_module("tailor.v1.ranker_pb2")
    services = importlib.import_module("tailor.v1.ranker_pb2_grpc")
    arms: dict[tuple[float, str], Arm] = {}
    with grpc.insecure_channel(address) as channel:
        ranker = services.RankerStub(channel)
        for budget in map(float, options.budgets.split(",")):
            for query, documents in view_texts(dataset, "test", VIEWS[QUALITY_SET], options.lists):
                for name, cascade in (("off", 2), ("auto", 1)):
                    request = messages.RankRequest(
                        query=query.encode(),
                        documents=[text.encode() for text in documents],
                        options=messages.ServingOptions(
                            latency_budget_us=round(budget * US_PER_MS)
                        ),
                        cascade=cascade,
                    )
                    time.sleep(options.gap_ms / 1000)
                    call(ranker, request, arms.setdefault((budget, name), Arm()))
    return arms


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--data", type=Path, default=ROOT / ".cache/packages/data")
    parser.add_argument("--tailor", type=Path, default=TAILOR)
    parser.add_argument("--lists", type=int, default=100)
    parser.add_argument("--gap-ms", type=float, default=100, help="pause before each call")
    parser.add_argument("--budgets", default=BUDGETS, help="ms, with commas")
    options = parser.parse_args()
    try:
        dataset = Dataset.load(options.data)
        with tempfile.TemporaryDirectory() as place:
            stubs = Path(place)
            include = ["-I" + str(ROOT / "proto"), f"--python_out={stubs}"]
            made = protoc.main(
                ["protoc", *include, f"--grpc_python_out={stubs}", "tailor/v1/ranker.proto"]
            )
            if made != 0:
                raise BenchError("expected stubs of proto/tailor/v1/ranker.proto, got an error")
            log = RESULTS / "cascade-server.log"
            with ServerProcess(options.tailor, options.family, log=log) as server:
                arms = measure(server.grpc, stubs, dataset, options)
    except (BenchError, ServerError, OSError) as error:
        print(f"cascade: {error}", file=sys.stderr)
        return 1
    rows = [row(budget, name, arm) for (budget, name), arm in arms.items()]
    header = ["budget ms", "cascade", "nDCG@10", "lost", "mean ms", "cascades", "twice", "variant"]
    lines = heading(f"Cascades on {options.lists} test lists, {options.gap_ms:g} ms apart") + table(
        header, rows
    )
    publish("cascade", lines, [dict(zip(header, one, strict=True)) for one in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
