# SPDX-License-Identifier: Apache-2.0
"""Engine speed beside ONNX Runtime (f32) and, on hosts with AMX, OpenVINO (bf16).

Same machine, same run, same weights, same thread count. Scores are compared first: nothing is timed
when they differ. Then the candidates take turns, a few runs each, and medians over all turns count.
Tokens a second are of useful tokens: the peers pad ragged batches to the longest sequence.

The packages are installed into .venv-bench on the first run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from make_models import Shape
    from peers import Batch, Engine, Peer

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-bench"
PACKAGES = ["numpy", "onnx", "onnxscript", "onnxruntime", "openvino", "torch", "transformers"]
MODELS = VENV / "models"

# Largest accepted difference of scores, which are of the order of 1 (make_models.py). f32: only the
# order of sums differs. bf16: each of some 75 products rounds its inputs to 8 bits (2^-8 relative),
# differently in each engine; both are compared with the f32 scores.
F32_TOLERANCE = 1e-3
BF16_TOLERANCE = 0.05


@dataclass(frozen=True)
class Row:
    model: str
    batch: str
    precision: str
    peer: str
    engine_tokens_per_second: float
    peer_tokens_per_second: float
    ratio: float
    target: float


def enter_venv() -> None:
    """Re-executes this script inside .venv-bench, made first when it is missing."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix) == VENV:
        return
    if not (VENV / "ready").exists():
        print(f"installing {', '.join(PACKAGES)} into {VENV}", flush=True)
        venv.create(VENV, with_pip=True)
        (VENV / ".gitignore").write_text("*\n")
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (VENV / "ready").touch()
    os.execv(python, [str(python), *sys.argv])


def has_amx() -> bool:
    return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def export(shape: Shape) -> Path:
    """Makes the model folder and its ONNX forms once; returns the folder."""
    import onnxruntime.transformers.optimizer as optimizer
    import torch
    from make_models import make_model

    folder = MODELS / shape.name
    if (folder / "ready").exists():
        return folder
    model = make_model(shape, folder)
    example = torch.ones((2, 8), dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "sequences", 1: "tokens"} for name in names}
    torch.onnx.export(
        model,
        (example, example, torch.zeros_like(example)),
        str(folder / "model.onnx"),
        input_names=names,
        output_names=["logits"],
        dynamic_axes=axes | {"logits": {0: "sequences"}},
        opset_version=17,
        dynamo=False,
    )
    # ONNX Runtime's own fusions for BERT, which its session options alone do not all apply.
    fused = optimizer.optimize_model(
        str(folder / "model.onnx"), "bert", num_heads=shape.heads, hidden_size=shape.hidden
    )
    fused.save_model_to_file(str(folder / "fused.onnx"))
    (folder / "ready").touch()
    return folder


def check_scores(peers: list[Peer], reference: Peer, batch: Batch, tolerance: float) -> None:
    expected = reference.score(batch)
    spread = float(expected.max() - expected.min())
    for peer in peers:
        scores = peer.score(batch)
        difference = float(abs(scores - expected).max())
        print(
            f"  {batch.spec:8} {peer.name:24} max abs diff {difference:.1e} "
            f"from {reference.name} (scores span {spread:.2f})",
            flush=True,
        )
        if difference > tolerance:
            sys.exit(f"{peer.name} differs by more than {tolerance}: nothing was timed")


def interleave(peers: list[Peer], batch: Batch, rounds: int, turn_s: float) -> dict[str, float]:
    """Median seconds of each peer; they take turns of about `turn_s` seconds."""
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    repeats = {}
    for peer in peers:
        warm = min(peer.time(batch, 3))
        repeats[peer.name] = max(1, round(turn_s / warm))
    for _ in range(rounds):
        for peer in peers:
            seconds[peer.name] += peer.time(batch, repeats[peer.name])
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(shape: Shape, args: argparse.Namespace) -> list[Row]:
    from peers import Engine, OnnxRuntime, OpenVino

    folder = export(shape)
    engines: list[Engine] = [Engine(args.binary, folder, "f32", args.threads)]
    f32_peers: list[Peer] = [
        OnnxRuntime(folder / "model.onnx", args.threads, "ONNX Runtime fp32"),
        OnnxRuntime(folder / "fused.onnx", args.threads, "ONNX Runtime fp32 fused"),
    ]
    bf16_peers: list[Peer] = []
    if has_amx():
        engines.append(Engine(args.binary, folder, "bf16", args.threads))
        bf16_peers.append(OpenVino(folder / "model.onnx", args.threads, "bf16"))
    print(f"{shape.name}: engine {engines[0].plan['isa']}, {args.threads} threads", flush=True)

    batches = [engines[0].describe(spec) for spec in args.batch.split(",")]
    for batch in batches:
        check_scores([engines[0], f32_peers[1]], f32_peers[0], batch, F32_TOLERANCE)
        check_scores([*engines[1:], *bf16_peers], f32_peers[0], batch, BF16_TOLERANCE)
    rows = []
    for batch in batches:
        candidates: list[Peer] = [*engines, *f32_peers, *bf16_peers]
        medians = interleave(candidates, batch, args.rounds, args.turn)
        best_f32 = min(f32_peers, key=lambda peer: medians[peer.name])
        pairs = [("f32", engines[0], best_f32, 1.0, 1.8)]
        if bf16_peers:
            pairs.append(("bf16", engines[1], bf16_peers[0], 1.0, 2.0))
        for precision, engine, peer, dense, ragged in pairs:
            ours, theirs = medians[engine.name], medians[peer.name]
            target = ragged if batch.spec.startswith("rag") else dense
            speeds = (batch.tokens / ours, batch.tokens / theirs)
            row = Row(shape.name, batch.spec, precision, peer.name, *speeds, theirs / ours, target)
            print("  " + markdown_row(row), flush=True)
            rows.append(row)
    for engine in engines:
        engine.close()
    return rows


def markdown_row(row: Row) -> str:
    verdict = "" if row.ratio >= row.target else " (missed)"
    return (
        f"| {row.model} | {row.batch} | {row.precision} | {row.engine_tokens_per_second:,.0f} "
        f"| {row.peer_tokens_per_second:,.0f} ({row.peer}) | {row.ratio:.2f}x "
        f"| {row.target:.1f}x{verdict} |"
    )


def report(rows: list[Row], args: argparse.Namespace) -> str:
    versions = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=json"], capture_output=True, check=True
    ).stdout
    wanted = {"onnxruntime", "openvino"}
    peers = {p["name"]: p["version"] for p in json.loads(versions) if p["name"] in wanted}
    lines = [
        f"Machine: {cpu_name()}, {os.cpu_count()} cores{', AMX' if has_amx() else ''}; "
        f"{platform.system()} {platform.release()}",
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC; load average before: "
        f"{args.load_before:.2f}",
        f"Command: {' '.join(['python3', *sys.argv])}",
        f"Peers: {', '.join(f'{name} {version}' for name, version in sorted(peers.items()))}; "
        f"{args.threads} threads each; medians of {args.rounds} interleaved turns",
        "",
        "| model | batch | precision | engine tokens/s | peer tokens/s | ratio | target |",
        "|---|---|---|---|---|---|---|",
        *[markdown_row(row) for row in rows],
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument(
        "--binary", type=Path, default=ROOT / "build/release/bench/engine/engine_bench"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", default="1x128,16x128,rag32")
    parser.add_argument("--models", default="12x768,6x384,2x128")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turn", type=float, default=0.4, help="seconds of one turn")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench-engine.json")
    args = parser.parse_args()
    args.load_before = os.getloadavg()[0]
    enter_venv()

    from make_models import SHAPES

    rows: list[Row] = []
    for shape in SHAPES:
        if shape.name in args.models.split(","):
            rows += measure(shape, args)
    text = report(rows, args)
    print("\n" + text)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        json.dumps({"report": text, "rows": [asdict(r) for r in rows]}, indent=1)
    )


if __name__ == "__main__":
    main()
