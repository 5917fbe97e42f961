# SPDX-License-Identifier: Apache-2.0
"""Texts whose pairs have a known number of tokens: whole words of a family's vocabulary."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

QUERY_WORDS = 8
SPECIAL_TOKENS = 3  # [CLS] query [SEP] document [SEP]
LENGTH_SIGMA = 0.4  # of the logarithm, as the simulator draws lengths
SHORTEST = QUERY_WORDS + SPECIAL_TOKENS + 1
DOCUMENT_LINES = 4096
QUERY_LINES = 512


def whole_words(vocabulary: Path) -> list[str]:
    """Entries that are one token wherever they stand: lower-case letters, no continuation."""
    words = vocabulary.read_text("utf-8").splitlines()
    return [word for word in words if word.isascii() and word.isalpha() and word.islower()]


def log_normal_tokens(median: int, longest: int, generator: random.Random) -> int:
    """The tokens of a pair, drawn as the simulator draws them."""
    drawn = median * math.exp(generator.gauss(0, LENGTH_SIGMA))
    return min(longest, max(SHORTEST, round(drawn)))


def write_log_normal_texts(
    folder: Path, words: Sequence[str], median_tokens: int, longest: int
) -> list[str]:
    """Writes query and document files; returns the options of `tailor load` that use them."""
    generator = random.Random(1)
    lengths = [
        log_normal_tokens(median_tokens, longest, generator) - QUERY_WORDS - SPECIAL_TOKENS
        for _ in range(DOCUMENT_LINES)
    ]
    options = []
    for name, counts in (("queries", [QUERY_WORDS] * QUERY_LINES), ("documents", lengths)):
        lines = [" ".join(generator.choices(words, k=count)) for count in counts]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", "ascii")
        options += [f"--{name}", str(folder / f"{name}.txt")]
    return options
