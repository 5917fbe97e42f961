# SPDX-License-Identifier: Apache-2.0
"""Flows end to end on tiny models: they train, resume, and make what their settings say."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_context import TinyContext, TinyLists, tiny_model
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.distillation import course
from tailor_compress.distillation.course import Course
from tailor_compress.distillation.distil import Distil
from tailor_compress.distillation.ensemble import EnsembleDistil
from tailor_compress.distillation.masked_words import hide_words
from tailor_compress.distillation.presets import PRESETS
from tailor_compress.distillation.rounds import Rounds
from tailor_compress.distillation.terms import Term
from tailor_compress.distillation.tiny_bert import TinyBert
from tailor_compress.distillation.word_replacement import (
    WordReplacement,
    is_replaceable,
    neighbours,
)
from tailor_compress.errors import TailorError
from tailor_compress.method import Method
from tailor_compress.model.cut import LayerShape, layer_shapes
from tailor_compress.model.forward import logits, pad
from tailor_compress.model.layers import keep_layers
from tailor_compress.model.narrow import embedding_width
from tailor_compress.settings import parse
from tailor_compress.text import SPECIAL_TOKENS
from tailor_compress.training import loop
from tailor_compress.training.student import StudentShape

_BATCH = pad(TinyLists().drawn(0).pairs)
_SHORT: dict[str, Any] = {
    "lists_per_step": 4,
    "distinct_lists": 12,
    "precision": "f32",
    "checkpoint_steps": 2,
}


@dataclass(frozen=True)
class Family(TinyContext):
    """A context with several parents."""

    parents: dict[str, BertForSequenceClassification] = field(default_factory=dict)

    def parent(self, role: str = "base") -> BertForSequenceClassification:
        return copy.deepcopy(self.parents[role])


def _family(tmp_path: Path) -> Family:
    parents = {
        "teacher": tiny_model(0, layers=3),
        "second": tiny_model(1, layers=3),
        "init": tiny_model(2, layers=3),
    }
    with torch.no_grad():
        for model in parents.values():
            # Scores that differ enough for a distribution worth learning.
            model.classifier.weight *= 10
    return Family(tmp_path / "made.pt", parents["teacher"], parents=parents)


def _distance(context: Family, model: BertForSequenceClassification) -> float:
    """Mean KL from the teacher over the lists that training shows."""
    with torch.inference_mode():
        pairs = [context.lists.drawn(n).pairs for n in range(12)]
        both = (
            torch.stack([logits(one, pad(p)) for p in pairs]).log_softmax(-1)
            for one in (context.parents["teacher"], model)
        )
        target, found = both
        return float((target.exp() * (target - found)).sum(-1).mean())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_brings_a_student_nearer_to_its_teacher(preset: str, tmp_path: Path) -> None:
    context = _family(tmp_path)
    method = Distil(
        preset=preset, depth=2, steps=25, learning_rate=5e-3, relation_heads=4, **_SHORT
    )
    # A teacher of random weights does not rank the right document first: no hard losses here.
    soft = tuple(term for term in method.recipe().losses if term.loss != "hard")
    method = replace(method, losses=soft)
    before = method.student(context, context.parent("teacher"))
    made = method.make(context)
    assert made.model is not None
    assert _distance(context, made.model) < 0.8 * _distance(context, before)
    assert len(layer_shapes(made.model)) == 2
    assert set(made.model.state_dict()) == set(before.state_dict())
    (record,) = made.steps
    assert record.name == f"distil_{preset}"
    assert record.params["preset"] == preset


def test_a_method_meets_the_protocol() -> None:
    methods: list[Method] = [Distil(), TinyBert(), EnsembleDistil()]
    assert [method.roles for method in methods] == [
        ("teacher",),
        ("teacher",),
        ("teacher", "second"),
    ]


def test_settings_come_from_a_recipe() -> None:
    record = {
        "preset": "pkd_skip",
        "losses": [{"loss": "kl"}, {"loss": "pkd", "weight": 2}],
        "layers": [0, 2],
        "mapping": "last",
        "temperature": 3,
        "shape": {"hidden": 8, "heads": 2},
    }
    method = parse(Distil, record, "stages.x")
    recipe = method.recipe()
    assert recipe.losses == (Term("kl"), Term("pkd", 2.0))
    assert (recipe.mapping, recipe.temperature, recipe.mix) == ("last", 3.0, "constant")
    assert method.shape == StudentShape(hidden=8, heads=2)
    with pytest.raises(TailorError, match=r"one of .*uniform"):
        parse(Distil, {"mapping": "all"}, "stages.x")


def test_students_start_where_they_are_told(tmp_path: Path) -> None:
    context = _family(tmp_path)
    teacher = context.parent("teacher")
    start = Distil(preset="distilbert", depth=2).student(context, teacher)
    expected = keep_layers(teacher, [0, 1])
    assert torch.equal(logits(start, _BATCH), logits(expected, _BATCH))
    start = Distil(start="parent", layers=(2, 0)).student(context, teacher)
    expected = keep_layers(context.parents["init"], [2, 0])
    assert torch.equal(logits(start, _BATCH), logits(expected, _BATCH))
    new = Distil(start="scratch", shape=StudentShape(1, 8, 2, 12), embedding=3)
    start = new.student(context, teacher)
    assert layer_shapes(start) == [LayerShape(2, 4, 12)]
    assert embedding_width(start) == 3


@pytest.mark.parametrize(
    "shape", [StudentShape(1, 32, 4, 8), StudentShape(1, 8, 3, 8), StudentShape(0, 8, 2, 8)]
)
def test_shapes_that_cannot_be_are_refused(shape: StudentShape, tmp_path: Path) -> None:
    context = _family(tmp_path)
    with pytest.raises(TailorError, match="correct `shape`"):
        Distil(start="scratch", shape=shape, steps=1, **_SHORT).make(context)


def test_unknown_presets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TailorError, match="did you mean `minilm`"):
        Distil(preset="minilmv2").make(_family(tmp_path))


def test_a_narrow_student_of_another_width_learns_states(tmp_path: Path) -> None:
    context = _family(tmp_path)
    losses = (Term("embedding"), Term("hidden"), Term("cosine"), Term("pkd"), Term("kl", 5.0))
    method = Distil(
        losses=losses,
        start="scratch",
        shape=StudentShape(2, 12, 2, 16),
        embedding=6,
        steps=40,
        learning_rate=5e-3,
        **_SHORT,
    )
    made = method.make(context)
    assert made.model is not None
    before = method.student(context, context.parent("teacher"))
    assert _distance(context, made.model) < 0.8 * _distance(context, before)
    assert "bert.encoder.embedding_hidden_mapping_in.weight" in made.model.state_dict()


def test_two_labels_are_distilled_over_labels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(**{**tiny_model(layers=2).config.to_dict(), "num_labels": 2})
    teacher = BertForSequenceClassification(config)
    teacher.train(False)
    context = Family(tmp_path / "made.pt", teacher, parents={"teacher": teacher})
    losses = (Term("kl", axis="labels"), Term("hard", 0.0, axis="labels"))
    method = Distil(losses=losses, depth=1, steps=25, learning_rate=5e-3, **_SHORT)
    made = method.make(context)
    assert made.model is not None

    def distance(model: BertForSequenceClassification) -> float:
        with torch.inference_mode():
            ours, theirs = (logits(one, _BATCH).softmax(-1) for one in (model, teacher))
        return float((ours - theirs).abs().mean())

    assert distance(made.model) < 0.6 * distance(keep_layers(teacher, [0]))


def _tiny_bert(**changes: Any) -> TinyBert:
    settings = {
        "shape": StudentShape(2, 8, 4, 16),
        "general_steps": 20,
        "states_steps": 10,
        "scores_steps": 20,
        "general_rate": 1e-2,
        "states_rate": 5e-3,
        "scores_rate": 1e-2,
        "nearest": 3,
        **_SHORT,
        **changes,
    }
    return TinyBert(**settings)


def test_tiny_bert_trains_in_three_stages(tmp_path: Path) -> None:
    context = _family(tmp_path)
    method = _tiny_bert(general_teacher="init")
    made = method.make(context)
    assert made.model is not None
    names = [one.name for one in made.steps]
    assert names == ["tiny_bert_general", "tiny_bert_states", "tiny_bert_scores"]
    start = Distil(start="scratch", shape=method.shape).student(context, context.parent("teacher"))
    assert _distance(context, made.model) < 0.8 * _distance(context, start)
    assert set(made.model.state_dict()) == set(start.state_dict())


def test_tiny_bert_leaves_stages_out_and_keeps_layers(tmp_path: Path) -> None:
    context = _family(tmp_path)
    method = _tiny_bert(
        start="teacher", layers=(0, 2), general_steps=0, states_steps=2, scores_steps=0, augmented=0
    )
    made = method.make(context)
    assert [one.name for one in made.steps] == ["tiny_bert_states"]
    assert made.model is not None
    kept = keep_layers(context.parents["teacher"], [0, 2])
    assert torch.equal(made.model.classifier.weight, kept.classifier.weight)
    assert not torch.equal(logits(made.model, _BATCH), logits(kept, _BATCH))


def test_an_ensemble_teaches_its_mean(tmp_path: Path) -> None:
    context = _family(tmp_path)
    method = EnsembleDistil(hard=0.0, steps=40, learning_rate=5e-3, **_SHORT)
    made = method.make(context)
    assert made.model is not None

    def probabilities(model: BertForSequenceClassification) -> torch.Tensor:
        with torch.inference_mode():
            rows = [logits(model, pad(context.lists.drawn(n).pairs)) for n in range(12)]
        return torch.stack(rows).softmax(-1)

    first, second = (probabilities(context.parents[role]) for role in method.teachers)
    mean = (first + second) / 2
    assert (probabilities(made.model) - mean).abs().mean() < 0.5 * (first - mean).abs().mean()


def test_an_ensemble_from_scratch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TailorError, match="correct `teachers` or `start`"):
        EnsembleDistil(start="scratch").make(_family(tmp_path))


class _KilledError(Exception):
    """Ends a training in its middle."""


@pytest.mark.parametrize(
    ("method", "stage", "at"),
    [
        (Distil(preset="distilbert", depth=2, steps=6, **_SHORT), "distil", 5),
        (_tiny_bert(general_steps=2, states_steps=5, scores_steps=2), "states", 3),
        (_tiny_bert(general_steps=2, states_steps=2, scores_steps=5), "scores", 3),
    ],
)
def test_a_killed_training_resumes_to_the_same_weights(
    method: Method, stage: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = method.make(_family(tmp_path / "whole"))
    original = loop.train
    steps = []

    def killed(model: Any, objective: Any, schedule: Any, checkpoint: Path, name: str) -> float:
        def step(number: int) -> torch.Tensor:
            if name == stage and number == at:
                raise _KilledError
            steps.append((name, number))
            found: torch.Tensor = objective(number)
            return found

        return original(model, step, schedule, checkpoint, name)

    monkeypatch.setattr(course, "train", killed)
    context = _family(tmp_path / "killed")
    with pytest.raises(_KilledError):
        method.make(context)
    monkeypatch.setattr(course, "train", original)
    again = method.make(context)
    assert (stage, at - 1) in steps
    assert whole.model is not None
    assert again.model is not None
    expected = whole.model.state_dict()
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_other_settings_do_not_take_over_a_checkpoint(tmp_path: Path) -> None:
    context = _family(tmp_path)
    first = Distil(depth=1, steps=3, learning_rate=5e-3, **_SHORT)
    made, other = first.make(context), replace(first, temperature=5.0).make(context)
    assert made.model is not None
    assert other.model is not None
    assert not torch.equal(made.model.classifier.weight, other.model.classifier.weight)


def test_bf16_training_leaves_f32_weights(tmp_path: Path) -> None:
    method = Distil(preset="minilm", depth=1, steps=2, relation_heads=4, **_SHORT)
    made = replace(method, precision="bf16").make(_family(tmp_path))
    assert made.model is not None
    assert {tensor.dtype for tensor in made.model.state_dict().values()} == {torch.float32}


def test_rounds_show_every_list_once_in_a_new_order() -> None:
    rounds = Rounds(count=6, lists_per_step=4, steps=3, seed=1)
    shown = [number for step in range(3) for number in rounds.numbers(step)]
    assert sorted(shown[:6]) == sorted(shown[6:]) == list(range(6))
    assert shown[:6] != shown[6:]
    assert [rounds.progress(step) for step in range(3)] == [0, 0.5, 1]
    assert Course(**_SHORT).lists_for(2) == 8


def test_hidden_words_are_no_special_ones() -> None:
    context = TinyContext(Path(), tiny_model())
    batch = pad(TinyLists().drawn(0).pairs * 50)
    shown, chosen = hide_words(batch, context.tokens, 0.3, np.random.default_rng(0))
    words = batch.ids >= len(SPECIAL_TOKENS)
    assert not (chosen & ~words).any()
    assert float(chosen.sum() / words.sum()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(shown.ids[~chosen], batch.ids[~chosen])
    hidden = shown.ids[chosen] == context.tokens.index("[MASK]")
    assert float(hidden.float().mean()) == pytest.approx(0.8, abs=0.04)
    same = shown.ids[chosen] == batch.ids[chosen]
    assert float(same.float().mean()) == pytest.approx(0.1, abs=0.04)


def test_neighbours_are_the_nearest_in_angle() -> None:
    table = torch.tensor([[9.0, 9.0], [1.0, 0.0], [5.0, 1.0], [0.0, 1.0], [1.0, 2.0]])
    words = np.array([1, 2, 3, 4])
    assert neighbours(table, words, 2).tolist() == [[2, 4], [1, 4], [4, 2], [3, 2]]


def test_replaced_words_are_the_same_in_all_candidates() -> None:
    tokens = [*SPECIAL_TOKENS, "alpha", "beta", "gamma", "##ed", "the", "x1"]
    model = tiny_model()
    replacement = WordReplacement(model, tokens, 1.0, 1.0, 1)
    alpha, beta, continued, the, other = 5, 6, 8, 9, 10
    # `alpha` behind which a piece follows is part of a longer word.
    pairs = [
        ([2, alpha, beta, 3, beta, the, other, 3], 4),
        ([2, alpha, beta, 3, alpha, continued, 3], 4),
    ]
    changed = replacement(pairs, np.random.default_rng(0))
    (first, _), (second, _) = changed
    assert first[:4] == second[:4]
    assert first[4] == first[2]
    assert first[1] != alpha
    assert first[2] != beta
    assert first[1] in (6, 7)
    assert first[5:7] == [the, other]
    assert second[4:6] == [alpha, continued]
    assert [length for _, length in changed] == [4, 4]
    assert WordReplacement(model, tokens, 0.0, 1.0, 1)(pairs, np.random.default_rng(0)) == pairs


def test_only_whole_words_are_replaced() -> None:
    assert is_replaceable("archive")
    for token in ("##ive", "the", "42", "x", "[MASK]"):
        assert not is_replaceable(token)
