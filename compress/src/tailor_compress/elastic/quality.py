# SPDX-License-Identifier: Apache-2.0
"""The quality of every sub-network, each measured as a model of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import BertForSequenceClassification

from tailor_compress.elastic.subnetworks import SubNetwork, Table, slice_model

Measure = Callable[[BertForSequenceClassification], float]


@dataclass(frozen=True)
class Measured:
    """A sub-network, its encoder's weights, and what the measure said."""

    part: SubNetwork
    weights: int
    quality: float


def measure_parts(
    model: BertForSequenceClassification, table: Table, measure: Measure
) -> list[Measured]:
    """Measure every sub-network, the largest first; ``measure`` is e.g. a context's dev_quality."""
    measured = []
    for part in table.all():
        sliced = slice_model(model, part)
        weights = sum(p.numel() for p in sliced.bert.encoder.parameters())
        measured.append(Measured(part, weights, measure(sliced)))
    return measured


def quality_table(measured: Sequence[Measured]) -> str:
    """Return the measured sub-networks as a Markdown table, one row each."""
    lines = [
        "| width | depth | heads | neurons | layers | encoder weights | quality |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        width, depth = one.part.width, one.part.depth
        kept = ", ".join(map(str, depth.layers))
        lines.append(
            f"| {width.width:g} | {depth.depth:g} | {width.heads} | {width.ffn_dim} "
            f"| {kept} | {one.weights:,} | {one.quality:.4f} |"
        )
    return "\n".join(lines)
