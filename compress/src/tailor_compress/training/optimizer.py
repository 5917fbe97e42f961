# SPDX-License-Identifier: Apache-2.0
"""AdamW on f32 master copies of weights that may be bf16 in the forward pass.

bf16 has 8 bits of mantissa: an update of lr times 5e-5 would vanish in it. Autocast keeps f32
weights too but converts them on every use, which is slower on a CPU.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Return the rate of ``step``: linear up over ``warmup`` (a share), then linear to zero."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (steps - step) / max(1, steps - rising)


class MasterAdamW:
    """One AdamW over all parameters; matrices decay, biases and norms do not."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float, clip: float) -> None:
        self._weights = [p for p in parameters if p.requires_grad]
        self._masters = [p.detach().float().clone() for p in self._weights]
        self._clip = clip
        groups: list[dict[str, Any]] = [
            {"params": [m for m in self._masters if m.ndim > 1], "weight_decay": decay},
            {"params": [m for m in self._masters if m.ndim <= 1], "weight_decay": 0.0},
        ]
        self._adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=True)

    @property
    def masters(self) -> Sequence[Tensor]:
        """The f32 weights, in the order of the parameters."""
        return self._masters

    def step(self, rate: float) -> float:
        """Update at learning rate ``rate``, clear the gradients; return the gradient's norm."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        for master, weight in zip(self._masters, self._weights, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        norm = float(nn.utils.clip_grad_norm_(self._masters, self._clip))
        self._adam.step()
        self._publish()
        return norm

    def _publish(self) -> None:
        for master, weight in zip(self._masters, self._weights, strict=True):
            weight.data.copy_(master)

    def state(self) -> dict[str, Any]:
        """Return what a later run needs to continue exactly here."""
        return {"masters": self._masters, "adam": self._adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``, and set the forward weights from it."""
        for master, saved in zip(self._masters, state["masters"], strict=True):
            master.data.copy_(saved)
        self._adam.load_state_dict(state["adam"])
        self._publish()
