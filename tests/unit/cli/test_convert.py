"""What is converted without typer's way is converted as typer would."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer

from airlift.cli.frame.app import declare, root
from airlift.cli.frame.convert import UNSURE, converted, process
from airlift.cli.high.setup import URI
from airlift.cli.keys import Scheme

WORDS = (
    "",
    "-",
    "x",
    " x ",
    ".",
    "no/such/file",
    "ü",
    "\udcff",
    "3",
    "0",
    "-1",
    "true",
    "ML-DSA-87",
    "ml-dsa-87",
    URI,
)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in below.items():
        yield from leaves(one, (*path, name))


declare()
COMMANDS = dict(leaves(typer.main.get_command(root)))


def outcome(process: Any, context: Any, value: Any) -> Any:
    """Return the value, or the class and text of the error."""
    try:
        return process(context, value)
    except typer.TyperException as error:
        return type(error), error.format_message()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_and_argument_is_what_typer_makes_of_it(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    context = typer.Context(command, info_name="airlift")
    for parameter in command.params:
        default = parameter.get_default(context)
        several = parameter.multiple or parameter.nargs == -1
        choices = [choice.value for choice in parameter.type_descriptor.choices or ()]
        words = [*WORDS, *choices]
        given = [None, default, *([[], (), words[:2], *([word] for word in words)] if several else words)]
        for value in given:
            if callable(value):
                continue
            ours = outcome(partial(process, parameter, parameter.process_value), context, value)
            theirs = outcome(parameter.process_value, context, value)
            assert ours == theirs, (parameter.name, value)
            assert type(ours) is type(theirs), (parameter.name, value)


def test_a_path_that_may_not_be_read_is_refused_as_typer_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads everything, so that only a fake shows it."""
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.R_OK)
    assert converted(Path, ".") is UNSURE
    assert converted(Path, Path()) is UNSURE
    command = COMMANDS["high", "status"]
    (enclave,) = (one for one in command.params if one.name == "enclave")
    with pytest.raises(typer.BadParameter, match="is not readable"):
        process(enclave, enclave.process_value, typer.Context(command), ".")


def test_what_is_not_ours() -> None:
    assert converted(str, "a") == "a"
    assert converted(Path, "a") == Path("a")
    assert converted(int, 3) == 3
    assert converted(Scheme, "ecdsa-p384") is Scheme.ecdsa_p384
    for kind, value in (
        (str, "\udcff"),
        (int, "3"),
        (Scheme, "rsa"),
        (str, 3),
        (list[str], "a"),
        (None, "a"),
    ):
        assert converted(kind, value) is UNSURE
