# SPDX-License-Identifier: Apache-2.0
"""The engine and its peers behind one interface: score a batch, time a batch."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """A ragged batch as the engine packs it, and padded to its longest sequence for the peers."""

    spec: str
    tokens: int
    inputs: dict[str, npt.NDArray[np.int64]]

    @staticmethod
    def from_description(spec: str, description: dict[str, list[int]]) -> Batch:
        offsets = np.asarray(description["sequence_offsets"])
        lengths = np.diff(offsets)
        shape = (len(lengths), int(lengths.max()))
        ids = np.zeros(shape, np.int64)
        types = np.zeros(shape, np.int64)
        mask = np.zeros(shape, np.int64)
        for row, (start, length) in enumerate(zip(offsets[:-1], lengths, strict=True)):
            ids[row, :length] = description["token_ids"][start : start + length]
            types[row, :length] = description["token_type_ids"][start : start + length]
            mask[row, :length] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return Batch(spec, int(lengths.sum()), inputs)


class Peer(Protocol):
    """Something that scores batches. `time` gives seconds of each of `repeats` runs."""

    name: str

    def score(self, batch: Batch) -> Scores: ...

    def time(self, batch: Batch, repeats: int) -> list[float]: ...


class Engine:
    """engine_bench --interactive as a child process."""

    def __init__(self, binary: Path, model: Path, data_format: str, threads: int) -> None:
        self.name = f"tailor {data_format}"
        command = [str(binary), "--model", str(model), "--format", data_format]
        command += ["--threads", str(threads), "--interactive"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.plan: dict[str, Any] = self._read()

    def describe(self, spec: str) -> Batch:
        return Batch.from_description(spec, self._ask(f"describe {spec}"))

    def score(self, batch: Batch) -> Scores:
        return np.asarray(self._ask(f"score {batch.spec}")["outputs"], np.float32)

    def time(self, batch: Batch, repeats: int) -> list[float]:
        seconds: list[float] = self._ask(f"time {batch.spec} {repeats}")["seconds"]
        return seconds

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class _InProcess:
    """A peer that is a Python call on padded inputs."""

    name: str

    def score(self, batch: Batch) -> Scores:
        return np.asarray(self._runner(batch)(), np.float32).reshape(-1)

    def time(self, batch: Batch, repeats: int) -> list[float]:
        run = self._runner(batch)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return seconds

    def _runner(self, batch: Batch) -> Callable[[], Any]:
        raise NotImplementedError


class OnnxRuntime(_InProcess):
    def __init__(self, model: Path, threads: int, name: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.name = name
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    def _runner(self, batch: Batch) -> Callable[[], Any]:
        return lambda: self._session.run(None, batch.inputs)[0]


class OpenVino(_InProcess):
    """Compiled for the exact shape of each batch, which suits it better than dynamic shapes."""

    def __init__(self, model: Path, threads: int, precision: str, prefix: str = "") -> None:
        import openvino

        self.name = f"OpenVINO {prefix}{precision}"
        self._core = openvino.Core()
        self._model = model
        self._config = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": str(threads),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled: dict[str, Any] = {}

    def _runner(self, batch: Batch) -> Callable[[], Any]:
        if batch.spec not in self._compiled:
            model = self._core.read_model(str(self._model))
            model.reshape({name: list(value.shape) for name, value in batch.inputs.items()})
            compiled = self._core.compile_model(model, "CPU", self._config)
            self._compiled[batch.spec] = compiled.create_infer_request()
        request = self._compiled[batch.spec]
        return lambda: request.infer(batch.inputs)[0]
