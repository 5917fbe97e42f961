# SPDX-License-Identifier: Apache-2.0
"""Ranking metrics of lists with one right document, in column 0.

A tie with the right document counts half: in general, each metric is its mean over all orders of
the tied documents. Counting ties as hits would reward a head of low precision.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CUTOFF = 10


def _cumulative(gains: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(gains)])


def _expected(scores: Floats, gains: Floats) -> Floats:
    """Return [queries]: the mean of gains[rank - 1] over the ranks that ties allow."""
    right, wrong = scores[:, :1], scores[:, 1:]
    above = (wrong > right).sum(axis=1)
    ties = (wrong == right).sum(axis=1)
    total = _cumulative(gains)
    result: Floats = (total[above + ties + 1] - total[above]) / (ties + 1)
    return result


@dataclass(frozen=True)
class Metrics:
    """Per query, each [queries] float64 in [0, 1]."""

    ndcg10: Floats
    mrr10: Floats
    accuracy1: Floats


def list_metrics(scores: Floats) -> Metrics:
    """Compute the metrics of ``scores`` [queries, list size], the right document in column 0.

    With one right document nDCG@10 = 1 / log2(1 + rank) and MRR@10 = 1 / rank, 0 beyond rank 10.
    Raises ValueError for a score that is not finite: it has no rank.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite to be ranked")
    rank = np.arange(1, scores.shape[1] + 1)
    inside = rank <= CUTOFF
    return Metrics(
        ndcg10=_expected(scores, inside / np.log2(1.0 + rank)),
        mrr10=_expected(scores, inside / rank),
        accuracy1=_expected(scores, (rank == 1).astype(np.float64)),
    )
