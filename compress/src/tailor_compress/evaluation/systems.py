# SPDX-License-Identifier: Apache-2.0
"""Everything that can rank a test set: the family's variants and the two floors."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import View
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.scorer import score_view
from tailor_compress.export.variant import MANIFEST, read_manifest
from tailor_compress.model.formats import products
from tailor_compress.text import PairLayout, read_vocabulary

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """A variant of a family folder: its id, where its weights are, and their format."""

    id: str
    folder: Path
    weights: Path
    format: str
    max_len: int
    weights_sha256: str

    @property
    def is_derived(self) -> bool:
        """Whether the weights are those of another variant."""
        return self.weights != self.folder


def _variant(folder: Path) -> Variant:
    manifest: dict[str, Any] = read_manifest(folder)
    derive = manifest.get("derive")
    parent = folder.parent / derive["parent"] if derive else folder
    owner = read_manifest(parent) if derive else manifest
    return Variant(
        id=manifest["id"],
        folder=folder,
        weights=parent,
        format=derive["format"] if derive else "f32",
        max_len=owner["task"]["max_len"],
        weights_sha256=owner["files"][0]["sha256"],
    )


def family_variants(family: Path) -> list[Variant]:
    """Return the variants of a family folder by name. Raises TailorError when there is none."""
    found = [_variant(path.parent) for path in sorted(family.glob(f"*/{MANIFEST}"))]
    if not found:
        raise TailorError(
            f"variants in {family}", f"no folder with a {MANIFEST}", "run `tailor-compress export`"
        )
    return found


def _key(variant: Variant, dataset: Dataset, split: str) -> str:
    parts = (
        variant.weights_sha256,
        variant.format,
        variant.max_len,
        dataset.snapshot.splits[split],
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def variant_scores(
    variant: Variant, dataset: Dataset, split: str, view: View, cache: Path
) -> Floats:
    """Return [queries, 32] scores of a variant's exported weights on one test set.

    Scores of the same weights, format and set are read from ``cache`` instead of computed.
    """
    path = cache / f"{variant.id}-{split}-{view.name}-{_key(variant, dataset, split)}.npy"
    if not path.is_file():
        model = BertForSequenceClassification.from_pretrained(variant.weights, dtype=torch.float32)
        model.train(False)
        layout = PairLayout(read_vocabulary(variant.weights), variant.max_len)
        stage = f"{variant.id} on {split} {view.name}"
        scores = score_view(model, dataset, split, view, layout, products(variant.format), stage)
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, scores)
        partial.replace(path)
    loaded: Floats = np.load(path)
    return loaded
