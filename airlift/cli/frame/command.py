"""The one way to declare a command: a plain function from its arguments to an :class:`Answer`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer

from airlift.cli.frame import output
from airlift.cli.frame.output import Page
from airlift.cli.frame.session import Format, Run, Verbosity

_PANEL = "Output"
_Format = Annotated[
    Format, typer.Option("--format", help="A table for people, or JSON for scripts.", rich_help_panel=_PANEL)
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.", rich_help_panel=_PANEL)
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_PANEL)]
_NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress.", rich_help_panel=_PANEL)]

_COMMON: tuple[tuple[str, Any, Any], ...] = (
    ("output_format", _Format, Format.table),
    ("quiet", _Quiet, False),
    ("verbose", _Verbose, False),
    ("no_progress", _NoProgress, False),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did: the keys that scripts rely on, and how to show them to people.

    Without ``render`` every key is shown under its own name.
    """

    data: Mapping[str, Any]
    render: Callable[[Page], None] | None = None


Body = TypeVar("Body", bound=Callable[..., Answer])


def answer(result: Any, render: Callable[[Page], None] | None = None) -> Answer:
    """Return the answer for a verb's result: a frozen dataclass whose fields are the JSON keys."""
    return Answer(output.to_data(result), render)


def command(group: typer.Typer, name: str, *examples: str) -> Callable[[Body], Body]:
    """Declare the decorated function as a command of ``group``; its first parameter is the :class:`Run`.

    Every command gets the options of the habits (``--format`` ...), and its examples below its help.
    """

    def register(body: Body) -> Body:
        title = "example:" if len(examples) == 1 else "examples:"
        epilog = "\n".join([title, *(f"$ {example}" for example in examples)])
        group.command(name, epilog=epilog, no_args_is_help=False)(_typed(body))
        return body

    return register


def write(run: Run, result: Answer) -> None:
    """Write an answer to stdout in the format that was asked for."""
    if run.format is Format.json:
        run.out.write(output.envelope(run.command, result.data) + "\n")
        return
    page = Page(run.out)
    if result.render is not None:
        result.render(page)
    else:
        page.show(output.to_data(result.data))


def _typed(body: Callable[..., Answer]) -> Callable[..., Answer]:
    """Return what typer calls: the body's parameters without the Run, and the common options."""
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    parameters = [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *own,
        *(
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, kind, default in _COMMON
        ),
    ]

    def call(context: typer.Context, **values: Any) -> Answer:
        run: Run = context.obj
        run.command = context.command_path.partition(" ")[2]
        _configure(run, *(values.pop(key) for key, _kind, _default in _COMMON))
        return body(run, **values)

    call.__doc__ = body.__doc__
    call.__name__ = body.__name__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _configure(run: Run, output_format: Format, quiet: bool, verbose: bool, no_progress: bool) -> None:
    run.format = output_format
    run.show_progress = not no_progress
    if verbose:
        run.verbosity = Verbosity.verbose
    elif quiet:
        run.verbosity = Verbosity.quiet
