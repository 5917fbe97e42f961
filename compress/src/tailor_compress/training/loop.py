# SPDX-License-Identifier: Apache-2.0
"""The training loop that teacher and student share: schedule, precision, checkpoints, resume."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.device import placed
from tailor_compress.errors import TailorError
from tailor_compress.progress import Progress
from tailor_compress.training.optimizer import MasterAdamW, learning_rate
from tailor_compress.training.processes import average, from_first, processes, rank

# Returns the loss of one step, given its number; draws its own lists.
Objective = Callable[[int], Tensor]

_PRECISIONS = {"f32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one model trains.

    ``precision`` is that of the encoder in the forward and backward pass (f32 or bf16); the head
    and the optimiser are always f32. ``checkpoint_steps`` is the distance between checkpoints.
    """

    steps: int
    lists_per_step: int
    learning_rate: float
    seed: int
    precision: str = "bf16"
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    checkpoint_steps: int = 200

    def __post_init__(self) -> None:
        if self.precision not in _PRECISIONS:
            raise TailorError(
                f"a precision out of {', '.join(_PRECISIONS)}",
                self.precision,
                "correct `precision` in the recipe",
            )


def set_precision(model: Any, precision: str) -> None:
    """Put the encoder into ``precision``; the head stays f32 because bf16 scores tie."""
    model.to(_PRECISIONS[precision])
    model.bert.pooler.float()
    model.classifier.float()


def _write(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a kill at any moment leaves a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
    except RuntimeError as error:
        # The library's word for a disk that is full.
        raise OSError(f"{partial} could not be written: {str(error).splitlines()[0]}") from error
    partial.replace(path)


def _resume(
    path: Path, optimizer: MasterAdamW, identity: str, extra: Sequence[Tensor]
) -> tuple[int, float]:
    state = torch.load(path, weights_only=True, map_location="cpu") if path.is_file() else None
    state = from_first(state if rank() == 0 else None)
    if state is None:
        return 0, 0.0
    if state["identity"] != identity:
        raise TailorError(
            f"a checkpoint of this training in {path}",
            "one made with other settings",
            "delete it to start again, or restore the settings",
        )
    optimizer.restore(state["optimizer"])
    for tensor, saved in zip(extra, state.get("extra", ()), strict=True):
        tensor.copy_(saved)
    return int(state["step"]), float(state["wall_s"])


def train(
    model: BertForSequenceClassification,
    objective: Objective,
    schedule: Schedule,
    checkpoint: Path,
    stage: str,
    extra: Sequence[Tensor] = (),
) -> float:
    """Train ``model`` in place and return the seconds spent in total.

    Continues from ``checkpoint`` if it is there; the result is the same as without the break,
    because step n depends only on the weights and on n. The last checkpoint is kept: a repeated
    call returns at once with the finished weights. Raises TailorError for a checkpoint of other
    settings, and when the loss is not a number.

    With several processes (training/processes.py) step n of process r is asked for as number
    n * processes + r, so that an objective that draws by number draws different lists in each;
    the gradients are averaged, and every process ends with the same weights.

    ``extra`` are tensors that the objective changes in place (moving averages); they are part of
    the checkpoint, and averaged like the gradients.
    """
    count = processes()
    set_precision(model, schedule.precision)
    placed(model)
    model.train(False)
    parameters = list(model.parameters())
    optimizer = MasterAdamW(parameters, schedule.weight_decay, schedule.clip)
    names = [(name, list(p.shape)) for name, p in model.named_parameters()]
    settings = {k: v for k, v in asdict(schedule).items() if k != "checkpoint_steps"}
    identity = json.dumps([stage, settings, names], sort_keys=True)
    first, spent = _resume(checkpoint, optimizer, identity, extra)
    began = time.monotonic()
    smoothed: float | None = None
    with Progress(stage, schedule.steps, start=first, unit="step") as progress:
        for step in range(first, schedule.steps):
            loss = objective(step * count + rank())
            value = float(loss.detach())
            if value != value:
                raise TailorError(
                    f"a finite loss at step {step} of {stage}",
                    "NaN",
                    "lower `learning_rate` and delete the checkpoint",
                )
            loss.backward()
            rate = learning_rate(step, schedule.steps, schedule.learning_rate, schedule.warmup)
            average([*(p.grad for p in parameters if p.grad is not None), *extra])
            norm = optimizer.step(rate)
            smoothed = value if smoothed is None else 0.98 * smoothed + 0.02 * value
            progress.advance(1, loss=smoothed, grad_norm=norm)
            done = step + 1
            due = done % schedule.checkpoint_steps == 0 or done == schedule.steps
            if due and rank() == 0:
                wall = spent + time.monotonic() - began
                record = {"identity": identity, "step": done, "wall_s": wall}
                state = {"optimizer": optimizer.state(), "extra": list(extra)}
                _write(checkpoint, {**record, **state})
    total = spent + time.monotonic() - began
    for weight, master in zip(parameters, optimizer.masters, strict=True):
        weight.data = master.cpu().clone()
    model.cpu()
    return total


def use_threads(count: int) -> None:
    """Set the number of threads; call before the first product.

    A change of the number changes the order of sums, so it belongs to what a seed reproduces.
    """
    if count < 1 or count > (os.cpu_count() or 1):
        raise TailorError(f"1 to {os.cpu_count()} threads", str(count), "correct --threads")
    torch.set_num_threads(count)
