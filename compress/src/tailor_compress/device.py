# SPDX-License-Identifier: Apache-2.0
"""The device that trains and scores: the processor, or a GPU when there is one and it is wanted."""

import os
from pathlib import Path

import torch
from torch import nn

from tailor_compress.errors import TailorError

DEVICES = ("auto", "cpu", "cuda")
_chosen = torch.device("cpu")


def use_device(name: str) -> torch.device:
    """Choose the device of this process: `auto`, `cpu` or `cuda`; return it.

    With several processes each takes the GPU of its local number. Raises TailorError for a GPU
    that is not there.
    """
    global _chosen
    if name not in DEVICES:
        raise TailorError(f"a device out of {', '.join(DEVICES)}", name, "correct --device")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise TailorError("a CUDA device", "none", "use --device cpu")
    if name == "cpu" or not found:
        _chosen = torch.device("cpu")
    else:
        local = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
        torch.cuda.set_device(local)
        _chosen = torch.device("cuda", local)
    return _chosen


def device() -> torch.device:
    """Return the device in use."""
    return _chosen


def fast_precision() -> str:
    """Return the precision in which this machine runs an encoder faster: bf16 or f32.

    Without matrix units for bf16 a processor converts every product and is slower than in f32.
    """
    if _chosen.type == "cuda":
        return "bf16"
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    return "bf16" if "amx_bf16" in flags else "f32"


def placed(model: nn.Module) -> None:
    """Move a model that trains or scores to the device in use; its batches follow it."""
    model.to(_chosen)
