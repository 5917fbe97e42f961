#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the service at saturation with the engine alone: tokens a second on one core.

The server runs on core 0 with one engine thread, `tailor load` as a closed loop on core 1 with 32
documents a call, the engine alone on core 0 on a batch of the same shape; in turns, several times.
Every pair has the same number of tokens: the texts are whole words of the family's vocabulary.

Usage: bench/service/saturation.py [--family DIR] [--variants A,B] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measurement import (
    FAMILY,
    ON_CORE_0,
    ON_CORE_1,
    RESULTS,
    ROOT,
    TAILOR,
    BenchError,
    has_amx,
    heading,
    publish,
    run_load,
    spread,
    table,
)
from server_process import ServerError, ServerProcess
from texts import QUERY_WORDS, SPECIAL_TOKENS, whole_words

ENGINE_BENCH = ROOT / "build/release/bench/engine/engine_bench"
TARGET_RATIO = 0.85
DOCUMENTS_PER_CALL = 32


@dataclass(frozen=True)
class Variant:
    """A variant of the family: the folder with its weights, and how the products are computed."""

    id: str
    weights: Path
    format: str


@dataclass
class Series:
    """What was measured for one variant, one figure a repeat."""

    engine: list[float] = field(default_factory=list)  # tokens/s
    service: dict[int, list[float]] = field(default_factory=dict)  # by concurrency
    p50_ms: dict[int, list[float]] = field(default_factory=dict)

    def ratios(self, concurrency: int) -> list[float]:
        """Service over engine of the same repeat."""
        pairs = zip(self.service[concurrency], self.engine, strict=True)
        return [service / engine for service, engine in pairs]


def variants_of(family: Path, wanted: Sequence[str]) -> list[Variant]:
    """The variants that the engine's benchmark can load; BenchError for an unknown name.

    These are BERT folders and their formats (bf16 only where the CPU has it), not sub-networks,
    masks or linear scorers.
    """
    found: dict[str, Variant] = {}
    for manifest in sorted(family.glob("*/variant.json")):
        derive = json.loads(manifest.read_text("utf-8")).get("derive")
        name = manifest.parent.name
        if derive is None:
            if (manifest.parent / "config.json").exists():
                found[name] = Variant(name, manifest.parent, "f32")
        elif derive.keys() == {"parent", "format"} and (derive["format"] != "bf16" or has_amx()):
            found[name] = Variant(name, family / derive["parent"], derive["format"])
    unknown = set(wanted) - set(found)
    if unknown or not found:
        raise BenchError(f"{family}: expected variants {', '.join(found)}, got {sorted(unknown)}")
    return [found[name] for name in wanted or found]


def write_texts(folder: Path, words: list[str], pair_tokens: int) -> list[str]:
    """Writes query and document files; returns the options of `tailor load` that use them."""
    generator = random.Random(1)
    document_words = pair_tokens - SPECIAL_TOKENS - QUERY_WORDS
    queries, documents = folder / "queries.txt", folder / "documents.txt"
    for path, count in ((queries, QUERY_WORDS), (documents, document_words)):
        lines = [" ".join(generator.choices(words, k=count)) for _ in range(512)]
        path.write_text("\n".join(lines) + "\n", "ascii")
    return ["--queries", str(queries), "--documents", str(documents)]


def engine_tokens_per_s(variant: Variant, batch: str, seconds: float) -> float:
    """The engine alone, one thread on core 0."""
    command = [
        *(*ON_CORE_0, str(ENGINE_BENCH), "--model", str(variant.weights)),
        *("--format", variant.format, "--threads", "1", "--batch", batch),
        *("--seconds", str(seconds)),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"engine_bench on {variant.id}: {done.stderr.strip() or 'failed'}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["tokens_per_second"])


def service_figures(
    server: str, variant: Variant, concurrency: int, options: list[str], pair_tokens: int
) -> tuple[float, float]:
    """Tokens a second and the median latency of one closed loop."""
    result = run_load(
        server,
        [
            *("--concurrency", str(concurrency), "--connections", "1"),
            *("--documents-per-call", str(DOCUMENTS_PER_CALL)),
            *("--variant", variant.id, "--budget", "30s", *options),
        ],
        prefix=ON_CORE_1,
    )
    tokens_a_pair = result.tokens_per_s / result.documents_per_s
    if abs(tokens_a_pair - pair_tokens) > 0.01:
        raise BenchError(
            f"{variant.id}: expected {pair_tokens} tokens a pair, got {tokens_a_pair:.2f}"
        )
    return result.tokens_per_s, result.p50_ms


def measure(arguments: argparse.Namespace, variants: list[Variant]) -> dict[str, Series]:
    """All figures, engine and service in turns."""
    found = {variant.id: Series() for variant in variants}
    words = whole_words(variants[0].weights / "vocab.txt")
    batch = f"{DOCUMENTS_PER_CALL}x{arguments.pair_tokens}"
    with (
        tempfile.TemporaryDirectory(prefix="tailor-") as folder,
        ServerProcess(
            TAILOR,
            arguments.family,
            # Reviews of the traffic would run in idle time, when the engine alone is measured.
            options=["--threads", "1", "--live-quality-share", "0"],
            prefix=ON_CORE_0,
            log=RESULTS / "saturation.log",
        ) as server,
    ):
        options = write_texts(Path(folder), words, arguments.pair_tokens)
        options += ["--duration", f"{arguments.seconds + 1}s", "--warmup", "1s"]
        for repeat in range(arguments.repeats):
            for variant in variants:
                series = found[variant.id]
                series.engine.append(engine_tokens_per_s(variant, batch, arguments.seconds))
                for concurrency in arguments.concurrency:
                    tokens, p50 = service_figures(
                        server.grpc, variant, concurrency, options, arguments.pair_tokens
                    )
                    series.service.setdefault(concurrency, []).append(tokens)
                    series.p50_ms.setdefault(concurrency, []).append(p50)
                    print(
                        f"{repeat + 1}/{arguments.repeats} {variant.id} x{concurrency}: "
                        f"{tokens:.0f} of {series.engine[-1]:.0f} tokens/s",
                        file=sys.stderr,
                    )
    return found


def report(arguments: argparse.Namespace, found: dict[str, Series]) -> list[str]:
    """The Markdown."""
    rows = []
    for name, series in found.items():
        for concurrency in arguments.concurrency:
            ratios = series.ratios(concurrency)
            verdict = "yes" if statistics.median(ratios) >= TARGET_RATIO else "no"
            rows.append(
                [
                    name,
                    f"{statistics.median(series.engine):,.0f}",
                    str(concurrency),
                    f"{statistics.median(series.service[concurrency]):,.0f}",
                    spread(ratios, 3),
                    verdict,
                    f"{statistics.median(series.p50_ms[concurrency]):.1f}",
                ]
            )
    header = [
        *("variant", "engine tokens/s", "calls under way", "service tokens/s"),
        *("service / engine", f">= {TARGET_RATIO}", "p50, ms"),
    ]
    title = (
        f"Service at saturation, {DOCUMENTS_PER_CALL} documents a call, {arguments.pair_tokens} "
        f"tokens a pair: medians of {arguments.repeats} runs"
    )
    return heading(title) + table(header, rows)


def main() -> int:
    """Exit code 0, or 1 with one line of what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--variants", default="", help="default: all of the family")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--pair-tokens", type=int, default=96)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    try:
        wanted = [name for name in arguments.variants.split(",") if name]
        found = measure(arguments, variants_of(arguments.family, wanted))
    except (BenchError, ServerError, OSError) as error:
        print(f"saturation: {error}", file=sys.stderr)
        return 1
    result = {
        name: {
            "engine_tokens_per_s": series.engine,
            "service_tokens_per_s": series.service,
            "ratio": {c: series.ratios(c) for c in arguments.concurrency},
            "p50_ms": series.p50_ms,
        }
        for name, series in found.items()
    }
    publish("saturation", report(arguments, found), result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
