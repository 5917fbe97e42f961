# SPDX-License-Identifier: Apache-2.0
"""What is measured: shapes of models, batches, and the ratios to reach."""

from __future__ import annotations

import math
from dataclasses import dataclass

CASES = ("1x16", "1x128", "1x512", "16x128", "8x512", "rag32", "rag256")
DEFAULT_CASES = ("1x128", "16x128", "rag32")


@dataclass(frozen=True)
class Cut:
    """What is left of a shape: the first heads and neurons of some layers.

    `is_view`: the engine runs it as a sub-network of the whole model's weights.
    """

    layers: tuple[int, ...]
    heads: int
    neurons: int
    is_view: bool


@dataclass(frozen=True)
class Shape:
    """One model; of a cut one, the model that it was cut from."""

    name: str
    layers: int
    hidden: int
    heads: int
    neurons: int
    vocabulary: int
    cut: Cut | None = None

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def depth(self) -> int:
        """Layers that run."""
        return len(self.cut.layers) if self.cut else self.layers


SHAPES = (
    Shape("12x768", 12, 768, 12, 3072, 30522),
    Shape("6x768", 6, 768, 12, 3072, 30522),
    Shape("6x384", 6, 384, 12, 1536, 11900),
    Shape("4x312", 4, 312, 12, 1200, 30522),
    Shape("2x128", 2, 128, 2, 512, 11900),
    # Half of the heads and neurons of every layer. Layers that differ from one another, as pruning
    # leaves them, are more than CTranslate2 can express.
    Shape("6x384-pruned", 6, 384, 12, 1536, 11900, Cut(tuple(range(6)), 6, 768, is_view=False)),
    Shape("6x384-elastic", 6, 384, 12, 1536, 11900, Cut((0, 2, 4), 6, 768, is_view=True)),
)
DEFAULT_SHAPES = ("12x768", "6x384", "2x128")

# Ratios to reach to the best peer of the same precision: one sequence, many equal ones, ragged.
_TARGETS = {
    True: {"f32": (1.0, 3.0, 5.0), "bf16": (1.5, 2.0, 5.0), "int8": (1.5, 2.5, 5.0)},
    False: {"f32": (1.0, 1.1, 2.0), "f16": (1.2, 1.8, 2.0), "int8": (1.2, 1.15, 2.0)},
}
# To the f32 teacher in ONNX Runtime, of the cheapest variant that loses at most this share.
HEADLINE_TARGETS = {True: 12.0, False: 5.0}
HEADLINE_LOSS = 0.01


def target(precision: str, spec: str, amx: bool) -> float:
    """The ratio to reach on a host with or without AMX."""
    one, many, ragged = _TARGETS[amx][precision]
    return ragged if spec.startswith("rag") else one if spec.startswith("1x") else many


# Largest relative error of one rounded product, and how it is derived. f32: split bf16 drops the
# product of the low parts, 2^-8 each. bf16: 8 bits, rounded to nearest; so do the peers that the
# engine's f16 is compared with, which itself is closer. int8: a step of range / 127
# gives an error of step / sqrt(12); a tensor's range is about 8 deviations (a normal one of 10^6
# numbers 5, behind GELU more); activations and weights are both rounded.
_PRODUCT_ERROR = {
    "f32": 2.0**-16,
    "bf16": 2.0**-9 * math.sqrt(2),
    "f16": 2.0**-9 * math.sqrt(2),
    "int8": 8 / 127 / math.sqrt(12) * math.sqrt(2),
}
_PRODUCTS = 8  # of a layer: query, key, value, scores, context, output, two of the feed-forward


def tolerance(precision: str, depth: int) -> float:
    """Largest accepted difference of scores of the order of 1, behind `depth` layers.

    Errors of products are independent, so they add up like a random walk; four deviations are
    beyond what a batch shows. For int8 that is as much as random models' scores differ from one
    another, and only a broken quantisation is found: that the models are the same is seen from the
    f32 forms, which the int8 ones are made from.
    """
    return 4 * _PRODUCT_ERROR[precision] * math.sqrt(_PRODUCTS * depth)
