# SPDX-License-Identifier: Apache-2.0
"""A real `tailor serve` process over a tiny family, and stubs made from proto/ at test time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc_tools import protoc

sys.path.insert(0, str(Path(__file__).parent))

from served import BUILD, ROOT, TAILOR, Served, Start, Stubs, environment, wait_for


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny variants, small and large."""
    if not TAILOR.exists():
        pytest.skip(f"{TAILOR} is not built")
    folder = tmp_path_factory.mktemp("family")
    subprocess.run([str(BUILD / "tests/e2e/make_tiny_family"), str(folder)], check=True)
    return folder


@pytest.fixture
def start(family: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers that end with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, ready: bool = True, folder: Path = family) -> Served:
        port_file = tmp_path / f"ports-{len(started)}.json"
        log = (tmp_path / f"server-{len(started)}.log").open("w")
        process = subprocess.Popen(
            [
                *[str(TAILOR), "serve", "--family", str(folder), "--listen", "127.0.0.1:0"],
                *["--http-listen", "127.0.0.1:0", "--port-file", str(port_file), "--threads", "1"],
                *arguments,
            ],
            stderr=log,
            text=True,
            env=environment(),
        )
        started.append(process)
        wait_for(lambda: port_file.exists() or process.poll() is not None, "the port file")
        assert process.poll() is None, Path(log.name).read_text()
        ports = json.loads(port_file.read_text())
        served = Served(process, ports["grpc"], ports["http"])
        if ready:
            served.wait_until_ready()
        return served

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Stubs:
    """Made from proto/, so that they cannot be out of date."""
    out = tmp_path_factory.mktemp("stubs")
    include = Path(protoc.__file__).parent / "_proto"
    files = ["tailor/v1/ranker.proto", "tailor/v1/admin.proto"]
    rpc = ["google/rpc/status.proto", "google/rpc/error_details.proto"]
    base = ["protoc", f"-I{ROOT / 'proto'}", f"-I{include}", f"--python_out={out}"]
    assert protoc.main([*base, f"--grpc_python_out={out}", *files]) == 0
    assert protoc.main([*base, *rpc]) == 0
    sys.path.insert(0, str(out))
    import google

    # `google` is a package of protobuf's; ours adds google.rpc to it.
    google.__path__.append(str(out / "google"))
    from google.rpc import error_details_pb2, status_pb2
    from tailor.v1 import admin_pb2, admin_pb2_grpc, ranker_pb2, ranker_pb2_grpc

    return Stubs(
        ranker_pb2, ranker_pb2_grpc, admin_pb2, admin_pb2_grpc, error_details_pb2, status_pb2
    )
