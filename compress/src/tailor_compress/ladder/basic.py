# SPDX-License-Identifier: Apache-2.0
"""The methods that every family begins and ends with: a teacher, and load-time steps."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.training.loop import Schedule
from tailor_compress.training.teacher import train_teacher

FORMATS = ("f32", "bf16", "f16", "int8")


@dataclass(frozen=True)
class FineTune:
    """Fine-tunes an encoder on the right documents: listwise softmax."""

    roles: ClassVar[tuple[str, ...]] = ("init",)

    steps: int = setting(1000, "steps of the optimiser")
    lists_per_step: int = setting(16, "lists of candidates a step")
    learning_rate: float = setting(5e-5, "peak learning rate")
    precision: str = setting("bf16", "of the encoder in training: f32 or bf16")
    warmup: float = setting(0.05, "share of the steps in which the rate rises")
    checkpoint_steps: int = setting(200, "steps between two checkpoints")

    def schedule(self, seed: int) -> Schedule:
        """Return the schedule of the training loop."""
        return Schedule(
            self.steps,
            self.lists_per_step,
            self.learning_rate,
            seed,
            self.precision,
            self.warmup,
            checkpoint_steps=self.checkpoint_steps,
        )

    def make(self, context: Context) -> Made:
        """Return the teacher."""
        model = context.parent("init")
        schedule = self.schedule(context.seed)
        wall_s = train_teacher(model, context.lists, schedule, context.checkpoint)
        return Made([step("listwise", asdict(self), context.seed, context.data_id, wall_s)], model)


@dataclass(frozen=True)
class Derive:
    """Names a load-time step on the parent's weights: a format, a sub-network, or both."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    format: str = setting("f32", f"of the encoder's products: {', '.join(FORMATS)}")
    width: float = setting(1.0, "width of the sub-network of an elastic parent")
    depth: float = setting(1.0, "depth of the sub-network of an elastic parent")

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise TailorError(
                f"a format out of {', '.join(FORMATS)}", self.format, "correct `format`"
            )
        if (self.format, self.width, self.depth) == ("f32", 1.0, 1.0):
            raise TailorError("a format or a sub-network", "neither", "set `format` or `width`")

    def make(self, context: Context) -> Made:
        """Return the step alone: the weights stay the parent's."""
        derive: dict[str, Any] = {}
        if self.format != "f32":
            derive["format"] = self.format
        if (self.width, self.depth) != (1.0, 1.0):
            derive["sub_network"] = {"width": self.width, "depth": self.depth}
        name = "sub_network" if "sub_network" in derive else f"{self.format}_products"
        made = step(name, dict(derive), context.seed, context.data_id, 0.0)
        return Made([made], manifest={"derive": derive})
