# SPDX-License-Identifier: Apache-2.0
"""Models from the tensors of a bundle: cut layers, narrow word vectors, bitmasks."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerShape, load_weights

COMPRESSED, BITMASK, SHAPE = ".compressed", ".bitmask", ".shape"


def build_model(
    config: BertConfig, shapes: Sequence[LayerShape], tensors: Mapping[str, Tensor]
) -> BertForSequenceClassification:
    """Return an f32 model of these shapes with these float weights, not in training mode.

    Raises TailorError when the tensors are not those of such a model.
    """
    try:
        return load_weights(config, shapes, tensors)
    except RuntimeError as error:
        raise TailorError(
            "the tensors of a BERT classifier of the stated shapes",
            " ".join(str(error).split())[:300],
            "name a whole model folder",
        ) from error


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with every bitmask tensor as a dense one.

    M.weight.compressed [nnz] are the values row by row, M.weight.bitmask [rows, ceil(cols / 8)]
    says where: bit i of byte j is column 8 j + i; M.weight.shape is [rows, cols].
    """
    result = dict(tensors)
    for name in tensors:
        if not name.endswith(COMPRESSED):
            continue
        base = name.removesuffix(COMPRESSED)
        values, mask = result.pop(name), result.pop(base + BITMASK)
        rows, columns = result.pop(base + SHAPE).tolist()
        bits = (mask[:, :, None] >> torch.arange(8)) & 1
        kept = bits.reshape(rows, -1)[:, :columns].bool()
        dense = torch.zeros(rows, columns, dtype=values.dtype)
        dense[kept] = values
        result[base] = dense
    return result
