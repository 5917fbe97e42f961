# SPDX-License-Identifier: Apache-2.0
"""The finished task on disk: items, lists and hard negatives, identified by hashes."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.candidates import (
    LIST_SIZE,
    TRAIN_HARD,
    evaluation_lists,
    query_items,
    training_negatives,
)
from tailor_compress.data.items import SPLITS, Item, make_items
from tailor_compress.data.package import Package
from tailor_compress.errors import TailorError

_ITEMS, _ARRAYS, SNAPSHOT = "items.jsonl", "lists.npz", "snapshot.json"


@dataclass(frozen=True)
class Snapshot:
    """What the data was made from and what came out, by SHA-256."""

    release: str
    seed: int
    corpus: str
    splits: dict[str, str]
    counts: dict[str, int]

    @property
    def id(self) -> str:
        """A short name of the data for variant.json and the report."""
        return f"{self.release}-{self.corpus[:12]}"

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """Read a snapshot record. Raises TailorError when it is not one."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise TailorError(
                f"a snapshot record in {path}", str(error), "run `tailor-compress data`"
            ) from error


@dataclass(frozen=True)
class Dataset:
    """The task.

    ``lists[split]`` is [queries, 32] int32 item indices with the right item in column 0, for dev
    and test; ``train`` is [n] item indices and ``negatives`` [n, 20] the hard ones of each.
    """

    items: list[Item]
    train: NDArray[np.int32]
    negatives: NDArray[np.int32]
    lists: dict[str, NDArray[np.int32]]
    snapshot: Snapshot

    def save(self, folder: Path) -> None:
        """Write the task below ``folder``; the snapshot record last, as the mark of completion."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SNAPSHOT).unlink(missing_ok=True)
        with (folder / _ITEMS).open("w", encoding="utf-8") as out:
            for item in self.items:
                out.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
        np.savez(
            folder / _ARRAYS,
            train=self.train,
            negatives=self.negatives,
            dev=self.lists["dev"],
            test=self.lists["test"],
        )
        (folder / SNAPSHOT).write_text(json.dumps(asdict(self.snapshot), indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Dataset":
        """Read the task back. Raises TailorError when ``folder`` holds none."""
        snapshot = Snapshot.read(folder / SNAPSHOT)
        with (folder / _ITEMS).open(encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        items = [
            Item(**{**record, "paragraphs": tuple(record["paragraphs"])}) for record in records
        ]
        with np.load(folder / _ARRAYS) as arrays:
            return cls(
                items=items,
                train=arrays["train"],
                negatives=arrays["negatives"],
                lists={split: arrays[split] for split in ("dev", "test")},
                snapshot=snapshot,
            )


def _sha256(records: Sequence[object]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps(record, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _split_hash(items: Sequence[Item], split: str, lists: NDArray[np.int32] | None) -> str:
    """Hash the texts of a split and, for dev and test, the names in every list."""
    texts = [(i.name, i.synopsis, i.paragraphs) for i in items if i.split == split]
    names = [] if lists is None else [[items[i].name for i in row] for row in lists.tolist()]
    return _sha256([*texts, *names])


def build_dataset(packages: Sequence[Package], release: str, seed: int) -> Dataset:
    """Make the task from joined packages; the same packages and seed give the same task.

    Raises TailorError when the corpus has too few groups to fill the candidate lists.
    """
    items = make_items(packages, seed)
    groups = {split: len({i.group for i in items if i.split == split}) for split in SPLITS}
    if groups["train"] <= TRAIN_HARD or groups["dev"] + groups["test"] <= LIST_SIZE + 1:
        raise TailorError(
            f"more than {TRAIN_HARD} training groups and {LIST_SIZE + 1} dev and test groups",
            ", ".join(f"{n} {split}" for split, n in groups.items()),
            "use a corpus with more sources",
        )
    train = [i for i, item in enumerate(items) if item.split == "train"]
    lists = {
        split: evaluation_lists(items, query_items(items, split, seed), seed)
        for split in ("dev", "test")
    }
    counts = {
        "packages": len(packages),
        "items": len(items),
        **{f"{split}_groups": n for split, n in groups.items()},
        **{f"{split}_items": n for split, n in Counter(item.split for item in items).items()},
    }
    snapshot = Snapshot(
        release=release,
        seed=seed,
        corpus=_sha256([asdict(package) for package in packages]),
        splits={split: _split_hash(items, split, lists.get(split)) for split in SPLITS},
        counts=counts,
    )
    return Dataset(
        items=items,
        train=np.array(train, dtype=np.int32),
        negatives=training_negatives(items, train),
        lists=lists,
        snapshot=snapshot,
    )
