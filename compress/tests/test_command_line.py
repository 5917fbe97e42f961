# SPDX-License-Identifier: Apache-2.0
"""The command line and the recipe: what users see when something is missing or wrong."""

import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Project, new_project, plain_table
from made_up import recipe_text, write_archive

from tailor_compress import __version__
from tailor_compress.cli import main
from tailor_compress.errors import TailorError
from tailor_compress.ladder.plan import make_plan
from tailor_compress.progress import Progress
from tailor_compress.recipe import read_recipe


def test_version_and_help() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output
    shown = CliRunner().invoke(main, ["--help"]).output
    for command in ("data", "trim", "export", "evaluate", "ladder"):
        assert f"  {command} " in shown


def test_a_profile_overrides_and_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text(tmp_path))
    whole, shorter = read_recipe(path), read_recipe(path, "shorter")
    assert [one.id for one in shorter.stages] == ["teacher", "student"]
    assert (whole.stage("teacher").settings["steps"], shorter.stages[0].settings["steps"]) == (
        24,
        2,
    )
    assert shorter.stages[1] == whole.stages[1]
    with pytest.raises(TailorError, match="got `short`; did you mean `shorter`"):
        read_recipe(path, "short")
    path.write_text(recipe_text(tmp_path).replace("teacher-bf16: false", "teachr: false"))
    with pytest.raises(TailorError, match=r"profiles\.shorter\.stages"):
        read_recipe(path, "shorter")


def test_other_settings_make_a_stage_again_and_adopting_takes_it(
    finished: Project, tmp_path: Path
) -> None:
    project = copied(finished, tmp_path)
    project.recipe.write_text(
        finished.recipe.read_text().replace("learning_rate: 2.0e-3", "learning_rate: 1.0e-3", 1)
    )
    shown = plain_table(project.run("ladder", "--list").output)
    # What depends on the teacher is out of date with it.
    for id_ in ("teacher", "student", "teacher-bf16"):
        assert [
            line for line in shown.splitlines() if f"| {id_} " in line and "other settings" in line
        ]
    ids = ("--adopt", "teacher", "--adopt", "student", "--adopt", "teacher-bf16")
    shown = plain_table(project.run("ladder", *ids).output)
    assert shown.count("| done |") == 3
    before = (project.space.family / "teacher" / "model.safetensors").stat().st_mtime_ns
    assert project.run("ladder", "--no-evaluate").exit_code == 0
    assert (project.space.family / "teacher" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("command", ["trim", "evaluate"])
def test_a_command_too_early_names_the_one_before(project: Project, command: str) -> None:
    result = project.run(command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: expected ")
    assert "run `tailor-compress data`" in result.output


def test_unknown_names_on_the_command_line(finished: Project) -> None:
    shown = finished.run("export", "--variant", "teechar").output
    assert (
        "expected a stage of the recipe, not `teechar`; got none; did you mean `teacher`" in shown
    )
    assert (
        "expected sets out of A, B, C, D, E; got X"
        in finished.run("evaluate", "--sets", "X").output
    )


def test_lists_folder_without_lists(project: Project, tmp_path: Path) -> None:
    result = project.run("data", "--lists", str(tmp_path))
    assert "got no Packages" in result.output


def test_recipe_that_is_not_there() -> None:
    result = CliRunner().invoke(main, ["trim", "nowhere.yaml"])
    assert result.exit_code == 1
    assert "name a YAML file of a family" in result.output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_len: 48", "max_length: 48", "did you mean `max_len`"),
        ("max_len: 48", "max_len: many", "a value of type int at `max_len`"),
        ("seed: 1\nthreads", "threads", "a value at `seed`"),
        ("steps: 24", "step: 24", "at `stages.teacher`; got `step` (did you mean `steps`)"),
        ("steps: 24", "steps: 24.5", "`stages.teacher.steps`"),
        ("format: bf16", "format: bf61", "out of f32, bf16, f16, int8"),
        ("method: derive", "method: deriv", "did you mean `derive`"),
        ("base: teacher}", "base: teachr}", "as parent of `teacher-bf16`; got `teachr`"),
        ("base: teacher}", "parent: teacher}", "name a parent as `base`"),
        ("init: start", "init: student", "got teacher -> student -> teacher"),
        ("id: teacher-bf16", "id: teacher", "`teacher` twice"),
        ("method: distil", "method: distil, ship: 1", "type bool"),
    ],
)
def test_recipe_errors_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = recipe_text(tmp_path)
    assert old in text
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TailorError) as error:
        make_plan(read_recipe(path))
    assert message in str(error.value)


def test_the_bundled_recipe_is_valid() -> None:
    path = Path(__file__).parents[2] / "models" / "packages" / "recipe.yaml"
    assert read_recipe(path).family == "packages"


def copied(finished: Project, root: Path) -> Project:
    project = new_project(root)
    for name in ("work", "family"):
        shutil.copytree(finished.root / name, root / name, dirs_exist_ok=True)
    return project


def test_same_archive_does_not_measure_again(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path)
    result = project.run("data", "--lists", str(project.lists))
    assert result.exit_code == 0
    assert "warning" not in result.output


def test_another_archive_warns_and_measures_every_variant_again(
    finished: Project, tmp_path: Path
) -> None:
    project = copied(finished, tmp_path)
    write_archive(project.lists, sources=470, seed=9)
    result = project.run("data", "--lists", str(project.lists))
    assert result.exit_code == 0, result.output
    assert "warning: the archive changed since the family was measured" in result.output
    dataset = project.space.dataset()
    for variant in ("teacher", "student", "teacher-bf16"):
        new, old = (
            json.loads((p.space.family / variant / "variant.json").read_text())["quality"]
            for p in (project, finished)
        )
        assert new["split_hash"] == dataset.snapshot.splits["test"] != old["split_hash"]
        assert new["dataset_id"] != old["dataset_id"]


def test_evaluating_dev_changes_no_quality(finished: Project, tmp_path: Path) -> None:
    project = copied(finished, tmp_path)
    before = project.space.report.read_bytes()
    result = project.run("evaluate", "--sets", "B", "--split", "dev")
    assert result.exit_code == 0, result.output
    assert "| B | teacher |" in plain_table(result.output)
    assert project.space.report.read_bytes() == before


def test_progress_is_json_lines_without_a_terminal() -> None:
    out = io.StringIO()
    with Progress("stage", 4, start=1, unit="step", out=out) as progress:
        progress.advance(3, loss=0.5)
    (line,) = out.getvalue().splitlines()
    record = json.loads(line)
    assert (record["stage"], record["done"], record["total"]) == ("stage", 4, 4)
    assert record["eta_s"] == 0


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal() -> None:
    out = Terminal()
    with Progress("stage", 2, out=out) as progress:
        progress.advance(2)
    assert "stage: 100%" in out.getvalue()
