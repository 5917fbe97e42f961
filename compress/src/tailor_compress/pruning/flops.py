# SPDX-License-Identifier: Apache-2.0
"""Floating point operations of a forward pass, counted as `tailor inspect` counts them.

A multiplication and an addition are two operations. Every layer counts all tokens, although the
last one computes little more than the first row; norms, softmax and embeddings are left out.
"""

from collections.abc import Sequence

from tailor_compress.model.cut import LayerShape


def head_flops(hidden: int, head_dim: int, tokens: int) -> int:
    """Return what one head of one layer costs: four products, and attention of l x l twice."""
    return 2 * tokens * hidden * 4 * head_dim + 4 * tokens * tokens * head_dim


def neuron_flops(hidden: int, tokens: int) -> int:
    """Return what one inner neuron of one layer costs."""
    return 2 * tokens * hidden * 2


def scoring_flops(hidden: int, outputs: int = 1) -> int:
    """Return what pooler and classifier cost: no pruning of layers goes below it."""
    return 2 * hidden * (hidden + outputs)


def model_flops(shapes: Sequence[LayerShape], hidden: int, tokens: int) -> int:
    """Return the operations of one pair of ``tokens`` tokens."""
    return scoring_flops(hidden) + sum(
        shape.heads * head_flops(hidden, shape.head_dim, tokens)
        + shape.ffn_dim * neuron_flops(hidden, tokens)
        for shape in shapes
    )
