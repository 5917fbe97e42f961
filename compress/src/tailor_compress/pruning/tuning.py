# SPDX-License-Identifier: Apache-2.0
"""Turns masks into factors: what stays of a sublayer is scaled to make up for what went.

Kwon et al. (2022), section 4.3: from the first layer up, least squares of the sublayer's sum
before its norm, masked against parent. Here the normal equations are solved whole: as the factor
of a unit scales a column of the product, they need only X^T X, X^T R and the weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.model.forward import Padded, embed, pad, plain, run_layer
from tailor_compress.progress import Progress
from tailor_compress.pruning.gates import Gates
from tailor_compress.training.corpus import CandidateList

# Pull of the factors to 1, as a share of the mean diagonal of the normal equations.
_RIDGE = 0.1
# A factor beyond this says that the equations are ill-posed; layers above stay masks.
_LARGEST = 10.0
_BUCKET = 32


@dataclass
class _Batch:
    """One batch on its way up: states of the parent and of the masked model, [n, length, h]."""

    bias: Tensor
    mask: Tensor
    parent: Tensor
    masked: Tensor

    def tokens(self, is_last: bool) -> Tensor:
        """Return which of a layer's rows are tokens, [n, rows]; the last one runs only one row."""
        return (self.mask[:, :1] if is_last else self.mask) != 0


@dataclass(frozen=True)
class _Run:
    """What one layer computed for a batch.

    Of each sublayer the input of its last product, and what is added to that product, all
    [n, rows, columns]; and the states that it ends with.
    """

    inner: tuple[Tensor, Tensor]
    residual: tuple[Tensor, Tensor]
    states: Tensor

    def sums(self, layer: Any) -> tuple[Tensor, Tensor]:
        """Return what goes into the two norms, but for the products' biases."""
        first, second = (
            nn.functional.linear(x, linear.weight) + residual
            for x, linear, residual in zip(self.inner, _gated(layer), self.residual, strict=True)
        )
        return first, second


def _gated(layer: Any) -> tuple[nn.Linear, nn.Linear]:
    return layer.attention.output.dense, layer.output.dense


def _run(layer: Any, batch: _Batch, states: Tensor, last: bool, factors: Sequence[Tensor]) -> _Run:
    """Run a layer on ``states`` behind factors [columns] of its two gated products."""
    inputs: dict[nn.Module, Tensor] = {}
    attention, ffn = _gated(layer)
    by_product = {attention: factors[0], ffn: factors[1]}

    def product(linear: nn.Linear, x: Tensor) -> Tensor:
        inputs[linear] = x
        return plain(linear, x * by_product[linear] if linear in by_product else x)

    rows = states[:, :1] if last else states
    found = run_layer(layer, states, batch.bias, product, rows)
    after = inputs[layer.intermediate.dense]
    return _Run((inputs[attention], inputs[ffn]), (rows, after), found)


def solve(gram: Tensor, right: Tensor, mask: Tensor, ridge: float = _RIDGE) -> Tensor:
    """Return factors [units] f32: of the kept ones by least squares, 0 for the others.

    Minimises f^T ``gram`` f - 2 ``right``^T f + ridge * mean(diag) * |f - 1|^2 over the kept.
    """
    factors = torch.zeros(len(mask))
    kept = mask.nonzero().flatten()
    if len(kept) > 0:
        part = gram[kept][:, kept]
        pull = ridge * part.diagonal().mean().clamp_min(1e-20)
        system = part + pull * torch.eye(len(kept), dtype=part.dtype)
        away = torch.linalg.solve(system, right[kept] - part.sum(dim=1))
        factors[kept] = (1 + away).float()
    return factors


class _Equations:
    """Normal equations of the factors of one product's input columns, summed over batches."""

    def __init__(self, linear: nn.Linear, units: int) -> None:
        self._weight = linear.weight.detach().double()
        self._units = units
        columns = linear.in_features
        self._inputs = torch.zeros(columns, columns, dtype=torch.float64)
        self._targets = torch.zeros(columns, linear.out_features, dtype=torch.float64)

    def add(self, inputs: Tensor, target: Tensor) -> None:
        """Add rows: product inputs [rows, columns], wanted outputs without bias [rows, out]."""
        self._inputs += (inputs.T @ inputs).double()
        self._targets += (inputs.T @ target).double()

    def factors(self, mask: Tensor) -> Tensor:
        """Return the units' factors; a unit is a run of columns."""
        size = len(self._inputs) // self._units
        gram = (self._inputs * (self._weight.T @ self._weight)).reshape(
            self._units, size, self._units, size
        )
        right = (self._targets * self._weight.T).sum(dim=1).reshape(self._units, size)
        return solve(gram.sum(dim=(1, 3)), right.sum(dim=1), mask)


def _batches(model: BertForSequenceClassification, lists: Sequence[CandidateList]) -> list[_Batch]:
    pairs = sorted((pair for one in lists for pair in one.pairs), key=lambda pair: len(pair[0]))
    found = []
    for start in range(0, len(pairs), _BUCKET):
        padded: Padded = pad(pairs[start : start + _BUCKET])
        states, bias = embed(model, padded)
        found.append(_Batch(bias, padded.mask, states, states))
    return found


def _columns(layer: Any, heads: Tensor, neurons: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors of a layer's units as those of its two gated products' columns."""
    return heads.repeat_interleave(layer.attention.self.attention_head_size), neurons


def _tune_layer(
    layer: Any, batches: Sequence[_Batch], last: bool, masks: tuple[Tensor, Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the layer's factors of (heads, neurons) after its heads, then after its neurons.

    Moves the batches' states behind the layer when both were taken.
    """
    heads, neurons = masks
    whole = [torch.ones_like(one) for one in _columns(layer, heads, neurons)]
    wanted = []
    for batch in batches:
        run = _run(layer, batch, batch.parent, last, whole)
        wanted.append(run.sums(layer))
        batch.parent = run.states
    for kind, linear in enumerate(_gated(layer)):
        mask = (heads, neurons)[kind]
        if len(mask) > 0:
            equations = _Equations(linear, len(mask))
            for batch, sums in zip(batches, wanted, strict=True):
                run = _run(layer, batch, batch.masked, last, _columns(layer, heads, neurons))
                tokens = batch.tokens(last)
                target = sums[kind] - run.residual[kind]
                equations.add(run.inner[kind][tokens], target[tokens])
            factors = equations.factors(mask)
            heads, neurons = (factors, neurons) if kind == 0 else (heads, factors)
        yield heads, neurons
    for batch in batches:
        columns = _columns(layer, heads, neurons)
        batch.masked = _run(layer, batch, batch.masked, last, columns).states


@torch.no_grad()
def tune(
    model: BertForSequenceClassification, masks: Gates, lists: Sequence[CandidateList]
) -> Gates:
    """Return factors for the open gates of ``masks``, layer by layer; closed ones stay closed.

    The tuning ends where a factor is beyond 10: that sublayer and those above it keep theirs.
    """
    batches = _batches(model, lists)
    heads, neurons = list(masks.heads), list(masks.neurons)
    layers: Any = model.bert.encoder.layer
    with Progress("mask tuning", len(layers), unit="layer") as progress:
        for n, layer in enumerate(layers):
            last = n == len(layers) - 1
            for found in _tune_layer(layer, batches, last, (heads[n], neurons[n])):
                if float(torch.cat(found).abs().max()) > _LARGEST:
                    return Gates(heads, neurons)
                heads[n], neurons[n] = found
            progress.advance()
    return Gates(heads, neurons)
