"""The one way to declare a command: a plain function from its arguments to an :class:`Answer`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer

from airlift import progress
from airlift.cli.frame import output, parameters
from airlift.cli.frame.output import Page
from airlift.cli.frame.session import Format, Run, Verbosity
from airlift.cli.frame.words import PlainCommand

_PANEL = "Output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The options that every command has."""

    output_format: Annotated[
        Format,
        typer.Option("--format", help="A table for people, or JSON for scripts.", rich_help_panel=_PANEL),
    ] = Format.table
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.", rich_help_panel=_PANEL),
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more, and show digests.", rich_help_panel=_PANEL)
    ] = False
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="Show no progress.", rich_help_panel=_PANEL)
    ] = False
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color", help="No colours, as with NO_COLOR in the environment.", rich_help_panel=_PANEL
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did: the keys that scripts rely on, and how to show them to people.

    Without ``render`` every key is shown under its own name.
    """

    data: Mapping[str, Any]
    render: Callable[[Page], None] | None = None


Body = TypeVar("Body", bound=Callable[..., Answer])


def answer(result: Any, render: Callable[[Page], None] | None = None, **more: Any) -> Answer:
    """Return the answer for a verb's result: a frozen dataclass whose fields are the JSON keys, and ``more`` keys."""
    return Answer({**output.to_data(result), **more}, render)


def command(group: typer.Typer, name: str, *examples: str) -> Callable[[Body], Body]:
    """Declare the decorated function as a command of ``group``; its first parameter is the :class:`Run`.

    Each other parameter is an argument or an option, or a dataclass whose fields are options: those that travel
    together. Every command gets the :class:`Habits` (``--format`` ...), and its examples below its help.
    """

    def register(body: Body) -> Body:
        title = "example:" if len(examples) == 1 else "examples:"
        epilog = "\n".join([title, *(f"$ {example}" for example in examples)])
        group.command(name, cls=PlainCommand, epilog=epilog, no_args_is_help=False)(_typed(body))
        return body

    return register


def write(run: Run, result: Answer) -> None:
    """Write an answer to stdout in the format that was asked for."""
    if run.format is Format.json:
        run.out.write(output.envelope(run.command, result.data) + "\n")
        return
    page = Page(run.out, whole=run.verbosity is Verbosity.verbose)
    if result.render is not None:
        result.render(page)
    else:
        page.show(output.to_data(result.data))


def _typed(body: Callable[..., Answer]) -> Callable[..., Answer]:
    """Return what typer calls: it takes each option by itself, and hands the body what its parameters ask for."""
    asked = parameters.parameters(body)
    habits = [parameters.keyword("habits", Habits)]
    taken = [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *parameters.options(asked),
        *parameters.options(habits),
    ]

    def call(context: typer.Context, **values: Any) -> Answer:
        run: Run = context.obj
        run.command = context.command_path.partition(" ")[2]
        _configure(run, **parameters.filled(habits, values))
        with progress.listening(run.progress):
            return body(run, **parameters.filled(asked, values))

    call.__doc__ = body.__doc__
    call.__name__ = body.__name__
    call.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in taken}
    return call


def _configure(run: Run, habits: Habits) -> None:
    run.format = habits.output_format
    run.show_progress = not habits.no_progress
    if habits.verbose:
        run.verbosity = Verbosity.verbose
    elif habits.quiet:
        run.verbosity = Verbosity.quiet
