# SPDX-License-Identifier: Apache-2.0
"""Sorts heads and inner neurons by importance, so that a prefix of them is the best part."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.elastic.importance import Importance
from tailor_compress.model.cut import LayerCut, cut_model


def _falling(values: Tensor) -> list[int]:
    order: list[int] = torch.argsort(values, descending=True, stable=True).tolist()
    return order


def rewire(
    model: BertForSequenceClassification, found: Sequence[Importance]
) -> BertForSequenceClassification:
    """Return a copy that computes the same, its most important heads and neurons first.

    ``found`` has one entry a layer. Ties keep their order.
    """
    cuts = [LayerCut(n, _falling(one.heads), _falling(one.neurons)) for n, one in enumerate(found)]
    return cut_model(model, cuts)
