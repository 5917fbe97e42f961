# SPDX-License-Identifier: Apache-2.0
"""The record of how a model was made."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tailor_compress import __version__


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
