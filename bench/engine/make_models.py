# SPDX-License-Identifier: Apache-2.0
"""Random BERT cross-encoders in the shapes that engine benchmarks use, as model folders."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from shapes import Shape
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

WHOLE, CUT = "whole", "cut"  # variants of an elastic shape's family


def words(shape: Shape) -> list[str]:
    """The vocabulary; nothing reads it but what wants one to be there."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return special + [f"w{i}" for i in range(len(special), shape.vocabulary)]


def _random_model(shape: Shape) -> BertForSequenceClassification:
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.neurons,
        max_position_embeddings=512,
    )
    config.num_labels = 1
    model: BertForSequenceClassification = BertForSequenceClassification(config).train(False)
    with torch.no_grad():
        # The initialiser's deviation of 0.02 gives flat attention and outputs of nearly 0, which
        # no wrong score would disturb. This keeps every product's output of the order of 1.
        for name, weight in model.named_parameters():
            if name.endswith("weight") and weight.dim() == 2 and "embeddings" not in name:
                weight.normal_(0.0, weight.shape[1] ** -0.5)
            elif name.endswith("bias"):
                weight.normal_(0.0, 0.1)
    return model


def _first(linear: nn.Linear, outputs: int, inputs: int) -> nn.Linear:
    part = nn.Linear(inputs, outputs)
    part.weight = nn.Parameter(linear.weight.detach()[:outputs, :inputs].contiguous())
    part.bias = nn.Parameter(linear.bias.detach()[:outputs].contiguous())
    return part


def _cut(model: BertForSequenceClassification, shape: Shape) -> BertForSequenceClassification:
    """A copy with the first heads and neurons of the layers that the shape keeps."""
    assert shape.cut is not None
    result: BertForSequenceClassification = copy.deepcopy(model)
    hidden, inner = shape.hidden, shape.cut.heads * shape.head_dim
    layers: Any = result.bert.encoder.layer
    for layer in layers:
        attention = layer.attention.self
        for name in ("query", "key", "value"):
            setattr(attention, name, _first(getattr(attention, name), inner, hidden))
        attention.num_attention_heads = shape.cut.heads
        attention.all_head_size = inner
        layer.attention.output.dense = _first(layer.attention.output.dense, hidden, inner)
        layer.intermediate.dense = _first(layer.intermediate.dense, shape.cut.neurons, hidden)
        layer.output.dense = _first(layer.output.dense, hidden, shape.cut.neurons)
    result.bert.encoder.layer = nn.ModuleList(layers[i] for i in shape.cut.layers)
    result.config.num_hidden_layers = len(shape.cut.layers)
    result.train(False)
    return result


def _save(model: BertForSequenceClassification, shape: Shape, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "vocab.txt").write_text("\n".join(words(shape)) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))


def _manifest(folder: Path, name: str, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head = {"schema_version": 1, "id": name, "family": "bench"}
    (folder / "variant.json").write_text(json.dumps(head | content), encoding="utf-8")


def make_model(shape: Shape, folder: Path) -> BertForSequenceClassification:
    """Writes what the engine reads and returns what the peers get: the same weights.

    The engine gets a pruned shape as a folder whose layer table says what is left, an elastic one
    as a family: the whole model, and a sub-network that is a view of its weights.
    """
    model = _random_model(shape)
    if shape.cut is None:
        _save(model, shape, folder)
        return model
    part = _cut(model, shape)
    if not shape.cut.is_view:
        _save(part, shape, folder)
        row = {"heads": shape.cut.heads, "head_dim": shape.head_dim, "ffn_dim": shape.cut.neurons}
        _manifest(folder, "pruned", {"layers": [row] * len(shape.cut.layers)})
        return part
    _save(model, shape, folder / WHOLE)
    widths = [
        {"width": 1.0, "heads": shape.heads, "ffn_dim": shape.neurons},
        {"width": 0.5, "heads": shape.cut.heads, "ffn_dim": shape.cut.neurons},
    ]
    depths = [
        {"depth": 1.0, "layers": list(range(shape.layers))},
        {"depth": 0.5, "layers": list(shape.cut.layers)},
    ]
    _manifest(folder / WHOLE, WHOLE, {"elastic": {"widths": widths, "depths": depths}})
    derive = {"parent": WHOLE, "sub_network": {"width": 0.5, "depth": 0.5}}
    _manifest(folder / CUT, CUT, {"derive": derive})
    return part
