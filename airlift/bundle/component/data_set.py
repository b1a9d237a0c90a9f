"""The data that a component was made with, as whoever made it names it (SPEC 5.1-16)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import COMPONENT_NAME, VERSION, Marking
from airlift.errors import MalformedError

MAX_SETS = 256


@dataclass(frozen=True, slots=True)
class DataSet:
    """One set of data: ``sha512`` (hex) is a digest that was chosen to be stated, "" if none was."""

    name: str
    version: str
    marking: Marking
    sha512: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.marking})"

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {
            "name": self.name,
            "version": self.version,
            "sha512": self.sha512 or None,
            "marking": self.marking.to_json(),
        }


def from_json(document: Any) -> tuple[DataSet, ...]:
    """Parse the sets of data of a component.

    Raises:
        MalformedError: none or too many, a wrong value, or they are not sorted and distinct.
    """
    what = "release manifest: data"
    if type(document) is not list or not 1 <= len(document) <= MAX_SETS:
        raise MalformedError(f"{what} must be a list", expected=f"1 to {MAX_SETS} sets of data")
    found = tuple(_set(item, what) for item in document)
    named = [(item.name, item.version) for item in found]
    if named != sorted(set(named)):
        raise MalformedError(f"{what}: sets must be sorted by name and version, and distinct")
    return found


def _set(document: Any, what: str) -> DataSet:
    strict.only(document, frozenset({"name", "version", "sha512", "marking"}), what)
    return DataSet(
        name=fields.name(document, "name", what, COMPONENT_NAME),
        version=fields.name(document, "version", what, VERSION),
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        sha512="" if document.get("sha512", "") is None else fields.digest(document, "sha512", what),
    )
