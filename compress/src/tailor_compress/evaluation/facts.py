# SPDX-License-Identifier: Apache-2.0
"""Size of an exported variant: parameters, bytes, operations."""

from typing import Any

from tailor_compress.evaluation.read_back import Encoder, read_back
from tailor_compress.evaluation.systems import Variant
from tailor_compress.export.variant import read_manifest
from tailor_compress.model.cut import layer_shapes
from tailor_compress.pruning.flops import model_flops

# Length of the pair whose operations are stated.
TOKENS = 128


def facts(variant: Variant) -> dict[str, Any]:
    """Return how a variant was made and how large it is.

    ``bytes`` are those of its own weight files: none for a format or a sub-network of another;
    ``flops`` are of one pair of 128 tokens, counted as in f32.
    """
    manifest = read_manifest(variant.folder)
    system = read_back(variant.folder, variant.families)
    parameters, flops = manifest.get("params", {}).get("total", 0), 0
    if isinstance(system, Encoder):
        model = system.model
        flops = model_flops(layer_shapes(model), int(model.config.hidden_size), TOKENS)
        if variant.is_derived:
            parameters = sum(one.numel() for one in model.parameters())
    return {
        "method": [step["name"] for step in manifest["method"]],
        "parents": [one["id"] for one in manifest["parents"]],
        "ship": variant.ship,
        "seconds": round(sum(step["wall_s"] for step in manifest["method"])),
        "parameters": parameters,
        "bytes": sum(one["bytes"] for one in manifest.get("files", [])),
        "flops": flops,
    }
