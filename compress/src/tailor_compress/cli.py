# SPDX-License-Identifier: Apache-2.0
"""The command line: ``tailor-compress COMMAND``, one command per stage and one for all."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from transformers.utils import logging as transformers_logging

from tailor_compress import __version__, stages
from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import VIEWS
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.report import markdown
from tailor_compress.export.variant import MANIFEST
from tailor_compress.quality import evaluate as evaluate_family
from tailor_compress.quality import is_other_snapshot
from tailor_compress.recipe import read_recipe
from tailor_compress.training.loop import use_threads
from tailor_compress.workspace import Workspace

_RECIPE = Path("models/packages/recipe.yaml")
_WORK = Path(".cache/packages")
_LISTS_HELP = "Read unpacked Packages and Translation-en from this folder instead of using apt."


def _say(message: str) -> None:
    click.echo(message, err=True)


def _command(body: Callable[..., None]) -> Callable[..., None]:
    """Add --recipe and --work, open the workspace, and turn our errors into one line."""

    @click.option(
        "--recipe",
        type=click.Path(path_type=Path),
        default=_RECIPE,
        show_default=True,
        help="The family's recipe; its folder is the family's folder.",
    )
    @click.option(
        "--work",
        type=click.Path(path_type=Path),
        default=_WORK,
        show_default=True,
        help="Working data: archive lists, task, checkpoints, scores.",
    )
    @wraps(body)
    def run(recipe: Path, work: Path, **options: Any) -> None:
        try:
            read = read_recipe(recipe)
            use_threads(read.threads)
            body(Workspace(read, recipe.parent, work), **options)
        except TailorError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Make a family of variants: data, trim, train, distil, export, evaluate.

    Long work shows a progress bar on a terminal and JSON lines otherwise, on standard error.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _describe(dataset: Dataset) -> None:
    snapshot = dataset.snapshot
    _say(f"data {snapshot.id}: {snapshot.counts}")
    for split, digest in snapshot.splits.items():
        _say(f"  {split} {digest}")


@main.command()
@click.option("--lists", type=click.Path(path_type=Path), help=_LISTS_HELP)
@_command
def data(space: Workspace, lists: Path | None) -> None:
    """Fetch the corpus and make the task: items, splits, hard negatives, test sets.

    When the sets differ from those that the family was measured on, every variant is evaluated
    again, because qualities of different sets do not compare.
    """
    dataset = stages.make_data(space, lists)
    _describe(dataset)
    if is_other_snapshot(space, dataset.snapshot):
        _say(
            "warning: the archive changed since the family was measured; the sets were rebuilt "
            "and every variant is evaluated again"
        )
        if list(space.family.glob(f"*/{MANIFEST}")):
            click.echo(markdown(evaluate_family(space, list(VIEWS), "test")))


@main.command()
@_command
def trim(space: Workspace) -> None:
    """Trim the public checkpoint's vocabulary to what the training texts need."""
    done = stages.trim(space)
    _say(
        f"vocabulary {done.before} -> {done.after}; {done.pieces_per_word:.2f} pieces a word, "
        f"{100 * done.unknown_share:.3f} % unknown"
    )


@main.command()
@_command
def train(space: Workspace) -> None:
    """Fine-tune the teacher; continues from its last checkpoint."""
    _say(f"teacher trained in {stages.train(space):.0f} s")


@main.command()
@_command
def distil(space: Workspace) -> None:
    """Distil the student from the teacher's scores; continues from its last checkpoint."""
    _say(f"student distilled in {stages.distil(space):.0f} s")


@main.command()
@click.option("--variant", "variants", multiple=True, help="Only this variant; may be repeated.")
@_command
def export(space: Workspace, variants: tuple[str, ...]) -> None:
    """Write the family's folders: f16 weights, tokenizer, configuration, variant.json."""
    for folder in stages.export(space, variants):
        size = sum(path.stat().st_size for path in folder.iterdir())
        _say(f"{folder}: {size / 1e6:.1f} MB")


@main.command()
@click.option(
    "--sets", default=",".join(VIEWS), show_default=True, help="Sets, with commas; B is always in."
)
@click.option("--split", type=click.Choice(["dev", "test"]), default="test", show_default=True)
@_command
def evaluate(space: Workspace, sets: str, split: str) -> None:
    """Measure every variant, BM25 and chance; write report and qualities, print the tables."""
    click.echo(markdown(evaluate_family(space, sets.split(","), split)))


@main.command()
@click.option("--lists", type=click.Path(path_type=Path), help=_LISTS_HELP)
@_command
def family(space: Workspace, lists: Path | None) -> None:
    """Make the whole family: all stages in order, each continuing where it was cut off."""
    _describe(stages.make_data(space, lists))
    stages.trim(space)
    stages.train(space)
    stages.distil(space)
    stages.export(space)
    click.echo(markdown(evaluate_family(space, list(VIEWS), "test")))


if __name__ == "__main__":
    sys.exit(main())
