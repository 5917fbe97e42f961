# SPDX-License-Identifier: Apache-2.0
"""Which heads and neurons to keep within a budget, so that most diagonal Fisher information stays.

Kwon et al. (2022), section 4.1: for gates at 1 the loss of a mask is, to second order, half of
the sum of the Fisher information of what it closes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailor_compress.pruning.gates import Gates, Gradients

# Steps of the budget in the latency search: every cost is rounded up to one, so that of six
# layers at most 12 of them, 0.3 %, are left over.
_STEPS = 4000


def fisher(gradients: Gradients) -> Gates:
    """Return the diagonal of the empirical Fisher information: the mean of squared gradients."""
    return Gates(
        [of_layer.square().mean(dim=0) for of_layer in gradients.heads],
        [of_layer.square().mean(dim=0) for of_layer in gradients.neurons],
    )


def _top(scores: Sequence[Tensor], count: int) -> list[Tensor]:
    """Return masks of the ``count`` highest scores over all layers."""
    flat = torch.cat(list(scores))
    mask = torch.zeros_like(flat)
    mask[flat.argsort(descending=True, stable=True)[:count]] = 1
    return list(mask.split([len(one) for one in scores]))


def _sums(scores: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return [units + 1]: the sum of the n highest scores over all layers."""
    ordered = torch.cat(list(scores)).double().sort(descending=True).values.numpy()
    return np.concatenate([[0.0], np.cumsum(ordered)])


def search_flops(importance: Gates, head_cost: int, neuron_cost: int, budget: int) -> Gates:
    """Return the masks of the largest kept importance that cost at most ``budget``.

    Every head costs the same in every layer, and so does every neuron; for each number of heads
    the rest of the budget goes to neurons. The best ones of each are kept, wherever they are, so
    that the result is the optimum. ``budget`` is not negative: nothing costs nothing.
    """
    heads, neurons = _sums(importance.heads), _sums(importance.neurons)
    most = min(len(heads) - 1, budget // head_cost)
    counts = [
        (n, min(len(neurons) - 1, (budget - n * head_cost) // neuron_cost)) for n in range(most + 1)
    ]
    best = max(counts, key=lambda count: float(heads[count[0]] + neurons[count[1]]))
    return Gates(_top(importance.heads, best[0]), _top(importance.neurons, best[1]))


@dataclass(frozen=True)
class Choice:
    """What may stay of one sublayer: ``counts`` of units, and the cost of each count."""

    counts: Sequence[int]
    costs: Sequence[float]


def _values(scores: Tensor, counts: Sequence[int]) -> list[float]:
    sums = _sums([scores])
    return [float(sums[count]) for count in counts]


def _best_counts(
    choices: Sequence[Choice], values: Sequence[Sequence[float]], budget: float
) -> list[int]:
    """Return one index of each choice: of the largest sum of values within ``budget``.

    Dynamic programming over the budget in steps. ``best[b]`` is the largest value of the choices
    so far at a cost of at most b steps; the steps left are found by going back.
    """
    unit = budget / _STEPS
    best = np.zeros(_STEPS + 1)
    taken: list[tuple[NDArray[np.int64], list[int]]] = []
    for choice, value in zip(choices, values, strict=True):
        steps = [int(np.ceil(cost / unit - 1e-9)) for cost in choice.costs]
        options = np.full((len(steps), _STEPS + 1), -np.inf)
        for row, step in enumerate(steps):
            if step <= _STEPS:
                options[row, step:] = best[: _STEPS + 1 - step] + value[row]
        taken.append((options.argmax(axis=0), steps))
        best = options.max(axis=0)
    if not np.isfinite(best[-1]):
        raise ValueError("the budget is below the cheapest choices")
    left, found = _STEPS, []
    for chosen, steps in reversed(taken):
        found.append(int(chosen[left]))
        left -= steps[found[-1]]
    return found[::-1]


def search_latency(
    importance: Gates, attention: Sequence[Choice], ffn: Sequence[Choice], budget: float
) -> Gates:
    """Return the masks of the largest kept importance whose sublayers take at most ``budget``.

    Costs are any function of the number of units, one ``Choice`` a layer; each layer keeps its
    best units. Kwon et al. approximate the costs by two straight lines and search greedily; the
    table as it is costs a search of milliseconds. Raises ValueError for a budget below the
    cheapest choices.
    """
    scores = [*importance.heads, *importance.neurons]
    choices = [*attention, *ffn]
    values = [_values(one, choice.counts) for one, choice in zip(scores, choices, strict=True)]
    found = _best_counts(choices, values, budget)
    masks = [
        _top([one], choice.counts[index])[0]
        for one, choice, index in zip(scores, choices, found, strict=True)
    ]
    return Gates(masks[: len(attention)], masks[len(attention) :])
