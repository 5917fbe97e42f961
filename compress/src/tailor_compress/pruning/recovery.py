# SPDX-License-Identifier: Apache-2.0
"""Distillation of a pruned model to its unpruned parent."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.method import Context, setting
from tailor_compress.model.forward import Apply, logits, plain
from tailor_compress.training.lists import score_lists
from tailor_compress.training.loop import Schedule, train
from tailor_compress.training.losses import listwise, listwise_distillation

# Of 6x384 in bf16 on 2 cores, 32 gave the most sequences a second.
_BUCKET = 32


@dataclass(frozen=True)
class Recovery:
    """Settings of the training behind (or around) a pruning; a base of methods."""

    steps: int = setting(0, "steps of distillation to the parent; 0 for none")
    lists_per_step: int = setting(16, "lists of candidates a step")
    learning_rate: float = setting(5e-5, "peak learning rate")
    distinct_lists: int = setting(16384, "lists that the parent scores; shown again after these")
    temperature: float = setting(2.0, "temperature of the distillation")
    hard: float = setting(0.2, "weight of the loss on the right document")
    precision: str = setting("bf16", "of the encoder in training: f32 or bf16")

    def schedule(self, seed: int, checkpoint_steps: int = 200) -> Schedule:
        """Return the schedule of the training loop."""
        return Schedule(
            self.steps,
            self.lists_per_step,
            self.learning_rate,
            seed,
            self.precision,
            checkpoint_steps=checkpoint_steps,
        )


class ParentObjective:
    """The loss of a step: KL to the parent's scores + ``hard`` times that on the right document.

    Lists come in a new order in every round over the distinct ones.
    """

    def __init__(
        self,
        context: Context,
        settings: Recovery,
        model: BertForSequenceClassification,
        apply: Apply = plain,
    ) -> None:
        self._context, self._settings, self._model, self._apply = context, settings, model, apply
        self._size = settings.lists_per_step
        self._count = min(settings.distinct_lists, settings.steps * self._size)
        self._scores = context.scores("base", context.lists, self._count)
        self._round, self._order = -1, np.arange(0)

    def _number(self, at: int) -> int:
        round_, place = divmod(at, self._count)
        if round_ != self._round:
            rng = np.random.default_rng([self._context.seed, 2, round_])
            self._round, self._order = round_, rng.permutation(self._count)
        return int(self._order[place])

    def __call__(self, step: int) -> Tensor:
        """Return the loss of ``step``."""
        shown = range(step * self._size, (step + 1) * self._size)
        numbers = [self._number(at) for at in shown]
        drawn = [self._context.lists.drawn(number).pairs for number in numbers]
        found = score_lists(drawn, _BUCKET, lambda batch: logits(self._model, batch, self._apply))
        target: NDArray[np.float32] = self._scores[numbers]
        loss = listwise_distillation(found, torch.from_numpy(target), self._settings.temperature)
        return loss + self._settings.hard * listwise(found)


def recover(context: Context, settings: Recovery, model: BertForSequenceClassification) -> None:
    """Distil the parent into ``model``, in place; does nothing when no steps are set."""
    if settings.steps > 0:
        objective = ParentObjective(context, settings, model)
        train(model, objective, settings.schedule(context.seed), context.checkpoint, "recovery")
