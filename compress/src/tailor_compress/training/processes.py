# SPDX-License-Identifier: Apache-2.0
"""The processes of one torchrun; without torchrun there is one and nothing is exchanged.

A step of the training loop averages the gradients of all processes. Each draws its own part of
the step's lists, and only process 0 writes files.
"""

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def join_processes() -> None:
    """Meet the other processes when torchrun started this one; does nothing otherwise."""
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave_processes() -> None:
    """Part from the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait_for_all() -> None:
    """Return when every process is here."""
    if dist.is_initialized():
        dist.barrier()


def average(gradients: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over all processes."""
    count = processes()
    if count == 1:
        return
    for one in gradients:
        dist.all_reduce(one)
        one.div_(count)


def from_first(value: Any) -> Any:
    """Return process 0's ``value``."""
    if processes() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
