"""What may stand at each place of a command line, as the scripts of all shells know it."""

from collections.abc import Iterator
from dataclasses import dataclass

from airlift.cli.manual.tree import Argument, Command, Option

FOLDERS = {"DIR", "FOLDER", "VOLUME", "VOLUME...", "DROP"}
FILES = {"FILE", "KEY", "K", "PUB", "OLD", "MANIFEST", "PATH"}
RELEASES = {"RELEASE", "SUBJECT"}
LITERAL = {"LAYOUT": ("tree", "hf-cache", "hf-mirror", "ollama", "oci", "oci-image")}
"""What a verb judges by itself when it runs, named here so that nothing is loaded for it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a place takes: ``words`` as they stand, and files, folders, or names that airlift is asked for."""

    source: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as one line that the scripts read: the source, then the words."""
        return " ".join([self.source or "words", *self.words])


def of_option(command: Command, option: Option) -> Kind:
    """Return what an option is given."""
    return _kind(command, option.value, option.choices)


def of_argument(command: Command, argument: Argument) -> Kind:
    """Return what an argument is."""
    return _kind(command, argument.value, argument.choices)


def options(command: Command) -> Iterator[tuple[str, str]]:
    """Yield the name and the help of each option."""
    for option in command.options:
        for name in option.names:
            yield name, option.help


def _kind(command: Command, value: str, choices: tuple[str, ...]) -> Kind:
    if choices or value in LITERAL:
        return Kind(words=choices or LITERAL[value])
    parts = value.split("|")
    literal = tuple(part for part in parts if part.islower())
    return Kind(next((found for part in parts if (found := _source(command, part))), ""), literal)


def _source(command: Command, value: str) -> str:
    if value in RELEASES:
        return "depot-releases" if command.path[1] == "low" else "enclave-releases"
    if value == "ENCLAVE":
        return "enclaves"
    if value in FOLDERS:
        return "folders"
    return "files" if value in FILES or value.startswith("FILE") or "." in value else ""
