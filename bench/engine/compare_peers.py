# SPDX-License-Identifier: Apache-2.0
"""Engine speed beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch, in every precision.

Same machine, same run, same weights and token ids, same cores. Each candidate is a process of its
own, started on the same cores with as many threads; one runs, the others wait. Scores are compared
first: a peer that differs by more than rounding explains is left out and named, an engine that
does ends its model. Then the candidates take turns, and medians over all turns count. Tokens a
second are of useful tokens: most peers pad ragged batches to the longest sequence. At the end
comes the headline (headline.py). --without-amx makes a host with AMX one without, for everybody
alike (amx.py).

The packages of requirements.txt are installed into .venv-bench on the first run, models and their
exported forms are kept below it. Results: build/bench/engine.md, .json and .svg.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from amx import has_amx, refuse_amx
from environment import ROOT, enter_venv, heading, pin
from shapes import CASES, DEFAULT_CASES, DEFAULT_SHAPES, HEADLINE_TARGETS, SHAPES, target, tolerance

if TYPE_CHECKING:
    from batch import Batch, Candidate
    from headline import Headline
    from report import Row
    from shapes import Shape


def everybody(engines: dict[str, Candidate], peers: dict[str, list[Candidate]]) -> list[Candidate]:
    """Each once, though a peer may stand in the lists of several precisions."""
    return list(dict.fromkeys([*engines.values(), *(p for group in peers.values() for p in group)]))


def measure_batch(
    shape: Shape,
    batch: Batch,
    engines: dict[str, Candidate],
    peers: dict[str, list[Candidate]],
    args: argparse.Namespace,
    problems: list[str],
) -> list[Row]:
    """Rows of one batch, printed as they are known."""
    from report import Row, cells
    from turns import alike, difference, interleave

    expected = peers["f32"][0].score(batch)
    print(f"  {batch.spec:8} scores span {expected.max() - expected.min():.2f}", flush=True)
    here = {}
    for precision, engine in engines.items():
        limit = tolerance(precision, shape.depth)
        largest = difference(engine, expected, batch, limit)
        print(
            f"  {batch.spec:8} {engine.name:26} differs by {largest:.1e}, limit {limit:.1e}",
            flush=True,
        )
        here[precision] = alike(peers[precision], expected, batch, limit, problems)
    seconds = interleave(everybody(engines, here), batch, args.rounds, args.turn)
    rows = []
    for precision, engine in engines.items():
        if not here[precision]:
            continue
        theirs = {peer.name: seconds[peer.name] for peer in here[precision]}
        wanted = target(precision, batch.spec, has_amx())
        rows.append(
            Row(
                shape.name,
                batch.spec,
                precision,
                batch.tokens,
                seconds[engine.name],
                theirs,
                wanted,
            )
        )
        print("  | " + " | ".join(cells(rows[-1])) + " |", flush=True)
    return rows


def measure(shape: Shape, args: argparse.Namespace, rows: list[Row], problems: list[str]) -> None:
    """Appends the rows of all batches of one shape, and what was left out and why.

    Raises CandidateError when the engine's own scores are wrong, or somebody ends in mid-run.
    """
    from candidates import start_engines, start_peers
    from exports import export, export_int8

    folder = export(shape)
    engines = start_engines(shape, folder, args.binary, args.threads)
    export_int8(shape, engines["f32"].describe("16x128"))
    peers = start_peers(folder, args.threads, args.peers.split(","), problems)
    isa = engines["f32"].plan["isa"]
    print(f"{shape.name}: engine {isa}, {args.threads} threads", flush=True)
    try:
        for spec in args.batch.split(","):
            batch = engines["f32"].describe(spec)
            rows += measure_batch(shape, batch, dict(engines), peers, args, problems)
    finally:
        for candidate in everybody(dict(engines), peers):
            candidate.close()


def publish(
    rows: list[Row], headline: Headline | None, problems: list[str], args: argparse.Namespace
) -> str:
    """Writes the report, its numbers and its plot; returns the report."""
    from plot import plot
    from report import every_peer, ratios

    head = heading(args.threads, args.rounds, args.load_before)
    lines = [*head, ""]
    if rows:
        lines += [*ratios(rows), "", "Useful tokens/s of everybody:", "", *every_peer(rows)]
    lines += [headline.text(), ""] if headline else []
    lines += [f"Left out: {problem}" for problem in problems]
    text = "\n".join(lines) + "\n"
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.with_suffix(".md").write_text(text, encoding="utf-8")
    result = {
        "head": head,
        "rows": [asdict(row) | {"best": row.best, "ratio": asdict(row.ratio)} for row in rows],
        "headline": asdict(headline) if headline else None,
        "left_out": problems,
    }
    args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if rows:
        args.output.with_suffix(".svg").write_text(plot(rows, head[0]), encoding="utf-8")
    return text


def options() -> argparse.Namespace:
    names = [shape.name for shape in SHAPES]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument(
        "--binary", type=Path, default=ROOT / "build/release/bench/engine/engine_bench"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", default=",".join(DEFAULT_CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument(
        "--models", default=",".join(DEFAULT_SHAPES), help=f"of {', '.join(names)}; or none"
    )
    parser.add_argument(
        "--peers", default="onnx,openvino,ctranslate2,pytorch", help="parts of their names"
    )
    parser.add_argument("--full", action="store_true", help="every model and batch: hours")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn", type=float, default=0.3, help="seconds of one turn")
    parser.add_argument("--no-headline", action="store_true")
    parser.add_argument("--without-amx", action="store_true", help="nobody gets AMX tiles")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/engine.json")
    args = parser.parse_args()
    if args.full:
        args.models, args.batch = ",".join(names), ",".join(CASES)
    args.models = [name for name in args.models.split(",") if name != "none"]
    if unknown := set(args.models) - set(names):
        parser.error(f"--models: expected some of {', '.join(names)}, got {', '.join(unknown)}")
    return args


def main() -> None:
    args = options()
    args.load_before = os.getloadavg()[0]
    enter_venv()
    if args.without_amx:
        refuse_amx()
    pin(args.threads)

    from batch import CandidateError
    from headline import measure_headline

    rows: list[Row] = []
    problems: list[str] = []
    failures: list[str] = []
    headline = None
    for shape in SHAPES:
        if shape.name not in args.models:
            continue
        found: list[str] = []
        try:
            measure(shape, args, rows, found)
        except CandidateError as error:
            failures.append(f"{shape.name}, from there on: {error}")
        problems += [f"{shape.name}: {problem}" for problem in found]
        publish(rows, headline, [*problems, *failures], args)  # an hour's work is kept
    if not args.no_headline:
        wanted = HEADLINE_TARGETS[has_amx()]
        try:
            headline = measure_headline(args.binary, args.threads, args.rounds, args.turn, wanted)
        except CandidateError as error:
            failures.append(f"headline: {error}")
    print("\n" + publish(rows, headline, [*problems, *failures], args))
    sys.exit("\n".join(failures) or None)


if __name__ == "__main__":
    main()
