# SPDX-License-Identifier: Apache-2.0
"""The forward pass with what it makes on the way: hidden states, and what attention saw."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tailor_compress.model.forward import (
    Apply,
    Attended,
    Padded,
    embed,
    head_logits,
    plain,
    run_layer,
)


@dataclass(frozen=True)
class States:
    """What a model made of n texts of one batch.

    ``logits`` [n] (of several labels [n, labels]). ``hidden[k]`` [n, length, hidden] are the states
    after k layers, ``hidden[0]`` the embeddings; without ``every_row`` the last holds the [CLS] row
    only. ``attended[k]`` belongs to layer k; empty when not asked for.
    """

    logits: Tensor
    hidden: list[Tensor]
    attended: list[Attended]


def run_states(
    model: Any,
    batch: Padded,
    every_row: bool = True,
    attended: bool = False,
    apply: Apply = plain,
) -> States:
    """Run ``model``, cut or not; ``every_row`` runs the last layer for all tokens too."""
    x, bias = embed(model, batch)
    hidden, seen = [x], list[Attended]()
    layers = list(model.bert.encoder.layer)
    for number, layer in enumerate(layers, start=1):
        rows = x if every_row or number < len(layers) else x[:, :1]
        x = run_layer(layer, x, bias, apply, rows, seen.append if attended else None)
        hidden.append(x)
    return States(head_logits(model, x[:, 0]), hidden, seen)
