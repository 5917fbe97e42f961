#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/linear: a small linear variant and its scores by the Python reference.

The folder has the form of those of make_goldens.py: `model/` and `golden.json` with `sequences`
and `outputs`. Run by `make goldens`; the same versions and seeds give the same bytes.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.torch import save_file
from tailor_compress.linear.features import DENSE, FeatureSpec
from tailor_compress.linear.scorer import LinearScorer

Json = dict[str, Any]

VOCAB, POSITIONS, WEIGHTS_SEED, SEQUENCES_SEED = 120, 64, 21, 1021
CLS, SEP, FIRST_WORD = 2, 3, 5


def vocabulary() -> list[str]:
    """Return the special tokens and made-up words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*special, *(f"word{i}" for i in range(VOCAB - len(special)))]


def scorer() -> LinearScorer:
    """Return a scorer with random weights, rounded as they are stored."""
    rng = np.random.default_rng(WEIGHTS_SEED)
    spec = FeatureSpec(bits=10, hash_seed=4_000_000_007, average_length=20.5)
    return LinearScorer(
        spec,
        (0.1 * rng.normal(size=len(DENSE))).astype(np.float16).astype(np.float64),
        rng.normal(size=spec.buckets).astype(np.float16).astype(np.float64),
        rng.uniform(0, 9, size=VOCAB).astype(np.float16).astype(np.float64),
    )


def sequences() -> list[tuple[list[int], int]]:
    """Return (ids, ids of segment 0): pairs with hits, repetitions and phrases, then odd shapes."""
    rng = np.random.default_rng(SEQUENCES_SEED)
    found = []
    for query_length, document_length, words in (
        (1, 1, 2),
        (3, 12, 8),
        (5, 56, 12),
        (8, 40, 100),
        (9, 17, 6),
        (30, 31, 20),
        (2, 59, 110),
        (6, 24, 24),
    ):
        ids = rng.integers(FIRST_WORD, FIRST_WORD + words, query_length + document_length).tolist()
        query, document = ids[:query_length], ids[query_length:]
        found.append(([CLS, *query, SEP, *document, SEP], query_length + 2))
    phrase = [40, 41, 42, 43]
    found.append(([CLS, *phrase, SEP, 50, *phrase[:3], 51, *phrase[1:], SEP], 6))
    found.append(([CLS, *phrase, *phrase, SEP, *phrase[::-1], *phrase[:2], SEP], 10))
    # No document, no query, neither, one segment only, [PAD] as a word.
    for ids, first in (
        ([CLS, 7, 8, SEP, SEP], 4),
        ([CLS, SEP, 7, 8, SEP], 2),
        ([CLS, SEP, SEP], 2),
        ([CLS], 1),
        ([9], 0),
        ([CLS, 7, 8, 9], 4),
        ([7, 8, 9], 0),
        ([CLS, 0, 7, SEP, 7, 0, SEP], 4),
    ):
        found.append((ids, first))
    return found


def manifest(model: LinearScorer) -> Json:
    """Return the variant.json of the case."""
    return {
        "schema_version": 1,
        "id": "linear",
        "family": "golden",
        "license": "Apache-2.0",
        "task": {
            "kind": "relevance",
            "num_labels": 1,
            "score_index": 0,
            "activation": "none",
            "max_len": POSITIONS,
        },
        "arch": model.arch(),
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON with an indent of one."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Write the case below --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "tests" / "golden"
    parser.add_argument("--out", type=Path, default=default, help="folder of the cases")
    case: Path = parser.parse_args().out / "linear"
    shutil.rmtree(case, ignore_errors=True)
    folder = case / "model"
    folder.mkdir(parents=True)
    model = scorer()
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
    weights = folder / "model.safetensors"
    save_file(model.tensors(), weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    write_json(folder / "variant.json", manifest(model))
    pairs = sequences()
    golden = {
        "header": {
            "script": "tools/make_linear_golden.py",
            "case": "linear",
            "about": "a linear variant: 16 dense features, 2^10 hashed weights",
            "seeds": {"weights": WEIGHTS_SEED, "sequences": SEQUENCES_SEED},
            "versions": {"numpy": np.__version__, "safetensors": safetensors.__version__},
            "outputs_kind": "logits",
        },
        "sequences": [
            {"token_ids": ids, "token_type_ids": [0] * first + [1] * (len(ids) - first)}
            for ids, first in pairs
        ],
        "outputs": [[model.score(*pair)] for pair in pairs],
    }
    (case / "golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
