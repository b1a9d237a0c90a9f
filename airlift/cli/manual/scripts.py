"""The scripts: what is known of the commands, as each shell writes it, beside a part that knows none of them.

A script walks over the words before the cursor: which command they name, how many arguments there were, and which
option waits for its value. Then it offers what :mod:`airlift.cli.manual.words` says of that place.
"""

from collections.abc import Callable, Iterator
from importlib import resources

from airlift.cli.manual import words
from airlift.cli.manual.tree import Command

TABLE = "# what is known of the commands"
"""The line of an engine below which the table goes."""

TAB, TAB_IN_FISH = "\t", "'\\t'"
"""What fish has between a word and its meaning."""


def script(shell: str, commands: Command) -> str:
    """Return the script for ``bash``, ``zsh`` or ``fish``."""
    engine = resources.files(__package__).joinpath(f"engine.{shell}").read_text(encoding="ascii")
    every = list(commands.all())
    table = _fish(every) if shell == "fish" else _posix(every, described=shell == "zsh")
    return engine.replace(TABLE, "\n".join([TABLE, *table]))


def _posix(commands: list[Command], *, described: bool) -> Iterator[str]:
    """Yield two functions of bash and zsh; in zsh, names have what they mean after a colon."""

    def shown(name: str, text: str) -> str:
        return quote(f"{name}:{text}" if described else name)

    yield from ("_airlift_is() {", "  case $1 in")
    yield f"  {'|'.join(quote(' '.join(command.path)) for command in commands)}) return 0 ;;"
    yield from (
        "  esac",
        "  return 1",
        "}",
        "",
        "_airlift_at() {",
        "  below=() flags=() value= place=",
        "  case $1 in",
    )
    for command in commands:
        yield f"  {quote(' '.join(command.path))})"
        below = " ".join(shown(one.path[-1], one.summary) for one in command.below)
        flags = " ".join(shown(name, text) for name, text in words.options(command))
        yield from (f"    below=({below})", f"    flags=({flags})")
        yield from (
            "    case $2 in",
            *(f"    {'|'.join(names)}) value={quote(kind)} ;;" for names, kind in _values(command)),
        )
        yield from ("    esac", "    case $3 in")
        yield from (f"    {place}) place={quote(kind)} ;;" for place, kind in _places(command))
        yield from ("    esac", "    ;;")
    yield from ("  esac", "}")


def _fish(commands: list[Command]) -> Iterator[str]:
    """Yield one function of fish for each question."""
    paths = " ".join(quote_fish(" ".join(command.path)) for command in commands)
    yield from ("function __airlift_is", f"    contains -- $argv[1] {paths}", "end")
    asked: dict[str, Callable[[Command], list[str]]] = {
        "below": lambda one: [f"{below.path[-1]}\t{below.summary}" for below in one.below],
        "flags": lambda one: [f"{name}\t{text}" for name, text in words.options(one)],
    }
    for question, answers in asked.items():
        yield from (f"function __airlift_{question}", "    switch $argv[1]")
        for command in commands:
            if found := answers(command):
                yield f"    case {quote_fish(' '.join(command.path))}"
                yield from (f"        echo {quote_fish(line).replace(TAB, TAB_IN_FISH)}" for line in found)
        yield from ("    end", "end")
    yield from _fish_kinds(commands)


def _fish_kinds(commands: list[Command]) -> Iterator[str]:
    tables: dict[str, Callable[[Command], list[tuple[str, str]]]] = {
        "value": lambda one: [(" ".join(names), kind) for names, kind in _values(one)],
        "place": lambda one: [(quote_fish(place), kind) for place, kind in _places(one)],
    }
    for question, answers in tables.items():
        yield from (f"function __airlift_{question}", "    switch $argv[1]")
        for command in commands:
            if found := answers(command):
                yield from (f"    case {quote_fish(' '.join(command.path))}", "        switch $argv[2]")
                for label, kind in found:
                    yield f"            case {label}; echo {quote_fish(kind)}"
                yield "        end"
        yield from ("    end", "end")


def _values(command: Command) -> Iterator[tuple[tuple[str, ...], str]]:
    for option in command.options:
        if option.value:
            yield option.names, str(words.of_option(command, option))


def _places(command: Command) -> Iterator[tuple[str, str]]:
    """Yield the place of each argument, counted from 0, or ``*`` for all that follow, and what it takes."""
    for number, argument in enumerate(command.arguments):
        yield "*" if argument.repeated else str(number), str(words.of_argument(command, argument))


def quote(text: str) -> str:
    """Return a word of bash and zsh that means itself."""
    return "'" + text.replace("'", "'\\''") + "'"


def quote_fish(text: str) -> str:
    """Return a word of fish that means itself."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
