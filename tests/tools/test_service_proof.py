# SPDX-License-Identifier: Apache-2.0
"""The pure parts of the benchmarks that hold the real server against claims and simulator."""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
from pathlib import Path

import metrics_cost
import overhead
import pytest
import real_against_simulated
import scrapes
from calls import Call, Figures, by_second, figures, read_calls, variant_shares
from fault import ANSWERS, Spell, course_of, crossing, spell_of
from in_situ import (
    CAPACITY_CUT,
    STUDENT,
    TERMS,
    cut_under_load,
    longest_of,
    mean_terms,
    tail_deviation,
    texts_of,
    write_profile,
)
from measurement import BenchError
from pinned_server import without_cascades
from real_against_simulated import Cell, winner
from scrapes import Metrics, decisions_of, prediction_error
from texts import QUERY_WORDS, SPECIAL_TOKENS, write_log_normal_texts
from traces import TRACES, Trace, lines_of

MET = Call(0.5, "met", "small", 0.8)
MISSED = Call(1.2, "missed", "large", 0.9)
REFUSED = Call(1.4, "refused")


def test_a_late_answer_has_no_quality() -> None:
    found = figures([MET, MISSED, REFUSED, Call(1.9, "met", "large", 0.9)])
    assert found.attainment == 0.5
    assert found.mean_quality == pytest.approx(0.85)
    assert found.effective_quality == pytest.approx(1.7 / 4)


def test_figures_of_no_calls_are_zero() -> None:
    assert figures([]) == Figures(0, 0.0, 0.0, 0.0)


def test_reads_what_load_records(tmp_path: Path) -> None:
    rows = [
        {"at_s": 0.5, "outcome": "met", "reason": "fit", "variant": "small", "quality": 0.8},
        {"at_s": 1.4, "outcome": "refused", "reason": "OVERLOADED"},
    ]
    file = tmp_path / "calls"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_calls(file) == [MET, REFUSED]


def test_calls_by_second_and_their_variants() -> None:
    slots = by_second([MET, MISSED, REFUSED, Call(2.0, "met")], 2)
    assert slots == [[MET], [MISSED, REFUSED]]
    assert variant_shares([MET, MET, MISSED, REFUSED], most=1) == [("small", 2 / 3)]


def times_of(lines: list[str]) -> list[float]:
    return [float(line.split()[0]) for line in lines]


def test_a_trace_repeats_and_has_its_rate_and_burstiness() -> None:
    trace = Trace("bursty", 0.5, 4, (2.0,))
    lines = lines_of(trace, rate=40, unit_ms=10, seconds=2000, documents=3, seed=1)
    assert lines == lines_of(trace, rate=40, unit_ms=10, seconds=2000, documents=3, seed=1)
    assert lines != lines_of(trace, rate=40, unit_ms=10, seconds=2000, documents=3, seed=2)
    assert lines[0] == "0.000000 20.0ms 3"
    gaps = [b - a for a, b in itertools.pairwise(times_of(lines))]
    assert statistics.mean(gaps) == pytest.approx(1 / 20, rel=0.05)
    assert statistics.variance(gaps) / statistics.mean(gaps) ** 2 == pytest.approx(4, rel=0.1)


def test_budgets_of_a_mixed_trace_have_equal_shares() -> None:
    lines = lines_of(TRACES[2], rate=50, unit_ms=100, seconds=200, documents=32, seed=1)
    budgets = [line.split()[1] for line in lines]
    shares = {name: budgets.count(name) / len(budgets) for name in set(budgets)}
    assert shares.keys() == {f"{100 * units:.1f}ms" for units in TRACES[2].budgets}
    assert all(share == pytest.approx(0.2, abs=0.02) for share in shares.values())


def test_texts_have_log_normal_lengths(tmp_path: Path) -> None:
    write_log_normal_texts(tmp_path, ["file", "player"], 84, 512)
    lengths = [
        len(line.split()) + QUERY_WORDS + SPECIAL_TOKENS
        for line in (tmp_path / "documents.txt").read_text().splitlines()
    ]
    assert statistics.median(lengths) == pytest.approx(84, rel=0.03)
    logarithms = [math.log(length) for length in lengths]
    assert statistics.stdev(logarithms) == pytest.approx(0.4, rel=0.05)


def test_texts_are_not_longer_than_what_a_family_takes(tmp_path: Path) -> None:
    (tmp_path / STUDENT).mkdir()
    (tmp_path / STUDENT / "variant.json").write_text('{"task": {"max_len": 40}}')
    (tmp_path / STUDENT / "vocab.txt").write_text("[PAD]\nfile\n")
    texts_of(tmp_path, tmp_path)
    lengths = [len(line.split()) for line in (tmp_path / "documents.txt").read_text().splitlines()]
    assert max(lengths) + QUERY_WORDS + SPECIAL_TOKENS == longest_of(tmp_path) == 40


def test_a_written_profile_has_the_longest_input(tmp_path: Path) -> None:
    terms = [{"id": CAPACITY_CUT, "quality": 0.8, **dict.fromkeys(TERMS, 1.0)}]
    profile = json.loads(write_profile(terms, 42.0, 128, tmp_path).read_text())
    assert profile["limits"] == {"max_sequence_tokens": 128}
    assert profile["server"]["batch_overhead_us"] == 42


SCRAPE = Metrics(
    (
        "# HELP tailor_tokens_total x",
        'tailor_tokens_total{variant="small"} 100',
        'tailor_tokens_total{variant="smaller"} 7',
        "tailor_engine_busy_seconds_total 2.5",
    )
)


def test_metrics_are_summed_by_whole_names_and_labels() -> None:
    assert SCRAPE.total("tailor_tokens_total") == 107
    assert SCRAPE.total("tailor_tokens_total", 'variant="small"') == 100
    assert SCRAPE.total("tailor_engine_busy_seconds_total") == 2.5
    assert SCRAPE.total("tailor_tokens") == 0


def test_prediction_error_is_relative_and_leaves_out_short_batches() -> None:
    found = prediction_error([(10, 11), (10, 9), (10, 10), (10, 15), (0.1, 1)])
    assert found.batches == 4
    assert found.median == pytest.approx(0.1)
    assert found.p95 == pytest.approx(0.5)
    assert prediction_error([]).batches == 0


def test_a_decision_is_counted_once_and_only_when_it_has_run() -> None:
    def page(uptime: float, ages: list[float]) -> dict[str, object]:
        rows = [{"age_s": age, "predicted_ms": 5, "actual_ms": 6} for age in ages]
        running = {"age_s": 0, "predicted_ms": 5, "actual_ms": 0}
        return {"uptime_s": uptime, "decisions": [*rows, running]}

    found = decisions_of(page(100, [1, 2])) | decisions_of(page(100.5, [1.5, 0.25]))
    assert found == {99.0: (5, 6), 98.0: (5, 6), 100.25: (5, 6)}


def grown(tokens: float, busy: float, batches: float, modeled: float, observed: float) -> Metrics:
    label = '{variant="small"}'
    return Metrics(
        (
            f"tailor_tokens_total{label} {tokens}",
            f"tailor_engine_busy_seconds_total {busy}",
            f"tailor_batch_size_count{label} {batches}",
            f"tailor_cost_modeled_seconds_total{label} {modeled}",
            f"tailor_cost_observed_seconds_total{label} {observed}",
        )
    )


def test_a_cut_under_load_by_hand() -> None:
    # 1,000 tokens/s in batches of 100 that take 90 ms each: 10 ms between two of them.
    load = {"tokens_per_s": 1000, "throughput_documents_per_s": 320}
    found = cut_under_load(
        "small",
        grown(0, 1, 0, 5, 5),
        grown(2000, 2.8, 20, 6.5, 6.8),
        load,
        [(10, 11), (10, 0)],
    )
    assert found.requests_per_s == 10
    assert found.gap_us == pytest.approx(10_000)
    assert found.ratio == pytest.approx(1.2)
    assert found.errors == pytest.approx((math.log(1.1),))
    with pytest.raises(BenchError, match="expected batches under load"):
        cut_under_load("other", grown(0, 0, 0, 0, 0), grown(1, 1, 1, 1, 1), load, [])


def test_noise_matches_the_quantile_of_the_safety_factor() -> None:
    normal = statistics.NormalDist(0.05, 0.1)
    errors = [normal.inv_cdf((i + 0.5) / 1000) for i in range(1000)]
    assert tail_deviation(errors) == pytest.approx(0.1, rel=0.02)
    # A heavy upper tail counts, a single hiccup does not.
    assert tail_deviation([*errors[:-1], 1000.0]) == pytest.approx(0.1, rel=0.02)
    assert tail_deviation([*errors[:-50], *[0.5] * 50]) > 0.2
    assert tail_deviation([]) == 0


def test_a_profile_between_two_measurements() -> None:
    first, last = ([{"id": "a", "quality": 0.8, **dict.fromkeys(TERMS, value)}] for value in (1, 3))
    assert mean_terms(first, last) == [{"id": "a", "quality": 0.8, **dict.fromkeys(TERMS, 2)}]


def test_the_copy_of_a_family_has_no_calibration(tmp_path: Path) -> None:
    family = tmp_path / "family"
    (family / "small").mkdir(parents=True)
    (family / "small" / "variant.json").write_text("{}")
    (family / "calibration.json").write_text("{}")
    copy = without_cascades(family, tmp_path / "elsewhere")
    assert sorted(path.name for path in copy.rglob("*")) == ["small", "variant.json"]


def cell(policy: str, real: float, simulated: float) -> Cell:
    return Cell("t", policy, Figures(9, 0.9, 0.8, real), Figures(9, 0.85, 0.8, simulated), [], [])


def test_winners_and_differences() -> None:
    cells = [cell("a", 0.7, 0.5), cell("b", 0.6, 0.6)]
    assert winner(cells, is_real=True) == "a"
    assert winner(cells, is_real=False) == "b"
    assert cells[0].points == pytest.approx(5)
    halves = [Figures(9, 0.9, 0.8, 0.7), Figures(9, 0.7, 0.6, 0.5)]
    mean = real_against_simulated.mean_of(halves)
    assert (mean.attainment, mean.mean_quality) == pytest.approx((0.8, 0.7))


def steady(start: float, end: float, quality: float) -> list[Call]:
    count = round((end - start) * 10)
    return [Call(start + i / 10, "met", "v", quality) for i in range(count)]


def test_the_course_of_a_fault() -> None:
    calls = steady(0, 30.4, 0.9) + steady(30.4, 40, 0.7) + steady(40, 43, 0.7) + steady(43, 60, 0.9)
    calls[350] = Call(calls[350].at_s, "refused")
    course = course_of(calls, Spell(30, 40), settle_s=5)
    assert course.attainment == pytest.approx((1, 49 / 50, 1))
    assert course.quality == pytest.approx((0.9, 0.7, 0.9))
    # Half of the last answers must be of the new quality.
    assert course.moved_s == pytest.approx(0.4 + (ANSWERS / 2 - 1) / 10, abs=0.11)
    assert course.returned_s == pytest.approx(3 + (ANSWERS / 2 - 1) / 10, abs=0.11)
    assert crossing(calls, 50, 0.1, falling=True) is None


def test_spells_lie_where_the_simulator_has_them() -> None:
    assert spell_of(60) == Spell(30, 40)
    assert spell_of(20) == Spell(10, 14)


def test_cpu_of_a_process_whose_name_has_brackets() -> None:
    stat = "7 (a) b) S " + " ".join(str(i) for i in range(4, 20))
    assert overhead.cpu_us_of(stat) == 1e6 * (14 + 15) / os.sysconf("SC_CLK_TCK")


def test_medians_of_a_benchmark_in_microseconds() -> None:
    rows = [
        {"run_name": "BM_A", "cpu_time": 5.0, "time_unit": "ns"},
        {"run_name": "BM_A", "aggregate_name": "median", "cpu_time": 400.0, "time_unit": "ns"},
        {"run_name": "BM_B", "aggregate_name": "median", "cpu_time": 2.0, "time_unit": "ms"},
        {"run_name": "BM_B", "aggregate_name": "stddev", "cpu_time": 1.0, "time_unit": "ms"},
    ]
    assert metrics_cost.medians_us({"benchmarks": rows}) == {
        "BM_A": pytest.approx(0.4),
        "BM_B": pytest.approx(2000),
    }


def test_a_reader_without_a_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(http: str) -> dict[str, object]:
        raise ConnectionRefusedError(http)

    monkeypatch.setattr(scrapes, "status", gone)
    with scrapes.DecisionReader("127.0.0.1:1", every_s=0) as reader:
        pass
    assert reader.pairs() == []
