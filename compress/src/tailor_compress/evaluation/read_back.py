# SPDX-License-Identifier: Apache-2.0
"""Reads exported variants back, every form of docs/bundle.md, so that quality belongs to files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.device import fast_precision
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.scorer import Pair, score_pairs
from tailor_compress.export.bundle import MASKS
from tailor_compress.export.variant import MANIFEST, WEIGHTS, read_manifest
from tailor_compress.linear.scorer import is_linear, load_scorer
from tailor_compress.model.cut import LayerCut, LayerShape, cut_model
from tailor_compress.model.formats import products
from tailor_compress.model.forward import Apply, plain
from tailor_compress.model.stored import stored_model
from tailor_compress.pruning.gates import Gates, fold
from tailor_compress.text import Casing, PairLayout, read_vocabulary

Json = Mapping[str, Any]


class Readable(Protocol):
    """A variant that can score."""

    def scores(self, pairs: Sequence[Pair], stage: str) -> NDArray[np.float32]:
        """Return the raw score of each pair."""


@dataclass(frozen=True)
class Encoder:
    """A BERT read back: its model and how its products are evaluated."""

    model: BertForSequenceClassification
    apply: Apply
    score_index: int = 0

    def scores(self, pairs: Sequence[Pair], stage: str) -> NDArray[np.float32]:
        """Return the raw score of each pair."""
        found = score_pairs(self.model, pairs, self.apply, stage)
        return found if found.ndim == 1 else found[:, self.score_index]

    def in_fast_products(self) -> "Encoder":
        """Return it with float products in the precision that this machine runs faster.

        bf16 products move nDCG@10 by less than .001 and take a third of the time; good enough to
        say what a method brings, not for the quality of what is shipped.
        """
        if self.apply is not plain:
            return self
        return replace(self, apply=products(fast_precision()))


def _shapes(manifest: Json) -> list[LayerShape]:
    return [LayerShape(one["heads"], one["head_dim"], one["ffn_dim"]) for one in manifest["layers"]]


def _own_model(folder: Path, manifest: Json) -> tuple[BertForSequenceClassification, Apply]:
    config = BertConfig.from_pretrained(folder)
    return stored_model(config, _shapes(manifest), load_file(folder / WEIGHTS))


def sub_network_cuts(elastic: Json, width: float, depth: float) -> list[LayerCut]:
    """Return the layers, heads and neurons of one sub-network of an elastic variant.

    Raises TailorError for a width or depth that the variant does not list.
    """
    widths = {row["width"]: row for row in elastic["widths"]}
    depths = {row["depth"]: row for row in elastic["depths"]}
    for name, given, known in (("width", width, widths), ("depth", depth, depths)):
        if given not in known:
            raise TailorError(
                f"a {name} out of {', '.join(map(str, known))}", str(given), "correct the stage"
            )
    heads, neurons = widths[width]["heads"], widths[width]["ffn_dim"]
    return [LayerCut(n, range(heads), range(neurons)) for n in depths[depth]["layers"]]


def _derived(
    folder: Path, manifest: Json, parent: BertForSequenceClassification, owner: Json
) -> tuple[BertForSequenceClassification, Apply]:
    derive = manifest["derive"]
    model, sub_network = parent, derive.get("sub_network")
    if derive.get("masks"):
        masks = load_file(folder / MASKS)
        model = fold(model, Gates(list(masks["heads"]), list(masks["neurons"])))
    elif sub_network:
        if "elastic" not in owner:
            raise TailorError(
                f"an elastic parent of {manifest['id']}", "one that is not", "name another parent"
            )
        cuts = sub_network_cuts(owner["elastic"], sub_network["width"], sub_network["depth"])
        model = cut_model(model, cuts)
    return model, products(derive.get("format", "f32"))


def find_bundle(variant: str, folders: Sequence[Path]) -> Path:
    """Return the folder of a variant. Raises TailorError when none of ``folders`` has it."""
    for folder in folders:
        if (folder / variant / MANIFEST).is_file():
            return folder / variant
    raise TailorError(
        f"the variant {variant} in {' or '.join(map(str, folders))}", "none", "export it first"
    )


def read_back(folder: Path, families: Sequence[Path]) -> Readable:
    """Return a variant of ``folder`` as it is stored; parents are looked up in ``families``."""
    manifest = read_manifest(folder)
    if is_linear(manifest):
        return load_scorer(folder, manifest)
    return read_encoder(folder, families)


def read_encoder(folder: Path, families: Sequence[Path]) -> Encoder:
    """Return a variant that is a BERT."""
    manifest = read_manifest(folder)
    if "derive" not in manifest:
        return Encoder(*_own_model(folder, manifest), manifest["task"].get("score_index", 0))
    parent = find_bundle(manifest["derive"]["parent"], families)
    owner = read_manifest(parent)
    model, apply = _derived(folder, manifest, _own_model(parent, owner)[0], owner)
    return Encoder(model, apply, owner["task"].get("score_index", 0))


def owner_folder(folder: Path, families: Sequence[Path]) -> Path:
    """Return the folder with the weights and the tokenizer of a variant."""
    derive = read_manifest(folder).get("derive")
    return find_bundle(derive["parent"], families) if derive else folder


def layout_of(folder: Path) -> PairLayout:
    """Return the pair layout of a variant with weights of its own."""
    max_len = read_manifest(folder)["task"]["max_len"]
    return PairLayout(read_vocabulary(folder), max_len)


def casing_of(folder: Path) -> Casing:
    """Return what the tokenizer of a variant with weights of its own does to letters."""
    tokenizer = read_manifest(folder)["tokenizer"]
    return Casing(tokenizer["lower_case"], tokenizer["strip_accents"])


def weights_key(folder: Path, families: Sequence[Path]) -> str:
    """Return what a variant's scores depend on, as text: checksums, load-time step, length."""
    manifest = read_manifest(folder)
    owner = read_manifest(owner_folder(folder, families))
    parts = [
        [one["sha256"] for one in owner["files"]],
        [one["sha256"] for one in manifest.get("files", [])],
        {k: v for k, v in manifest.get("derive", {}).items() if k != "parent"},
        owner["task"]["max_len"],
    ]
    return json.dumps(parts, sort_keys=True)
