# SPDX-License-Identifier: Apache-2.0
"""The command line: ``tailor-compress COMMAND``."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from transformers.utils import logging as transformers_logging

from tailor_compress import __version__, stages
from tailor_compress.cascades import calibrate
from tailor_compress.data.dataset import Dataset
from tailor_compress.data.views import VIEWS
from tailor_compress.device import DEVICES, use_device
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.ladder_page import ladder_table
from tailor_compress.evaluation.report import markdown
from tailor_compress.export.variant import MANIFEST
from tailor_compress.ladder.methods import COMMANDS
from tailor_compress.ladder.options import given_settings, read_config, settings_options
from tailor_compress.ladder.run import Ladder, State
from tailor_compress.ladder.single import Job, run_job
from tailor_compress.ladder.trim_own import TrimJob, trim_own
from tailor_compress.method import Method
from tailor_compress.quality import evaluate as evaluate_family
from tailor_compress.quality import is_other_snapshot, measure_costs, write_page
from tailor_compress.recipe import read_recipe
from tailor_compress.settings import parse
from tailor_compress.tables import table
from tailor_compress.training.loop import use_threads
from tailor_compress.training.processes import join_processes, leave_processes, rank, wait_for_all
from tailor_compress.workspace import Workspace

_RECIPE = Path("models/packages/recipe.yaml")
_PROGRAM_HELP = "Score with this program, as a server would, instead of with PyTorch."
_LISTS_HELP = "Read unpacked Packages and Translation-en from this folder instead of using apt."


def say(message: str) -> None:
    """Print a line of progress, on standard error."""
    click.echo(message, err=True)


def one_line(body: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can act on into one line and exit code 1."""

    @wraps(body)
    def run(*args: Any, **options: Any) -> None:
        try:
            body(*args, **options)
        except TailorError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(
                f"expected files to be read and written; got {error}; free or name another place"
            ) from error
        finally:
            leave_processes()

    return run


def _command(body: Callable[..., None]) -> Callable[..., None]:
    """Add the recipe and where it works, and open the workspace."""

    @click.argument("recipe", type=click.Path(path_type=Path), default=_RECIPE)
    @click.option("--profile", help="A profile of the recipe; works in folders of its own.")
    @click.option(
        "--work",
        type=click.Path(path_type=Path),
        help="Working data: archive lists, task, checkpoints, scores.  [default: .cache/FAMILY]",
    )
    @click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
    @click.option("--threads", type=int, help="Threads; those of the recipe by default.")
    @wraps(body)
    @one_line
    def run(
        recipe: Path,
        profile: str | None,
        work: Path | None,
        device: str,
        threads: int | None,
        **options: Any,
    ) -> None:
        read = read_recipe(recipe, profile)
        use_threads(threads or read.threads)
        use_device(device)
        join_processes()
        name = read.family if profile is None else f"{read.family}-{profile}"
        work = work or Path(".cache") / name
        # A profile's family is for trying out: it does not overwrite the one beside the recipe.
        family = recipe.parent if profile is None else work / "family"
        body(Workspace(read, family, work), **options)

    return run


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Make a family of variants from one fine-tuned BERT.

    Long work shows a progress bar on a terminal and JSON lines otherwise, on standard error.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _describe(dataset: Dataset) -> None:
    snapshot = dataset.snapshot
    say(f"data {snapshot.id}: {snapshot.counts}")
    for split, digest in snapshot.splits.items():
        say(f"  {split} {digest}")


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
        say(
            "warning: the archive changed since the family was measured; the sets were rebuilt "
            "and every variant is evaluated again"
        )
        if list(space.family.glob(f"*/{MANIFEST}")):
            click.echo(markdown(evaluate_family(space, list(VIEWS), "test")))


@_command
def _trim_start(space: Workspace) -> None:
    done = stages.trim(space)
    say(
        f"vocabulary {done.before} -> {done.after}; {done.pieces_per_word:.2f} pieces a word, "
        f"{100 * done.unknown_share:.3f} % unknown"
    )


@one_line
def _trim_own(job: TrimJob, threads: int | None) -> None:
    if threads is not None:
        use_threads(threads)
    click.echo(trim_own(job))


@main.command()
@click.argument("recipe", type=click.Path(path_type=Path), default=_RECIPE)
@click.option("--profile", help="A profile of the recipe; works in folders of its own.")
@click.option("--work", type=click.Path(path_type=Path), help="[default: .cache/FAMILY]")
@click.option("--threads", type=int, help="Threads; those of the recipe by default.")
@click.option("--model", type=click.Path(path_type=Path), help="Your own model, not a recipe's.")
@click.option("--data", type=click.Path(path_type=Path), help="JSON lines of its texts.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the trimmed variant.")
@click.option("--min-count", type=int, default=5, show_default=True, help="Uses of a token.")
@click.option("--rounds", type=int, default=2, show_default=True, help="Counts, each anew.")
def trim(
    recipe: Path,
    profile: str | None,
    work: Path | None,
    threads: int | None,
    model: Path | None,
    data: Path | None,
    out: Path | None,
    min_count: int,
    rounds: int,
) -> None:
    """Trim a vocabulary to what texts need: of a recipe's checkpoint, or of --model.

    With --model, --data and --out are needed; a recipe says these things itself.
    """
    if model is None and data is None and out is None:
        _trim_start(recipe, profile, work, "auto", threads)
    elif model is None or data is None or out is None:
        raise click.UsageError("expected --model, --data and --out together")
    else:
        _trim_own(TrimJob(model, data, out, min_count, rounds), threads)


def _states(states: list[State]) -> str:
    rows = [
        [
            state.stage.id,
            state.stage.recipe.method,
            ", ".join(f"{role} {id_}" for role, id_ in state.stage.parents.items()),
            state.word,
            "" if state.wall_s is None else f"{state.wall_s:.0f}",
        ]
        for state in states
    ]
    return table(["stage", "method", "parents", "state", "seconds"], rows)


@main.command()
@click.option("--lists", type=click.Path(path_type=Path), help=_LISTS_HELP)
@click.option("--only", multiple=True, help="Only this stage and its parents; may be repeated.")
@click.option("--list", "list_", is_flag=True, help="Show the state of each stage and stop.")
@click.option("--adopt", multiple=True, help="Take a stage's present result as up to date.")
@click.option("--evaluate/--no-evaluate", default=True, help="Measure the variants at the end.")
@click.option("--tailor", type=click.Path(path_type=Path), help=_PROGRAM_HELP)
@_command
def ladder(
    space: Workspace,
    lists: Path | None,
    only: tuple[str, ...],
    list_: bool,
    adopt: tuple[str, ...],
    evaluate: bool,
    tailor: Path | None,
) -> None:
    """Make a whole family: the stages of RECIPE in order, skipping what is up to date.

    Each stage continues from its last checkpoint.
    """
    run = Ladder(space)
    if rank() == 0 and not (list_ or adopt):
        stages.prepare(space, lists)
    wait_for_all()
    for id_ in adopt:
        run.adopt(id_)
    if list_ or adopt:
        click.echo(_states([run.state(stage) for stage in run.stages]))
        return
    for id_ in only or [stage.id for stage in run.stages]:
        say(f"stage {run.stage(id_).id}: {run.state(run.stage(id_)).word}")
        run.make(id_)
    if rank() == 0:
        click.echo(_states([run.state(stage) for stage in run.stages]))
        if evaluate:
            sets = space.recipe.evaluation.sets
            click.echo(ladder_table(evaluate_family(space, sets, "test", tailor)))


@main.command()
@click.option("--variant", "variants", multiple=True, help="Only this variant; may be repeated.")
@_command
def export(space: Workspace, variants: tuple[str, ...]) -> None:
    """Write the folders of finished stages again: weights, tokenizer, variant.json."""
    Ladder(space).export(variants)


@main.command()
@click.option("--sets", help="Sets, with commas; those of the recipe by default, B is always in.")
@click.option("--split", type=click.Choice(["dev", "test"]), default="test", show_default=True)
@click.option("--tailor", type=click.Path(path_type=Path), help=_PROGRAM_HELP)
@_command
def evaluate(space: Workspace, sets: str | None, split: str, tailor: Path | None) -> None:
    """Measure every variant, BM25 and chance; write report and qualities, print the tables."""
    chosen = space.recipe.evaluation.sets if sets is None else sets.split(",")
    click.echo(markdown(evaluate_family(space, chosen, split, tailor)))


@main.command()
@click.option(
    "--tailor",
    type=click.Path(path_type=Path),
    help="Measure with this program what each variant costs.",
)
@click.option("--serve-option", "options", multiple=True, help="Flag of `tailor serve`.")
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    default=Path("docs/ladder.md"),
    show_default=True,
    help="The page to write; its plot goes beside it.",
)
@_command
def report(space: Workspace, tailor: Path | None, options: tuple[str, ...], page: Path) -> None:
    """Write the page of every method tried: quality, size, cost, ladder, claims, plot."""
    if tailor is not None:
        measure_costs(space, tailor, options)
    found = evaluate_family(space, space.recipe.evaluation.sets, "test")
    write_page(space, found, page)
    click.echo(ladder_table(found))


@main.command()
@click.option("--tailor", type=click.Path(path_type=Path), help=_PROGRAM_HELP)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    default=Path("docs/cascade.svg"),
    show_default=True,
    help="The curve to write.",
)
@_command
def cascade(space: Workspace, tailor: Path | None, plot: Path) -> None:
    """Measure cascades of the shipped variants, write calibration.json, print the curve.

    Needs qualities (`evaluate`) and costs (`report --tailor`).
    """
    click.echo(calibrate(space, tailor, plot))


def _method_command(command: str, methods: dict[str, type[Method]]) -> click.Command:
    """Return the command of a group of methods on a user's own model and data."""
    roles = [role for method in methods.values() for role in method.roles]
    model_role = next(role for role in ("base", "init", "teacher") if role in roles)

    @click.option(
        "--method",
        type=click.Choice(list(methods)),
        default=next(iter(methods)),
        show_default=True,
        help="What is done.",
    )
    @click.option(
        "--model" if model_role != "teacher" else "--teacher",
        "model",
        type=click.Path(path_type=Path),
        required=True,
        help="Folder of the BERT classifier or cross-encoder to start from.",
    )
    @click.option(
        "--parent",
        "others",
        multiple=True,
        help="Further models, as ROLE=FOLDER; may be repeated.",
    )
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        required=True,
        help='JSON lines {"query", "documents", "labels" or none}.',
    )
    @click.option(
        "--out", type=click.Path(path_type=Path), required=True, help="Folder of the variant."
    )
    @click.option("--config", type=click.Path(path_type=Path), help="YAML file of settings.")
    @click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
    @click.option("--max-len", type=int, help="Tokens of a pair; the model's own by default.")
    @click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
    @click.option("--threads", type=int, help="Threads; all by default.")
    @settings_options(methods)
    @one_line
    def run(
        method: str,
        model: Path,
        others: tuple[str, ...],
        data: Path,
        out: Path,
        config: Path | None,
        seed: int,
        max_len: int | None,
        device: str,
        threads: int | None,
        **flags: Any,
    ) -> None:
        if threads is not None:
            use_threads(threads)
        use_device(device)
        join_processes()
        kind = methods[method]
        settings = given_settings(kind, method, read_config(config), flags)
        models = {kind.roles[0]: model}
        for other in others:
            role, equals, folder = other.partition("=")
            if not equals:
                raise TailorError("--parent ROLE=FOLDER", other, "name the role")
            models[role] = Path(folder)
        for role in kind.roles:
            if role not in models:
                raise TailorError(f"a model as `{role}`", "none", f"add --parent {role}=FOLDER")
        job = Job(method, parse(kind, settings, ""), models, data, out, seed, max_len)
        shown = run_job(job)
        if rank() == 0:
            click.echo(shown)

    summaries = "  \n".join(
        f"{name}: {(kind.__doc__ or '').splitlines()[0]}" for name, kind in methods.items()
    )
    run.__doc__ = None
    text = f"{_SUMMARIES[command]}\n\n\b\n{summaries}"
    return click.command(command, help=text)(run)


_SUMMARIES = {
    "train": "Fine-tune an encoder on your own labelled lists.",
    "distil": "Distil a student from your own teacher; its scores are labels enough.",
    "prune": "Cut heads, neurons or weights out of your own model.",
    "quantize": "Store or run your own model's products in fewer bits.",
    "elastic": "Make one file of many widths and depths of your own model.",
}

for _name, _methods in COMMANDS.items():
    main.add_command(_method_command(_name, _methods))


if __name__ == "__main__":
    sys.exit(main())
