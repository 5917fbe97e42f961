# SPDX-License-Identifier: Apache-2.0
"""Where a family in the making keeps its things."""

from dataclasses import dataclass
from pathlib import Path

from tailor_compress.data.dataset import Dataset
from tailor_compress.errors import TailorError
from tailor_compress.recipe import Recipe
from tailor_compress.text import PairLayout, read_vocabulary


@dataclass(frozen=True)
class Workspace:
    """The folders of one recipe.

    ``family`` holds what is committed, ``work`` what can be made again: archive lists, task,
    checkpoints, f32 weights, scores.
    """

    recipe: Recipe
    family: Path
    work: Path

    @property
    def archive(self) -> Path:
        """Folder of apt's lists."""
        return self.work / "apt"

    @property
    def data(self) -> Path:
        """Folder of the task."""
        return self.work / "data"

    @property
    def checkpoint_cache(self) -> Path:
        """Folder of the downloaded public checkpoint."""
        return self.work / "checkpoint"

    @property
    def start(self) -> Path:
        """Folder of the trimmed checkpoint; also the family's tokenizer."""
        return self.work / "start"

    @property
    def teacher_scores(self) -> Path:
        """Folder of teachers' scores of training lists."""
        return self.work / "teacher-scores"

    @property
    def scores(self) -> Path:
        """Folder of scores of test sets."""
        return self.work / "scores"

    @property
    def tried(self) -> Path:
        """Folder of the variants that are measured but not shipped, in the family's form."""
        return self.work / "tried"

    @property
    def report(self) -> Path:
        """The family's report, as JSON."""
        return self.family / "report.json"

    @property
    def record(self) -> Path:
        """The record of the stages that are done, by id; committed with the family."""
        return self.family / "stages.json"

    def checkpoint(self, stage: str) -> Path:
        """Return the file with the state of a training in progress."""
        return self.work / "training" / f"{stage}.pt"

    def trained(self, stage: str) -> Path:
        """Return the folder with a finished stage's f32 weights and record."""
        return self.work / "trained" / stage

    def bundle(self, stage: str) -> Path:
        """Return the folder of a stage's variant as the server reads it."""
        ship = self.recipe.stage(stage).ship
        return (self.family if ship else self.tried) / stage

    def dataset(self) -> Dataset:
        """Return the task. Raises TailorError when it was not made yet."""
        return Dataset.load(self.data)

    def layout(self) -> PairLayout:
        """Return the pair layout of the family. Raises TailorError before trimming."""
        return PairLayout(read_vocabulary(self.start), self.recipe.max_len)

    def require(self, folder: Path, command: str) -> Path:
        """Return ``folder``. Raises TailorError naming the command that makes it."""
        if not folder.is_dir():
            raise TailorError(f"the folder {folder}", "none", f"run `tailor-compress {command}`")
        return folder
