# SPDX-License-Identifier: Apache-2.0
"""Removes units (heads, neurons) in rounds: score, remove the least important, score again."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# By layer, [units] each.
ByLayer = Sequence[Tensor]


def _round_share(share: float, total: int) -> int:
    return max(1, round(share * total))


def remove_in_rounds(
    gates: ByLayer,
    target: int,
    round_share: float,
    importance: Callable[[ByLayer], ByLayer],
    accept: Callable[[ByLayer], bool],
) -> ByLayer:
    """Close gates until ``target`` units stay open or ``accept`` refuses what a round left.

    A round removes ``round_share`` of all units of ``gates``, wherever they are least important
    for the model as it then is; what a refused round removed stays.
    """
    sizes = [len(gate) for gate in gates]
    per_round = _round_share(round_share, sum(sizes))
    now = torch.cat(list(gates))
    while (left := int((now != 0).sum())) > target:
        scores = torch.cat(list(importance(now.split(sizes))))
        scores = scores.masked_fill(now == 0, float("inf"))
        gone = scores.argsort(stable=True)[: min(per_round, left - target)]
        after = now.clone()
        after[gone] = 0
        if not accept(after.split(sizes)):
            break
        now = after
    result: ByLayer = now.split(sizes)
    return result
