# SPDX-License-Identifier: Apache-2.0
"""TinyBERT (Jiao et al., 2020): states first, scores last.

The general stage learns states on the lists as they are, from a teacher that may be another one
than the task's (the start of its fine-tuning). The task stage learns the task teacher's states,
then its scores, both on lists with replaced words.
"""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from tailor_compress.distillation.course import Course, seeded
from tailor_compress.distillation.mapping import Mapping
from tailor_compress.distillation.objective import Goal, attach, detach
from tailor_compress.distillation.students import (
    Start,
    kept_layers,
    scratch_student,
    start_model,
)
from tailor_compress.distillation.terms import Term, check_terms
from tailor_compress.distillation.word_replacement import WordReplacement
from tailor_compress.export.trained import Step, step
from tailor_compress.method import Context, Made, setting
from tailor_compress.model.layers import Pick, keep_layers
from tailor_compress.training.student import StudentShape

_TEACHER = "teacher"
_STATES = (Term("embedding"), Term("attention"), Term("hidden"))


@dataclass(frozen=True)
class TinyBert(Course):
    """Distils a student in TinyBERT's three trainings; 0 steps leave one out."""

    roles: ClassVar[tuple[str, ...]] = (_TEACHER,)

    start: Start = setting("scratch", "the student: scratch, or layers of teacher or `init`")
    shape: StudentShape = setting(
        StudentShape(4, 192, 12, 768), "sizes of a student from scratch; heads as the teacher's"
    )
    pick: Pick = setting("bottom", "which layers to keep: bottom or interval")
    depth: int = setting(0, "how many layers to keep; 0 for all")
    layers: tuple[int, ...] = setting((), "the very layers to keep, instead of pick and depth")
    mapping: Mapping = setting("uniform", "layer map: uniform, top or bottom")
    general_teacher: str = setting(_TEACHER, "role of the general stage's teacher")
    general_steps: int = setting(400, "steps of the general stage, on states")
    states_steps: int = setting(400, "steps of the task stage on states")
    scores_steps: int = setting(400, "steps of the task stage on scores")
    general_rate: float = setting(1e-3, "peak learning rate of the general stage")
    states_rate: float = setting(5e-4, "peak learning rate on states")
    scores_rate: float = setting(3e-4, "peak learning rate on scores")
    temperature: float = setting(1.0, "temperature of the loss on scores")
    hard: float = setting(0.0, "weight of the loss on the right document, beside 1 for the soft")
    augmented: float = setting(0.5, "share of the task's lists with replaced words; 0 for none")
    replaced: float = setting(0.4, "share of the words of such a list to replace")
    nearest: int = setting(15, "nearest words to draw a replacement from")

    def make(self, context: Context) -> Made:
        """Return the student."""
        seeded(context)
        teacher = context.parent(_TEACHER)
        if self.start == "scratch":
            student = scratch_student(teacher, self.shape, context.seed)
        else:
            source = start_model(context, self.start, _TEACHER)
            student = keep_layers(source, kept_layers(source, self.pick, self.depth, self.layers))
        hard = (Term("hard", self.hard),) if self.hard else ()
        scores = (Term("soft_cross_entropy"), *hard)
        check_terms(scores, teacher)
        params, steps = asdict(self), list[Step]()

        def run(goal: Goal, stage: str, count: int, rate: float) -> None:
            if count > 0:
                seconds = self.run(context, student, goal, stage, count, rate)
                name = f"tiny_bert_{stage}"
                steps.append(step(name, params, context.seed, context.data_id, seconds))

        general = context.parent(self.general_teacher)
        states = Goal(_STATES, mapping=self.mapping, teacher=self.watched(general))
        attach(student, states)
        run(states, "general", self.general_steps, self.general_rate)
        watched = self.watched(teacher)
        change = None
        if self.augmented > 0:
            change = WordReplacement(
                teacher, context.tokens, self.augmented, self.replaced, self.nearest
            )
        states = replace(states, teacher=watched, change=change)
        run(states, "states", self.states_steps, self.states_rate)
        detach(student)
        final = Goal(scores, self.temperature, teacher=watched, change=change)
        attach(student, final)
        run(final, "scores", self.scores_steps, self.scores_rate)
        detach(student)
        return Made(steps, student)
