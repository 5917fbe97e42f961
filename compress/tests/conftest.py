# SPDX-License-Identifier: Apache-2.0
"""One made-up corpus and one tiny family, made once by the command line, for all tests."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_up import recipe_text, write_archive, write_checkpoint

from tailor_compress.cli import main
from tailor_compress.data.dataset import Dataset, build_dataset
from tailor_compress.data.package import join_packages
from tailor_compress.recipe import read_recipe
from tailor_compress.stages import read_lists
from tailor_compress.workspace import Workspace


def plain_table(text: str) -> str:
    """Return the text of a Markdown table with single spaces."""
    return re.sub(" +", " ", text)


@dataclass(frozen=True)
class Project:
    """Folders of a family in the making, and the command line on them."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "family" / "recipe.yaml"

    @property
    def lists(self) -> Path:
        return self.root / "lists"

    @property
    def space(self) -> Workspace:
        return Workspace(read_recipe(self.recipe), self.recipe.parent, self.root / "work")

    def arguments(self, command: str) -> list[str]:
        return [command, str(self.recipe), "--work", str(self.root / "work")]

    def run(self, command: str, *options: str) -> Result:
        return CliRunner().invoke(main, [*self.arguments(command), *options])


def new_project(root: Path) -> Project:
    """Write a tiny archive, checkpoint and recipe below ``root``."""
    project = Project(root)
    write_archive(project.lists)
    checkpoint = write_checkpoint(root / "checkpoint")
    project.recipe.parent.mkdir()
    project.recipe.write_text(recipe_text(checkpoint))
    pairs = [{"query": "baco", "document": "baco dife"}, {"query": "x", "document": "ga " * 60}]
    lines = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (project.recipe.parent / "reference_pairs.jsonl").write_text(lines)
    readme = "# Tiny\n<!-- report: begin -->\nold\n<!-- report: end -->\nend\n"
    (project.recipe.parent / "README.md").write_text(readme)
    return project


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    lists = write_archive(tmp_path_factory.mktemp("archive"))
    return build_dataset(join_packages(read_lists(lists)), "madeup", seed=1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A family made by `tailor-compress ladder`. Tests must not change it."""
    project = new_project(tmp_path_factory.mktemp("finished"))
    result = project.run("ladder", "--lists", str(project.lists))
    assert result.exit_code == 0, result.output
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of which nothing is made yet."""
    return new_project(tmp_path)
