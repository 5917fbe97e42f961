# SPDX-License-Identifier: Apache-2.0
"""The teacher's scores of the student's training lists, computed once and kept on disk."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.device import placed
from tailor_compress.evaluation.scorer import score_pairs
from tailor_compress.method import Lists
from tailor_compress.model.forward import plain
from tailor_compress.training.loop import set_precision
from tailor_compress.training.processes import processes, rank, wait_for_all

# Lists scored between two writes: a kill costs at most a minute of scoring.
_CHUNK = 2048


def weights_digest(model: BertForSequenceClassification) -> str:
    """Return a hash of all weights, as the name of what is derived from them."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def teacher_scores(
    teacher: BertForSequenceClassification,
    lists: Lists,
    count: int,
    precision: str,
    folder: Path,
) -> NDArray[np.float32]:
    """Return the scores [count, lists.size] of the first ``count`` lists.

    Of a model with several labels they are [count, lists.size, labels].

    ``teacher`` is put into ``precision``: bf16 is about three times as fast, and its rounding is
    far below the noise of a student. Chunks found in ``folder`` are read instead of computed, and
    lengthened when more of their lists are wanted. Processes of one torchrun share the chunks and
    need a folder that all of them see.
    """
    labels = int(teacher.config.num_labels or 1)
    shape = (lists.size, labels) if labels > 1 else (lists.size,)
    torch.manual_seed(0)
    name = weights_digest(teacher)[:12]
    set_precision(teacher, precision)
    placed(teacher)
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(0, count, _CHUNK)
    paths = [folder / f"{name}-{lists.id}-{precision}-{first}.npy" for first in firsts]
    wanted = [min(_CHUNK, count - first) for first in firsts]
    for n, (first, path, size) in enumerate(zip(firsts, paths, wanted, strict=True)):
        if n % processes() != rank():
            continue
        kept = np.load(path) if path.is_file() else np.empty((0, *shape), dtype=np.float32)
        if len(kept) < size:
            missing = range(first + len(kept), first + size)
            pairs = [pair for number in missing for pair in lists.drawn(number).pairs]
            stage = f"teacher scores {first + size}/{count}"
            found = score_pairs(teacher, pairs, plain, stage).reshape(-1, *shape)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, np.concatenate([kept, found]))
            partial.replace(path)
    wait_for_all()
    return np.concatenate([np.load(path)[:size] for path, size in zip(paths, wanted, strict=True)])
