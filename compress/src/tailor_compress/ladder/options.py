# SPDX-License-Identifier: Apache-2.0
"""Flags of the command line from the fields of methods: one mechanism for all of them."""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from tailor_compress.errors import TailorError
from tailor_compress.method import Method
from tailor_compress.settings import inner_type, nearest, plain_value

_SCALARS: dict[Any, Any] = {int: click.INT, float: click.FLOAT, str: click.STRING, bool: click.BOOL}


if typing.TYPE_CHECKING:
    AnyType = click.ParamType[Any, Any]
else:
    AnyType = click.ParamType


class Yaml(AnyType):
    """A value written in YAML: lists and mappings."""

    name = "yaml"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value. Fails for text that is no YAML."""
        if not isinstance(value, str):
            return value
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            self.fail(" ".join(str(error).split()), param, ctx)


def _kind(hint: Any) -> AnyType:
    kind, _ = inner_type(hint)
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice([str(one) for one in typing.get_args(kind)])
    found: AnyType = _SCALARS.get(kind, Yaml())
    return found


def _shown(field: "dataclasses.Field[Any]") -> str:
    default = field.default
    if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return "required" if default is dataclasses.MISSING else str(plain_value(default))


def settings_options(
    methods: Mapping[str, type[Method]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds a flag for every setting of the methods, None when not given.

    A setting of several methods is one flag; its help says whose it is when it is not all of them.
    """
    users: dict[str, list[str]] = {}
    fields: dict[str, tuple[Any, dataclasses.Field[Any]]] = {}
    for name, method in methods.items():
        hints = typing.get_type_hints(method)
        for field in dataclasses.fields(method):  # type: ignore[arg-type]
            users.setdefault(field.name, []).append(name)
            fields.setdefault(field.name, (hints[field.name], field))

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        for name, (hint, field) in reversed(fields.items()):
            whose = "" if len(users[name]) == len(methods) else f"({', '.join(users[name])}) "
            text = f"{whose}{field.metadata.get('help', '')}  [{_shown(field)}]"
            body = click.option(
                f"--{name.replace('_', '-')}", name, type=_kind(hint), default=None, help=text
            )(body)
        return body

    return decorate


def read_config(path: Path | None) -> dict[str, Any]:
    """Return the mapping of a YAML file of settings, empty without one."""
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TailorError(
            f"settings in {path}", " ".join(str(error).split()), "name a YAML file with --config"
        ) from error
    if not isinstance(found, dict):
        raise TailorError(f"a mapping of settings in {path}", repr(found)[:60], "correct the file")
    return found


def given_settings(
    method: type[Method], name: str, config: Mapping[str, Any], flags: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of a configuration file and of flags, flags first.

    Raises TailorError for a flag of another method.
    """
    known = [field.name for field in dataclasses.fields(method)]  # type: ignore[arg-type]
    given = {key: value for key, value in flags.items() if value is not None}
    for key in given:
        if key not in known:
            raise TailorError(
                f"settings of the method `{name}`",
                f"--{key.replace('_', '-')}",
                nearest(key, known),
            )
    return {**config, **given}
