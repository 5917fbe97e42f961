# SPDX-License-Identifier: Apache-2.0
"""What each variant costs in the C++ engine, from the measurements that `tailor serve` starts with.

All variants, shipped or only tried, are put into one family folder for it.
"""

import json
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.engine_family import link_family, require_program
from tailor_compress.evaluation.systems import Variant
from tailor_compress.export.trained import device_name

COSTS = "costs.json"
_READY_S, _STOP_S, _POLL_S = 600.0, 60.0, 0.1
_MS_PER_S = 1e3
# Pairs and tokens of a pair of the batch whose throughput is stated.
_PAIRS, _TOKENS = 32, 64


def _get(port: int, path: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return bytes(answer.read()) if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def _status(process: "subprocess.Popen[bytes]", ports: Path, log: Path) -> dict[str, Any]:
    """Return the server's status once it is ready."""
    began = time.monotonic()
    while time.monotonic() - began < _READY_S:
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise TailorError("the server to start", " ".join(last)[:300], "check the variants")
        try:
            port = int(json.loads(ports.read_text())["http"])
        except (OSError, ValueError):
            port = 0
        if port and _get(port, "/healthz") is not None:
            found = _get(port, "/statusz?format=json")
            if found is not None:
                status: dict[str, Any] = json.loads(found)
                return status
        time.sleep(_POLL_S)
    raise TailorError(f"the server to be ready in {_READY_S:.0f} s", "no answer", "check its log")


def _row(variant: dict[str, Any]) -> dict[str, Any]:
    if variant["state"] == "refused":
        return {"problem": variant["problem"]}
    batch_s = variant["ms_32x64"] / _MS_PER_S
    return {
        "format": variant["format"],
        "ms_1x128": round(variant["ms_1x128"], 4),
        "ms_32x64": round(variant["ms_32x64"], 4),
        "tokens_per_s": round(_PAIRS * _TOKENS / batch_s) if batch_s > 0 else None,
    }


def measure(tailor: Path, variants: Sequence[Variant], options: Sequence[str]) -> dict[str, Any]:
    """Start ``tailor serve`` on the variants and return what its measurements say.

    ``options`` are further flags of the server (threads, instruction set). Raises TailorError
    when the program is not there or does not start.
    """
    require_program(tailor)
    with tempfile.TemporaryDirectory(dir=variants[0].families[-1].parent) as place:
        folder, log, ports = Path(place) / "family", Path(place) / "log", Path(place) / "ports"
        link_family([one.folder for one in variants], variants[0].families[0], folder)
        command = [str(tailor), "serve", "--family", str(folder), "--port-file", str(ports)]
        command += ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *options]
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            status = _status(process, ports, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return {
        "host": device_name().partition(",")[0],
        "isa": status["isa"],
        "threads": status["threads"],
        "variants": {one["id"]: _row(one) for one in status["variants"]},
    }
