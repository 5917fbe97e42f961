# SPDX-License-Identifier: Apache-2.0
"""The demonstration's documents: what is read from a translation file, and what is chosen."""

from __future__ import annotations

from pathlib import Path

import fetch_documents
import pytest
from fetch_documents import Document, FetchError

TRANSLATIONS = """\
Package: player
Description-md5: 1
Description-en: a music player
 Plays music
 from the command line.
 .
 Supports   many formats.

Package: empty
Description-md5: 2
Description-en: only a synopsis

Package: other
Description-de: nicht englisch
 Das hier nicht.
"""


def test_joins_the_lines_and_leaves_the_synopsis_out() -> None:
    # The synopsis would give the answer away; a dot line ends a paragraph and is no text.
    assert list(fetch_documents.parse_translations(TRANSLATIONS)) == [
        Document("player", "Plays music from the command line. Supports many formats.")
    ]


def corpus() -> list[Document]:
    """Packages with long enough texts; only two speak of duplicate files."""
    filler = "neither short nor of any use to the query, but long enough to be taken as a text"
    documents = [Document(f"p{i}", f"number {i} is {filler}") for i in range(60)]
    documents.append(Document("finder", f"finds duplicate files on the disk, {filler}"))
    documents.append(Document("finder-gui", f"finds duplicate files on a screen, {filler}"))
    return documents


def test_the_best_matches_come_first() -> None:
    best = fetch_documents.best_documents("find duplicate files", corpus(), 5)
    assert {document.name for document in best[:2]} == {"finder", "finder-gui"}
    assert len(best) == 5


def test_the_same_opening_is_taken_once() -> None:
    twins = [Document(name, "x" * 60 + name) for name in ("a", "b")] + corpus()
    names = [d.name for d in fetch_documents.best_documents("find", twins, len(twins))]
    assert "a" in names
    assert "b" not in names


def test_uninteresting_packages_are_left_out() -> None:
    text = "find duplicate files " * 10
    packages = [Document("finder-dbg", text), Document("short", "find"), *corpus()]
    for entry in fetch_documents.candidates_for(["find duplicate files"], packages):
        assert len(entry.documents) == fetch_documents.DOCUMENTS_PER_QUERY
        assert not {d.name for d in entry.documents} & {"finder-dbg", "short"}


def test_too_few_descriptions_are_an_error() -> None:
    with pytest.raises(FetchError, match="expected at least 32 package descriptions, got 1"):
        fetch_documents.candidates_for(["q"], [Document("one", "x" * 100)])


def test_a_file_serves_every_query(tmp_path: Path) -> None:
    file = tmp_path / "documents.txt"
    file.write_bytes(b"first\r\n\nsecond  one\n" + b"more\n" * 50)
    entries = fetch_documents.query_documents(file)
    assert [entry.query for entry in entries] == list(fetch_documents.QUERIES)
    assert [d.text for d in entries[0].documents[:2]] == ["first", "second one"]
    assert len(entries[0].documents) == fetch_documents.DOCUMENTS_PER_QUERY


def test_a_bad_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="cannot read"):
        fetch_documents.query_documents(tmp_path / "none")
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(FetchError, match="got none"):
        fetch_documents.query_documents(tmp_path / "empty")


def test_fetches_once_then_reads_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []

    def fake_fetch(state: Path) -> str:
        fetched.append(state)
        return "\n\n".join(f"Package: {d.name}\nDescription-en: s\n {d.text}" for d in corpus())

    monkeypatch.setattr(fetch_documents, "STATE", tmp_path)
    monkeypatch.setattr(fetch_documents, "fetch_translations", fake_fetch)
    first = fetch_documents.query_documents(None)
    again = fetch_documents.query_documents(None)
    assert first == again
    assert len(fetched) == 1
    (tmp_path / "documents.json").write_text("[{}]")  # damaged: fetch again
    assert fetch_documents.query_documents(None) == first
    assert len(fetched) == 2


def test_a_failing_apt_is_one_line_with_a_way_out() -> None:
    with pytest.raises(FetchError, match=r"no program .*DOCS=FILE"):
        fetch_documents.run_apt(["/no/such/apt-get"])
    with pytest.raises(FetchError, match=r"failed: oh no; check the network .*DOCS=FILE"):
        fetch_documents.run_apt(["sh", "-c", "echo first >&2; echo oh no >&2; exit 100"])
