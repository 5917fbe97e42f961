# SPDX-License-Identifier: Apache-2.0
"""The engine as a candidate: engine_bench --interactive as a child process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from batch import Batch, CandidateError, Scores


class Engine:
    """One model folder, or the variant `variant` of the family that `model` is, in one format.

    Without a format it is the model's own.
    """

    def __init__(
        self, binary: Path, model: Path, threads: int, data_format: str = "", variant: str = ""
    ) -> None:
        self.name = f"tailor {data_format or variant}"
        command = [str(binary), "--model", str(model), "--threads", str(threads), "--interactive"]
        command += ["--variant", variant] if variant else []
        command += ["--format", data_format] if data_format else []
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
            raise CandidateError(f"{self.name}: ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
