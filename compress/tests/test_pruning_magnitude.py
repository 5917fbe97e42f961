# SPDX-License-Identifier: Apache-2.0
"""Magnitude pruning: schedule, masks, storage as bits, resume after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_context import TinyContext, tiny_model
from torch import Tensor

from tailor_compress.errors import TailorError
from tailor_compress.model.bitmask import bitmask_decode, bitmask_encode
from tailor_compress.pruning import magnitude
from tailor_compress.pruning.magnitude import (
    PruneMagnitude,
    cubic_sparsity,
    magnitude_masks,
    pruned_products,
)
from tailor_compress.pruning.recovery import ParentObjective

_METHOD = PruneMagnitude(
    steps=8,
    sparsity=0.6,
    refresh_steps=2,
    lists_per_step=2,
    distinct_lists=8,
    precision="f32",
    learning_rate=1e-2,
)


def test_the_cubic_schedule() -> None:
    found = [cubic_sparsity(0.1, 0.9, t) for t in (-1.0, 0.0, 0.5, 0.75, 1.0, 2.0)]
    assert found == pytest.approx([0.1, 0.1, 0.8, 0.9 - 0.8 / 64, 0.9, 0.9])


def test_masks_keep_the_largest() -> None:
    weights = [torch.tensor([[1.0, -9.0], [0.5, 3.0]]), torch.tensor([[-0.1, 0.2]])]
    by_matrix = magnitude_masks(weights, 0.5, "matrix")
    assert [mask.tolist() for mask in by_matrix] == [
        [[False, True], [False, True]],
        [[False, True]],
    ]
    overall = magnitude_masks(weights, 0.5, "global")
    assert [mask.tolist() for mask in overall] == [[[True, True], [False, True]], [[False, False]]]


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 16, 21])
def test_bits_round_trip(columns: int) -> None:
    weight = torch.randn(5, columns) * (torch.rand(5, columns) < 0.4)
    tensors = bitmask_encode("m.weight", weight)
    assert tensors["m.weight.bitmask"].shape == (5, (columns + 7) // 8)
    assert tensors["m.weight.compressed"].shape == (int((weight != 0).sum()),)
    assert torch.equal(bitmask_decode("m.weight", tensors), weight)


def test_bits_as_other_readers_expect_them() -> None:
    weight = torch.zeros(2, 10)
    weight[0, 0], weight[0, 9], weight[1, 3] = 1.5, 2.5, 3.5
    tensors = bitmask_encode("m", weight)
    assert tensors["m.bitmask"].tolist() == [[0b00000001, 0b00000010], [0b00001000, 0]]
    assert tensors["m.compressed"].tolist() == [1.5, 2.5, 3.5]
    assert tensors["m.shape"].tolist() == [2, 10]


def test_bits_that_do_not_fit_are_refused() -> None:
    tensors = bitmask_encode("m", torch.ones(2, 3))
    with pytest.raises(TailorError, match="bytes"):
        bitmask_decode("m", {**tensors, "m.shape": torch.tensor([2, 9])})
    with pytest.raises(TailorError, match="bits"):
        bitmask_decode("m", {**tensors, "m.compressed": torch.ones(5)})
    with pytest.raises(TailorError, match="beyond"):
        bitmask_decode("m", {**tensors, "m.shape": torch.tensor([2, 2])})
    with pytest.raises(TailorError, match=r"m\.bitmask"):
        bitmask_decode("m", {"m.compressed": torch.ones(5)})


def _made(context: TinyContext, method: PruneMagnitude = _METHOD) -> dict[str, Tensor]:
    made = method.make(context)
    assert made.model is not None
    for name, linear in pruned_products(made.model).items():
        assert torch.equal(bitmask_decode(f"{name}.weight", made.tensors), linear.weight)
    return made.model.state_dict()


def _share_of_zeros(weights: dict[str, Tensor], context: TinyContext) -> float:
    names = [f"{name}.weight" for name in pruned_products(context.base)]
    joined = torch.cat([weights[name].flatten() for name in names])
    return float((joined == 0).float().mean())


def test_the_method_removes_its_share_and_trains_the_rest(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    trained = _made(context)
    assert _share_of_zeros(trained, context) == pytest.approx(0.6, abs=1e-3)
    at_once = _made(context, replace(_METHOD, steps=0))
    assert _share_of_zeros(at_once, context) == pytest.approx(0.6, abs=1e-3)
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(at_once[words], context.base.state_dict()[words])
    assert not torch.equal(trained[words], at_once[words])


def test_a_killed_run_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(magnitude, "_CHECKPOINT_STEPS", 2)
    whole = _made(TinyContext(tmp_path / "whole.pt", tiny_model()))
    context = TinyContext(tmp_path / "killed.pt", tiny_model())
    call = ParentObjective.__call__

    def killed(objective: ParentObjective, number: int) -> Tensor:
        if number == 5:
            raise KeyboardInterrupt
        return call(objective, number)

    with monkeypatch.context() as patch:
        patch.setattr(ParentObjective, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            _made(context)
    resumed = _made(context)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    for method, what in (
        (replace(_METHOD, sparsity=1.2), "sparsity"),
        (replace(_METHOD, scope="row"), "scope"),
        (replace(_METHOD, refresh_steps=0), "refresh_steps"),
    ):
        with pytest.raises(TailorError, match=what):
            method.make(context)
