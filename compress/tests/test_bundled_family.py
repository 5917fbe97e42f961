# SPDX-License-Identifier: Apache-2.0
"""The committed family: whole, small enough for git, as good as its report says it must be."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from tailor_compress.evaluation.read_back import layout_of, owner_folder, read_back
from tailor_compress.export.variant import sha256_file
from tailor_compress.ladder.plan import make_plan
from tailor_compress.quality import recorded_snapshot
from tailor_compress.recipe import read_recipe
from tailor_compress.text import encode_texts, make_tokenizer

FAMILY = Path(__file__).parents[2] / "models" / "packages"
TEACHER, STUDENT = "teacher-6x384", "student-2x128"
VARIANTS = sorted(path.parent.name for path in FAMILY.glob("*/variant.json"))

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


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_are_those_of_the_manifest(variant: str) -> None:
    record = manifest(variant)
    for entry in record.get("files", []):
        assert sha256_file(FAMILY / variant / entry["path"]) == entry["sha256"]
    if "derive" in record:
        assert (FAMILY / record["derive"]["parent"] / "model.safetensors").is_file()
        return
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


@pytest.mark.parametrize("variant", VARIANTS)
def test_qualities_are_those_of_the_report(report: dict[str, Any], variant: str) -> None:
    stated, measured = manifest(variant)["quality"], report["results"]["B"][variant]
    assert stated["ndcg10"] == measured["ndcg10"]
    assert stated["ci95"] == measured["ndcg10_ci95"]
    snapshot = recorded_snapshot(FAMILY / "report.json")
    assert snapshot is not None
    assert stated["split_hash"] == snapshot.splits["test"]
    assert stated["dataset_id"] == snapshot.id


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_ranks(variant: str) -> None:
    folder = FAMILY / variant
    layout = layout_of(owner_folder(folder, [FAMILY]))
    tokenizer = make_tokenizer(layout.tokens)
    query, *documents = encode_texts(tokenizer, [QUERY, RIGHT, *WRONG])
    pairs = [layout.join(query, document) for document in documents]
    assert int(read_back(folder, [FAMILY]).scores(pairs, variant).argmax()) == 0


def test_the_student_is_plain_for_transformers() -> None:
    model = BertForSequenceClassification.from_pretrained(FAMILY / STUDENT).train(False)
    tokenizer = AutoTokenizer.from_pretrained(FAMILY / STUDENT)
    documents = [RIGHT, *WRONG]
    encoded = tokenizer([QUERY] * 4, documents, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores = model(**encoded).logits[:, 0]
    assert int(scores.argmax()) == 0


def test_the_elastic_file_has_twelve_sub_networks() -> None:
    parent = "elastic-6x384-int8"
    elastic = manifest(parent)["elastic"]
    assert (len(elastic["widths"]), len(elastic["depths"])) == (4, 3)
    steps = [manifest(one).get("derive", {}) for one in VARIANTS]
    served = {
        (one["sub_network"]["width"], one["sub_network"]["depth"])
        for one in steps
        if one.get("parent") == parent
    }
    assert len(served) == 11  # and the whole one
