# SPDX-License-Identifier: Apache-2.0
"""Reading the archive: stanzas, paragraphs, the join, and what apt's failures look like."""

import subprocess
from pathlib import Path

import pytest

from tailor_compress.data.archive import ArchiveLists, fetch_lists
from tailor_compress.data.package import join_packages, paragraphs_of, stanzas
from tailor_compress.errors import TailorError

PACKAGES = """\
Package: zed
Source: zsource (1.2)
Section: non-free/games
Description: short
Description-md5: aa

Package: alpha
Section: net
Description-md5: bb

Package: untranslated
Description-md5: cc
"""

TRANSLATIONS = """\
Package: zed
Description-md5: aa
Description-en: A  game
 First line
   and a   verbatim one.
 .
 Second paragraph.

Package: alpha
Description-md5: bb
Description-en: A tool
 Text.
"""


def test_stanzas_keep_continuation_lines() -> None:
    first, *_ = stanzas(TRANSLATIONS)
    assert first["Description-en"].splitlines()[0] == "A  game"
    assert len(first["Description-en"].splitlines()) == 5


def test_paragraphs_end_at_single_dots() -> None:
    text = "\n One\n two.\n .\n .\n Three ... four.\n .\n"
    assert paragraphs_of(text) == ("One two.", "Three ... four.")


def test_join_on_the_md5_sorted_by_name() -> None:
    alpha, zed = join_packages(ArchiveLists(PACKAGES, TRANSLATIONS))
    assert (alpha.name, alpha.source, alpha.section) == ("alpha", "alpha", "net")
    assert (zed.source, zed.section, zed.synopsis) == ("zsource", "games", "A game")
    assert zed.paragraphs == ("First line and a verbatim one.", "Second paragraph.")


def test_nothing_to_join_is_an_error() -> None:
    with pytest.raises(TailorError, match="1 translations and no match"):
        join_packages(ArchiveLists(PACKAGES, "Description-md5: dd\nDescription-en: x\n y\n"))


class FakeApt:
    """Answers apt's commands; ``codename`` is the only release that the sources name."""

    def __init__(self, codename: str) -> None:
        self.codename = codename
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        self.commands.append(command)
        out = b""
        if "indextargets" in command and f"Codename: {self.codename}" in command:
            out = b"/lists/" + command[command.index("--format") + 2].split()[-1].encode()
        elif "cat-file" in command:
            out = {"/lists/Packages": PACKAGES, "/lists/Translations": TRANSLATIONS}[
                command[-1]
            ].encode()
        return subprocess.CompletedProcess(command, 0, out, b"")


def test_fetch_uses_a_private_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = FakeApt("bookworm")
    monkeypatch.setattr(subprocess, "run", apt)
    lists = fetch_lists(tmp_path / "apt", "bookworm")
    assert lists == ArchiveLists(PACKAGES, TRANSLATIONS)
    update = apt.commands[0]
    assert f"Dir::State::lists={tmp_path / 'apt' / 'lists'}" in update
    assert "Acquire::Languages=en" in update
    assert (tmp_path / "apt" / "lists" / "partial").is_dir()


def test_fetch_names_a_release_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", FakeApt("trixie"))
    with pytest.raises(TailorError, match="bookworm/main"):
        fetch_lists(tmp_path, "bookworm")


def test_fetch_reports_what_apt_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 100, b"", b"E: no route to host\n")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(TailorError, match="exit code 100: E: no route to host"):
        fetch_lists(tmp_path, "bookworm")


def test_fetch_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(subprocess, "run", missing)
    with pytest.raises(TailorError, match="no such program"):
        fetch_lists(tmp_path, "bookworm")
