# SPDX-License-Identifier: Apache-2.0
"""Everything exported that can rank a test set: shipped variants and those only tried."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import View
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.read_back import (
    Encoder,
    layout_of,
    owner_folder,
    read_back,
    weights_key,
)
from tailor_compress.evaluation.scorer import view_pairs
from tailor_compress.export.variant import MANIFEST, read_manifest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """An exported variant; ``families`` are the folders in which its parent may be."""

    id: str
    folder: Path
    families: tuple[Path, ...]

    @property
    def is_derived(self) -> bool:
        """Whether the weights are those of another variant."""
        return "derive" in read_manifest(self.folder)

    @property
    def ship(self) -> bool:
        """Whether it stands in the family's own folder."""
        return self.folder.parent == self.families[0]


def family_variants(*families: Path) -> list[Variant]:
    """Return the variants of the folders by name. Raises TailorError when there is none.

    The first folder is the family's; the others hold what was tried and is not shipped.
    """
    found = [
        Variant(read_manifest(path.parent)["id"], path.parent, families)
        for family in families
        for path in sorted(family.glob(f"[!.]*/{MANIFEST}"))
    ]
    if not found:
        raise TailorError(
            f"variants in {families[0]}",
            f"no folder with a {MANIFEST}",
            "run `tailor-compress ladder`",
        )
    folders: dict[str, Path] = {}
    for one in found:
        if one.id in folders:
            raise TailorError(
                f"one folder of the variant {one.id}",
                f"{folders[one.id]} and {one.folder}",
                "delete the one that the recipe no longer means (see `ship`)",
            )
        folders[one.id] = one.folder
    return found


def variant_scores(
    variant: Variant,
    dataset: Dataset,
    split: str,
    view: View,
    cache: Path,
    queries: int | None = None,
) -> Floats:
    """Return [queries, 32] scores of a variant's exported weights on one test set.

    ``queries`` limits the lists to the first ones. Scores of the same weights, load-time step
    and set are read from ``cache`` instead of computed. What is not shipped is scored in the
    products that are fast here (see Encoder.in_fast_products).
    """
    wanted = dataset.lists[split][:queries]
    parts = (weights_key(variant.folder, variant.families), dataset.snapshot.splits[split])
    form = () if variant.ship else ("fast products",)
    key = hashlib.sha256(repr((*parts, len(wanted), *form)).encode()).hexdigest()[:16]
    path = cache / f"{variant.id}-{split}-{view.name}-{key}.npy"
    if not path.is_file():
        layout = layout_of(owner_folder(variant.folder, variant.families))
        pairs = view_pairs(dataset, split, view, layout)[: wanted.size]
        stage = f"{variant.id} on {split} {view.name}"
        model = read_back(variant.folder, variant.families)
        if isinstance(model, Encoder) and not variant.ship:
            model = model.in_fast_products()
        found = model.scores(pairs, stage)
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, found.astype(np.float64).reshape(wanted.shape))
        partial.replace(path)
    loaded: Floats = np.load(path)
    return loaded
