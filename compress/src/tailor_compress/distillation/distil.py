# SPDX-License-Identifier: Apache-2.0
"""The general flow: one student, one teacher, a sum of losses, one training.

A chain through an assistant is two of these: the second's parent in the role `teacher` is the
first's student.
"""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from transformers import BertForSequenceClassification

from tailor_compress.distillation.course import Course, seeded
from tailor_compress.distillation.mapping import Mapping
from tailor_compress.distillation.objective import Goal, attach, detach, needs_states
from tailor_compress.distillation.presets import PRESETS, Preset
from tailor_compress.distillation.students import Start, kept_layers, scratch_student, start_model
from tailor_compress.distillation.terms import Mix, Term, check_terms
from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.model.layers import Pick, keep_layers
from tailor_compress.model.narrow import narrow_embedding
from tailor_compress.settings import nearest
from tailor_compress.training.student import StudentShape

_TEACHER = "teacher"


@dataclass(frozen=True)
class Distil(Course):
    """Distils a student; settings of None and empty losses are the preset's."""

    roles: ClassVar[tuple[str, ...]] = (_TEACHER,)

    preset: str = setting("listwise", f"a published recipe: {', '.join(PRESETS)}")
    losses: tuple[Term, ...] = setting((), "losses with weights instead of the preset's")
    temperature: float | None = setting(None, "temperature of the losses on scores")
    mix: Mix | None = setting(None, "of soft and hard losses: constant, or linear (soft to hard)")
    mapping: Mapping | None = setting(None, "layer map of the losses on states")
    start: Start = setting(_TEACHER, "the student: layers of teacher or parent `init`, or scratch")
    pick: Pick | None = setting(None, "which layers to keep: bottom or interval")
    depth: int = setting(0, "how many layers to keep; 0 for all")
    layers: tuple[int, ...] = setting((), "the very layers to keep, instead of pick and depth")
    shape: StudentShape = setting(StudentShape(), "sizes of a student from scratch")
    embedding: int = setting(0, "width of narrow word vectors; 0 for the start's own")
    steps: int = setting(1000, "steps of training")
    learning_rate: float = setting(1e-4, "peak learning rate")
    relation_heads: int = setting(12, "heads of the relations (MiniLMv2)")
    masked_share: float = setting(0.15, "share of the words to hide (DistilBERT)")

    def recipe(self) -> Preset:
        """Return the preset with the settings that replace parts of it."""
        if self.preset not in PRESETS:
            raise TailorError(
                "the name of a preset", f"`{self.preset}`", nearest(self.preset, PRESETS)
            )
        found = PRESETS[self.preset]
        given = {
            "losses": self.losses or None,
            "temperature": self.temperature,
            "mix": self.mix,
            "mapping": self.mapping,
            "pick": self.pick,
        }
        return replace(found, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    def student(
        self, context: Context, teacher: BertForSequenceClassification
    ) -> BertForSequenceClassification:
        """Return the student before its training."""
        if self.start == "scratch":
            student = scratch_student(teacher, self.shape, context.seed)
        else:
            source = start_model(context, self.start, _TEACHER)
            kept = kept_layers(source, self.recipe().pick, self.depth, self.layers)
            student = keep_layers(source, kept)
        return narrow_embedding(student, self.embedding) if self.embedding else student

    def make(self, context: Context) -> Made:
        """Return the student."""
        recipe = self.recipe()
        teacher = context.parent(_TEACHER)
        labels = check_terms(recipe.losses, teacher)
        seeded(context)
        student = self.student(context, teacher)
        goal = Goal(
            recipe.losses,
            recipe.temperature,
            recipe.mix,
            recipe.mapping,
            self.relation_heads,
            self.masked_share,
            context.tokens,
        )
        if needs_states(recipe.losses) or labels > 1:
            goal = replace(goal, teacher=self.watched(teacher))
        else:
            count = self.lists_for(self.steps)
            goal = replace(goal, scores=context.scores(_TEACHER, context.lists, count))
        attach(student, goal)
        seconds = self.run(context, student, goal, "distil", self.steps, self.learning_rate)
        detach(student)
        params = {**asdict(self), **asdict(recipe)}
        made = step(f"distil_{self.preset}", params, context.seed, context.data_id, seconds)
        return Made([made], student)
