# SPDX-License-Identifier: Apache-2.0
"""Fits the weights of the linear floor to lists of candidates.

The loss is convex: L-BFGS from zero finds the same weights every time, without a learning rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from tailor_compress.linear.features import (
    DENSE,
    FeatureSpec,
    Floats,
    dense_features,
    hashed_features,
    split,
)
from tailor_compress.linear.scorer import LinearScorer
from tailor_compress.progress import Progress
from tailor_compress.text import Ids
from tailor_compress.training.corpus import CandidateList

Pair = tuple[Ids, int]

# Enough to make the few dense weights unique, too little to hold them back.
_DENSE_L2 = 1e-5


@dataclass(frozen=True)
class Fit:
    """The loss: see ``list_loss``; ``l2`` times the squares of the hashed weights is added."""

    temperature: float
    hard: float
    unscored: float
    l2: float
    iterations: int


def document_statistics(lists: Sequence[CandidateList], vocabulary: int) -> tuple[Floats, float]:
    """Return (idf [vocabulary], average length) of the right documents of ``lists``.

    idf(t) = ln(1 + (N - n_t + 0.5) / (n_t + 0.5)) for N documents, n_t of them with t: BM25's;
    rounded to f16, as it is stored.
    """
    documents = [split(*one.pairs[0])[1] for one in lists]
    counts = np.zeros(vocabulary, dtype=np.int64)
    for document in documents:
        counts[np.unique(document)] += 1
    idf = np.log1p((len(documents) - counts + 0.5) / (counts + 0.5))
    average = float(np.mean([len(document) for document in documents]))
    return idf.astype(np.float16).astype(np.float64), max(average, 1.0)


def _rows(
    pairs: Sequence[Pair], idf: Floats, spec: FeatureSpec
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Yield the columns and values of each pair: the dense features first, then the buckets."""
    first = np.arange(len(DENSE), dtype=np.int32)
    with Progress("linear features", len(pairs), unit="pair") as progress:
        for pair in pairs:
            query, document = split(*pair)
            dense = dense_features(query, document, idf, spec.average_length)
            buckets, values = hashed_features(query, document, idf, spec)
            columns = np.concatenate([first, buckets.astype(np.int32) + len(DENSE)])
            yield columns, np.concatenate([dense, values]).astype(np.float32)
            progress.advance()


def feature_matrix(
    lists: Sequence[CandidateList], idf: Floats, spec: FeatureSpec
) -> sparse.csr_matrix:
    """Return [pairs of all lists, len(DENSE) + 2^bits] f32; a bucket met twice is two entries."""
    pairs = [pair for one in lists for pair in one.pairs]
    columns, values = zip(*_rows(pairs, idf, spec), strict=True)
    ends = np.cumsum([0, *map(len, columns)])
    shape = (len(pairs), len(DENSE) + spec.buckets)
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), ends), shape=shape)


def list_loss(scores: Floats, teacher: Floats, fit: Fit) -> tuple[float, Floats]:
    """Return the mean loss over ``scores`` [lists, candidates] and its gradient of that shape.

    A list that ``teacher`` [at most lists, candidates] scored costs
    T^2 KL(softmax(teacher / T) || softmax(scores / T)) + hard * L, every other unscored * L, with
    L = -log softmax(scores)[0], the right candidate being the first (training/losses.py).
    """
    count, scored, t = len(scores), len(teacher), fit.temperature
    weight = np.full(count, fit.unscored)
    weight[:scored] = fit.hard
    log_p = log_softmax(scores, axis=1)
    loss = -float(weight @ log_p[:, 0])
    gradient: Floats = np.exp(log_p)
    gradient[:, 0] -= 1
    gradient *= weight[:, None]
    target = log_softmax(teacher / t, axis=1)
    soft = log_softmax(scores[:scored] / t, axis=1)
    loss += t * t * float((np.exp(target) * (target - soft)).sum())
    gradient[:scored] += t * (np.exp(soft) - np.exp(target))
    return loss / count, gradient / count


def fit_scorer(
    lists: Sequence[CandidateList],
    teacher: NDArray[np.float32],
    vocabulary: int,
    spec: tuple[int, int],
    fit: Fit,
) -> LinearScorer:
    """Return the scorer with the least loss on ``lists``, of which ``teacher`` scored the first.

    ``spec`` is (bits, hash seed); document statistics come from the lists themselves.
    """
    idf, average = document_statistics(lists, vocabulary)
    features = FeatureSpec(*spec, average_length=average)
    matrix = feature_matrix(lists, idf, features)
    # Columns of unit size: L-BFGS starts from a multiple of the identity. One that never changes
    # says nothing; its weight stays 0.
    mean = np.asarray(matrix[:, : len(DENSE)].mean(axis=0)).ravel()
    square = np.asarray(matrix[:, : len(DENSE)].power(2).mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    scale = np.ones(matrix.shape[1])
    scale[: len(DENSE)] = np.where(deviation > 1e-3, 1 / np.maximum(deviation, 1e-3), 0)
    l2 = np.full(matrix.shape[1], fit.l2)
    l2[: len(DENSE)] = _DENSE_L2
    targets = teacher.astype(np.float64)

    def objective(weights: Floats) -> tuple[float, Floats]:
        scores = matrix @ (weights * scale).astype(np.float32)
        loss, gradient = list_loss(scores.astype(np.float64).reshape(len(lists), -1), targets, fit)
        down = matrix.T @ gradient.ravel().astype(np.float32)
        loss += float(l2 @ weights**2)
        return loss, down * scale + 2 * l2 * weights

    with Progress("linear fit", fit.iterations, unit="iteration") as progress:
        found = minimize(
            objective,
            np.zeros(matrix.shape[1]),
            jac=True,
            method="L-BFGS-B",
            callback=lambda _: progress.advance(),
            options={"maxiter": fit.iterations},
        )
    weights = found.x * scale
    return LinearScorer(
        features,
        weights[: len(DENSE)].astype(np.float16).astype(np.float64),
        weights[len(DENSE) :].astype(np.float16).astype(np.float64),
        idf,
    )
