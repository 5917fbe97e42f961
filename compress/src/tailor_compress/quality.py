# SPDX-License-Identifier: Apache-2.0
"""Measures a family: scores, report, and the quality in each variant.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailor_compress.data.dataset import Dataset, Snapshot
from tailor_compress.data.views import VIEWS
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.claims import Measured, judged
from tailor_compress.evaluation.engine_cost import COSTS, measure
from tailor_compress.evaluation.facts import facts
from tailor_compress.evaluation.floors import bm25_scores, random_scores
from tailor_compress.evaluation.kendall import kendall_tau
from tailor_compress.evaluation.ladder_page import ladder_page, ladder_table, plot_svg
from tailor_compress.evaluation.metrics import Floats, list_metrics
from tailor_compress.evaluation.report import QUALITY_SET, make_report, quality
from tailor_compress.evaluation.rungs import rungs
from tailor_compress.evaluation.systems import Scores, Variant, family_variants
from tailor_compress.export.files import write_replacing
from tailor_compress.export.variant import MANIFEST, read_manifest, write_json
from tailor_compress.recipe import Recipe
from tailor_compress.workspace import Workspace

_BEGIN, _END = "<!-- report: begin -->", "<!-- report: end -->"


def recorded_snapshot(report: Path) -> Snapshot | None:
    """Return the snapshot that a family's report was measured on, None before the first."""
    if not report.is_file():
        return None
    return Snapshot(**json.loads(report.read_text(encoding="utf-8"))["data"])


def is_other_snapshot(space: Workspace, found: Snapshot) -> bool:
    """Whether the family was measured on other sets than those of ``found``."""
    recorded = recorded_snapshot(space.report)
    return recorded is not None and recorded.splits != found.splits


def _order(sets: Sequence[str]) -> list[str]:
    unknown = [name for name in sets if name not in VIEWS]
    if unknown:
        raise TailorError(f"sets out of {', '.join(VIEWS)}", ", ".join(unknown), "correct --sets")
    # The quality's set first: it is what a broken evaluation should not have to wait for.
    return sorted(set(sets) | {QUALITY_SET}, key=lambda name: (name != QUALITY_SET, name))


def evaluate(
    space: Workspace, sets: Sequence[str], split: str, tailor: Path | None = None
) -> dict[str, Any]:
    """Score every variant on ``sets`` (B always), write the report and, for test, the qualities.

    ``tailor`` is the program that scores, PyTorch without it. Returns the report. Qualities are
    written from the test split only: dev is for choosing.
    """
    dataset: Dataset = space.dataset()
    queries = space.recipe.evaluation.queries
    variants = family_variants(space.family, space.tried)
    system = Scores(dataset, split, space.scores, queries, tailor)
    scores: dict[str, dict[str, Floats]] = {}
    for name in _order(sets):
        view = VIEWS[name]
        scores[name] = {
            "random": random_scores(dataset, split)[:queries],
            "bm25": bm25_scores(dataset, split, view)[:queries],
            **{one.id: system.of(one, view) for one in variants},
        }
    ordered = {name: scores[name] for name in VIEWS if name in scores}
    teacher = teacher_of(space.recipe)
    report = make_report(ordered, dataset.snapshot, split, teacher)
    report |= _figures(space, variants, scores[QUALITY_SET], teacher)
    for one in variants:
        by_engine = system.is_engine_s(one, VIEWS[QUALITY_SET])
        report["systems"][one.id]["scored_by"] = "engine" if by_engine else "pytorch"
    if split == "test":
        _keep_former(report, space)
        write_json(space.report, report)
        update_readme(space.family / "README.md", ladder_table(report))
        for variant in variants:
            manifest = read_manifest(variant.folder)
            found = quality(report, dataset.snapshot, variant.id)
            if manifest.get("quality") != found:
                write_json(variant.folder / MANIFEST, {**manifest, "quality": found})
    return report


def teacher_of(recipe: Recipe) -> str | None:
    """Return the stage that others are compared with: the first one that is fine-tuned."""
    return next((one.id for one in recipe.stages if one.method == "fine_tune"), None)


def _figures(
    space: Workspace, variants: Sequence[Variant], scores: Mapping[str, Floats], teacher: str | None
) -> dict[str, Any]:
    """Return sizes, costs, agreement with the teacher, ladder and claims."""
    systems = {one.id: facts(one) for one in variants}
    for id_, row in systems.items():
        if teacher in scores:
            row["kendall_tau"] = round(kendall_tau(scores[id_], scores[str(teacher)]), 4)
    path = space.family / COSTS
    costs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"variants": {}}
    timed = {
        id_: row["ms_32x64"]
        for id_, row in costs["variants"].items()
        if id_ in systems and "ms_32x64" in row
    }
    by_query = {id_: list_metrics(one).ndcg10 for id_, one in scores.items()}
    shipped = {one.id for one in variants if one.ship}
    # Before the engine has measured anything, operations stand for time.
    paces = timed or {id_: row["flops"] for id_, row in systems.items()}
    ladder = rungs({id_: pace for id_, pace in paces.items() if id_ in shipped}, by_query)
    found = Measured(by_query, timed)
    return {
        "systems": systems,
        "costs": costs,
        "ladder": [
            {
                "id": one.id,
                "difference": None if one.step is None else round(one.step.difference, 4),
                "ci95": None
                if one.step is None
                else [round(one.step.low, 4), round(one.step.high, 4)],
            }
            for one in ladder
        ],
        "claims": [
            {"claim": one.claim, "published": one.published, "found": text, "verdict": verdict}
            for one in space.recipe.claims
            for text, verdict in (judged(one, found),)
        ],
    }


def _keep_former(report: dict[str, Any], space: Workspace) -> None:
    """Keep rows of stages whose results are no longer at hand: negative results stay."""
    if not space.report.is_file():
        return
    former = json.loads(space.report.read_text(encoding="utf-8"))
    if former["data"]["splits"] != report["data"]["splits"] or "systems" not in former:
        return
    known = {stage.id for stage in space.recipe.stages}
    for id_, row in former["systems"].items():
        if id_ in known and id_ not in report["systems"]:
            report["systems"][id_] = row
            for name, systems in report["results"].items():
                if id_ in former["results"].get(name, {}):
                    systems[id_] = former["results"][name][id_]


def measure_costs(space: Workspace, tailor: Path, options: Sequence[str]) -> None:
    """Let the server measure every variant, and keep what it says beside the report."""
    variants = family_variants(space.family, space.tried)
    space.tried.mkdir(parents=True, exist_ok=True)
    write_json(space.family / COSTS, measure(tailor, variants, options))


def write_page(space: Workspace, report: dict[str, Any], page: Path) -> None:
    """Write the page of a report and, when the engine has measured, its plot beside it."""
    hours: dict[str, float] = {}
    if space.record.is_file():
        for entry in json.loads(space.record.read_text(encoding="utf-8")).values():
            machine = entry["device"]
            hours[machine] = hours.get(machine, 0.0) + entry["wall_s"] / 3600
    svg, image = plot_svg(report), page.with_suffix(".svg")
    if svg is not None:
        write_replacing(image, svg)
    name = None if svg is None else image.name
    write_replacing(page, ladder_page(report, name, hours))


def update_readme(readme: Path, tables: str) -> None:
    """Put the tables between the report marks of a README; one without marks stays as it is."""
    if not readme.is_file():
        return
    before, begin, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if begin and end:
        readme.write_text(f"{before}{begin}\n{tables}\n{end}{after}", encoding="utf-8")
