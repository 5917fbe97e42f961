# SPDX-License-Identifier: Apache-2.0
"""The headline: the cheapest variant of the bundled family that loses at most 1 % of the teacher's
nDCG@10, against the f32 teacher in ONNX Runtime, on the ragged batch.

Qualities are those that the variants state (test set B, scored by the engine that serves them);
every variant that is good enough is timed, in turns with the teacher in ONNX Runtime.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batch import Batch, Candidate, CandidateError
from engine_process import Engine
from environment import FAMILY, MODELS
from exports import export_onnx
from peer_process import PeerProcess
from peers import OnnxRuntime
from report import Ratio
from shapes import HEADLINE_LOSS
from turns import difference, interleave

TEACHER = "teacher-6x384"
BATCH = "rag32"


@dataclass(frozen=True)
class Headline:
    """`seconds`: of a run, one number a turn, of the teacher in ONNX Runtime and of variants."""

    tokens: int
    teacher: str
    variant: str
    ratio: Ratio
    qualities: dict[str, float]
    seconds: dict[str, list[float]]
    target: float

    def text(self) -> str:
        """One paragraph of Markdown."""
        verdict = "" if self.ratio.median >= self.target else " (missed)"
        quality, best = self.qualities[self.variant], self.qualities[TEACHER]
        speeds = ", ".join(
            f"{name} {self.tokens / statistics.median(turns):,.0f}"
            for name, turns in sorted(self.seconds.items(), key=lambda item: sum(item[1]))
        )
        return (
            f"Headline: `{self.variant}` (nDCG@10 {quality:.4f}, "
            f"{100 * (quality / best - 1):+.2f} % of the teacher's {best:.4f}) is {self.ratio} as "
            f"fast as the f32 teacher in {self.teacher} on {BATCH}; target {self.target:g}x"
            f"{verdict}. Useful tokens/s of all that lose at most {100 * HEADLINE_LOSS:g} %: "
            f"{speeds}."
        )


def good_variants() -> dict[str, float]:
    """nDCG@10 of the family's variants that are good enough, the teacher among them."""
    qualities = {}
    for file in sorted(FAMILY.glob("*/variant.json")):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if "quality" in manifest:
            qualities[manifest["id"]] = float(manifest["quality"]["ndcg10"])
    least = (1 - HEADLINE_LOSS) * qualities[TEACHER]
    return {name: quality for name, quality in qualities.items() if quality >= least}


def _export_teacher() -> Path:
    """The bundled teacher's stored numbers as f32 ONNX; its word vectors are codes with a scale."""
    from safetensors.torch import load_file
    from transformers import BertConfig, BertForSequenceClassification

    source, folder = FAMILY / TEACHER, MODELS / TEACHER
    stamp = (source / "variant.json").read_text(encoding="utf-8")
    if (folder / "made").exists() and (folder / "made").read_text(encoding="utf-8") == stamp:
        return folder
    print(f"{TEACHER}: exporting", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    weights = {}
    for name, tensor in tensors.items():
        scale = tensors.get(name + "_scale")
        if not name.endswith("_scale"):
            weights[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    config = BertConfig.from_pretrained(source)
    model = BertForSequenceClassification(config)
    model.load_state_dict(weights)
    model.train(False)
    export_onnx(model, folder, config.num_attention_heads, config.hidden_size)
    (folder / "made").write_text(stamp, encoding="utf-8")
    return folder


def _reference_tolerance() -> float:
    manifest = json.loads((FAMILY / TEACHER / "variant.json").read_text(encoding="utf-8"))
    return float(manifest["reference"]["tolerance"])


def _teachers(folder: Path, threads: int) -> list[Candidate]:
    return [
        PeerProcess(name, partial(OnnxRuntime, name, folder / file, threads))
        for name, file in (
            ("ONNX Runtime fp32", "model.onnx"),
            ("ONNX Runtime fp32 fused", "fused.onnx"),
        )
    ]


def _start(binary: Path, threads: int, variants: list[str]) -> dict[str, Engine]:
    """Those that this host runs: bf16 needs AMX, for one."""
    engines = {}
    for name in variants:
        try:
            engines[name] = Engine(binary, FAMILY, threads, variant=name)
        except CandidateError as error:
            if name == TEACHER:
                raise
            print(f"headline: left out: {error}", flush=True)
    return engines


def measure_headline(
    binary: Path, threads: int, rounds: int, turn_s: float, target: float
) -> Headline:
    """Raises CandidateError when the teacher's scores differ from those of the engine's f32."""
    qualities = good_variants()
    teachers = _teachers(_export_teacher(), threads)
    engines = _start(binary, threads, list(qualities))
    everyone: list[Candidate] = [*teachers, *engines.values()]
    try:
        batch: Batch = engines[TEACHER].describe(BATCH)
        expected = engines[TEACHER].score(batch)
        for teacher in teachers:
            largest = difference(teacher, expected, batch, _reference_tolerance())
            print(f"headline: {teacher.name} differs by {largest:.1e} from the engine", flush=True)
        seconds = interleave(everyone, batch, rounds, turn_s)
    finally:
        for candidate in everyone:
            candidate.close()
    baseline = min(teachers, key=lambda t: statistics.median(seconds[t.name])).name
    cheapest = min(engines, key=lambda v: statistics.median(seconds[engines[v].name]))
    return Headline(
        batch.tokens,
        baseline,
        cheapest,
        Ratio.of(seconds[baseline], seconds[engines[cheapest].name]),
        qualities,
        seconds,
        target,
    )
