# SPDX-License-Identifier: Apache-2.0
"""A user's own model and data: made without a recipe, or refused in one line."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from made_up import words, write_checkpoint
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.cli import main
from tailor_compress.data.user_data import read_user_data
from tailor_compress.errors import TailorError

SHORT = ("--steps", "2", "--lists-per-step", "2", "--precision", "f32", "--threads", "1")


def write_model(folder: Path, labels: int = 1) -> Path:
    """Write a classifier with random weights, as Hugging Face saves it."""
    write_checkpoint(folder)
    torch.manual_seed(labels)
    config = BertConfig.from_pretrained(folder)
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def write_lines(path: Path, labelled: bool, classes: int = 0, count: int = 30) -> Path:
    rng, known = random.Random(1), words(200)
    lines: list[dict[str, Any]] = []
    for _ in range(count):
        query = rng.sample(known, 3)
        documents = [" ".join([*query[:2], *rng.sample(known, 4)])]
        documents += [" ".join(rng.sample(known, 6)) for _ in range(rng.choice((2, 5)))]
        line: dict[str, Any] = {"query": " ".join(query), "documents": documents}
        if labelled:
            line["labels"] = [1.0] + [0.0] * (len(documents) - 1)
        if classes:
            line["labels"] = [rng.randrange(classes) for _ in documents]
        lines.append(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    write_model(root / "teacher")
    write_lines(root / "bare.jsonl", labelled=False)
    write_lines(root / "labelled.jsonl", labelled=True)
    return root


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "variant.json").read_text())
    return found


def test_a_teacher_s_scores_are_labels_enough(place: Path) -> None:
    out = place / "student"
    data = ("--teacher", place / "teacher", "--data", place / "bare.jsonl", "--out", out)
    result = run("distil", *data, "--depth", "1", *SHORT)
    assert result.exit_code == 0, result.output
    assert "| student " in result.output
    record = manifest(out)
    assert record["parents"] == [{"id": "teacher", "role": "teacher"}]
    assert len(record["layers"]) == 1
    assert 0 < record["quality"]["ndcg10"] <= 1
    assert not (place / ".student.work").exists()
    # What was made is a model like any other for the next command.
    cut = place / "cut"
    data = ("--model", out, "--data", place / "labelled.jsonl", "--out", cut)
    result = run("prune", *data, "--method", "neurons", "--keep", "0.5", "--lists", "4")
    assert result.exit_code == 0, result.output
    assert [layer["ffn_dim"] for layer in manifest(cut)["layers"]] == [32]


def test_settings_from_a_file_and_from_flags(place: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("steps: 2\nlists_per_step: 2\nprecision: f32\nlearning_rate: 0.001\n")
    out = tmp_path / "tuned"
    data = ("--model", place / "teacher", "--data", place / "labelled.jsonl", "--out", out)
    result = run("train", *data, "--config", config, "--steps", "1")
    assert result.exit_code == 0, result.output
    (step,) = manifest(out)["method"]
    assert (step["params"]["steps"], step["params"]["learning_rate"]) == (1, 0.001)


def test_a_load_time_step_needs_its_parent_beside_it(place: Path, tmp_path: Path) -> None:
    data = ("--data", place / "labelled.jsonl", "--method", "derive", "--format", "int8")
    result = run("quantize", "--model", place / "teacher", *data, "--out", tmp_path / "int8")
    assert result.exit_code == 1
    assert "put both into one folder" in result.output
    assert not (tmp_path / "int8").exists()


def test_several_labels_are_distilled_over_labels(tmp_path: Path) -> None:
    model = write_model(tmp_path / "classes", labels=3)
    lines = write_lines(tmp_path / "classes.jsonl", labelled=False, classes=3)
    data = ("--teacher", model, "--data", lines, "--out", tmp_path / "small")
    losses = ("--losses", "[{loss: kl, axis: labels}]")
    result = run("distil", *data, "--depth", "1", *losses, *SHORT)
    assert result.exit_code == 0, result.output
    record = manifest(tmp_path / "small")
    assert (record["task"]["kind"], record["task"]["num_labels"]) == ("classification", 3)
    too_many = write_lines(tmp_path / "four.jsonl", labelled=False, classes=4)
    result = run("distil", "--teacher", model, "--data", too_many, "--out", tmp_path / "x")
    assert "labels of the model's 3 classes in line" in result.output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a JSON object in line 2 of {path}; got an empty line"),
        ("{", "a JSON object in line 2"),
        ('{"query": "a", "documents": []}', "a list of documents in line 2"),
        ('{"query": " ", "documents": ["b"]}', "a text as `query` in line 2"),
        ('{"query": "a", "docs": ["b"]}', "got `docs`; did you mean `documents`"),
        ('{"query": "a", "documents": ["b"], "labels": [1, 2]}', "as many labels as documents"),
        ('{"query": "a", "documents": ["b"], "labels": ["x"]}', "a list of numbers as `labels`"),
        ('{"query": "a", "documents": ["b"], "labels": [1]}', "labels as in other lines in line 1"),
        (json.dumps({"query": "a", "documents": ["b" * 70000]}), "at most 65536 bytes"),
    ],
)
def test_bad_lines_are_refused_by_number(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"query": "a", "documents": ["b", "c"]}\n' + line + "\n")
    with pytest.raises(TailorError) as error:
        read_user_data(path)
    assert message.format(path=path) in str(error.value)


def changed_config(source: Path, folder: Path, **keys: Any) -> Path:
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **keys}))
    return folder


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_type": "distilbert"}, "got `distilbert`; name a folder with a BERT"),
        ({"architectures": ["BertModel"]}, "a classifier or cross-encoder"),
        ({"hidden_act": "relu"}, "hidden_act `gelu`"),
    ],
)
def test_folders_that_hold_no_bert_classifier_are_refused(
    place: Path, tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    model = changed_config(place / "teacher", tmp_path / "model", **keys)
    data = ("--data", place / "bare.jsonl", "--out", tmp_path / "out")
    result = run("distil", "--teacher", model, *data)
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_setting_of_another_method_is_named(place: Path, tmp_path: Path) -> None:
    data = ("--data", place / "labelled.jsonl", "--out", tmp_path / "out")
    result = run(
        "prune", "--model", place / "teacher", *data, "--method", "heads", "--flops", "0.5"
    )
    assert result.exit_code == 1
    assert "expected settings of the method `heads`; got --flops" in result.output


def test_a_full_disk_is_one_line(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tailor_compress.export.files.save_file", full)
    data = ("--data", place / "labelled.jsonl", "--out", tmp_path / "out")
    result = run("prune", "--model", place / "teacher", *data, "--method", "heads", "--lists", "2")
    assert result.exit_code == 1
    assert "No space left on device" in result.output.splitlines()[-1]
    assert not (tmp_path / "out").exists()
