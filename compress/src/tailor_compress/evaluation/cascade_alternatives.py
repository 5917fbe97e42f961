# SPDX-License-Identifier: Apache-2.0
"""What cascades do not do, measured: merging by calibrated scores, and a third pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tailor_compress.evaluation.cascade import Cut, calibration, merged
from tailor_compress.evaluation.metrics import Floats, list_metrics

# Of a list of 32: scored twice, and three times.
_TWICE, _THRICE = (8, 12, 16, 24), (2, 4, 6, 8, 12, 16, 20)
_SLOPE = 1e-6


def _calibrated(scores: Floats, knots: Sequence[tuple[float, float]]) -> Floats:
    """Return scores on the common scale; where the map is flat their own order stays."""
    xs, ys = zip(*knots, strict=True)
    result: Floats = np.interp(scores, xs, ys) + _SLOPE * scores
    return result


def by_calibration(
    first: str, second: str, rows: int, fit: Mapping[str, Cut], cuts: Mapping[str, Cut]
) -> float:
    """Return nDCG@10 of ``cuts`` when all documents are ordered by calibrated scores.

    The maps to the best cut's scores are fitted on ``fit``.
    """
    reference = max(fit.values(), key=lambda cut: cut.quality).scores
    one, two = (
        _calibrated(cuts[id_].scores, calibration(fit[id_].scores, reference))
        for id_ in (first, second)
    )
    best = np.argsort(-cuts[first].scores, axis=1, kind="stable")[:, :rows]
    scores = one.copy()
    np.put_along_axis(scores, best, np.take_along_axis(two, best, axis=1), axis=1)
    return float(list_metrics(scores).ndcg10.mean())


@dataclass(frozen=True)
class ThreePasses:
    """Three cuts: the first scores all documents, the others the best ``rows``."""

    cuts: tuple[str, str, str]
    rows: tuple[int, int]
    ms: float
    quality: float


def _three(cuts: Mapping[str, Cut], ids: tuple[str, str, str], rows: tuple[int, int]) -> float:
    one, two, three = (cuts[id_].scores for id_ in ids)
    scores = merged(merged(one, two, rows[0]), three, rows[1])
    return float(list_metrics(scores).ndcg10.mean())


def three_passes(cuts: Mapping[str, Cut]) -> list[ThreePasses]:
    """Measure three passes of every three cuts, in order of cost."""
    found = []
    for three in combinations(sorted(cuts.values(), key=lambda cut: cut.ms), 3):
        ids = (three[0].id, three[1].id, three[2].id)
        size = three[0].scores.shape[1]
        for twice in _TWICE:
            for thrice in (rows for rows in _THRICE if rows < twice):
                ms = three[0].ms + (twice * three[1].ms + thrice * three[2].ms) / size
                rows = (twice, thrice)
                found.append(ThreePasses(ids, rows, ms, _three(cuts, ids, rows)))
    return found


def quality_of_three(
    ms: float, measured: Sequence[ThreePasses], cuts: Mapping[str, Cut]
) -> float | None:
    """Return on ``cuts`` what was best in ``ms`` as ``measured``; None when nothing was in time."""
    in_time = [one for one in measured if one.ms <= ms]
    if not in_time:
        return None
    best = max(in_time, key=lambda one: one.quality)
    return _three(cuts, best.cuts, best.rows)
