# SPDX-License-Identifier: Apache-2.0
"""Scores without a model: BM25 and chance, the floor of every table."""

import numpy as np
from numpy.typing import NDArray

from tailor_compress.data.bm25 import Bm25
from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import View

Floats = NDArray[np.float64]


def bm25_scores(dataset: Dataset, split: str, view: View) -> Floats:
    """Return [queries, 32]; word statistics come from all dev and test documents of the view."""
    items, lists = dataset.items, dataset.lists[split]
    pool = [i for i, item in enumerate(items) if item.split != "train"]
    column = {item: n for n, item in enumerate(pool)}
    index = Bm25([view.document(items[i].paragraphs) for i in pool])
    seed = dataset.snapshot.seed
    scores = index.scores([view.query(items[q].synopsis, seed) for q in lists[:, 0].tolist()])
    columns = np.vectorize(column.__getitem__)(lists)
    return np.take_along_axis(scores, columns, axis=1).astype(np.float64)


def random_scores(dataset: Dataset, split: str) -> Floats:
    """Return all scores equal: in expectation over ties that is a random order, exactly."""
    return np.zeros(dataset.lists[split].shape)
