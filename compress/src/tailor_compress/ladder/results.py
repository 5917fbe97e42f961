# SPDX-License-Identifier: Apache-2.0
"""A finished stage on disk: f32 weights, what joins them, and the record of how they were made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.export.files import replacing, save_tensors, write_replacing
from tailor_compress.export.trained import Step, Trained
from tailor_compress.method import Made
from tailor_compress.model.cut import LayerShape, layer_shapes
from tailor_compress.model.stored import build_model

RECORD, WEIGHTS, TENSORS = "training.json", "model.safetensors", "tensors.safetensors"


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
    save_tensors(model.state_dict(), folder / WEIGHTS)
    shapes = [asdict(shape) for shape in layer_shapes(model)]
    (folder / "layers.json").write_text(json.dumps(shapes) + "\n")


def save_result(made: Made, record: Trained, fingerprint: str, folder: Path) -> Result:
    """Write what a method made."""
    with replacing(folder) as partial:
        if made.model is not None:
            save_model(made.model, partial)
        if made.tensors:
            save_tensors(made.tensors, partial / TENSORS)
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
