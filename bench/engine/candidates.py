# SPDX-License-Identifier: Apache-2.0
"""Who is measured on a shape: the engine in each format, and the peers of that precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from amx import has_amx
from batch import Candidate, CandidateError
from engine_process import Engine
from environment import extensions
from exports import ENGINE
from peer_process import PeerProcess
from peers import CTranslate2, OnnxRuntime, OpenVino, PyTorch
from shapes import Shape

Make = Callable[[], Candidate]
REFERENCE = "ONNX Runtime fp32"  # whose scores the others' are compared with


def formats() -> list[str]:
    """The engine's formats that this host runs fast."""
    if has_amx():
        return ["f32", "bf16", "int8"]
    return ["f32", "f16", "int8"] if "avx512_fp16" in extensions() else ["f32", "int8"]


def start_engines(shape: Shape, folder: Path, binary: Path, threads: int) -> dict[str, Engine]:
    """One engine a format; of an elastic shape they run the sub-network."""
    variant = "cut" if shape.cut and shape.cut.is_view else ""
    engines = {}
    for name in formats():
        engines[name] = Engine(binary, folder / ENGINE, threads, name, variant)
    return engines


def _makers(folder: Path, threads: int) -> dict[str, list[tuple[str, Make]]]:
    def ort(name: str, file: str) -> tuple[str, Make]:
        return name, partial(OnnxRuntime, name, folder / file, threads)

    def openvino(name: str, file: str, precision: str) -> tuple[str, Make]:
        return name, partial(OpenVino, name, folder / file, threads, precision)

    def ctranslate2(name: str, compute_type: str) -> tuple[str, Make]:
        return name, partial(CTranslate2, name, folder / "ctranslate2", threads, compute_type)

    def torch(name: str, dtype: str, compiled: bool) -> tuple[str, Make]:
        return name, partial(PyTorch, name, folder / "model.pt", threads, dtype, compiled)

    rest = "bf16" if has_amx() else "f32"
    makers = {
        "f32": [
            ort(REFERENCE, "model.onnx"),
            ort("ONNX Runtime fp32 fused", "fused.onnx"),
            openvino("OpenVINO f32", "model.onnx", "f32"),
            ctranslate2("CTranslate2 float32", "float32"),
            torch("PyTorch fp32", "float32", compiled=False),
            torch("PyTorch fp32 compiled", "float32", compiled=True),
        ],
        "int8": [
            ort("ONNX Runtime int8", "int8.onnx"),
            openvino(f"OpenVINO int8, rest {rest}", "int8.xml", rest),
            ctranslate2("CTranslate2 int8", "int8"),
        ],
    }
    half = next((name for name in formats() if name in ("bf16", "f16")), None)
    if half:
        makers[half] = [
            openvino("OpenVINO bf16", "model.onnx", "bf16"),
            torch("PyTorch bf16", "bfloat16", compiled=False),
            torch("PyTorch bf16 compiled", "bfloat16", compiled=True),
        ]
        if "amx_fp16" in extensions():  # without, it was no faster than OpenVINO's f32
            makers[half].insert(1, openvino("OpenVINO f16", "model.onnx", "f16"))
    return makers


def start_peers(
    folder: Path, threads: int, wanted: list[str], problems: list[str]
) -> dict[str, list[Candidate]]:
    """Peers by precision whose name has one of the words in `wanted`, and REFERENCE in any case.

    No peer multiplies f16 numbers as such: those of f16 are all of floats. One that does not start
    goes to `problems`.
    """
    peers: dict[str, list[Candidate]] = {}
    for precision, makers in _makers(folder, threads).items():
        peers[precision] = []
        for name, make in makers:
            if name != REFERENCE and not any(word.lower() in name.lower() for word in wanted):
                continue
            try:
                peers[precision].append(PeerProcess(name, make))
            except CandidateError as error:
                problems.append(str(error))
    if "f16" in peers:
        peers["f16"] += peers["f32"]
    return peers
