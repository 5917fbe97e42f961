# SPDX-License-Identifier: Apache-2.0
"""Scores of training lists, with the gradient, in batches of similar length."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tailor_compress.model.forward import Padded, pad
from tailor_compress.text import Ids


def score_lists(
    lists: Sequence[Sequence[tuple[Ids, int]]], bucket: int, score: Callable[[Padded], Tensor]
) -> Tensor:
    """Return the scores [lists, candidates] f32 of lists of equal size.

    ``score`` is called with ``bucket`` pairs of similar length at a time and returns their
    scores [n]. Small buckets waste products, large ones padding.
    """
    pairs = [pair for candidates in lists for pair in candidates]
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]))
    parts = [
        score(pad([pairs[i] for i in order[start : start + bucket]]))
        for start in range(0, len(order), bucket)
    ]
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    # On the host, where targets are: a few numbers a list.
    return torch.cat(parts).cpu()[back].reshape(len(lists), -1)
