# SPDX-License-Identifier: Apache-2.0
"""Opens a model folder that a user names: a Hugging Face BERT, or one of our variants."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.read_back import read_encoder
from tailor_compress.export.variant import MANIFEST, read_manifest
from tailor_compress.text import VOCABULARY, Casing, read_casing, read_vocabulary

_CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True)
class Opened:
    """A model with what has to be known to feed it."""

    id: str
    folder: Path
    model: BertForSequenceClassification
    tokens: list[str]
    casing: Casing
    max_len: int
    score_index: int
    elastic: dict[str, Any] | None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TailorError(f"a JSON object in {path}", str(error), "name a model folder") from error
    if not isinstance(found, dict):
        raise TailorError(f"a JSON object in {path}", type(found).__name__, "name a model folder")
    return found


def _check(folder: Path, config: dict[str, Any], needs_head: bool) -> None:
    kind = config.get("model_type")
    if kind != "bert":
        raise TailorError(
            f"a BERT in {folder} (model_type `bert`)", f"`{kind}`", "name a folder with a BERT"
        )
    act, places = config.get("hidden_act", "gelu"), config.get("position_embedding_type")
    if act != "gelu" or places not in (None, "absolute"):
        raise TailorError(
            "hidden_act `gelu` and absolute positions", f"`{act}`, `{places}`", "name another model"
        )
    names = config.get("architectures") or [""]
    if needs_head and not str(names[0]).endswith(_CLASSIFIER):
        raise TailorError(
            f"a classifier or cross-encoder in {folder}",
            str(names[0]) or "no architecture",
            "fine-tune it first: `tailor-compress train`",
        )


def _tokens(folder: Path) -> list[str]:
    if (folder / VOCABULARY).is_file() or not (folder / "tokenizer.json").is_file():
        return read_vocabulary(folder)
    model = _json(folder / "tokenizer.json").get("model", {})
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or sorted(vocabulary.values()) != list(
        range(len(vocabulary))
    ):
        raise TailorError(
            f"a WordPiece vocabulary in {folder / 'tokenizer.json'}",
            str(model.get("type")),
            "name a BERT with one",
        )
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _longest(folder: Path, positions: int) -> int:
    """Return the longest pair that the folder allows: sentence-transformers' word, or HF's."""
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        if (folder / name).is_file():
            given = _json(folder / name).get(key)
            if isinstance(given, int) and given > 0:
                return min(given, positions)
    return positions


def _variant(folder: Path) -> Opened:
    manifest = read_manifest(folder)
    found = read_encoder(folder, [folder.parent])
    derive = manifest.get("derive")
    owner = folder.parent / derive["parent"] if derive else folder
    return Opened(
        manifest["id"],
        folder,
        found.model,
        read_vocabulary(owner),
        read_casing(owner),
        read_manifest(owner)["task"]["max_len"],
        found.score_index,
        None if derive else manifest.get("elastic"),
    )


def open_model(folder: Path, needs_head: bool = True) -> Opened:
    """Open a model folder. Raises TailorError when it holds no BERT that can be worked on.

    ``needs_head`` is false for an encoder that is to be fine-tuned.
    """
    if (folder / MANIFEST).is_file():
        return _variant(folder)
    config = _json(folder / "config.json")
    _check(folder, config, needs_head)
    tokens = _tokens(folder)
    try:
        read = BertConfig.from_pretrained(folder)
        if not needs_head:
            read.num_labels = 1
        model: BertForSequenceClassification = BertForSequenceClassification.from_pretrained(
            folder, config=read
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise TailorError(
            f"weights of a BERT in {folder}", " ".join(str(error).split())[:200], "check the folder"
        ) from error
    model.float().train(False)
    if len(tokens) > read.vocab_size:
        raise TailorError(
            f"at most {read.vocab_size} tokens in {folder}", str(len(tokens)), "check the folder"
        )
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in folder.resolve().name.lower())
    return Opened(
        name.lstrip(".") or "model",
        folder,
        model,
        tokens,
        read_casing(folder),
        _longest(folder, read.max_position_embeddings),
        1 if read.num_labels == 2 else 0,
        None,
    )
