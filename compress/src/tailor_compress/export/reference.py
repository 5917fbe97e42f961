# SPDX-License-Identifier: Apache-2.0
"""Scores of fixed pairs that a reader of the variant must reproduce, and how closely.

In f32 two correct computations differ by the order of their sums, of the order of 1e-6 of the
scores. With rounded products (bf16, int8) such a difference flips some roundings, and by the end
of the encoder the two differ by about as much as either does from f32: twice that distance, as
found on these pairs, is the tolerance. f16 stands for two computations: weights rounded and the
rest in f32, which is done here, and inputs rounded and short sums made in f16 as well, where the
processor multiplies f16 numbers. bf16 is coarser than both, so its distance counts.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.read_back import (
    Encoder,
    casing_of,
    layout_of,
    owner_folder,
    read_back,
)
from tailor_compress.evaluation.scorer import Pair
from tailor_compress.export.variant import read_manifest
from tailor_compress.model.formats import products
from tailor_compress.model.forward import plain
from tailor_compress.text import Casing, PairLayout, encode_texts, make_tokenizer

PAIRS = "reference_pairs.jsonl"
_FLOAT, _ROUNDED = 5e-4, 2e-2


def read_pairs(path: Path, layout: PairLayout, casing: Casing) -> list[Pair]:
    """Return the pairs of a file as ids. Raises TailorError for a line that is no pair."""
    queries, documents = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            queries.append(str(record["query"]))
            documents.append(str(record["document"]))
        except (ValueError, KeyError, TypeError) as error:
            raise TailorError(
                f"a query and a document in line {number} of {path}", repr(error), "make it again"
            ) from error
    tokenizer = make_tokenizer(layout.tokens, casing)
    encoded = (encode_texts(tokenizer, queries), encode_texts(tokenizer, documents))
    return [layout.join(query, document) for query, document in zip(*encoded, strict=True)]


def reference(folder: Path, families: Sequence[Path], pairs_file: Path) -> dict[str, Any]:
    """Return the ``reference`` of a variant's variant.json."""
    owner = owner_folder(folder, families)
    pairs = read_pairs(pairs_file, layout_of(owner), casing_of(owner))
    system = read_back(folder, families)
    scores = system.scores(pairs, f"reference of {folder.name}")
    tolerance = _FLOAT
    if isinstance(system, Encoder) and system.apply is not plain:
        exact = replace(system, apply=plain).scores(pairs, "reference in f32")
        rounded = scores
        if read_manifest(folder).get("derive", {}).get("format") == "f16":
            rounded = replace(system, apply=products("bf16")).scores(pairs, "reference in bf16")
        apart = float(np.abs(exact - rounded).max())
        tolerance = max(_ROUNDED, 2 * apart) if apart > _FLOAT else _FLOAT
    return {
        "inputs_file": pairs_file.name,
        "sha256": hashlib.sha256(pairs_file.read_bytes()).hexdigest(),
        "scores": [round(float(one), 6) for one in scores],
        "tolerance": round(tolerance, 6),
    }


def is_current(recorded: Any, pairs_file: Path) -> bool:
    """Whether recorded scores are those of the file's pairs."""
    digest = hashlib.sha256(pairs_file.read_bytes()).hexdigest()
    return bool(recorded) and recorded["sha256"] == digest
