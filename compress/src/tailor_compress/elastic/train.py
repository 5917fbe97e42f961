# SPDX-License-Identifier: Apache-2.0
"""Trains all sub-networks at once: first the widths, then widths and depths.

Each step draws the largest sub-network, the smallest and some others (the sandwich rule of Yu and
Huang, 2019) instead of all, because a step costs the sum over its sub-networks. The largest one is
in every step, so that it does not fall below the parent.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.elastic.distillation import (
    Passed,
    hidden_distance,
    matched_states,
    run_lists,
)
from tailor_compress.elastic.subnetworks import SubNetwork, Table, Width
from tailor_compress.elastic.view import view
from tailor_compress.method import Lists
from tailor_compress.text import Ids
from tailor_compress.training.loop import Schedule, set_precision, train
from tailor_compress.training.losses import listwise, listwise_distillation

_Pairs = list[list[tuple[Ids, int]]]


@dataclass(frozen=True)
class Sampling:
    """Sub-networks of a step: the largest, the smallest, and ``others`` between them.

    The largest one's loss weighs ``largest_weight``, every other one's 1.
    """

    others: int
    largest_weight: float

    def drawn(self, parts: Sequence[SubNetwork], seed: int, step: int) -> list[SubNetwork]:
        """Return those of a step out of ``parts``, of which the largest is the first."""
        if len(parts) <= 2:
            return list(parts)
        between = parts[1:-1]
        rng = np.random.default_rng([seed, 4, step])
        chosen = rng.choice(len(between), min(self.others, len(between)), replace=False)
        return [parts[0], parts[-1], *(between[n] for n in sorted(chosen.tolist()))]


@dataclass(frozen=True)
class Distillation:
    """The loss: KL over the candidates at ``temperature`` + ``hidden_weight`` * distance of states.

    ``every_token`` compares the states of all tokens, otherwise [CLS] alone. ``same_width`` takes
    the teacher at the student's width (the paper's second stage), otherwise whole (its code).
    """

    temperature: float
    hidden_weight: float
    every_token: bool
    same_width: bool


@dataclass(frozen=True)
class Trainer:
    """One set of weights whose sub-networks learn, and what they learn from.

    ``checkpoint`` gives the stages' checkpoints their folder and the beginning of their names.
    """

    model: BertForSequenceClassification
    table: Table
    lists: Lists
    sampling: Sampling
    checkpoint: Path

    def distil(
        self,
        stage: str,
        parts: Sequence[SubNetwork],
        settings: Distillation,
        schedule: Schedule,
        first: int,
    ) -> float:
        """Teach ``parts`` what the model computes now; return the seconds that it took.

        The teacher is the model as it is now, at full depth. Step n shows the lists from number
        ``first`` + n * lists_per_step on.
        """
        teacher = copy.deepcopy(self.model).requires_grad_(False)
        set_precision(teacher, schedule.precision)
        whole = self.table.largest

        def loss(pairs: _Pairs) -> Callable[[SubNetwork], Tensor]:
            targets: dict[Width, Passed] = {}

            def of_part(part: SubNetwork) -> Tensor:
                width = part.width if settings.same_width else whole.width
                if width not in targets:
                    with torch.no_grad():
                        taught = view(teacher, SubNetwork(width, whole.depth))
                        targets[width] = run_lists(taught, pairs, settings.every_token)
                target = targets[width]
                found = run_lists(view(self.model, part), pairs, settings.every_token)
                kl = listwise_distillation(found.scores, target.scores, settings.temperature)
                if settings.hidden_weight == 0:
                    return kl
                matched = matched_states(part, len(whole.depth.layers))
                return kl + settings.hidden_weight * hidden_distance(found, target, matched)

            return of_part

        return self._train(stage, parts, loss, asdict(settings), schedule, first)

    def tune(
        self, stage: str, parts: Sequence[SubNetwork], schedule: Schedule, first: int
    ) -> float:
        """Train ``parts`` on the right documents alone; return the seconds that it took."""

        def loss(pairs: _Pairs) -> Callable[[SubNetwork], Tensor]:
            return lambda part: listwise(
                run_lists(view(self.model, part), pairs, every_token=False).scores
            )

        return self._train(stage, parts, loss, {}, schedule, first)

    def _train(
        self,
        stage: str,
        parts: Sequence[SubNetwork],
        loss: Callable[[_Pairs], Callable[[SubNetwork], Tensor]],
        settings: dict[str, float],
        schedule: Schedule,
        first: int,
    ) -> float:
        count = schedule.lists_per_step

        def objective(step: int) -> Tensor:
            start = first + step * count
            of_part = loss([self.lists.drawn(n).pairs for n in range(start, start + count)])
            drawn = self.sampling.drawn(parts, schedule.seed, step)
            weights = [
                self.sampling.largest_weight if part == self.table.largest else 1.0
                for part in drawn
            ]
            losses = [weight * of_part(part) for weight, part in zip(weights, drawn, strict=True)]
            return torch.stack(losses).sum() / sum(weights)

        identity = [settings, asdict(self.sampling), [part.name for part in parts], first]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        # Named by its settings: a training with other ones begins anew instead of going on.
        state = self.checkpoint.with_name(f"{self.checkpoint.stem}-{stage}-{digest}.pt")
        return train(self.model, objective, schedule, state, f"elastic {stage}")
