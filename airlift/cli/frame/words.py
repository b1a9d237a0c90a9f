"""The values of plain words of a command line, known at once; whatever is less plain is left to typer.

Typer builds a validator for each option, and loads pydantic for it: a sixth of what a short command takes. Here it is
only ever said yes: what is not certain goes typer's way, which knows what is wrong and how to say so.
"""

import os
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


class _UncertainError(Exception):
    """Typer has to judge."""


class PlainCommand(TyperCommand):
    """A command whose plain words are known at once."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments, ``--help`` among them."""
        return _plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands; the words of its own options are known at once, too."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, ``--help`` among them."""
        return _plain(super().get_params(ctx))


def _plain(options: list[Any]) -> list[Any]:
    """Return the same options, which ask here first."""
    for one in options:
        if isinstance(one, TyperArgument | TyperOption) and "get_runtime_param" not in vars(one):
            plain = _Plain(one)
            one.get_runtime_param = lambda plain=plain: plain  # type: ignore[method-assign, misc]
    return options


class _Plain:
    """What turns the words of one option or argument into its value, before or instead of typer's own."""

    def __init__(self, option: TyperArgument | TyperOption) -> None:
        self.typers_own = option.get_runtime_param
        self.option = option

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value of what was given, or of a default; typer raises what is wrong."""
        try:
            return self._known(value)
        except _UncertainError:
            return self.typers_own().coerce(value, param=param, ctx=ctx)

    def _known(self, value: Any) -> Any:
        descriptor, several = self.option.type_descriptor, self.option.multiple or self.option.nargs == -1
        info, kind = descriptor.parameter_info, descriptor.annotation
        if value is None:
            return () if several else None
        if (
            info.parser
            or info.exists
            or info.resolve_path
            or info.writable
            or not (info.file_okay and info.dir_okay)
        ):
            raise _UncertainError
        if not several:
            return _one(kind, value, info.min, info.max)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise _UncertainError
        return [_one(get_args(kind)[0], item, info.min, info.max) for item in value]


def _one(kind: Any, value: Any, least: float | None, most: float | None) -> Any:
    """Return one word as a value of ``kind``: str, Path, int, or a choice."""
    if kind is str and isinstance(value, str):
        return value
    if kind is Path and isinstance(value, str | Path) and (os.access(value, os.R_OK) or _absent(Path(value))):
        return Path(value)
    if kind in (int, float) and type(value) is kind:
        return value  # a default
    if kind is int and isinstance(value, str) and _DIGITS.fullmatch(value):
        number = int(value)
        if (least is None or number >= least) and (most is None or number <= most):
            return number
    if isinstance(kind, type) and issubclass(kind, Enum):
        for choice in kind:
            if value is choice or value == choice.value:
                return choice
    raise _UncertainError


def _absent(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
