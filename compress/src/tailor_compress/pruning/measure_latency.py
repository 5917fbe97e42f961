# SPDX-License-Identifier: Apache-2.0
"""Measures a latency table: the engine's benchmark on models of many widths, weights random."""

import itertools
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig

from tailor_compress.errors import TailorError
from tailor_compress.export.trained import device_name
from tailor_compress.model.cut import LayerShape, empty_model
from tailor_compress.pruning.latency import LatencyTable, write_table
from tailor_compress.text import SPECIAL_TOKENS, save_tokenizer

# Milliseconds of a model of these layers.
Measure = Callable[[Sequence[LayerShape]], float]

# Share of a layer's time by which a smaller width may seem slower.
_NOISE = 0.15
_VOCABULARY = 1000
_POSITIONS = 512


def _write_model(config: BertConfig, shapes: Sequence[LayerShape], folder: Path) -> None:
    """Write a model folder of these shapes that the engine loads."""
    torch.manual_seed(0)
    model = empty_model(config, shapes)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    record = {**model.config.to_dict(), "architectures": ["BertForSequenceClassification"]}
    record["position_embedding_type"] = "absolute"
    (folder / "config.json").write_text(json.dumps(record))
    words = [f"w{n}" for n in range(_VOCABULARY - len(SPECIAL_TOKENS))]
    save_tokenizer([*SPECIAL_TOKENS, *words], folder, _POSITIONS)
    manifest = {
        "schema_version": 1,
        "id": "width",
        "family": "widths",
        "layers": [asdict(shape) for shape in shapes],
    }
    (folder / "variant.json").write_text(json.dumps(manifest))


@dataclass(frozen=True)
class Bench:
    """The engine's benchmark: ``binary`` on ``batch`` (as 16x128) with ``threads`` threads."""

    binary: Path
    batch: str
    threads: int
    seconds: float = 0.5
    format: str = "f32"

    def milliseconds(self, folder: Path) -> float:
        """Return the time of a batch. Raises TailorError with what the binary said.

        The shortest of all runs: whatever else the host does only adds to it.
        """
        flags = {
            "--model": str(folder),
            "--format": self.format,
            "--threads": str(self.threads),
            "--batch": self.batch,
            "--seconds": str(self.seconds),
        }
        arguments = [word for flag in flags.items() for word in flag]
        done = subprocess.run(  # noqa: S603
            [str(self.binary), *arguments], check=False, capture_output=True, text=True
        )
        lines = done.stdout.splitlines()
        if done.returncode != 0 or not lines:
            raise TailorError(
                f"{self.binary} to measure a model",
                done.stderr.strip()[-300:] or f"exit code {done.returncode}",
                "build it and check its flags",
            )
        return float(json.loads(lines[-1])["best_ms"])


def _require_quiet(by_units: Sequence[tuple[int, float]], layer: float) -> None:
    """Raise TailorError when fewer units took clearly longer than more: the host was busy."""
    for (fewer, before), (more, after) in itertools.pairwise(by_units):
        if before - after > _NOISE * layer:
            raise TailorError(
                f"{fewer} units of a layer to take no longer than {more}",
                f"{before:.2f} and {after:.2f} ms",
                "measure again while the host does nothing else",
            )


def _at_zero(by_units: Sequence[tuple[int, float]]) -> float:
    """Continue the line through the smaller half of the widths to 0 units."""
    half = by_units[: max(2, len(by_units) // 2)]
    units, times = zip(*half, strict=True)
    return max(0.0, float(np.polyfit(units, times, 1)[1]))


def separate(
    full: LayerShape, layers: int, neurons: Sequence[int], measure: Measure
) -> tuple[list[float], list[tuple[int, float]], float]:
    """Return the costs of a layer's attention by heads and feed-forward by neurons, and the rest.

    Layers of one model have one shape. Half the layers tell the rest from the layers; one width
    is varied while the other is full. An engine that runs the last layer for the head's rows alone
    makes the rest negative: then a model counts as that many fewer layers, and the rest is 0. The
    cost of a width of 0 is continued from the smaller widths, which errs to the slow side, as
    every sublayer has some cost of its own: it is counted to the feed-forward, so that attention
    without heads is 0.
    """

    def model(heads: int, inner: int, count: int) -> float:
        return measure([LayerShape(heads, full.head_dim, inner)] * count)

    whole = model(full.heads, full.ffn_dim, layers)
    half = max(1, layers // 2)
    layer = (whole - model(full.heads, full.ffn_dim, half)) / (layers - half)
    fixed = max(0.0, whole - layers * layer)
    counted = (whole - fixed) / layer
    by_heads = [
        (n, (model(n, full.ffn_dim, layers) - fixed) / counted) for n in range(1, full.heads)
    ]
    by_heads.append((full.heads, layer))
    by_neurons = [
        (n, (model(full.heads, n, layers) - fixed) / counted) for n in neurons if n < full.ffn_dim
    ]
    by_neurons.append((full.ffn_dim, layer))
    for measured in (by_heads, by_neurons):
        _require_quiet(measured, layer)
    ffn_full = _at_zero(by_heads)
    attention_full = layer - ffn_full
    attention = [0.0, *(max(0.0, ms - ffn_full) for _, ms in by_heads)]
    ffn = [(n, max(0.0, ms - attention_full)) for n, ms in by_neurons]
    ffn.insert(0, (0, max(0.0, _at_zero(by_neurons) - attention_full)))
    return attention, ffn, fixed


def measure_table(
    bench: Bench, full: LayerShape, hidden: int, layers: int, neurons: Sequence[int]
) -> LatencyTable:
    """Measure a model of ``layers`` layers of the shape ``full``, at each number of neurons."""
    if full.heads < 2 or layers < 2 or len([n for n in neurons if 0 < n < full.ffn_dim]) < 1:
        raise TailorError(
            "two layers, two heads and a number of neurons below the full one",
            f"{layers} layers, {full.heads} heads, neurons {list(neurons)}",
            "name a larger parent",
        )
    config = BertConfig(
        vocab_size=_VOCABULARY,
        hidden_size=hidden,
        # The layer table has its own; transformers wants a divisor of the hidden size.
        num_attention_heads=1,
        intermediate_size=full.ffn_dim,
        max_position_embeddings=_POSITIONS,
    )
    config.num_labels = 1
    with tempfile.TemporaryDirectory() as folder:

        def measure(shapes: Sequence[LayerShape]) -> float:
            _write_model(config, shapes, Path(folder))
            return bench.milliseconds(Path(folder))

        attention, ffn, fixed = separate(full, layers, neurons, measure)
    host = f"{device_name()}, {bench.format}"
    return LatencyTable(host, bench.batch, bench.threads, attention, ffn, fixed)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--binary", type=click.Path(path_type=Path), required=True, help="engine_bench")
@click.option("--parent", type=click.Path(path_type=Path), required=True, help="model folder")
@click.option("--batch", default="16x128", help="pairs x tokens")
@click.option("--threads", default=2)
@click.option("--seconds", default=0.5, help="measured time of each width")
@click.option("--format", "format_", default="f32", help="f32 or bf16")
@click.option("--widths", default=8, help="numbers of neurons to measure")
def main(
    out: Path,
    binary: Path,
    parent: Path,
    batch: str,
    threads: int,
    seconds: float,
    format_: str,
    widths: int,
) -> None:
    """Measure what heads and neurons cost in the engine and write the table to OUT."""
    config = BertConfig.from_pretrained(parent)
    hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
    full = LayerShape(heads, hidden // heads, int(config.intermediate_size))
    neurons = np.linspace(0, full.ffn_dim, widths + 1).round().astype(int).tolist()[1:]
    bench = Bench(binary, batch, threads, seconds, format_)
    layers = int(config.num_hidden_layers)
    try:
        table = measure_table(bench, full, hidden, layers, neurons)
    except TailorError as error:
        raise click.ClickException(str(error)) from error
    write_table(table, out)
    click.echo(f"{out}: {len(table.attention_ms)} x {len(table.ffn_ms)} widths, {table.host}")


if __name__ == "__main__":
    main()
