# SPDX-License-Identifier: Apache-2.0
"""One method on a user's own model and data, without a recipe."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import BertForSequenceClassification

from tailor_compress.data.user_data import read_user_data
from tailor_compress.errors import TailorError
from tailor_compress.evaluation.bootstrap import interval
from tailor_compress.evaluation.metrics import Floats, list_metrics
from tailor_compress.evaluation.read_back import Encoder, read_back
from tailor_compress.evaluation.scorer import Pair
from tailor_compress.export.bundle import Family, Variant, write_bundle
from tailor_compress.export.files import replacing
from tailor_compress.export.trained import Trained
from tailor_compress.export.variant import MANIFEST, read_manifest, write_json
from tailor_compress.ladder.context import StageContext
from tailor_compress.ladder.open_model import Opened, open_model
from tailor_compress.ladder.own_lists import OwnSource
from tailor_compress.ladder.plan import digest
from tailor_compress.ladder.run import divided, with_elastic
from tailor_compress.method import Made, Method
from tailor_compress.model.forward import plain
from tailor_compress.settings import changed
from tailor_compress.tables import table
from tailor_compress.text import PairLayout
from tailor_compress.training.processes import processes, rank, wait_for_all
from tailor_compress.training.teacher_scores import weights_digest


@dataclass(frozen=True)
class Job:
    """What a user asks for: models by role, a file of lines, and where the variant goes."""

    name: str
    method: Method
    models: Mapping[str, Path]
    data: Path
    out: Path
    seed: int = 1
    max_len: int | None = None
    license: str = "unknown"

    @property
    def work(self) -> Path:
        """Folder of checkpoints and scores, beside ``out`` and out of the server's sight."""
        return self.out.parent / f".{self.out.name}.work"


def _open(job: Job) -> dict[str, Opened]:
    opened = {role: open_model(path, role != "init") for role, path in job.models.items()}
    if not opened:
        raise TailorError("a model folder", "none", "name one with --model or --teacher")
    first = next(iter(opened.values()))
    for one in opened.values():
        if one.tokens != first.tokens or one.casing != first.casing:
            raise TailorError(
                f"the vocabulary of {first.folder} in {one.folder}", "another", "use one family"
            )
        if one.model.config.num_labels != first.model.config.num_labels:
            raise TailorError(
                f"{first.model.config.num_labels} labels, as in {first.folder}",
                f"{one.model.config.num_labels} in {one.folder}",
                "use models of one task",
            )
    return opened


def _source(job: Job, first: Opened, name: str) -> OwnSource:
    layout = PairLayout(first.tokens, min(job.max_len or first.max_len, first.max_len))
    data = read_user_data(job.data, int(first.model.config.num_labels or 1))
    encoder = Encoder(first.model, plain, first.score_index)

    def score(pairs: Sequence[Pair]) -> NDArray[np.float32]:
        return encoder.scores(pairs, "grades by the teacher")

    graded = None if "init" in job.models else score
    if graded is None and not data.is_labelled:
        raise TailorError(
            f"labels in {job.data}", "none", "add labels, or distil from a model with --teacher"
        )
    cache = job.work / "grades"
    return OwnSource(data, layout, first.casing, graded, cache, name, first.score_index)


def _check_out(job: Job, opened: Mapping[str, Opened]) -> None:
    if any(job.out.resolve() == one.folder.resolve() for one in opened.values()):
        raise TailorError("another folder for the result", str(job.out), "correct --out")
    if job.out.exists() and not (job.out / MANIFEST).is_file():
        raise TailorError(
            f"no folder at {job.out}, or one with a {MANIFEST}", "another one", "correct --out"
        )


def _write(job: Job, made: Made, opened: Mapping[str, Opened], max_len: int) -> None:
    first = next(iter(opened.values()))
    parents = [{"id": one.id, "role": role} for role, one in opened.items()]
    if "derive" in made.manifest:
        base = opened["base"].folder.resolve()
        if base.parent != job.out.resolve().parent or not (base / MANIFEST).is_file():
            raise TailorError(
                f"a variant beside {job.out} as the parent of a load-time step",
                str(base),
                "put both into one folder, the parent with a variant.json",
            )
    family = Family(
        job.out.resolve().parent.name.lower() or "family",
        "",
        job.license,
        first.tokens,
        max_len,
        first.casing,
    )
    record = Trained(list(made.steps), parents)
    index = first.score_index
    variant = Variant(
        job.out.name, record, made.model, made.tensors, made.manifest, score_index=index
    )
    with replacing(job.out) as folder:
        write_bundle(family, variant, folder)


def _row(name: str, folder: Path, scores: Floats) -> list[str]:
    found = list_metrics(scores)
    low, high = interval(found.ndcg10)
    manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return [
        name,
        str(manifest.get("params", {}).get("total", "")),
        f"{size / 1e6:.1f}",
        f"{found.ndcg10.mean():.3f} [{low:.3f}, {high:.3f}]",
        f"{found.mrr10.mean():.3f}",
        f"{found.accuracy1.mean():.3f}",
    ]


def _measure(job: Job, source: OwnSource, opened: Mapping[str, Opened]) -> str:
    """Measure models and result on the held-out lists, write the quality, return the table."""
    rows = []
    for one in opened.values():
        parent = Encoder(one.model, plain, one.score_index)
        rows.append(_row(one.id, one.folder, source.held_out_scores(_scorer(parent, one.id))))
    families = [job.out.resolve().parent]
    scores = source.held_out_scores(_scorer(read_back(job.out, families), job.out.name))
    rows.append(_row(job.out.name, job.out, scores))
    metrics = list_metrics(scores)
    manifest = read_manifest(job.out)
    manifest["quality"] = {
        "dataset_id": source.data_id,
        "split_hash": digest([source.data_id, "held out"]),
        "n": len(scores),
        "ndcg10": round(float(metrics.ndcg10.mean()), 4),
        "mrr10": round(float(metrics.mrr10.mean()), 4),
        "accuracy1": round(float(metrics.accuracy1.mean()), 4),
        "ci95": [round(one, 4) for one in interval(metrics.ndcg10)],
    }
    write_json(job.out / MANIFEST, manifest)
    return table(["model", "parameters", "MB", "nDCG@10", "MRR@10", "accuracy@1"], rows)


def _scorer(of: Any, name: str) -> Any:
    return lambda pairs: of.scores(pairs, f"{name} on held-out lists")


def run_job(job: Job) -> str:
    """Make the variant, or continue where it was cut off; return the table of the results."""
    opened = _open(job)
    _check_out(job, opened)
    first = next(iter(opened.values()))
    name = digest([weights_digest(one.model) for one in opened.values()])
    source = _source(job, first, name)
    state = digest([job.name, changed(job.method), job.seed, name, source.data_id])[:8]

    def loader(one: Opened) -> Any:
        def load() -> BertForSequenceClassification:
            return open_model(one.folder, one is not opened.get("init")).model

        return load

    context = StageContext(
        id=job.out.name,
        seed=job.seed,
        lists=source.lists(job.seed),
        checkpoint=job.work / f"{job.name}-{state}.pt",
        source=source,
        parents={role: loader(one) for role, one in opened.items()},
        scores_folder=job.work / "teacher-scores",
    )
    made = divided(job.method, processes()).make(context)
    if "base" in opened:
        made = with_elastic(made, opened["base"].elastic, opened["base"].model)
    if rank() == 0:
        layout_len = min(job.max_len or first.max_len, first.max_len)
        _write(job, made, opened, layout_len)
    wait_for_all()
    shown = _measure(job, source, opened) if rank() == 0 else ""
    if rank() == 0:
        shutil.rmtree(job.work, ignore_errors=True)
    return shown
