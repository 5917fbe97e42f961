# SPDX-License-Identifier: Apache-2.0
"""The task: groups, splits, views and candidates, above all that nothing leaks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import write_archive

from tailor_compress.data.bm25 import Bm25
from tailor_compress.data.candidates import LIST_SIZE
from tailor_compress.data.dataset import Dataset, build_dataset
from tailor_compress.data.grouping import group_packages, unversioned, without_boilerplate
from tailor_compress.data.items import make_items, split_of
from tailor_compress.data.package import Package, join_packages
from tailor_compress.data.views import VIEWS, last_index
from tailor_compress.errors import TailorError
from tailor_compress.stages import read_lists

LONG = "a paragraph that is long enough to say that two packages are kin, not by chance"


def package(name: str, *paragraphs: str, source: str = "", synopsis: str = "") -> Package:
    return Package(name, source or name, "misc", synopsis or f"synopsis of {name}", paragraphs)


def test_no_group_is_in_two_splits(dataset: Dataset) -> None:
    splits: dict[str, set[str]] = {}
    for item in dataset.items:
        splits.setdefault(item.group, set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {next(iter(found)) for found in splits.values()} == {"train", "dev", "test"}


def test_no_long_paragraph_is_in_two_splits(dataset: Dataset) -> None:
    splits: dict[str, set[str]] = {}
    for item in dataset.items:
        for paragraph in item.paragraphs:
            if len(paragraph) >= 60:
                splits.setdefault(paragraph.lower(), set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())


def test_candidates_never_come_from_training_or_the_own_group(dataset: Dataset) -> None:
    for split in ("dev", "test"):
        for row in dataset.lists[split].tolist():
            assert len(set(row)) == LIST_SIZE
            query, *wrong = (dataset.items[i] for i in row)
            assert query.split == split
            assert all(item.split != "train" for item in wrong)
            assert all(item.group != query.group for item in wrong)


def test_one_query_per_group(dataset: Dataset) -> None:
    groups = [dataset.items[i].group for i in dataset.lists["test"][:, 0].tolist()]
    assert len(groups) == len(set(groups)) == dataset.snapshot.counts["test_groups"]


def test_hard_negatives_are_training_items_of_other_groups(dataset: Dataset) -> None:
    assert dataset.negatives.shape == (len(dataset.train), 20)
    for own, row in zip(dataset.train.tolist(), dataset.negatives.tolist(), strict=True):
        found = [dataset.items[i] for i in row]
        assert all(item.split == "train" for item in found)
        assert all(item.group != dataset.items[own].group for item in found)


def test_same_archive_same_task_other_archive_other_hash(dataset: Dataset, tmp_path: Path) -> None:
    again = build_dataset(
        join_packages(read_lists(write_archive(tmp_path / "same"))), "madeup", seed=1
    )
    assert again.snapshot == dataset.snapshot
    np.testing.assert_array_equal(again.lists["test"], dataset.lists["test"])
    other = build_dataset(
        join_packages(read_lists(write_archive(tmp_path / "other", seed=2))), "madeup", seed=1
    )
    assert other.snapshot.corpus != dataset.snapshot.corpus
    assert other.snapshot.splits["test"] != dataset.snapshot.splits["test"]


def test_dataset_comes_back_from_disk(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    found = Dataset.load(tmp_path)
    assert found.items == dataset.items
    assert found.snapshot == dataset.snapshot
    np.testing.assert_array_equal(found.negatives, dataset.negatives)


def test_missing_dataset_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(TailorError, match="run `tailor-compress data`"):
        Dataset.load(tmp_path)


def test_a_corpus_too_small_is_refused(tmp_path: Path) -> None:
    lists = write_archive(tmp_path, sources=40)
    with pytest.raises(TailorError, match="more than 20 training groups"):
        build_dataset(join_packages(read_lists(lists)), "madeup", seed=1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("llvm-toolchain-14", "llvm-toolchain"), ("gtk+3.0", "gtk+"), ("zlib", "zlib"), ("9", "9")],
)
def test_source_without_version(source: str, expected: str) -> None:
    assert unversioned(source) == expected


def test_kin_by_source_paragraph_and_shingles() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    packages = [
        package("a", "text of a", source="lib1"),
        package("b", "text of b", source="lib2"),
        package("c", "other", LONG),
        package("d", LONG.upper()),
        package("e", f"{words} and then some words of its own that nobody else would use here"),
        package("f", f"before it came this {words}"),
        package("g", "one two three four and nothing else in common with the two above it"),
    ]
    assert group_packages(packages) == [0, 0, 2, 2, 4, 4, 6]


def test_short_shared_paragraphs_join_nothing() -> None:
    packages = [package("a", "Common words."), package("b", "Common words.", "more")]
    assert group_packages(packages) == [0, 1]


def test_boilerplate_goes_and_joins_nothing() -> None:
    packages = [package(chr(ord("a") + i) * 2, f"own text {i}", LONG) for i in range(8)]
    cleaned = without_boilerplate(packages)
    assert all(LONG not in p.paragraphs for p in cleaned)
    assert len(set(group_packages(cleaned))) == 8
    assert without_boilerplate(packages[:7]) == packages[:7]


def test_a_group_keeps_three_distinct_items() -> None:
    packages = [
        package(f"pkg-{c}", f"{LONG} {c} of its own", source="same", synopsis=f"synopsis {c}")
        for c in "abcdef"
    ]
    packages.append(replace(packages[0], name="pkg-twin"))
    items = make_items(packages, seed=1)
    assert len(items) == 3
    assert len({item.synopsis for item in items}) == 3
    assert {item.group for item in items} == {"pkg-a"}


def test_packages_without_a_text_of_their_own_are_left_out() -> None:
    packages = [
        package("short", "Too short."),
        replace(package("symbols", LONG * 2), section="debug"),
        package("kept", LONG + " twice"),
    ]
    assert [item.name for item in make_items(packages, seed=1)] == ["kept"]


def test_splits_have_their_shares() -> None:
    found = [split_of(1, f"group{i}") for i in range(4000)]
    assert found.count("dev") / 4000 == pytest.approx(0.05, abs=0.012)
    assert found.count("test") / 4000 == pytest.approx(0.05, abs=0.012)


def test_bm25_by_hand() -> None:
    index = Bm25(["red fish", "blue fish fish", "green"])
    scores = index.scores(["blue fish", "absent"])
    idf_blue, idf_fish = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)

    def weight(tf: int, length: int) -> float:
        return tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / 2))

    expected = [
        idf_fish * weight(1, 2),
        idf_blue * weight(1, 3) + idf_fish * weight(2, 3),
        0.0,
    ]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(scores[1], [0, 0, 0])


def test_views() -> None:
    long = "x" * 80
    paragraphs = ("first", long, "short end")
    shown = {name: view.document(paragraphs) for name, view in VIEWS.items()}
    assert shown["A"] == shown["C"] == f"first {long} short end"
    assert shown["B"] == shown["E"] == long
    assert shown["D"] == f"{long} short end"
    assert VIEWS["D"].document(("only",)) == "only"
    assert last_index(("longer one", "short")) == 0


def test_dropped_words_are_a_fixed_choice() -> None:
    synopsis = "one two three four five six"
    half = VIEWS["C"].query(synopsis, seed=1)
    assert half == VIEWS["C"].query(synopsis, seed=1)
    assert len(half.split()) == 3
    order = synopsis.split()
    assert sorted(half.split(), key=order.index) == half.split()
    assert VIEWS["A"].query(synopsis, seed=1) == synopsis
    assert VIEWS["C"].query("word", seed=1) == "word"
