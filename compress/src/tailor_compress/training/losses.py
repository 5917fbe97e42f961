# SPDX-License-Identifier: Apache-2.0
"""Losses over lists of candidates.

A ranker with one label has no distribution over labels; the one to learn and to distil is the
softmax over the candidates of one query.
"""

import torch
from torch import Tensor
from torch.nn import functional


def listwise(scores: Tensor) -> Tensor:
    """Mean of -log softmax(scores)[0] over ``scores`` [lists, candidates], the right one first."""
    target = torch.zeros(len(scores), dtype=torch.long)
    return functional.cross_entropy(scores, target)


def listwise_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over lists; both [lists, n].

    Hinton et al. (2015): the factor T^2 keeps the size of the gradient when T changes.
    """
    target = functional.log_softmax(teacher / temperature, dim=-1)
    found = functional.log_softmax(student / temperature, dim=-1)
    loss = functional.kl_div(found, target, reduction="batchmean", log_target=True)
    return loss * temperature**2
