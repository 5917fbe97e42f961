# SPDX-License-Identifier: Apache-2.0
"""The recipe of a family: every choice and seed that its weights depend on."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from tailor_compress.errors import TailorError
from tailor_compress.evaluation.claims import Claim
from tailor_compress.settings import nearest, parse

# Keys of a stage that are the ladder's; all others are settings of its method.
_STAGE_KEYS = ("id", "method", "parents", "seed", "ship", "words")
_PROFILES = "profiles"


@dataclass(frozen=True)
class Start:
    """The public checkpoint: where it is, what it is called, which tokens stay.

    Those used ``min_count`` times in the training texts, counted ``rounds`` times.
    """

    checkpoint: str
    name: str
    min_count: int
    rounds: int = 2


@dataclass(frozen=True)
class Evaluation:
    """How much is measured: sets besides B, and queries (all when None) of test and dev."""

    sets: tuple[str, ...] = ("A", "B")
    queries: int | None = None
    dev_queries: int = 300


@dataclass(frozen=True)
class StageRecipe:
    """One model in the making: a method, its parents by role, its settings.

    ``ship`` says whether it goes into the family's folder; others are measured all the same.
    ``words`` is how its word vectors are stored, when the method does not say itself.
    """

    id: str
    method: str
    parents: dict[str, str] = field(default_factory=dict)
    seed: int = 1
    ship: bool = True
    words: Literal["f16", "int8"] = "f16"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One family. ``seed`` makes the data; each stage has a seed of its own."""

    family: str
    license: str
    created: str
    release: str
    seed: int
    threads: int
    max_len: int
    start: Start
    stages: tuple[StageRecipe, ...]
    evaluation: Evaluation = Evaluation()
    claims: tuple[Claim, ...] = ()

    def stage(self, id_: str) -> StageRecipe:
        """Return a stage. Raises TailorError for an unknown id."""
        for one in self.stages:
            if one.id == id_:
                return one
        known = [one.id for one in self.stages]
        raise TailorError(f"a stage of the recipe, not `{id_}`", "none", nearest(id_, known))


def _with_settings(stage: Any) -> Any:
    """Gather the method's keys of a stage below `settings`."""
    if not isinstance(stage, dict):
        return stage
    own = {key: stage[key] for key in _STAGE_KEYS if key in stage}
    return {**own, "settings": {k: v for k, v in stage.items() if k not in _STAGE_KEYS}}


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merged(base.get(key), one) for key, one in over.items()}}
    return over


def with_profile(record: Mapping[str, Any], profile: str | None) -> dict[str, Any]:
    """Return the record of a recipe with one of its profiles applied, and without the others.

    A profile overrides keys of the family; its `stages` map ids to settings to override, or to
    false for stages to leave out; its `methods` override settings of every stage of a method.
    """
    result = copy.deepcopy(dict(record))
    profiles = result.pop(_PROFILES, None) or {}
    if profile is None:
        return result
    if not isinstance(profiles, dict) or profile not in profiles:
        raise TailorError(
            "a profile of the recipe", f"`{profile}`", nearest(profile, list(profiles) or ["none"])
        )
    over = dict(profiles[profile] or {})
    by_stage, by_method = over.pop("stages", None) or {}, over.pop("methods", None) or {}
    stages = result.get("stages") or []
    ids = [one.get("id") for one in stages]
    for id_ in by_stage:
        if id_ not in ids:
            raise TailorError(
                f"stages of the recipe at `{_PROFILES}.{profile}.stages`",
                f"`{id_}`",
                nearest(id_, [str(one) for one in ids]),
            )
    result = {**result, **{key: _merged(result.get(key), one) for key, one in over.items()}}
    result["stages"] = [
        _merged(_merged(one, by_method.get(one.get("method"), {})), by_stage.get(one["id"]) or {})
        for one in stages
        if by_stage.get(one["id"]) is not False
    ]
    return result


def read_recipe(path: Path, profile: str | None = None) -> Recipe:
    """Read a recipe. Raises TailorError naming the key that is unknown, missing or mistyped."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TailorError(
            f"a recipe in {path}",
            " ".join(str(error).split()),
            "name a YAML file of a family",
        ) from error
    if isinstance(record, dict):
        record = with_profile(record, profile)
        if isinstance(record.get("stages"), list):
            record["stages"] = [_with_settings(one) for one in record["stages"]]
    return parse(Recipe, record, "")
