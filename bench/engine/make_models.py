# SPDX-License-Identifier: Apache-2.0
"""Random BERT cross-encoders in the shapes that engine benchmarks use, as model folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification


@dataclass(frozen=True)
class Shape:
    """One model to measure: the base size, and those of the bundled family."""

    name: str
    layers: int
    hidden: int
    heads: int
    vocabulary: int


SHAPES = (
    Shape("12x768", 12, 768, 12, 30522),
    Shape("6x384", 6, 384, 12, 11900),
    Shape("2x128", 2, 128, 2, 11900),
)


def make_model(shape: Shape, folder: Path) -> BertForSequenceClassification:
    """Writes the folder and returns the model: the engine and its peers get the same weights."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        max_position_embeddings=512,
        num_labels=1,
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        # The initialiser's deviation of 0.02 gives flat attention and outputs of nearly 0, which
        # no wrong score would disturb. This keeps every product's output of the order of 1.
        for name, weight in model.named_parameters():
            if name.endswith("weight") and weight.dim() == 2 and "embeddings" not in name:
                weight.normal_(0.0, weight.shape[1] ** -0.5)
            elif name.endswith("bias"):
                weight.normal_(0.0, 0.1)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{i}" for i in range(len(words), shape.vocabulary)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    return model
