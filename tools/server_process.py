# SPDX-License-Identifier: Apache-2.0
"""Starts a `tailor serve` of one's own on free loopback ports, waits until it is ready, stops it.

Used by tools/demo.py and by the benchmarks of the service.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 40.0
POLL_S = 0.005


class ServerError(Exception):
    """One line: why there is no server."""


class ServerProcess:
    """A running server; a context manager that ends it.

    `grpc` and `http` are addresses, `ready_s` the seconds from the start of the process to the
    first OK of /healthz. The log goes to `log`.
    """

    def __init__(
        self,
        tailor: Path,
        family: Path,
        *,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        log: Path,
    ) -> None:
        """Starts `prefix... tailor serve ... options...` and waits until it is ready."""
        self.log = log
        self.grpc = ""
        self.http = ""
        self.ready_s = 0.0
        if not tailor.exists():
            raise ServerError(f"expected the program {tailor}, found none: build it first")
        if not family.is_dir():
            raise ServerError(f"expected the family folder {family}, found none")
        self._folder = tempfile.TemporaryDirectory(prefix="tailor-")
        ports = Path(self._folder.name) / "ports.json"
        command = [
            *prefix,
            *(str(tailor), "serve", "--family", str(family)),
            *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
            *("--port-file", str(ports), "--drain-delay", "0s", "--log-format", "json"),
            *options,
        ]
        log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            self._wait_until_ready(ports)
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.kill()

    def stop(self) -> None:
        """SIGTERM; ServerError when the server does not drain and exit with 0 in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(
                f"the server did not end within {STOP_TIMEOUT_S:.0f} s of SIGTERM ({self.log})"
            ) from None
        self._folder.cleanup()
        if code != 0:
            raise ServerError(f"the server ended with exit code {code}: {self._last_log_line()}")

    def kill(self) -> None:
        """Ends the server at once; for error paths."""
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def resident_mib(self, field: str = "VmRSS") -> float:
        """Resident memory now (VmRSS) or at its peak (VmHWM)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise ServerError(f"no {field} in /proc/{self.process.pid}/status")

    def _wait_until_ready(self, ports: Path) -> None:
        while not self._is_ready(ports):
            if self.process.poll() is not None:
                raise ServerError(
                    f"the server ended with exit code {self.process.returncode} before it was "
                    f"ready: {self._last_log_line()}"
                )
            if time.monotonic() - self.started > READY_TIMEOUT_S:
                raise ServerError(f"the server was not ready after {READY_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)
        self.ready_s = time.monotonic() - self.started

    def _is_ready(self, ports: Path) -> bool:
        if not self.http:
            try:
                found = json.loads(ports.read_text("ascii"))
                self.grpc = f"127.0.0.1:{found['grpc']}"
                self.http = f"127.0.0.1:{found['http']}"
            except (OSError, ValueError):
                return False  # not written yet, or not to its end
        try:
            with urllib.request.urlopen(f"http://{self.http}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _last_log_line(self) -> str:
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"nothing in {self.log}"
