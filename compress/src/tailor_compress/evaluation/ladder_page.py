# SPDX-License-Identifier: Apache-2.0
"""docs/ladder.md and its plot, from a family's report."""

from collections.abc import Mapping
from typing import Any

from tailor_compress.evaluation.plot import Point, plot
from tailor_compress.evaluation.report import QUALITY_SET, Json, figure, sets_table
from tailor_compress.tables import table

_FLOORS = ("bm25", "random")


def _number(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)


def _order(report: Json) -> list[str]:
    """Return the variants, the best on set B first."""
    on_b = report["results"][QUALITY_SET]
    return sorted(report["systems"], key=lambda id_: -on_b[id_]["ndcg10"])


def _size_mb(row: Json) -> str:
    return f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else f"of `{row['parents'][0]}`"


def ladder_table(report: Json) -> str:
    """Return every variant with quality, size and cost; floors last."""
    on_b, on_a = report["results"][QUALITY_SET], report["results"].get("A", {})
    rungs = {one["id"] for one in report["ladder"]}
    costs = report["costs"]["variants"]
    rows = []
    for id_ in _order(report):
        row, cost = report["systems"][id_], costs.get(id_, {})
        rows.append(
            [
                f"`{id_}`",
                "rung" if id_ in rungs else "" if row["ship"] else "not shipped",
                figure(on_b[id_], "ndcg10"),
                figure(on_a[id_], "ndcg10") if id_ in on_a else "",
                _number(row.get("kendall_tau"), ".3f"),
                f"{row['parameters'] / 1e6:.2f}",
                _size_mb(row),
                f"{row['flops'] / 1e6:.0f}",
                _number(cost.get("ms_1x128"), ".2f"),
                _number(cost.get("ms_32x64"), ".2f"),
                _number(cost.get("tokens_per_s"), ",d"),
            ]
        )
    for floor in _FLOORS:
        shown = figure(on_a[floor], "ndcg10") if floor in on_a else ""
        rows.append([floor, "floor", figure(on_b[floor], "ndcg10"), shown, *[""] * 7])
    header = [
        "variant",
        "ladder",
        "nDCG@10 on B",
        "nDCG@10 on A",
        "tau",
        "M parameters",
        "MB",
        "MFLOP",
        "ms 1x128",
        "ms 32x64",
        "tokens/s",
    ]
    return table(header, rows)


def _rungs(report: Json) -> str:
    costs, on_b = report["costs"]["variants"], report["results"][QUALITY_SET]
    rows = []
    for one in report["ladder"]:
        step = ""
        if one["ci95"] is not None:
            low, high = one["ci95"]
            step = f"{one['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
        cost = _number(costs.get(one["id"], {}).get("ms_32x64"), ".2f")
        rows.append([f"`{one['id']}`", cost, f"{on_b[one['id']]['ndcg10']:.3f}", step])
    return table(["rung", "ms 32x64", "nDCG@10 on B", "better than the rung below by"], rows)


def _made(report: Json) -> str:
    rows = [
        [
            f"`{id_}`",
            ", ".join(row["method"]),
            ", ".join(f"`{parent}`" for parent in row["parents"]),
            f"{row['seconds'] / 60:.1f}",
        ]
        for id_, row in ((one, report["systems"][one]) for one in _order(report))
    ]
    return table(["variant", "steps", "parents", "minutes"], rows)


def _claims(report: Json) -> str:
    rows = [
        [one["claim"], one["published"], one["found"], one["verdict"]] for one in report["claims"]
    ]
    return table(["claim", "published", "this family", "verdict"], rows)


def _problems(report: Json) -> list[str]:
    found = [
        f"- `{id_}`: {row['problem']}"
        for id_, row in report["costs"]["variants"].items()
        if "problem" in row
    ]
    return ["The engine refuses:", "\n".join(found)] if found else []


def plot_svg(report: Json) -> str | None:
    """Return the plot of quality against latency; None before the engine has measured."""
    costs, on_b = report["costs"]["variants"], report["results"][QUALITY_SET]
    rungs = {one["id"] for one in report["ladder"]}
    points = [
        Point(
            id_,
            costs[id_]["ms_32x64"],
            on_b[id_]["ndcg10"],
            on_b[id_]["ndcg10_ci95"][0],
            on_b[id_]["ndcg10_ci95"][1],
            id_ in rungs,
            report["systems"][id_]["ship"],
        )
        for id_ in _order(report)
        if "ms_32x64" in costs.get(id_, {})
    ]
    if not points:
        return None
    floors = [("BM25", on_b["bm25"]["ndcg10"])]
    return plot(points, floors, "milliseconds for 32 pairs of 64 tokens", "nDCG@10 on set B")


def _scorer(report: Json) -> str:
    by_torch = [id_ for id_ in _order(report) if _is_torch_s(report["systems"][id_])]
    if len(by_torch) == len(report["systems"]):
        return "scored by PyTorch"
    left = ", ".join(f"`{id_}`" for id_ in by_torch)
    return "scored by the C++ engine" + (f" ({left}: by PyTorch)" if left else "")


def _is_torch_s(row: Json) -> bool:
    return bool(row.get("scored_by") != "engine")


def ladder_page(report: Json, svg: str | None, hours: Mapping[str, float]) -> str:
    """Return docs/ladder.md; ``svg`` is the plot's file, ``hours`` the time spent by machine."""
    data, costs = report["data"], report["costs"]
    spent = "; ".join(f"{value:.1f} h on {machine}" for machine, value in hours.items())
    parts = [
        "# The ladder",
        "Written by `tailor-compress report`; do not edit. Quality is that of the exported files, "
        f"{_scorer(report)}; a rung costs more than the one below and is better by a paired "
        "bootstrap (95 % interval above 0).",
        f"Data: release {data['release']}, corpus `{data['corpus'][:16]}`, {report['split']} split "
        f"`{data['splits'][report['split']][:16]}`. Made in {spent or 'an unrecorded time'}.",
    ]
    if costs.get("host"):
        parts.append(
            f"Costs: `tailor serve` on {costs['host']}, {costs['threads']} threads, "
            f"instruction set {costs['isa']}; ms of one pair of 128 tokens and of 32 pairs of 64. "
            "MFLOP: of one pair of 128 tokens. tau: Kendall's, against the teacher, mean over "
            "queries. MB: of the variant's own weights."
        )
    if svg is not None:
        parts.append(f"![quality against latency]({svg})")
    parts += ["## Rungs", _rungs(report), "## Every variant", ladder_table(report)]
    parts += _problems(report)
    if report["claims"]:
        parts += ["## Published claims", _claims(report)]
    parts += ["## How they were made", _made(report), "## All sets", sets_table(report)]
    return "\n\n".join(parts) + "\n"
