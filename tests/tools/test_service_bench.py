# SPDX-License-Identifier: Apache-2.0
"""The service's benchmarks: what they run and what they print, without running a server."""

from __future__ import annotations

import json
from pathlib import Path

import measurement
import pytest
import saturation
import texts
from measurement import BenchError
from saturation import Series, Variant


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A family of one variant, its bf16 twin, what the engine's benchmark lacks, a stray folder."""
    for name, manifest in {
        "small": {"id": "small"},
        "small-bf16": {"derive": {"parent": "small", "format": "bf16"}},
        "half": {"derive": {"parent": "small", "sub_network": {"width": 0.5, "depth": 1.0}}},
        "pruned": {"derive": {"parent": "small", "masks": "m.safetensors", "format": "bf16"}},
        "linear": {"id": "linear"},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "variant.json").write_text(json.dumps(manifest))
    (tmp_path / "small" / "config.json").write_text("{}")
    (tmp_path / "stray").mkdir()
    return tmp_path


def test_a_derived_variant_uses_the_weights_of_its_parent(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation, "has_amx", lambda: True)
    assert saturation.variants_of(family, []) == [
        Variant("small", family / "small", "f32"),
        Variant("small-bf16", family / "small", "bf16"),
    ]
    assert [v.id for v in saturation.variants_of(family, ["small-bf16"])] == ["small-bf16"]
    monkeypatch.setattr(saturation, "has_amx", lambda: False)
    assert [v.id for v in saturation.variants_of(family, [])] == ["small"]
    with pytest.raises(BenchError, match="expected variants small, got"):
        saturation.variants_of(family, ["smal"])


def test_texts_give_pairs_of_the_asked_length(tmp_path: Path) -> None:
    # One word is one token only if it is a whole entry of the vocabulary.
    (tmp_path / "vocab.txt").write_text("[PAD]\n##s\nfile\nMusic\n1\nplayer\nü\n", "utf-8")
    words = texts.whole_words(tmp_path / "vocab.txt")
    assert words == ["file", "player"]
    options = saturation.write_texts(tmp_path, words, 96)
    query = Path(options[1]).read_text().splitlines()[0].split()
    document = Path(options[3]).read_text().splitlines()[0].split()
    assert len(query) + len(document) + texts.SPECIAL_TOKENS == 96


def test_ratios_pair_the_figures_of_one_repeat() -> None:
    series = Series(engine=[100.0, 200.0], service={4: [90.0, 100.0]})
    assert series.ratios(4) == [0.9, 0.5]


def stand_in(folder: Path, text: str) -> Path:
    """A `tailor` that runs a shell script."""
    program = folder / "tailor"
    program.write_text("#!/bin/sh\n" + text)
    program.chmod(0o755)
    return program


def test_a_failed_load_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "TAILOR", stand_in(tmp_path, "echo gone >&2; exit 69\n"))
    with pytest.raises(BenchError, match=r"exit code 69: gone"):
        measurement.run_load("127.0.0.1:1", [])


def test_reads_what_load_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {
        "answered": 7,
        "tokens_per_s": 9600.0,
        "throughput_documents_per_s": 100.0,
        "latency_ms": {"p50": {"value": 4.5}},
    }
    program = stand_in(tmp_path, f"echo '{json.dumps(answer)}'; exit 75\n")
    monkeypatch.setattr(measurement, "TAILOR", program)
    assert measurement.run_load("127.0.0.1:1", []).p50_ms == 4.5


def test_headings_name_machine_date_and_command() -> None:
    lines = measurement.heading("Title")
    assert lines[0] == "### Title"
    assert "cores" in lines[2]
    assert "UTC" in lines[2]
