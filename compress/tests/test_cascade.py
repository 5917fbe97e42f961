# SPDX-License-Identifier: Apache-2.0
"""Cascades: merging, calibration, plans and the curve."""

from itertools import pairwise

import numpy as np
import pytest

from tailor_compress.evaluation.cascade import (
    ROWS,
    Cut,
    all_pairs,
    calibration,
    curve,
    merged,
    plan,
    quality_of,
    useful_pairs,
)
from tailor_compress.evaluation.cascade_alternatives import (
    by_calibration,
    quality_of_three,
    three_passes,
)
from tailor_compress.evaluation.cascade_plot import cascade_plot
from tailor_compress.evaluation.metrics import Floats, list_metrics


def _scores(noise: float, seed: int, queries: int = 300) -> Floats:
    """Lists of 32 whose right document, in column 0, stands out by 2."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(queries, 32)) * noise
    scores[:, 0] += 2
    return scores


def _cuts(seed: int = 1) -> dict[str, Cut]:
    made = [
        Cut("floor", 0.1, _scores(2.0, seed)),
        Cut("quick", 1.0, _scores(1.2, seed + 1)),
        Cut("good", 20.0, _scores(0.6, seed + 2)),
    ]
    return {cut.id: cut for cut in made}


def test_merged_puts_what_was_scored_twice_first() -> None:
    first = np.array([[1.0, 3.0, 2.0, 0.0]])
    second = np.array([[9.0, 5.0, 7.0, 99.0]])
    order = np.argsort(-merged(first, second, 2), axis=1)[0].tolist()
    # Documents 1 and 2 by their second scores, then 0 and 3 by their first.
    assert order == [2, 1, 0, 3]


def test_ends_of_a_cascade_are_the_single_cuts() -> None:
    cuts = _cuts()
    first, second = cuts["quick"].scores, cuts["good"].scores
    assert quality_of(first, second, 0) == cuts["quick"].quality
    assert quality_of(first, second, 32) == cuts["good"].quality
    assert cuts["quick"].quality < quality_of(first, second, 8) < cuts["good"].quality


def test_calibration_rises_and_is_the_mean() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(500, 32))
    reference = 2 * scores - 1 + rng.normal(size=scores.shape)
    knots = calibration(scores, reference)
    xs, ys = zip(*knots, strict=True)
    assert all(b > a for a, b in pairwise(xs))
    assert all(b >= a for a, b in pairwise(ys))
    assert np.interp([-1, 0, 1], xs, ys) == pytest.approx([-3, -1, 1], abs=0.2)


def test_calibration_keeps_equal_scores_together() -> None:
    scores = np.zeros((4, 32))
    scores[:, :8] = 1
    knots = calibration(scores, scores * 3 - 1)
    assert knots == [(0.0, -1.0), (1.0, 2.0)]


def test_plan_is_a_single_cut_unless_a_cascade_is_better() -> None:
    cuts = _cuts()
    pairs = all_pairs(list(cuts.values()))
    assert plan(0.05, cuts, pairs) is None
    short = plan(1.01, cuts, ())
    assert short is not None
    assert (short.first, short.rows) == ("quick", 0)
    middle = plan(9.0, cuts, pairs)
    assert middle is not None
    assert (middle.first, middle.second) == ("quick", "good")
    assert middle.rows == 12
    enough = plan(20.0, cuts, pairs)
    assert enough is not None
    assert enough.quality >= cuts["good"].quality


def test_only_useful_pairs_are_kept() -> None:
    cuts = _cuts()
    pairs = all_pairs(list(cuts.values()))
    assert {(p.first, p.second) for p in pairs} == {
        ("floor", "quick"),
        ("floor", "good"),
        ("quick", "good"),
    }
    kept = useful_pairs(cuts, pairs)
    assert ("quick", "good") in {(p.first, p.second) for p in kept}
    for ms in (0.5, 5.0, 12.0):
        assert plan(ms, cuts, kept) == plan(ms, cuts, pairs)
    assert all(len(p.qualities) == len(ROWS) for p in kept)


def test_curve_is_planned_on_one_set_and_measured_on_another() -> None:
    dev, test = _cuts(1), _cuts(11)
    points = curve(dev, test, all_pairs(list(dev.values())))
    assert points[0].planned == pytest.approx(list_metrics(test["floor"].scores).ndcg10.mean())
    middle = next(point for point in points if point.ms > 9)
    assert middle.planned > middle.single + 0.05
    svg = cascade_plot(points)
    assert "cascade where it pays" in svg
    assert "best single cut" in svg


def test_alternatives_agree_with_a_single_cut_at_their_ends() -> None:
    cuts = _cuts()
    calibrated = by_calibration("quick", "good", 32, cuts, cuts)
    assert calibrated == pytest.approx(cuts["good"].quality, abs=0.01)
    thrice = three_passes(cuts)
    assert {one.cuts for one in thrice} == {("floor", "quick", "good")}
    assert quality_of_three(0.01, thrice, cuts) is None
    reached = quality_of_three(20.0, thrice, cuts)
    assert reached is not None
    assert cuts["quick"].quality < reached <= 1
