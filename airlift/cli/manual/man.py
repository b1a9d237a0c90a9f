"""One page of section 1 for each command and group, with what a reader of man pages looks for."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from airlift.cli.frame.app import ALONE
from airlift.cli.frame.options import DEPOT, ENCLAVE
from airlift.cli.manual.tree import NAME, VERIFIER_NAME, Argument, Command, Option
from airlift.cli.manual.troff import bold, escape, filled, italic, prose, request, verbatim

SECTION = "1"

CODES = {
    0: "Done, or already so.",
    1: "An unexpected failure: a bug.",
    2: "Usage.",
    3: "Proven bad: a signature, a digest, truncated or malformed data, a sequence number used twice.",
    4: "Incomplete: volumes or chunks are missing.",
    5: "Wrong baseline, or a release that is not held.",
    6: "Refused by policy.",
    7: "Could not check: an unreadable medium, a missing key, no permission, a format that is too new.",
    8: "Storage: no space, or an error of the device.",
    130: "Interrupted by the user; nothing half-done is in effect.",
    141: "The reader of the answer has left.",
}
"""SPEC 10 and 14-7."""

OF_VERIFIER = (0, 2, 3, 7)

EVERYWHERE = {
    "NO_COLOR": "If it is not empty, nothing is coloured.",
    "AIRLIFT_DEBUG": "With 1, an error shows where in the program it arose.",
}
VARIABLES = {
    "AIRLIFT_DEPOT": f"The depot, where `--depot` is not given; otherwise ./{DEPOT}.",
    "AIRLIFT_ENCLAVE": f"The enclave, where `--enclave` is not given; otherwise ./{ENCLAVE}.",
    "AIRLIFT_KERNEL": "Which kernel codes and digests; the fastest that runs here unless given. All give one result.",
    "AIRLIFT_MEDIUM_SECONDS": "How long a medium may give nothing before it counts as unreadable; otherwise 120.",
    "AIRLIFT_PKCS11_MODULE": "The module of a token, for keys that are pkcs11: URIs and do not name one.",
    "HF_ENDPOINT": "The hub that sources of kind hub are fetched from.",
    "HF_TOKEN": "The token for that hub; it goes nowhere else.",
    **EVERYWHERE,
}
"""What the page of airlift itself lists; that of a command has what its own options name, and EVERYWHERE."""

FILES = {
    "AIRLIFT_DEPOT": (f"./{DEPOT}", "The depot: trust metadata, content, releases, history."),
    "AIRLIFT_ENCLAVE": (
        f"./{ENCLAVE}",
        "The enclave: trust state, content, releases, the ledger. What is active is served from active/COMPONENT.",
    ),
}


def name(path: tuple[str, ...]) -> str:
    """Return the name of the page of a command: ``airlift-high-import``."""
    return "-".join(path)


def page(command: Command, version: str, at: datetime) -> str:
    """Return the page of a command as source of man(7); ``at`` is the date that it bears."""
    title = name(command.path)
    date = at.astimezone(UTC).date().isoformat()
    lines = [
        request("TH", title.upper(), SECTION, date, f"{NAME} {version}", f"{NAME} manual"),
        *_section("NAME", [filled(f"{escape(title)} \\- {escape(command.summary.replace('`', ''))}")]),
        *_section("SYNOPSIS", _synopsis(command)),
        *_section("DESCRIPTION", _paragraphs(_description(command))),
        *_section("COMMANDS", _below(command)),
        *_section("ARGUMENTS", _arguments(command.arguments)),
        *_section("OPTIONS", _options(command.options)),
        *_section("EXIT STATUS", _tagged((bold(str(code)), text) for code, text in codes(command).items())),
        *_section("EXAMPLES", verbatim([f"$ {example}" for example in command.examples])),
        *_section("FILES", _files(command)),
        *_section("ENVIRONMENT", _tagged((bold(key), text) for key, text in variables(command).items())),
        *_section("SEE ALSO", _see_also(command)),
    ]
    return "\n".join([*lines, ""])


def codes(command: Command) -> dict[int, str]:
    """Return the exit codes of a program, and what they mean."""
    return CODES if command.path[0] == NAME else {code: CODES[code] for code in OF_VERIFIER}


def variables(command: Command) -> dict[str, str]:
    """Return what of the environment a command heeds."""
    if command.path == (NAME,):
        return VARIABLES
    if command.path[0] != NAME:
        return {}
    own = [option.variable for option in command.options] + " ".join(command.paragraphs).split()
    named = {word.strip("().,") for word in own} | set(EVERYWHERE)
    return {key: text for key, text in VARIABLES.items() if key in named}


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [request("SH", title), *found] if found else []


def _synopsis(command: Command) -> Iterator[str]:
    typed = bold(" ".join(command.path))
    if command.below:
        yield filled(f"{typed} {italic('COMMAND')} [{italic('ARGUMENT')} ...]")
        if command.path == (NAME,):
            yield from (".br", typed, ".br", f"{typed} {bold('--version')}")
        return
    required = [f"{bold(one.names[0])} {italic(one.value)}" for one in command.options if one.required]
    yield filled(" ".join([typed, *required, f"[{italic('OPTION')} ...]", *map(_place, command.arguments)]))


def _place(argument: Argument) -> str:
    shown = italic(argument.value) + (" ..." if argument.repeated else "")
    return shown if argument.required else f"[{shown}]"


def _description(command: Command) -> tuple[str, ...]:
    alone = f"Without a command it does what `{NAME} {ALONE}` does: it tells where you stand, and what comes next."
    return (*command.paragraphs, alone) if command.path == (NAME,) else command.paragraphs


def _paragraphs(paragraphs: Iterable[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield prose(paragraph)


def _below(command: Command) -> Iterator[str]:
    for one in command.below:
        yield from (".TP", f"\\fB{escape(name(one.path))}\\fR({SECTION})", prose(one.paragraphs[0]))


def _arguments(arguments: Iterable[Argument]) -> Iterator[str]:
    for one in arguments:
        yield from (".TP", _place(one), prose(one.help or "As the examples show."))


def _options(options: tuple[Option, ...]) -> Iterator[str]:
    """Yield a command's own options, and below a line of their own those that all commands have."""
    for panel in dict.fromkeys(option.panel for option in options):
        if panel:
            yield request("SS", panel)
        for option in options:
            if option.panel == panel:
                yield from (".TP", _named(option), prose(_told(option)))


def _named(option: Option) -> str:
    names = ", ".join(bold(one) for one in option.names)
    return f"{names} {italic(option.value)}" if option.value else names


def _told(option: Option) -> str:
    notes = [
        "Required." if option.required else "",
        "May be repeated." if option.repeated and "epeated" not in option.help else "",
        f"Default: {option.default}." if option.default else "",
        f"In the environment: `{option.variable}`." if option.variable else "",
    ]
    return " ".join([option.help, *(note for note in notes if note)])


def _tagged(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for tag, text in pairs:
        yield from (".TP", tag, prose(text))


def _files(command: Command) -> Iterator[str]:
    heeded = variables(command)
    yield from _tagged((italic(path), text) for key, (path, text) in FILES.items() if key in heeded)


def _see_also(command: Command) -> Iterator[str]:
    above = [command.path[:length] for length in range(1, len(command.path))]
    beside = {NAME: VERIFIER_NAME, VERIFIER_NAME: NAME}.get(name(command.path))
    pages = [*above, *(one.path for one in command.below), *([(beside,)] if beside else [])]
    yield filled(", ".join(f"{bold(name(path))}({SECTION})" for path in pages))
