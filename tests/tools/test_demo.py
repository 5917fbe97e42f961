# SPDX-License-Identifier: Apache-2.0
"""The demonstration against a stand-in for the `tailor` program: tables, refusals, failures."""

from __future__ import annotations

import sys
from pathlib import Path

import demo
import pytest
from demo import DemoError, Row
from fetch_documents import Document
from server_process import ServerError, ServerProcess

STAND_IN = """\
#!{python}
import json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

def option(name):
    return sys.argv[sys.argv.index(name) + 1]

class Health(BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Health.asked += 1
        self.send_response(200 if Health.asked > 2 else 503)  # starting, then ready
        self.end_headers()
    def log_message(self, *arguments):
        pass

behaviour = os.environ.get("STAND_IN", "")
if sys.argv[1] == "rank":
    budget = float(option("--budget").removesuffix("ms"))
    if behaviour == "broken":
        print("tailor rank: it broke", file=sys.stderr)
        sys.exit(70)
    if behaviour == "late-once" and not os.path.exists(sys.argv[0] + str(budget)):
        open(sys.argv[0] + str(budget), "w").close()
        print(json.dumps({{"error": {{"reason": "DEADLINE", "message": "m"}}}}))
        sys.exit(1)
    if budget < 5 or behaviour == "infeasible":
        print(json.dumps({{"error": {{"reason": "BUDGET_INFEASIBLE", "message": "m",
                                     "smallest_feasible_budget_ms": 3.25}}}}))
        sys.exit(1)
    lines = open(option("--documents"), encoding="utf-8").read().splitlines()
    results = [{{"rank": 1, "index": len(lines) - 1, "score": 0.75, "document": lines[-1]}}]
    print(json.dumps({{"results": results, "execution":
        {{"variant": "small", "predicted_ms": 1.5, "total_ms": 1.25}}}}))
    sys.exit(0)
if behaviour == "no-start":
    print("family: expected a folder")
    sys.exit(78)
server = HTTPServer(("127.0.0.1", 0), Health)
with open(option("--port-file"), "w") as file:
    json.dump({{"grpc": 1, "http": server.server_port}}, file)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
sys.exit(3 if behaviour == "bad-end" else 0)
"""


@pytest.fixture
def tailor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in, and a state folder of its own."""
    program = tmp_path / "tailor"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(demo, "STATE", tmp_path)
    return program


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Two documents."""
    file = tmp_path / "documents.txt"
    file.write_text("first document\nsecond document\n")
    return file


def run_demo(monkeypatch: pytest.MonkeyPatch, tailor: Path, documents: Path) -> int:
    """Runs the script as make does."""
    arguments = ["--tailor", tailor, "--family", tailor.parent, "--documents", documents]
    monkeypatch.setattr(sys, "argv", ["demo.py", *map(str, arguments)])
    return demo.main()


def test_prints_a_table_per_query(
    tailor: Path,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_demo(monkeypatch, tailor, documents) == 0
    output = capsys.readouterr().out
    assert output.count('query "') == 3
    assert "     2 ms  refused: smallest feasible budget 3.2 ms" in output
    assert "  1000 ms  small       1.50 ms     1.25 ms   0.7500  line 2: second document" in output
    assert "first answer " in output
    assert max(map(len, output.splitlines())) <= 120


def test_a_missed_budget_is_tried_again(
    tailor: Path,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STAND_IN", "late-once")
    assert run_demo(monkeypatch, tailor, documents) == 0
    assert "missed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        ("broken", "demo: tailor rank ended with exit code 70: tailor rank: it broke"),
        ("infeasible", "demo: no answer even within 1000 ms: refused: smallest feasible budget"),
        ("no-start", "exit code 78 before it was ready: family: expected a folder"),
        ("bad-end", "demo: the server ended with exit code 3"),
    ],
)
def test_every_failure_is_one_line_and_exit_code_1(
    tailor: Path,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    behaviour: str,
    problem: str,
) -> None:
    monkeypatch.setenv("STAND_IN", behaviour)
    assert run_demo(monkeypatch, tailor, documents) == 1
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1


def test_an_error_that_is_no_refusal_fails() -> None:
    with pytest.raises(DemoError, match="ENGINE: fault"):
        demo.row_from(10, {"error": {"reason": "ENGINE", "message": "fault"}})
    with pytest.raises(DemoError, match="expected results"):
        demo.row_from(10, {})


def test_a_budget_that_the_machine_cannot_keep_is_a_row() -> None:
    for reason in ("DEADLINE", "DEADLINE_EXCEEDED"):
        row = demo.row_from(10, {"error": {"reason": reason, "message": "m"}})
        assert row.refusal == "missed: no answer in time"


def test_long_lines_are_cut() -> None:
    row = Row(10, variant="v", hits=[demo.Hit(0.5, 0)])
    lines = demo.table_lines([row], [Document("name", "word " * 100)])
    assert len(lines[1]) == demo.COLUMNS
    assert lines[1].endswith("...")


def test_the_server_is_ended_when_its_user_fails(tailor: Path, tmp_path: Path) -> None:
    server = ServerProcess(tailor, tmp_path, log=tmp_path / "log")
    with pytest.raises(KeyError), server:
        raise KeyError("x")
    assert server.process.returncode is not None


def test_missing_parts_are_named(tailor: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="expected the program"):
        ServerProcess(tmp_path / "none", tmp_path, log=tmp_path / "log")
    with pytest.raises(ServerError, match="expected the family folder"):
        ServerProcess(tailor, tmp_path / "none", log=tmp_path / "log")
