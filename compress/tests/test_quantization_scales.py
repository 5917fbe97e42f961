# SPDX-License-Identifier: Apache-2.0
"""Static scales: observers against values by hand, calibration, the sensitivity scan."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tiny_context import TinyLists, tiny_model

from tailor_compress.errors import TailorError
from tailor_compress.model.forward import embed, logits, pad, plain
from tailor_compress.quantization.calibrate import calibrate, list_scores, static_scale
from tailor_compress.quantization.observers import (
    OBSERVERS,
    Magnitudes,
    MinMax,
    Mse,
    Percentile,
    divergence,
    make_observer,
    quantisation_error,
)
from tailor_compress.quantization.products import encoder_products, quantised_products
from tailor_compress.quantization.sensitivity import scan, worst
from tailor_compress.training.corpus import CandidateList


def few(count: int = 4) -> list[CandidateList]:
    return [TinyLists().drawn(number) for number in range(count)]


def test_min_max_clips_nothing() -> None:
    observer = MinMax()
    for values in ([0.5, -3.0], [2.0], []):
        observer.observe(torch.tensor(values))
    assert observer.threshold() == 3.0


def test_the_histogram_grows_by_doubling() -> None:
    found = Magnitudes()
    found.observe(torch.zeros(5))
    assert found.width == 0
    found.observe(torch.tensor([1.0, -0.25]))
    assert found.width == 1 / 2048
    assert found.counts.nonzero()[0].tolist() == [512, 2047]
    found.observe(torch.tensor([[3.0], [0.0]]))
    assert found.width == 4 / 2048
    assert found.counts.nonzero()[0].tolist() == [0, 128, 511, 1536]
    assert found.largest == 3.0


def test_percentile_leaves_out_the_share_beyond_it() -> None:
    values = torch.cat([torch.ones(999), torch.tensor([100.0])])
    clipping, whole = Percentile(99.9), Percentile(99.95)
    for observer in (clipping, whole):
        observer.observe(values)
    # 1 lies in bin 20 of width 100 / 2048; its upper edge is 21 widths.
    assert clipping.threshold() == pytest.approx(21 * 100 / 2048)
    assert whole.threshold() == 100.0


def test_the_squared_error_by_hand() -> None:
    counts = np.zeros(256)
    counts[3], counts[130] = 2, 1
    # At a scale of 1: 3.5 goes to 4 (twice 0.25), 130.5 saturates at 127 (3.5^2).
    assert quantisation_error(counts, 127) == 2 * 0.25 + 12.25
    # At a scale of 2: 3.5 goes to 4, 130.5 to 130.
    assert quantisation_error(counts, 254) == 3 * 0.25


def test_mse_finds_what_a_search_on_the_values_finds() -> None:
    values = torch.from_numpy(np.append(np.random.default_rng(1).normal(size=20000), 30.0))
    observer = Mse()
    observer.observe(values)

    def error(threshold: float) -> float:
        scale = threshold / 127
        rounded = torch.round(values / scale).clamp(-127, 127) * scale
        return float((values - rounded).square().mean())

    largest = float(values.abs().max())
    best = min(error(largest * n / 300) for n in range(30, 301))
    assert observer.threshold() < 0.9 * largest
    assert error(observer.threshold()) <= 1.02 * best


def test_the_divergence_by_hand() -> None:
    even = np.ones(256)
    assert divergence(even, 256) == pytest.approx(0)
    # Two bins a level, with 1 and 3: spread as 2 and 2.
    uneven = np.tile([1.0, 3.0], 128)
    by_hand = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert divergence(uneven, 256) == pytest.approx(by_hand)
    # Clipped in the middle, the last of 128 bins takes the 128 beyond.
    by_hand = 127 / 256 * math.log(128 / 256) + 129 / 256 * math.log(129 / 2)
    assert divergence(even, 128) == pytest.approx(by_hand)


def test_entropy_clips_a_lone_value_far_out() -> None:
    observer = make_observer("entropy", 99.99)
    values = np.random.default_rng(2).normal(size=50000)
    observer.observe(torch.from_numpy(np.append(values, 40.0)))
    assert 2.5 < observer.threshold() < 6


@pytest.mark.parametrize("name", OBSERVERS)
def test_an_input_of_zeros_gets_the_scale_one(name: str) -> None:
    observer = make_observer(name, 99.99)
    observer.observe(torch.zeros(3, 4))
    assert observer.threshold() == 0
    assert static_scale(observer.threshold()).tolist() == [1.0]


def test_unknown_observers_and_percentiles_are_refused() -> None:
    with pytest.raises(TailorError, match="min_max"):
        make_observer("median", 99.0)
    with pytest.raises(TailorError, match="percentile"):
        make_observer("percentile", 0.0)


def test_calibration_sees_tokens_and_no_padding() -> None:
    model = tiny_model()
    words: Any = model.bert.embeddings.word_embeddings
    with torch.no_grad():
        # A padding vector that the norm lets through as one large value.
        words.weight[0] = 0
        words.weight[0, 3] = 1e3
    lists = few()
    found = calibrate(model, lists, MinMax)
    largest = 0.0
    for one in lists:
        batch = pad(one.pairs)
        states = embed(model, batch)[0]
        assert float(states.detach().abs().max()) > 3.5
        largest = max(largest, float(states[batch.mask != 0].detach().abs().max()))
    scale = static_scale(largest)
    for kind in ("query", "key", "value"):
        assert torch.equal(found[f"bert.encoder.layer.0.attention.self.{kind}"], scale)
    assert set(found) == set(encoder_products(model))
    assert all(one.shape == (1,) and one.dtype is torch.float32 for one in found.values())
    assert not words._forward_pre_hooks


@pytest.mark.parametrize("name", OBSERVERS)
def test_every_observer_keeps_the_scores_near(name: str) -> None:
    model = tiny_model()
    scales = calibrate(model, few(8), partial(make_observer, name, 99.99))
    made = {
        linear: quantised_products(model, scales)[key]
        for key, linear in encoder_products(model).items()
    }
    whole = list_scores(model, few(8))
    found = list_scores(model, few(8), lambda linear, x: made[linear].product(x))
    assert 0 < float((found - whole).abs().max()) < 0.3 * float(whole.std())


def test_calibration_needs_lists() -> None:
    with pytest.raises(TailorError, match="at least one list"):
        calibrate(tiny_model(), [], MinMax)


def test_the_scan_measures_one_product_at_a_time() -> None:
    model = tiny_model()
    layers: Any = model.bert.encoder.layer
    bad = "bert.encoder.layer.0.output.dense"
    with torch.no_grad():
        # One large weight in every row takes all the codes of the others.
        layers[0].output.dense.weight[:, 0] = 60.0
    lists = few()
    products = quantised_products(model, {})
    found = scan(model, products, lists)
    assert len(found) == len(products) == 12
    assert [one.kl for one in found] == sorted((one.kl for one in found), reverse=True)
    assert worst(found, 1) == [bad]
    assert worst(found, 0) == []

    linear = encoder_products(model)[bad]
    with torch.inference_mode():
        differences = [
            logits(model, pad(one.pairs))
            - logits(
                model,
                pad(one.pairs),
                lambda which, x: products[bad].product(x) if which is linear else plain(which, x),
            )
            for one in lists
        ]
    assert found[0].mse == pytest.approx(float(torch.cat(differences).square().mean()), rel=1e-4)
