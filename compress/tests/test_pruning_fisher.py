# SPDX-License-Identifier: Apache-2.0
"""Fisher pruning: search, rearrangement, tuning, targets by FLOPs and by a latency table."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_context import TinyContext, TinyLists, tiny_model
from torch import Tensor

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import layer_shapes
from tailor_compress.model.forward import logits, pad
from tailor_compress.pruning.fisher import PruneFisher, flops_masks, latency_masks
from tailor_compress.pruning.flops import head_flops, model_flops, neuron_flops, scoring_flops
from tailor_compress.pruning.gates import Gates, Gradients, gate_gradients, gated
from tailor_compress.pruning.latency import LatencyTable, write_table
from tailor_compress.pruning.rearrange import block, closing_loss, rearranged
from tailor_compress.pruning.search import Choice, fisher, search_flops, search_latency
from tailor_compress.pruning.tuning import solve, tune

_HEADS_DEAR = [0.0, 5.0, 5.1, 5.2, 5.3]
_LISTS = [TinyLists().drawn(n) for n in range(12)]


def _importance(heads: Sequence[Sequence[float]], neurons: Sequence[Sequence[float]]) -> Gates:
    return Gates([torch.tensor(row) for row in heads], [torch.tensor(row) for row in neurons])


def _random_importance(seed: int, heads: int = 2, neurons: int = 3) -> Gates:
    generator = torch.Generator().manual_seed(seed)
    return Gates(
        [torch.rand(heads, generator=generator) for _ in range(2)],
        [torch.rand(neurons, generator=generator) for _ in range(2)],
    )


def _kept(importance: Gates, masks: Gates) -> float:
    scores = torch.cat([*importance.heads, *importance.neurons])
    return float((scores * torch.cat([*masks.heads, *masks.neurons])).sum())


def _counts(masks: Gates) -> list[int]:
    return [int((gate != 0).sum()) for gate in (*masks.heads, *masks.neurons)]


def _all_masks(importance: Gates) -> list[Gates]:
    units = [len(gate) for gate in (*importance.heads, *importance.neurons)]
    found = []
    for bits in itertools.product((0.0, 1.0), repeat=sum(units)):
        ends = np.cumsum([0, *units]).tolist()
        parts = [torch.tensor(bits[a:b]) for a, b in itertools.pairwise(ends)]
        found.append(Gates(parts[:2], parts[2:]))
    return found


def test_fisher_is_the_mean_square_of_the_gradients() -> None:
    gradients = Gradients([torch.tensor([[1.0, -2.0], [3.0, 0.0]])], [torch.tensor([[2.0], [4.0]])])
    found = fisher(gradients)
    assert found.heads[0].tolist() == [5.0, 2.0]
    assert found.neurons[0].tolist() == [10.0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("budget", [0, 7, 13, 26])
def test_flops_search_equals_brute_force(seed: int, budget: int) -> None:
    importance = _random_importance(seed)
    found = search_flops(importance, head_cost=5, neuron_cost=2, budget=budget)

    def cost(masks: Gates) -> int:
        counts = _counts(masks)
        return 5 * sum(counts[:2]) + 2 * sum(counts[2:])

    allowed = [masks for masks in _all_masks(importance) if cost(masks) <= budget]
    assert cost(found) <= budget
    assert _kept(importance, found) == pytest.approx(
        max(_kept(importance, masks) for masks in allowed)
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("budget", [4.0, 8.0, 16.0])
def test_latency_search_equals_brute_force(seed: int, budget: float) -> None:
    importance = _random_importance(seed)
    # Steps and jumps, whole numbers of the budget's steps: nothing is lost by rounding up.
    attention = [Choice([0, 1, 2], [0.0, 3.0, 4.0]), Choice([0, 1, 2], [1.0, 1.0, 5.0])]
    ffn = [Choice([0, 1, 2, 3], [0.0, 2.0, 2.0, 6.0])] * 2
    found = search_latency(importance, attention, ffn, budget)

    def cost(masks: Gates) -> float:
        pairs = zip([*attention, *ffn], _counts(masks), strict=True)
        return sum(choice.costs[count] for choice, count in pairs)

    allowed = [masks for masks in _all_masks(importance) if cost(masks) <= budget]
    assert cost(found) <= budget
    assert _kept(importance, found) == pytest.approx(
        max(_kept(importance, masks) for masks in allowed), rel=1e-5
    )


def _table(attention: Sequence[float], neuron_ms: float, fixed: float = 1.0) -> LatencyTable:
    return LatencyTable("made up", "1x8", 1, attention, [(0, 0.0), (24, 24 * neuron_ms)], fixed)


def test_a_table_decides_otherwise_than_flops() -> None:
    model = tiny_model()
    importance = fisher(gate_gradients(model, _LISTS))
    by_flops = flops_masks(model, importance, 0.6, tokens=16)
    # The first head of a layer costs nearly all, more of them nothing: part of a layer's heads is
    # never worth it, and neurons are free.
    table = _table(_HEADS_DEAR, 1e-3)
    masks = latency_masks(model, importance, 0.6, table)
    assert _counts(masks)[:2] in ([4, 0], [0, 4])
    assert _counts(masks)[2:] == [24, 24]
    assert _counts(masks) != _counts(by_flops)
    # The other way round: heads for nothing, neurons dear.
    masks = latency_masks(model, importance, 0.6, _table([0.0] * 5, 1.0))
    assert _counts(masks)[:2] == [4, 4]
    assert sum(_counts(masks)[2:]) < 48


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_targets_are_kept(share: float) -> None:
    model = tiny_model()
    importance = fisher(gate_gradients(model, _LISTS))
    hidden, shapes = 16, layer_shapes(model)
    counts = _counts(flops_masks(model, importance, share, tokens=16))
    cost = scoring_flops(hidden) + sum(counts[:2]) * head_flops(hidden, 4, 16)
    cost += sum(counts[2:]) * neuron_flops(hidden, 16)
    total = model_flops(shapes, hidden, 16)
    assert share * total - head_flops(hidden, 4, 16) < cost <= share * total
    table = _table([0.0, 2.0, 2.5, 4.0, 4.1], 0.2)
    counts = _counts(latency_masks(model, importance, share, table))
    found = 1.0 + sum(table.attention(n) for n in counts[:2])
    found += sum(table.ffn(n) for n in counts[2:])
    assert found <= share * table.model(shapes)


def test_targets_below_the_floor_are_refused_with_the_smallest() -> None:
    model = tiny_model()
    importance = fisher(gate_gradients(model, _LISTS))
    total = model_flops(layer_shapes(model), 16, 16)
    smallest = f"{scoring_flops(16) / total:.4f}"
    with pytest.raises(TailorError, match=smallest):
        flops_masks(model, importance, 0.001, tokens=16)
    # 10 of 10 + 2 * (1 + 4.8) are outside of the layers.
    table = _table([0.5, 1.0, 1.0, 1.0, 1.0], 0.2, fixed=10.0)
    with pytest.raises(TailorError, match=f"{1.005 * 11 / 21.6:.4f}"):
        latency_masks(model, importance, 0.4, table)
    with pytest.raises(TailorError, match="up to 4 heads and 24 neurons"):
        latency_masks(model, importance, 0.9, _table([0.0, 1.0], 0.2))


def test_exchanges_find_units_that_cancel() -> None:
    rows = torch.randn(40, 7, generator=torch.Generator().manual_seed(2))
    # Closing one of these two costs most, closing both next to nothing.
    rows[:, 1] *= 3
    rows[:, 4] = -rows[:, 1] * 1.001
    information = block(rows, shrinkage=0.0)
    start = torch.tensor([1.0, 0, 1, 1, 1, 1, 0])
    found = rearranged(information, start)
    assert found.tolist() == [1, 0, 1, 1, 0, 1, 1]
    losses = []
    for closed in itertools.combinations(range(7), 2):
        mask = torch.ones(7)
        mask[list(closed)] = 0
        losses.append(closing_loss(information, mask))
    assert closing_loss(information, found) == pytest.approx(min(losses), rel=1e-9)
    assert torch.equal(rearranged(information, found), found)
    for mask in (torch.ones(7), torch.zeros(7)):
        assert torch.equal(rearranged(information, mask), mask)


def test_shrinkage_leaves_the_diagonal() -> None:
    rows = torch.randn(5, 3)
    plain, shrunk = block(rows, 0.0), block(rows, 0.5)
    assert torch.allclose(plain.diagonal(), shrunk.diagonal())
    assert torch.allclose(plain[0, 1] / 2, shrunk[0, 1])


def test_factors_solve_the_least_squares() -> None:
    generator = torch.Generator().manual_seed(4)
    columns = torch.randn(50, 5, generator=generator, dtype=torch.float64)
    target = torch.randn(50, generator=generator, dtype=torch.float64)
    mask = torch.tensor([1.0, 0, 1, 1, 0])
    gram, right = columns.T @ columns, columns.T @ target
    found = solve(gram, right, mask, ridge=0.0)
    kept = mask.nonzero().flatten()
    expected = np.linalg.lstsq(columns[:, kept].numpy(), target.numpy(), rcond=None)[0]
    assert found[kept].numpy() == pytest.approx(expected, abs=1e-5)
    assert found[[1, 4]].tolist() == [0, 0]
    assert solve(gram, right, mask, ridge=1e9)[kept].numpy() == pytest.approx(np.ones(3), abs=1e-4)


def test_tuning_leaves_an_unmasked_model_alone_and_mends_a_masked_one() -> None:
    model = tiny_model()
    whole = Gates([torch.ones(4)] * 2, [torch.ones(24)] * 2)
    for factors in (tuned := tune(model, whole, _LISTS)).heads, tuned.neurons:
        assert all(torch.allclose(one, torch.ones_like(one), atol=1e-4) for one in factors)
    masks = Gates([torch.tensor([1.0, 0, 1, 1])] * 2, [torch.tensor([1.0, 1, 0] * 8)] * 2)
    tuned = tune(model, masks, _LISTS)

    def error(gates: Gates) -> float:
        total = 0.0
        for one in _LISTS:
            batch = pad(one.pairs)
            difference = logits(model, batch, gated(model, gates)) - logits(model, batch)
            total += float(difference.square().sum().detach())
        return total

    assert error(tuned) < error(masks)
    for mask, factor in zip(
        (*masks.heads, *masks.neurons), (*tuned.heads, *tuned.neurons), strict=True
    ):
        assert torch.equal(mask == 0, factor == 0)


def test_tuning_takes_layers_that_lost_everything() -> None:
    masks = Gates([torch.zeros(4), torch.ones(4)], [torch.ones(24), torch.zeros(24)])
    tuned = tune(tiny_model(), masks, _LISTS)
    assert _counts(tuned) == _counts(masks)


def test_the_method_leaves_masks_that_give_its_model(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    made = PruneFisher(flops=0.5, tokens=16, lists=8, tuning_lists=4).make(context)
    assert dict(made.manifest) == {"derive": {"masks": "masks.safetensors", "format": "f32"}}
    heads, neurons = made.tensors["heads"], made.tensors["neurons"]
    assert heads.shape == (2, 4)
    assert neurons.shape == (2, 24)
    assert not set(torch.cat([heads, neurons], dim=1).flatten().tolist()) <= {0.0, 1.0}
    assert made.model is not None
    batch = pad(TinyLists().drawn(3).pairs)
    masked = logits(context.base, batch, gated(context.base, Gates(list(heads), list(neurons))))
    assert torch.allclose(logits(made.model, batch), masked, atol=1e-5)
    total = model_flops(layer_shapes(context.base), 16, 16)
    assert model_flops(layer_shapes(made.model), 16, 16) <= 0.5 * total

    def again() -> Tensor:
        method = PruneFisher(flops=0.5, tokens=16, lists=8, tuning_lists=4)
        return method.make(context).tensors["heads"]

    assert torch.equal(again(), heads)


def test_the_method_takes_a_table(tmp_path: Path) -> None:
    write_table(_table(_HEADS_DEAR, 1e-3), tmp_path / "table.json")
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    method = PruneFisher(
        latency=0.6, table=str(tmp_path / "table.json"), lists=8, tuning_lists=0, derived=False
    )
    made = method.make(context)
    assert made.model is not None
    assert sorted(shape.heads for shape in layer_shapes(made.model)) == [0, 4]
    assert not made.tensors
    assert not made.manifest


def test_one_target_is_asked_for(tmp_path: Path) -> None:
    context = TinyContext(tmp_path / "state.pt", tiny_model())
    for method in (PruneFisher(), PruneFisher(flops=0.5, latency=0.5)):
        with pytest.raises(TailorError, match="one target"):
            method.make(context)
    with pytest.raises(TailorError, match="latency table"):
        PruneFisher(latency=0.5, table=str(tmp_path / "none.json"), lists=2).make(context)
