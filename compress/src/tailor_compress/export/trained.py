# SPDX-License-Identifier: Apache-2.0
"""A finished training on disk: f32 weights, and the record of how they were made."""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import BertForSequenceClassification

from tailor_compress import __version__
from tailor_compress.errors import TailorError

_RECORD = "training.json"


@dataclass(frozen=True)
class Step:
    """One step of a variant's ``method`` in variant.json."""

    name: str
    params: dict[str, Any]
    code_version: str
    seed: int
    data_id: str
    wall_s: float
    device: str


@dataclass(frozen=True)
class Trained:
    """The record of a training: its steps, and the models that it came from."""

    steps: list[Step]
    parents: list[dict[str, str]]


def device_name() -> str:
    """Return the processor and the number of threads in use."""
    cpuinfo = Path("/proc/cpuinfo")
    name = platform.processor() or platform.machine()
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {torch.get_num_threads()} threads"


def step(name: str, params: dict[str, Any], seed: int, data_id: str, wall_s: float) -> Step:
    """Return a step done by this code on this machine."""
    return Step(name, params, __version__, seed, data_id, round(wall_s, 1), device_name())


def discard_record(folder: Path) -> None:
    """Mark what ``folder`` holds, if it holds anything, as unfinished."""
    (folder / _RECORD).unlink(missing_ok=True)


def save_record(record: Trained, folder: Path) -> None:
    """Write the record of what ``folder`` holds; do it last, as the mark of completion."""
    (folder / _RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")


def save_trained(model: BertForSequenceClassification, record: Trained, folder: Path) -> None:
    """Write weights and record below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    discard_record(folder)
    model.save_pretrained(folder)
    save_record(record, folder)


def load_record(folder: Path) -> Trained:
    """Read the record. Raises TailorError when the training did not finish."""
    path = folder / _RECORD
    if not path.is_file():
        raise TailorError(
            f"a finished training in {folder}",
            "no training.json",
            "run `tailor-compress trim`, `train` and `distil`, in this order",
        )
    record = json.loads(path.read_text())
    return Trained([Step(**one) for one in record["steps"]], record["parents"])
