"""The words of a command line as values, without what typer loads for that.

Typer hands each word to pydantic, whose start takes as much CPU as that of all else in a small command
(docs/decisions/011-a-fast-start.md). Texts, paths and choices that are right need none of it; whatever else there is
goes typer's way, and so do all errors.
"""

import os
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

UNSURE = object()
"""Not for us to convert."""

_Judge = Callable[[typer.Context, Any], Any]


class Command(TyperCommand):
    """A command whose plain options and arguments are converted here."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all options and arguments, ``--help`` and those for completion among them; typer calls it."""
        return _converted_here(super().get_params(ctx))


class Group(TyperGroup):
    """The same for a group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all options and arguments, ``--help`` and those for completion among them; typer calls it."""
        return _converted_here(super().get_params(ctx))


def process(parameter: Any, typers_way: _Judge, context: typer.Context, value: Any) -> Any:
    """Return the value of an option or argument.

    Raises:
        typer.TyperException: it is none that the parameter takes.
    """
    found = UNSURE
    if not (parameter.required and parameter.value_is_missing(value)):
        found = _of_parameter(parameter, value)
    if found is UNSURE:
        return typers_way(context, value)
    return found if parameter.callback is None else parameter.callback(context, parameter, found)


def _converted_here(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            ours = partial(process, parameter, parameter.process_value)
            setattr(parameter, "process_value", ours)  # noqa: B010 - of this one, not of its class
    return parameters


def _of_parameter(parameter: Any, value: Any) -> Any:
    several = parameter.multiple or parameter.nargs == -1
    if value is None:
        return () if several else None
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if not several:
        return converted(kind, value)
    if get_origin(kind) is not list or not isinstance(value, list | tuple):
        return UNSURE
    found = [converted(get_args(kind)[0], item) for item in value]
    return UNSURE if any(item is UNSURE for item in found) else found


def converted(kind: Any, value: Any) -> Any:
    """Return a word, or a default, as a value of ``kind``: :data:`UNSURE` of any other kind, and of a wrong value."""
    if kind is Path:
        return _path(value)
    if type(value) is not str:
        return value if isinstance(kind, type) and isinstance(value, kind) else UNSURE
    if kind is str:
        return value if _is_unicode(value) else UNSURE
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((choice for choice in kind if choice.value == value), UNSURE)
    return UNSURE


def _path(value: Any) -> Any:
    """Return a path; what is there and may not be read is for typer to refuse."""
    if not isinstance(value, str | Path) or not _is_unicode(str(value)):
        return UNSURE
    hidden = os.access(value, os.F_OK) and not os.access(value, os.R_OK)
    return UNSURE if hidden else Path(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
