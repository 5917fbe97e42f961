# SPDX-License-Identifier: Apache-2.0
"""The recipe of a family: every choice and seed that its weights depend on."""

import difflib
import typing
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tailor_compress.errors import TailorError
from tailor_compress.training.loop import Schedule
from tailor_compress.training.student import Distillation, StudentShape

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """The public checkpoint: where it is, what it is called, which tokens stay."""

    checkpoint: str
    name: str
    min_count: int


@dataclass(frozen=True)
class TeacherRecipe:
    """The teacher's id and schedule."""

    id: str
    schedule: Schedule


@dataclass(frozen=True)
class StudentRecipe:
    """The student's id, sizes, loss and schedule."""

    id: str
    shape: StudentShape
    distillation: Distillation
    schedule: Schedule


@dataclass(frozen=True)
class DerivedRecipe:
    """A variant without weights of its own: its parent's, in another format."""

    id: str
    parent: str
    format: str


@dataclass(frozen=True)
class Recipe:
    """One family. ``seed`` makes the data; each training has a seed of its own."""

    family: str
    license: str
    created: str
    release: str
    seed: int
    threads: int
    max_len: int
    start: Start
    teacher: TeacherRecipe
    student: StudentRecipe
    derived: tuple[DerivedRecipe, ...]


def _refuse(where: str, expected: str, got: str) -> TailorError:
    return TailorError(f"{expected} at `{where}`", got, "correct the recipe")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"did you mean `{close[0]}`" if close else f"known keys: {', '.join(known)}"


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _parse(typing.cast("type[Any]", kind), value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _refuse(where, "a list", repr(value))
        return tuple(
            _value(typing.get_args(kind)[0], one, f"{where}[{i}]") for i, one in enumerate(value)
        )
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _refuse(where, f"a value of type {kind.__name__}", repr(value))
    return value


def _parse(kind: type[T], record: Any, where: str) -> T:
    if not isinstance(record, dict):
        raise _refuse(where, "a mapping", repr(record))
    hints = typing.get_type_hints(kind)
    for key in record:
        if key not in hints:
            raise _refuse(where, "known keys only", f"`{key}` ({_nearest(str(key), list(hints))})")
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]
        inner = f"{where}.{field.name}".lstrip(".")
        if field.name in record:
            values[field.name] = _value(hints[field.name], record[field.name], inner)
        elif field.default is MISSING:
            raise _refuse(inner, "a value", "none")
    return kind(**values)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises TailorError naming the key that is unknown, missing or mistyped."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TailorError(
            f"a recipe in {path}", str(error), "name a YAML file with --recipe"
        ) from error
    return _parse(Recipe, record, "")
