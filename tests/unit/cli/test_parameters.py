"""Options that travel together: single ones for typer, one value for the body."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from airlift.cli.frame import parameters
from airlift.cli.frame.command import Answer, command

Dry = Annotated[bool, typer.Option("--dry-run")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depot: Annotated[str, typer.Option()] = "depot"
    dry_run: Dry = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    keys: Annotated[list[str], typer.Option("--key", default_factory=list)]
    size: int


def body(run: object, enclave: str, *, on: Outer, last: int = 3) -> None:
    pass


def single(function: object = body) -> list[inspect.Parameter]:
    return parameters.options(parameters.parameters(function))  # type: ignore[arg-type] # any callable


def test_every_field_is_an_option_with_its_own_default() -> None:
    found = {one.name: one for one in single()}
    assert found.keys() == {"enclave", "depot", "dry_run", "keys", "size", "last"}
    assert found["size"].default is inspect.Parameter.empty
    assert found["depot"].default == "depot"
    assert found["dry_run"].annotation == Dry
    assert found["last"].default == 3


def test_what_many_commands_take_comes_last_whoever_holds_it() -> None:
    """An argument keeps its place, whatever its name."""
    assert [one.name for one in single()] == ["enclave", "keys", "size", "last", "depot", "dry_run"]


def test_the_body_gets_its_values_together() -> None:
    asked = parameters.parameters(body)
    values = {"enclave": "alpha", "depot": "d", "dry_run": True, "keys": ["k"], "size": 7, "last": 1}
    assert parameters.filled(asked, values) == {
        "enclave": "alpha",
        "on": Outer(inner=Inner(depot="d", dry_run=True), keys=["k"], size=7),
        "last": 1,
    }


def test_an_option_that_is_given_twice_is_refused_where_the_command_is_declared() -> None:
    def twice(run: object, *, on: Inner, dry_run: Dry = False) -> Answer:
        raise NotImplementedError

    with pytest.raises(ValueError, match="duplicate parameter name: 'dry_run'"):
        command(typer.Typer(), "twice")(twice)
