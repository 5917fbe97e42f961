# SPDX-License-Identifier: Apache-2.0
"""The linear floor as a method: no model, three tensors."""

import time
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.linear.train import Fit, fit_scorer
from tailor_compress.method import Context, Made, setting

_MIN_BITS, _MAX_BITS = 4, 24


@dataclass(frozen=True)
class LinearFloor:
    """Logistic regression over candidates on hashed crosses of query and document tokens.

    It has no model that transformers could load: ``Made.model`` is None, ``Made.tensors`` are all
    of model.safetensors, and ``arch`` in ``Made.manifest`` has the kind ``linear``.
    """

    lists: int = setting(24576, "training lists, the scored ones among them")
    scored: int = setting(12288, "lists that the teacher scores")
    bits: int = setting(18, "two to this many hashed weights")
    temperature: float = setting(2.0, "of the softmax over the teacher's scores")
    hard: float = setting(0.2, "weight of the right candidate beside the teacher's scores")
    unscored: float = setting(1.2, "weight of the right candidate where there are no scores")
    l2: float = setting(1e-3, "weight of the squares of the hashed weights")
    iterations: int = setting(40, "of L-BFGS, at most")

    roles: ClassVar[tuple[str, ...]] = ("teacher",)

    def __post_init__(self) -> None:
        if not _MIN_BITS <= self.bits <= _MAX_BITS:
            raise TailorError(
                f"{_MIN_BITS} to {_MAX_BITS} bits", str(self.bits), "correct `bits` in the recipe"
            )
        if not 0 <= self.scored <= self.lists or self.lists < 1:
            raise TailorError(
                "at least one list, and at most as many scored as there are",
                f"{self.lists} and {self.scored}",
                "correct `lists` and `scored` in the recipe",
            )

    def make(self, context: Context) -> Made:
        """Fit the weights; there is no checkpoint, a kill costs the minute that a fit takes."""
        began = time.monotonic()
        lists = [context.lists.drawn(number) for number in range(self.lists)]
        scores = np.empty((0, context.lists.size), dtype=np.float32)
        if self.scored > 0:
            scores = context.scores("teacher", context.lists, self.scored)
        fit = Fit(self.temperature, self.hard, self.unscored, self.l2, self.iterations)
        scorer = fit_scorer(lists, scores, len(context.tokens), (self.bits, context.seed), fit)
        wall_s = time.monotonic() - began
        made = step("linear_floor", asdict(self), context.seed, context.data_id, wall_s)
        return Made([made], tensors=scorer.tensors(), manifest={"arch": scorer.arch()})
