# SPDX-License-Identifier: Apache-2.0
"""The five test sets: the same candidates with parts of the text taken away.

| set | query | document |
|---|---|---|
| A | whole | whole |
| B | whole | last paragraph of at least 80 characters |
| C | half of the words dropped | whole |
| D | whole | without the first paragraph, where there are more |
| E | 30 % of the words dropped | as B |

B is the family's quality: last paragraphs repeat fewer words of the query, so that there is room
above word matching.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Paragraphs = Sequence[str]

# "This package contains the documentation." fits hundreds of packages: no ranker finds the right
# one by it, and with such paragraphs set B measures luck (BM25 .54 instead of .63).
_TELLING_CHARS = 80


@dataclass(frozen=True)
class View:
    """How one test set shows an item."""

    name: str
    dropped: float
    document: Callable[[Paragraphs], str]

    def query(self, synopsis: str, seed: int) -> str:
        """Return the synopsis with ``dropped`` of its words left out, at least one kept.

        The words that go are a fixed choice for (seed, set, synopsis).
        """
        words = synopsis.split()
        keep = max(1, int(len(words) * (1 - self.dropped)))
        kept = random.Random(f"{seed}:{self.name}:{synopsis}").sample(range(len(words)), keep)
        return " ".join(words[i] for i in sorted(kept))


def whole(paragraphs: Paragraphs) -> str:
    """Return all paragraphs as one line."""
    return " ".join(paragraphs)


def last_index(paragraphs: Paragraphs) -> int:
    """Return the index of the last paragraph that says something, else of the longest one."""
    for i in reversed(range(len(paragraphs))):
        if len(paragraphs[i]) >= _TELLING_CHARS:
            return i
    return max(range(len(paragraphs)), key=lambda i: len(paragraphs[i]))


def last(paragraphs: Paragraphs) -> str:
    """Return the last paragraph that says something about its package."""
    return paragraphs[last_index(paragraphs)]


def without_first(paragraphs: Paragraphs) -> str:
    """Return all paragraphs but the first; a single one stays."""
    return " ".join(paragraphs[1:] or paragraphs)


VIEWS = {
    view.name: view
    for view in (
        View("A", 0.0, whole),
        View("B", 0.0, last),
        View("C", 0.5, whole),
        View("D", 0.0, without_first),
        View("E", 0.3, last),
    )
}
