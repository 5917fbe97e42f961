# SPDX-License-Identifier: Apache-2.0
"""Groups packages that share text, so that no text of the test split is seen in training.

Three rules join packages into a group: the same source (without the version digits in its name),
a shared long paragraph, and a large shared part of the five-word shingles.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from tailor_compress.data.package import Package

# Shorter paragraphs ("This package contains the documentation.") say nothing about kinship.
_PARAGRAPH_CHARS = 60
# A paragraph of this many sources is boilerplate: it would join unrelated groups.
_BOILERPLATE_SOURCES = 8
_SHINGLE_WORDS = 5
_CONTAINMENT = 0.3
# Shingles of more texts than this are phrases of the trade; their pairs would fill the memory.
_SHINGLE_MAX_TEXTS = 60

_WORD = re.compile(r"[a-z0-9]+")


class Partition:
    """Disjoint sets over 0..n-1 (union by smaller root, paths halved)."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def root(self, i: int) -> int:
        """Return the smallest member of the set of ``i``."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make the sets of ``i`` and ``j`` one."""
        a, b = sorted((self.root(i), self.root(j)))
        self._parent[b] = a

    def join_equal(self, keys: Iterable[tuple[int, Hashable]]) -> None:
        """Join all members that come with the same key."""
        first: dict[Hashable, int] = {}
        for i, key in keys:
            self.join(i, first.setdefault(key, i))


def words_of(text: str) -> list[str]:
    """Return the lower-case runs of letters and digits."""
    return _WORD.findall(text.lower())


def unversioned(source: str) -> str:
    """Drop version digits from a source name: llvm-toolchain-14 and -15 are one work."""
    return re.sub(r"[-.]?\d[\d.]*", "", source) or source


def without_boilerplate(packages: Sequence[Package]) -> list[Package]:
    """Drop long paragraphs that occur in many sources; they describe no package."""
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for package in packages:
        for paragraph in package.paragraphs:
            if len(paragraph) >= _PARAGRAPH_CHARS:
                sources[paragraph].add(unversioned(package.source))
    boilerplate = {p for p, found in sources.items() if len(found) >= _BOILERPLATE_SOURCES}
    return [
        replace(package, paragraphs=tuple(p for p in package.paragraphs if p not in boilerplate))
        for package in packages
    ]


def _shingles(package: Package) -> set[tuple[str, ...]]:
    words = words_of(" ".join(package.paragraphs))
    starts = range(len(words) - _SHINGLE_WORDS + 1)
    return {tuple(words[i : i + _SHINGLE_WORDS]) for i in starts}


def _contained_pairs(packages: Sequence[Package]) -> Iterable[tuple[int, int]]:
    """Yield pairs (i, j) where one text holds at least 30 % of the other's shingles."""
    sets = [_shingles(package) for package in packages]
    counts = Counter(shingle for found in sets for shingle in found)
    column: dict[tuple[str, ...], int] = {}
    for shingle, count in counts.items():
        if 2 <= count <= _SHINGLE_MAX_TEXTS:
            column[shingle] = len(column)
    indices = [sorted(column[s] for s in found if s in column) for found in sets]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in indices])])
    flat = np.array([c for row in indices for c in row], dtype=np.int64)
    rows = sparse.csr_matrix(
        (np.ones(len(flat), dtype=np.int32), flat, indptr), shape=(len(sets), max(len(column), 1))
    )
    sizes = np.array([max(len(found), 1) for found in sets])
    chunk = 4096
    for start in range(0, len(sets), chunk):
        shared = (rows[start : start + chunk] @ rows.T).tocoo()
        i, j = shared.row + start, shared.col
        close = (i < j) & (shared.data >= _CONTAINMENT * np.minimum(sizes[i], sizes[j]))
        yield from zip(i[close].tolist(), j[close].tolist(), strict=True)


def group_packages(packages: Sequence[Package]) -> list[int]:
    """Return for each package its group: the smallest index among the packages joined to it."""
    partition = Partition(len(packages))
    partition.join_equal((i, unversioned(p.source)) for i, p in enumerate(packages))
    partition.join_equal(
        (i, paragraph.lower())
        for i, p in enumerate(packages)
        for paragraph in p.paragraphs
        if len(paragraph) >= _PARAGRAPH_CHARS
    )
    # Equal texts are one row of the shingle product, which halves its size.
    first: dict[tuple[str, ...], int] = {}
    for i, package in enumerate(packages):
        partition.join(i, first.setdefault(package.paragraphs, i) if package.paragraphs else i)
    distinct = sorted(first.values())
    for i, j in _contained_pairs([packages[k] for k in distinct]):
        partition.join(distinct[i], distinct[j])
    return [partition.root(i) for i in range(len(packages))]
