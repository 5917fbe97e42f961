# SPDX-License-Identifier: Apache-2.0
"""The stages of a family, each from what the one before left on disk."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import BertForSequenceClassification

from tailor_compress.data.archive import ArchiveLists, fetch_lists
from tailor_compress.data.dataset import Dataset, build_dataset
from tailor_compress.data.package import join_packages
from tailor_compress.errors import TailorError
from tailor_compress.export.trained import (
    Trained,
    discard_record,
    load_record,
    save_record,
    save_trained,
    step,
)
from tailor_compress.export.variant import export_derived, export_variant
from tailor_compress.model.checkpoint import find_checkpoint
from tailor_compress.model.trim import Trimmed, trim_checkpoint
from tailor_compress.training.corpus import TrainingCorpus
from tailor_compress.training.student import distil_student, new_student
from tailor_compress.training.teacher import train_teacher
from tailor_compress.training.teacher_scores import teacher_scores
from tailor_compress.workspace import Workspace

# The student draws its lists with another seed than the teacher, so that it is also asked about
# candidates that the teacher was not trained on.
_STUDENT_LISTS = 1000


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
    discard_record(space.start)
    done = trim_checkpoint(
        checkpoint, texts, start.min_count, recipe.max_len, recipe.seed, space.start
    )
    params = {"min_count": start.min_count, **asdict(done)}
    wall_s = time.monotonic() - began
    made = step("trim_vocabulary", params, recipe.seed, dataset.snapshot.id, wall_s)
    save_record(Trained([made], [{"id": start.name, "role": "init"}]), space.start)
    return done


def train(space: Workspace) -> float:
    """Train the teacher and return the seconds that it took."""
    recipe, dataset = space.recipe, space.dataset()
    settings = recipe.teacher
    start = space.require(space.start, "trim")
    trimmed = load_record(start)
    corpus = TrainingCorpus(dataset, space.layout().tokens, recipe.max_len, settings.schedule.seed)
    model, wall_s = train_teacher(start, corpus, settings.schedule, space.training(settings.id))
    trained = step(
        "listwise",
        asdict(settings.schedule),
        settings.schedule.seed,
        dataset.snapshot.id,
        wall_s,
    )
    record = Trained([*trimmed.steps, trained], trimmed.parents)
    save_trained(model, record, space.trained(settings.id))
    return wall_s


def distil(space: Workspace) -> float:
    """Score the student's lists with the teacher, train the student, return all seconds."""
    recipe, dataset = space.recipe, space.dataset()
    settings = recipe.student
    schedule = settings.schedule
    folder = space.require(space.trained(recipe.teacher.id), "train")
    began = time.monotonic()
    teacher = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    teacher.train(False)
    student = new_student(teacher, settings.shape, schedule.seed)
    seed = _STUDENT_LISTS + schedule.seed
    corpus = TrainingCorpus(dataset, space.layout().tokens, recipe.max_len, seed)
    scores = teacher_scores(
        teacher, corpus, settings.distillation.lists, schedule.precision, space.teacher_scores
    )
    scoring_s = time.monotonic() - began
    checkpoint = space.training(settings.id)
    wall_s = distil_student(student, corpus, scores, settings.distillation, schedule, checkpoint)
    data_id = dataset.snapshot.id
    params = {**asdict(settings.distillation), **asdict(schedule), "shape": asdict(settings.shape)}
    steps = [
        step(
            "teacher_scores",
            {"lists": len(scores), "precision": schedule.precision},
            seed,
            data_id,
            scoring_s,
        ),
        step("listwise_distillation", params, schedule.seed, data_id, wall_s),
    ]
    record = Trained(steps, [{"id": recipe.teacher.id, "role": "teacher"}])
    save_trained(student, record, space.trained(settings.id))
    return scoring_s + wall_s


def export(space: Workspace, variants: Sequence[str] = ()) -> list[Path]:
    """Export the finished trainings, and the derived variants whose parents are exported.

    ``variants`` limits this to some ids. Exported folders are replaced, their quality is gone
    until the next evaluation. Raises TailorError for an unknown id and an unfinished training.
    """
    recipe = space.recipe
    own = (recipe.teacher.id, recipe.student.id)
    known = (*own, *(one.id for one in recipe.derived))
    for variant in variants:
        if variant not in known:
            raise TailorError(f"a variant out of {', '.join(known)}", variant, "correct the name")
    chosen = set(variants or known)
    written = []
    for variant in own:
        if variant in chosen:
            folder = space.trained(variant)
            record = load_record(folder)
            model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
            written.append(
                export_variant(model, recipe, variant, record, space.start, space.family)
            )
    for derived in recipe.derived:
        if derived.id in chosen:
            space.require(space.family / derived.parent, "export")
            params = {"products": "encoder", "accumulate": "f32"}
            made = step(f"{derived.format}_products", params, 0, space.dataset().snapshot.id, 0.0)
            written.append(export_derived(recipe, derived, made, space.family))
    return written
