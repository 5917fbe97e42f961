# SPDX-License-Identifier: Apache-2.0
"""Losses, optimiser and loop: right values, resumable, deterministic."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import Project, plain_table
from safetensors.torch import load_file
from torch import nn
from transformers import BertForSequenceClassification

from tailor_compress.cli import main
from tailor_compress.data.dataset import Dataset
from tailor_compress.errors import TailorError
from tailor_compress.training.corpus import LIST, TrainingCorpus
from tailor_compress.training.loop import Schedule, train, use_threads
from tailor_compress.training.losses import listwise, listwise_distillation
from tailor_compress.training.optimizer import MasterAdamW, learning_rate
from tailor_compress.training.teacher_scores import teacher_scores


def test_listwise_by_hand() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    assert float(listwise(scores)) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_distillation_by_hand() -> None:
    teacher = torch.tensor([[2 * math.log(3.0), 0.0]])
    student = torch.zeros(1, 2)
    kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(listwise_distillation(student, teacher, 2.0)) == pytest.approx(4 * kl)


def test_distillation_is_zero_for_scores_that_differ_by_an_offset() -> None:
    teacher = torch.randn(4, 8)
    assert float(listwise_distillation(teacher + 3, teacher, 2.0)) == pytest.approx(0, abs=1e-5)


def test_learning_rate_rises_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(1 / 90)


def test_optimiser_is_adamw_in_f32() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    optimizer = MasterAdamW(ours.parameters(), decay=0.1, clip=1e9)
    reference = torch.optim.AdamW(
        [
            {"params": [theirs.weight], "weight_decay": 0.1},
            {"params": [theirs.bias], "weight_decay": 0.0},
        ],
        lr=0.01,
    )
    x = torch.randn(8, 4)
    for _ in range(5):
        for module in (ours, theirs):
            module(x).square().sum().backward()
        optimizer.step(0.01)
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_masters_keep_what_bf16_would_lose() -> None:
    weight = nn.Parameter(torch.ones(1, 4, dtype=torch.bfloat16))
    optimizer = MasterAdamW([weight], decay=0.0, clip=1e9)
    for _ in range(40):
        weight.grad = torch.ones_like(weight)
        optimizer.step(1e-4)
    # One step is a fortieth of bf16's spacing below 1: added to bf16 it would vanish each time.
    assert float(weight.detach()[0, 0]) < 1


def make_corpus(dataset: Dataset, project: Project, seed: int = 1) -> TrainingCorpus:
    return TrainingCorpus(dataset, project.space.layout().tokens, 48, seed)


def test_lists_are_a_function_of_their_number(finished: Project) -> None:
    dataset = finished.space.dataset()
    corpus, again = make_corpus(dataset, finished), make_corpus(dataset, finished)
    assert corpus.lists(5, 3) == again.lists(0, 20)[5:8]
    assert corpus.drawn(5) != make_corpus(dataset, finished, seed=2).drawn(5)
    assert all(len(one.pairs) == LIST for one in corpus.lists(0, 4))


def test_an_epoch_has_every_query_once(finished: Project) -> None:
    corpus = make_corpus(finished.space.dataset(), finished)
    size = len(corpus)
    for epoch in (0, 1):
        rights = [tuple(corpus.drawn(epoch * size + i).pairs[0][0]) for i in range(size)]
        assert len(set(rights)) > 0.95 * size


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_same_seed_same_family(finished: Project, project: Project) -> None:
    result = project.run("ladder", "--lists", str(project.lists))
    assert result.exit_code == 0, result.output
    for variant in ("teacher", "student"):
        first, second = (weights(p.space.family / variant) for p in (finished, project))
        assert all(torch.equal(first[name], second[name]) for name in first)


def only(project: Project) -> list[str]:
    lists = ["--lists", str(project.lists)]
    return [*project.arguments("ladder"), *lists, "--only", "teacher", "--no-evaluate"]


def test_killed_training_resumes_to_the_same_weights(finished: Project, project: Project) -> None:
    command = [sys.executable, "-m", "tailor_compress.cli", *only(project)]
    process = subprocess.Popen(  # noqa: S603
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ)
    )
    folder = project.root / "work" / "training"
    deadline = time.monotonic() + 120
    while not list(folder.glob("teacher-*.pt")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob("teacher-*.pt")), "the training ended before it could be killed"
    assert "| teacher | fine_tune | init start | started" in plain_table(
        project.run("ladder", "--list").output
    )
    result = CliRunner().invoke(main, only(project))
    assert result.exit_code == 0, result.output
    assert not list(folder.glob("teacher-*.pt"))
    first, second = (weights(p.space.trained("teacher")) for p in (finished, project))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loss_that_is_not_a_number_stops_the_training(finished: Project, tmp_path: Path) -> None:
    model = BertForSequenceClassification.from_pretrained(finished.space.start)

    def broken(_: int) -> torch.Tensor:
        return model.classifier.weight.sum() * float("nan")

    schedule = Schedule(4, 1, 1e-3, 1, precision="f32")
    with pytest.raises(TailorError, match="finite loss at step 0"):
        train(model, broken, schedule, tmp_path / "x.pt", "broken")


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_either_precision_ends_with_f32_weights(
    finished: Project, tmp_path: Path, precision: str
) -> None:
    model = BertForSequenceClassification.from_pretrained(finished.space.start)
    before = model.classifier.weight.detach().clone()
    schedule = Schedule(2, 1, 1e-3, 1, precision=precision)
    train(model, lambda _: model.classifier.weight.sum(), schedule, tmp_path / "x.pt", "short")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not torch.equal(model.classifier.weight, before)


def test_unknown_precision_and_threads_are_refused() -> None:
    with pytest.raises(TailorError, match="out of f32, bf16; got f64"):
        Schedule(1, 1, 1e-3, 1, precision="f64")
    with pytest.raises(TailorError, match="got 0"):
        use_threads(0)


def test_teacher_scores_are_kept(finished: Project, tmp_path: Path) -> None:
    space = finished.space
    corpus = make_corpus(space.dataset(), finished)

    def teacher() -> Any:
        return BertForSequenceClassification.from_pretrained(space.trained("teacher")).train(False)

    first = teacher_scores(teacher(), corpus, 10, "f32", tmp_path)
    (kept,) = tmp_path.glob("*.npy")
    changed = np.load(kept) + 1
    np.save(kept, changed)
    np.testing.assert_array_equal(teacher_scores(teacher(), corpus, 10, "f32", tmp_path), first + 1)
    longer = teacher_scores(teacher(), corpus, 12, "f32", tmp_path)
    np.testing.assert_array_equal(longer[:10], first + 1)
    assert longer.shape == (12, LIST)
