# SPDX-License-Identifier: Apache-2.0
"""A profile of the simulator, measured under load on the server that it is to stand for.

What the warm-up fitted was measured on an engine that had its core to itself. Under load the
server's own threads share that core. So every cut is loaded until it is busy, and its costs are
multiplied by what its batches then took; the time between batches is an overhead of each.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measurement import ON_CORE_1, ROOT, BenchError, load_report
from scrapes import Metrics, metrics, prediction_error, status
from server_process import ServerProcess
from texts import whole_words, write_log_normal_texts

sys.path.insert(0, str(ROOT / "bench/policies"))

from make_profiles import bundled, cuts_of_server, write

CAPACITY_CUT = "elastic-w50-d67"  # what load 1 keeps busy, in the middle of the family
STUDENT = "student-2x128"  # every variant has its vocabulary and its longest input
DOCUMENTS = 32  # of a usual request, as make_profiles.bundled has it
MEDIAN_TOKENS = 84
TERMS = ("fixed_us", "per_token_us", "per_square_us", "per_row_us")
CONCURRENCY = 4  # so that the next batch is ready when one ends
SECONDS, WARM_UP_SECONDS = 1.8, 0.3
SAFETY_PERCENT = 97  # server/telemetry/safety_window.h


@dataclass(frozen=True)
class CutUnderLoad:
    """One cut in a closed loop."""

    id: str
    requests_per_s: float
    ratio: float  # engine time of its batches / what was fitted at warm-up
    gap_us: float  # from the end of a batch to the start of the next
    errors: tuple[float, ...]  # logarithms of actual / predicted engine time, batch by batch


def cut_under_load(
    name: str,
    before: Metrics,
    after: Metrics,
    load: dict[str, Any],
    pairs: Sequence[tuple[float, float]],
) -> CutUnderLoad:
    """From two scrapes, the report of the load between them, and (predicted, actual) ms."""
    label = f'variant="{name}"'

    def grown(metric: str, labels: str = label) -> float:
        return after.total(metric, labels) - before.total(metric, labels)

    tokens, batches = grown("tailor_tokens_total"), grown("tailor_batch_size_count")
    modeled = grown("tailor_cost_modeled_seconds_total")
    if min(tokens, batches, modeled) <= 0:
        raise BenchError(f"{name}: expected batches under load, got none")
    rate = float(load["tokens_per_s"])
    idle = 1 - rate * grown("tailor_engine_busy_seconds_total", "") / tokens
    return CutUnderLoad(
        id=name,
        requests_per_s=float(load["throughput_documents_per_s"]) / DOCUMENTS,
        ratio=grown("tailor_cost_observed_seconds_total") / modeled,
        gap_us=1e6 * max(0.0, idle) / (rate * batches / tokens),
        errors=tuple(math.log(b / a) for a, b in pairs if a > 0 and b > 0),
    )


def tail_deviation(errors: Sequence[float]) -> float:
    """Of the normal distribution with the same median and the same quantile above it.

    The quantile is the one that the server's safety factor follows. Errors have heavier tails than
    the simulator's: with the deviation of their middle a simulated server is too bold.
    """
    if len(errors) < 2:
        return 0.0
    cuts = statistics.quantiles(errors, n=100, method="inclusive")
    normal = statistics.NormalDist().inv_cdf(SAFETY_PERCENT / 100)
    return max(0.0, (cuts[SAFETY_PERCENT - 1] - cuts[49]) / normal)


@dataclass(frozen=True)
class InSitu:
    """What the simulator is told of a server."""

    profile: Path
    longest: int  # tokens of a pair
    terms: list[dict[str, Any]]  # of the profile's cuts
    cuts: dict[str, CutUnderLoad]
    noise: float  # deviation of the logarithm of a batch's time
    gap_us: float
    loop_error: str  # of predictions in these loops: median / p95

    unit_ms: float  # of engine time that the best cut takes for a usual request

    def rate(self, name: str = CAPACITY_CUT) -> float:
        """Usual requests a second that a cut answers when it is all that runs."""
        return self.cuts[name].requests_per_s


def longest_of(family: Path) -> int:
    """Tokens to which the server cuts a longer pair; what is simulated must not be longer."""
    manifest = json.loads((family / STUDENT / "variant.json").read_text("utf-8"))
    return int(manifest["task"]["max_len"])


def texts_of(family: Path, folder: Path) -> list[str]:
    """Usual requests: the options of `tailor load` for texts written below `folder`."""
    words = whole_words(family / STUDENT / "vocab.txt")
    return write_log_normal_texts(folder, words, MEDIAN_TOKENS, longest_of(family))


def measure(
    server: ServerProcess, tailor: Path, texts: Sequence[str], longest: int, folder: Path
) -> InSitu:
    """Loads every cut in turn, which takes two seconds each, and writes FOLDER/bundled.json."""
    fitted = cuts_of_server(f"http://{server.http}/statusz?format=json")
    found: dict[str, CutUnderLoad] = {}
    pairs: list[tuple[float, float]] = []
    for cut in fitted:
        name = cut["id"]
        before = metrics(server.http)
        load = load_report(
            server.grpc,
            [
                *("--concurrency", str(CONCURRENCY), "--connections", "1", "--budget", "30s"),
                *("--documents-per-call", str(DOCUMENTS), "--variant", name),
                *("--duration", f"{SECONDS}s", "--warmup", f"{WARM_UP_SECONDS}s", *texts),
            ],
            prefix=ON_CORE_1,
            tailor=tailor,
        )
        rows = [row for row in status(server.http)["decisions"] if row["variant"] == name]
        # The first ones ran while the correction was still settling.
        seen = [(row["predicted_ms"], row["actual_ms"]) for row in rows][len(rows) // 4 :]
        pairs += seen
        found[name] = cut_under_load(name, before, metrics(server.http), load, seen)
        print(
            f"{name}: {found[name].requests_per_s:.1f} requests/s, "
            f"{found[name].ratio:.3f} of the fit, gap {found[name].gap_us:.0f} us",
            file=sys.stderr,
        )
    for cut in fitted:
        for term in TERMS:
            cut[term] = round(cut[term] * found[cut["id"]].ratio, 7)
    best = max(fitted, key=lambda cut: float(cut["quality"]))
    gap = statistics.median(one.gap_us for one in found.values())
    return InSitu(
        profile=write_profile(fitted, gap, longest, folder),
        longest=longest,
        terms=fitted,
        cuts=found,
        noise=tail_deviation([error for one in found.values() for error in one.errors]),
        gap_us=gap,
        loop_error=prediction_error(pairs).shown(),
        unit_ms=1000 / found[best["id"]].requests_per_s,
    )


def write_profile(terms: list[dict[str, Any]], gap_us: float, longest: int, folder: Path) -> Path:
    """The profile's file."""
    profile = bundled(terms, "a server under load, its costs as they then were", CAPACITY_CUT)
    profile["limits"] = {"max_sequence_tokens": longest}
    profile["server"]["batch_overhead_us"] = round(gap_us, 1)
    write(profile, folder)
    return folder / f"{profile['name']}.json"


def mean_terms(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Between two measurements of the same cuts."""
    means = []
    for one, other in zip(a, b, strict=True):
        costs = {term: round((one[term] + other[term]) / 2, 7) for term in TERMS}
        means.append({**one, **costs})
    return means


def between(first: InSitu, last: InSitu, folder: Path) -> InSitu:
    """The mean of what was measured before and after: the speed of a shared host drifts."""
    terms = mean_terms(first.terms, last.terms)
    gap = (first.gap_us + last.gap_us) / 2
    return dataclasses.replace(
        first,
        profile=write_profile(terms, gap, first.longest, folder),
        terms=terms,
        noise=(first.noise + last.noise) / 2,
        gap_us=gap,
    )
