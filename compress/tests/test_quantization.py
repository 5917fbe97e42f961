# SPDX-License-Identifier: Apache-2.0
"""Products on 8-bit integers against an emulation in numpy's integers."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_context import TinyLists, tiny_model
from torch import nn

from tailor_compress.model.cut import LayerCut, cut_model
from tailor_compress.model.formats import products
from tailor_compress.model.forward import logits, pad, plain
from tailor_compress.quantization import quantizer
from tailor_compress.quantization.quantizer import (
    QuantisedLinear,
    int8_products,
    integer_product,
    integer_sums,
    quantised,
    row_scales,
    to_codes,
)

F32 = NDArray[np.float32]


def emulated_scales(x: F32) -> F32:
    top = np.abs(x).max(axis=-1)
    return np.where(top > 0, top / np.float32(127), np.float32(1))


def emulated_codes(x: F32, scale: F32) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = np.clip(np.rint(x / scale), -127, 127).astype(np.int64)
    return codes


def normal(seed: int, *shape: int) -> F32:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def linear_of(weight: F32, bias: F32) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    return linear


def test_halves_go_to_the_even_code_and_the_range_is_symmetric() -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 127.4, 500.0, -500.0])
    found = to_codes(x, torch.tensor(1.0))
    assert found.tolist() == [0, 2, 2, 0, -2, -2, 126, 127, 127, -127]
    assert found.dtype is torch.int8


def test_a_row_has_its_own_scale_and_a_row_of_zeros_has_one() -> None:
    x = torch.tensor([[0.0, 0.0], [254.0, -127.0], [-0.0, 1e-45]])
    assert row_scales(x).tolist() == [1.0, 2.0, 1.0]
    assert to_codes(x, row_scales(x)[:, None]).tolist() == [[0, 0], [127, -64], [0, 0]]


@pytest.mark.parametrize(("rows", "inner", "out"), [(1, 1, 1), (3, 17, 5), (40, 130, 9), (0, 4, 3)])
@pytest.mark.parametrize("native", [True, False])
def test_sums_are_those_of_integers(
    rows: int, inner: int, out: int, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.setattr(quantizer, "_exact_int_mm", lambda: False)
    rng = np.random.default_rng(rows)
    a = rng.integers(-127, 128, (rows, inner), dtype=np.int8)
    b = rng.integers(-127, 128, (out, inner), dtype=np.int8)
    found = integer_sums(torch.from_numpy(a), torch.from_numpy(b))
    assert found.dtype is torch.int32
    np.testing.assert_array_equal(found.numpy(), a.astype(np.int64) @ b.astype(np.int64).T)


@pytest.mark.parametrize("native", [True, False])
def test_the_largest_sums_do_not_round_or_saturate(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.setattr(quantizer, "_exact_int_mm", lambda: False)
    terms = 3073
    a = torch.full((17, terms), 127, dtype=torch.int8)
    b = torch.full((2, terms), 127, dtype=torch.int8)
    b[1] = -127
    b[:, 0] = 126
    low, high = 127 * 126 - 127**2 * (terms - 1), 127 * 126 + 127**2 * (terms - 1)
    assert high > 2**24
    assert integer_sums(a, b).tolist() == [[high, low]] * 17


def test_a_library_that_saturates_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(a: Any, b: Any) -> Any:
        return torch.full((len(a), b.shape[1]), 256 * 2**14, dtype=torch.int32)

    monkeypatch.setattr(torch, "_int_mm", saturating)
    assert not quantizer._exact_int_mm.__wrapped__()


@pytest.mark.parametrize("static", [None, 0.013])
def test_a_product_equals_its_emulation(static: float | None) -> None:
    x, weight, bias = normal(1, 2, 5, 48), normal(2, 24, 48), normal(3, 24)
    weight[7] = 0
    x[1, 3] = 0
    scale_w = emulated_scales(weight)
    codes_w = emulated_codes(weight, scale_w[:, None])
    rows = x.reshape(10, 48)
    scale_x = emulated_scales(rows)[:, None] if static is None else np.array([static], np.float32)
    sums = emulated_codes(rows, scale_x) @ codes_w.T
    expected = sums.astype(np.float32) * (scale_x * scale_w) + bias
    linear = linear_of(weight, bias)
    made = quantised(linear, None if static is None else torch.tensor([static]))
    np.testing.assert_array_equal(made.codes.numpy(), codes_w)
    np.testing.assert_array_equal(made.weight_scale.numpy(), scale_w)
    np.testing.assert_array_equal(
        made.product(torch.from_numpy(x)).detach().numpy(), expected.reshape(2, 5, 24)
    )
    if static is None:
        found = int8_products(linear, torch.from_numpy(x))
        np.testing.assert_array_equal(found.detach().numpy(), expected.reshape(2, 5, 24))


def test_an_input_beyond_the_static_scale_is_clamped() -> None:
    codes = torch.tensor([[1]], dtype=torch.int8)
    found = integer_product(
        torch.tensor([[300.0], [-300.0], [1.0]]),
        codes,
        torch.ones(1),
        torch.zeros(1),
        torch.ones(1),
    )
    assert found.flatten().tolist() == [127.0, -127.0, 1.0]


def test_the_format_int8_is_near_the_float_model_and_ranks_like_it() -> None:
    model = tiny_model()
    batch = pad(TinyLists().drawn(0).pairs)
    with torch.inference_mode():
        whole, found = logits(model, batch), logits(model, batch, products("int8"))
    assert 0 < float((whole - found).abs().max()) < 0.1 * float(whole.std())


def test_a_token_counts_alone_so_that_batches_change_nothing() -> None:
    model = tiny_model()
    pairs = TinyLists().drawn(0).pairs
    with torch.inference_mode():
        together = logits(model, pad(pairs), products("int8"))
        alone = torch.cat([logits(model, pad([pair]), products("int8")) for pair in pairs])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_layer_that_lost_heads_and_neurons_is_its_biases() -> None:
    model = cut_model(tiny_model(), [LayerCut(0, [], []), LayerCut(1, [0], [1, 2])])
    batch = pad(TinyLists().drawn(1).pairs)
    with torch.inference_mode():
        whole, found = logits(model, batch), logits(model, batch, products("int8"))
    torch.testing.assert_close(whole, found, atol=0.1, rtol=0)


@pytest.mark.parametrize("name", ["f32", "bf16", "f16", "int8"])
def test_stored_codes_stay_integers_in_every_format(name: str) -> None:
    made = quantised(linear_of(normal(1, 4, 6), normal(2, 4)), torch.tensor([0.02]))
    assert isinstance(made, QuantisedLinear)
    x = torch.from_numpy(normal(3, 2, 6))
    assert torch.equal(products(name)(made, x), made.product(x))
    assert not torch.equal(plain(made, x), made.product(x))
