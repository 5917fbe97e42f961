# SPDX-License-Identifier: Apache-2.0
"""Makes the stages of a recipe that are not up to date, each from what others left on disk."""

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from transformers import BertForSequenceClassification

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.read_back import read_encoder
from tailor_compress.export.bundle import Family, Variant, write_bundle
from tailor_compress.export.files import replacing, write_replacing
from tailor_compress.export.reference import PAIRS, is_current, reference
from tailor_compress.export.trained import Step, Trained
from tailor_compress.export.variant import MANIFEST, read_manifest, write_json
from tailor_compress.ladder.context import StageContext
from tailor_compress.ladder.family import FamilySource
from tailor_compress.ladder.plan import START, Stage, fingerprints, make_plan
from tailor_compress.ladder.results import (
    RECORD,
    Result,
    adopt,
    load_result,
    read_model,
    save_result,
)
from tailor_compress.method import Made, Method
from tailor_compress.model.cut import layer_shapes
from tailor_compress.quantization.products import quantise_words
from tailor_compress.training.processes import processes, rank, wait_for_all
from tailor_compress.workspace import Workspace

# Students draw other lists than their teacher did, so that it is also asked about candidates
# that it was not trained on.
_STUDENT_LISTS = 1000


@dataclass(frozen=True)
class State:
    """Where a stage stands, in one of the words of Ladder.state, and how long it took."""

    stage: Stage
    word: str
    wall_s: float | None


def divided(method: Method, count: int) -> Method:
    """Return the method with a ``count``-th of its lists a step, for one of so many processes.

    Raises TailorError when the lists cannot be divided.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        value = getattr(method, field.name)
        if field.name == "lists_per_step":
            if value % count:
                raise TailorError(
                    f"lists_per_step that {count} processes can share",
                    str(value),
                    "start another number of processes",
                )
            changes[field.name] = value // count
        elif dataclasses.is_dataclass(value):
            changes[field.name] = divided(value, count)  # type: ignore[arg-type]
    return dataclasses.replace(method, **changes) if changes else method  # type: ignore[type-var]


def with_elastic(
    made: Made, elastic: Mapping[str, Any] | None, parent: BertForSequenceClassification
) -> Made:
    """Let what has the shape and the order of an elastic parent be elastic too."""
    if not elastic or made.model is None or "derive" in made.manifest:
        return made
    if layer_shapes(made.model) != layer_shapes(parent):
        return made
    return dataclasses.replace(made, manifest={"elastic": elastic, **made.manifest})


class Ladder:
    """A recipe's stages on their workspace."""

    def __init__(self, space: Workspace) -> None:
        self.space = space
        self.stages = make_plan(space.recipe)
        self._by_id = {stage.id: stage for stage in self.stages}
        self.source = FamilySource(space)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What each stage's result depends on, hashed."""
        return fingerprints(self.stages, self.source.start_fingerprint, self.source.fingerprint)

    def stage(self, id_: str) -> Stage:
        """Return a stage. Raises TailorError for an unknown id."""
        return self._by_id[self.space.recipe.stage(id_).id]

    def _recorded(self) -> dict[str, Any]:
        path = self.space.record
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def _result(self, stage: Stage) -> Result | None:
        folder = self.space.trained(stage.id)
        if not (folder / RECORD).is_file():
            return None
        result = load_result(folder)
        return result if result.fingerprint == self.fingerprints[stage.id] else None

    def _is_exported(self, stage: Stage) -> bool:
        entry = self._recorded().get(stage.id, {})
        exported = (self.space.bundle(stage.id) / MANIFEST).is_file()
        return (
            exported
            and entry.get("fingerprint") == self.fingerprints[stage.id]
            and entry.get("words", "f16") == stage.recipe.words
        )

    def state(self, stage: Stage) -> State:
        """Return a stage's state.

        `done`: trained and exported; `exported`: its folder is at hand, its f32 weights are not;
        `trained`: not exported yet; `other settings`: there is a result of another recipe, which
        --adopt takes over; `started`: a checkpoint is there; `missing`.
        """
        entry = self._recorded().get(stage.id, {})
        result = self._result(stage)
        exported = self._is_exported(stage)
        if exported:
            word = "done" if result else "exported"
        elif result:
            word = "trained"
        elif list(self.space.checkpoint(stage.id).parent.glob(f"{self._state_name(stage)}*")):
            word = "started"
        elif (self.space.trained(stage.id) / RECORD).is_file() or entry:
            word = "other settings"
        else:
            word = "missing"
        wall_s = sum(step.wall_s for step in result.record.steps) if result else entry.get("wall_s")
        return State(stage, word, wall_s)

    def _state_name(self, stage: Stage) -> str:
        return f"{stage.id}-{self.fingerprints[stage.id][:8]}"

    def adopt(self, id_: str) -> None:
        """Take what is on disk as the result of the stage's present settings."""
        stage = self.stage(id_)
        trained, bundle = self.space.trained(id_), self.space.bundle(id_)
        if (trained / RECORD).is_file():
            adopt(trained, self.fingerprints[id_])
        if (bundle / MANIFEST).is_file():
            manifest = read_manifest(bundle)
            steps = [Step(**one) for one in manifest["method"]]
            self._record(stage, Trained(steps, manifest["parents"]))
        elif not (trained / RECORD).is_file():
            raise TailorError(f"a result in {trained} or {bundle}", "neither", "make the stage")

    def _parent(self, id_: str) -> BertForSequenceClassification:
        if id_ == START:
            return read_model(self.space.require(self.space.start, "data"))
        stage = self._by_id[id_]
        result = self._result(stage)
        model = result.model() if result else None
        if model is None:
            folders = (self.space.family, self.space.tried)
            model = read_encoder(self.space.bundle(id_), folders).model
        return model

    def _context(self, stage: Stage) -> StageContext:
        first = set(stage.parents.values()) <= {START}
        seed = stage.recipe.seed
        return StageContext(
            id=stage.id,
            seed=seed,
            lists=self.source.lists(seed if first else _STUDENT_LISTS + seed),
            checkpoint=self.space.checkpoint(self._state_name(stage)),
            source=self.source,
            parents={role: partial(self._parent, id_) for role, id_ in stage.parents.items()},
            scores_folder=self.space.teacher_scores,
        )

    def _train(self, stage: Stage) -> Result:
        folder = self.space.trained(stage.id)
        began = time.monotonic()
        made = divided(stage.method, processes()).make(self._context(stage))
        made = self._with_elastic(stage, made)
        if rank() == 0:
            save_result(
                made, self._trained(stage, made, began), self.fingerprints[stage.id], folder
            )
            for state in self.space.checkpoint(stage.id).parent.glob(f"{self._state_name(stage)}*"):
                state.unlink()
        wait_for_all()
        return load_result(folder)

    def _manifest(self, id_: str) -> Mapping[str, Any]:
        """Return the keys of a stage's variant.json that say what can be made of it."""
        result = self._result(self._by_id[id_])
        return result.manifest if result else read_manifest(self.space.bundle(id_))

    def _with_elastic(self, stage: Stage, made: Made) -> Made:
        """Let what has the shape and the order of an elastic parent be elastic too."""
        base = stage.parents.get("base", START)
        elastic = {} if base == START else self._manifest(base).get("elastic")
        return with_elastic(made, elastic, self._parent(base)) if elastic else made

    def _trained(self, stage: Stage, made: Made, began: float) -> Trained:
        """Return the record: the method's steps, after those that made the trimmed checkpoint."""
        steps = list(made.steps)
        if len(steps) == 1 and not stage.is_derived:
            # What a method forgets to count (scores of teachers) belongs to it too.
            spent = max(steps[0].wall_s, round(time.monotonic() - began, 1))
            steps = [dataclasses.replace(steps[0], wall_s=spent)]
        parents = []
        for role, id_ in stage.parents.items():
            if id_ == START:
                start = json.loads((self.space.start / RECORD).read_text())
                steps = [*load_result(self.space.start).record.steps, *steps]
                parents += start["parents"]
            else:
                parents.append({"id": id_, "role": role})
        return Trained(steps, parents)

    def _family(self) -> Family:
        recipe = self.space.recipe
        tokens = list(self.space.layout().tokens)
        return Family(recipe.family, recipe.created, recipe.license, tokens, recipe.max_len)

    def _export(self, stage: Stage, result: Result) -> None:
        model, tensors = result.model(), result.tensors()
        if stage.recipe.words == "int8" and model is not None:
            tensors |= quantise_words(model)
        variant = Variant(stage.id, result.record, model, tensors, result.manifest)
        with replacing(self.space.bundle(stage.id)) as folder:
            write_bundle(self._family(), variant, folder)
            self._refer(folder)
        self._record(stage, result.record)

    def _refer(self, folder: Path) -> None:
        """Add the scores of the family's reference pairs unless the variant has them."""
        pairs, manifest = self.space.family / PAIRS, read_manifest(folder)
        if pairs.is_file() and not is_current(manifest.get("reference"), pairs):
            folders = (self.space.family, self.space.tried)
            manifest["reference"] = reference(folder, folders, pairs)
            write_json(folder / MANIFEST, manifest)

    def _record(self, stage: Stage, record: Trained) -> None:
        entries = self._recorded()
        entries[stage.id] = {
            "method": stage.recipe.method,
            "fingerprint": self.fingerprints[stage.id],
            "wall_s": round(sum(step.wall_s for step in record.steps), 1),
            "device": record.steps[-1].device,
            **({} if stage.recipe.words == "f16" else {"words": stage.recipe.words}),
        }
        text = json.dumps(dict(sorted(entries.items())), indent=1) + "\n"
        write_replacing(self.space.record, text)

    def make(self, id_: str) -> None:
        """Make and export a stage, and first its parents as far as they are not at hand."""
        stage = self.stage(id_)
        if self._is_exported(stage):
            if rank() == 0:
                self._refer(self.space.bundle(id_))
            return
        for parent in stage.parents.values():
            if parent != START:
                self.make(parent)
        result = self._result(stage) or self._train(stage)
        if rank() == 0:
            self._export(stage, result)
        wait_for_all()

    def export(self, ids: Sequence[str]) -> None:
        """Write again the folders of stages that are trained."""
        for id_ in ids or [stage.id for stage in self.stages]:
            stage = self.stage(id_)
            result = self._result(stage)
            if result is None:
                raise TailorError(
                    f"the stage `{id_}` to be done",
                    self.state(stage).word,
                    f"run `tailor-compress ladder RECIPE --only {id_}`",
                )
            self._export(stage, result)
