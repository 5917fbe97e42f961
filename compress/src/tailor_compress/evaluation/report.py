# SPDX-License-Identifier: Apache-2.0
"""The results of a family: every system on every set, with intervals and paired tests."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from tailor_compress.data.dataset import Snapshot
from tailor_compress.evaluation.bootstrap import interval, paired
from tailor_compress.evaluation.metrics import Floats, Metrics, list_metrics
from tailor_compress.tables import table

# The set whose nDCG@10 is a variant's quality.
QUALITY_SET = "B"
_METRICS = ("ndcg10", "mrr10", "accuracy1")

Json = dict[str, Any]
# Scores [queries, 32] by set and system.
Scores = Mapping[str, Mapping[str, Floats]]


def _summary(metrics: Metrics) -> Json:
    values = {name: getattr(metrics, name) for name in _METRICS}
    row: Json = {"n": len(metrics.ndcg10)}
    for name, per_query in values.items():
        low, high = interval(per_query)
        row[name] = round(float(per_query.mean()), 4)
        row[f"{name}_ci95"] = [round(low, 4), round(high, 4)]
    return row


def make_report(scores: Scores, snapshot: Snapshot, split: str, against: str | None) -> Json:
    """Summarise all systems on all sets, and compare them: neighbours, and all with ``against``."""
    metrics = {
        view: {system: list_metrics(found) for system, found in systems.items()}
        for view, systems in scores.items()
    }
    results = {
        view: {system: _summary(found) for system, found in systems.items()}
        for view, systems in metrics.items()
    }
    comparisons = [
        {"set": view, **one}
        for view, systems in metrics.items()
        for one in _comparisons({name: one.ndcg10 for name, one in systems.items()}, against)
    ]
    return {"data": asdict(snapshot), "split": split, "results": results, "paired": comparisons}


def _comparisons(values: Mapping[str, Floats], against: str | None) -> list[Json]:
    """Compare each system with the next better one, and all with ``against``."""
    ranked = sorted((n for n in values if n != "random"), key=lambda n: -float(values[n].mean()))
    pairs = dict.fromkeys(pairwise(ranked))
    if against in ranked:
        at = ranked.index(str(against))
        pairs |= dict.fromkeys((one, ranked[at]) for one in ranked[:at])
        pairs |= dict.fromkeys((ranked[at], one) for one in ranked[at + 1 :])
    found = []
    for first, second in pairs:
        test = paired(values[first], values[second])
        found.append(
            {
                "first": first,
                "second": second,
                "difference": round(test.difference, 4),
                "ci95": [round(test.low, 4), round(test.high, 4)],
                "p": round(test.p, 4),
            }
        )
    return found


def quality(report: Json, snapshot: Snapshot, system: str) -> Json:
    """Return the ``quality`` of variant.json for one system of a report."""
    row = report["results"][QUALITY_SET][system]
    return {
        "dataset_id": snapshot.id,
        "split_hash": snapshot.splits[report["split"]],
        "n": row["n"],
        "ndcg10": row["ndcg10"],
        "mrr10": row["mrr10"],
        "accuracy1": row["accuracy1"],
        "ci95": row["ndcg10_ci95"],
    }


def figure(row: Json, name: str) -> str:
    """Return a metric with its interval."""
    low, high = row[f"{name}_ci95"]
    return f"{row[name]:.3f} [{low:.3f}, {high:.3f}]"


def sets_table(report: Json) -> str:
    """Return one row per set and system."""
    rows = [
        [view, system, str(row["n"]), *(figure(row, name) for name in _METRICS)]
        for view, systems in report["results"].items()
        for system, row in systems.items()
    ]
    return table(["set", "system", "queries", "nDCG@10", "MRR@10", "accuracy@1"], rows)


def markdown(report: Json) -> str:
    """Return the report as Markdown tables: one row per set and system, then the paired tests."""
    data = report["data"]
    comparisons = [
        [
            one["set"],
            f"{one['first']} - {one['second']}",
            f"{one['difference']:+.3f} [{one['ci95'][0]:+.3f}, {one['ci95'][1]:+.3f}]",
            f"{one['p']:.4f}",
        ]
        for one in report["paired"]
    ]
    return "\n\n".join(
        [
            f"Data: release {data['release']}, corpus `{data['corpus'][:16]}`, "
            f"{report['split']} split `{data['splits'][report['split']][:16]}`.",
            sets_table(report),
            "Paired differences of nDCG@10 (bootstrap over queries, two-sided p):",
            table(["set", "systems", "difference", "p"], comparisons),
        ]
    )
