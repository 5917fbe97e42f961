# SPDX-License-Identifier: Apache-2.0
"""Agreement, rungs, claims, the plot and the page."""

import json
import shutil
import stat
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from conftest import Project, new_project, plain_table
from scipy.stats import kendalltau

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.claims import Claim, Measured, judged
from tailor_compress.evaluation.kendall import kendall_tau
from tailor_compress.evaluation.plot import Point, plot
from tailor_compress.evaluation.rungs import rungs
from tailor_compress.evaluation.systems import family_variants


def test_kendall_tau_is_scipy_s() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 6, (2, 20, 8)).astype(float)
    expected = np.mean([kendalltau(a, b).statistic for a, b in zip(first, second, strict=True)])
    assert kendall_tau(first, second) == pytest.approx(expected)


def test_a_rung_costs_more_and_is_better() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.05, 400)
    quality = {"low": noise, "same": noise, "high": noise + 0.2, "worse": noise + 0.1}
    found = rungs({"low": 1, "same": 2, "high": 3, "worse": 4}, quality)
    assert [one.id for one in found] == ["low", "high"]
    assert found[0].step is None
    assert found[1].step is not None
    assert found[1].step.difference == pytest.approx(0.2)


MEASURED = Measured(
    {"whole": np.full(9, 0.8), "cut": np.full(9, 0.76), "other": np.full(9, 0.7)},
    {"whole": 8.0, "cut": 2.0, "other": 4.0},
)


@pytest.mark.parametrize(
    ("claim", "text", "verdict"),
    [
        (Claim("", "", "faster", ("cut", "whole"), 4.0, 0.95), "4.00 times", "confirmed"),
        (Claim("", "", "faster", ("cut", "whole"), 4.1, 0.95), "95.0 %", "not confirmed"),
        (Claim("", "", "faster", ("cut", "whole"), 4.0, 0.96), "95.0 %", "not confirmed"),
        (Claim("", "", "better", ("cut", "other")), "+0.0600", "confirmed"),
        (Claim("", "", "better", ("other", "cut")), "-0.0600", "not confirmed"),
        (Claim("", "", "equal", ("cut", "whole"), quality=0.05), "-0.0400", "confirmed"),
        (Claim("", "", "equal", ("cut", "whole"), quality=0.03), "-0.0400", "not confirmed"),
        (Claim("", "", "return", ("whole", "cut", "other", "cut")), "4.00", "confirmed"),
        (Claim("", "", "faster", ("gone", "whole")), "no figures of `gone`", "not measured"),
    ],
)
def test_claims_are_judged(claim: Claim, text: str, verdict: str) -> None:
    found, judgement = judged(claim, MEASURED)
    assert text in found
    assert judgement == verdict


def test_a_claim_without_its_variants_is_refused() -> None:
    with pytest.raises(TailorError, match="expected 4 variants of a claim `return`; got 2"):
        Claim("", "", "return", ("a", "b"))


def test_the_plot_has_a_mark_a_variant() -> None:
    points = [
        Point("a<b", 0.5, 0.6, 0.58, 0.62, True, True),
        Point("c", 5.0, 0.8, 0.79, 0.81, True, False),
        Point("d", 7.0, 0.7, 0.69, 0.71, False, True),
    ]
    svg = plot(points, [("BM25", 0.55)], "ms", "quality")
    assert svg == plot(points, [("BM25", 0.55)], "ms", "quality")
    root = Xml.fromstring(svg)  # noqa: S314
    assert [element.get("id") for element in root.iter()].count("ladder") == 1
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    for text in ("a<b", "c", "d", "BM25", "ms", "quality", "0.5", "5"):
        assert texts.count(text) == 1


SERVER = """#!/usr/bin/env python3
import http.server, json, pathlib, sys
flags = dict(zip(sys.argv[2::2], sys.argv[3::2]))
family = pathlib.Path(flags["--family"])
names = sorted(path.parent.name for path in family.glob("*/variant.json"))
rows = [{"id": name, "state": "ready", "format": "f32", "ms_1x128": n + 1.0, "ms_32x64": n + 2.0}
        for n, name in enumerate(names)]
rows[-1] = {"id": names[-1], "state": "refused", "problem": "expected x, got y"}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"isa": "amx", "threads": 2, "variants": rows}).encode())
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(flags["--port-file"]).write_text(json.dumps({"http": server.server_port}))
server.serve_forever()
"""


def test_the_page_has_costs_ladder_and_what_is_refused(finished: Project, tmp_path: Path) -> None:
    project = new_project(tmp_path / "copy")
    for name in ("work", "family"):
        shutil.copytree(finished.root / name, project.root / name, dirs_exist_ok=True)
    server = tmp_path / "tailor"
    server.write_text(SERVER)
    server.chmod(server.stat().st_mode | stat.S_IEXEC)
    page = tmp_path / "docs" / "ladder.md"
    result = project.run("report", "--tailor", str(server), "--page", str(page))
    assert result.exit_code == 0, result.output
    text = plain_table(page.read_text())
    assert "instruction set amx" in text
    assert "- `teacher-bf16`: expected x, got y" in text
    assert "| `student` | rung |" in text
    assert "![quality against latency](ladder.svg)" in text
    assert "<svg" in page.with_suffix(".svg").read_text()
    report = json.loads(project.space.report.read_text())
    assert report["systems"]["teacher"]["kendall_tau"] == 1
    assert report["costs"]["variants"]["student"]["tokens_per_s"] == round(32 * 64 / 2e-3)


def test_a_program_that_is_not_there(finished: Project, tmp_path: Path) -> None:
    missing = ("--tailor", str(tmp_path / "x"), "--page", str(tmp_path / "p"))
    shown = finished.run("report", *missing)
    assert shown.exit_code == 1
    assert "build it: `make build-tailor`" in shown.output


def test_a_variant_in_two_folders_is_refused(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.space.family / "student", tmp_path / "student")
    with pytest.raises(TailorError, match="one folder of the variant student; got"):
        family_variants(finished.space.family, tmp_path)
