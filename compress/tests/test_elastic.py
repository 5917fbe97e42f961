# SPDX-License-Identifier: Apache-2.0
"""Elastic models: slices are the masked whole, rewiring changes nothing, training resumes."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_context import TinyContext, TinyLists, tiny_model
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.elastic.distillation import (
    Passed,
    hidden_distance,
    matched_states,
    run_lists,
)
from tailor_compress.elastic.importance import importances
from tailor_compress.elastic.method import Elastic
from tailor_compress.elastic.quality import measure_parts, quality_table
from tailor_compress.elastic.rewire import rewire
from tailor_compress.elastic.subnetworks import (
    SubNetwork,
    Table,
    kept_layers,
    make_table,
    slice_model,
)
from tailor_compress.elastic.train import Distillation, Sampling, Trainer
from tailor_compress.elastic.view import view
from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model
from tailor_compress.model.forward import logits, pad, plain
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.loop import Schedule
from tailor_compress.training.losses import listwise, listwise_distillation

_HEADS, _SIZE, _NEURONS, _LAYERS = 4, 4, 24, 3


def _model() -> BertForSequenceClassification:
    return tiny_model(layers=_LAYERS)


def _context(folder: Path) -> TinyContext:
    return TinyContext(folder / "state.pt", _model())


_BATCH = pad(TinyLists().drawn(0).pairs)
_TINY = Elastic(
    widths=(1.0, 0.5),
    depths=(1.0, 0.67),
    importance_lists=2,
    steps_width=3,
    steps_depth=3,
    steps_tune=2,
    lists_per_step=2,
    learning_rate=1e-3,
    precision="f32",
    checkpoint_steps=1,
)


def _table() -> Table:
    return make_table(_model(), (0.25, 0.5, 1.0), (1.0, 0.67))


def _masked(part: SubNetwork) -> BertForSequenceClassification:
    """Return the whole model with zeros where ``part`` has nothing."""
    model = _model()
    layers: Any = model.bert.encoder.layer
    with torch.no_grad():
        for layer in layers:
            layer.attention.output.dense.weight[:, part.width.heads * _SIZE :] = 0
            layer.output.dense.weight[:, part.width.ffn_dim :] = 0
    model.bert.encoder.layer = nn.ModuleList([layers[n] for n in part.depth.layers])
    return model


def test_layers_are_kept_by_the_papers_rule() -> None:
    assert kept_layers(12, 0.75) == (0, 1, 2, 4, 5, 6, 8, 9, 10)
    assert kept_layers(12, 0.5) == (0, 2, 4, 6, 8, 10)
    assert kept_layers(6, 1.0) == (0, 1, 2, 3, 4, 5)
    assert kept_layers(6, 0.67) == (0, 1, 2, 4)
    assert kept_layers(6, 0.33) == (0, 3)


def test_the_table_names_every_number() -> None:
    assert _table().manifest() == {
        "widths": [
            {"width": 1.0, "heads": 4, "ffn_dim": 24},
            {"width": 0.5, "heads": 2, "ffn_dim": 12},
            {"width": 0.25, "heads": 1, "ffn_dim": 6},
        ],
        "depths": [{"depth": 1.0, "layers": [0, 1, 2]}, {"depth": 0.67, "layers": [0, 1]}],
    }


@pytest.mark.parametrize("widths", [(0.5,), (1.0, 1.0), (1.0, 0.0), (1.5, 1.0), ()])
def test_impossible_shares_are_refused(widths: tuple[float, ...]) -> None:
    with pytest.raises(TailorError):
        make_table(_model(), widths, (1.0,))


def test_a_parent_with_uneven_layers_is_refused() -> None:
    cut = cut_model(_model(), [LayerCut(0, [0], range(24)), LayerCut(1, [0, 1], range(24))])
    with pytest.raises(TailorError, match="one shape"):
        make_table(cut, (1.0,), (1.0,))


@pytest.mark.parametrize("part", _table().all(), ids=lambda part: part.name)
def test_a_slice_and_a_view_are_the_masked_whole(part: SubNetwork) -> None:
    masked = logits(_masked(part), _BATCH)
    assert torch.allclose(logits(slice_model(_model(), part), _BATCH), masked, atol=1e-5)
    assert torch.allclose(logits(view(_model(), part), _BATCH), masked, atol=1e-5)


def test_importance_is_the_gradient_of_masks() -> None:
    model = _model()
    pairs = TinyLists().drawn(3).pairs
    heads = torch.ones(_LAYERS, _HEADS, requires_grad=True)
    inner = torch.ones(_LAYERS, _NEURONS, requires_grad=True)
    layers: Any = model.bert.encoder.layer
    masks: dict[int, Tensor] = {}
    for n, layer in enumerate(layers):
        masks[id(layer.attention.output.dense)] = heads[n].repeat_interleave(_SIZE)
        masks[id(layer.output.dense)] = inner[n]

    def masked(linear: nn.Linear, x: Tensor) -> Tensor:
        return plain(linear, x * masks[id(linear)] if id(linear) in masks else x)

    found = importances(model, [CandidateList(pairs)])
    loss = listwise(logits(model, pad(pairs), masked)[None])
    of_heads, of_inner = torch.autograd.grad(loss, (heads, inner), retain_graph=True)
    for n, one in enumerate(found):
        assert torch.allclose(one.heads.float(), of_heads[n].abs(), atol=1e-5)
        dense = layers[n].intermediate.dense
        weight, bias = torch.autograd.grad(loss, (dense.weight, dense.bias), retain_graph=True)
        first = ((dense.weight * weight).sum(1) + dense.bias * bias).abs()
        assert torch.allclose(one.neurons.float(), first + of_inner[n].abs(), atol=1e-5)
    twice = importances(model, [CandidateList(pairs)] * 2)
    assert torch.allclose(twice[0].heads, 2 * found[0].heads)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_rewiring_changes_the_order_and_not_the_scores() -> None:
    model = _model()
    found = importances(model, _context(Path()).dev_lists(2))
    rewired = rewire(model, found)
    assert torch.allclose(logits(rewired, _BATCH), logits(model, _BATCH), atol=1e-5)
    again = importances(rewired, _context(Path()).dev_lists(2))
    for before, after in zip(found, again, strict=True):
        assert torch.all(after.heads[:-1] >= after.heads[1:] - 1e-6)
        expected = torch.sort(before.neurons, descending=True).values
        assert torch.allclose(after.neurons, expected, atol=1e-5)


def test_the_gradient_of_a_slice_stays_in_the_slice() -> None:
    model = _model()
    part = _table().all()[-1]
    torch.autograd.backward(logits(view(model, part), _BATCH).square().sum())
    layers: Any = model.bert.encoder.layer
    rows, neurons = part.width.heads * _SIZE, part.width.ffn_dim
    for n in part.depth.layers:
        layer = layers[n]
        for weight, kept in (
            (layer.attention.self.query.weight.grad, rows),
            (layer.attention.self.value.bias.grad, rows),
            (layer.attention.output.dense.weight.grad.T, rows),
            (layer.intermediate.dense.weight.grad, neurons),
            (layer.output.dense.weight.grad.T, neurons),
        ):
            assert weight[:kept].abs().sum() > 0
            assert not weight[kept:].any()
    assert layers[2].output.dense.weight.grad is None


def test_states_learn_from_their_own_layer_and_the_last_from_the_last() -> None:
    whole = make_table(_model(), (1.0,), (1.0, 0.67)).all()
    assert matched_states(whole[0], 3) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert matched_states(whole[1], 3) == [(0, 0), (1, 1), (2, 3)]


def test_the_distance_counts_tokens_and_not_padding() -> None:
    mask = torch.tensor([[1, 1], [1, 0]])
    zero, one = torch.zeros(2, 2, 4), torch.ones(2, 2, 4)
    one[0, 0], one[1, 1] = 3.0, 100.0
    scores = torch.zeros(1, 2)
    student = Passed(scores, [[zero], [zero[:, :1]]], [mask])
    teacher = Passed(scores, [[one], [one[:, :1]]], [mask])
    assert float(hidden_distance(student, teacher, [(0, 0)])) == pytest.approx(11 / 3)
    assert float(hidden_distance(student, teacher, [(0, 0), (1, 1)])) == pytest.approx(11 / 3 + 5)


@pytest.mark.parametrize("every_token", [True, False])
def test_a_run_gives_the_scores_of_the_model_and_all_states(every_token: bool) -> None:
    lists = [TinyLists().drawn(n).pairs for n in range(3)]
    found = run_lists(_model(), lists, every_token)
    expected = torch.stack([logits(_model(), pad(one)) for one in lists])
    assert torch.allclose(found.scores, expected, atol=1e-5)
    length = found.masks[0].shape[1]
    rows = [state[0].shape[1] for state in found.states]
    assert rows == ([length] * 3 if every_token else [1] * 3) + [1]


def test_a_step_draws_the_largest_the_smallest_and_some_between() -> None:
    parts = _table().all()
    sampling = Sampling(others=2, largest_weight=1.0)
    seen: set[str] = set()
    for step in range(30):
        drawn = sampling.drawn(parts, 1, step)
        assert drawn[:2] == [parts[0], parts[-1]]
        assert len({part.name for part in drawn}) == 4
        assert drawn == sampling.drawn(parts, 1, step)
        seen.update(part.name for part in drawn)
    assert len(seen) == len(parts)
    assert sampling.drawn(parts[:1], 1, 0) == parts[:1]


def _train(model: BertForSequenceClassification, folder: Path, same_width: bool) -> float:
    trainer = Trainer(model, _table(), TinyLists(), Sampling(1, 1.0), folder / "state.pt")
    settings = Distillation(2.0, 0.5, every_token=True, same_width=same_width)
    schedule = Schedule(1, 2, 1e-3, seed=1, precision="f32", checkpoint_steps=1)
    return trainer.distil("test", _table().all(), settings, schedule, first=0)


@pytest.mark.parametrize("same_width", [True, False])
def test_a_steps_loss_is_the_mean_over_its_parts(
    same_width: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [TinyLists().drawn(n).pairs for n in range(2)]
    table, losses = _table(), []
    for part in Sampling(1, 1.0).drawn(table.all(), 1, 0):
        width = part.width if same_width else table.widths[0]
        taught = run_lists(view(_model(), SubNetwork(width, table.depths[0])), pairs, True)
        found = run_lists(view(_model(), part), pairs, True)
        distance = hidden_distance(found, taught, matched_states(part, 3))
        kl = listwise_distillation(found.scores, taught.scores, 2.0)
        losses.append(float((kl + 0.5 * distance).detach()))
    values: list[float] = []

    def spy(_: object, objective: Callable[[int], Tensor], *__: object) -> float:
        values.append(float(objective(0).detach()))
        return 0.0

    monkeypatch.setattr("tailor_compress.elastic.train.train", spy)
    _train(_model(), tmp_path, same_width)
    assert values == [pytest.approx(math.fsum(losses) / 3, rel=1e-4)]


def test_training_brings_sub_networks_to_the_teacher(tmp_path: Path) -> None:
    lists, table = TinyLists(), make_table(_model(), (1.0, 0.5), (1.0,))
    pairs = [lists.drawn(n).pairs for n in range(50, 70)]
    small = table.wide()[-1]

    def distance(model: BertForSequenceClassification, part: SubNetwork) -> float:
        with torch.no_grad():
            target = run_lists(_model(), pairs, False).scores
            found = run_lists(view(model, part), pairs, False).scores
            return float(listwise_distillation(found, target, 1.0))

    model = _model()
    before = distance(model, small)
    trainer = Trainer(model, table, lists, Sampling(0, 1.0), tmp_path / "state.pt")
    schedule = Schedule(60, 4, 3e-3, seed=1, precision="f32")
    loss = Distillation(1.0, 0.1, every_token=True, same_width=False)
    trainer.distil("width", table.wide(), loss, schedule, first=0)
    assert distance(model, small) < 0.5 * before
    assert distance(model, table.largest) < 0.5 * before


def test_the_method_makes_an_elastic_variant_and_resumes(tmp_path: Path) -> None:
    made = _TINY.make(_context(tmp_path))
    assert made.model is not None
    assert [one.name for one in made.steps] == [
        "elastic_rewire",
        "elastic_width",
        "elastic_depth",
        "elastic_tune",
    ]
    table = make_table(_model(), _TINY.widths, _TINY.depths)
    assert made.manifest == {"elastic": table.manifest()}
    measured = measure_parts(made.model, table, _context(tmp_path).dev_quality)
    assert [one.part for one in measured] == table.all()
    assert measured[0].weights > measured[1].weights > measured[-1].weights
    assert "| 0.5 | 0.67 | 2 | 12 | 0, 1 |" in quality_table(measured)

    again = _TINY.make(_context(tmp_path / "again")).model
    continued = _TINY.make(_context(tmp_path)).model
    for other in (again, continued):
        assert other is not None
        for name, tensor in other.state_dict().items():
            assert torch.equal(tensor, made.model.state_dict()[name]), name


def test_a_training_that_was_cut_off_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _TINY.make(_context(tmp_path / "whole")).model
    drawn = TinyLists.drawn

    def failing(self: TinyLists, number: int) -> CandidateList:
        # List 9 belongs to step 1 of the depth stage, after its first checkpoint.
        if number == 9:
            raise KeyboardInterrupt
        return drawn(self, number)

    monkeypatch.setattr(TinyLists, "drawn", failing)
    with pytest.raises(KeyboardInterrupt):
        _TINY.make(_context(tmp_path / "cut"))
    monkeypatch.undo()
    resumed = _TINY.make(_context(tmp_path / "cut")).model
    assert whole is not None
    assert resumed is not None
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name


@pytest.mark.parametrize(
    "wrong",
    [
        replace(_TINY, lists_per_step=0),
        replace(_TINY, importance_lists=0),
        replace(_TINY, others=-1),
    ],
)
def test_impossible_settings_are_refused(wrong: Elastic, tmp_path: Path) -> None:
    with pytest.raises(TailorError, match="correct the settings"):
        wrong.make(_context(tmp_path))
