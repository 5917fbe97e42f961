# SPDX-License-Identifier: Apache-2.0
"""Losses on scores, over the last axis of [..., n] tensors; means over all other axes.

The axis is either the candidates of one query or the labels of one pair. Over one logit a softmax
is 1 whatever the logit: a ranker with one label has to be distilled over candidates (terms.py
refuses the rest).
"""

import torch
from torch import Tensor
from torch.nn import functional


def _rows(scores: Tensor) -> Tensor:
    return scores.reshape(-1, scores.shape[-1]).float()


def kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(softmax(teacher / T) || softmax(student / T)).

    Hinton et al. (2015): T^2 keeps the size of the gradient when T changes. The mean is over
    distributions, not over their entries as in kl_div's default.
    """
    target = functional.log_softmax(_rows(teacher) / temperature, dim=-1)
    found = functional.log_softmax(_rows(student) / temperature, dim=-1)
    loss = functional.kl_div(found, target, reduction="batchmean", log_target=True)
    return loss * temperature**2


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * -sum softmax(teacher / T) log softmax(student / T); its gradient is that of `kl`."""
    target = functional.softmax(_rows(teacher) / temperature, dim=-1)
    found = functional.log_softmax(_rows(student) / temperature, dim=-1)
    return -(target * found).sum(dim=-1).mean() * temperature**2


def mse(student: Tensor, teacher: Tensor, _: float) -> Tensor:
    """Mean of (teacher - student)^2: scores are learnt with their offset and scale."""
    return functional.mse_loss(_rows(student), _rows(teacher))


def margin_mse(student: Tensor, teacher: Tensor, _: float) -> Tensor:
    """Mean of ((s_0 - s_j) - (t_0 - t_j))^2 over j > 0: margins of the right candidate.

    Hofstaetter et al. (2020).
    """
    ours, theirs = _rows(student), _rows(teacher)
    return functional.mse_loss(ours[:, :1] - ours[:, 1:], theirs[:, :1] - theirs[:, 1:])


def spherical(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`kl` for a student of the teacher's norm: s |t| / |s| in place of s.

    Guo et al. (2020) divide by the standard deviation, which over two labels leaves only a sign;
    here the norm is not centred.
    """
    ours, theirs = _rows(student), _rows(teacher)
    ratio = theirs.norm(dim=-1, keepdim=True) / ours.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return kl(ours * ratio, theirs, temperature)


def hard(student: Tensor, target: Tensor) -> Tensor:
    """Mean of -log softmax(student)[target]; ``target`` holds an index for each distribution."""
    return functional.cross_entropy(_rows(student), target.flatten())


def first_of(scores: Tensor) -> Tensor:
    """Return the hard target over candidates of ``scores`` [lists, n]: the first is right."""
    return torch.zeros(len(scores), dtype=torch.long, device=scores.device)


def last_label_of(scores: Tensor) -> Tensor:
    """Return the hard target over labels of ``scores`` [lists, n, labels].

    The last label means relevant: it is that of each list's first pair, label 0 of all others.
    """
    target = torch.zeros(scores.shape[:2], dtype=torch.long, device=scores.device)
    target[:, 0] = scores.shape[-1] - 1
    return target
