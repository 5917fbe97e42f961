# SPDX-License-Identifier: Apache-2.0
"""Wrong candidates: hard ones by BM25, related ones by section, easy ones at random."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.bm25 import Bm25
from tailor_compress.data.items import Item, fraction
from tailor_compress.data.views import whole
from tailor_compress.progress import Progress

# A list of the dev and test sets: the right document first, then 31 wrong ones.
LIST_SIZE = 32
_BY_BM25, _BY_SECTION = 16, 8
TRAIN_HARD = 20
_CHUNK = 512


def _hardest(
    items: Sequence[Item], queries: Sequence[int], pool: Sequence[int], k: int, stage: str
) -> NDArray[np.int32]:
    """Return [len(queries), k]: the pool's best documents by BM25 outside the query's group."""
    index = Bm25([whole(items[i].paragraphs) for i in pool])
    group_ids = {group: n for n, group in enumerate(sorted({item.group for item in items}))}
    groups = np.array([group_ids[items[i].group] for i in pool])
    pool_ids = np.array(pool, dtype=np.int32)
    found = []
    with Progress(stage, len(queries), unit="query") as progress:
        for start in range(0, len(queries), _CHUNK):
            chunk = queries[start : start + _CHUNK]
            scores = index.scores([items[i].synopsis for i in chunk])
            own = np.array([group_ids[items[i].group] for i in chunk])
            scores[groups[None, :] == own[:, None]] = -1.0
            # A stable sort: equal scores keep the order of the pool on every machine.
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            found.append(pool_ids[best])
            progress.advance(len(chunk))
    return np.concatenate(found)


def training_negatives(items: Sequence[Item], train: Sequence[int]) -> NDArray[np.int32]:
    """Return [len(train), 20]: for each training item the hardest others of the training split.

    With fewer than 21 groups the list ends with documents of the own group; such a corpus is
    refused by the caller.
    """
    return _hardest(items, train, train, TRAIN_HARD, "hard negatives")


def query_items(items: Sequence[Item], split: str, seed: int) -> list[int]:
    """Return one item per group of the split: the one whose name hashes lowest."""
    chosen: dict[str, int] = {}
    for i, item in enumerate(items):
        if item.split != split:
            continue
        other = chosen.get(item.group)
        if other is None or fraction(seed, item.name) < fraction(seed, items[other].name):
            chosen[item.group] = i
    return sorted(chosen.values())


def _draw(
    chosen: list[int], source: Sequence[int], size: int, items: Sequence[Item], rng: random.Random
) -> None:
    """Extend ``chosen`` at random from ``source`` to at most ``size``, own group left out."""
    group = items[chosen[0]].group
    taken = set(chosen)
    free = [i for i in source if i not in taken and items[i].group != group]
    chosen.extend(rng.sample(free, max(0, min(size - len(chosen), len(free)))))


def evaluation_lists(items: Sequence[Item], queries: Sequence[int], seed: int) -> NDArray[np.int32]:
    """Return [len(queries), 32]: the right item, 16 by BM25, 8 of its section, 7 at random.

    Wrong candidates come from other groups of the dev and test splits only, so that no document
    of a list was trained on. A section with fewer than eight others is filled up at random.
    """
    pool = [i for i, item in enumerate(items) if item.split != "train"]
    sections: dict[str, list[int]] = {}
    for i in pool:
        sections.setdefault(items[i].section, []).append(i)
    hardest = _hardest(items, queries, pool, _BY_BM25, "evaluation lists")
    lists = np.empty((len(queries), LIST_SIZE), dtype=np.int32)
    for row, query in enumerate(queries):
        rng = random.Random(f"{seed}:candidates:{items[query].name}")
        chosen = [query, *hardest[row].tolist()]
        _draw(chosen, sections[items[query].section], 1 + _BY_BM25 + _BY_SECTION, items, rng)
        _draw(chosen, pool, LIST_SIZE, items, rng)
        lists[row] = chosen
    return lists
