# SPDX-License-Identifier: Apache-2.0
"""The order of a recipe's stages, their settings, and what says whether a result is theirs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailor_compress.errors import TailorError
from tailor_compress.ladder.methods import method_class
from tailor_compress.method import Method
from tailor_compress.recipe import Recipe, StageRecipe
from tailor_compress.settings import changed, nearest, parse

# The trimmed public checkpoint: a parent that is no stage.
START = "start"


@dataclass(frozen=True)
class Stage:
    """A stage with its settings read and its place in the order known."""

    recipe: StageRecipe
    method: Method

    @property
    def id(self) -> str:
        """The variant's id."""
        return self.recipe.id

    @property
    def parents(self) -> Mapping[str, str]:
        """Ids of the parents by role."""
        return self.recipe.parents

    @property
    def is_derived(self) -> bool:
        """Whether it names a load-time step only (known before it is made for `derive`)."""
        return self.recipe.method == "derive"


def _stage(recipe: StageRecipe) -> Stage:
    where = f"stages.{recipe.id}"
    kind = method_class(recipe.method)
    method = parse(kind, recipe.settings, where)
    missing = [role for role in kind.roles if role not in recipe.parents]
    if missing:
        raise TailorError(
            f"parents for the roles {', '.join(kind.roles)} at `{where}.parents`",
            ", ".join(recipe.parents) or "none",
            f"name a parent as `{missing[0]}`",
        )
    return Stage(recipe, method)


def _check_parents(recipe: Recipe) -> None:
    ids = [stage.id for stage in recipe.stages]
    twice = {id_ for id_ in ids if ids.count(id_) > 1}
    if START in ids or twice:
        name = START if START in ids else sorted(twice)[0]
        raise TailorError("distinct ids of stages", f"`{name}` twice", "rename one")
    by_id = {stage.id: stage for stage in recipe.stages}
    for stage in recipe.stages:
        for parent in stage.parents.values():
            if parent != START and parent not in by_id:
                raise TailorError(
                    f"a stage as parent of `{stage.id}`", f"`{parent}`", nearest(parent, ids)
                )
    done: set[str] = {START}
    path: list[str] = []

    def visit(id_: str) -> None:
        if id_ in done:
            return
        if id_ in path:
            circle = " -> ".join([*path[path.index(id_) :], id_])
            raise TailorError("stages without a circle of parents", circle, "remove one of them")
        path.append(id_)
        for parent in by_id[id_].parents.values():
            visit(parent)
        path.pop()
        done.add(id_)

    for id_ in ids:
        visit(id_)


def make_plan(recipe: Recipe) -> list[Stage]:
    """Return the stages, parents before children, else in the recipe's order.

    Raises TailorError for an unknown method, setting or parent, for parents in a circle, and for
    a shipped variant whose weights are those of one that is not shipped.
    """
    _check_parents(recipe)
    stages = {one.id: _stage(one) for one in recipe.stages}
    ordered: dict[str, Stage] = {}

    def add(id_: str) -> None:
        if id_ == START or id_ in ordered:
            return
        for parent in stages[id_].parents.values():
            add(parent)
        ordered[id_] = stages[id_]

    for id_ in stages:
        add(id_)
    for stage in ordered.values():
        base = stage.parents.get("base")
        if stage.is_derived and stage.recipe.ship and base and not recipe.stage(base).ship:
            raise TailorError(
                f"the parent of the shipped `{stage.id}` to be shipped",
                f"`{base}` is not",
                "set `ship` of both alike",
            )
    return list(ordered.values())


def digest(content: Any) -> str:
    """Return a short hash of plain values."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def fingerprints(stages: list[Stage], start: str, data_id: str) -> dict[str, str]:
    """Return what each stage's result depends on, hashed: method, settings, seed, parents, data.

    ``start`` is the fingerprint of the trimmed checkpoint.
    """
    found = {START: start}
    for stage in stages:
        found[stage.id] = digest(
            {
                "method": stage.recipe.method,
                "settings": changed(stage.method),
                "seed": stage.recipe.seed,
                "parents": {role: found[id_] for role, id_ in stage.parents.items()},
                "data": data_id,
            }
        )
    return found
