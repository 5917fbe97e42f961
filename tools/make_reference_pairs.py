#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes models/packages/reference_pairs.jsonl: made-up queries and documents with a fixed seed.

The texts are of the kind that the family ranks, and none of them is of its corpus. Half of the
documents fit their query; lengths run from one word to far beyond the longest pair, and some texts
have accents, other scripts, digits and punctuation, so that tokenizer and truncation are held too.

Usage: tools/make_reference_pairs.py [OUT]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

PAIRS = 256
SEED = 20

KINDS = [
    "viewer",
    "converter",
    "library",
    "daemon",
    "game",
    "editor",
    "compiler",
    "monitor",
    "front end",
    "plugin",
    "parser",
    "scheduler",
    "simulator",
    "indexer",
    "proxy",
    "font",
]
THINGS = [
    "star charts",
    "sheet music",
    "tax tables",
    "river gauges",
    "chess endings",
    "log files",
    "bus timetables",
    "seismic traces",
    "knitting patterns",
    "mail folders",
    "disk images",
    "protein chains",
    "crossword grids",
    "weather radar",
    "bar codes",
    "court records",
    "audio loops",
    "satellite passes",
    "vineyard ledgers",
    "train signals",
]
WAYS = [
    "on the command line",
    "in the browser",
    "with little memory",
    "for small offices",
    "without a network",
    "over a serial line",
    "in real time",
    "for teachers",
    "at night",
    "for embedded boards",
    "with voice control",
    "in many languages",
]
PARTS = [
    "It reads {thing} from plain text or from a compressed archive.",
    "Results can be printed, mailed or kept in a small database.",
    "A {kind} of this sort saves its user from writing scripts for {thing}.",
    "The rules are kept in one file that may be shared between machines.",
    "Version {n}.{m} added support for {thing} and removed the old menu.",
    "Nothing is sent anywhere; all work is done {way}.",
    "Keyboard shortcuts follow those of common editors.",
    "This part holds the {kind}; its manual is kept apart.",
    "With {n} workers it handles about {m}00 entries a second.",
    "Those who care for {thing} will want the {kind} as well.",
]
ODD = ["naïve café façade über-fast", "日本語 の 説明", "C++/C# & F# (v2.0~rc1+ds)", "x", "?!",
       "αβγ δοκιμή", "e-mail@example.org:8080/path?q=1", "supercalifragilisticexpialidocious" * 3,
       "1234567890 0x1F 3.14159", "Ελληνικά, русский, العربية", "tab\tand  double  spaces",
       "emoji 🙂🚀 and ½ ¼"]  # fmt: skip


def sentence(rng: random.Random, thing: str, kind: str) -> str:
    """Return a sentence about a thing and a kind of program."""
    return rng.choice(PARTS).format(
        thing=thing, kind=kind, way=rng.choice(WAYS), n=rng.randint(1, 9), m=rng.randint(1, 40)
    )


def pair(rng: random.Random, number: int) -> dict[str, str]:
    """Return pair `number`."""
    thing, kind, way = rng.choice(THINGS), rng.choice(KINDS), rng.choice(WAYS)
    query = f"{kind} for {thing} {way}" if number % 3 else f"{thing} {kind}"
    if number % 2:
        thing, kind = rng.choice(THINGS), rng.choice(KINDS)
    length = rng.choice((1, 1, 2, 3, 5, 8)) if number % 16 else 60
    document = " ".join(
        [f"A {kind} that works with {thing}.", *(sentence(rng, thing, kind) for _ in range(length))]
    )
    if number % 13 == 0:
        query = f"{query} {rng.choice(ODD)}"
    if number % 11 == 0:
        document = f"{rng.choice(ODD)} {document}"
    if number % 64 == 1:
        query, document = rng.choice(ODD), rng.choice(ODD)
    if number % 64 == 2:  # A query so long that both parts are cut.
        query = " ".join(rng.choice(KINDS + THINGS) for _ in range(150))
    return {"query": query, "document": document}


def main() -> None:
    """Write the file."""
    root = Path(__file__).resolve().parent.parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "models/packages/reference_pairs.jsonl"
    rng = random.Random(SEED)
    lines = [json.dumps(pair(rng, number), ensure_ascii=False) for number in range(PAIRS)]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
