# SPDX-License-Identifier: Apache-2.0
"""Makes bench/policies/profiles/*.json.

``bundled`` is measured: it takes what a running server's /statusz says, so that the simulator and
the server start from the same numbers, or the two shapes of models/packages/costs.json, which the
engine was measured with alone. ``bert-family`` and ``dynabert`` follow from published
figures, which stand below with their sources.

Usage: make_profiles.py literature
       make_profiles.py bundled --statusz http://127.0.0.1:8080/statusz?format=json
       make_profiles.py bundled --costs models/packages/costs.json
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from profiles import FOLDER
from scipy.optimize import nnls  # type: ignore[import-untyped]

# Proteus (Ahmad et al., ASPLOS 2024), file profiling/aggregate_profiled.csv of its artifact
# UMass-LIDS/Proteus: median ms of a batch of 1, 2, 4, 8 and 16 with ONNX Runtime on its CPU, and
# accuracy relative to that of albert-xxlarge.
_PROTEUS_BATCHES = (1, 2, 4, 8, 16)
_PROTEUS = {
    "bert-tiny": (0.8595, (0.967, 1.077, 1.341, 1.422, 1.948)),
    "bert-mini": (0.8874, (0.954, 1.093, 1.376, 1.465, 1.943)),
    "bert-small": (0.9267, (0.967, 1.114, 1.280, 1.397, 2.002)),
    "bert-medium": (0.9256, (0.957, 1.151, 1.388, 1.438, 1.978)),
    "albert-base": (0.9597, (54.99, 65.47, 45.74, 42.64, 63.72)),
    "bert-base": (0.9659, (50.37, 46.51, 42.30, 40.13, 61.30)),
    "roberta-base": (0.9793, (45.05, 46.67, 41.29, 41.61, 62.66)),
    "bert-large": (0.9804, (100.56, 112.26, 93.40, 123.79, 170.39)),
    "roberta-large": (0.9959, (115.20, 114.56, 93.99, 125.18, 166.93)),
    "albert-xxlarge": (1.0, (400.33, 409.19, 422.23, 550.69, 738.86)),
}
# All times are divided by this: it changes the unit of time only, and brings the slowest below what
# the server's warm-up waits for.
_PROTEUS_SCALE = 20

# DynaBERT (Hou et al., NeurIPS 2020), BERT-base on MNLI-m, dev accuracy at depth 1, 0.75 and 0.5.
_DYNABERT = {
    100: (84.9, 84.4, 83.7),
    75: (84.7, 84.3, 83.6),
    50: (84.7, 84.2, 83.0),
    25: (83.9, 83.4, 82.0),
}
_DEPTHS = (100, 75, 50)
_LAYERS, _HIDDEN, _FFN = 12, 768, 3072
_FLOP_PER_SECOND = 1e12


def bert_family() -> dict[str, Any]:
    """The BERT family of Proteus: constant and slope over the batch, by relative least squares."""
    cuts = []
    rows = np.array(_PROTEUS_BATCHES, dtype=float)
    for name, (quality, medians) in _PROTEUS.items():
        micros = np.array(medians) * 1e3 / _PROTEUS_SCALE
        design = np.stack([1 / micros, rows / micros], axis=1)
        (fixed, per_row), _ = nnls(design, np.ones(len(rows)))
        cut = {"id": name, "quality": quality, "fixed_us": round(fixed, 2)}
        cuts.append({**cut, "per_row_us": round(max(per_row, 0.01), 2)})
    return {
        "name": "bert-family",
        "source": f"Proteus, ASPLOS 2024, ONNX Runtime on its CPU, times / {_PROTEUS_SCALE}",
        "capacity_cut": "roberta-base",
        "request": {"documents": 8, "tokens": 64},
        "limits": {"max_tokens": 2048, "max_sequences": 16, "max_sequence_tokens": 128},
        "cuts": cuts,
    }


def dynabert() -> dict[str, Any]:
    """DynaBERT's 12 cuts: cost by operations alone, without a constant for the batch."""
    per_token = _LAYERS * 2 * (4 * _HIDDEN**2 + 2 * _HIDDEN * _FFN)
    per_square = _LAYERS * 4 * _HIDDEN
    micros = 1e6 / _FLOP_PER_SECOND
    cuts = []
    for width, accuracies in _DYNABERT.items():
        for depth, accuracy in zip(_DEPTHS, accuracies, strict=True):
            share = width * depth / 1e4
            cuts.append(
                {
                    "id": f"w{width}-d{depth}",
                    "quality": round(accuracy / 100, 4),
                    "per_token_us": round(per_token * share * micros, 4),
                    "per_square_us": round(per_square * share * micros, 6),
                }
            )
    return {
        "name": "dynabert",
        "source": "DynaBERT, NeurIPS 2020, MNLI-m; operations of BERT-base at 1 TFLOP/s",
        "capacity_cut": "w50-d75",
        "request": {"documents": 1, "tokens": 128},
        "cuts": cuts,
    }


def cuts_of_server(statusz: str) -> list[dict[str, Any]]:
    """The cuts that a server runs, with the costs that it measured at its start."""
    with urllib.request.urlopen(statusz) as answer:
        status: dict[str, Any] = json.load(answer)
    cuts = []
    for variant in status["variants"]:
        if variant["state"] != "ready" or "quality" not in variant:
            continue
        cost = variant["cost"]
        terms = {
            f"{name}_us": round(1e6 * cost[f"{name}_s"], 7)
            for name in ("fixed", "per_token", "per_square", "per_row")
        }
        cuts.append({"id": variant["id"], "quality": variant["quality"]["ndcg10"], **terms})
    return cuts


def cuts_of_costs(file: Path) -> list[dict[str, Any]]:
    """The family beside a costs.json: a line through the times of 1 x 128 and 32 x 64 tokens."""
    costs: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["variants"]
    cuts = []
    for name, cost in sorted(costs.items()):
        variant_file = file.parent / name / "variant.json"
        if not variant_file.exists():
            continue
        variant: dict[str, Any] = json.loads(variant_file.read_text(encoding="utf-8"))
        if "quality" not in variant:
            continue
        small, large = 1e3 * cost["ms_1x128"], 1e3 * cost["ms_32x64"]
        per_token = min((large - small) / (32 * 64 - 128), large / (32 * 64))
        terms = {"fixed_us": round(max(0.0, small - 128 * per_token), 3)}
        terms["per_token_us"] = round(per_token, 6)
        cuts.append({"id": name, "quality": variant["quality"]["ndcg10"], **terms})
    return cuts


def bundled(cuts: list[dict[str, Any]], source: str, capacity_cut: str) -> dict[str, Any]:
    """The bundled family."""
    return {
        "name": "bundled",
        "source": source,
        "capacity_cut": capacity_cut,
        "request": {"documents": 32, "tokens": 84},
        "limits": {"max_sequence_tokens": 128},  # the family's longest pair
        "server": {"reply_margin_us": 1000},
        "cuts": cuts,
    }


def write(profile: dict[str, Any], folder: Path) -> None:
    """Write a profile, one cut a line."""
    cuts = ",\n  ".join(json.dumps(cut) for cut in profile["cuts"])
    head = json.dumps({key: value for key, value in profile.items() if key != "cuts"}, indent=1)
    text = f'{head[:-2]},\n "cuts": [\n  {cuts}\n ]\n}}\n'
    (folder / f"{profile['name']}.json").write_text(text, encoding="utf-8")


def main() -> int:
    """Write the profiles that were asked for."""
    parser = argparse.ArgumentParser(description="profiles of the simulator")
    parser.add_argument("what", choices=("literature", "bundled"))
    parser.add_argument("--statusz", default="http://127.0.0.1:8080/statusz?format=json")
    parser.add_argument("--costs", type=Path, help="instead of a server: the engine's times")
    parser.add_argument("--capacity-cut", default="elastic-w50-d67", help="of the bundled family")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if arguments.what == "bundled":
        cuts = (
            cuts_of_costs(arguments.costs) if arguments.costs else cuts_of_server(arguments.statusz)
        )
        source = "the engine's times of models/packages/costs.json"
        if not arguments.costs:
            source = "the bundled family as a server measured it at its start"
        write(bundled(cuts, source, arguments.capacity_cut), arguments.out)
    else:
        write(bert_family(), arguments.out)
        write(dynabert(), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
