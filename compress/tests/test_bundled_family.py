# SPDX-License-Identifier: Apache-2.0
"""The committed family: whole, small enough for git, as good as its report says it must be."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from tailor_compress.export.variant import sha256_file
from tailor_compress.ladder.plan import make_plan
from tailor_compress.quality import recorded_snapshot
from tailor_compress.recipe import read_recipe

FAMILY = Path(__file__).parents[2] / "models" / "packages"
TEACHER, STUDENT = "teacher-6x384", "student-2x128"

QUERY = "convert images between formats on the command line"
RIGHT = "A tool that reads pictures in many file formats and writes them in another one."
WRONG = [
    "A multiplayer game in which tanks shoot at each other.",
    "Header files for developing programs that parse command line options.",
    "A daemon that keeps the clock of the computer in step with time servers.",
]


def manifest(variant: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FAMILY / variant / "variant.json").read_text())
    return found


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FAMILY / "report.json").read_text())
    return found


def test_every_finished_stage_that_ships_is_there() -> None:
    recipe = read_recipe(FAMILY / "recipe.yaml")
    make_plan(recipe)
    done = json.loads((FAMILY / "stages.json").read_text())
    expected = {one.id for one in recipe.stages if one.ship and one.id in done}
    assert {path.parent.name for path in FAMILY.glob("*/variant.json")} == expected
    make_plan(read_recipe(FAMILY / "recipe.yaml", "short"))


@pytest.mark.parametrize("variant", [TEACHER, STUDENT])
def test_files_are_those_of_the_manifest(variant: str) -> None:
    record = manifest(variant)
    (entry,) = record["files"]
    assert sha256_file(FAMILY / variant / entry["path"]) == entry["sha256"]
    assert sha256_file(FAMILY / variant / "vocab.txt") == record["tokenizer"]["sha256"]
    assert record["tokenizer"]["sha256"] == manifest(TEACHER)["tokenizer"]["sha256"]


def test_weights_fit_into_git() -> None:
    assert sum(path.stat().st_size for path in FAMILY.rglob("*") if path.is_file()) <= 48e6


def test_quality_reaches_the_bar(report: dict[str, Any]) -> None:
    on_b = report["results"]["B"]
    assert on_b["bm25"]["ndcg10"] == pytest.approx(0.63, abs=0.02)
    assert on_b[TEACHER]["ndcg10"] >= 0.80
    assert on_b[STUDENT]["ndcg10"] >= 0.72
    (test,) = [
        one
        for one in report["paired"]
        if one["set"] == "B" and {one["first"], one["second"]} == {TEACHER, STUDENT}
    ]
    assert test["first"] == TEACHER
    assert test["ci95"][0] > 0


@pytest.mark.parametrize("variant", [TEACHER, f"{TEACHER}-bf16", STUDENT, f"{STUDENT}-bf16"])
def test_qualities_are_those_of_the_report(report: dict[str, Any], variant: str) -> None:
    stated, measured = manifest(variant)["quality"], report["results"]["B"][variant]
    assert stated["ndcg10"] == measured["ndcg10"]
    assert stated["ci95"] == measured["ndcg10_ci95"]
    snapshot = recorded_snapshot(FAMILY / "report.json")
    assert snapshot is not None
    assert stated["split_hash"] == snapshot.splits["test"]
    assert stated["dataset_id"] == snapshot.id


@pytest.mark.parametrize("variant", [TEACHER, STUDENT])
def test_it_ranks(variant: str) -> None:
    model = BertForSequenceClassification.from_pretrained(FAMILY / variant).train(False)
    tokenizer = AutoTokenizer.from_pretrained(FAMILY / variant)
    documents = [RIGHT, *WRONG]
    encoded = tokenizer([QUERY] * 4, documents, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores = model(**encoded).logits[:, 0]
    assert int(scores.argmax()) == 0
