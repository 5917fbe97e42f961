#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds real documents for the demonstration: Debian's package descriptions, 32 for each query.

The long descriptions come through apt with its own options into a private state folder: slim images
switch them off, and the machine's own lists stay as they are. No text is kept in the repository.
Without a network a file with one document a line serves every query.

Usage: tools/fetch_documents.py [--documents FILE] [--refresh]
Prints JSON: [{"query", "documents": [{"name", "text"}]}]
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".cache" / "demo"
APT_HELPER = "/usr/lib/apt/apt-helper"
APT_TIMEOUT_S = 300

QUERIES = (
    "play music files from the command line",
    "find duplicate files and free disk space",
    "C++ library to read and write JSON",
)
DOCUMENTS_PER_QUERY = 32

# Packages whose descriptions only point to others.
UNINTERESTING = re.compile(r"-(dbg|dbgsym|l10n-.*|doc|docs|locale-.*|data)$|^task-")
MIN_CHARACTERS = 80


class FetchError(Exception):
    """One line: what failed, and what to do about it."""


@dataclass(frozen=True)
class Document:
    """A package and its long description on one line."""

    name: str
    text: str


@dataclass(frozen=True)
class QueryDocuments:
    """A query with the documents to rank for it."""

    query: str
    documents: list[Document]


def parse_translations(text: str) -> Iterator[Document]:
    """Yields the packages of a Translation-en file with their long descriptions.

    The first line of a description is the synopsis, which is left out: it would give the answer
    away. Continuation lines start with a blank, a lone dot ends a paragraph.
    """
    for stanza in text.split("\n\n"):
        name = ""
        lines: list[str] = []
        in_description = False
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                if in_description and line.strip() != ".":
                    lines.append(line.strip())
                continue
            key, _, value = line.partition(":")
            in_description = key == "Description-en"
            if key == "Package":
                name = value.strip()
        if name and lines:
            yield Document(name, " ".join(" ".join(lines).split()))


def words_of(text: str) -> list[str]:
    """Lower-case words, plural s cut off, so that file meets files."""
    words = re.findall(r"[a-z0-9+]+", text.lower())
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words]


def best_documents(query: str, documents: list[Document], count: int) -> list[Document]:
    """The `count` best of different texts by BM25 (k1 1.2, b 0.75), best first."""
    terms = set(words_of(query))
    counts: list[Counter[str]] = []
    lengths: list[int] = []
    containing: Counter[str] = Counter()
    for document in documents:
        words = words_of(document.text)
        found = Counter(word for word in words if word in terms)
        counts.append(found)
        lengths.append(len(words))
        containing.update(found.keys())
    total = max(1, len(documents))
    mean_length = sum(lengths) / total or 1.0
    idf = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in containing.items()}

    def score(index: int) -> float:
        norm = 1.2 * (0.25 + 0.75 * lengths[index] / mean_length)
        return sum(idf[term] * n * 2.2 / (n + norm) for term, n in counts[index].items())

    ranked = sorted(range(len(documents)), key=lambda i: (-score(i), documents[i].name))
    best: list[Document] = []
    openings: set[str] = set()
    for index in ranked:
        # Packages of one source often differ only in their last paragraph.
        opening = documents[index].text[:60]
        if opening not in openings:
            openings.add(opening)
            best.append(documents[index])
        if len(best) == count:
            break
    return best


def run_apt(command: list[str]) -> str:
    """Runs an apt program; FetchError with its last line when it fails."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=APT_TIMEOUT_S)
    except FileNotFoundError as error:
        raise FetchError(
            f"no program {command[0]}: this needs Debian or a system derived from it; name a file "
            "of documents instead (make demo DOCS=FILE)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"{command[0]} did not end within {APT_TIMEOUT_S} s: no network? Name a file of "
            "documents instead (make demo DOCS=FILE)"
        ) from error
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FetchError(
            f"{' '.join(command[:1] + command[-1:])} failed: "
            f"{detail[-1] if detail else 'no message'}; check the network and the apt sources, run "
            "as root, or name a file of documents (make demo DOCS=FILE)"
        )
    return done.stdout.decode("utf-8", "replace")


def fetch_translations(state: Path) -> str:
    """Fetches the English long descriptions of the machine's apt sources below `state`."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = [
        *("-o", "Acquire::Languages=en"),
        *("-o", f"Dir::State::lists={state / 'lists'}"),
        *("-o", f"Dir::Cache={state / 'cache'}"),
    ]
    run_apt(["apt-get", *options, "update"])
    selection = ["indextargets", "--format", "$(FILENAME)", "Created-By: Translations"]
    files = run_apt(["apt-get", *options, *selection]).split()
    if not files:
        raise FetchError(
            "the apt sources of this machine have no English descriptions; name a file of "
            "documents instead (make demo DOCS=FILE)"
        )
    return "\n\n".join(run_apt([APT_HELPER, "cat-file", file]) for file in files)


def candidates_for(queries: Iterable[str], packages: Iterable[Document]) -> list[QueryDocuments]:
    """The documents of each query out of all packages."""
    usable = [
        package
        for package in packages
        if len(package.text) >= MIN_CHARACTERS and not UNINTERESTING.search(package.name)
    ]
    if len(usable) < DOCUMENTS_PER_QUERY:
        raise FetchError(
            f"expected at least {DOCUMENTS_PER_QUERY} package descriptions, got {len(usable)}"
        )
    return [QueryDocuments(q, best_documents(q, usable, DOCUMENTS_PER_QUERY)) for q in queries]


def documents_from_file(path: Path) -> list[QueryDocuments]:
    """The first 32 lines of a file that are not empty, for every query."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise FetchError(f"cannot read {path}: {error.strerror}") from error
    texts = [" ".join(line.split()) for line in lines if line.strip()][:DOCUMENTS_PER_QUERY]
    if not texts:
        raise FetchError(f"{path}: expected one document a line, got none")
    documents = [Document(f"line {number}", text) for number, text in enumerate(texts, 1)]
    return [QueryDocuments(query, documents) for query in QUERIES]


def load_cached(path: Path) -> list[QueryDocuments] | None:
    """What an earlier run has found, if it was for the same queries."""
    try:
        entries = json.loads(path.read_text("utf-8"))
        found = [
            QueryDocuments(entry["query"], [Document(**item) for item in entry["documents"]])
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if tuple(entry.query for entry in found) == QUERIES else None


def query_documents(file: Path | None, refresh: bool = False) -> list[QueryDocuments]:
    """The documents of every query: from `file`, from an earlier run, or from the archive."""
    if file is not None:
        return documents_from_file(file)
    cache = STATE / "documents.json"
    cached = None if refresh else load_cached(cache)
    if cached is not None:
        return cached
    print("fetching Debian's package descriptions through apt", file=sys.stderr, flush=True)
    found = candidates_for(QUERIES, parse_translations(fetch_translations(STATE)))
    cache.write_text(json.dumps([asdict(entry) for entry in found], indent=1), "utf-8")
    return found


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=Path, help="file with one document a line")
    parser.add_argument("--refresh", action="store_true", help="fetch again")
    arguments = parser.parse_args()
    try:
        found = query_documents(arguments.documents, arguments.refresh)
    except FetchError as error:
        print(f"fetch_documents: {error}", file=sys.stderr)
        return 1
    print(json.dumps([asdict(entry) for entry in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
