# SPDX-License-Identifier: Apache-2.0
"""The forms of a model that peers read, made once for each shape and each set of versions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batch import Batch
from environment import MODELS, REQUIREMENTS
from shapes import Shape

ENGINE = "engine"  # sub-folder of what the engine reads
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def _once(folder: Path, stage: str, key: str, make: Callable[[], None]) -> None:
    marker = folder / f"{stage}.made"
    if marker.exists() and marker.read_text(encoding="utf-8") == key:
        return
    marker.unlink(missing_ok=True)
    make()
    marker.write_text(key, encoding="utf-8")


def _key(shape: Shape) -> str:
    return f"{shape}\n{REQUIREMENTS.read_text(encoding='utf-8')}"


def export_onnx(model: Any, folder: Path, heads: int, hidden: int) -> None:
    """model.onnx, and fused.onnx with ONNX Runtime's own fusions for BERT, which its session
    options alone do not all apply.
    """
    import onnxruntime.transformers.optimizer as optimizer
    import torch

    example = torch.ones((2, 8), dtype=torch.int64)
    axes = {name: {0: "sequences", 1: "tokens"} for name in INPUTS}
    torch.onnx.export(
        model,
        (example, example, torch.zeros_like(example)),
        str(folder / "model.onnx"),
        input_names=list(INPUTS),
        output_names=["logits"],
        dynamic_axes=axes | {"logits": {0: "sequences"}},
        opset_version=17,
        dynamo=False,
    )
    fused = optimizer.optimize_model(
        str(folder / "model.onnx"), "bert", num_heads=heads, hidden_size=hidden
    )
    fused.save_model_to_file(str(folder / "fused.onnx"))


def _export_ctranslate2(model: Any, shape: Shape, folder: Path) -> None:
    """The converter's own form; heads of a cut shape keep their size, which it has to be told."""
    import numpy as np
    from ctranslate2.converters.transformers import BertLoader
    from make_models import words

    bert = model.bert
    bert.config.position_embedding_type = "absolute"  # the converter asks, transformers 5 has none
    heads = bert.config.num_attention_heads
    bert.config.num_attention_heads = shape.cut.heads if shape.cut else heads
    spec = BertLoader().get_model_spec(bert)
    bert.config.num_attention_heads = heads
    if shape.cut:
        for layer in spec.encoder.layer:
            # The loader does not pass it on, and a specification refuses new attributes.
            vars(layer.self_attention)["head_dim"] = np.dtype("int32").type(shape.head_dim)
    spec.register_vocabulary(words(shape))
    spec.config.unk_token = "[UNK]"  # noqa: S105
    spec.config.layer_norm_epsilon = bert.config.layer_norm_eps
    spec.validate()
    spec.optimize()
    out = folder / "ctranslate2"
    out.mkdir(exist_ok=True)
    spec.save(str(out))
    head = model.classifier
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    np.savez(out / "classifier.npz", weight=weight, bias=bias)


def export(shape: Shape) -> Path:
    """The shape's folder: what the engine reads, and the float forms that its peers read."""
    folder = MODELS / shape.name

    def make() -> None:
        import torch
        from make_models import make_model

        print(f"{shape.name}: exporting", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        model = make_model(shape, folder / ENGINE)
        torch.save(model, folder / "model.pt")
        export_onnx(model, folder, shape.cut.heads if shape.cut else shape.heads, shape.hidden)
        _export_ctranslate2(model, shape, folder)

    _once(folder, "float", _key(shape), make)
    return folder


def export_int8(shape: Shape, batch: Batch) -> None:
    """The int8 forms of ONNX Runtime (dynamic) and OpenVINO (NNCF, calibrated on `batch`)."""
    folder = MODELS / shape.name

    def make() -> None:
        import nncf
        import onnx
        import openvino
        from onnxruntime.quantization import QuantType, quantize_dynamic

        print(f"{shape.name}: quantising", flush=True)
        quantize_dynamic(
            folder / "fused.onnx",
            folder / "int8.onnx",
            per_channel=True,
            weight_type=QuantType.QInt8,
            # of the fused nodes' outputs
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        model = openvino.Core().read_model(str(folder / "model.onnx"))
        rows = [
            {name: value[i : i + 1] for name, value in batch.inputs.items()}
            for i in range(len(batch.lengths))
        ]
        quantized = nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER)
        openvino.save_model(quantized, folder / "int8.xml")

    _once(folder, "int8", _key(shape), make)
