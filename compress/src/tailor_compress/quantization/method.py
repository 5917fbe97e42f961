# SPDX-License-Identifier: Apache-2.0
"""The methods that store a variant's products as 8-bit codes: after training, and in training.

A parent's weights rounded when they are loaded need no method of their own: that is a derived
variant with the format `int8`.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import step
from tailor_compress.method import Context, Made, setting
from tailor_compress.pruning.recovery import ParentObjective, Recovery
from tailor_compress.quantization.calibrate import calibrate
from tailor_compress.quantization.fake import FakeQuantisation
from tailor_compress.quantization.observers import ObserverName, make_observer
from tailor_compress.quantization.products import quantised_products, round_to_f16, store_codes
from tailor_compress.quantization.reader import stored_products
from tailor_compress.quantization.sensitivity import scan, worst
from tailor_compress.training.loop import train

Mode = Literal["dynamic", "static"]


def _require(count: int, least: int, name: str) -> None:
    if count < least:
        raise TailorError(f"`{name}` of {least} or more", str(count), f"correct `{name}`")


def _sensitive(
    context: Context,
    model: BertForSequenceClassification,
    scales: Mapping[str, Tensor],
    count: int,
    lists: int,
) -> list[str]:
    """Return the ``count`` products that are to stay float."""
    if count == 0:
        return []
    products = quantised_products(model, scales)
    _require(len(products), count, "products of the encoder")
    return worst(scan(model, products, context.dev_lists(lists)), count)


def _stored(
    model: BertForSequenceClassification,
    scales: Mapping[str, Tensor],
    floats: list[str],
    embeddings: bool,
    mode: Mode,
) -> Made:
    """Return ``model``, whose weights are rounded to f16, with codes for all but ``floats``."""
    tensors = store_codes(model, quantised_products(model, scales), floats, embeddings)
    manifest = {"activations": {"mode": mode, "bits": 8}}
    return Made([], model, tensors, manifest, stored_products)


@dataclass(frozen=True)
class PostTraining:
    """Rounds a parent's products to 8 bits; static scales of inputs come from dev lists."""

    roles: ClassVar[tuple[str, ...]] = ("base",)

    mode: Mode = setting("dynamic", "scale of inputs: dynamic (of each token) or static (one)")
    observer: ObserverName = setting(
        "mse", "what finds static scales: min_max, percentile, mse or entropy"
    )
    percentile: float = setting(99.99, "values in a hundred that `percentile` does not clip")
    calibration_lists: int = setting(32, "dev lists that static scales are found on")
    float_products: int = setting(0, "most sensitive products that stay 16-bit floats")
    scan_lists: int = setting(16, "dev lists of the sensitivity scan")
    embeddings: bool = setting(False, "store word vectors as 8-bit codes too")

    def make(self, context: Context) -> Made:
        """Return the parent with codes."""
        _require(self.float_products, 0, "float_products")
        began = time.monotonic()
        model = context.parent()
        round_to_f16(model)
        scales: Mapping[str, Tensor] = {}
        if self.mode == "static":
            observer = partial(make_observer, self.observer, self.percentile)
            scales = calibrate(model, context.dev_lists(self.calibration_lists), observer)
        floats = _sensitive(context, model, scales, self.float_products, self.scan_lists)
        made = _stored(model, scales, floats, self.embeddings, self.mode)
        params = {**asdict(self), "left_float": floats}
        seconds = time.monotonic() - began
        done = step("post_training_int8", params, context.seed, context.data_id, seconds)
        return Made([done], made.model, made.tensors, made.manifest, made.apply)


@dataclass(frozen=True)
class QuantizationAware(Recovery):
    """Distils a float parent into itself while its products compute as if on 8-bit integers.

    Zafrir et al. (2019), "Q8BERT". Word vectors are rounded only afterwards: with a scale for each
    they lose about as little as in f16.
    """

    roles: ClassVar[tuple[str, ...]] = ("base",)

    steps: int = setting(400, "steps of distillation to the parent")
    learning_rate: float = setting(2e-5, "peak learning rate")
    mode: Mode = setting("static", "scale of inputs: dynamic (of each token) or static (one)")
    ema_decay: float = setting(0.9999, "of the moving average of max|x| behind static scales")
    float_products: int = setting(0, "most sensitive products that stay 16-bit floats")
    scan_lists: int = setting(16, "dev lists of the sensitivity scan")
    embeddings: bool = setting(False, "store word vectors as 8-bit codes too")

    def _check(self) -> None:
        _require(self.steps, 1, "steps")
        _require(self.float_products, 0, "float_products")
        if not 0 <= self.ema_decay < 1:
            raise TailorError("`ema_decay` from 0, below 1", str(self.ema_decay), "correct it")

    def make(self, context: Context) -> Made:
        """Return the trained model with codes."""
        self._check()
        began = time.monotonic()
        model = context.parent()
        floats = _sensitive(context, model, {}, self.float_products, self.scan_lists)
        fake = FakeQuantisation(model, self.mode == "static", self.ema_decay, floats)
        objective = ParentObjective(context, self, model, fake)
        schedule, path = self.schedule(context.seed), context.checkpoint
        train(model, objective, schedule, path, "quantization-aware", [fake.state])
        fake.close()
        round_to_f16(model)
        made = _stored(model, fake.input_scales(), floats, self.embeddings, self.mode)
        params = {**asdict(self), "left_float": floats}
        seconds = time.monotonic() - began
        done = step("quantization_aware_int8", params, context.seed, context.data_id, seconds)
        return Made([done], made.model, made.tensors, made.manifest, made.apply)
