"""The next command after arguments that make no sense: an example of the command that was meant (SPEC 14-12)."""

import difflib
from collections.abc import Sequence
from typing import Any

import typer

from airlift.cli.frame.app import root

PROMPT = "$ "


def named(words: Sequence[str]) -> str:
    """Return the command that the first of these words name: ``airlift low sign``."""
    return " ".join(["airlift", *_way(words)[0]])


def after(words: Sequence[str]) -> str:
    """Return the hint for a command line that was not understood, as far as it was."""
    path, command = _way(words)
    below: dict[str, Any] = getattr(command, "commands", {})
    if not below:
        return f"for example: `{_examples(command)[0]}`"
    given = next((word for word in words[len(path) :] if not word.startswith("-")), "")
    for meant in difflib.get_close_matches(given, below, n=1):
        return f"perhaps you mean `{' '.join(['airlift', *path, meant])}`"
    return f"for example: `{_examples(command)[0]}`; it has {', '.join(below)}"


def _way(words: Sequence[str]) -> tuple[list[str], Any]:
    """Return as many of the words as name a command, and that command."""
    command: Any = typer.main.get_command(root)
    path = list[str]()
    for word in words:
        below = getattr(command, "commands", {}).get(word)
        if below is None:
            break
        command = below
        path.append(word)
    return path, command


def _examples(command: Any) -> list[str]:
    lines = (command.epilog or "").splitlines()
    return [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]
