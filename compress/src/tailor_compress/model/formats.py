# SPDX-License-Identifier: Apache-2.0
"""Load-time formats of the encoder's products, as the server's engine computes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tailor_compress.errors import TailorError
from tailor_compress.model.forward import Apply, plain
from tailor_compress.quantization.quantizer import int8_products, with_stored


@contextmanager
def _bf16_unit() -> Iterator[None]:
    """Let the library multiply f32 tensors in its bf16 unit, where the processor has one."""
    backend: Any = torch.backends.mkldnn
    backend = backend.matmul
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before


def bf16_products(linear: nn.Linear, x: Tensor) -> Tensor:
    """Round inputs and weights to bf16, multiply and add in f32; the bias stays f32.

    The rounding is explicit, so that every processor gives the same products; values that are
    bf16 already lose nothing in the bf16 unit, which is about three times faster.
    """
    rounded = linear.weight.bfloat16().float()
    with _bf16_unit():
        return nn.functional.linear(x.bfloat16().float(), rounded, linear.bias)


def f16_products(linear: nn.Linear, x: Tensor) -> Tensor:
    """Round the weights to f16, multiply and add in f32."""
    return nn.functional.linear(x, linear.weight.half().float(), linear.bias)


_FORMATS: dict[str, Apply] = {
    "f32": plain,
    "bf16": bf16_products,
    "f16": f16_products,
    "int8": int8_products,
}


def products(name: str) -> Apply:
    """Return how a format applies a Linear; stored codes stay integers in each.

    Raises TailorError for an unknown one.
    """
    if name not in _FORMATS:
        raise TailorError(f"a format out of {', '.join(_FORMATS)}", name, "correct `format`")
    return with_stored(_FORMATS[name])
