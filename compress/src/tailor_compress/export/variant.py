# SPDX-License-Identifier: Apache-2.0
"""Writes variants: folders that transformers and the server load alike, and derived ones."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import Step, Trained
from tailor_compress.recipe import DerivedRecipe, Recipe
from tailor_compress.text import VOCABULARY, read_vocabulary, save_tokenizer

MANIFEST, WEIGHTS = "variant.json", "model.safetensors"
_SCHEMA_VERSION = 1

Json = dict[str, Any]


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, content: Json) -> None:
    """Write JSON with an indent of one."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Json:
    """Read a variant's variant.json. Raises TailorError when there is none."""
    try:
        manifest: Json = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TailorError(
            f"a {MANIFEST} in {folder}", str(error), "run `tailor-compress export`"
        ) from error
    return manifest


def _half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise TailorError(
                f"weights of {name} within the range of f16",
                "a larger or undefined value",
                "train again with a lower `learning_rate`",
            )
    return halves


def _config(model: BertForSequenceClassification) -> Json:
    config: Json = model.config.to_dict()
    config.pop("_name_or_path", None)
    # Stored as f16, computed in f32: that is what the quality was measured with. Scores are raw:
    # a listwise loss leaves their offset free, so that a sigmoid of one alone says nothing.
    config["dtype"] = "float32"
    config["architectures"] = ["BertForSequenceClassification"]
    config["position_embedding_type"] = "absolute"
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    return config


def _parameters(tensors: dict[str, Tensor]) -> Json:
    sizes = {name: tensor.numel() for name, tensor in tensors.items()}
    return {
        "total": sum(sizes.values()),
        "embedding": sum(n for name, n in sizes.items() if ".embeddings." in name),
        "encoder": sum(n for name, n in sizes.items() if ".encoder." in name),
    }


def _identity(recipe: Recipe, variant: str, record: Trained) -> Json:
    return {
        "schema_version": _SCHEMA_VERSION,
        "id": variant,
        "family": recipe.family,
        "created": recipe.created,
        "license": recipe.license,
        "parents": record.parents,
        "method": [asdict(step) for step in record.steps],
    }


def _task(recipe: Recipe) -> Json:
    return {
        "kind": "relevance",
        "num_labels": 1,
        "score_index": 0,
        "activation": "none",
        "max_len": recipe.max_len,
        "pair_template": "[CLS] query [SEP] document [SEP]",
        "truncation": "longest_first",
    }


def export_variant(
    model: BertForSequenceClassification,
    recipe: Recipe,
    variant: str,
    record: Trained,
    vocabulary: Path,
    family: Path,
) -> Path:
    """Write the folder of a variant with weights, as f16, and return it.

    ``vocabulary`` is the folder with the family's vocab.txt. The quality is missing until the
    exported weights are evaluated: it belongs to them, not to the f32 weights before rounding.
    """
    folder = family / variant
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = _half(model.state_dict())
    weights = folder / WEIGHTS
    save_file(tensors, weights, metadata={"format": "pt"})
    # The library makes the file private; a server that runs as another user has to read it.
    weights.chmod(0o644)
    config = model.config
    save_tokenizer(read_vocabulary(vocabulary), folder, recipe.max_len)
    write_json(folder / "config.json", _config(model))
    manifest = {
        **_identity(recipe, variant, record),
        "task": _task(recipe),
        "tokenizer": {
            "type": "wordpiece",
            "files": [VOCABULARY],
            "sha256": sha256_file(folder / VOCABULARY),
            "vocab_size": config.vocab_size,
            "lower_case": True,
            "strip_accents": True,
        },
        "arch": {
            "kind": "bert",
            "hidden": config.hidden_size,
            "embedding": config.hidden_size,
            "hidden_act": config.hidden_act,
            "norm": "layernorm",
            "eps": config.layer_norm_eps,
            "position": "absolute",
            "type_vocab": config.type_vocab_size,
            "pooler": {"kind": "tanh"},
        },
        "layers": [
            {
                "src": i,
                "attn": i,
                "ffn": i,
                "heads": config.num_attention_heads,
                "head_dim": config.hidden_size // config.num_attention_heads,
                "ffn_dim": config.intermediate_size,
            }
            for i in range(config.num_hidden_layers)
        ],
        "files": [
            {"path": WEIGHTS, "sha256": sha256_file(weights), "bytes": weights.stat().st_size}
        ],
        "params": _parameters(tensors),
    }
    write_json(folder / MANIFEST, manifest)
    return folder


def export_derived(recipe: Recipe, derived: DerivedRecipe, step: Step, family: Path) -> Path:
    """Write the folder of a derived variant: a variant.json that names parent and format."""
    folder = family / derived.id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record = Trained([step], [{"id": derived.parent, "role": "base"}])
    manifest = {
        **_identity(recipe, derived.id, record),
        "derive": {"parent": derived.parent, "format": derived.format},
    }
    write_json(folder / MANIFEST, manifest)
    return folder
