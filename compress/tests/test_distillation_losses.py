# SPDX-License-Identifier: Apache-2.0
"""Each loss against its formula written out in numpy or by hand; maps; terms that are refused."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_context import tiny_model
from torch import Tensor

from tailor_compress.distillation import losses, state_losses
from tailor_compress.distillation.ensemble import mean_scores
from tailor_compress.distillation.mapping import Mapping, matched_layers
from tailor_compress.distillation.presets import PRESETS
from tailor_compress.distillation.state_losses import Measured, Sight
from tailor_compress.distillation.terms import Term, check_terms, share
from tailor_compress.errors import TailorError
from tailor_compress.model.forward import Attended
from tailor_compress.model.states import States

_LOG3 = math.log(3)
Array = NDArray[Any]


def test_kl_by_hand() -> None:
    teacher = torch.tensor([[2 * _LOG3, 0.0], [0.0, 0.0]])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    found = losses.kl(torch.zeros(2, 2), teacher, 2.0)
    assert float(found) == pytest.approx(4 * by_hand / 2)


def test_kl_over_labels_is_the_mean_over_pairs() -> None:
    teacher = torch.tensor([[[_LOG3, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(losses.kl(torch.zeros(2, 2, 2), teacher, 1.0)) == pytest.approx(by_hand / 4)


def test_soft_cross_entropy_by_hand() -> None:
    teacher, student = torch.tensor([[2 * _LOG3, 0.0]]), torch.tensor([[0.0, 2 * _LOG3]])
    by_hand = -(0.75 * math.log(0.25) + 0.25 * math.log(0.75))
    assert float(losses.soft_cross_entropy(student, teacher, 2.0)) == pytest.approx(4 * by_hand)


def test_squared_errors_by_hand() -> None:
    student, teacher = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[2.0, 1.0, -2.0]])
    assert float(losses.mse(student, teacher, 1.0)) == pytest.approx((1 + 0 + 4) / 3)
    # Margins of the student 2 and 3, of the teacher 1 and 4.
    assert float(losses.margin_mse(student, teacher, 1.0)) == pytest.approx((1 + 1) / 2)


def test_spherical_by_hand() -> None:
    teacher, student = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.8, 0.6]])
    # The student's scores grow to the teacher's norm of 5: 4 and 3.
    p = math.exp(3) / (math.exp(3) + math.exp(4))
    by_hand = p * math.log(p / (1 - p)) + (1 - p) * math.log((1 - p) / p)
    assert float(losses.spherical(student, teacher, 1.0)) == pytest.approx(by_hand, rel=1e-5)


def test_spherical_over_two_labels_tells_margins_apart() -> None:
    teacher = torch.tensor([[3.0, 1.0]])
    near, far = (torch.tensor([[3.0, x]]) for x in (1.2, 2.9))
    assert losses.spherical(near, teacher, 1.0) < losses.spherical(far, teacher, 1.0)


def test_hard_by_hand() -> None:
    lists = torch.tensor([[_LOG3, 0.0], [0.0, 0.0]])
    by_hand = (math.log(4 / 3) + math.log(2)) / 2
    assert float(losses.hard(lists, losses.first_of(lists))) == pytest.approx(by_hand)
    labels = torch.tensor([[[0.0, _LOG3], [_LOG3, 0.0], [0.0, _LOG3]]])
    by_hand = (math.log(4 / 3) + math.log(4 / 3) + math.log(4)) / 3
    assert float(losses.hard(labels, losses.last_label_of(labels))) == pytest.approx(by_hand)


def _sight(
    seed: int = 1, hidden: tuple[int, int] = (4, 4), heads: tuple[int, int] = (2, 2)
) -> Sight:
    """Random states of two texts of 3 and 2 tokens, a student of 2 layers, a teacher of 3."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])

    def states(layers: int, width: int, n: int) -> States:
        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        bias = ((1 - mask) * -1e4)[:, None, None, :]
        seen = []
        for _ in range(layers):
            q, k, v = (random(2, n, 3, width // n) for _ in range(3))
            seen.append(Attended(q, k, v, random(2, n, 3, 3) + bias))
        return States(random(2), [random(2, 3, width) for _ in range(layers + 1)], seen)

    layers = [(1, 2), (2, 3)]
    student, teacher = states(2, hidden[0], heads[0]), states(3, hidden[1], heads[1])
    return Sight(student, teacher, mask, layers, torch.nn.Identity(), 2)


def _mean(measured: Measured) -> float:
    return float(measured[0]) / measured[1]


def _tokens(x: Tensor) -> Array:
    """Rows of the five tokens of `_sight`, [5, ...]."""
    a = x.numpy().astype(np.float64)
    return np.concatenate([a[0], a[1, :2]])


def test_embedding_and_hidden_are_means_over_tokens() -> None:
    sight = _sight()
    ours, theirs = sight.student.hidden, sight.teacher.hidden
    by_numpy = np.square(_tokens(ours[0]) - _tokens(theirs[0])).mean()
    assert _mean(state_losses.embedding(sight)) == pytest.approx(by_numpy, rel=1e-5)
    by_numpy = sum(
        np.square(_tokens(ours[s]) - _tokens(theirs[t])).mean() for s, t in ((1, 2), (2, 3))
    )
    assert _mean(state_losses.hidden(sight)) == pytest.approx(by_numpy, rel=1e-5)


def test_one_map_serves_all_layers() -> None:
    sight = _sight(hidden=(2, 4))
    weight = torch.tensor([[1.0, 2.0], [0.0, 1.0], [-1.0, 0.5], [2.0, 0.0]])
    sight = replace(sight, project=lambda x: x @ weight.T)
    ours, theirs, w = sight.student.hidden, sight.teacher.hidden, weight.numpy()
    by_numpy = sum(
        np.square(_tokens(ours[s]) @ w.T - _tokens(theirs[t])).mean() for s, t in ((1, 2), (2, 3))
    )
    assert _mean(state_losses.hidden(sight)) == pytest.approx(by_numpy, rel=1e-5)


def test_attention_compares_raw_scores_of_tokens() -> None:
    sight = _sight()
    by_numpy = 0.0
    for s, t in sight.layers:
        ours = sight.student.attended[s - 1].scores.numpy().astype(np.float64)
        theirs = sight.teacher.attended[t - 1].scores.numpy().astype(np.float64)
        apart = np.square(ours - theirs)
        # 9 and 4 pairs of tokens, two heads each; padding is in neither.
        by_numpy += (apart[0].sum() + apart[1, :, :2, :2].sum()) / (2 * (9 + 4))
    assert _mean(state_losses.attention(sight)) == pytest.approx(by_numpy, rel=1e-5)


def test_attention_scores_at_the_bound_count_as_zero() -> None:
    sight = _sight()
    for states in (sight.student, sight.teacher):
        for one in states.attended:
            one.scores[...] = 1.0
    sight.student.attended[0].scores[0, 0, 0, 0] = -100.0
    # 1 - 0 at one of 26 places.
    assert _mean(state_losses.attention(sight)) == pytest.approx(1 / 26)


def test_attention_of_other_heads_is_refused() -> None:
    with pytest.raises(TailorError, match="one number of heads"):
        state_losses.attention(_sight(heads=(1, 2)))


def test_patient_by_hand() -> None:
    sight = _sight()
    by_numpy = 0.0
    for s, t in sight.layers:
        for text in range(2):
            a = sight.student.hidden[s][text, 0].numpy().astype(np.float64)
            b = sight.teacher.hidden[t][text, 0].numpy().astype(np.float64)
            by_numpy += np.square(a / np.linalg.norm(a) - b / np.linalg.norm(b)).sum() / 4
    assert _mean(state_losses.pkd(sight)) == pytest.approx(by_numpy, rel=1e-5)


def test_cosine_by_hand() -> None:
    sight = _sight()
    a, b = _tokens(sight.student.hidden[-1]), _tokens(sight.teacher.hidden[-1])
    near = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert _mean(state_losses.cosine(sight)) == pytest.approx((1 - near).mean(), rel=1e-5)


def _relation(x: Tensor, text: int, head: int, length: int) -> Array:
    """MiniLMv2's relation of one of two relation heads over the joined heads of x."""
    joined = np.concatenate(list(x[text].numpy().astype(np.float64)), axis=1)[:length]
    size = joined.shape[1] // 2
    part = joined[:, head * size : (head + 1) * size]
    products = np.exp(part @ part.T / math.sqrt(size))
    found: Array = products / products.sum(axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("heads", [(2, 2), (1, 4)])
def test_relations_by_hand(heads: tuple[int, int]) -> None:
    sight = _sight(hidden=(4, 8), heads=heads)
    by_numpy = 0.0
    for s, t in sight.layers:
        for name in ("q", "k", "v"):
            for text, length in ((0, 3), (1, 2)):
                for head in range(2):
                    p = _relation(getattr(sight.teacher.attended[t - 1], name), text, head, length)
                    q = _relation(getattr(sight.student.attended[s - 1], name), text, head, length)
                    by_numpy += (p * np.log(p / q)).sum()
    by_numpy /= 5 * 2 * 2
    assert _mean(state_losses.relations(sight)) == pytest.approx(by_numpy, rel=1e-4)


def test_relation_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(TailorError, match="relation heads that divide 4"):
        state_losses.relations(replace(_sight(), relation_heads=3))


def test_equal_models_have_no_distance() -> None:
    sight = _sight()
    same = replace(sight, student=sight.teacher, layers=[(1, 1), (3, 3)])
    for loss in (
        state_losses.embedding,
        state_losses.hidden,
        state_losses.attention,
        state_losses.pkd,
        state_losses.cosine,
        state_losses.relations,
    ):
        assert _mean(loss(same)) == pytest.approx(0, abs=1e-6)


def test_the_mean_teacher_has_the_mean_of_probabilities() -> None:
    scores = [np.array([[2 * _LOG3, 0.0]], np.float32), np.zeros((1, 2), np.float32)]
    found = mean_scores(scores, 2.0) / 2.0
    assert np.exp(found) == pytest.approx(np.array([[0.625, 0.375]]), rel=1e-5)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("uniform", [(1, 3), (2, 6), (3, 9), (4, 12)]),
        ("top", [(1, 9), (2, 10), (3, 11), (4, 12)]),
        ("bottom", [(1, 1), (2, 2), (3, 3), (4, 4)]),
        ("skip", [(1, 3), (2, 6), (3, 9)]),
        ("last", [(1, 9), (2, 10), (3, 11)]),
        ("final", [(4, 12)]),
    ],
)
def test_layer_maps(mapping: Mapping, expected: list[tuple[int, int]]) -> None:
    assert matched_layers(mapping, 4, 12) == expected


def test_layer_maps_of_depths_that_do_not_divide() -> None:
    assert matched_layers("uniform", 4, 6) == [(1, 2), (2, 3), (3, 5), (4, 6)]
    # Patient distillation's own: 6 layers from 12.
    assert matched_layers("skip", 6, 12) == [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]
    assert matched_layers("last", 6, 12) == [(1, 7), (2, 8), (3, 9), (4, 10), (5, 11)]


@pytest.mark.parametrize(("mapping", "layers"), [("uniform", 4), ("skip", 1), ("last", 1)])
def test_depths_without_a_map_are_refused(mapping: Mapping, layers: int) -> None:
    with pytest.raises(TailorError, match="a student of"):
        matched_layers(mapping, layers, 3)


def test_annealing_goes_from_soft_to_hard() -> None:
    soft, hard, states = Term("kl", 2.0), Term("hard", 0.5), Term("pkd", 4.0)
    assert [share(one, "constant", 0.25) for one in (soft, hard, states)] == [2.0, 0.5, 4.0]
    assert [share(one, "linear", 0.25) for one in (soft, hard, states)] == [1.5, 0.125, 3.0]
    assert share(soft, "linear", 1.0) == share(hard, "linear", 0.0) == 0.0


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term("kl", axis="labels"), "one: a softmax over one logit is always 1"),
        (Term("margin_mse", axis="labels"), "the axis `candidates`"),
        (Term("klx"), "did you mean `kl`"),
    ],
)
def test_terms_without_a_meaning_are_refused(term: Term, message: str) -> None:
    with pytest.raises(TailorError, match=message):
        check_terms([term], tiny_model())


def test_candidates_of_several_labels_are_refused() -> None:
    model = tiny_model()
    model.config.num_labels = 2
    with pytest.raises(TailorError, match="axis: labels"):
        check_terms([Term("kl")], model)
    assert check_terms([Term("kl", axis="labels")], model) == 2


def test_presets_are_of_known_losses() -> None:
    for preset in PRESETS.values():
        assert check_terms(preset.losses, tiny_model()) == 1
    with pytest.raises(TailorError, match="at least one loss"):
        check_terms((), tiny_model())
