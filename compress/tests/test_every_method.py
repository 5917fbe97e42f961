# SPDX-License-Identifier: Apache-2.0
"""A tiny ladder of every method: made, exported, read back, measured, shown."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import Project, new_project
from safetensors.torch import load_file

from tailor_compress.evaluation.read_back import read_back
from tailor_compress.ladder.methods import METHODS
from tailor_compress.ladder.results import load_result
from tailor_compress.model.forward import plain
from tailor_compress.quantization.products import WORDS

# Beside teacher, student and teacher-bf16 of the common recipe; f32, since bf16 without a matrix
# unit takes most of the time.
_SHORT = {"steps": 2, "lists_per_step": 4, "precision": "f32"}
STAGES: list[dict[str, Any]] = [
    {"id": "linear", "method": "linear", "parents": {"teacher": "teacher"}, "lists": 48,
     "scored": 32, "bits": 8, "iterations": 4},
    {"id": "heads", "method": "heads", "parents": {"base": "teacher"}, "lists": 4, **_SHORT,
     "distinct_lists": 8},
    {"id": "neurons", "method": "neurons", "parents": {"base": "teacher"}, "lists": 4, **_SHORT,
     "distinct_lists": 8, "ship": False},
    {"id": "elastic", "method": "dynabert", "parents": {"base": "teacher"},
     "widths": [1.0, 0.5], "depths": [1.0, 0.5], "importance_lists": 4, "steps_width": 2,
     "steps_depth": 2, "lists_per_step": 4, "precision": "f32", "words": "int8"},
    {"id": "elastic-w50-d50", "method": "derive", "parents": {"base": "elastic"}, "width": 0.5,
     "depth": 0.5},
    {"id": "fisher", "method": "fisher", "parents": {"base": "teacher"}, "flops": 0.6, "lists": 8,
     "tuning_lists": 4},
    {"id": "fisher-cut", "method": "fisher", "parents": {"base": "teacher"}, "flops": 0.5,
     "lists": 8, "tuning_lists": 0, "derived": False},
    {"id": "magnitude", "method": "magnitude", "parents": {"base": "teacher"}, **_SHORT,
     "distinct_lists": 8},
    {"id": "int8-static", "method": "post_training", "parents": {"base": "teacher"},
     "mode": "static", "calibration_lists": 2, "float_products": 1, "scan_lists": 1,
     "embeddings": True},
    {"id": "int8-aware", "method": "quantization_aware", "parents": {"base": "teacher"}, **_SHORT,
     "distinct_lists": 8, "scan_lists": 1},
    {"id": "elastic-int8", "method": "post_training", "parents": {"base": "elastic"}},
    {"id": "elastic-int8-w50", "method": "derive", "parents": {"base": "elastic-int8"},
     "width": 0.5},
    {"id": "narrow", "method": "distil", "parents": {"teacher": "teacher"}, "depth": 1,
     "embedding": 8, **_SHORT, "distinct_lists": 8},
    {"id": "tiny-bert", "method": "tiny_bert", "parents": {"teacher": "teacher"},
     "shape": {"layers": 1, "hidden": 16, "heads": 4, "ffn": 16}, "general_steps": 1,
     "states_steps": 1, "scores_steps": 1, "lists_per_step": 4, "precision": "f32"},
    {"id": "ensemble", "method": "ensemble", "parents": {"teacher": "teacher", "second": "narrow"},
     **_SHORT, "distinct_lists": 8},
    {"id": "teacher-int8", "method": "derive", "parents": {"base": "teacher"}, "format": "int8"},
    {"id": "teacher-f16", "method": "derive", "parents": {"base": "teacher"}, "format": "f16"},
]  # fmt: skip


@pytest.fixture(scope="module")
def ladder(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("ladder"))
    for name in ("work", "family"):
        shutil.copytree(finished.root / name, project.root / name, dirs_exist_ok=True)
    recipe = yaml.safe_load(project.recipe.read_text())
    # The same checkpoint, so that what the common ladder made stays up to date.
    recipe["start"]["checkpoint"] = str(finished.root / "checkpoint")
    recipe["stages"] += STAGES
    recipe["evaluation"]["sets"] = ["B"]
    project.recipe.write_text(yaml.safe_dump(recipe))
    result = project.run("ladder")
    assert result.exit_code == 0, result.output
    assert "stage teacher: done" in result.output
    return project


def test_every_method_is_in_the_tiny_ladder(ladder: Project) -> None:
    assert {stage.method for stage in ladder.space.recipe.stages} == set(METHODS)


def manifest(project: Project, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.space.bundle(id_) / "variant.json").read_text())
    return found


@pytest.mark.parametrize("id_", [stage["id"] for stage in STAGES])
def test_each_is_measured_where_it_belongs(ladder: Project, id_: str) -> None:
    space = ladder.space
    record = manifest(ladder, id_)
    assert record["id"] == id_
    assert 0 < record["quality"]["ndcg10"] <= 1
    folder = space.family if space.recipe.stage(id_).ship else space.tried
    assert space.bundle(id_).parent == folder
    assert json.loads(space.report.read_text())["results"]["B"][id_]


@pytest.mark.parametrize("id_", ["heads", "neurons", "elastic"])
def test_what_is_read_back_is_what_was_made(ladder: Project, id_: str) -> None:
    space = ladder.space
    made = load_result(space.trained(id_)).model()
    assert made is not None
    stored = load_file(space.bundle(id_) / "model.safetensors")
    scale = stored.pop(f"{WORDS}.weight_scale", None)
    assert (scale is not None) == (space.recipe.stage(id_).words == "int8")
    for name, tensor in made.state_dict().items():
        weight, atol = stored[name].float(), 2e-3
        if name == f"{WORDS}.weight" and scale is not None:
            # A code is off by half a step at most; the largest of a row is exact.
            assert stored[name].dtype is torch.int8
            weight, atol = weight * scale[:, None], float(scale.max()) / 2 + 1e-6
        np.testing.assert_allclose(weight, tensor[: len(weight)], atol=atol)
    places = stored["bert.embeddings.position_embeddings.weight"]
    assert len(places) == space.recipe.max_len < made.config.max_position_embeddings
    found: Any = read_back(space.bundle(id_), (space.family, space.tried))
    assert found.apply is plain
    assert [layer["heads"] for layer in manifest(ladder, id_)["layers"]] == [
        layer.attention.self.num_attention_heads for layer in found.model.bert.encoder.layer
    ]


def test_another_form_of_the_words_is_exported_again(ladder: Project) -> None:
    text = ladder.recipe.read_text()
    assert "words: int8" in text
    ladder.recipe.write_text(text.replace("words: int8", "words: f16"))
    shown = ladder.run("ladder", "--list").output
    ladder.recipe.write_text(text)
    row = next(line for line in shown.splitlines() if line.startswith("| elastic "))
    assert "| trained " in row


def test_up_to_date_stages_are_skipped(ladder: Project) -> None:
    weights = list((ladder.root / "work").rglob("*.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    assert ladder.run("ladder", "--no-evaluate").exit_code == 0
    assert [path.stat().st_mtime_ns for path in weights] == before
