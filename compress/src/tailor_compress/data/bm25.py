# SPDX-License-Identifier: Apache-2.0
"""BM25, as the floor of every table and as the source of hard wrong candidates.

Written here because all queries against all documents is then one sparse product: 31,000 queries
take seconds, which the per-query calls of the packaged implementations do not reach.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tailor_compress.data.grouping import words_of

_K1, _B = 1.2, 0.75


class Bm25:
    """Scores of documents by the Robertson/Sparck Jones formula with k1 = 1.2, b = 0.75.

    score(q, d) = sum over words of q: idf(w) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len / avg))
    with idf(w) = ln(1 + (N - n_w + 0.5) / (n_w + 0.5)), which is never negative.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        self._vocabulary: dict[str, int] = {}
        rows, columns, counts, lengths = [], [], [], []
        for row, document in enumerate(documents):
            words = words_of(document)
            lengths.append(len(words))
            for word, count in Counter(words).items():
                rows.append(row)
                columns.append(self._vocabulary.setdefault(word, len(self._vocabulary)))
                counts.append(count)
        n = len(documents)
        tf = np.array(counts, dtype=np.float32)
        column = np.array(columns, dtype=np.int64)
        row_of = np.array(rows, dtype=np.int64)
        length = np.array(lengths, dtype=np.float32)
        document_frequency = np.bincount(column, minlength=len(self._vocabulary))
        idf = np.log1p((n - document_frequency + 0.5) / (document_frequency + 0.5))
        norm = _K1 * (1 - _B + _B * length / max(float(length.mean()), 1.0))
        weight = (idf[column] * tf * (_K1 + 1) / (tf + norm[row_of])).astype(np.float32)
        self._weights = sparse.csr_matrix(
            (weight, (column, row_of)), shape=(len(self._vocabulary), n)
        )

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return the scores [len(queries), number of documents]; a repeated word counts again."""
        rows, columns = [], []
        for row, query in enumerate(queries):
            for word in words_of(query):
                column = self._vocabulary.get(word)
                if column is not None:
                    rows.append(row)
                    columns.append(column)
        counts = sparse.csr_matrix(
            (np.ones(len(rows), dtype=np.float32), (rows, columns)),
            shape=(len(queries), len(self._vocabulary)),
        )
        return np.asarray((counts @ self._weights).todense(), dtype=np.float32)
