# SPDX-License-Identifier: Apache-2.0
"""Models from the tensors of a bundle: cut layers, narrow word vectors, bitmasks."""

from collections.abc import Mapping, Sequence

from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.bitmask import BITMASK, COMPRESSED, SHAPE, bitmask_decode
from tailor_compress.model.cut import LayerShape, load_weights
from tailor_compress.model.forward import Apply, plain
from tailor_compress.quantization.reader import install_stored, read_quantised


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
    """Return the tensors with every bitmask tensor as a dense one."""
    result = dict(tensors)
    for name in tensors:
        if name.endswith(COMPRESSED):
            base = name.removesuffix(COMPRESSED)
            for suffix in (COMPRESSED, BITMASK, SHAPE):
                result.pop(base + suffix)
            result[base] = bitmask_decode(base, tensors)
    return result


def stored_model(
    config: BertConfig, shapes: Sequence[LayerShape], tensors: Mapping[str, Tensor]
) -> tuple[BertForSequenceClassification, Apply]:
    """Return the model of a bundle's tensors in any form, and how its products are evaluated."""
    floats, codes = read_quantised(unpacked(tensors))
    model = build_model(config, shapes, floats)
    return model, install_stored(model, codes) if codes else plain
