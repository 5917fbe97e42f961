# SPDX-License-Identifier: Apache-2.0
"""The items of the task (one query with its right document) and their split by group."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tailor_compress.data.grouping import group_packages, without_boilerplate
from tailor_compress.data.package import Package

SPLITS = ("train", "dev", "test")
# 90/5/5: dev and test each hold about 1,500 groups, which resolves .01 nDCG@10 in a paired test.
_DEV_BELOW, _TEST_BELOW = 0.05, 0.10
_MIN_DOCUMENT_CHARS = 80
_MAX_ITEMS_PER_GROUP = 3
# Packages without a text of their own: symbols, translations, transitions, pure dependencies.
_SKIPPED_SECTIONS = frozenset({"debug", "localization", "oldlibs", "metapackages"})


@dataclass(frozen=True)
class Item:
    """A synopsis (the query) and the long description (the document) of one package."""

    name: str
    group: str
    section: str
    split: str
    synopsis: str
    paragraphs: tuple[str, ...]


def fraction(seed: int, key: str) -> float:
    """Map a key to [0, 1), the same on every machine and for every snapshot."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def split_of(seed: int, group: str) -> str:
    """Return the split of a group; groups that stay in the archive stay in their split."""
    at = fraction(seed, group)
    if at < _DEV_BELOW:
        return "dev"
    return "test" if at < _TEST_BELOW else "train"


def _usable(package: Package) -> bool:
    return (
        package.section not in _SKIPPED_SECTIONS
        and len(package.synopsis) > 0
        and sum(map(len, package.paragraphs)) >= _MIN_DOCUMENT_CHARS
    )


def make_items(packages: Sequence[Package], seed: int) -> list[Item]:
    """Group, thin out and split the packages; items are sorted by name.

    A group keeps at most three items with distinct synopses and distinct documents, those whose
    names hash lowest; it is named after its first package in alphabetical order.
    """
    packages = without_boilerplate(packages)
    groups = group_packages(packages)
    members: dict[str, list[Package]] = {}
    for package, root in zip(packages, groups, strict=True):
        if _usable(package):
            members.setdefault(packages[root].name, []).append(package)
    items: list[Item] = []
    for group, found in members.items():
        seen: set[object] = set()
        for package in sorted(found, key=lambda p: fraction(seed, p.name)):
            texts = {package.synopsis.lower(), package.paragraphs}
            if seen & texts:
                continue
            seen |= texts
            split = split_of(seed, group)
            items.append(
                Item(
                    name=package.name,
                    group=group,
                    section=package.section,
                    split=split,
                    synopsis=package.synopsis,
                    paragraphs=package.paragraphs,
                )
            )
            if len(seen) == 2 * _MAX_ITEMS_PER_GROUP:
                break
    return sorted(items, key=lambda item: item.name)
