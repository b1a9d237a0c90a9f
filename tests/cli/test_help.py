"""Every command has a help with an example, and the options of the habits."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from airlift.cli.frame.app import ALONE, declare, root
from tests.cli.transcript import inside

COMMON = ("--format", "--quiet", "--verbose", "--no-progress")


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group with its path."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


declare()
TREE = dict(commands(typer.main.get_command(root)))
LEAVES = {path: command for path, command in TREE.items() if not hasattr(command, "commands")}


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_help_has_an_example(tmp_path: Path, path: tuple[str, ...]) -> None:
    said = inside(*path, "--help", cwd=tmp_path).expect(0)
    assert said.err == ""
    assert f"Usage: {' '.join(('airlift', *path))}" in said.out
    assert f"$ {' '.join(('airlift', *path))}".rstrip() in said.out.partition("example")[2]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_the_common_options(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    names = {name for parameter in command.params for name in parameter.opts}
    assert names.issuperset(COMMON)
    assert command.help


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_examples_parse(path: tuple[str, ...]) -> None:
    """The words of each example are options and arguments that the command accepts."""
    examples = [line.removeprefix("$ ") for line in LEAVES[path].epilog.splitlines() if line.startswith("$ ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        if words == ["airlift"] and path == (ALONE,):
            continue
        assert words[: len(path) + 1] == ["airlift", *path]
        LEAVES[path].make_context("airlift", words[len(path) + 1 :], obj=None)
