# SPDX-License-Identifier: Apache-2.0
"""What no policy can exceed: a clairvoyant bound on the quality delivered in time by one engine.

The bound knows every arrival, deadline and cost. It is the optimum of this linear program over the
share x[r, c] of request r that is answered with cut c, and the seconds y[r, k] that the engine
spends on it in segment k of time:

    maximise    sum of quality[c] * x[r, c]
    subject to  sum over c of x[r, c] <= 1                                 for every request r
                sum over c of cost[r, c] * x[r, c] = sum over k of y[r, k]  for every request r
                sum over r of y[r, k] <= length[k]                         for every segment k
                y[r, k] = 0 where segment k is not within [arrival[r], deadline[r]]
                0 <= x, 0 <= y

where segments lie between neighbouring arrivals and deadlines, and cost[r, c] is what the rows of r
take with c without the constant of a batch.

It is not below the optimum of any schedule. Take any schedule of one engine, whatever it knows and
however it batches. Let x[r, c] be 1 when r is answered in time with c, else 0. A batch costs at
least the sum of the variable costs of its rows, so its time can be dealt out to its rows such that
each gets its variable cost and none gets more than there is; let y[r, k] be what r gets that way in
segment k. A request has at most one answer, so the first constraint holds. All rows of an answered
request run between its arrival and its deadline, so the second and fourth hold. The engine runs one
batch at a time, so the third holds. Hence x and y are feasible, and the program's optimum is at
least the schedule's quality.

For given x the other constraints are a flow of work into time, which exists exactly when on every
interval [a, d] from an arrival to a deadline the work of the requests that lie within it is at most
d - a (Horn, 1974): the processor demand condition under which preemptive earliest deadline first
meets every deadline. So the program relaxes only the integrality of the choice, preemption, and the
constant of a batch. Written as a flow its matrix is sparse, whereas each of the quadratically many
intervals would name most of the requests.

Two more relaxations make it fast, and each can only raise the value. Requests are cut into windows
by arrival, each solved alone, as if no other window needed the engine. And where segments would be
too many, neighbours are merged, and a request may use every merged segment that touches its time.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from profiles import read_profile
from scipy.optimize import linprog  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW = 600
_MAX_PAIRS = 20000  # of a request and a segment, a window


@dataclass(frozen=True)
class Requests:
    """A trace in order of arrival: seconds [n] each; documents, tokens and squares [n, 3]."""

    arrival: Floats
    deadline: Floats
    shape: Ints


def read_requests(path: Path) -> Requests:
    """Read what ``tailor simulate --record`` wrote."""
    table = np.loadtxt(path, ndmin=2)
    arrival = table[:, 0]
    return Requests(arrival, arrival + table[:, 1], table[:, 2:5].astype(np.int64))


def useful_cuts(cost: Floats, quality: Floats) -> list[int]:
    """Cuts on the upper concave hull of (cost, quality) and (0, 0), for some request.

    A share of any other cut is no better than shares of two neighbours on the hull, or of one and
    nothing, at the same cost. ``cost``: [n, cuts].
    """
    n, cuts = cost.shape
    xs = np.concatenate([np.zeros((n, 1)), cost], axis=1)
    ys = np.concatenate([[0.0], quality])
    keep = []
    for cut in range(1, cuts + 1):
        x, y = xs[:, cut], ys[cut]
        is_below = np.zeros(n, dtype=bool)
        for left in range(cuts + 1):
            if left == cut:
                continue
            # No dearer and at least as good; of equals the first stays.
            same = (xs[:, left] == x) & (ys[left] == y)
            is_below |= (xs[:, left] <= x) & (ys[left] >= y) & (~same | (left < cut))
            for right in range(cuts + 1):
                between = (xs[:, left] < x) & (x < xs[:, right])
                span = np.where(between, xs[:, right] - xs[:, left], 1.0)
                chord = ys[left] + (ys[right] - ys[left]) * (x - xs[:, left]) / span
                is_below |= between & (chord > y)
        if not np.all(is_below):
            keep.append(cut - 1)
    return keep


def segments(requests: Requests, max_pairs: int) -> tuple[Floats, Ints, Ints]:
    """Ends of the segments [m + 1], and of each request the first one and the one behind its last.

    Merges neighbours until there are at most ``max_pairs`` pairs of a request and a segment that
    touches its time, or every request has at most two.
    """
    ends = np.unique(np.concatenate([requests.arrival, requests.deadline]))
    while True:
        first = np.searchsorted(ends, requests.arrival, side="right") - 1
        behind = np.searchsorted(ends, requests.deadline, side="left")
        counts = behind - first
        if int(counts.sum()) <= max_pairs or int(counts.max()) <= 2 or len(ends) <= 3:
            return ends, first.astype(np.int64), behind.astype(np.int64)
        ends = np.unique(np.append(ends[::2], ends[-1]))


def window_bound(requests: Requests, cost: Floats, quality: Floats) -> float:
    """The bound for one window: cost [n, cuts] seconds, quality [cuts]. A sum over its requests."""
    keep = useful_cuts(cost, quality)
    cost, quality = cost[:, keep], quality[keep]
    n, cuts = cost.shape
    ends, first, behind = segments(requests, _MAX_PAIRS)
    counts = behind - first
    owner = np.repeat(np.arange(n), counts)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    segment = first[owner] + offset
    # Columns: x in the order [request, cut], then the pairs' seconds.
    x_columns, y_columns = np.arange(n * cuts), n * cuts + np.arange(len(owner))
    columns = n * cuts + len(owner)
    x_owner = np.repeat(np.arange(n), cuts)
    lengths = np.diff(ends)
    upper = csr_matrix(
        (
            np.ones(columns),
            (np.concatenate([x_owner, n + segment]), np.concatenate([x_columns, y_columns])),
        ),
        shape=(n + len(lengths), columns),
    )
    work = csr_matrix(
        (
            np.concatenate([cost.ravel(), -np.ones(len(owner))]),
            (np.concatenate([x_owner, owner]), np.concatenate([x_columns, y_columns])),
        ),
        shape=(n, columns),
    )
    gain = np.concatenate([np.tile(quality, n), np.zeros(len(owner))])
    solved = linprog(
        -gain,
        A_ub=upper,
        b_ub=np.concatenate([np.ones(n), lengths]),
        A_eq=work,
        b_eq=np.zeros(n),
        bounds=(0, None),
        method="highs",
    )
    if not solved.success:
        raise RuntimeError(f"HiGHS: {solved.message}")
    return -float(solved.fun)


def bound(requests: Requests, cost: Floats, quality: Floats, window: int = WINDOW) -> float:
    """The most quality that any policy delivers in time, summed over all requests."""
    total = 0.0
    for begin in range(0, len(requests.arrival), window):
        part = slice(begin, begin + window)
        inside = Requests(requests.arrival[part], requests.deadline[part], requests.shape[part])
        total += window_bound(inside, cost[part], quality)
    return total


def main() -> int:
    """Print the bound of a recorded trace as effective quality."""
    parser = argparse.ArgumentParser(description="clairvoyant bound of a recorded trace")
    parser.add_argument("--profile", type=Path, required=True, help="profile file")
    parser.add_argument(
        "--requests", type=Path, required=True, help="from tailor simulate --record"
    )
    parser.add_argument("--window", type=int, default=WINDOW, help="requests a program")
    arguments = parser.parse_args()
    profile = read_profile(arguments.profile)
    requests = read_requests(arguments.requests)
    quality = np.array([cut.quality for cut in profile.cuts])
    total = bound(requests, profile.variable_seconds(requests.shape), quality, arguments.window)
    print(f"{total / len(requests.arrival):.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
