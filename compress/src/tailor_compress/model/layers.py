# SPDX-License-Identifier: Apache-2.0
"""Layer dropping: which layers of a model a shallower one starts from."""

from collections.abc import Sequence
from typing import Literal

from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes

Pick = Literal["bottom", "interval"]


def picked_layers(pick: Pick, keep: int, layers: int) -> list[int]:
    """Return the numbers of ``keep`` layers out of ``layers``.

    `bottom` takes the first ones: as a start they beat evenly spread ones, because the lower
    layers need each other (Wang et al., 2023, "How to Distill your BERT"). `interval` spreads
    them evenly from layer 0 on: every second one for half of them (DistilBERT).
    """
    if not 1 <= keep <= layers:
        raise TailorError(f"1 to {layers} layers", str(keep), "correct `depth`")
    if pick == "bottom":
        return list(range(keep))
    return [number * layers // keep for number in range(keep)]


def keep_layers(
    model: BertForSequenceClassification, layers: Sequence[int]
) -> BertForSequenceClassification:
    """Return a copy with these layers in this order; embeddings, pooler and head stay.

    Raises TailorError for a layer that the model does not have, and for none at all.
    """
    if not layers:
        raise TailorError("at least one layer to keep", "none", "name layers of the model")
    shapes = layer_shapes(model)
    cuts = []
    for layer in layers:
        if not 0 <= layer < len(shapes):
            raise TailorError(
                f"layers 0 to {len(shapes) - 1}", str(layer), "name layers of the model"
            )
        shape = shapes[layer]
        cuts.append(LayerCut(layer, range(shape.heads), range(shape.ffn_dim)))
    return cut_model(model, cuts)
