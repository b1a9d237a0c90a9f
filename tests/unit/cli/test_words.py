"""Plain words: what is known without typer is what typer would say, for every option of every command."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperArgument, TyperOption

from airlift.cli.frame import app, words

WORDS = [
    "",
    "-",
    "0",
    "1",
    "007",
    "-3",
    "1.5",
    "1e3",
    "true",
    "json",
    "JSON",
    "full",
    "model",
    "a b",
    "é",
    "٣",
]
CONTEXT = typer.Context(typer.main.get_command(app.root))


def options() -> Iterator[tuple[str, TyperArgument | TyperOption]]:
    """Yield each option and argument of each command, with the command's name before it."""
    app.declare()
    waiting = [(typer.main.get_command(app.root), "airlift")]
    while waiting:
        command, name = waiting.pop()
        for one in command.params:
            assert isinstance(one, TyperArgument | TyperOption)
            yield f"{name} {one.name}", one
        waiting += [(sub, f"{name} {word}") for word, sub in getattr(command, "commands", {}).items()]


def test_what_is_known_is_what_typer_says(tmp_path: Path) -> None:
    folder, locked = tmp_path / "folder", tmp_path / "locked"
    folder.mkdir()
    locked.write_bytes(b"")
    locked.chmod(0)
    paths = [str(folder), str(folder / "absent"), str(locked)]
    known = 0
    for name, one in options():
        plain, several = words._Plain(one), one.multiple or one.nargs == -1
        choices = one.type_descriptor.choices or ()
        for word in [*WORDS, *paths, *(choice.value for choice in choices if isinstance(choice, Enum))]:
            value: Any = [word, word] if several else word
            try:
                found = plain._known(value)
            except words._UncertainError:
                continue
            expected = plain.typers_own().coerce(value, param=one, ctx=CONTEXT)
            assert (found, type(found)) == (expected, type(expected)), (name, word)
            known += 1
    assert known > 1000  # of some 13,000


def test_nothing_given_is_nothing() -> None:
    for name, one in options():
        plain = words._Plain(one)
        typers = plain.typers_own().coerce(None, param=one, ctx=CONTEXT)
        assert plain._known(None) == typers, name


@pytest.mark.parametrize(
    "more", [{"exists": True}, {"dir_okay": False}, {"writable": True}, {"parser": str.upper}]
)
def test_what_typer_checks_further_is_left_to_typer(more: dict[str, Any]) -> None:
    program = typer.Typer()

    @program.command(cls=words.PlainCommand)
    def _command(path: Path = typer.Option(..., **more)) -> None:  # noqa: B008 - how typer declares it
        """Do nothing."""

    (one,) = (one for one in typer.main.get_command(program).params if one.name == "path")
    assert isinstance(one, TyperOption)
    with pytest.raises(words._UncertainError):
        words._Plain(one)._known("a")
