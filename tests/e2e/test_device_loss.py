# SPDX-License-Identifier: Apache-2.0
"""A whole server whose device is lost: everybody is told, and the process ends with 70."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from served import BUILD, Served, Stubs, environment, reason_of, wait_for

EXIT_DEVICE = 70
END_SECONDS = 5
HEALTH = health_pb2.HealthCheckResponse


@dataclass
class Losing:
    """A server that loses its device in the first batch after `lose`."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def log(self) -> list[str]:
        """What it wrote to standard error."""
        return (self.folder / "log").read_text().splitlines()

    def lose(self) -> None:
        """The next batch finds no device."""
        (self.folder / "loss").touch()

    def served(self) -> Served:
        """Once it is ready."""
        ports = self.folder / "ports"
        wait_for(lambda: ports.exists() or self.process.poll() is not None, "the port file")
        found = json.loads(ports.read_text())
        served = Served(self.process, found["grpc"], found["http"])
        served.wait_until_ready()
        return served

    def assert_ends(self) -> None:
        """In time, with the exit code of a lost device, which the last line explains."""
        assert self.process.wait(timeout=END_SECONDS) == EXIT_DEVICE, self.log
        assert self.log[-1] == ("tailor serve: the device was lost: expected a device, got none"), (
            self.log
        )


def begin(family: Path, folder: Path) -> Losing:
    """Starts the server."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                str(BUILD / "tests/e2e/serve_losing_device"),
                *[str(family), str(folder / "ports"), str(folder / "loss")],
            ],
            stderr=log,
            text=True,
            env=environment(),
        )
    return Losing(process, folder)


@pytest.fixture
def losing(family: Path, tmp_path: Path) -> Iterator[Losing]:
    """A server whose device is there."""
    server = begin(family, tmp_path)
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()


def assert_refused(served: Served, stubs: Stubs) -> None:
    """A call that learns of the loss."""
    with grpc.insecure_channel(served.address) as channel:
        ranker = stubs.ranker_grpc.RankerStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            ranker.Rank(stubs.ranker.RankRequest(query=b"a", documents=[b"b", b"c"]))
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert reason_of(refused.value, stubs) == "DEVICE_LOST"


def test_the_loss_of_the_device_ends_the_process(losing: Losing, stubs: Stubs) -> None:
    served = losing.served()
    with grpc.insecure_channel(served.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == HEALTH.SERVING
        losing.lose()
        assert_refused(served, stubs)
        assert next(watch).status == HEALTH.NOT_SERVING
        losing.assert_ends()


def test_a_drain_does_not_keep_it_from_ending(losing: Losing, stubs: Stubs) -> None:
    served = losing.served()
    losing.process.send_signal(signal.SIGTERM)
    wait_for(lambda: served.page("/healthz") == (503, "draining\n"), "draining")
    losing.lose()
    assert_refused(served, stubs)
    losing.assert_ends()


def test_a_loss_at_warm_up_ends_it_too(family: Path, tmp_path: Path) -> None:
    (tmp_path / "loss").touch()
    losing = begin(family, tmp_path)
    losing.process.wait(timeout=60)
    losing.assert_ends()


def test_the_notice_of_a_backend_is_a_warning_and_on_the_page(losing: Losing) -> None:
    served = losing.served()
    assert json.loads(served.page("/statusz?format=json")[1])["notice"] == "about to be lost"
    assert "about to be lost" in served.page("/statusz")[1]
    warnings = [json.loads(line) for line in losing.log if "device notice" in line]
    assert [line["level"] for line in warnings] == ["warning"]
    assert warnings[0]["notice"] == "about to be lost"
