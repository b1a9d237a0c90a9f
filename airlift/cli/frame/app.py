"""The tree of commands: the root, and one group per room."""

import importlib
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from airlift import __version__
from airlift.cli.frame.words import PlainGroup

_HELP = (
    "Air-gapped distribution of AI models: signed, diff-based bundles and provable provenance.\n\n"
    "The low side makes bundles, the high side checks and applies them, and provenance answers afterwards what ran, "
    "where it came from and who allowed it.\n\n"
    "exit codes: 0 done or already so, 1 a bug, 2 usage, 3 proven bad, 4 incomplete, 5 wrong baseline, "
    "6 refused by policy, 7 could not check, 8 storage"
)


def _group(help_text: str, example: str) -> typer.Typer:
    return typer.Typer(cls=PlainGroup, help=help_text, epilog=f"example:\n$ {example}", no_args_is_help=True)


root = typer.Typer(
    name="airlift",
    cls=PlainGroup,
    help=_HELP,
    epilog="example:\n$ airlift high import /media/disc --activate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,  # `airlift completion` writes scripts that need no Python for most words
    context_settings={"help_option_names": ["--help", "-h"]},
)
keys = _group("Make and look at keys.", "airlift keys generate release-alice --out keys")
low = _group(
    "The connected side: make and send.", "airlift low release release.yaml --key keys/release-alice.key"
)
high = _group(
    "The isolated side: check and apply.", "airlift high import /media/disc1 /media/disc2 --activate"
)
returns = _group("What comes back from enclaves.", "airlift low returns import receipt.json")
policy = _group("What the enclave's owners decided.", "airlift high policy show")
depot_policy = _group("What a release must carry before it is bundled.", "airlift low policy show")
provenance = _group(
    "Ask what ran, where it came from and who allowed it.", "airlift provenance at 2026-03-03T12:00:00Z"
)

root.add_typer(keys, name="keys")
root.add_typer(low, name="low")
root.add_typer(high, name="high")
root.add_typer(provenance, name="provenance")
low.add_typer(returns, name="returns")
low.add_typer(depot_policy, name="policy")
high.add_typer(policy, name="policy")


ALONE = "status"
"""What `airlift` does without a command."""

OF_STATUS = {
    "--format",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "--no-progress",
    "--no-color",
    "--depot",
    "--enclave",
}
"""Its options, which may stand alone, too."""


def _low() -> None:
    importlib.import_module("airlift.cli.low.setup")
    importlib.import_module("airlift.cli.low.releases")
    importlib.import_module("airlift.cli.low.fetch")
    importlib.import_module("airlift.cli.low.revoke")
    importlib.import_module("airlift.cli.low.attest")
    importlib.import_module("airlift.cli.low.policy")
    importlib.import_module("airlift.cli.low.bundles")
    importlib.import_module("airlift.cli.low.recut")
    importlib.import_module("airlift.cli.low.emergency")
    importlib.import_module("airlift.cli.low.overview")
    importlib.import_module("airlift.cli.low.returns")


def _high() -> None:
    importlib.import_module("airlift.cli.high.setup")
    importlib.import_module("airlift.cli.high.import_")
    importlib.import_module("airlift.cli.high.releases")
    importlib.import_module("airlift.cli.high.attest")
    importlib.import_module("airlift.cli.high.floor")
    importlib.import_module("airlift.cli.high.returns")
    importlib.import_module("airlift.cli.high.relay")
    importlib.import_module("airlift.cli.high.watch")
    importlib.import_module("airlift.cli.high.register")
    importlib.import_module("airlift.cli.high.export")


def _provenance() -> None:
    importlib.import_module("airlift.cli.provenance.ask")
    importlib.import_module("airlift.cli.provenance.record")
    importlib.import_module("airlift.cli.provenance.changes")


GROUPS: dict[str, Callable[[], object]] = {
    "doctor": lambda: importlib.import_module("airlift.cli.doctor.doctor"),
    "completion": lambda: importlib.import_module("airlift.cli.manual.completion"),
    "keys": lambda: importlib.import_module("airlift.cli.keys"),
    "status": lambda: importlib.import_module("airlift.cli.standing.status"),
    "low": _low,
    "high": _high,
    "provenance": _provenance,
}
"""How the commands of each group are declared: by importing the modules that hold them."""


def completed(arguments: Sequence[str]) -> list[str]:
    """Return the words of a command line, with the command that is meant where there are only options of it."""
    first = arguments[0] if arguments else ""
    option = first.startswith("-") and first.partition("=")[0] in OF_STATUS
    return [*([ALONE] if not first or option else []), *arguments]


def declare(word: str | None = None) -> None:
    """Declare the commands of the group that the first word of a command line names; all commands without a word.

    So a command of one side never loads the other side, and starts faster.
    """
    for group in _wanted(word):
        GROUPS[group]()


def _wanted(word: str | None) -> list[str]:
    if word is None:
        return list(GROUPS)
    return [word] if word in GROUPS else ["doctor", "completion", ALONE]


def _version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.obj.out.write(f"airlift {__version__}\n")
        raise typer.Exit


@root.callback()
def _root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass
