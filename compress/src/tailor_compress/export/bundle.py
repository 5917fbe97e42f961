# SPDX-License-Identifier: Apache-2.0
"""The one writer of variants: everything that the server reads, in the form of docs/bundle.md."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.files import save_tensors
from tailor_compress.export.trained import Trained
from tailor_compress.export.variant import MANIFEST, WEIGHTS, Json, sha256_file, write_json
from tailor_compress.model.cut import layer_shapes
from tailor_compress.model.narrow import embedding_map, embedding_width
from tailor_compress.text import UNCASED, VOCABULARY, Casing, save_tokenizer

_SCHEMA_VERSION = 1
MASKS = "masks.safetensors"
_MASK_NAMES = frozenset({"heads", "neurons"})
_POSITIONS = "bert.embeddings.position_embeddings.weight"
# Names that describe how another tensor is stored; no parameters of their own.
_STORAGE = ("weight_scale", "input_scale", "weight.bitmask", "weight.shape")


@dataclass(frozen=True)
class Family:
    """What the variants of a family have in common."""

    name: str
    created: str
    license: str
    tokens: list[str]
    max_len: int
    casing: Casing = UNCASED


@dataclass(frozen=True)
class Variant:
    """A variant to write; see method.Made for model, tensors and manifest."""

    id: str
    record: Trained
    model: BertForSequenceClassification | None
    tensors: Mapping[str, Tensor]
    manifest: Mapping[str, Any]
    score_index: int = 0


def stored_tensors(
    model: BertForSequenceClassification | None, tensors: Mapping[str, Tensor], max_len: int
) -> dict[str, Tensor]:
    """Return what goes into model.safetensors: floats as f16, codes and scales as they are.

    Of the position table, the rows that pairs of ``max_len`` tokens can reach. Raises TailorError
    for a weight that is not finite in f16.
    """
    joined = dict(model.state_dict()) if model is not None else {}
    if _POSITIONS in joined:
        joined[_POSITIONS] = joined[_POSITIONS][:max_len]
    for name in tensors:
        if name.endswith(".compressed"):
            joined.pop(name.removesuffix(".compressed"), None)
    joined.update(tensors)
    stored = {}
    for name, tensor in joined.items():
        one = tensor.detach().cpu()
        if one.is_floating_point() and not name.endswith("_scale"):
            one = one.half()
            if not torch.isfinite(one).all():
                raise TailorError(
                    f"weights of {name} within the range of f16",
                    "a larger or undefined value",
                    "train again with a lower `learning_rate`",
                )
        stored[name] = one.contiguous()
    return stored


def _parameters(tensors: Mapping[str, Tensor]) -> Json:
    sizes = {n: t.numel() for n, t in tensors.items() if not n.endswith(_STORAGE)}
    return {
        "total": sum(sizes.values()),
        "embedding": sum(n for name, n in sizes.items() if ".embeddings." in name),
        "encoder": sum(n for name, n in sizes.items() if ".encoder." in name),
    }


def _config(model: BertForSequenceClassification, max_len: int) -> Json:
    config: Json = model.config.to_dict()
    config.pop("_name_or_path", None)
    config["max_position_embeddings"] = min(max_len, model.config.max_position_embeddings)
    # Stored as f16, computed in f32: that is what the quality was measured with. Scores are raw:
    # a listwise loss leaves their offset free, so that a sigmoid of one alone says nothing.
    config["dtype"] = "float32"
    config["architectures"] = ["BertForSequenceClassification"]
    config["position_embedding_type"] = "absolute"
    if model.config.num_labels == 1:
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    return config


def _arch(model: BertForSequenceClassification) -> Json:
    config = model.config
    arch: Json = {
        "kind": "bert",
        "hidden": config.hidden_size,
        "embedding": embedding_width(model),
        "hidden_act": config.hidden_act,
        "norm": "layernorm",
        "eps": config.layer_norm_eps,
        "position": "absolute",
        "type_vocab": config.type_vocab_size,
        "pooler": {"kind": "tanh"},
    }
    if embedding_map(model) is not None:
        arch["embed_map"] = {"kind": "linear"}
    return arch


def _layers(model: BertForSequenceClassification, sources: Any) -> list[Json]:
    """Return the layer table; ``sources`` are the layers of the parent, when they are known."""
    return [
        {"src": sources[i] if sources else i, "attn": i, "ffn": i, **asdict(shape)}
        for i, shape in enumerate(layer_shapes(model))
    ]


def _identity(family: Family, variant: Variant) -> Json:
    return {
        "schema_version": _SCHEMA_VERSION,
        "id": variant.id,
        "family": family.name,
        "created": family.created,
        "license": family.license,
        "parents": variant.record.parents,
        "method": [asdict(step) for step in variant.record.steps],
    }


def _task(family: Family, labels: int, score_index: int) -> Json:
    return {
        "kind": "relevance" if labels == 1 else "classification",
        "num_labels": labels,
        "score_index": score_index,
        "activation": "none",
        "max_len": family.max_len,
        "pair_template": "[CLS] query [SEP] document [SEP]",
        "truncation": "longest_first",
    }


def _save(tensors: Mapping[str, Tensor], path: Path) -> Json:
    save_tensors(tensors, path)
    return {"path": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size}


def _derived(family: Family, variant: Variant, folder: Path) -> Json:
    bases = [one["id"] for one in variant.record.parents if one["role"] == "base"]
    if len(bases) != 1:
        raise TailorError(
            f"one parent in the role `base` of `{variant.id}`",
            str(len(bases)),
            "name the variant whose weights it takes",
        )
    manifest = {**_identity(family, variant), **variant.manifest}
    manifest["derive"] = {"parent": bases[0], **variant.manifest["derive"]}
    if variant.tensors:
        masks = {name: t.detach().float().contiguous() for name, t in variant.tensors.items()}
        manifest["derive"]["masks"] = MASKS
        manifest["files"] = [_save(masks, folder / MASKS)]
    return manifest


def write_bundle(family: Family, variant: Variant, folder: Path) -> Json:
    """Write a variant into the empty ``folder`` and return its manifest.

    The quality is missing until the exported weights are evaluated: it belongs to them, not to
    the f32 weights before rounding.
    """
    if "derive" in variant.manifest:
        manifest = _derived(family, variant, folder)
        write_json(folder / MANIFEST, manifest)
        return manifest
    tensors = {n: t for n, t in variant.tensors.items() if n not in _MASK_NAMES}
    stored = stored_tensors(variant.model, tensors, family.max_len)
    entry = _save(stored, folder / WEIGHTS)
    save_tokenizer(family.tokens, folder, family.max_len, family.casing)
    own = dict(variant.manifest)
    sources = own.pop("layer_sources", None)
    labels = 1 if variant.model is None else int(variant.model.config.num_labels or 1)
    manifest = {
        **_identity(family, variant),
        "task": _task(family, labels, variant.score_index),
        "tokenizer": {
            "type": "wordpiece",
            "files": [VOCABULARY],
            "sha256": sha256_file(folder / VOCABULARY),
            "vocab_size": len(family.tokens),
            "lower_case": family.casing.lower_case,
            "strip_accents": family.casing.strip_accents,
        },
    }
    if variant.model is not None:
        write_json(folder / "config.json", _config(variant.model, family.max_len))
        manifest["arch"] = _arch(variant.model)
        manifest["layers"] = _layers(variant.model, sources)
    manifest |= {**own, "files": [entry], "params": _parameters(stored)}
    write_json(folder / MANIFEST, manifest)
    return manifest
