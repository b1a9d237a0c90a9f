"""The commands as plain values: what each is called, takes and says of itself."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import typer

from airlift.cli.frame.app import declare, root
from airlift.cli.frame.hints import PROMPT

NAME = "airlift"
"""The program; every path of a command begins with it, save the verifier's."""

VERIFIER_NAME = "airlift-verify"

VERIFIER = (
    "It is one file that needs Python and the library cryptography, and nothing of airlift. What it is given is an "
    "export of the whole ledger, an answer with its proof, or a receipt."
)


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its names, and what it is given; ``value`` is empty for one that is given nothing."""

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str
    default: str
    variable: str
    required: bool
    repeated: bool
    panel: str


@dataclass(frozen=True, slots=True)
class Argument:
    """What stands on a command line without a name."""

    value: str
    choices: tuple[str, ...]
    help: str
    required: bool
    repeated: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group with the commands ``below`` it."""

    path: tuple[str, ...]
    paragraphs: tuple[str, ...]
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    examples: tuple[str, ...]
    below: tuple["Command", ...]

    @property
    def summary(self) -> str:
        """The first sentence of the help, without its full stop, beginning as a word within a sentence does."""
        first = self.paragraphs[0].split(". ")[0].rstrip(".")
        return first if first[1:2].isupper() else first[:1].lower() + first[1:]

    def all(self) -> Iterator["Command"]:
        """Yield the command and all that are below it, in the order of the help."""
        yield self
        for command in self.below:
            yield from command.all()


def read() -> Command:
    """Return all commands, as the one that holds them."""
    declare()
    whole = _command(typer.main.get_command(root), (NAME,))
    return replace(whole, paragraphs=tuple(p for p in whole.paragraphs if not p.startswith("exit codes:")))


def read_verifier() -> Command:
    """Return the standalone verifier, which is a program of its own."""
    from airlift import verify

    declared = verify.parser()
    taken = declared._actions  # noqa: SLF001 - argparse has no other way to ask
    return Command(
        path=(VERIFIER_NAME,),
        paragraphs=(declared.description or "", VERIFIER),
        options=tuple(_option_of_verifier(one) for one in taken if one.option_strings),
        arguments=tuple(
            Argument(str(one.metavar), (), _sentence(one.help), required=True, repeated=False)
            for one in taken
            if not one.option_strings
        ),
        examples=(f"{VERIFIER_NAME} answer.json --public-key ledger.pub",),
        below=(),
    )


def _option_of_verifier(one: argparse.Action) -> Option:
    choices = tuple(one.choices or ())
    return Option(
        names=tuple(one.option_strings),
        value="" if one.nargs == 0 else str(one.metavar or "|".join(choices) or one.dest.upper()),
        choices=choices,
        help=_sentence(one.help),
        default=one.default if choices else "",
        variable="",
        required=one.required,
        repeated=one.default == [],
        panel="",
    )


def _sentence(text: str | None) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _command(declared: Any, path: tuple[str, ...]) -> Command:
    with typer.Context(declared, resilient_parsing=True, **declared.context_settings) as context:
        parameters = declared.get_params(context)
        return Command(
            path=path,
            paragraphs=tuple(" ".join(part.split()) for part in declared.help.split("\n\n")),
            options=tuple(_option(one, context) for one in parameters if one.param_type_name == "option"),
            arguments=tuple(_argument(one) for one in parameters if one.param_type_name == "argument"),
            examples=_examples(declared.epilog or ""),
            below=tuple(
                _command(one, (*path, name)) for name, one in getattr(declared, "commands", {}).items()
            ),
        )


def _option(one: Any, context: Any) -> Option:
    choices = _choices(one)
    value = "" if one.is_flag else one.metavar or "|".join(choices) or one.bare_type().upper()
    return Option(
        names=tuple(sorted((*one.opts, *one.secondary_opts), key=_is_short)),  # those of help come from a set
        value=value,
        choices=choices,
        help=" ".join((one.help or "").split()),
        default=_default(one, context),
        variable=one.envvar or "",
        required=one.required,
        repeated=one.type_descriptor.is_list,
        panel=one.rich_help_panel or "",
    )


def _is_short(name: str) -> bool:
    return not name.startswith("--")


def _argument(one: Any) -> Argument:
    return Argument(
        value=one.metavar or one.name.upper(),
        choices=_choices(one),
        help=" ".join((one.help or "").split()),
        required=one.required,
        repeated=one.type_descriptor.is_list,
    )


def _choices(one: Any) -> tuple[str, ...]:
    return tuple(str(getattr(choice, "value", choice)) for choice in one.type_descriptor.choices or ())


def _default(one: Any, context: Any) -> str:
    found = one.get_default(context, call=False)
    if one.is_flag or callable(found) or found in (None, "", []):
        return one.opts[0] if one.is_flag and one.secondary_opts and found else ""
    return str(getattr(found, "value", found))


def _examples(epilog: str) -> tuple[str, ...]:
    return tuple(line.removeprefix(PROMPT) for line in epilog.splitlines() if line.startswith(PROMPT))
