"""Adapters with tokenizers of their own: they must give tokens the ids that their parents' give (SPEC L2.14)."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from airlift import files
from airlift.bundle.component.component import Component
from airlift.intake.examine import adapted
from airlift.intake.gate.drift import tokens
from airlift.intake.gate.drift.compare import compare_tokenizers
from airlift.intake.gate.stated import Tokenizer
from airlift.intake.gate.verdict import Objection
from airlift.intake.gate.views import view_file
from airlift.low.depot.depot import Depot

Gathered = Mapping[str, Mapping[str, Tokenizer]]
"""The tokenizers of components that were just gathered, by the component's digest and by path."""


def object_to_tokenizers(depot: Depot, component: Component, gathered: Gathered) -> Iterator[Objection]:
    """Yield what is to be said of the tokenizers of a component that was gathered, whose parents were found.

    A parent that neither this release nor the depot holds is not looked at.

    Raises:
        UncheckedError: a tokenizer in the depot cannot be read.
    """
    own = gathered[component.digest]
    if not own:
        return
    for parent in component.parents:
        if parent.digest not in adapted(component):
            continue
        others = gathered.get(parent.digest)
        known = dict(others) if others is not None else _held(depot, parent.digest)
        for relative, tokenizer in own.items():
            label = f"{parent.name} {parent.version}"
            objection = compare_tokenizers(relative, tokenizer, label, known.values())
            if objection is not None:
                yield objection


def _held(depot: Depot, digest: str) -> dict[str, Tokenizer]:
    """Return the tokenizers of a component (digest) of the depot's releases, by path, as far as they are held."""
    for reference in reversed(depot.releases()):
        for component in depot.load_release(reference.digest).components:
            if component.digest == digest:
                return dict(_read(depot, component))
    return {}


def _read(depot: Depot, component: Component) -> Iterator[tuple[str, Tokenizer]]:
    for entry in component.files:
        named = PurePosixPath(entry.path).name.lower() == tokens.TOKENIZER
        if named and depot.content.holds(entry.sha512, entry.size):
            with files.opened(depot.content.path(entry.sha512)) as descriptor:
                found = tokens.read_tokenizer(view_file(descriptor, entry.path))
            if isinstance(found, Tokenizer):
                yield entry.path, found
