# SPDX-License-Identifier: Apache-2.0
"""The features of the linear floor against plain Python and values by hand."""

import math

import numpy as np
import pytest

from tailor_compress.linear.features import (
    DENSE,
    FeatureSpec,
    buckets,
    dense_features,
    hashed_features,
    split,
)

_IDF = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0])
_SPEC = FeatureSpec(bits=10, hash_seed=7, average_length=8.0)
CLS, SEP = 2, 3


def _features(query: list[int], document: list[int]) -> dict[str, float]:
    parts = split([CLS, *query, SEP, *document, SEP], len(query) + 2)
    found = dense_features(*parts, _IDF, _SPEC.average_length)
    return dict(zip(DENSE, found.tolist(), strict=True))


def test_a_pair_is_split_by_its_segments() -> None:
    query, document = split([CLS, 5, 6, SEP, 7, SEP], 4)
    assert (query.tolist(), document.tolist()) == ([5, 6], [7])
    for ids, first in (([CLS, SEP, SEP], 2), ([CLS], 1), ([CLS, SEP], 2), ([SEP], 0)):
        assert [part.tolist() for part in split(ids, first)] == [[], []]
    assert [part.tolist() for part in split([CLS, 5, 6, 7], 4)] == [[5, 6], []]


def test_dense_features_by_hand() -> None:
    # The query says 6 twice; 8 is missing; 5 6 stands at positions 1 and 2 of the document.
    found = _features([5, 6, 8, 6], [7, 5, 6, 6])
    norm = 1.2 * (0.25 + 0.75 * 4 / 8)
    bm25 = 1 * 2.2 / (1 + norm) + 2 * 2.2 * 2 / (2 + norm)
    expected = {
        "overlap": 3 / 7,
        "coverage": 2 / 3,
        "hits": 2,
        "bm25": bm25,
        "bm25_share": bm25 / 7,
        "rare_overlap": 5 / 21,
        "best_found": 2,
        "best_missing": 4,
        "early": (1 / (1 + 1 / 16) + 2 / (1 + 2 / 16)) / 7,
        "bigrams": 3,
        "bigram_share": 3 / 15,
        "trigram_share": 0,
        "length": math.log(5),
        "overlap_squared": 9 / 49,
        "overlap_query": 3 / 7 * math.log(5),
        "overlap_length": 3 / 7 * math.log(5),
    }
    assert found == pytest.approx(expected)


def test_three_tokens_side_by_side_are_a_trigram() -> None:
    assert _features([5, 6, 7, 8], [8, 5, 6, 7])["trigram_share"] == 0.5
    assert _features([5, 6, 7, 8], [5, 6, 8, 7])["trigram_share"] == 0


@pytest.mark.parametrize(("query", "document"), [([], [5]), ([5], []), ([], []), ([5], [5])])
def test_short_pairs_have_finite_features(query: list[int], document: list[int]) -> None:
    found = _features(query, document)
    assert all(math.isfinite(value) for value in found.values())
    assert found["hits"] == (1 if query == document == [5] else 0)


def _bucket(u: int, t: int, seed: int, bits: int) -> int:
    x = (u * 0x9E3779B1 + t * 0x85EBCA77 + seed) % 2**32
    x = (x ^ (x >> 15)) * 0x2C1B3C6D % 2**32
    x = (x ^ (x >> 12)) * 0x297A2D39 % 2**32
    return x >> (32 - bits)


def test_buckets_are_those_of_exact_integers() -> None:
    query, document = (np.array(ids, dtype=np.uint32) for ids in ([0, 5, 30521], [1, 12153]))
    for seed, bits in ((0, 4), (1, 18), (2**32 - 1, 24)):
        found = buckets(query, document, FeatureSpec(bits, seed, 1.0))
        expected = [[_bucket(int(u), int(t), seed, bits) for t in document] for u in query]
        assert found.tolist() == expected


def test_buckets_of_real_ids_are_spread() -> None:
    ids = np.arange(5, 205, dtype=np.uint32)
    found = buckets(ids, ids, FeatureSpec(16, 1, 1.0)).ravel()
    # 40,000 random draws out of 65,536 hit 45.7 % of them.
    assert len(np.unique(found)) == pytest.approx(65536 * 0.457, rel=0.02)


def test_hashed_features_have_one_row_a_distinct_token_and_one_more() -> None:
    query, document = (np.array(ids, dtype=np.uint32) for ids in ([6, 5, 6], [7, 7, 5]))
    found, values = hashed_features(query, document, _IDF, _SPEC)
    crosses = [(u, t) for u in (0, 5, 6) for t in (5, 7)]
    assert found.tolist() == [_bucket(u, t, 7, 10) for u, t in crosses]
    weight = {0: 4.0, 5: 1.0, 6: 2.0, 7: 3.0}
    scale = 1 / math.sqrt(3 * 7)
    assert values.tolist() == pytest.approx([weight[u] * weight[t] * scale for u, t in crosses])
