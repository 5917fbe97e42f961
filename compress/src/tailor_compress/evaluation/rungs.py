# SPDX-License-Identifier: Apache-2.0
"""Which variants make the ladder: each rung costs more and is better than the one below."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailor_compress.evaluation.bootstrap import Paired, paired
from tailor_compress.evaluation.metrics import Floats


@dataclass(frozen=True)
class Rung:
    """A variant of the ladder, and how much better it is than the rung below (None: lowest)."""

    id: str
    cost: float
    step: Paired | None


def rungs(costs: Mapping[str, float], quality: Mapping[str, Floats]) -> list[Rung]:
    """Return the ladder of the variants in ``costs``, the cheapest first.

    Going up in cost, a variant is a rung when the 95 % interval of its paired difference from the
    last rung lies above 0; ``quality`` are values by query. Of equal costs the better one comes
    first.
    """
    order = sorted(costs, key=lambda id_: (costs[id_], -float(quality[id_].mean())))
    found: list[Rung] = []
    for id_ in order:
        if not found:
            found.append(Rung(id_, costs[id_], None))
            continue
        step = paired(quality[id_], quality[found[-1].id])
        if step.low > 0:
            found.append(Rung(id_, costs[id_], step))
    return found
