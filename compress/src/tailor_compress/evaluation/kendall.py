# SPDX-License-Identifier: Apache-2.0
"""Agreement of two rankers on the order of candidates."""

import numpy as np

from tailor_compress.evaluation.metrics import Floats


def kendall_tau(first: Floats, second: Floats) -> float:
    """Return Kendall's tau-b of two score matrices [queries, n], mean over the queries.

    Tau-b divides by the pairs that each side tells apart; a query with all scores equal on one
    side says nothing and counts as 0.
    """
    above = np.triu_indices(first.shape[1], k=1)
    ours, theirs = (
        np.sign(scores[:, above[0]] - scores[:, above[1]]) for scores in (first, second)
    )
    known = np.sqrt((ours != 0).sum(axis=1) * (theirs != 0).sum(axis=1))
    return float(((ours * theirs).sum(axis=1) / np.maximum(known, 1)).mean())
