# SPDX-License-Identifier: Apache-2.0
"""Engine speed beside ONNX Runtime (f32, dynamic int8) and OpenVINO (bf16 on hosts with AMX, int8).

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
    from peers import Batch, Peer

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-bench"
PACKAGES = ["numpy", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "torch"]
PACKAGES += ["transformers"]
MODELS = VENV / "models"

# Largest accepted difference of scores, which are of the order of 1 (make_models.py). f32: only the
# order of sums differs. bf16: each of some 75 products rounds its inputs to 8 bits (2^-8 relative),
# differently in each engine; both are compared with the f32 scores.
F32_TOLERANCE = 1e-3
BF16_TOLERANCE = 0.05
# int8: codes of 8 bits in front of each of some 75 products, by row here and in ONNX Runtime, by
# tensor in OpenVINO: a few per cent of the scores. Only a wrong model is further away.
INT8_TOLERANCE = 0.5

# Ratios to reach, to the best peer of the same precision, by host with AMX and without.
TARGETS = {
    True: {"f32": (1.0, 3.0, 5.0), "bf16": (1.5, 2.0, 5.0), "int8": (1.5, 2.5, 5.0)},
    False: {"f32": (1.0, 1.1, 2.0), "bf16": (1.2, 1.8, 2.0), "int8": (1.2, 1.15, 2.0)},
}


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


def export_int8(folder: Path, batch: Batch) -> None:
    """The int8 forms of ONNX Runtime (dynamic) and OpenVINO (NNCF, calibrated on `batch`), once."""
    import nncf
    import onnx
    import openvino
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if (folder / "int8.ready").exists():
        return
    quantize_dynamic(
        folder / "fused.onnx",
        folder / "int8.onnx",
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # of the fused nodes' outputs
    )
    model = openvino.Core().read_model(str(folder / "model.onnx"))
    rows = [
        {name: value[i : i + 1] for name, value in batch.inputs.items()}
        for i in range(len(batch.inputs["input_ids"]))
    ]
    quantized = nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(quantized, folder / "int8.xml")
    (folder / "int8.ready").touch()


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


def target(precision: str, spec: str) -> float:
    one, many, ragged = TARGETS[has_amx()][precision]
    return ragged if spec.startswith("rag") else one if spec.startswith("1x") else many


def measure(shape: Shape, args: argparse.Namespace) -> list[Row]:
    from peers import Engine, OnnxRuntime, OpenVino

    folder = export(shape)
    formats = ["f32", "bf16", "int8"] if has_amx() else ["f32", "int8"]
    engines = {name: Engine(args.binary, folder, name, args.threads) for name in formats}
    batches = [engines["f32"].describe(spec) for spec in args.batch.split(",")]
    export_int8(folder, engines["f32"].describe("16x128"))
    rest = "bf16" if has_amx() else "f32"
    peers: dict[str, list[Peer]] = {
        "f32": [
            OnnxRuntime(folder / "model.onnx", args.threads, "ONNX Runtime fp32"),
            OnnxRuntime(folder / "fused.onnx", args.threads, "ONNX Runtime fp32 fused"),
        ],
        "bf16": [OpenVino(folder / "model.onnx", args.threads, "bf16")] if has_amx() else [],
        "int8": [
            OnnxRuntime(folder / "int8.onnx", args.threads, "ONNX Runtime int8"),
            OpenVino(folder / "int8.xml", args.threads, rest, "int8, rest "),
        ],
    }
    print(f"{shape.name}: engine {engines['f32'].plan['isa']}, {args.threads} threads", flush=True)

    tolerances = {"f32": F32_TOLERANCE, "bf16": BF16_TOLERANCE, "int8": INT8_TOLERANCE}
    for batch in batches:
        for name, engine in engines.items():
            check_scores([engine, *peers[name]], peers["f32"][0], batch, tolerances[name])
    rows = []
    for batch in batches:
        everyone = [*engines.values(), *(peer for group in peers.values() for peer in group)]
        medians = interleave(everyone, batch, args.rounds, args.turn)
        for name, engine in engines.items():
            best = min(peers[name], key=lambda peer: medians[peer.name])
            ours, theirs = medians[engine.name], medians[best.name]
            speeds = (batch.tokens / ours, batch.tokens / theirs)
            wanted = target(name, batch.spec)
            row = Row(shape.name, batch.spec, name, best.name, *speeds, theirs / ours, wanted)
            print("  " + markdown_row(row), flush=True)
            rows.append(row)
    for engine in engines.values():
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
    wanted = {"onnxruntime", "openvino", "nncf"}
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
