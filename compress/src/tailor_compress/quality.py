# SPDX-License-Identifier: Apache-2.0
"""Measures a family: scores, report, and the quality in each variant.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailor_compress.data.dataset import Dataset, Snapshot
from tailor_compress.data.views import VIEWS
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.floors import bm25_scores, random_scores
from tailor_compress.evaluation.metrics import Floats
from tailor_compress.evaluation.report import QUALITY_SET, make_report, markdown, quality
from tailor_compress.evaluation.systems import Variant, family_variants, variant_scores
from tailor_compress.export.variant import MANIFEST, read_manifest, write_json
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


def evaluate(space: Workspace, sets: Sequence[str], split: str) -> dict[str, Any]:
    """Score every variant on ``sets`` (B always), write the report and, for test, the qualities.

    Load-time formats are scored on B only: they differ from their parents by rounding, which the
    other sets show no better, and which costs as much time as the parents do. Returns the report.
    Qualities are written from the test split only: dev is for choosing.
    """
    dataset: Dataset = space.dataset()
    queries = space.recipe.evaluation.queries
    variants = family_variants(space.family, space.tried)
    scores: dict[str, dict[str, Floats]] = {}
    for name in _order(sets):
        view = VIEWS[name]
        systems = {
            "random": random_scores(dataset, split)[:queries],
            "bm25": bm25_scores(dataset, split, view)[:queries],
        }
        for variant in variants:
            if name == QUALITY_SET or not is_format(variant):
                systems[variant.id] = variant_scores(
                    variant, dataset, split, view, space.scores, queries
                )
        scores[name] = systems
    ordered = {name: scores[name] for name in VIEWS if name in scores}
    report = make_report(ordered, dataset.snapshot, split)
    if split == "test":
        write_json(space.report, report)
        update_readme(space.family / "README.md", markdown(report))
        for variant in variants:
            manifest = read_manifest(variant.folder)
            found = quality(report, dataset.snapshot, variant.id)
            if manifest.get("quality") != found:
                write_json(variant.folder / MANIFEST, {**manifest, "quality": found})
    return report


def is_format(variant: Variant) -> bool:
    """Whether a variant is its parent in another format and nothing else."""
    derive = read_manifest(variant.folder).get("derive", {})
    return "format" in derive and len(derive) == 2


def update_readme(readme: Path, tables: str) -> None:
    """Put the tables between the report marks of a README; one without marks stays as it is."""
    if not readme.is_file():
        return
    before, begin, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if begin and end:
        readme.write_text(f"{before}{begin}\n{tables}\n{end}{after}", encoding="utf-8")
