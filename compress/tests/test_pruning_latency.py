# SPDX-License-Identifier: Apache-2.0
"""Latency tables: their file, and how one is measured."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_context import tiny_model

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerShape
from tailor_compress.pruning.latency import LatencyTable, read_table, write_table
from tailor_compress.pruning.measure_latency import Bench, main, measure_table, separate

_TABLE = LatencyTable("here", "16x128", 2, [0.0, 1.0, 1.5], [(0, 0.1), (8, 0.5), (16, 2.5)], 3.0)
_FULL = LayerShape(3, 4, 32)

# A stand-in for the engine's benchmark: its times follow from the layer table that it is given.
_FAKE = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--model") + 1])
assert (folder / "vocab.txt").is_file() and (folder / "model.safetensors").is_file()
layers = json.loads((folder / "variant.json").read_text())["layers"]
print(json.dumps({"isa": "fake"}))
total = 2 + sum(0.5 + 3 * row["heads"] + 0.25 * row["ffn_dim"] for row in layers)
batch = sys.argv[sys.argv.index("--batch") + 1]
print(json.dumps({"batch": batch, "median_ms": 2 * total, "best_ms": total}))
"""


def test_a_table_comes_back_and_is_a_straight_line_between_its_points(tmp_path: Path) -> None:
    write_table(_TABLE, tmp_path / "table.json")
    table = read_table(tmp_path / "table.json")
    assert table == _TABLE
    assert [table.ffn(n) for n in (0, 4, 8, 12, 16)] == pytest.approx([0.1, 0.3, 0.5, 1.5, 2.5])
    shapes = [LayerShape(2, 4, 8), LayerShape(0, 4, 0)]
    assert table.model(shapes) == pytest.approx(3 + 1.5 + 0.5 + 0 + 0.1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attention_ms", [1.0]),
        ("attention_ms", [0.0, -1.0]),
        ("attention_ms", None),
        ("ffn_ms", [[8, 1.0], [16, 2.0]]),
        ("ffn_ms", [[0, 1.0], [16, 2.0], [8, 3.0]]),
        ("ffn_ms", [[0, float("nan")]]),
        ("fixed_ms", "much"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "table.json"
    write_table(_TABLE, path)
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, key: value}))
    with pytest.raises(TailorError, match="latency table"):
        read_table(path)


def test_parts_are_separated() -> None:
    def measure(shapes: Sequence[LayerShape]) -> float:
        return 2 + sum(0.5 + 3 * one.heads + 0.25 * one.ffn_dim for one in shapes)

    attention, ffn, fixed = separate(_FULL, 4, [8, 16, 32], measure)
    assert fixed == pytest.approx(2)
    assert attention == pytest.approx([0, 3, 6, 9])
    # What a layer costs without units is counted to its feed-forward.
    assert [n for n, _ in ffn] == [0, 8, 16, 32]
    assert [ms for _, ms in ffn] == pytest.approx([0.5, 2.5, 4.5, 8.5])


def test_a_cheaper_last_layer_takes_nothing_from_the_others() -> None:
    def measure(shapes: Sequence[LayerShape]) -> float:
        costs = [3 * one.heads + 0.25 * one.ffn_dim for one in shapes]
        return sum(costs[:-1]) + 0.2 * costs[-1]

    attention, ffn, fixed = separate(_FULL, 4, [8, 16, 32], measure)
    assert fixed == 0
    assert attention == pytest.approx([0, 3, 6, 9])
    assert [ms for _, ms in ffn] == pytest.approx([0, 2, 4, 8])


def test_times_of_a_busy_host_are_refused() -> None:
    def measure(shapes: Sequence[LayerShape]) -> float:
        busy = 20 if shapes[0].ffn_dim == 16 else 0
        return 2 + sum(0.5 + 3 * one.heads + 0.25 * one.ffn_dim + busy for one in shapes)

    with pytest.raises(TailorError, match="16 units of a layer to take no longer than 32"):
        separate(_FULL, 4, [8, 16, 32], measure)


def test_the_benchmark_is_run_on_models_of_each_width(tmp_path: Path) -> None:
    script = tmp_path / "engine_bench"
    script.write_text(f"#!{sys.executable}\n{_FAKE}")
    script.chmod(0o755)
    table = measure_table(Bench(script, "4x32", 1), _FULL, 16, 2, [16, 32])
    assert table.fixed_ms == pytest.approx(2)
    assert table.model([LayerShape(2, 4, 16)] * 2) == pytest.approx(2 + 2 * (0.5 + 6 + 4))
    assert (table.batch, table.threads) == ("4x32", 1)


def test_the_command_writes_the_table_of_a_parent(tmp_path: Path) -> None:
    script, out = tmp_path / "engine_bench", tmp_path / "table.json"
    script.write_text(f"#!{sys.executable}\n{_FAKE}")
    script.chmod(0o755)
    tiny_model().config.save_pretrained(tmp_path)
    arguments = [str(out), "--binary", str(script), "--parent", str(tmp_path), "--widths", "2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    table = read_table(out)
    assert table.attention_ms == pytest.approx([0, 3, 6, 9, 12])
    assert [n for n, _ in table.ffn_ms] == [0, 12, 24]
    script.write_text("#!/bin/sh\nexit 3\n")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert "exit code 3" in result.output


def test_a_benchmark_that_fails_is_reported(tmp_path: Path) -> None:
    script = tmp_path / "engine_bench"
    script.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such model')\n")
    script.chmod(0o755)
    with pytest.raises(TailorError, match="no such model"):
        measure_table(Bench(script, "4x32", 1), _FULL, 16, 2, [16, 32])
    with pytest.raises(TailorError, match="two layers"):
        measure_table(Bench(script, "4x32", 1), _FULL, 16, 1, [16, 32])
