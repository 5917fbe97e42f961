# SPDX-License-Identifier: Apache-2.0
"""Reads stored codes back, so that evaluation computes on the integers of the file."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.forward import Apply, plain
from tailor_compress.quantization.products import WORDS, install
from tailor_compress.quantization.quantizer import QuantisedLinear, with_stored

_WEIGHT, _SCALE, _INPUT = ".weight", ".weight_scale", ".input_scale"

# Evaluates models of float and stored products alike.
stored_products: Apply = with_stored(plain)


@dataclass(frozen=True)
class StoredCodes:
    """One product's codes [out, in] int8, their scales [out] f32, and a static input scale [1]."""

    codes: Tensor
    weight_scale: Tensor
    input_scale: Tensor | None


def _stored(tensors: Mapping[str, Tensor], base: str) -> StoredCodes:
    codes, scale = tensors.get(base + _WEIGHT), tensors[base + _SCALE].float()
    if codes is None or codes.dtype is not torch.int8 or bool((codes == -128).any()):
        got = "none" if codes is None else f"{codes.dtype}, from {codes.min()}"
        raise TailorError(f"int8 codes from -127 of {base}", got, "export the variant again")
    given = tensors.get(base + _INPUT)
    scales = [scale] if given is None else [scale, given]
    if scale.shape != codes.shape[:1] or not all(bool((one > 0).all()) for one in scales):
        raise TailorError(
            f"a scale above 0 for each of the {len(codes)} rows of {base}",
            f"{scale.numel()} from {scale.min()}",
            "export the variant again",
        )
    return StoredCodes(codes, scale, None if given is None else given.float().reshape(1))


def read_quantised(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, StoredCodes]]:
    """Return the tensors of a float model, and the products that are to run on integers, by name.

    The float tensors hold code * scale where codes are stored. Raises TailorError for codes
    without scales that fit them.
    """
    floats, products = dict(tensors), {}
    for name in tensors:
        if name.endswith(_SCALE):
            base = name.removesuffix(_SCALE)
            stored = _stored(tensors, base)
            del floats[name]
            floats.pop(base + _INPUT, None)
            floats[base + _WEIGHT] = stored.codes.float() * stored.weight_scale[:, None]
            if base != WORDS:
                products[base] = stored
    return floats, products


def install_stored(
    model: BertForSequenceClassification, products: Mapping[str, StoredCodes]
) -> Apply:
    """Put ``products`` into ``model``; return how its products are then evaluated."""
    made = {}
    for name, one in products.items():
        linear = model.get_submodule(name)
        if not isinstance(linear, nn.Linear):
            raise TailorError("codes of an encoder's product", name, "export the variant again")
        made[name] = QuantisedLinear(one.codes, one.weight_scale, linear.bias, one.input_scale)
    install(model, made)
    return stored_products
