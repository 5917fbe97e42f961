# SPDX-License-Identifier: Apache-2.0
"""One training of a distillation: settings that all flows share, and its run."""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import BertForSequenceClassification

from tailor_compress.device import placed
from tailor_compress.distillation.objective import Goal, Objective
from tailor_compress.distillation.rounds import Rounds
from tailor_compress.method import Context, setting
from tailor_compress.training.loop import Schedule, set_precision, train
from tailor_compress.training.processes import processes


@dataclass(frozen=True)
class Course:
    """Settings of the training; a base of methods."""

    lists_per_step: int = setting(16, "lists of candidates a step")
    distinct_lists: int = setting(16384, "lists to learn from; shown again after these")
    precision: str = setting("bf16", "of the encoder in training: f32 or bf16")
    weight_decay: float = setting(0.01, "decay of the matrices")
    checkpoint_steps: int = setting(100, "steps between checkpoints")

    def lists_for(self, steps: int) -> int:
        """Return how many distinct lists ``steps`` steps show."""
        return max(1, min(self.distinct_lists, steps * self.lists_per_step * processes()))

    def run(
        self,
        context: Context,
        student: BertForSequenceClassification,
        goal: Goal,
        stage: str,
        steps: int,
        learning_rate: float,
    ) -> float:
        """Train ``student``, which has what `attach` gives, and return the seconds spent.

        The state is kept in a file of its own for each stage and each choice of settings, so that
        other settings start again.
        """
        text = json.dumps([asdict(self), stage], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        base = context.checkpoint
        checkpoint = base.with_name(f"{base.stem}-{stage}-{digest}{base.suffix or '.pt'}")
        schedule = Schedule(
            steps,
            self.lists_per_step,
            learning_rate,
            context.seed,
            self.precision,
            weight_decay=self.weight_decay,
            checkpoint_steps=self.checkpoint_steps,
        )
        count = self.lists_for(steps)
        rounds = Rounds(count, self.lists_per_step, steps * processes(), context.seed)
        objective = Objective(student, goal, context.lists, rounds)
        return train(student, objective, schedule, checkpoint, stage)

    def watched(self, model: BertForSequenceClassification) -> Any:
        """Return a copy of a teacher that runs beside the student in the training's precision."""
        teacher = copy.deepcopy(model)
        teacher.requires_grad_(False)
        set_precision(teacher, self.precision)
        placed(teacher)
        return teacher


def seeded(context: Context) -> None:
    """Make what is random in a new student a function of the context's seed."""
    torch.manual_seed(context.seed)
