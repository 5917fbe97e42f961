# SPDX-License-Identifier: Apache-2.0
"""The loss of one step: a weighted sum of terms over some lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailor_compress.distillation.mapping import Mapping, Matched, matched_layers
from tailor_compress.distillation.masked_words import MaskedWords, WordHead
from tailor_compress.distillation.rounds import Rounds
from tailor_compress.distillation.state_losses import Measured, Sight
from tailor_compress.distillation.terms import (
    MASKED_WORDS,
    SCORE_LOSSES,
    STATE_LOSSES,
    Mix,
    Term,
    share,
)
from tailor_compress.distillation.word_replacement import Pairs
from tailor_compress.method import Lists
from tailor_compress.model.forward import Padded
from tailor_compress.model.narrow import word_vectors
from tailor_compress.model.states import States, run_states
from tailor_compress.training.lists import score_lists

# Pairs at a time. Of 6x384 in bf16 on 2 cores 32 are the fastest; narrower models like 64.
_BUCKET, _NARROW_BUCKET, _NARROW = 32, 64, 256

# Attribute of a student in training that holds what is learnt beside it.
_BESIDE = "distillation"


@dataclass(frozen=True)
class Goal:
    """What a student is compared with, and how.

    Scores come from ``teacher``, run in every step, or, where it is None, from ``scores``
    [lists, candidates]. ``change`` alters the pairs of a list before both see them; it needs a
    teacher.
    """

    terms: Sequence[Term]
    temperature: float = 1.0
    mix: Mix = "constant"
    mapping: Mapping = "uniform"
    relation_heads: int = 12
    masked_share: float = 0.15
    tokens: Sequence[str] = ()
    teacher: Any = None
    scores: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    change: Callable[[Pairs, np.random.Generator], Pairs] | None = None


def needs_states(terms: Sequence[Term]) -> bool:
    """Return whether the teacher has to run beside the student."""
    return any(term.loss in STATE_LOSSES for term in terms)


def attach(student: Any, goal: Goal) -> None:
    """Give ``student`` what is learnt beside it, as a submodule, so that it is trained and saved.

    A map to the teacher's hidden size (where it differs) starts as the least-squares map between
    their word vectors, a head for words at random.
    """
    beside = nn.ModuleDict()
    sizes = student.config.hidden_size, getattr(goal.teacher, "config", student.config).hidden_size
    if needs_states(goal.terms) and sizes[0] != sizes[1]:
        linear = nn.Linear(*sizes)
        ours, theirs = (word_vectors(m).detach().float().cpu() for m in (student, goal.teacher))
        start = torch.linalg.lstsq(ours - ours.mean(dim=0), theirs - theirs.mean(dim=0)).solution
        with torch.no_grad():
            linear.weight.copy_(start.T)
            linear.bias.zero_()
        beside["project"] = linear
    if any(term.loss == MASKED_WORDS for term in goal.terms):
        beside["words"] = WordHead(student.config)
    setattr(student, _BESIDE, beside)


def detach(student: Any) -> None:
    """Take away again what `attach` gave."""
    delattr(student, _BESIDE)


class Objective:
    """Loss of step n, for `train`; the student has what `attach` gives."""

    def __init__(self, student: Any, goal: Goal, lists: Lists, rounds: Rounds) -> None:
        self._student, self._goal, self._lists, self._rounds = student, goal, lists, rounds
        self._state = [term for term in goal.terms if term.loss in STATE_LOSSES]
        losses = [STATE_LOSSES[term.loss] for term in self._state]
        self._every_row = any(loss.every_row for loss in losses)
        self._attended = any(loss.attended for loss in losses)
        beside = getattr(student, _BESIDE)
        self._project: Callable[[Tensor], Tensor] = (
            beside["project"] if "project" in beside else nn.Identity()
        )
        self._words = None
        if "words" in beside:
            head: Any = beside["words"]
            self._words = MaskedWords(student, head, goal.tokens, goal.masked_share)
        self._layers: Matched = []
        if self._state:
            depths = [len(one.bert.encoder.layer) for one in (student, goal.teacher)]
            self._layers = matched_layers(goal.mapping, *depths)
        narrow = goal.teacher is None and student.config.hidden_size <= _NARROW
        self._bucket = _NARROW_BUCKET if narrow else _BUCKET

    def _sight(self, batch: Padded, student: States, teacher: States) -> Sight:
        heads = self._goal.relation_heads
        return Sight(student, teacher, batch.mask, self._layers, self._project, heads)

    def _run(self, model: Any, batch: Padded) -> States:
        return run_states(model, batch, self._every_row, self._attended)

    def __call__(self, step: int) -> Tensor:
        """Return the weighted sum of all terms."""
        goal, size = self._goal, self._lists.size
        numbers = self._rounds.numbers(step)
        rng = np.random.default_rng([self._rounds.seed, 5, step])
        drawn = [self._lists.drawn(number).pairs for number in numbers]
        if goal.change is not None:
            drawn = [goal.change(pairs, rng) for pairs in drawn]
        measured: dict[str, list[Measured]] = {}

        def look(batch: Padded) -> Tensor:
            student = self._run(self._student, batch)
            if self._words is not None:
                measured.setdefault(MASKED_WORDS, []).append(self._words(batch, rng))
            if goal.teacher is None:
                return student.logits[:, None]
            with torch.no_grad():
                teacher = self._run(goal.teacher, batch)
            sight = self._sight(batch, student, teacher)
            for term in self._state:
                found = STATE_LOSSES[term.loss].of(sight)
                measured.setdefault(term.loss, []).append(found)
            return torch.stack([student.logits, teacher.logits], dim=1)

        found = score_lists(drawn, self._bucket, look)
        labels = self._student.config.num_labels
        found = found.reshape(len(drawn), size, -1, labels).squeeze(-1)
        student = found[:, :, 0]
        if goal.teacher is None:
            teacher = torch.from_numpy(goal.scores[numbers]).to(student.device)
        else:
            teacher = found[:, :, 1].detach()
        total = torch.zeros((), device=student.device)
        for term in goal.terms:
            if term.loss in SCORE_LOSSES:
                loss = SCORE_LOSSES[term.loss].of(student, teacher, goal.temperature)
            else:
                parts = measured[term.loss]
                count = sum(number for _, number in parts)
                loss = torch.stack([part for part, _ in parts]).sum() / max(count, 1.0)
            total = total + share(term, goal.mix, self._rounds.progress(step)) * loss
        return total
