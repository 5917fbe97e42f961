# SPDX-License-Identifier: Apache-2.0
"""The gates themselves: a forbidden include, a cycle and a stale document must be found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load_tool(name: str) -> ModuleType:
    """Imports tools/<name>.py, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """check_layers looking at an empty project."""
    module = load_tool("check_layers")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def write(root: Path, name: str, text: str) -> Path:
    """Creates a file with its folders."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_upward_include_is_refused(layers: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, "server/pipeline/ranker.h", "")
    path = write(tmp_path, "engine/cpu/cpu_backend.cc", '#include "server/pipeline/ranker.h"\n')
    problems = layers.check_file(path, {})
    assert problems == [
        "engine/cpu/cpu_backend.cc:1: engine/cpu may not include server/pipeline"
        " (server/pipeline/ranker.h)"
    ]


def test_downward_include_is_allowed_and_recorded(layers: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, "base/clock.h", "")
    path = write(tmp_path, "engine/cpu/cpu_backend.cc", '#include "base/clock.h"\n')
    edges: dict[str, set[str]] = {}
    assert layers.check_file(path, edges) == []
    assert edges == {"engine/cpu": {"base"}}


def test_grpc_outside_the_edge_is_refused(layers: ModuleType, tmp_path: Path) -> None:
    path = write(tmp_path, "server/pipeline/ranker.cc", "#include <grpcpp/grpcpp.h>\n")
    assert "may include <grpc" in layers.check_file(path, {})[0]


@pytest.mark.parametrize("header", ["cuda_runtime_api.h", "cuda_fp16.h", "cublasLt.h"])
def test_cuda_outside_its_folder_is_refused(
    layers: ModuleType, tmp_path: Path, header: str
) -> None:
    text = f"#include <{header}>\n"
    refused = write(tmp_path, "engine/cpu/gemm.cc", text)
    assert "only engine/cuda" in layers.check_file(refused, {})[0]
    allowed = write(tmp_path, "engine/cuda/stream.cc", text)
    assert layers.check_file(allowed, {}) == []


def test_kernels_of_cuda_see_no_cublas(layers: ModuleType, tmp_path: Path) -> None:
    path = write(tmp_path, "engine/cuda/kernels/launch.cu", "#include <cublasLt.h>\n")
    assert layers.check_file(path, {}) == [
        "engine/cuda/kernels/launch.cu:1: only engine/cuda may include <cublas...>"
    ]


def test_long_file_is_refused(layers: ModuleType, tmp_path: Path) -> None:
    path = write(tmp_path, "base/long.cc", "\n" * 501)
    assert layers.check_file(path, {}) == ["base/long.cc: expected at most 500 lines, got 501"]


def test_cycle_is_found(layers: ModuleType) -> None:
    assert layers.find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert layers.find_cycle({"a": {"b", "c"}, "b": {"c"}}) is None


def test_eight_file_table_names_missing_file_and_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = load_tool("check_docs")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    write(tmp_path, "server/a.cc", "class Present {};")
    problems = docs.check_eight_files(
        "| 1 | `server/a.cc` | does | `Present` `Gone` |\n| 2 | `server/b.cc` | does | |\n"
    )
    assert any("expected the eight-file table" in p for p in problems)
    assert any("Gone is not in server/a.cc" in p for p in problems)
    assert any("server/b.cc does not exist" in p for p in problems)


def test_stale_paths_links_and_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = load_tool("check_docs")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    text = "see `engine/none.cc`, [x](gone.md) and `make nothing`"
    document = write(tmp_path, "README.md", text)
    assert len(docs.check_paths(document, text, {"test"})) == 3


def test_skip_reason_is_read_from_googletest_output() -> None:
    runner = load_tool("run_tests")
    assert (
        runner.skip_reason("a_test.cc:3: Skipped\nno AMX on this host\n\n[  SKIPPED ] A.B\n")
        == "no AMX on this host"
    )
    assert runner.skip_reason("") == "no reason given"


def test_skips_of_ctest_have_the_reason_of_the_test(tmp_path: Path) -> None:
    runner = load_tool("run_tests")
    junit = tmp_path / "ctest.xml"
    junit.write_text(
        '<testsuite><testcase name="a"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
        "<system-out>a_test.cc:3: Skipped\nbf16 needs amx\n[  SKIPPED ] a</system-out>"
        '</testcase><testcase name="b"/></testsuite>'
    )
    counts = runner.read_junit(junit)
    assert counts.passed == 1
    assert dict(counts.skips) == {"bf16 needs amx": 1}


def test_label_limits_ctest() -> None:
    runner = load_tool("run_tests")
    assert "-L" not in runner.ctest_command("build/cuda", Path("x.xml"), None)
    assert runner.ctest_command("build/cuda", Path("x.xml"), "gpu")[-2:] == ["-L", "^gpu$"]


def test_each_program_with_gpu_tests_is_sanitised_once() -> None:
    runner = load_tool("run_gpu_tests")
    listing = {
        "tests": [
            {"name": "a", "command": ["build/b_test", "--gtest_filter=a"]},
            {"name": "b", "command": ["build/b_test", "--gtest_filter=b"]},
            {"name": "c", "command": ["build/a_test", "--gtest_filter=c"]},
            {"name": "not built"},
        ]
    }
    assert runner.binaries(listing) == ["build/a_test", "build/b_test"]
