# SPDX-License-Identifier: Apache-2.0
"""The sub-networks of an elastic model: a table of widths and one of depths.

A sub-network keeps the first heads and neurons of the listed layers. The tables are written out
in variant.json, so that a reader needs no rounding rule.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes


@dataclass(frozen=True)
class Width:
    """A share of every layer, and the heads and inner neurons that it keeps."""

    width: float
    heads: int
    ffn_dim: int


@dataclass(frozen=True)
class Depth:
    """A share of the layers, and those that it keeps, in order."""

    depth: float
    layers: tuple[int, ...]


@dataclass(frozen=True)
class SubNetwork:
    """One width at one depth."""

    width: Width
    depth: Depth

    @property
    def name(self) -> str:
        """What logs and tables call it."""
        return f"w{self.width.width:g} d{self.depth.depth:g}"


@dataclass(frozen=True)
class Table:
    """All widths and depths, the whole model's first; every pair of them is a sub-network."""

    widths: tuple[Width, ...]
    depths: tuple[Depth, ...]

    @property
    def largest(self) -> SubNetwork:
        """The whole model."""
        return SubNetwork(self.widths[0], self.depths[0])

    def wide(self) -> list[SubNetwork]:
        """Return every width at full depth, falling."""
        return [SubNetwork(width, self.depths[0]) for width in self.widths]

    def all(self) -> list[SubNetwork]:
        """Return every sub-network, the largest first and the smallest last."""
        return [SubNetwork(width, depth) for depth in self.depths for width in self.widths]

    def manifest(self) -> dict[str, Any]:
        """Return the ``elastic`` of variant.json."""
        depths = [{"depth": one.depth, "layers": list(one.layers)} for one in self.depths]
        return {"widths": [asdict(one) for one in self.widths], "depths": depths}


def _round(x: float) -> int:
    return math.floor(x + 0.5)


def kept_layers(layers: int, depth: float) -> tuple[int, ...]:
    """DynaBERT's rule: floor(i / depth) for every i below round(depth * layers)."""
    return tuple(math.floor(i / depth) for i in range(max(1, _round(depth * layers))))


def _shares(shares: Sequence[float], what: str) -> list[float]:
    """Return the shares, falling. Raises TailorError unless they are distinct and hold the 1."""
    falling = sorted(shares, reverse=True)
    if not falling or falling[0] != 1.0 or falling[-1] <= 0 or len(set(falling)) != len(falling):
        raise TailorError(
            f"distinct {what} in (0, 1], 1 among them", str(list(shares)), f"correct `{what}`"
        )
    return falling


def make_table(
    model: BertForSequenceClassification, widths: Sequence[float], depths: Sequence[float]
) -> Table:
    """Return the table of a model whose layers have one shape.

    A width keeps round(width * heads) heads, at least one, and the same share of the neurons.
    Raises TailorError for shares out of range, and for layers of several shapes.
    """
    shapes = layer_shapes(model)
    if len(set(shapes)) != 1:
        raise TailorError(
            "layers of one shape", f"{len(set(shapes))} shapes", "take a parent that is not cut"
        )
    shape = shapes[0]
    kept = [(share, max(1, _round(share * shape.heads))) for share in _shares(widths, "widths")]
    rows = tuple(Width(s, heads, heads * shape.ffn_dim // shape.heads) for s, heads in kept)
    return Table(
        rows,
        tuple(Depth(s, kept_layers(len(shapes), s)) for s in _shares(depths, "depths")),
    )


def slice_model(
    model: BertForSequenceClassification, part: SubNetwork
) -> BertForSequenceClassification:
    """Return a sub-network as a model of its own, with copies of its weights."""
    heads, neurons = range(part.width.heads), range(part.width.ffn_dim)
    return cut_model(model, [LayerCut(layer, heads, neurons) for layer in part.depth.layers])
