# SPDX-License-Identifier: Apache-2.0
"""The whole way from an archive to folders that transformers loads, on tiny sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Project, plain_table
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertForSequenceClassification

from tailor_compress.data.views import VIEWS
from tailor_compress.evaluation.metrics import list_metrics
from tailor_compress.evaluation.systems import Scores, family_variants
from tailor_compress.export.reference import reference
from tailor_compress.export.variant import WEIGHTS, sha256_file

FLOAT_VARIANTS = ("student", "teacher")

# The server refuses unknown keys, so the writer may not invent any.
KEYS = {
    "": "schema_version id family created license parents method task tokenizer arch layers "
    "derive files quality params reference",
    "task": "kind num_labels score_index activation max_len pair_template truncation",
    "tokenizer": "type files sha256 vocab_size lower_case strip_accents",
    "arch": "kind hidden embedding hidden_act norm eps position type_vocab pooler",
    "pooler": "kind",
    "layers": "src attn ffn heads head_dim ffn_dim",
    "derive": "parent format",
    "files": "path sha256 bytes",
    "parents": "id role",
    "method": "name params code_version seed data_id wall_s device",
    "quality": "dataset_id split_hash n ndcg10 mrr10 accuracy1 ci95",
    "params": "total embedding encoder",
    "reference": "inputs_file sha256 scores tolerance",
}


def manifest(project: Project, variant: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (project.space.family / variant / "variant.json").read_text()
    )
    return found


def check_keys(name: str, record: Any) -> None:
    if isinstance(record, list):
        for one in record:
            check_keys(name, one)
    elif isinstance(record, dict):
        assert set(record) <= set(KEYS[name].split()), name
        for key, value in record.items():
            if key in KEYS:
                if key == "params" and name == "method":
                    continue
                check_keys(key, value)


@pytest.mark.parametrize("variant", [*FLOAT_VARIANTS, "teacher-bf16"])
def test_manifest_has_known_keys_only(finished: Project, variant: str) -> None:
    record = manifest(finished, variant)
    check_keys("", record)
    assert record["id"] == variant
    assert record["schema_version"] == 1
    low, high = record["quality"]["ci95"]
    assert 0 <= low <= record["quality"]["ndcg10"] <= high <= 1


@pytest.mark.parametrize("variant", FLOAT_VARIANTS)
def test_manifest_describes_the_files(finished: Project, variant: str) -> None:
    folder = finished.space.family / variant
    record = manifest(finished, variant)
    (entry,) = record["files"]
    weights = folder / entry["path"]
    assert entry["sha256"] == sha256_file(weights)
    assert entry["bytes"] == weights.stat().st_size
    tensors = load_file(weights)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    assert record["params"]["total"] == sum(t.numel() for t in tensors.values())
    layer = record["layers"][0]
    query = tensors["bert.encoder.layer.0.attention.self.query.weight"]
    assert query.shape == (layer["heads"] * layer["head_dim"], record["arch"]["hidden"])
    intermediate = tensors["bert.encoder.layer.0.intermediate.dense.weight"]
    assert intermediate.shape[0] == layer["ffn_dim"]
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    assert record["tokenizer"]["vocab_size"] == len(vocabulary)
    assert record["tokenizer"]["sha256"] == sha256_file(folder / "vocab.txt")


def test_the_family_has_one_tokenizer(finished: Project) -> None:
    digests = {manifest(finished, v)["tokenizer"]["sha256"] for v in FLOAT_VARIANTS}
    assert len(digests) == 1


def test_derived_variant_is_a_manifest_alone(finished: Project) -> None:
    folder = finished.space.family / "teacher-bf16"
    assert [path.name for path in folder.iterdir()] == ["variant.json"]
    record = manifest(finished, "teacher-bf16")
    assert record["derive"] == {"parent": "teacher", "format": "bf16"}
    assert not set(record) & {"files", "arch", "layers", "tokenizer", "task"}
    assert record["quality"]["split_hash"] == manifest(finished, "teacher")["quality"]["split_hash"]


def test_f16_may_differ_as_much_as_bf16_does(finished: Project, tmp_path: Path) -> None:
    """Where the processor multiplies f16 numbers as such, inputs and sums are rounded too."""
    pairs = tmp_path / "pairs.jsonl"
    shutil.copytree(finished.space.family / "teacher", tmp_path / "teacher")
    weights = load_file(tmp_path / "teacher" / WEIGHTS)
    weights["classifier.weight"] *= 1000  # scores large enough to differ
    save_file(weights, tmp_path / "teacher" / WEIGHTS)
    pairs.write_text('{"query": "a text editor", "document": "edits text and lists files"}\n' * 4)
    references = {}
    for data_format in ("bf16", "f16"):
        folder = tmp_path / data_format
        folder.mkdir()
        record = manifest(finished, "teacher-bf16")
        record["derive"]["format"] = data_format
        (folder / "variant.json").write_text(json.dumps(record))
        references[data_format] = reference(folder, [tmp_path], pairs)
    assert references["f16"]["tolerance"] == references["bf16"]["tolerance"] > 5e-4
    assert references["f16"]["scores"] != references["bf16"]["scores"]


@pytest.mark.parametrize("variant", FLOAT_VARIANTS)
def test_folder_reloads_in_transformers_with_the_same_scores(
    finished: Project, variant: str
) -> None:
    space = finished.space
    dataset = space.dataset()
    folder = space.family / variant
    model = BertForSequenceClassification.from_pretrained(folder).train(False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert next(model.parameters()).dtype == torch.float32
    view, seed = VIEWS["E"], dataset.snapshot.seed
    (entry,) = [v for v in family_variants(space.family, space.tried) if v.id == variant]
    expected = Scores(dataset, "test", space.scores).of(entry, view)
    for row, candidates in list(enumerate(dataset.lists["test"].tolist()))[:3]:
        query = view.query(dataset.items[candidates[0]].synopsis, seed)
        documents = [view.document(dataset.items[i].paragraphs) for i in candidates]
        encoded = tokenizer(
            [query] * len(documents),
            documents,
            padding=True,
            truncation="longest_first",
            max_length=48,
            return_tensors="pt",
        )
        with torch.no_grad():
            found = model(**encoded).logits[:, 0].numpy()
        np.testing.assert_allclose(found, expected[row], atol=2e-6)


def test_quality_is_that_of_the_exported_weights(finished: Project, tmp_path: Path) -> None:
    space = finished.space
    dataset = space.dataset()
    for variant in family_variants(space.family, space.tried):
        scores = Scores(dataset, "test", tmp_path).of(variant, VIEWS["B"])
        stated = manifest(finished, variant.id)["quality"]
        assert stated["ndcg10"] == pytest.approx(list_metrics(scores).ndcg10.mean(), abs=6e-5)
        assert stated["n"] == len(dataset.lists["test"])
        assert stated["split_hash"] == dataset.snapshot.splits["test"]


def test_bf16_rounds_and_stays_near(finished: Project, tmp_path: Path) -> None:
    dataset = finished.space.dataset()
    by_id = {v.id: v for v in family_variants(finished.space.family, finished.space.tried)}
    exact, rounded = (
        Scores(dataset, "dev", tmp_path).of(by_id[name], VIEWS["B"])
        for name in ("teacher", "teacher-bf16")
    )
    assert not np.array_equal(exact, rounded)
    assert np.abs(exact - rounded).max() < 0.05 * (exact.max() - exact.min())


def test_report_has_every_system_on_every_set(finished: Project) -> None:
    report = json.loads(finished.space.report.read_text())
    assert set(report["results"]) == set(VIEWS)
    for systems in report["results"].values():
        assert set(systems) == {"random", "bm25", "teacher", "student", "teacher-bf16"}
        assert systems["random"]["ndcg10"] == pytest.approx(0.142, abs=5e-4)
        # Half of the words of a query stand in its document: a set on which BM25 is not far
        # above chance was put together wrongly.
        assert systems["bm25"]["ndcg10"] > 0.3


def test_the_tables_stand_in_the_readme(finished: Project) -> None:
    text = plain_table((finished.space.family / "README.md").read_text())
    assert "| `teacher-bf16` |" in text
    assert "old" not in text
    assert text.endswith("<!-- report: end -->\nend\n")


def test_training_learned_something(finished: Project) -> None:
    report = json.loads(finished.space.report.read_text())
    teacher = report["results"]["A"]["teacher"]["ndcg10"]
    assert teacher > report["results"]["A"]["random"]["ndcg10"]
