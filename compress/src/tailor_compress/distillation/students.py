# SPDX-License-Identifier: Apache-2.0
"""What a student starts from."""

from collections.abc import Sequence
from typing import Literal

from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.method import Context
from tailor_compress.model.cut import layer_shapes
from tailor_compress.model.layers import Pick, picked_layers
from tailor_compress.training.student import StudentShape, new_student

# `teacher`: layers of the teacher; `parent`: layers of the parent in the role `init`; `scratch`:
# a new model of a shape, with the teacher's word vectors in fewer dimensions.
Start = Literal["teacher", "parent", "scratch"]
INIT = "init"


def kept_layers(
    model: BertForSequenceClassification, pick: Pick, depth: int, layers: Sequence[int]
) -> list[int]:
    """Return ``layers`` if there are any, else ``depth`` picked ones (0: all)."""
    count = len(layer_shapes(model))
    return list(layers) or picked_layers(pick, depth or count, count)


def scratch_student(
    teacher: BertForSequenceClassification, shape: StudentShape, seed: int
) -> BertForSequenceClassification:
    """Return a new student. Raises TailorError for sizes that do not fit the teacher or a head."""
    widest = teacher.config.hidden_size
    if not 1 <= shape.hidden <= widest or shape.layers < 1 or shape.ffn < 1:
        raise TailorError(
            f"a shape of 1 layer or more, 1 to {widest} hidden, ffn of 1 or more",
            f"{shape.layers} layers, {shape.hidden} hidden, ffn of {shape.ffn}",
            "correct `shape`",
        )
    if shape.heads < 1 or shape.hidden % shape.heads != 0:
        raise TailorError(
            f"heads that divide the hidden size {shape.hidden}", str(shape.heads), "correct `shape`"
        )
    return new_student(teacher, shape, seed)


def start_model(context: Context, start: Start, teacher: str) -> BertForSequenceClassification:
    """Return the model whose layers a student keeps."""
    return context.parent(INIT if start == "parent" else teacher)
