"""``airlift completion``: what a shell needs to complete commands, and the names that it may ask for."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-")
"""The letters of a name that a shell is given: none of them means anything to one."""


class Shell(StrEnum):
    """The shells whose completion is written."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


class Names(StrEnum):
    """What a shell asks for while a word is typed."""

    depot = "depot-releases"
    enclave = "enclave-releases"
    enclaves = "enclaves"


@command(
    app.root,
    "completion",
    "airlift completion bash > ~/.local/share/bash-completion/completions/airlift",
    "airlift completion fish > ~/.config/fish/completions/airlift.fish",
)
def completion(
    run: Run,
    shell: Annotated[Shell | None, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")] = None,
    *,
    names: Annotated[
        Names | None, typer.Option(help="Write names of what is here instead, as the shell asks for them.")
    ] = None,
    depot: options.Depot = options.DEPOT,
    enclave: options.Enclave = options.ENCLAVE,
) -> Answer:
    """Write a script that completes commands, options and names of releases; docs/manual.md tells where it goes.

    The script knows every command by itself. It asks airlift only for names of releases and enclaves.
    """
    if (shell is None) == (names is None):
        raise UsageError("say which shell it is for", expected="bash, zsh or fish")
    if names is not None:
        found = _names(names, depot, enclave)
        return Answer({"names": found}, lambda page: page.lines(found))
    from airlift.cli.manual import scripts, tree

    script = scripts.script(str(shell), tree.read())
    return Answer({"shell": str(shell), "script": script}, lambda _: _write(run, script))


def _names(asked: Names, depot: Path, enclave: Path) -> list[str]:
    if asked is Names.enclave:
        from airlift.high.record import names as installed

        return _safe(installed.releases(enclave))
    from airlift.low.depot import names as held

    return _safe(held.releases(depot) if asked is Names.depot else held.enclaves(depot))


def _safe(names: list[str]) -> list[str]:
    """Return the names that no shell could take for anything but a word."""
    return [name for name in names if set(name) <= WORD and not name.startswith("-")]


def _write(run: Run, script: str) -> None:
    """Write the script as it stands: no line of it is folded, also on a terminal."""
    run.out.write(script)
