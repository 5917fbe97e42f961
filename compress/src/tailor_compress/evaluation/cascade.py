# SPDX-License-Identifier: Apache-2.0
"""Cascades of two cuts: the first scores all documents of a list, the second the best of them.

Merged order: documents that were scored twice stand above the others, by their second score. The
server merges by the same rule and plans by the same table (server/pipeline/cascade.h).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import isotonic_regression

from tailor_compress.evaluation.metrics import Floats, list_metrics

# Documents of a list of 32 that are scored twice, where cascades are measured.
ROWS = (2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
# A cascade is taken when it promises this much nDCG@10 over the best single cut: less is chance.
LEAST_GAIN = 0.003
_KNOTS = 25


@dataclass(frozen=True)
class Cut:
    """A variant: ms for a list of 32 documents, and its scores, [queries, 32]."""

    id: str
    ms: float
    scores: Floats

    @cached_property
    def quality(self) -> float:
        """nDCG@10 when it scores all documents."""
        return float(list_metrics(self.scores).ndcg10.mean())


def merged(first: Floats, second: Floats, rows: int) -> Floats:
    """Return scores [queries, 32] whose order is that of a cascade with ``rows`` scored twice."""
    best = np.argsort(-first, axis=1, kind="stable")[:, :rows]
    below = first - (first.max() - second.min() + 1.0)
    result: Floats = below.copy()
    np.put_along_axis(result, best, np.take_along_axis(second, best, axis=1), axis=1)
    return result


def quality_of(first: Floats, second: Floats, rows: int) -> float:
    """Return nDCG@10 of a cascade; ``rows`` 0 is the first cut alone."""
    scores = first if rows == 0 else merged(first, second, rows)
    return float(list_metrics(scores).ndcg10.mean())


def calibration(scores: Floats, reference: Floats) -> list[tuple[float, float]]:
    """Return knots (score, value) of a non-decreasing map of ``scores`` to ``reference``.

    Both are [queries, 32] over the same pairs. Isotonic regression (pool adjacent violators), read
    off at quantiles of the scores: the mean reference score at a score.
    """
    xs, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(index.ravel(), weights=reference.ravel()) / counts
    ys = isotonic_regression(means, weights=counts).x
    # The ends are where few pairs lie and order matters most: even quantiles would skip them.
    shares = np.unique(np.concatenate([np.linspace(0, 1, _KNOTS), [0.001, 0.01, 0.99, 0.999]]))
    at = np.unique(np.round(np.quantile(scores, shares, method="nearest"), 4))
    values = np.round(np.interp(at, xs, ys), 4)
    return list(zip(at.tolist(), values.tolist(), strict=True))


@dataclass(frozen=True)
class Pair:
    """What ``first`` on all and ``second`` on some documents give; by rows of ROWS."""

    first: str
    second: str
    qualities: tuple[float, ...]


def all_pairs(cuts: Sequence[Cut]) -> list[Pair]:
    """Measure every pair whose second cut costs more and is better."""
    found = []
    for first in cuts:
        for second in cuts:
            if second.ms <= first.ms or second.quality <= first.quality:
                continue
            qualities = tuple(quality_of(first.scores, second.scores, rows) for rows in ROWS)
            found.append(Pair(first.id, second.id, qualities))
    return found


@dataclass(frozen=True)
class Plan:
    """What is run in a given time; ``rows`` 0: ``first`` alone."""

    first: str
    second: str
    rows: int
    quality: float


def plan(
    ms: float,
    cuts: Mapping[str, Cut],
    pairs: Sequence[Pair],
    singles: Mapping[str, Cut] | None = None,
) -> Plan | None:
    """Return what promises the most in ``ms``, None when no cut is quick enough.

    ``cuts`` and ``pairs`` were measured on the same lists; ``singles`` are what may serve alone,
    ``cuts`` if None. A document's share of a list's time is 1/32: the fixed cost of a batch is
    small.
    """
    affordable = [cut for cut in (singles or cuts).values() if cut.ms <= ms]
    if not affordable:
        return None
    single = max(affordable, key=lambda cut: cut.quality)
    best = Plan(single.id, single.id, 0, single.quality)
    least = single.quality + LEAST_GAIN
    for pair in pairs:
        first, second = cuts[pair.first], cuts[pair.second]
        size = second.scores.shape[1]
        rows = min(int((ms - first.ms) / (second.ms / size)), size)
        if rows < ROWS[0]:
            continue
        at = (0, *ROWS, size)
        qualities = (first.quality, *pair.qualities, second.quality)
        quality = float(np.interp(rows, at, qualities))
        if quality >= max(least, best.quality):
            best = Plan(first.id, second.id, rows, quality)
    return best


def useful_pairs(cuts: Mapping[str, Cut], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that are the best plan for some time: the others need not be stored."""
    used = set()
    for ms in times(cuts):
        found = plan(ms, cuts, pairs)
        if found is not None and found.rows > 0:
            used.add((found.first, found.second))
    return [pair for pair in pairs if (pair.first, pair.second) in used]


def times(cuts: Mapping[str, Cut]) -> list[float]:
    """Return times in ms, evenly spread on a logarithmic axis, from the cheapest cut's on."""
    costs = [cut.ms for cut in cuts.values()]
    return [float(ms) for ms in np.geomspace(min(costs), 1.2 * max(costs), 120)]


@dataclass(frozen=True)
class CurvePoint:
    """Quality on the test lists in a given time: of the single cut, and of what was planned."""

    ms: float
    single: float
    planned: float
    plan: Plan


def curve(
    dev: Mapping[str, Cut], test: Mapping[str, Cut], pairs: Sequence[Pair]
) -> list[CurvePoint]:
    """Measure on ``test`` what was planned on ``dev``.

    The single cut is the best on test, which favours it; ``test`` may have more cuts.
    """
    found = []
    for ms in times(dev):
        alone, chosen = plan(ms, test, ()), plan(ms, dev, pairs, test)
        if alone is None or chosen is None:
            continue
        first, second = test[chosen.first].scores, test[chosen.second].scores
        planned = quality_of(first, second, chosen.rows)
        found.append(CurvePoint(ms, test[alone.first].quality, planned, chosen))
    return found
