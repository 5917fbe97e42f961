# SPDX-License-Identifier: Apache-2.0
"""Cuts of a model compute what the whole model computes without the rest."""

from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.model.cut import LayerCut, cut_model, layer_shapes, load_weights
from tailor_compress.model.forward import logits, pad


def _model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 30,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "num_labels": 1,
        "initializer_range": 0.3,
    }
    model = BertForSequenceClassification(BertConfig(**sizes))
    model.train(False)
    return model


_BATCH = pad([([2, 5, 6, 3, 7, 8, 9, 3], 4), ([2, 5, 3, 11, 3], 3)])


def test_a_cut_equals_the_model_with_the_rest_masked() -> None:
    whole = _model()
    heads, neurons = [3, 1], [20, 0, 7, 9]
    cut = cut_model(whole, [LayerCut(0, heads, neurons), LayerCut(2, range(4), range(24))])
    masked = _model()
    removed = [h for h in range(4) if h not in heads]
    layers: Any = masked.bert.encoder.layer
    with torch.no_grad():
        for head in removed:
            layers[0].attention.output.dense.weight[:, head * 4 : head * 4 + 4] = 0
        gone = [n for n in range(24) if n not in neurons]
        layers[0].output.dense.weight[:, gone] = 0
    masked.bert.encoder.layer = torch.nn.ModuleList([layers[0], layers[2]])
    assert torch.allclose(logits(cut, _BATCH), logits(masked, _BATCH), atol=1e-6)
    assert not torch.allclose(logits(cut, _BATCH), logits(whole, _BATCH), atol=1e-3)


def test_a_cut_loads_from_its_shapes_and_weights() -> None:
    cut = cut_model(_model(), [LayerCut(1, [0], [1, 2, 3]), LayerCut(0, [2, 3], range(24))])
    again = load_weights(cut.config, layer_shapes(cut), cut.state_dict())
    assert torch.equal(logits(again, _BATCH), logits(cut, _BATCH))


@pytest.mark.parametrize(
    "cut", [LayerCut(3, [0], [0]), LayerCut(0, [4], [0]), LayerCut(0, [0, 0], [0])]
)
def test_what_the_model_does_not_have_is_refused(cut: LayerCut) -> None:
    with pytest.raises(TailorError):
        cut_model(_model(), [cut])


def test_a_layer_without_heads_or_neurons_adds_its_biases_only() -> None:
    whole = _model()
    cut = cut_model(whole, [LayerCut(0, [], [1, 2]), LayerCut(1, [1], []), LayerCut(2, [], [])])
    layers: Any = whole.bert.encoder.layer
    with torch.no_grad():
        layers[0].attention.output.dense.weight.zero_()
        layers[0].output.dense.weight[:, [n for n in range(24) if n not in (1, 2)]] = 0
        layers[1].attention.output.dense.weight[:, [n for n in range(16) if n // 4 != 1]] = 0
        for part in (layers[1].output, layers[2].output, layers[2].attention.output):
            part.dense.weight.zero_()
    assert torch.allclose(logits(cut, _BATCH), logits(whole, _BATCH), atol=1e-6)
    again = load_weights(cut.config, layer_shapes(cut), cut.state_dict())
    assert torch.equal(logits(again, _BATCH), logits(cut, _BATCH))
