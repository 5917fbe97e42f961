# SPDX-License-Identifier: Apache-2.0
"""Exchanges kept for closed units of a layer, by the Fisher information between its units.

Kwon et al. (2022), section 4.2: the number of units of each layer stays, and the loss of closing
a set R is s^T s for s the sum of the gradients of R, with gradients as rows of one list each.
"""

import torch
from torch import Tensor

from tailor_compress.pruning.gates import Gates, Gradients

# Weight of the diagonal. A few hundred lists have a rank far below a layer's neurons: the plain
# sum would be lowered by chance, through sets whose gradients cancel in these lists only.
SHRINKAGE = 0.5


def closing_loss(information: Tensor, mask: Tensor) -> float:
    """Return 1_R^T F 1_R for F = ``information`` [units, units] and R what ``mask`` closes."""
    closed = (mask == 0).to(information.dtype)
    return float(closed @ information @ closed)


def block(gradients: Tensor, shrinkage: float = SHRINKAGE) -> Tensor:
    """Return a layer's Fisher information [units, units] f64 of gradients [lists, units].

    Its off-diagonal part is scaled by 1 - ``shrinkage``.
    """
    rows = gradients.double()
    found = rows.T @ rows / len(rows)
    return (1 - shrinkage) * found + shrinkage * torch.diag(found.diagonal())


def rearranged(information: Tensor, mask: Tensor) -> Tensor:
    """Return ``mask`` after exchanges, each the one that lowers the loss most, while any does.

    There are at most as many exchanges as closed units: it ends, and soon.
    """
    found = mask.clone()
    for _ in range(int((mask == 0).sum())):
        closed, kept = (found == 0).nonzero().flatten(), (found != 0).nonzero().flatten()
        if len(kept) == 0:
            break
        pull = information @ (found == 0).to(information.dtype)
        diagonal = information.diagonal()
        opened = diagonal[closed] - 2 * pull[closed]
        shut = diagonal[kept] + 2 * pull[kept]
        change = opened[:, None] + shut[None] - 2 * information[closed][:, kept]
        best = int(change.argmin())
        if float(change.flatten()[best]) >= -1e-12 * float(diagonal.sum()):
            break
        row, column = divmod(best, len(kept))
        found[closed[row]], found[kept[column]] = 1, 0
    return found


def rearrange(gradients: Gradients, masks: Gates) -> Gates:
    """Return the masks with the units of each layer exchanged; their numbers stay."""
    return Gates(
        [rearranged(block(g), m) for g, m in zip(gradients.heads, masks.heads, strict=True)],
        [rearranged(block(g), m) for g, m in zip(gradients.neurons, masks.neurons, strict=True)],
    )
