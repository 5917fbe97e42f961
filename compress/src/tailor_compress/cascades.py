# SPDX-License-Identifier: Apache-2.0
"""Measures what cascades of a family's variants bring, and writes its calibration.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_compress.data.views import VIEWS
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.cascade import (
    ROWS,
    CurvePoint,
    Cut,
    Pair,
    all_pairs,
    calibration,
    curve,
    useful_pairs,
)
from tailor_compress.evaluation.cascade_alternatives import (
    by_calibration,
    quality_of_three,
    three_passes,
)
from tailor_compress.evaluation.cascade_plot import cascade_plot
from tailor_compress.evaluation.engine_cost import COSTS
from tailor_compress.evaluation.kendall import kendall_tau
from tailor_compress.evaluation.report import QUALITY_SET
from tailor_compress.evaluation.systems import Scores, Variant, family_variants
from tailor_compress.export.files import write_replacing
from tailor_compress.export.variant import read_manifest, write_json
from tailor_compress.tables import table
from tailor_compress.workspace import Workspace

CALIBRATION = "calibration.json"
_VERSION = 1


def _front(variants: Sequence[Variant], costs: Mapping[str, float]) -> list[Variant]:
    """Return the variants that no cheaper one equals in quality, the cheapest first.

    Raises TailorError when the engine has not measured them.
    """
    known = [
        (costs[one.id], float(read_manifest(one.folder)["quality"]["ndcg10"]), one)
        for one in variants
        if one.id in costs and read_manifest(one.folder).get("quality")
    ]
    found: list[tuple[float, Variant]] = []
    for _, quality, one in sorted(known, key=lambda row: (row[0], -row[1])):
        if not found or quality > found[-1][0]:
            found.append((quality, one))
    if len(found) < 2:
        raise TailorError(
            "two shipped variants with a quality and a cost",
            str(len(found)),
            "run `tailor-compress evaluate` and `tailor-compress report --tailor PROGRAM`",
        )
    return [one for _, one in found]


def _costs(path: Path) -> dict[str, float]:
    if not path.is_file():
        raise TailorError(
            f"measured costs in {path}", "none", "run `tailor-compress report --tailor PROGRAM`"
        )
    rows = json.loads(path.read_text(encoding="utf-8"))["variants"]
    return {id_: row["ms_32x64"] for id_, row in rows.items() if "ms_32x64" in row}


def _content(cuts: Mapping[str, Cut], pairs: Sequence[Pair], data: dict[str, Any]) -> Any:
    reference = max(cuts.values(), key=lambda cut: cut.quality)
    size = reference.scores.shape[1]
    used = [id_ for id_ in cuts if any(id_ in (pair.first, pair.second) for pair in pairs)]
    singles = [id_ for id_ in cuts if id_ not in used]
    return {
        "version": _VERSION,
        "measured_on": data,
        "reference": reference.id,
        "variants": [
            {
                "id": id_,
                "ndcg10": round(cuts[id_].quality, 4),
                "kendall_tau": round(kendall_tau(cuts[id_].scores, reference.scores), 4),
                "knots": calibration(cuts[id_].scores, reference.scores),
            }
            for id_ in [*used, *singles]
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "points": [
                    [round(rows / size, 4), round(quality, 4)]
                    for rows, quality in zip(ROWS, pair.qualities, strict=True)
                ],
            }
            for pair in pairs
        ],
    }


def _table(points: Sequence[CurvePoint], dev: Mapping[str, Cut], test: Mapping[str, Cut]) -> str:
    rows = []
    thrice = three_passes(dev)
    wanted = (0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0)
    for ms in wanted:
        before = [point for point in points if point.ms <= ms]
        if not before:
            continue
        point = before[-1]
        plan = point.plan
        how = plan.first if plan.rows == 0 else f"{plan.first}, then {plan.second} on {plan.rows}"
        gain = f"{point.planned - point.single:+.3f}"
        calibrated = (
            ""
            if plan.rows == 0
            else f"{by_calibration(plan.first, plan.second, plan.rows, dev, test):.3f}"
        )
        three = quality_of_three(point.ms, thrice, test)
        others = [calibrated, "" if three is None else f"{three:.3f}"]
        figures = [f"{point.ms:.2f}", f"{point.single:.3f}", f"{point.planned:.3f}", gain]
        rows.append([*figures, how, *others])
    header = ["ms", "best single cut", "planned", "difference", "plan"]
    return table([*header, "merged by calibrated score", "three passes"], rows)


def calibrate(space: Workspace, tailor: Path | None, plot: Path) -> str:
    """Write the family's calibration.json and the plot; return the curve as a table.

    Pairs and maps are measured on the dev split, the curve on test. Without ``tailor`` only
    variants whose scores by the engine are kept take part.
    """
    costs = _costs(space.family / COSTS)
    variants = _front(family_variants(space.family), costs)
    dataset = space.dataset()
    cuts: dict[str, dict[str, Cut]] = {}
    view = VIEWS[QUALITY_SET]
    for split in ("dev", "test"):
        kept = Scores(dataset, split, space.scores, space.recipe.evaluation.queries, tailor)
        cuts[split] = {
            one.id: Cut(one.id, costs[one.id], kept.of(one, view))
            for one in variants
            if tailor is not None or kept.is_engine_s(one, view)
        }
    dev = cuts["dev"]
    if len(dev) < 2:
        raise TailorError(
            "scores of two variants on the dev lists", str(len(dev)), "give --tailor PROGRAM"
        )
    pairs = useful_pairs(dev, all_pairs(list(dev.values())))
    data = {
        "dataset_id": dataset.snapshot.id,
        "split": "dev",
        "split_hash": dataset.snapshot.splits["dev"],
        "n": len(next(iter(dev.values())).scores),
    }
    write_json(space.family / CALIBRATION, _content(dev, pairs, data))
    points = curve(dev, cuts["test"], pairs)
    write_replacing(plot, cascade_plot(points))
    return _table(points, dev, cuts["test"])
