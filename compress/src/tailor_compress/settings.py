# SPDX-License-Identifier: Apache-2.0
"""Dataclasses from mappings, strictly: recipes, stages and configuration files alike."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tailor_compress.errors import TailorError

T = TypeVar("T")


def _refuse(where: str, expected: str, got: str) -> TailorError:
    return TailorError(f"{expected} at `{where}`", got, "correct the recipe")


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Return the remedy for an unknown name: the known one that looks most like it."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f"did you mean `{close[0]}`" if close else "none is known"


def inner_type(kind: Any) -> tuple[Any, bool]:
    """Return a type without its None, and whether None is allowed."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kinds = [one for one in typing.get_args(kind) if one is not type(None)]
        return kinds[0], len(kinds) < len(typing.get_args(kind))
    return kind, False


_COLLECTIONS = (tuple, dict, Mapping)


def _collection(kind: Any, given: Any, where: str) -> Any:
    """Return a tuple or a mapping with string keys, its members read as the type says."""
    members = typing.get_args(kind)
    if kind is tuple or typing.get_origin(kind) is tuple:
        if not isinstance(given, list | tuple):
            raise _refuse(where, "a list", repr(given))
        item = (members or (Any,))[0]
        return tuple(value(item, one, f"{where}[{i}]") for i, one in enumerate(given))
    if not isinstance(given, dict):
        raise _refuse(where, "a mapping", repr(given))
    item = (members or (str, Any))[1]
    return {str(k): value(item, v, f"{where}.{k}") for k, v in given.items()}


def value(kind: Any, given: Any, where: str) -> Any:
    """Return ``given`` as a ``kind``. Raises TailorError that names the key ``where``."""
    kind, optional = inner_type(kind)
    if given is None and optional:
        return None
    if kind is Any:
        return given
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return parse(typing.cast("type[Any]", kind), given, where)
    if origin is typing.Literal:
        allowed = typing.get_args(kind)
        if given not in allowed:
            raise _refuse(where, f"one of {', '.join(map(str, allowed))}", repr(given))
        return given
    if origin in _COLLECTIONS or kind in _COLLECTIONS:
        return _collection(kind, given, where)
    if kind is float and type(given) is int:
        return float(given)
    if type(given) is not kind:
        raise _refuse(where, f"a value of type {kind.__name__}", repr(given))
    return given


def parse(kind: type[T], record: Any, where: str) -> T:
    """Return a ``kind`` of the mapping ``record``.

    Raises TailorError naming the key that is unknown, missing or mistyped.
    """
    if not isinstance(record, dict):
        raise _refuse(where, "a mapping", repr(record))
    hints = typing.get_type_hints(kind)
    known = dataclasses.fields(kind)  # type: ignore[arg-type]
    names = [field.name for field in known]
    for key in record:
        if key not in names:
            raise _refuse(where, "known keys only", f"`{key}` ({nearest(str(key), names)})")
    values = {}
    for field in known:
        inner = f"{where}.{field.name}".lstrip(".")
        if field.name in record:
            values[field.name] = value(hints[field.name], record[field.name], inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _refuse(inner, "a value", "none")
    return kind(**values)


def changed(settings: Any) -> dict[str, Any]:
    """Return the settings of a dataclass that differ from their defaults, as plain values.

    This is what a fingerprint covers: a setting that is added later, with a default that changes
    nothing, leaves the results valid that were made before it.
    """
    found = {}
    for field in dataclasses.fields(settings):
        current = getattr(settings, field.name)
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING or current != default:
            nested = dataclasses.is_dataclass(current)
            found[field.name] = changed(current) if nested else current
    return found


def plain_value(given: Any) -> Any:
    """Return a setting as it would be written in YAML."""
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return dataclasses.asdict(given)
    if isinstance(given, tuple):
        return [plain_value(one) for one in given]
    return given
