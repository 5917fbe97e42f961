# SPDX-License-Identifier: Apache-2.0
"""Everything exported that can rank a test set: shipped variants and those only tried."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import View
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.engine_scores import EngineScorer, TextList
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


def view_texts(dataset: Dataset, split: str, view: View, count: int) -> Iterator[TextList]:
    """Yield the first ``count`` lists of one test set as texts, the right document first."""
    items, seed = dataset.items, dataset.snapshot.seed
    for row in dataset.lists[split][:count].tolist():
        documents = [view.document(items[i].paragraphs) for i in row]
        yield view.query(items[row[0]].synopsis, seed), documents


@dataclass(frozen=True)
class Scores:
    """Scores of variants on the test sets of a split, kept in ``cache``.

    ``queries`` limits the lists to the first ones. With ``tailor``, the C++ program computes what
    is missing, as a server would score it. Without it PyTorch does, what is not shipped in the
    products that are fast here (see Encoder.in_fast_products); scores of the engine that are in
    the cache come first even then.
    """

    dataset: Dataset
    split: str
    cache: Path
    queries: int | None = None
    tailor: Path | None = None

    def _path(self, variant: Variant, view: View, form: Sequence[str]) -> Path:
        key = weights_key(variant.folder, variant.families)
        parts = (key, self.dataset.snapshot.splits[self.split], self._count, *form)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        return self.cache / f"{variant.id}-{self.split}-{view.name}-{digest}.npy"

    @property
    def _count(self) -> int:
        return len(self.dataset.lists[self.split][: self.queries])

    def _by_engine_path(self, variant: Variant, view: View) -> Path:
        return self._path(variant, view, ["engine"])

    def is_engine_s(self, variant: Variant, view: View) -> bool:
        """Whether the engine computed what is kept of a variant."""
        return self._by_engine_path(variant, view).is_file()

    def of(self, variant: Variant, view: View) -> Floats:
        """Return [queries, 32] scores of a variant's exported weights."""
        path = self._by_engine_path(variant, view)
        if self.tailor is None and not path.is_file():
            path = self._path(variant, view, [] if variant.ship else ["fast products"])
        if not path.is_file():
            stage = f"{variant.id} on {self.split} {view.name}"
            self.cache.mkdir(parents=True, exist_ok=True)
            found = (
                self._by_torch(variant, view, stage)
                if self.tailor is None
                else self._by_engine(self.tailor, variant, view, stage)
            )
            partial = path.with_suffix(".partial.npy")
            np.save(partial, found.reshape(self._count, -1))
            partial.replace(path)
        loaded: Floats = np.load(path)
        return loaded

    def _by_engine(self, tailor: Path, variant: Variant, view: View, stage: str) -> Floats:
        owner = owner_folder(variant.folder, variant.families)
        texts = view_texts(self.dataset, self.split, view, self._count)
        with tempfile.TemporaryDirectory(dir=self.cache) as place:
            engine = EngineScorer(tailor, Path(place))
            return engine.scores(variant.folder, owner, texts, self._count, stage)

    def _by_torch(self, variant: Variant, view: View, stage: str) -> Floats:
        layout = layout_of(owner_folder(variant.folder, variant.families))
        size = self.dataset.lists[self.split].shape[1]
        pairs = view_pairs(self.dataset, self.split, view, layout)[: self._count * size]
        model = read_back(variant.folder, variant.families)
        if isinstance(model, Encoder) and not variant.ship:
            model = model.in_fast_products()
        return model.scores(pairs, stage).astype(np.float64)
