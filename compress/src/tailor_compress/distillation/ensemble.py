# SPDX-License-Identifier: Apache-2.0
"""Several teachers, one student of their size (MT-DNN-KD, Liu et al., 2019)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from tailor_compress.distillation.course import Course, seeded
from tailor_compress.distillation.objective import Goal, attach, detach
from tailor_compress.distillation.students import Start, start_model
from tailor_compress.distillation.terms import Term, check_terms
from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting


def mean_scores(scores: Sequence[NDArray[np.float32]], temperature: float) -> NDArray[np.float32]:
    """Return scores [lists, n] whose softmax at ``temperature`` is the mean of the teachers'.

    T log(mean of softmax(s / T)): a teacher like any other for what comes after.
    """
    logs = log_softmax(np.stack(scores).astype(np.float64) / temperature, axis=-1)
    mean = logsumexp(logs, axis=0) - np.log(len(scores))
    found: NDArray[np.float32] = (temperature * mean).astype(np.float32)
    return found


@dataclass(frozen=True)
class EnsembleDistil(Course):
    """Distils the mean of several teachers' candidate probabilities into one student."""

    roles: ClassVar[tuple[str, ...]] = ("teacher", "second")

    teachers: tuple[str, ...] = setting(("teacher", "second"), "roles of the teachers")
    start: Start = setting("teacher", "the student starts as the first teacher or parent `init`")
    temperature: float = setting(1.0, "temperature of the teachers' probabilities")
    hard: float = setting(1.0, "weight of the loss on the right document, beside 1 for the soft")
    steps: int = setting(1000, "steps of training")
    learning_rate: float = setting(3e-5, "peak learning rate")

    def make(self, context: Context) -> Made:
        """Return the student."""
        if not self.teachers or self.start == "scratch":
            raise TailorError(
                "one teacher or more, and a student that starts from `teacher` or `parent`",
                f"{len(self.teachers)} teachers, start {self.start}",
                "correct `teachers` or `start`",
            )
        seeded(context)
        student = start_model(context, self.start, self.teachers[0])
        terms = (Term("soft_cross_entropy"), Term("hard", self.hard))
        check_terms(terms, student)
        count = self.lists_for(self.steps)
        scores = [context.scores(role, context.lists, count) for role in self.teachers]
        goal = Goal(terms, self.temperature, scores=mean_scores(scores, self.temperature))
        attach(student, goal)
        seconds = self.run(context, student, goal, "ensemble", self.steps, self.learning_rate)
        detach(student)
        made = step("distil_ensemble", asdict(self), context.seed, context.data_id, seconds)
        return Made([made], student)
