# SPDX-License-Identifier: Apache-2.0
"""The registry of losses: a training's loss is a weighted sum of terms named here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from tailor_compress.distillation import losses, state_losses
from tailor_compress.distillation.state_losses import Measured, Sight
from tailor_compress.errors import TailorError
from tailor_compress.settings import nearest

Axis = Literal["candidates", "labels"]
Mix = Literal["constant", "linear"]


@dataclass(frozen=True)
class Term:
    """One loss and its weight; ``axis`` is what its distributions are over, for losses on scores.

    `candidates` of one query, or `labels` of one pair.
    """

    loss: str
    weight: float = 1.0
    axis: Axis = "candidates"


@dataclass(frozen=True)
class ScoreLoss:
    """A loss of the student's and the teacher's scores at a temperature."""

    of: Callable[[Tensor, Tensor, float], Tensor]
    axes: tuple[Axis, ...] = ("candidates", "labels")
    is_hard: bool = False


@dataclass(frozen=True)
class StateLoss:
    """A loss of states; ``every_row`` of the last layer too, ``attended`` also from attention."""

    of: Callable[[Sight], Measured]
    every_row: bool = True
    attended: bool = False


def _hard(student: Tensor, _: Tensor, __: float) -> Tensor:
    target = losses.first_of if student.ndim == 2 else losses.last_label_of
    return losses.hard(student, target(student))


SCORE_LOSSES = {
    "kl": ScoreLoss(losses.kl),
    "soft_cross_entropy": ScoreLoss(losses.soft_cross_entropy),
    "mse": ScoreLoss(losses.mse),
    "margin_mse": ScoreLoss(losses.margin_mse, axes=("candidates",)),
    "spherical": ScoreLoss(losses.spherical),
    "hard": ScoreLoss(_hard, is_hard=True),
}
STATE_LOSSES = {
    "embedding": StateLoss(state_losses.embedding, every_row=False),
    "hidden": StateLoss(state_losses.hidden),
    "attention": StateLoss(state_losses.attention, attended=True),
    "pkd": StateLoss(state_losses.pkd, every_row=False),
    "cosine": StateLoss(state_losses.cosine),
    "relations": StateLoss(state_losses.relations, attended=True),
}
# Not a comparison with the teacher: the student guesses hidden words (masked_words.py).
MASKED_WORDS = "masked_words"


def check_terms(terms: Sequence[Term], model: Any) -> int:
    """Return the number of labels of ``model``.

    Raises TailorError for terms that are unknown, and for those that its labels leave undefined.
    """
    labels = int(model.config.num_labels)
    known = [*SCORE_LOSSES, *STATE_LOSSES, MASKED_WORDS]
    if not terms:
        raise TailorError("at least one loss", "none", f"name some of {', '.join(known)}")
    for term in terms:
        if term.loss not in known:
            raise TailorError("the name of a loss", f"`{term.loss}`", nearest(term.loss, known))
        if term.loss not in SCORE_LOSSES:
            continue
        if term.axis not in SCORE_LOSSES[term.loss].axes:
            raise TailorError(
                f"the axis `candidates` for the loss `{term.loss}`", term.axis, "correct `axis`"
            )
        if term.axis == "labels" and labels == 1:
            raise TailorError(
                f"two labels or more for `{term.loss}` over labels",
                "one: a softmax over one logit is always 1",
                "set `axis: candidates`",
            )
        if term.axis == "candidates" and labels > 1:
            raise TailorError(
                f"one label for `{term.loss}` over candidates", str(labels), "set `axis: labels`"
            )
    return labels


def share(term: Term, mix: Mix, progress: float) -> float:
    """Return the weight of ``term`` at ``progress`` (0 to 1) of the training.

    `linear` is teacher annealing (Clark et al., 2019, BAM): hard terms rise from 0 to their
    weight, all others fall from theirs to 0.
    """
    if mix == "constant":
        return term.weight
    is_hard = term.loss in SCORE_LOSSES and SCORE_LOSSES[term.loss].is_hard
    return term.weight * (progress if is_hard else 1 - progress)
