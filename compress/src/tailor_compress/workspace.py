# SPDX-License-Identifier: Apache-2.0
"""Where things are: the family's folder (committed) and the working data beside it (not)."""

from dataclasses import dataclass
from pathlib import Path

from tailor_compress.data.dataset import Dataset
from tailor_compress.errors import TailorError
from tailor_compress.recipe import Recipe
from tailor_compress.text import PairLayout, read_vocabulary


@dataclass(frozen=True)
class Workspace:
    """A recipe with its two folders; ``family`` holds the recipe and the exported variants."""

    recipe: Recipe
    family: Path
    work: Path

    @property
    def archive(self) -> Path:
        """Private state of apt."""
        return self.work / "apt"

    @property
    def data(self) -> Path:
        """The task: items, lists, hard negatives."""
        return self.work / "data"

    @property
    def start(self) -> Path:
        """The trimmed checkpoint, and with it the family's vocabulary."""
        return self.work / "start"

    @property
    def checkpoint_cache(self) -> Path:
        """Downloaded checkpoints."""
        return self.work / "checkpoint"

    @property
    def teacher_scores(self) -> Path:
        """Scores that the student learns from."""
        return self.work / "teacher-scores"

    @property
    def scores(self) -> Path:
        """Scores of evaluated variants."""
        return self.work / "scores"

    @property
    def report(self) -> Path:
        """Results of the last evaluation, with the snapshot they were measured on."""
        return self.family / "report.json"

    def training(self, variant: str) -> Path:
        """Return the file with the state of a training, from which it resumes."""
        return self.work / "training" / f"{variant}.pt"

    def trained(self, variant: str) -> Path:
        """Return the folder with a finished training's f32 weights."""
        return self.work / "trained" / variant

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
