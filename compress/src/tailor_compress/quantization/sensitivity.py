# SPDX-License-Identifier: Apache-2.0
"""What each product costs when it alone is quantised; the worst ones may stay float."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import BertForSequenceClassification

from tailor_compress.model.forward import plain
from tailor_compress.progress import Progress
from tailor_compress.quantization.calibrate import list_scores
from tailor_compress.quantization.products import encoder_products
from tailor_compress.quantization.quantizer import QuantisedLinear
from tailor_compress.training.corpus import CandidateList
from tailor_compress.training.losses import listwise_distillation


@dataclass(frozen=True)
class Sensitivity:
    """How one product on integers moves the scores of the float model.

    ``mse`` is the mean squared difference of scores; ``kl`` that of softmax over candidates, in
    nats: what does not move one candidate against another does not count.
    """

    name: str
    mse: float
    kl: float


def scan(
    model: BertForSequenceClassification,
    products: Mapping[str, QuantisedLinear],
    lists: Sequence[CandidateList],
) -> list[Sensitivity]:
    """Return the sensitivity of each of ``products``, the worst by ``kl`` first."""
    floats = encoder_products(model)
    whole = list_scores(model, lists)
    found = []
    with Progress("sensitivity", len(products), unit="product") as progress:
        for name, product in products.items():

            def one_quantised(
                linear: nn.Linear,
                x: Tensor,
                only: nn.Linear = floats[name],
                product: QuantisedLinear = product,
            ) -> Tensor:
                return product.product(x) if linear is only else plain(linear, x)

            scores = list_scores(model, lists, one_quantised)
            mse = float((scores - whole).square().mean())
            found.append(Sensitivity(name, mse, float(listwise_distillation(scores, whole, 1.0))))
            progress.advance()
    return sorted(found, key=lambda one: (-one.kl, one.name))


def worst(scanned: Sequence[Sensitivity], count: int) -> list[str]:
    """Return the names of the ``count`` products that cost most."""
    return [one.name for one in scanned[:count]]
