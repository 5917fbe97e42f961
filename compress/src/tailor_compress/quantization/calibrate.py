# SPDX-License-Identifier: Apache-2.0
"""Scales of the products' inputs, one for all tokens, found on lists of candidates."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.forward import Apply, logits, plain
from tailor_compress.quantization.observers import Observer
from tailor_compress.quantization.products import TextRows, encoder_products, shared_input
from tailor_compress.quantization.quantizer import LEVELS
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.lists import score_lists

# Pairs of one forward pass; they are of similar length.
_BUCKET = 32


def static_scale(threshold: float) -> Tensor:
    """Return threshold / 127 as f32 [1]; 1 where that is 0."""
    scale = torch.tensor([threshold], dtype=torch.float32) / LEVELS
    return torch.where(scale > 0, scale, torch.ones_like(scale))


@torch.inference_mode()
def list_scores(
    model: BertForSequenceClassification, lists: Sequence[CandidateList], apply: Apply = plain
) -> Tensor:
    """Return the scores [lists, candidates] f32 of lists of equal size. Raises for no lists."""
    if not lists:
        raise TailorError("at least one list of candidates", "none", "set more lists")
    return score_lists(
        [one.pairs for one in lists], _BUCKET, lambda batch: logits(model, batch, apply)
    )


def per_input(names: Sequence[str], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a value for each product: that of the product which speaks for its input."""
    return {name: values[shared_input(name)].clone() for name in names}


def calibrate(
    model: BertForSequenceClassification,
    lists: Sequence[CandidateList],
    new_observer: Callable[[], Observer],
) -> dict[str, Tensor]:
    """Return the input scale [1] of every product, from float runs over ``lists``.

    Padding is not observed. Query, key and value share one observer.
    """
    products = encoder_products(model)
    watched = {
        linear: new_observer() for name, linear in products.items() if shared_input(name) == name
    }
    rows = TextRows(model)

    def observing(linear: nn.Linear, x: Tensor) -> Tensor:
        if linear in watched:
            watched[linear].observe(rows.of(x))
        return plain(linear, x)

    try:
        list_scores(model, lists, observing)
    finally:
        rows.close()
    names = {linear: name for name, linear in products.items()}
    found = {names[linear]: static_scale(one.threshold()) for linear, one in watched.items()}
    return per_input(list(products), found)
