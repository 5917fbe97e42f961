# SPDX-License-Identifier: Apache-2.0
"""Where to clip inputs that get one scale for all: four answers behind one interface.

Each observer is shown values batch by batch and then names a threshold; the scale is threshold /
127, and what is beyond saturates.
"""

from typing import Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailor_compress.errors import TailorError
from tailor_compress.quantization.quantizer import LEVELS

Counts = NDArray[np.float64]
ObserverName = Literal["min_max", "percentile", "mse", "entropy"]
OBSERVERS: tuple[str, ...] = get_args(ObserverName)

_BINS = 2048
# Distance, in bins, of two thresholds that are tried: 1/256 of the range.
_STRIDE = 8
# Stands for a probability of 0 in the divergence, which would be infinite.
_TINY = 1e-12
# Room for the rounding of a share that is a whole number of values.
_SLACK = 1e-9


class Observer(Protocol):
    """Watches the inputs of one product."""

    def observe(self, x: Tensor) -> None:
        """Take in values of any shape."""

    def threshold(self) -> float:
        """Return the magnitude to clip at; 0 when nothing but zeros was seen."""


class MinMax:
    """Clips nothing that was seen: max|x|."""

    def __init__(self) -> None:
        self._largest = 0.0

    def observe(self, x: Tensor) -> None:
        """Take in values of any shape."""
        if x.numel() > 0:
            self._largest = max(self._largest, float(x.abs().max()))

    def threshold(self) -> float:
        """Return the largest magnitude."""
        return self._largest


class Magnitudes:
    """A histogram of |x|: bin n counts [n w, (n + 1) w); w doubles when a value does not fit."""

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(_BINS)
        self.width = 0.0
        self.largest = 0.0

    def _fit(self, largest: float) -> None:
        self.largest = max(self.largest, largest)
        if self.width == 0:
            self.width = largest / _BINS
        while largest > self.width * _BINS:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(_BINS // 2)])
            self.width *= 2

    def observe(self, x: Tensor) -> None:
        """Take in values of any shape. Zeros before the first other value are left out."""
        magnitudes = x.detach().double().abs().flatten()
        if magnitudes.numel() == 0 or float(magnitudes.max()) == 0 == self.width:
            return
        self._fit(float(magnitudes.max()))
        bins = (magnitudes / self.width).long().clamp_max(_BINS - 1)
        self.counts += torch.bincount(bins, minlength=_BINS).cpu().numpy()

    def edge(self, bins: int) -> float:
        """Return the upper edge of the first ``bins`` bins, at most the largest value."""
        return min(bins * self.width, self.largest)


class Percentile(Magnitudes):
    """Clips the largest values, all but ``percent`` of a hundred."""

    def __init__(self, percent: float) -> None:
        super().__init__()
        if not 0 < percent <= 100:
            raise TailorError("a percentile above 0, up to 100", str(percent), "correct it")
        self._share = percent / 100

    def threshold(self) -> float:
        """Return the edge of the first bins that hold the share."""
        below = np.cumsum(self.counts)
        wanted = (self._share - _SLACK) * below[-1]
        return self.edge(int(np.searchsorted(below, wanted)) + 1)


def quantisation_error(counts: Counts, bins: int) -> float:
    """Return the sum of squared errors, in bins^2, of codes that clip at ``bins`` bins.

    A bin's values are taken to lie in its middle.
    """
    middles = np.arange(len(counts)) + 0.5
    scale = bins / LEVELS
    rounded = np.minimum(np.rint(middles / scale), LEVELS) * scale
    return float((counts * (middles - rounded) ** 2).sum())


class Mse(Magnitudes):
    """Clips where rounding inside and saturation outside err least, in squares."""

    def threshold(self) -> float:
        """Return the best of 256 thresholds."""
        tried = range(_STRIDE, _BINS + 1, _STRIDE)
        return self.edge(min(tried, key=lambda bins: quantisation_error(self.counts, bins)))


def divergence(counts: Counts, bins: int) -> float:
    """Return KL(P || Q) in nats of a clip at ``bins`` bins, at least 128 of them.

    P are the first ``bins`` bins with all that is beyond in the last one. Q are the same bins
    without what is beyond, merged to 128 levels and spread evenly over those that were not empty.
    """
    inside = counts[:bins]
    clipped = inside.copy()
    clipped[-1] += counts[bins:].sum()
    level = np.arange(bins) * (LEVELS + 1) // bins
    used = inside > 0
    total = np.bincount(level, weights=inside)
    members = np.bincount(level, weights=used)
    spread = np.where(used, (total / np.maximum(members, 1))[level], 0.0)
    p = clipped / clipped.sum()
    q = np.maximum(spread / max(spread.sum(), _TINY), _TINY)
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())


class Entropy(Magnitudes):
    """Clips where the distribution loses least information (Migacz, GTC 2017: 8-bit TensorRT)."""

    def threshold(self) -> float:
        """Return the best of the thresholds from 128 bins up."""
        if self.width == 0:
            return 0.0
        tried = range(LEVELS + 1, _BINS + 1, _STRIDE)
        return self.edge(min(tried, key=lambda bins: divergence(self.counts, bins)))


def make_observer(name: str, percent: float) -> Observer:
    """Return a new observer; ``percent`` is of `percentile`. Raises TailorError for other names."""
    if name == "min_max":
        return MinMax()
    if name == "percentile":
        return Percentile(percent)
    if name == "mse":
        return Mse()
    if name == "entropy":
        return Entropy()
    raise TailorError(f"an observer out of {', '.join(OBSERVERS)}", name, "correct `observer`")
