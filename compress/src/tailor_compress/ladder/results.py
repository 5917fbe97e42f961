# SPDX-License-Identifier: Apache-2.0
"""A finished stage on disk: f32 weights, what joins them, and the record of how they were made.

A folder is written beside its place and then renamed, so that it is whole or absent.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import Step, Trained
from tailor_compress.method import Made
from tailor_compress.model.cut import LayerShape, layer_shapes
from tailor_compress.model.stored import build_model

RECORD, WEIGHTS, TENSORS = "training.json", "model.safetensors", "tensors.safetensors"


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``folder`` when the block ends without an error."""
    partial = folder.with_name(f".{folder.name}.partial")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_replacing(path: Path, text: str) -> None:
    """Write a text file so that it is the old one or the new one at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@dataclass(frozen=True)
class Result:
    """What a stage left in ``folder``; ``fingerprint`` is None for one that was not recorded."""

    folder: Path
    record: Trained
    fingerprint: str | None
    manifest: Mapping[str, Any]

    def model(self) -> BertForSequenceClassification | None:
        """Return the f32 model, cut or not; None for a stage that has no weights of its own."""
        if not (self.folder / WEIGHTS).is_file():
            return None
        return read_model(self.folder)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that replace or join the model's."""
        path = self.folder / TENSORS
        return load_file(path) if path.is_file() else {}


def read_model(folder: Path) -> BertForSequenceClassification:
    """Return the model of a folder that save_model wrote."""
    shapes_path = folder / "layers.json"
    if not shapes_path.is_file():
        model: BertForSequenceClassification = BertForSequenceClassification.from_pretrained(folder)
        model.train(False)
        return model
    shapes = [LayerShape(**row) for row in json.loads(shapes_path.read_text())]
    config = BertConfig.from_pretrained(folder)
    return build_model(config, shapes, load_file(folder / WEIGHTS))


def save_model(model: BertForSequenceClassification, folder: Path) -> None:
    """Write configuration, weights and the shapes of the layers."""
    model.config.save_pretrained(folder)
    tensors = {name: one.detach().contiguous() for name, one in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    shapes = [asdict(shape) for shape in layer_shapes(model)]
    (folder / "layers.json").write_text(json.dumps(shapes) + "\n")


def save_result(made: Made, record: Trained, fingerprint: str, folder: Path) -> Result:
    """Write what a method made."""
    with replacing(folder) as partial:
        if made.model is not None:
            save_model(made.model, partial)
        if made.tensors:
            tensors = {name: one.detach().contiguous() for name, one in made.tensors.items()}
            save_file(tensors, partial / TENSORS)
        content = {
            "fingerprint": fingerprint,
            "manifest": dict(made.manifest),
            **asdict(record),
        }
        (partial / RECORD).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return load_result(folder)


def load_result(folder: Path) -> Result:
    """Read a finished stage. Raises TailorError when there is none."""
    path = folder / RECORD
    if not path.is_file():
        raise TailorError(f"a finished stage in {folder}", "none", "run `tailor-compress ladder`")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Result(
        folder,
        Trained([Step(**one) for one in content["steps"]], content["parents"]),
        content.get("fingerprint"),
        content.get("manifest", {}),
    )


def adopt(folder: Path, fingerprint: str) -> None:
    """Record that what ``folder`` holds is the result of ``fingerprint``."""
    load_result(folder)
    content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    content["fingerprint"] = fingerprint
    write_replacing(folder / RECORD, json.dumps(content, indent=1) + "\n")
