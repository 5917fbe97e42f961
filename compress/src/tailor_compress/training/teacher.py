# SPDX-License-Identifier: Apache-2.0
"""Fine-tunes the trimmed checkpoint into the family's teacher."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.model.forward import logits
from tailor_compress.training.corpus import TrainingCorpus
from tailor_compress.training.lists import score_lists
from tailor_compress.training.loop import Schedule, train
from tailor_compress.training.losses import listwise

# Of 6x384 in bf16 on 2 cores, 32 gave 111 sequences a second, 16 and 64 fewer.
_BUCKET = 32


def train_teacher(
    start: Path, corpus: TrainingCorpus, schedule: Schedule, checkpoint: Path
) -> tuple[BertForSequenceClassification, float]:
    """Return the teacher in f32 and the seconds it took; listwise softmax on the right document.

    ``start`` is the folder that trimming wrote. No dropout: one epoch sees every query once, and
    documents change their view from list to list.
    """
    torch.manual_seed(schedule.seed)
    model = BertForSequenceClassification.from_pretrained(start)

    def objective(step: int) -> Tensor:
        drawn = corpus.lists(step * schedule.lists_per_step, schedule.lists_per_step)
        return listwise(
            score_lists([one.pairs for one in drawn], _BUCKET, lambda batch: logits(model, batch))
        )

    wall_s = train(model, objective, schedule, checkpoint, "teacher")
    return model, wall_s
