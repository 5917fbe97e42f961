# SPDX-License-Identifier: Apache-2.0
"""Losses on what models make on the way: hidden states and attention.

Each returns a sum and a count over one batch, so that the mean over the batches of a step does
not depend on how its texts are cut into batches. Padding is left out everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tailor_compress.distillation.mapping import Matched
from tailor_compress.errors import TailorError
from tailor_compress.model.states import States

# A sum with its gradient, and the number of terms in it.
Measured = tuple[Tensor, float]

# TinyBERT's bound: scores at or below it belong to padding, and are compared as 0.
_MASKED_SCORE = -1e2


@dataclass(frozen=True)
class Sight:
    """One batch as student and teacher see it.

    ``mask`` [n, length] is 1 for tokens. ``layers`` are pairs of layers from 1 on. ``project`` maps
    the student's states to the teacher's hidden size. ``relation_heads`` is MiniLMv2's number.
    """

    student: States
    teacher: States
    mask: Tensor
    layers: Matched
    project: Callable[[Tensor], Tensor]
    relation_heads: int


def _square(sight: Sight, student: int, teacher: int) -> Tensor:
    """Return the sum of squares between two states over the tokens."""
    ours = sight.project(sight.student.hidden[student]).float()
    apart = (ours - sight.teacher.hidden[teacher].float()) * sight.mask[:, :, None]
    return apart.square().sum()


def _coordinates(sight: Sight) -> float:
    return float(sight.mask.sum()) * sight.teacher.hidden[0].shape[-1]


def embedding(sight: Sight) -> Measured:
    """TinyBERT: mean of (E_s W - E_t)^2 over tokens and coordinates."""
    return _square(sight, 0, 0), _coordinates(sight)


def hidden(sight: Sight) -> Measured:
    """TinyBERT: sum over matched layers of the mean of (H_s W - H_t)^2."""
    apart = [_square(sight, student, teacher) for student, teacher in sight.layers]
    return torch.stack(apart).sum(), _coordinates(sight)


def attention(sight: Sight) -> Measured:
    """TinyBERT: sum over matched layers of the mean of (A_s - A_t)^2, A the scores before softmax.

    The mean is over heads and pairs of tokens. Raises TailorError when the heads differ.
    """
    rows = sight.mask[:, None, :, None] * sight.mask[:, None, None, :]
    heads = {one.scores.shape[1] for one in sight.student.attended + sight.teacher.attended}
    if len(heads) != 1:
        raise TailorError(
            "one number of heads in all layers of student and teacher for the loss `attention`",
            ", ".join(map(str, sorted(heads))),
            "give the student's shape the teacher's heads, or leave the loss out",
        )
    total = torch.zeros((), device=rows.device)
    for student, teacher in sight.layers:
        ours, theirs = (
            torch.where(scores <= _MASKED_SCORE, 0.0, scores.float())
            for scores in (
                sight.student.attended[student - 1].scores,
                sight.teacher.attended[teacher - 1].scores,
            )
        )
        total = total + ((ours - theirs) * rows).square().sum()
    return total, float(rows.sum()) * heads.pop()


def pkd(sight: Sight) -> Measured:
    """Patient: mean over texts and matched layers of |h_s / |h_s| - h_t / |h_t||^2 at [CLS].

    Sun et al. (2019). Their code also divides by the hidden size, so its weights are larger.
    """
    apart = [
        functional.normalize(sight.project(sight.student.hidden[student][:, 0]).float(), dim=-1)
        - functional.normalize(sight.teacher.hidden[teacher][:, 0].float(), dim=-1)
        for student, teacher in sight.layers
    ]
    return torch.stack(apart).square().sum(), float(len(sight.mask) * len(apart))


def cosine(sight: Sight) -> Measured:
    """DistilBERT: mean over tokens of 1 - cos of the last hidden states."""
    ours = sight.project(sight.student.hidden[-1]).float()
    near = functional.cosine_similarity(ours, sight.teacher.hidden[-1].float(), dim=-1)
    return ((1 - near) * sight.mask).sum(), float(sight.mask.sum())


def _relations(x: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Return log softmax(X X' / sqrt(d)) [n, heads, length, length] of x [n, own heads, length, d].

    The heads of x are joined and split anew, which lets student and teacher differ in them.
    """
    joined = x.float().transpose(1, 2).flatten(2)
    if heads < 1 or joined.shape[-1] % heads != 0:
        raise TailorError(
            f"relation heads that divide {joined.shape[-1]}",
            str(heads),
            "correct `relation_heads`",
        )
    parts = joined.reshape(*joined.shape[:2], heads, -1).transpose(1, 2)
    products = parts @ parts.transpose(-1, -2) * parts.shape[-1] ** -0.5
    # Far enough below the rest for a probability of 0, near enough for finite differences of logs.
    products = products.masked_fill(mask[:, None, None, :] == 0, -1e4)
    return functional.log_softmax(products, dim=-1)


def relations(sight: Sight) -> Measured:
    """MiniLMv2: KL(teacher || student) of Q-Q, K-K and V-V relations, summed over the three.

    The mean is over relation heads, tokens and matched layers. Wang et al. (2021).
    """
    total = torch.zeros((), device=sight.mask.device)
    heads = sight.relation_heads
    for student, teacher in sight.layers:
        ours, theirs = sight.student.attended[student - 1], sight.teacher.attended[teacher - 1]
        for name in ("q", "k", "v"):
            found = _relations(getattr(ours, name), sight.mask, heads)
            target = _relations(getattr(theirs, name), sight.mask, heads)
            rows = (target.exp() * (target - found)).sum(dim=-1)
            total = total + (rows * sight.mask[:, None, :]).sum()
    return total, float(sight.mask.sum()) * heads * len(sight.layers)
