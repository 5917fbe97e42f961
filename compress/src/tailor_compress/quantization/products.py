# SPDX-License-Identifier: Apache-2.0
"""The encoder's products by name, and models in which some of them are stored as codes."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.quantization.quantizer import (
    QuantisedLinear,
    quantised,
    row_scales,
    to_codes,
)

WORDS = "bert.embeddings.word_embeddings"
# The six products of a layer; `key` speaks for the input that the first three have in common.
KINDS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


def encoder_products(model: BertForSequenceClassification) -> dict[str, nn.Linear]:
    """Return the encoder's products by name, without those that have lost all in- or outputs."""
    layers: Any = model.bert.encoder.layer
    found: dict[str, nn.Linear] = {}
    for number, layer in enumerate(layers):
        for kind in KINDS:
            linear = layer.get_submodule(kind)
            if linear.weight.numel() > 0:
                found[f"bert.encoder.layer.{number}.{kind}"] = linear
    return found


def shared_input(name: str) -> str:
    """Return the product whose input a product has: query, key and value have one.

    The last layer asks for one token only, so that query alone would not see the others.
    """
    return name.replace("self.query", "self.key").replace("self.value", "self.key")


def quantised_products(
    model: BertForSequenceClassification, input_scales: Mapping[str, Tensor]
) -> dict[str, QuantisedLinear]:
    """Return all products as codes; those without an entry in ``input_scales`` are dynamic."""
    return {
        name: quantised(linear, input_scales.get(name))
        for name, linear in encoder_products(model).items()
    }


def round_to_f16(model: BertForSequenceClassification) -> None:
    """Round every weight to f16, as it will be stored, so that export changes nothing more."""
    for weight in model.parameters():
        weight.data = weight.data.half().float()


def quantise_words(model: BertForSequenceClassification) -> dict[str, Tensor]:
    """Round the word vectors to codes, a scale for each; return the tensors to store."""
    table: Any = model.get_submodule(WORDS)
    scale = row_scales(table.weight.detach())
    codes = to_codes(table.weight.detach(), scale[:, None])
    table.weight.data = codes.float() * scale[:, None]
    return {f"{WORDS}.weight": codes, f"{WORDS}.weight_scale": scale}


def install(model: BertForSequenceClassification, products: Mapping[str, QuantisedLinear]) -> None:
    """Put products stored as codes in the place of float ones."""
    for name, product in products.items():
        model.set_submodule(name, product)


def store_codes(
    model: BertForSequenceClassification,
    products: Mapping[str, QuantisedLinear],
    floats: Iterable[str],
    words: bool,
) -> dict[str, Tensor]:
    """Put ``products`` but those of ``floats`` into ``model``; return the tensors to store.

    ``words`` stores the word vectors as codes too, a scale for each.
    """
    left_out = set(floats)
    chosen = {name: one for name, one in products.items() if name not in left_out}
    install(model, chosen)
    tensors = quantise_words(model) if words else {}
    for name, product in chosen.items():
        tensors[f"{name}.weight"] = product.codes
        tensors[f"{name}.weight_scale"] = product.weight_scale
        if product.input_scale is not None:
            tensors[f"{name}.input_scale"] = product.input_scale.reshape(1)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


class TextRows:
    """Tells the rows of tokens from those of padding, in whatever a product is given.

    It watches the ids that go into the word vectors; the padding id is 0 (model/forward.py).
    """

    def __init__(self, model: BertForSequenceClassification) -> None:
        self._mask = torch.zeros(0, 0, dtype=torch.bool)
        table = model.get_submodule(WORDS)
        self._handle = table.register_forward_pre_hook(self._see)

    def _see(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._mask = arguments[0] != 0

    def of(self, x: Tensor) -> Tensor:
        """Return the rows [tokens, n] of ``x`` [texts, length, n], a prefix of each text."""
        return x[self._mask[:, : x.shape[1]]]

    def close(self) -> None:
        """Stop watching."""
        self._handle.remove()
