# SPDX-License-Identifier: Apache-2.0
"""What comes before the stages of a recipe: the task's data and the trimmed checkpoint."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from tailor_compress.data.archive import ArchiveLists, fetch_lists
from tailor_compress.data.dataset import SNAPSHOT, Dataset, build_dataset
from tailor_compress.data.package import join_packages
from tailor_compress.errors import TailorError
from tailor_compress.export.files import replacing
from tailor_compress.export.trained import Trained, step
from tailor_compress.ladder.results import RECORD
from tailor_compress.model.checkpoint import find_checkpoint
from tailor_compress.model.trim import Trimmed, trim_checkpoint
from tailor_compress.workspace import Workspace


def read_lists(folder: Path) -> ArchiveLists:
    """Read the files Packages and Translation-en of ``folder``, for machines without apt."""
    texts = []
    for name in ("Packages", "Translation-en"):
        path = folder / name
        if not path.is_file():
            raise TailorError(
                f"the files Packages and Translation-en in {folder}",
                f"no {name}",
                "copy them, unpacked, from a Debian archive",
            )
        texts.append(path.read_text(encoding="utf-8"))
    return ArchiveLists(*texts)


def make_data(space: Workspace, lists: Path | None) -> Dataset:
    """Fetch (or read) the lists and build the task from them."""
    recipe = space.recipe
    found = fetch_lists(space.archive, recipe.release) if lists is None else read_lists(lists)
    dataset = build_dataset(join_packages(found), recipe.release, recipe.seed)
    dataset.save(space.data)
    return dataset


def trim(space: Workspace) -> Trimmed:
    """Trim the public checkpoint's vocabulary to the training split."""
    start, recipe, dataset = space.recipe.start, space.recipe, space.dataset()
    began = time.monotonic()
    checkpoint = find_checkpoint(start.checkpoint, space.checkpoint_cache)
    texts = [
        text
        for item in dataset.items
        if item.split == "train"
        for text in (item.synopsis, *item.paragraphs)
    ]
    with replacing(space.start) as folder:
        done = trim_checkpoint(
            checkpoint,
            texts,
            start.min_count,
            start.rounds,
            recipe.max_len,
            recipe.seed,
            folder,
        )
        params = {"min_count": start.min_count, "rounds": start.rounds, **asdict(done)}
        wall_s = time.monotonic() - began
        made = step("trim_vocabulary", params, recipe.seed, dataset.snapshot.id, wall_s)
        record = Trained([made], [{"id": start.name, "role": "init"}])
        (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")
    return done


def prepare(space: Workspace, lists: Path | None) -> None:
    """Make the task and the trimmed checkpoint unless they are there."""
    if not (space.data / SNAPSHOT).is_file():
        make_data(space, lists)
    if not (space.start / RECORD).is_file():
        trim(space)
