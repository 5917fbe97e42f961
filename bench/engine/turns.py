# SPDX-License-Identifier: Apache-2.0
"""Compares scores, then times candidates in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from batch import Batch, Candidate, CandidateError, Scores

# Between turns, so that threads which spin for a while after their last run sleep again: those of
# ONNX Runtime did for up to 30 ms, those of the other peers for less.
PAUSE_S = 0.05


def difference(candidate: Candidate, expected: Scores, batch: Batch, tolerance: float) -> float:
    """Largest difference of a score; CandidateError when it is beyond the tolerance."""
    scores = candidate.score(batch)
    if scores.shape != expected.shape:
        raise CandidateError(
            f"{candidate.name}: {batch.spec}: expected {expected.shape} scores, got {scores.shape}"
        )
    largest = float(abs(scores - expected).max())
    if not largest <= tolerance:
        raise CandidateError(
            f"{candidate.name}: {batch.spec}: expected scores within {tolerance:.1e} of the "
            f"reference, got {largest:.1e}"
        )
    return largest


def alike(
    peers: Sequence[Candidate],
    expected: Scores,
    batch: Batch,
    tolerance: float,
    problems: list[str],
) -> list[Candidate]:
    """The peers that score as expected; why others do not goes to `problems`."""
    kept = []
    for peer in peers:
        try:
            largest = difference(peer, expected, batch, tolerance)
        except CandidateError as error:
            problems.append(str(error))
            print(f"  left out: {error}", flush=True)
            continue
        print(f"  {batch.spec:8} {peer.name:26} differs by {largest:.1e}", flush=True)
        kept.append(peer)
    return kept


def interleave(
    candidates: Sequence[Candidate], batch: Batch, rounds: int, turn_s: float
) -> dict[str, list[float]]:
    """Median seconds of a run in each of `rounds` turns of about `turn_s` seconds."""
    # Scores were compared before, so that the run that sizes the turns is not a first one.
    repeats = {
        candidate.name: max(1, round(turn_s / candidate.time(batch, 1)[0]))
        for candidate in candidates
    }
    seconds: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    for _ in range(rounds):
        for candidate in candidates:
            time.sleep(PAUSE_S)
            runs = candidate.time(batch, repeats[candidate.name])
            seconds[candidate.name].append(statistics.median(runs))
    return seconds
