# SPDX-License-Identifier: Apache-2.0
r"""Features of a pair, version 1: the reference of engine/linear, in float64 throughout.

Of the pair's token ids, the query is what segment 0 holds between its first and its last token,
the document what segment 1 holds before its last one; ids are not looked at to find them. q and d
are their lengths, U the query's distinct tokens, D the document's, idf(t) the stored weight of a
token, tf(u) how often u stands in the document, S = sum of idf(u) over U. Every quotient is 0 when
its divisor is.

``DENSE`` features, in this order (sums and maxima over u in U; [..] is 1 or 0):

| feature | value |
|---|---|
| overlap | sum idf(u) [tf(u) > 0] / S |
| coverage | sum [tf(u) > 0] / \|U\| |
| hits | sum [tf(u) > 0] |
| bm25 | sum idf(u) * 2.2 tf(u) / (tf(u) + 1.2 * (0.25 + 0.75 * d / average_length)) |
| bm25_share | bm25 / S |
| rare_overlap | sum idf(u)^2 [tf(u) > 0] / sum idf(u)^2 |
| best_found | max idf(u) [tf(u) > 0] |
| best_missing | max idf(u) [tf(u) = 0] |
| early | sum idf(u) [tf(u) > 0] / (1 + p(u) / 16) / S, p(u) the first position of u, from 0 |
| bigrams | sum over i < q - 1 of b(i) [query tokens i, i + 1 stand side by side in the document] |
| bigram_share | bigrams / sum b(i), b(i) = idf(query token i) + idf(query token i + 1) |
| trigram_share | share of i < q - 2 whose three query tokens stand side by side in the document |
| length | ln(1 + d) |
| overlap_squared | overlap^2 |
| overlap_query | overlap * ln(1 + q) |
| overlap_length | overlap * length |

Hashed features: one for each u in U+ and t in D, where U+ is U and the token 0 ([PAD], which no
text contains) with idf 4: it crosses to the document's own tokens. All of them have the value
idf(u) * idf(t) * c with c = 1 / sqrt(d * (4 + S)), and go to the bucket

    x = u * 0x9E3779B1 + t * 0x85EBCA77 + hash_seed       (all of it modulo 2^32)
    x = x xor (x >> 15);  x = x * 0x2C1B3C6D
    x = x xor (x >> 12);  x = x * 0x297A2D39
    bucket = x >> (32 - bits)

Odd multipliers spread the ids, the shifts bring the high bits back down; crosses of a token with
itself are the learned weight of a match.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VERSION = 1
DENSE = (
    "overlap",
    "coverage",
    "hits",
    "bm25",
    "bm25_share",
    "rare_overlap",
    "best_found",
    "best_missing",
    "early",
    "bigrams",
    "bigram_share",
    "trigram_share",
    "length",
    "overlap_squared",
    "overlap_query",
    "overlap_length",
)
# The token that a query never has stands for "whatever the query is".
_ANY, _ANY_IDF = 0, 4.0
_K1, _B = 1.2, 0.75
_EARLY = 16.0

Floats = NDArray[np.float64]
Tokens = NDArray[np.uint32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class FeatureSpec:
    """What variant.json says of the features: 2^bits buckets, the hash's seed, BM25's length."""

    bits: int
    hash_seed: int
    average_length: float

    @property
    def buckets(self) -> int:
        """Number of hashed weights."""
        return 1 << self.bits


def split(ids: Sequence[int], first: int) -> tuple[Tokens, Tokens]:
    """Return query and document of a pair whose first ``first`` ids are of segment 0."""
    query = np.array(ids[1 : max(first - 1, 1)], dtype=np.uint32)
    return query, np.array(ids[first:-1], dtype=np.uint32)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else 0.0


def dense_features(query: Tokens, document: Tokens, idf: Floats, average_length: float) -> Floats:
    """Return the dense features [len(DENSE)]; ``idf`` is [vocabulary]."""
    same: Bools = query[:, None] == document[None, :]
    tokens, at = np.unique(query, return_index=True)
    q, d = len(query), len(document)
    weights = idf[tokens]
    tf = same.sum(axis=1)[at] if d else np.zeros(len(at), dtype=np.int64)
    found = tf > 0
    total = float(weights.sum())
    hits = float(found.sum())
    overlap = _ratio(float(weights[found].sum()), total)
    norm = _K1 * (1 - _B + _B * d / average_length)
    bm25 = float((weights * ((_K1 + 1) * tf / (tf + norm))).sum())
    positions = same.argmax(axis=1)[at] if d else np.zeros(len(at), dtype=np.int64)
    early = float((weights / (1 + positions / _EARLY))[found].sum())
    pairs: Bools = same[:-1, :-1] & same[1:, 1:]
    triples: Bools = pairs[:-1, :-1] & same[2:, 2:]
    in_order = idf[query]
    pair_weights = in_order[:-1] + in_order[1:]
    bigrams = float(pair_weights[pairs.any(axis=1)].sum()) if q > 1 else 0.0
    length = float(np.log1p(d))
    return np.array(
        [
            overlap,
            _ratio(hits, len(tokens)),
            hits,
            bm25,
            _ratio(bm25, total),
            _ratio(float((weights**2)[found].sum()), float((weights**2).sum())),
            float(weights[found].max(initial=0)),
            float(weights[~found].max(initial=0)),
            _ratio(early, total),
            bigrams,
            _ratio(bigrams, float(pair_weights.sum())) if q > 1 else 0.0,
            _ratio(float(triples.any(axis=1).sum()), q - 2),
            length,
            overlap**2,
            overlap * float(np.log1p(q)),
            overlap * length,
        ]
    )


def buckets(query: Tokens, document: Tokens, spec: FeatureSpec) -> NDArray[np.uint32]:
    """Return the buckets [len(query), len(document)] of all crosses."""
    # Array arithmetic on uint32 wraps, as the definition asks.
    rows = query * np.uint32(0x9E3779B1) + np.uint32(spec.hash_seed)
    x: NDArray[np.uint32] = rows[:, None] + (document * np.uint32(0x85EBCA77))[None, :]
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    x = (x ^ (x >> np.uint32(12))) * np.uint32(0x297A2D39)
    return x >> np.uint32(32 - spec.bits)


def hashed_features(
    query: Tokens, document: Tokens, idf: Floats, spec: FeatureSpec
) -> tuple[NDArray[np.uint32], Floats]:
    """Return buckets and values [n] of the hashed features; a bucket may come several times."""
    tokens, others = np.unique(query), np.unique(document)
    if len(others) == 0:
        return np.empty(0, dtype=np.uint32), np.empty(0)
    rows = np.concatenate([np.array([_ANY], dtype=np.uint32), tokens])
    weights = np.concatenate([[_ANY_IDF], idf[tokens]])
    scale = 1.0 / np.sqrt(len(document) * weights.sum())
    values = weights[:, None] * idf[others][None, :] * scale
    return buckets(rows, others, spec).ravel(), values.ravel()
