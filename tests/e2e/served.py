# SPDX-License-Identifier: Apache-2.0
"""What the tests of the binary share: running it, and a server as a value."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import grpc
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("TAILOR_BUILD", "build/release")
TAILOR = BUILD / "cli/tailor"
START_SECONDS = 60


def environment(**extra: str) -> dict[str, str]:
    """The environment without options of a server that somebody set by chance."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TAILOR_")}
    return kept | extra


def run_tailor(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Runs the binary to its end."""
    return subprocess.run(
        [str(TAILOR), *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=environment(**extra),
        check=False,
    )


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    grpc_port: int
    http_port: int

    @property
    def address(self) -> str:
        """Where gRPC listens."""
        return f"127.0.0.1:{self.grpc_port}"

    def page(self, path: str) -> tuple[int, str]:
        """Status and body of an HTTP page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_ready(self) -> None:
        """Until /healthz says so."""
        wait_for(lambda: self.page("/healthz")[0] == 200, "the server to become ready")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Polls; fails after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {START_SECONDS} s for {what}")
        time.sleep(0.02)


Start = Callable[..., Served]


@dataclass
class Stubs:
    """Generated modules of tailor.v1 and google.rpc."""

    ranker: ModuleType
    ranker_grpc: ModuleType
    admin: ModuleType
    admin_grpc: ModuleType
    error_details: ModuleType
    status: ModuleType


def reason_of(error: grpc.RpcError, stubs: Stubs) -> str:
    """The stable reason of a refusal."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = stubs.status.Status.FromString(value)
            info = stubs.error_details.ErrorInfo()
            status.details[0].Unpack(info)
            return str(info.reason)
    return ""
