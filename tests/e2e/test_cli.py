# SPDX-License-Identifier: Apache-2.0
"""The binary from outside: options, exit codes, ports, signals, pages."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from served import ROOT, Start, Stubs, run_tailor, wait_for

EXIT_CONFIG = 78
EXIT_USAGE = 64


def one_line(text: str) -> str:
    """The text, which must be exactly one line."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_version_and_help() -> None:
    version = run_tailor("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("tailor 0.")
    for command in ("serve", "rank", "load", "explain", "inspect"):
        assert command in run_tailor("--help").stdout
        assert run_tailor(command, "--help").returncode == 0


def test_every_option_is_in_the_help() -> None:
    text = run_tailor("serve", "--help").stdout
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("| `"):
            assert f"--{line.split('`')[1]}" in text


def test_check_config(family: Path) -> None:
    good = run_tailor("serve", "--check-config", "--family", str(family))
    assert good.returncode == 0, good.stderr
    bad = run_tailor("serve", "--check-config")
    assert bad.returncode == EXIT_CONFIG
    assert "family" in one_line(bad.stderr)


def test_unknown_flags_and_keys_name_the_nearest(tmp_path: Path) -> None:
    flag = run_tailor("serve", "--treads", "2")
    assert flag.returncode == EXIT_CONFIG
    assert 'did you mean "--threads"' in one_line(flag.stderr)
    config = tmp_path / "tailor.toml"
    config.write_text('polcy = "tailored"\n')
    key = run_tailor("serve", "--config", str(config), "--check-config")
    assert key.returncode == EXIT_CONFIG
    assert 'did you mean "policy"' in one_line(key.stderr)
    command = run_tailor("serv")
    assert command.returncode == EXIT_USAGE
    assert 'did you mean "serve"' in one_line(command.stderr)


def test_print_config_is_accepted_again(family: Path, tmp_path: Path) -> None:
    printed = run_tailor("serve", "--print-config", "--family", str(family), "--max-documents", "7")
    config = tmp_path / "tailor.toml"
    config.write_text(printed.stdout)
    again = run_tailor("serve", "--print-config", "--config", str(config))
    assert again.stdout == printed.stdout
    assert "max-documents = 7" in printed.stdout


def test_precedence(tmp_path: Path) -> None:
    config = tmp_path / "tailor.toml"
    config.write_text("threads = 3\npollers = 3\nhttp-threads = 3\n")
    printed = run_tailor(
        "serve",
        "--print-config",
        "--config",
        str(config),
        "--threads",
        "1",
        TAILOR_THREADS="2",
        TAILOR_POLLERS="2",
    ).stdout
    assert "\nthreads = 1\n" in printed
    assert "\npollers = 2\n" in printed
    assert "\nhttp-threads = 3\n" in printed


def test_missing_family_is_one_line(tmp_path: Path) -> None:
    result = run_tailor("serve", "--family", str(tmp_path / "none"), "--listen", "127.0.0.1:0")
    assert result.returncode == EXIT_CONFIG
    assert one_line(result.stderr).startswith("tailor serve: ")


def test_a_port_in_use_is_one_line_and_78(start: Start, family: Path) -> None:
    served = start()
    rpc = run_tailor(
        "serve", "--family", str(family), "--listen", served.address, "--http-listen", "127.0.0.1:0"
    )
    assert rpc.returncode == EXIT_CONFIG
    assert "in use" in one_line(rpc.stderr)
    http = run_tailor(
        "serve", "--family", str(family), "--listen", "127.0.0.1:0",
        "--http-listen", f"127.0.0.1:{served.http_port}",
    )  # fmt: skip
    assert http.returncode == EXIT_CONFIG
    assert "in use" in one_line(http.stderr)


def test_sigterm_drains(start: Start, stubs: Stubs) -> None:
    served = start("--drain-delay", "1s")
    with grpc.insecure_channel(served.address) as channel:
        ranker = stubs.ranker_grpc.RankerStub(channel)
        request = stubs.ranker.RankRequest(query=b"a", documents=[b"b"])
        ranker.Rank(request)
        served.process.send_signal(signal.SIGTERM)
        # Not ready at once, while calls are still answered.
        wait_for(lambda: served.page("/healthz") == (503, "draining\n"), "draining")
        assert len(ranker.Rank(request).results) == 1
    assert served.process.wait(timeout=30) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.grpc_port)) != 0


def test_a_second_signal_ends_at_once(start: Start) -> None:
    served = start("--drain-delay", "1000s")
    served.process.send_signal(signal.SIGTERM)
    wait_for(lambda: served.page("/healthz")[0] == 503, "draining")
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(timeout=30) == 128 + signal.SIGTERM


def test_metrics_are_valid(start: Start, stubs: Stubs) -> None:
    served = start()
    with grpc.insecure_channel(served.address) as channel:
        stubs.ranker_grpc.RankerStub(channel).Rank(
            stubs.ranker.RankRequest(query=b"a", documents=[b"b", b"c"])
        )
    status, text = served.page("/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert "tailor_requests" in families
    assert all(name.startswith(("tailor_", "process_")) for name in families)
    ready = families["tailor_ready"].samples[0].value
    assert ready == 1
    counted = [s for s in families["tailor_requests"].samples if s.labels.get("method") == "Rank"]
    assert sum(s.value for s in counted if s.name.endswith("_total")) == 1


def test_status_page(start: Start) -> None:
    served = start()
    status, page = served.page("/statusz")
    assert status == 200
    assert "small" in page
    assert "large" in page
    assert "http://" not in page  # self-contained
    facts = json.loads(served.page("/statusz?format=json")[1])
    assert facts["state"] == "ready"
    assert {variant["id"] for variant in facts["variants"]} == {"small", "large"}


def test_garbage_on_the_grpc_port_kills_nothing(start: Start, stubs: Stubs) -> None:
    served = start()
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(65536),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096,
    ):
        with socket.create_connection(("127.0.0.1", served.grpc_port)) as connection:
            try:
                connection.sendall(garbage)
            except OSError:
                continue  # refused halfway
    with grpc.insecure_channel(served.address) as channel:
        ranker = stubs.ranker_grpc.RankerStub(channel)
        assert ranker.Rank(stubs.ranker.RankRequest(query=b"a", documents=[b"b"])).results
    assert served.process.poll() is None


@pytest.mark.parametrize("arguments", [["--device", "reference"], ["--policy", "fixed:small"]])
def test_devices_and_policies(start: Start, stubs: Stubs, arguments: list[str]) -> None:
    served = start(*arguments)
    with grpc.insecure_channel(served.address) as channel:
        answer = stubs.ranker_grpc.RankerStub(channel).Rank(
            stubs.ranker.RankRequest(
                query=b"a",
                documents=[b"b"],
                options=stubs.ranker.ServingOptions(latency_budget_us=10_000_000),
            )
        )
    expected = "small" if "fixed:small" in arguments else "large"
    assert answer.execution.variant == expected


def has_gpu() -> bool:
    """Whether there may be a GPU that a build with CUDA would take."""
    return Path("/dev/nvidiactl").exists()


@pytest.mark.skipif(has_gpu(), reason="expects a machine without a GPU")
def test_cuda_without_a_gpu_is_one_line_and_78(family: Path, tmp_path: Path) -> None:
    served = run_tailor(
        *["serve", "--family", str(family), "--listen", "127.0.0.1:0"], "--device=cuda"
    )
    assert served.returncode == EXIT_CONFIG
    assert one_line(served.stderr).startswith("tailor serve: cuda: expected ")
    lists = tmp_path / "lists.jsonl"
    lists.write_text('{"query": "a", "documents": ["b"]}\n')
    scored = run_tailor(
        *["score", "--family", str(family), "--variant", "small", "--lists", str(lists)],
        "--device=cuda",
    )
    assert scored.returncode == EXIT_CONFIG
    assert one_line(scored.stderr).startswith("tailor score: cuda: expected ")


def test_a_gpu_beyond_the_range_is_refused(family: Path) -> None:
    result = run_tailor("serve", "--family", str(family), "--cuda-device", "64")
    assert result.returncode == EXIT_CONFIG
    assert one_line(result.stderr).endswith('--cuda-device: expected 0 to 63, got "64"')


@pytest.mark.skipif(has_gpu(), reason="expects a machine without a GPU")
def test_auto_takes_the_cpu_and_says_why(start: Start, tmp_path: Path) -> None:
    served = start("--device=auto", "--log-format=json")
    assert json.loads(served.page("/statusz?format=json")[1])["device"] == "cpu"
    log = [json.loads(line) for line in (tmp_path / "server-0.log").read_text().splitlines()]
    chosen = [line for line in log if line["event"] == "device chosen"]
    assert len(chosen) == 1
    assert chosen[0]["device"] == "cpu"
    assert chosen[0]["why"].startswith("auto: cuda: expected ")


def test_an_unknown_fixed_variant_names_the_nearest(family: Path) -> None:
    result = run_tailor(
        "serve", "--family", str(family), "--listen", "127.0.0.1:0", "--policy", "fixed:smal"
    )
    assert result.returncode == EXIT_CONFIG
    assert "small" in result.stderr.strip().splitlines()[-1]


def test_an_unknown_policy_names_all_and_the_nearest(family: Path) -> None:
    result = run_tailor("serve", "--check-config", "--family", str(family), "--policy", "slakfit")
    assert result.returncode == EXIT_CONFIG
    line = one_line(result.stderr)
    assert "expected one of tailored, fixed:VARIANT, slackfit" in line
    assert 'did you mean "slackfit"' in line


# Not proteus: it waits for the last moment that is in time, which a busy machine then misses; its
# tests have a virtual clock.
@pytest.mark.parametrize("policy", ["slackfit", "infaas-slowest-fit", "model-switching", "aimd"])
def test_other_policies_serve(start: Start, stubs: Stubs, policy: str) -> None:
    served = start("--policy", policy)
    with grpc.insecure_channel(served.address) as channel:
        ranker = stubs.ranker_grpc.RankerStub(channel)
        options = stubs.ranker.ServingOptions(latency_budget_us=500_000)
        for _ in range(3):
            request = stubs.ranker.RankRequest(query=b"a", documents=[b"b", b"c"], options=options)
            assert len(ranker.Rank(request).results) == 2


def test_explain_says_what_would_be_chosen(start: Start) -> None:
    served = start()
    chosen = run_tailor(
        "explain", "--server", served.address, "--budget", "5s", "--lengths", "2x12,8"
    )
    assert chosen.returncode == 0, chosen.stderr
    explanation = json.loads(chosen.stdout)
    assert explanation["variant"] == explanation["candidates"][0]["variant"]
    assert explanation["reason"] == "fit"
    assert explanation["second_variant"] == ""
    assert explanation["predicted_ms"] > 0
    refused = run_tailor(
        "explain", "--server", served.address, "--budget", "1us", "--lengths", "8", "--text"
    )
    assert refused.returncode == 0, refused.stderr
    assert "refused: BUDGET_INFEASIBLE" in refused.stdout
    usage = run_tailor("explain", "--server", served.address, "--budget", "5s", "--lengths", "a")
    assert usage.returncode == EXIT_USAGE
    assert "--lengths: expected tokens such as" in one_line(usage.stderr)
    nobody = run_tailor("explain", "--server", "127.0.0.1:1", "--budget", "5s", "--lengths", "8")
    assert nobody.returncode == 69


def test_health_command_follows_the_server(start: Start) -> None:
    served = start("--drain-delay", "1000s")
    address = f"127.0.0.1:{served.http_port}"
    ready = run_tailor("health", "--http", address)
    assert (ready.returncode, ready.stdout.strip()) == (0, "ready")
    served.process.send_signal(signal.SIGTERM)
    wait_for(lambda: served.page("/healthz")[0] == 503, "draining")
    assert run_tailor("health", "--http", address).returncode == 69
