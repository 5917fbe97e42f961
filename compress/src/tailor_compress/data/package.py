# SPDX-License-Identifier: Apache-2.0
"""One package with its synopsis and long description, joined from the two archive lists."""

from collections.abc import Iterator
from dataclasses import dataclass

from tailor_compress.data.archive import ArchiveLists
from tailor_compress.errors import TailorError


@dataclass(frozen=True)
class Package:
    """A binary package; ``paragraphs`` is its long description, white space normalised."""

    name: str
    source: str
    section: str
    synopsis: str
    paragraphs: tuple[str, ...]


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a Debian control file; continuation lines keep their line breaks."""
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                if name:
                    fields[name] += "\n" + line
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def paragraphs_of(description: str) -> tuple[str, ...]:
    """Split the continuation lines of a description at the lines that hold a single dot."""
    paragraphs: list[list[str]] = [[]]
    for line in description.splitlines():
        if line.strip() == ".":
            paragraphs.append([])
        else:
            paragraphs[-1].extend(line.split())
    return tuple(" ".join(words) for words in paragraphs if words)


def join_packages(lists: ArchiveLists) -> list[Package]:
    """Join package stanzas with their English text on Description-md5, sorted by name.

    A package without an English text is left out. Raises TailorError when nothing joins.
    """
    texts = {
        stanza["Description-md5"]: stanza["Description-en"]
        for stanza in stanzas(lists.translations)
        if "Description-md5" in stanza and "Description-en" in stanza
    }
    packages: dict[str, Package] = {}
    for stanza in stanzas(lists.packages):
        text = texts.get(stanza.get("Description-md5", ""))
        if text is None:
            continue
        synopsis, _, description = text.partition("\n")
        name = stanza["Package"]
        packages[name] = Package(
            name=name,
            source=stanza.get("Source", name).split(" ")[0],
            section=stanza.get("Section", "").rpartition("/")[2],
            synopsis=" ".join(synopsis.split()),
            paragraphs=paragraphs_of(description),
        )
    if not packages:
        raise TailorError(
            "packages whose Description-md5 occurs in the translations",
            f"{len(texts)} translations and no match",
            "delete the state folder and fetch again",
        )
    return [packages[name] for name in sorted(packages)]
