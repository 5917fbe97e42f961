# SPDX-License-Identifier: Apache-2.0
"""What other people's clients rely on: health, reflection, refusals as gRPC sees them."""

from __future__ import annotations

import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from served import Start, Stubs, reason_of, wait_for

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", "tailor.v1.Ranker"])
def test_health_check_and_watch_follow_the_server(start: Start, service: str) -> None:
    served = start("--drain-delay", "1000s")
    with grpc.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request).status == SERVING
        watch = health.Watch(request)
        assert next(watch).status == SERVING
        served.process.send_signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        assert health.Check(request).status == NOT_SERVING


def test_health_of_a_family_without_variants(start: Start, family: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for variant in ("small", "large"):
        (broken / variant).mkdir(parents=True)
        for file in (family / variant).iterdir():
            if file.name != "model.safetensors":
                (broken / variant / file.name).write_bytes(file.read_bytes())
    served = start(ready=False, folder=broken)
    with grpc.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
    assert served.process.poll() is None


def test_unknown_services_are_not_found(start: Start) -> None:
    served = start()
    with grpc.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(start: Start) -> None:
    served = start()
    with grpc.insecure_channel(served.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        assert {"tailor.v1.Ranker", "tailor.v1.Admin", "grpc.health.v1.Health"} <= services
        file = database.FindFileContainingSymbol("tailor.v1.Ranker")
        assert "RankRequest" in {message.name for message in file.message_type}
        # grpcurl calls only what reflection describes.
        health = database.FindFileContainingSymbol("grpc.health.v1.Health")
        assert [method.name for method in health.service[0].method] == ["Check", "Watch"]


def test_reflection_can_be_switched_off(start: Start) -> None:
    served = start("--reflection", "false")
    with grpc.insecure_channel(served.address) as channel, pytest.raises(grpc.RpcError) as caught:
        ProtoReflectionDescriptorDatabase(channel).get_services()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_above_the_limit_carries_its_reason(start: Start, stubs: Stubs) -> None:
    served = start()
    with grpc.insecure_channel(served.address) as channel, pytest.raises(grpc.RpcError) as caught:
        stubs.ranker_grpc.RankerStub(channel).Rank(
            stubs.ranker.RankRequest(query=b"a", documents=[b"x" * (5 << 20)])
        )
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(caught.value, stubs) == "TOO_LARGE"


def test_an_absurd_message_costs_no_memory(start: Start, stubs: Stubs) -> None:
    served = start()
    peak = Path(f"/proc/{served.process.pid}/status")

    def resident_mib() -> float:
        lines = dict(line.split(":", 1) for line in peak.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024

    before = resident_mib()
    options = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(served.address, options=options) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        stubs.ranker_grpc.RankerStub(channel).Rank(
            stubs.ranker.RankRequest(query=b"a", documents=[b"x" * (400 << 20)])
        )
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert resident_mib() - before < 100  # max-buffered-bytes, not the message


def test_compressed_messages_are_refused_unread(start: Start, stubs: Stubs) -> None:
    served = start()
    with grpc.insecure_channel(served.address) as channel, pytest.raises(grpc.RpcError) as caught:
        stubs.ranker_grpc.RankerStub(channel).Rank(
            stubs.ranker.RankRequest(query=b"a", documents=[b"x" * (3 << 20)]),
            compression=grpc.Compression.Gzip,
        )
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_cancelled_call_is_counted(start: Start, stubs: Stubs) -> None:
    # The reference backend is slow: the call is cancelled while it waits or runs.
    served = start("--device", "reference")
    with grpc.insecure_channel(served.address) as channel:
        ranker = stubs.ranker_grpc.RankerStub(channel)
        request = stubs.ranker.RankRequest(
            query=b"a",
            documents=[b"a b c d e f g h " * 4] * 1000,
            options=stubs.ranker.ServingOptions(latency_budget_us=60_000_000, variant="large"),
        )
        call = ranker.Rank.future(request)
        wait_for(
            lambda: 'tailor_inflight_requests{method="Rank"} 1' in served.page("/metrics")[1],
            "the call to arrive",
        )
        call.cancel()
        wait_for(lambda: 'reason="cancelled"' in served.page("/metrics")[1], "the cancel")
        # And the server goes on.
        small = stubs.ranker.RankRequest(
            query=b"a",
            documents=[b"b"],
            options=stubs.ranker.ServingOptions(latency_budget_us=60_000_000),
        )
        assert ranker.Rank(small).results
