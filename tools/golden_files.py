# SPDX-License-Identifier: Apache-2.0
# transformers annotates only a part of what is called here.
# mypy: disallow-untyped-calls=False, warn-return-any=False
"""What a golden case is, and how its folder is written: the model, its inputs, its outputs."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor

Tensors = dict[str, Tensor]
Json = dict[str, Any]

HIDDEN, HEADS, FFN, VOCAB, POSITIONS, EPS = 64, 4, 128, 200, 48, 1e-12
HEAD_DIM = HIDDEN // HEADS
CREATED = "2026-11-21"


@dataclass(frozen=True)
class Layer:
    """One row of the layer table: where its tensors are and which shapes they have."""

    attn: int
    ffn: int
    heads: int = HEADS
    ffn_dim: int = FFN


@dataclass
class Case:
    """One folder: tensors in the names and types of its files, configuration, and a forward."""

    name: str
    about: str
    seed: int
    tensors: Tensors
    config: Json
    forward: Callable[[Tensor, Tensor], Tensor]
    layers: list[Layer] | None = None
    shards: int = 1
    dtype: torch.dtype = torch.float32
    extra_files: dict[str, Any] = field(default_factory=dict)
    outputs_kind: str = "logits"


def vocabulary() -> list[str]:
    """VOCAB tokens: BERT's special ones, characters, and made-up words."""
    characters = [chr(c) for c in range(ord("!"), ord("~") + 1) if not chr(c).isupper()]
    pieces = [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *pieces]
    return [*tokens, *(f"word{i}" for i in range(VOCAB - len(tokens)))]


def variant(case: Case, folder: Path, files: list[Path]) -> Json:
    """The variant.json of a case with a layer table."""
    vocab = (folder / "vocab.txt").read_bytes()
    sizes = {name: tensor.numel() for name, tensor in case.tensors.items()}
    assert case.layers is not None  # noqa: S101
    return {
        "schema_version": 1,
        "id": case.name,
        "family": "golden",
        "created": CREATED,
        "license": "Apache-2.0",
        "parents": [],
        "method": [],
        "task": {
            "kind": "relevance",
            "num_labels": 1,
            "score_index": 0,
            "activation": "none",
            "max_len": POSITIONS,
            "pair_template": "[CLS] query [SEP] document [SEP]",
            "truncation": "longest_first",
        },
        "tokenizer": {
            "type": "wordpiece",
            "files": ["vocab.txt"],
            "sha256": hashlib.sha256(vocab).hexdigest(),
            "vocab_size": VOCAB,
            "lower_case": True,
            "strip_accents": True,
        },
        "arch": {
            "kind": "bert",
            "hidden": HIDDEN,
            "embedding": HIDDEN,
            "hidden_act": "gelu",
            "norm": "layernorm",
            "eps": EPS,
            "position": "absolute",
            "type_vocab": 2,
            "pooler": {"kind": "tanh"},
        },
        "layers": [
            {
                "src": i,
                "attn": layer.attn,
                "ffn": layer.ffn,
                "heads": layer.heads,
                "head_dim": HEAD_DIM,
                "ffn_dim": layer.ffn_dim,
            }
            for i, layer in enumerate(case.layers)
        ],
        "files": [
            {
                "path": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
            for path in files
        ],
        "params": {
            "total": sum(sizes.values()),
            "embedding": sum(n for k, n in sizes.items() if ".embeddings." in k),
            "encoder": sum(n for k, n in sizes.items() if ".encoder." in k),
        },
    }


def sequences(seed: int) -> list[Json]:
    """Lengths 1, odd, and the number of position rows; then one long and several short ones."""
    generator = torch.Generator().manual_seed(1000 + seed)
    rows = []
    for length in (1, 3, 17, POSITIONS, 31, 2, 5, 4, 2, 9, 3, 6):
        ids = torch.randint(5, VOCAB, (length,), generator=generator).tolist()
        ids[0] = 2  # [CLS]
        split = (length + 1) // 2
        rows.append({"token_ids": ids, "token_type_ids": [0] * split + [1] * (length - split)})
    return rows


def write_json(path: Path, content: Any) -> None:
    """Write JSON with an indent of one; keys stay in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_weights(case: Case, folder: Path) -> list[Path]:
    """Write the tensors as one file, or as shards with an index; return the weight files."""
    tensors = {
        k: (v.to(case.dtype) if v.is_floating_point() else v).detach().contiguous()
        for k, v in case.tensors.items()
    }
    if case.shards == 1:
        path = folder / "model.safetensors"
        save_file(tensors, path, metadata={"format": "pt"})
        return [path]
    names = sorted(tensors)
    paths: list[Path] = []
    weight_map: dict[str, str] = {}
    for i in range(case.shards):
        part = names[i :: case.shards]
        path = folder / f"model-{i + 1:05d}-of-{case.shards:05d}.safetensors"
        save_file({name: tensors[name] for name in part}, path, metadata={"format": "pt"})
        paths.append(path)
        weight_map |= dict.fromkeys(part, path.name)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(folder / "model.safetensors.index.json", index)
    return paths


def write_case(case: Case, out: Path) -> None:
    """Write model/ and golden.json of one case."""
    folder = out / case.name / "model"
    shutil.rmtree(out / case.name, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    write_json(folder / "config.json", case.config)
    files = write_weights(case, folder)
    for name, content in case.extra_files.items():
        write_json(folder / name, content)
    if case.layers is not None:
        write_json(folder / "variant.json", variant(case, folder, files))
    rows = sequences(case.seed)
    with torch.no_grad():
        outputs = [
            case.forward(torch.tensor([row["token_ids"]]), torch.tensor([row["token_type_ids"]]))
            for row in rows
        ]
    golden = {
        "header": {
            "script": "tools/make_goldens.py",
            "case": case.name,
            "about": case.about,
            "seeds": {"weights": case.seed, "sequences": 1000 + case.seed},
            "versions": {
                "torch": torch.__version__.split("+")[0],
                "transformers": transformers.__version__,
                "safetensors": safetensors.__version__,
            },
            "outputs_kind": case.outputs_kind,
        },
        "sequences": rows,
        "outputs": [output.tolist() for output in outputs],
    }
    path = out / case.name / "golden.json"
    path.write_text(json.dumps(golden) + "\n")
