# SPDX-License-Identifier: Apache-2.0
"""Trains and scores a tiny model in each process of a torchrun; run by test_processes.py."""

import sys
from pathlib import Path

import numpy as np
import torch
from tiny_context import TinyContext, tiny_model

from tailor_compress.ladder.basic import FineTune
from tailor_compress.ladder.run import divided
from tailor_compress.training.processes import join_processes, leave_processes, processes, rank
from tailor_compress.training.teacher import train_teacher
from tailor_compress.training.teacher_scores import teacher_scores


def train_and_score(folder: Path) -> None:
    """Write weights and scores of this process below ``folder``, named by their number."""
    context = TinyContext(folder / "state.pt", tiny_model())
    method = FineTune(
        steps=6, lists_per_step=8, learning_rate=1e-2, precision="f32", checkpoint_steps=3
    )
    own = divided(method, processes())
    model = tiny_model()
    assert isinstance(own, FineTune)
    train_teacher(model, context.lists, own.schedule(1), context.checkpoint)
    torch.save(model.state_dict(), folder / f"weights-{processes()}-{rank()}.pt")
    scores = teacher_scores(tiny_model(), context.lists, 2100, "f32", folder / "scores")
    np.save(folder / f"scores-{processes()}-{rank()}.npy", scores)


if __name__ == "__main__":
    torch.set_num_threads(1)
    join_processes()
    train_and_score(Path(sys.argv[1]))
    leave_processes()
