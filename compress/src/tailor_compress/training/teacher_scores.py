# SPDX-License-Identifier: Apache-2.0
"""The teacher's scores of the student's training lists, computed once and kept on disk."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.scorer import score_pairs
from tailor_compress.model.forward import plain
from tailor_compress.training.corpus import LIST, TrainingCorpus
from tailor_compress.training.loop import set_precision

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
    corpus: TrainingCorpus,
    lists: int,
    precision: str,
    folder: Path,
) -> NDArray[np.float32]:
    """Return [lists, candidates] scores of the corpus's first ``lists`` lists.

    ``teacher`` is put into ``precision``: bf16 is about three times as fast, and its rounding is
    far below the noise of a student. Chunks found in ``folder`` are read instead of computed.
    Raises TailorError when a chunk there has another shape.
    """
    torch.manual_seed(0)
    name = weights_digest(teacher)[:12]
    set_precision(teacher, precision)
    folder.mkdir(parents=True, exist_ok=True)
    chunks = []
    for first in range(0, lists, _CHUNK):
        count = min(_CHUNK, lists - first)
        path = folder / f"{name}-{corpus.id}-{precision}-{first}.npy"
        if not path.is_file():
            pairs = [pair for one in corpus.lists(first, count) for pair in one.pairs]
            stage = f"teacher scores {first + count}/{lists}"
            found = score_pairs(teacher, pairs, plain, stage).reshape(count, LIST)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, found)
            partial.replace(path)
        chunk = np.load(path)
        if len(chunk) < count:
            raise TailorError(
                f"{count} lists in {path}", str(len(chunk)), "delete the file to score again"
            )
        chunks.append(chunk[:count])
    return np.concatenate(chunks)
