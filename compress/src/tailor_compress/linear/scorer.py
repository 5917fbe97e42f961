# SPDX-License-Identifier: Apache-2.0
"""A linear variant: weights, their names in model.safetensors, their keys in variant.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from tailor_compress.errors import TailorError
from tailor_compress.linear.features import (
    DENSE,
    VERSION,
    FeatureSpec,
    Floats,
    dense_features,
    hashed_features,
    split,
)
from tailor_compress.progress import Progress
from tailor_compress.text import Ids

KIND = "linear"
_DENSE, _HASHED, _IDF = "linear.dense.weight", "linear.hashed.weight", "linear.idf"


@dataclass(frozen=True)
class LinearScorer:
    """score = dense . (dense features) + sum of hashed[bucket] * value, without an offset.

    ``dense`` [len(DENSE)], ``hashed`` [2^bits] and ``idf`` [vocabulary] are stored as f16 and kept
    here as the f64 of what is stored.
    """

    spec: FeatureSpec
    dense: Floats
    hashed: Floats
    idf: Floats

    def score(self, ids: Sequence[int], first: int) -> float:
        """Return the raw score of a pair whose first ``first`` ids are of segment 0."""
        query, document = split(ids, first)
        features = dense_features(query, document, self.idf, self.spec.average_length)
        buckets, values = hashed_features(query, document, self.idf, self.spec)
        return float(self.dense @ features + self.hashed[buckets] @ values)

    def scores(self, pairs: Sequence[tuple[Ids, int]], stage: str) -> NDArray[np.float32]:
        """Return the raw scores [len(pairs)]."""
        found = np.empty(len(pairs), dtype=np.float32)
        with Progress(stage, len(pairs), unit="pair") as progress:
            for n, (ids, first) in enumerate(pairs):
                found[n] = self.score(ids, first)
                progress.advance()
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Return what model.safetensors holds."""
        return {
            _DENSE: torch.from_numpy(self.dense).half(),
            _HASHED: torch.from_numpy(self.hashed).half(),
            _IDF: torch.from_numpy(self.idf).half(),
        }

    def arch(self) -> dict[str, Any]:
        """Return the ``arch`` of variant.json."""
        return {
            "kind": KIND,
            "features": VERSION,
            "bits": self.spec.bits,
            "hash_seed": self.spec.hash_seed,
            "average_length": self.spec.average_length,
        }


def is_linear(manifest: Mapping[str, Any]) -> bool:
    """Whether a variant.json is that of a linear variant."""
    kind: object = manifest.get("arch", {}).get("kind")
    return kind == KIND


def from_tensors(arch: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> LinearScorer:
    """Return the scorer of an ``arch`` and its tensors.

    Raises TailorError for another version of the features, and for tensors that do not fit.
    """
    if arch.get("features") != VERSION:
        raise TailorError(
            f"features version {VERSION}", str(arch.get("features")), "make the variant again"
        )
    spec = FeatureSpec(int(arch["bits"]), int(arch["hash_seed"]), float(arch["average_length"]))
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    idf = shapes.get(_IDF, [])
    if shapes != {_DENSE: [len(DENSE)], _HASHED: [spec.buckets], _IDF: idf} or len(idf) != 1:
        raise TailorError(
            f"{_DENSE} [{len(DENSE)}], {_HASHED} [{spec.buckets}] and {_IDF} [vocabulary]",
            ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items())) or "nothing",
            "make the variant again",
        )
    dense, hashed, weights = (tensors[name].double().numpy() for name in (_DENSE, _HASHED, _IDF))
    return LinearScorer(spec, dense, hashed, weights)


def load_scorer(folder: Path, manifest: Mapping[str, Any]) -> LinearScorer:
    """Read an exported linear variant; ``manifest`` is its variant.json."""
    return from_tensors(manifest["arch"], load_file(folder / "model.safetensors"))
