# SPDX-License-Identifier: Apache-2.0
"""The clairvoyant bound against every choice, on cases small enough to try them all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bound import Floats, Requests, bound, segments, useful_cuts
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

_SKIP = -1


def meets_all(arrival: Floats, deadline: Floats, work: Floats) -> bool:
    """Whether preemptive earliest deadline first, simulated event by event, ends all in time."""
    left = work.astype(float).copy()
    now = 0.0
    while np.any(left > 1e-12):
        ready = np.flatnonzero((left > 1e-12) & (arrival <= now + 1e-12))
        future = arrival[(left > 1e-12) & (arrival > now + 1e-12)]
        if len(ready) == 0:
            now = float(future.min())
            continue
        job = ready[np.argmin(deadline[ready])]
        step = min(left[job], float(future.min()) - now if len(future) else np.inf)
        now += step
        left[job] -= step
        if now > deadline[job] + 1e-9:
            return False
    return True


def brute_force(requests: Requests, cost: Floats, quality: Floats) -> float:
    """The most quality over every choice of a cut, or none, for every request."""
    n, cuts = cost.shape
    best = 0.0
    for choice in itertools.product(range(_SKIP, cuts), repeat=n):
        taken = [r for r in range(n) if choice[r] != _SKIP]
        total = float(sum(quality[choice[r]] for r in taken))
        if total <= best:
            continue
        work = np.array([cost[r, choice[r]] for r in taken])
        if meets_all(requests.arrival[taken], requests.deadline[taken], work):
            best = total
    return best


def interval_program(requests: Requests, cost: Floats, quality: Floats, *, is_whole: bool) -> float:
    """The program with the demand condition on every interval, with shares or whole choices."""
    n, cuts = cost.shape
    rows, right = [], []
    for r in range(n):
        row = np.zeros((n, cuts))
        row[r] = 1
        rows.append(row.ravel())
        right.append(1.0)
    for a, d in itertools.product(requests.arrival, requests.deadline):
        inside = (requests.arrival >= a) & (requests.deadline <= d)
        if d > a and np.any(inside):
            rows.append((cost * inside[:, None]).ravel())
            right.append(d - a)
    solved = milp(
        -np.tile(quality, n),
        constraints=LinearConstraint(np.array(rows), ub=np.array(right)),
        integrality=np.full(n * cuts, int(is_whole)),
        bounds=Bounds(0, 1),
    )
    return float(-solved.fun)


def random_case(seed: int, n: int = 5) -> tuple[Requests, Floats, Floats]:
    random = np.random.default_rng(seed)
    arrival = np.sort(random.uniform(0, 3, n))
    deadline = arrival + random.uniform(0.5, 2.5, n)
    size = random.uniform(0.5, 1.5, n)
    cost = size[:, None] * np.array([1.6, 0.8, 0.3])
    shape: NDArray[np.int64] = np.ones((n, 3), dtype=np.int64)
    return Requests(arrival, deadline, shape), cost, np.array([1.0, 0.8, 0.45])


@pytest.mark.parametrize("seed", range(25))
def test_bound_is_not_below_the_best_choice(seed: int) -> None:
    requests, cost, quality = random_case(seed)
    best = brute_force(requests, cost, quality)
    found = bound(requests, cost, quality)
    assert found >= best - 1e-6
    # Nor far above it: what is relaxed is at most one request's quality here.
    assert found <= best + quality.max()
    whole = interval_program(requests, cost, quality, is_whole=True)
    assert whole == pytest.approx(best, abs=1e-6)
    shares = interval_program(requests, cost, quality, is_whole=False)
    assert shares == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_windows_only_raise_it(seed: int) -> None:
    requests, cost, quality = random_case(seed, n=40)
    whole = bound(requests, cost, quality)
    assert bound(requests, cost, quality, window=10) >= whole - 1e-6


def test_alone_a_request_gets_the_best_cut_that_fits() -> None:
    requests = Requests(np.array([0.0]), np.array([1.0]), np.ones((1, 3), dtype=np.int64))
    # Half of it with each of the two: 0.5 x 1.5 + 0.5 x 0.5 = 1, which whole choices cannot do.
    found = bound(requests, np.array([[1.5, 0.5]]), np.array([1.0, 0.4]))
    assert found == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_merged_segments_only_widen_what_a_request_may_use(seed: int) -> None:
    requests, _, _ = random_case(seed, n=40)
    ends, first, behind = segments(requests, max_pairs=120)
    assert int((behind - first).sum()) <= 120
    assert np.all(ends[first] <= requests.arrival)
    assert np.all(ends[behind] >= requests.deadline)
    exact, first, behind = segments(requests, max_pairs=10**6)
    assert np.array_equal(exact[first], requests.arrival)
    assert np.array_equal(exact[behind], requests.deadline)


def test_merging_only_raises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    requests, cost, quality = random_case(3, n=60)
    exact = bound(requests, cost, quality)
    monkeypatch.setattr("bound._MAX_PAIRS", 150)
    assert bound(requests, cost, quality) >= exact - 1e-6


def test_only_cuts_on_the_hull_are_useful() -> None:
    cost = np.array([[4.0, 2.0, 1.0, 3.0, 2.0]])
    # The last is dearer than needed, the fourth below the chord of the first and the second.
    quality = np.array([1.0, 0.9, 0.7, 0.94, 0.8])
    assert useful_cuts(cost, quality) == [0, 1, 2]
