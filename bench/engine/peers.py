# SPDX-License-Identifier: Apache-2.0
"""The runtimes that the engine is held against; each one is made in a process of its own.

All take what their documentation advises for a CPU: ONNX Runtime every graph optimisation,
OpenVINO its latency hint and a model compiled for the exact shape of the batch, CTranslate2 its
removal of padding, PyTorch inference mode, and torch.compile frozen weights and static shapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from batch import Batch, Scores


class _Peer:
    """A call on padded inputs. What was prepared for a batch is kept until another one comes."""

    name: str

    def __init__(self) -> None:
        self._prepared: tuple[str, Callable[[], Any]] | None = None

    def score(self, batch: Batch) -> Scores:
        return np.asarray(self._runner(batch)(), np.float32).reshape(-1)

    def time(self, batch: Batch, repeats: int) -> list[float]:
        """Before several runs one that does not count wakes the threads; a single one is long."""
        run = self._runner(batch)
        if repeats > 1:
            run()
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return seconds

    def close(self) -> None:
        self._prepared = None

    def _runner(self, batch: Batch) -> Callable[[], Any]:
        if self._prepared is None or self._prepared[0] != batch.spec:
            self._prepared = None
            self._prepared = (batch.spec, self._prepare(batch))
        return self._prepared[1]

    def _prepare(self, batch: Batch) -> Callable[[], Any]:
        raise NotImplementedError


class OnnxRuntime(_Peer):
    def __init__(self, name: str, model: Path, threads: int) -> None:
        import onnxruntime

        super().__init__()
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    def _prepare(self, batch: Batch) -> Callable[[], Any]:
        return lambda: self._session.run(None, batch.inputs)[0]


class OpenVino(_Peer):
    """Computes in `precision` what the model does not store as int8."""

    def __init__(self, name: str, model: Path, threads: int, precision: str) -> None:
        import openvino

        super().__init__()
        self.name = name
        self._core = openvino.Core()
        self._model = model
        self._config = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": str(threads),
            "PERFORMANCE_HINT": "LATENCY",
        }

    def _prepare(self, batch: Batch) -> Callable[[], Any]:
        model = self._core.read_model(str(self._model))
        model.reshape({name: list(value.shape) for name, value in batch.inputs.items()})
        request = self._core.compile_model(model, "CPU", self._config).create_infer_request()
        return lambda: request.infer(batch.inputs)[0]


class CTranslate2(_Peer):
    """Its encoder with pooler; the classifier, which it does not have, in numpy."""

    def __init__(self, name: str, model: Path, threads: int, compute_type: str) -> None:
        import ctranslate2

        super().__init__()
        self.name = name
        self._storage = ctranslate2.StorageView
        self._encoder = ctranslate2.Encoder(
            str(model),
            device="cpu",
            compute_type=compute_type,
            intra_threads=threads,
            inter_threads=1,
        )
        head = np.load(model / "classifier.npz")
        self._weight, self._bias = head["weight"], head["bias"]

    def _prepare(self, batch: Batch) -> Callable[[], Any]:
        ids = self._storage.from_array(batch.inputs["input_ids"].astype(np.int32))
        lengths = self._storage.from_array(batch.lengths.astype(np.int32))
        types = batch.inputs["token_type_ids"].tolist()

        def run() -> Any:
            output = self._encoder.forward_batch(ids, lengths, types)
            return np.asarray(output.pooler_output) @ self._weight.T + self._bias

        return run


class PyTorch(_Peer):
    def __init__(self, name: str, model: Path, threads: int, dtype: str, compiled: bool) -> None:
        import torch

        super().__init__()
        self.name = name
        torch.set_num_threads(threads)
        # Our own file: the cut modules are pickled whole.
        module = torch.load(model, weights_only=False).eval().to(getattr(torch, dtype))
        if compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = True
            module = torch.compile(module, dynamic=False)
        self._module = module
        self._torch = torch

    def _prepare(self, batch: Batch) -> Callable[[], Any]:
        inputs = {name: self._torch.from_numpy(value) for name, value in batch.inputs.items()}

        def run() -> Any:
            with self._torch.no_grad():
                return self._module(**inputs).logits.float().numpy()

        self._torch.compiler.reset()  # of the batch before
        return run
