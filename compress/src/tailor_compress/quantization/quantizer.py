# SPDX-License-Identifier: Apache-2.0
"""Products on 8-bit integers, number for number as the server's engine computes them.

x ~ code * scale, with codes in [-127, 127]: symmetric, so that no sum has a zero point in it. A row
of weights has the scale max|row| / 127; inputs have one scale a row (a token) found as they come
(dynamic), or one scale for all that was found before (static). Sums are exact int32. The module
knows nothing of models, so that model/formats.py can build on it.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

LEVELS = 127
# Terms of a sum of products of codes that f32 holds exactly, in any order: 127^2 * n <= 2^24.
_F32_TERMS = 2**24 // LEVELS**2
# Rows of a product that are worked on at once: what is made on the way stays in the cache, which is
# several times faster than memory that is new to the process.
_CHUNK = 256


def row_scales(x: Tensor) -> Tensor:
    """Return max|row| / 127 of ``x`` [..., n] as f32 [...]; 1 where that is 0."""
    scales = x.float().abs().amax(dim=-1) / LEVELS
    return torch.where(scales > 0, scales, torch.ones_like(scales))


def to_codes(x: Tensor, scale: Tensor) -> Tensor:
    """Return clamp(x / scale, -127, 127) as int8, halves rounded to even; ``scale`` broadcasts."""
    return torch.round(x.float() / scale).clamp(-LEVELS, LEVELS).to(torch.int8)


@cache
def _exact_int_mm() -> bool:
    """Whether this processor's int8 product keeps sums of the largest codes.

    Without dot-product instructions libraries add pairs of products in 16 bits, which saturates.
    """
    large = torch.full((32, 256), LEVELS, dtype=torch.int8)
    try:
        found = [
            torch._int_mm(rows, sign * large.T) for rows in (large, large[:1]) for sign in (1, -1)
        ]
    except RuntimeError:
        return False
    return all(bool((one.abs() == 256 * LEVELS**2).all()) for one in found)


def _sums_in_f32(a: Tensor, b: Tensor) -> Tensor:
    """Return ``integer_sums`` by f32 products of so few terms that nothing is rounded."""
    sums = torch.zeros(len(a), len(b), dtype=torch.int32, device=a.device)
    for start in range(0, a.shape[1], _F32_TERMS):
        columns = slice(start, start + _F32_TERMS)
        sums += (a[:, columns].float() @ b[:, columns].float().T).to(torch.int32)
    return sums


def integer_sums(a: Tensor, b: Tensor) -> Tensor:
    """Return a b^T exactly, as int32 [n, m]; a [n, k] and b [m, k] are int8 codes."""
    if a.device.type == "cpu" and _exact_int_mm():
        return torch._int_mm(a, b.T)
    return _sums_in_f32(a, b)


def integer_product(
    x: Tensor, codes: Tensor, weight_scale: Tensor, bias: Tensor, input_scale: Tensor | None
) -> Tensor:
    """Return float(sums) * (scale of x * weight_scale) + bias, f32 [..., out], for x [..., in].

    codes [out, in] int8, weight_scale [out] and bias [out] f32. ``input_scale`` [1] is static;
    without it every row of x gets its own.
    """
    rows = x.reshape(-1, x.shape[-1])
    y = torch.empty(len(rows), len(codes), device=x.device)
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        scale = row_scales(part)[:, None] if input_scale is None else input_scale
        found = integer_sums(to_codes(part, scale), codes).float()
        found *= scale * weight_scale
        found += bias
        y[start : start + _CHUNK] = found
    return y.reshape(*x.shape[:-1], len(codes))


class QuantisedLinear(nn.Linear):
    """A Linear with its weights as codes; ``weight`` holds what they stand for, code * scale.

    The codes and scales are not part of its state_dict: that stays a float model's.
    """

    codes: Tensor
    weight_scale: Tensor
    input_scale: Tensor | None

    def __init__(
        self, codes: Tensor, weight_scale: Tensor, bias: Tensor, input_scale: Tensor | None = None
    ) -> None:
        super().__init__(codes.shape[1], codes.shape[0], device="meta")
        self.weight = nn.Parameter(codes.float() * weight_scale[:, None], requires_grad=False)
        self.bias = nn.Parameter(bias.detach().float().clone(), requires_grad=False)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("weight_scale", weight_scale, persistent=False)
        self.register_buffer("input_scale", input_scale, persistent=False)

    def rows(self, index: Tensor) -> "QuantisedLinear":
        """Return the product with these outputs only."""
        codes, scale = self.codes[index], self.weight_scale[index]
        return QuantisedLinear(codes, scale, self.bias[index], self.input_scale)

    def columns(self, index: Tensor) -> "QuantisedLinear":
        """Return the product with these inputs only; rows keep their scales."""
        codes = self.codes[:, index]
        return QuantisedLinear(codes, self.weight_scale, self.bias, self.input_scale)

    def product(self, x: Tensor) -> Tensor:
        """Return the product for x [..., in], f32 [..., out]; without inputs it is the bias."""
        if self.in_features == 0:
            return nn.functional.linear(x, self.weight, self.bias)
        return integer_product(x, self.codes, self.weight_scale, self.bias, self.input_scale)


def quantised(linear: nn.Linear, input_scale: Tensor | None = None) -> QuantisedLinear:
    """Return ``linear`` with its weights [out, in > 0] rounded to codes, a scale for each row."""
    weight = linear.weight.detach()
    scale = row_scales(weight)
    return QuantisedLinear(to_codes(weight, scale[:, None]), scale, linear.bias, input_scale)


def int8_products(linear: nn.Linear, x: Tensor) -> Tensor:
    """Round weights by rows and inputs by tokens to 8 bits, multiply exactly; the bias stays f32.

    A product without inputs (of a layer that lost all heads or neurons) is its bias.
    """
    if linear.in_features == 0:
        return nn.functional.linear(x, linear.weight, linear.bias)
    return quantised(linear).product(x)


def with_stored(
    apply: Callable[[nn.Linear, Tensor], Tensor],
) -> Callable[[nn.Linear, Tensor], Tensor]:
    """Return ``apply`` for float weights; stored codes are computed on integers in any format."""

    def either(linear: nn.Linear, x: Tensor) -> Tensor:
        return linear.product(x) if isinstance(linear, QuantisedLinear) else apply(linear, x)

    return either
