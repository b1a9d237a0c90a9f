"""Options that travel together: one frozen dataclass for the body of a command, single options on the command line.

A field is an option as typer knows it (``Annotated``, with its default), or again such a dataclass. The name of the
dataclass, and of the parameter that it is given as, never show.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

LAST = (
    "depot",
    "enclave",
    "replace",
    "passphrase_file",
    "passphrase_fd",
    "no_passphrase",
    "yes",
    "dry_run",
)
"""What many commands take comes after what is a command's own, in this order; so a help reads alike everywhere."""


def parameters(body: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a command's body, without its first: the run."""
    return list(inspect.signature(body, eval_str=True).parameters.values())[1:]


def options(asked: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return the arguments and options of these parameters, in the order in which help shows them."""
    return sorted((option for one in asked for option in _single(one)), key=_place)


def filled(asked: list[inspect.Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body is called with, given the value of each of its :func:`options` by name."""
    return {one.name: _value(one, values) for one in asked}


def keyword(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """Return a parameter that is given by name."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _place(option: inspect.Parameter) -> int:
    shared = option.kind is inspect.Parameter.KEYWORD_ONLY and option.name in LAST
    return LAST.index(option.name) if shared else -1


def _single(one: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not _together(one.annotation):
        yield one
        return
    for field in _fields(one.annotation):
        yield from _single(field)


def _value(one: inspect.Parameter, values: Mapping[str, Any]) -> Any:
    if not _together(one.annotation):
        return values[one.name]
    return one.annotation(**{field.name: _value(field, values) for field in _fields(one.annotation)})


def _together(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _fields(kind: Any) -> Iterator[inspect.Parameter]:
    for field in dataclasses.fields(kind):
        given = field.default is not dataclasses.MISSING
        yield keyword(field.name, field.type, field.default if given else inspect.Parameter.empty)
