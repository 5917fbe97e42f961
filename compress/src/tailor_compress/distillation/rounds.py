# SPDX-License-Identifier: Apache-2.0
"""The order in which lists are shown: all of them, then all again in another order."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)
def _order(seed: int, round_: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 2, round_]).permutation(count)


class Rounds:
    """Numbers of the lists of each step, out of ``count`` distinct ones."""

    def __init__(self, count: int, lists_per_step: int, steps: int, seed: int) -> None:
        self._count, self._size, self._steps, self.seed = count, lists_per_step, steps, seed

    def numbers(self, step: int) -> list[int]:
        """Return the numbers of the lists of ``step``."""
        shown = range(step * self._size, (step + 1) * self._size)
        places = (divmod(at, self._count) for at in shown)
        return [int(_order(self.seed, round_, self._count)[place]) for round_, place in places]

    def progress(self, step: int) -> float:
        """Return how much of the training is over at ``step``, 0 to 1."""
        return min(1.0, step / max(1, self._steps - 1))
