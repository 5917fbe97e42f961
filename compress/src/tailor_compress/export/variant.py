# SPDX-License-Identifier: Apache-2.0
"""Names and parts that writer and readers of variants share."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tailor_compress.errors import TailorError

MANIFEST, WEIGHTS = "variant.json", "model.safetensors"

Json = dict[str, Any]


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, content: Json) -> None:
    """Write JSON with an indent of one, so that the file is whole at any moment."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_manifest(folder: Path) -> Json:
    """Read a variant's variant.json. Raises TailorError when there is none."""
    try:
        manifest: Json = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TailorError(
            f"a {MANIFEST} in {folder}", str(error), "run `tailor-compress export`"
        ) from error
    return manifest
