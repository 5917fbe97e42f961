# SPDX-License-Identifier: Apache-2.0
"""Metrics and intervals against values worked out by hand."""

import math

import numpy as np
import pytest

from tailor_compress.evaluation.bootstrap import interval, paired
from tailor_compress.evaluation.metrics import list_metrics


def one(right: float, wrong: list[float]) -> tuple[float, float, float]:
    found = list_metrics(np.array([[right, *wrong]]))
    return float(found.ndcg10[0]), float(found.mrr10[0]), float(found.accuracy1[0])


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        (0, (1.0, 1.0, 1.0)),
        (1, (1 / math.log2(3), 0.5, 0.0)),
        (2, (0.5, 1 / 3, 0.0)),
        (9, (1 / math.log2(11), 0.1, 0.0)),
        (10, (0.0, 0.0, 0.0)),
    ],
)
def test_rank_without_ties(above: int, expected: tuple[float, float, float]) -> None:
    wrong = [2.0] * above + [0.0] * (31 - above)
    assert one(1.0, wrong) == pytest.approx(expected)


def test_one_tie_counts_half() -> None:
    ndcg, mrr, accuracy = one(1.0, [1.0] + [0.0] * 30)
    assert accuracy == pytest.approx(0.5)
    assert mrr == pytest.approx((1 + 0.5) / 2)
    assert ndcg == pytest.approx((1 + 1 / math.log2(3)) / 2)


def test_ties_across_the_cutoff() -> None:
    # Nine above, two tied: ranks 10, 11 and 12 are equally likely, only rank 10 gains.
    ndcg, mrr, _ = one(1.0, [2.0] * 9 + [1.0] * 2 + [0.0] * 20)
    assert ndcg == pytest.approx(1 / math.log2(11) / 3)
    assert mrr == pytest.approx(0.1 / 3)


def test_all_equal_is_a_random_order() -> None:
    ndcg, _, accuracy = one(0.0, [0.0] * 31)
    assert ndcg == pytest.approx(sum(1 / math.log2(1 + r) for r in range(1, 11)) / 32)
    assert ndcg == pytest.approx(0.142, abs=5e-4)
    assert accuracy == pytest.approx(1 / 32)


def test_scores_without_a_rank_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        one(float("nan"), [0.0] * 31)


def test_interval_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.3, size=1500)
    low, high = interval(values)
    half = 1.96 * values.std() / math.sqrt(1500)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_is_deterministic() -> None:
    values = np.random.default_rng(0).random(50)
    assert interval(values) == interval(values)


def test_paired_sees_a_difference_that_the_intervals_hide() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(0.6, 0.3, size=1000)
    second = first - rng.normal(0.01, 0.05, size=1000)
    assert interval(first)[0] < interval(second)[1]
    found = paired(first, second)
    assert found.low > 0
    assert found.p < 0.01


def test_paired_equal_values_do_not_differ() -> None:
    values = np.random.default_rng(2).random(100)
    found = paired(values, values)
    assert (found.difference, found.p) == (0.0, 1.0)


def test_paired_noise_is_not_significant() -> None:
    values = np.random.default_rng(4).random(400)
    found = paired(values, np.roll(values, 1))
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert found.low < 0 < found.high
    assert found.p > 0.9


def test_paired_needs_the_same_queries() -> None:
    with pytest.raises(ValueError, match="length"):
        paired(np.zeros(3), np.zeros(4))
