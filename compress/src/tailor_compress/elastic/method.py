# SPDX-License-Identifier: Apache-2.0
"""The method `elastic`: a variant that the server can run at several widths and depths."""

import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from tailor_compress.elastic.importance import importances
from tailor_compress.elastic.rewire import rewire
from tailor_compress.elastic.subnetworks import make_table
from tailor_compress.elastic.train import Distillation, Sampling, Trainer
from tailor_compress.errors import TailorError
from tailor_compress.export.trained import Step, step
from tailor_compress.method import Context, Made, setting
from tailor_compress.training.loop import Schedule


@dataclass(frozen=True)
class Elastic:
    """DynaBERT on a ranker of one label: rewire, train widths, train widths and depths."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    widths: tuple[float, ...] = setting((1.0, 0.75, 0.5, 0.25), "shares of heads and neurons")
    depths: tuple[float, ...] = setting((1.0, 0.67, 0.5, 0.33), "shares of the layers")
    importance_lists: int = setting(128, "dev lists that order heads and neurons")
    steps_width: int = setting(400, "steps of the stage that trains widths")
    steps_depth: int = setting(500, "steps of the stage that trains widths and depths")
    steps_tune: int = setting(0, "steps on the right documents alone, at the end")
    lists_per_step: int = setting(8, "lists of a step")
    learning_rate: float = setting(5e-5, "peak learning rate of every stage")
    temperature: float = setting(2.0, "of the softmax over the candidates")
    hidden_weight: float = setting(0.1, "of the states' distance while widths train")
    hidden_weight_depth: float = setting(1.0, "of the states' distance while depths train")
    every_token: bool = setting(True, "compare the states of all tokens, not of [CLS] alone")
    same_width: bool = setting(True, "depth stage: teacher of the student's width, not whole")
    others: int = setting(1, "sub-networks of a step beside the largest and the smallest")
    largest_weight: float = setting(1.0, "weight of the largest one's loss, of others 1")
    precision: str = setting("bf16", "of the encoder while it trains, f32 or bf16")
    checkpoint_steps: int = setting(100, "steps between two checkpoints")

    def _schedule(self, steps: int, seed: int) -> Schedule:
        return Schedule(
            steps=steps,
            lists_per_step=self.lists_per_step,
            learning_rate=self.learning_rate,
            seed=seed,
            precision=self.precision,
            checkpoint_steps=self.checkpoint_steps,
        )

    def make(self, context: Context) -> Made:
        """Make the variant, or continue from its checkpoints.

        Raises TailorError for settings that cannot be, and for a parent whose layers differ.
        """
        if self.importance_lists < 1 or self.lists_per_step < 1 or self.others < 0:
            raise TailorError(
                "importance_lists and lists_per_step of 1 or more, others of 0 or more",
                f"{self.importance_lists}, {self.lists_per_step}, {self.others}",
                "correct the settings",
            )
        parent = context.parent()
        table = make_table(parent, self.widths, self.depths)
        began = time.monotonic()
        model = rewire(parent, importances(parent, context.dev_lists(self.importance_lists)))
        rewiring = {"lists": self.importance_lists, "loss": "listwise"}
        steps = [self._step(context, "elastic_rewire", rewiring, time.monotonic() - began)]

        sampling = Sampling(self.others, self.largest_weight)
        trainer = Trainer(model, table, context.lists, sampling, context.checkpoint)
        first = 0
        if self.steps_width:
            schedule = self._schedule(self.steps_width, context.seed)
            loss = Distillation(self.temperature, self.hidden_weight, self.every_token, False)
            wall_s = trainer.distil("width", table.wide(), loss, schedule, first)
            params = {**asdict(loss), **asdict(sampling), **asdict(schedule)}
            steps.append(self._step(context, "elastic_width", params, wall_s))
            first += self.steps_width * self.lists_per_step
        if self.steps_depth:
            schedule = self._schedule(self.steps_depth, context.seed)
            loss = Distillation(
                self.temperature, self.hidden_weight_depth, self.every_token, self.same_width
            )
            wall_s = trainer.distil("depth", table.all(), loss, schedule, first)
            params = {**asdict(loss), **asdict(sampling), **asdict(schedule)}
            steps.append(self._step(context, "elastic_depth", params, wall_s))
            first += self.steps_depth * self.lists_per_step
        if self.steps_tune:
            schedule = self._schedule(self.steps_tune, context.seed)
            wall_s = trainer.tune("tune", table.all(), schedule, first)
            params = {**asdict(sampling), **asdict(schedule)}
            steps.append(self._step(context, "elastic_tune", params, wall_s))
        return Made(steps=steps, model=model, manifest={"elastic": table.manifest()})

    @staticmethod
    def _step(context: Context, name: str, params: dict[str, Any], wall_s: float) -> Step:
        return step(name, params, context.seed, context.data_id, wall_s)
