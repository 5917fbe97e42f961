# SPDX-License-Identifier: Apache-2.0
"""Scores that a program computes: what it is given, what is kept, and how it fails."""

import stat
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

from tailor_compress.data.views import VIEWS
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.systems import Scores, Variant, family_variants

# Scores a document by its length, and a list's query by nothing.
PROGRAM = """#!/usr/bin/env python3
import json, pathlib, sys
assert sys.argv[1] == "score"
flags = dict(zip(sys.argv[2::2], sys.argv[3::2]))
variant = pathlib.Path(flags["--family"]) / flags["--variant"] / "variant.json"
parent = json.loads(variant.read_text()).get("derive", {}).get("parent", flags["--variant"])
assert (pathlib.Path(flags["--family"]) / parent / "model.safetensors").is_file()
for line in open(flags["--lists"]):
    print(json.dumps({"scores": [len(text) for text in json.loads(line)["documents"]]}))
"""


def program(folder: Path, text: str) -> Path:
    path = folder / "tailor"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def variant(finished: Project, id_: str) -> Variant:
    found = family_variants(finished.space.family, finished.space.tried)
    return next(one for one in found if one.id == id_)


@pytest.mark.parametrize("id_", ["teacher", "teacher-bf16"])
def test_the_program_scores_every_list(finished: Project, tmp_path: Path, id_: str) -> None:
    dataset = finished.space.dataset()
    cache = tmp_path / "cache"
    by_engine = Scores(dataset, "test", cache, 3, program(tmp_path, PROGRAM))
    found = by_engine.of(variant(finished, id_), VIEWS["B"])
    rows = dataset.lists["test"][:3].tolist()
    expected = [
        [len(VIEWS["B"].document(dataset.items[i].paragraphs)) for i in row] for row in rows
    ]
    np.testing.assert_array_equal(found, expected)
    # Kept, nothing else left behind, and taken from then on even without the program.
    assert [path.suffix for path in cache.iterdir()] == [".npy"]
    again = Scores(dataset, "test", cache, 3).of(variant(finished, id_), VIEWS["B"])
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho tailor score: expected AMX, got none >&2\nexit 1\n", "expected AMX"),
        ("#!/bin/sh\nexit 0\n", "got 0, exit code 0"),
    ],
)
def test_a_program_that_fails(finished: Project, tmp_path: Path, text: str, said: str) -> None:
    dataset = finished.space.dataset()
    scores = Scores(dataset, "test", tmp_path / "cache", 3, program(tmp_path, text))
    with pytest.raises(TailorError, match=said):
        scores.of(variant(finished, "teacher"), VIEWS["B"])
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_program_that_is_not_built(finished: Project, tmp_path: Path) -> None:
    scores = Scores(finished.space.dataset(), "test", tmp_path, 3, tmp_path / "gone")
    with pytest.raises(TailorError, match="build it: `make build-tailor`"):
        scores.of(variant(finished, "teacher"), VIEWS["B"])
