"""Gather: take in the files of what was trained inside, as the low side takes in a release's (SPEC 8.6-7, L2)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import patterns
from airlift.bundle.component import source
from airlift.bundle.component.component import Component
from airlift.bundle.component.data_set import DataSet
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking
from airlift.errors import AirliftError
from airlift.high.enclave.enclave import Enclave
from airlift.high.registering.join import Claim, Made
from airlift.intake.collect import Survey, Take, Taking, collect, led_outside, survey
from airlift.intake.waivers import accepted_in, find_waivers
from airlift.progress import Progress, Tally


@dataclass(slots=True)
class Gathered:
    """What was gathered: components without their parents, and what people should look at.

    ``new`` are the contents that were not held before: sizes (bytes) by SHA-512. ``skipped`` names what was passed
    over, ``left_out`` what patterns leave out, ``unrecognised`` what the gate neither objects to nor knows.
    """

    made: tuple[Made, ...] = ()
    new: dict[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unrecognised: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def outline(enclave: Enclave, items: Sequence[Mapping[str, Any]]) -> tuple[Made, ...]:
    """Return authored components without their files: what may not be is refused before any file is read."""
    return tuple(_made(enclave, item, (), ()) for item in items)


@contextmanager
def gathering(
    enclave: Enclave,
    items: Sequence[Mapping[str, Any]],
    folder: Path,
    progress: Progress,
    *,
    sizes: frozenset[int],
    keep: bool,
) -> Iterator[Gathered]:
    """Give what authored components consist of; paths lead from ``folder``, ``sizes`` are those of held content.

    If the body fails, what came into content is removed again. Unless ``keep``, nothing comes in.

    Raises:
        ForbiddenFileError: a file that may not come in, or the gate objects to one and that is not waived.
        UncheckedError: a file cannot be read, or changes meanwhile.
        StorageError: no space, I/O error.
    """
    gathered = Gathered()
    try:
        with files.naming() as names:
            take = Taking(enclave.content, gathered.new, sizes, names if keep else None)
            _gather(enclave, items, folder, progress, gathered=gathered, take=take)
        yield gathered
    except BaseException:
        if keep:
            _forget(enclave, gathered.new)
        raise


def _forget(enclave: Enclave, new: Iterable[str]) -> None:
    """Remove content that came in for nothing: none that an installed release names, if that can be told."""
    with suppress(AirliftError):
        installed = enclave.state().installed
        named = {digest for release in installed for digest in enclave.load_release(release).contents()}
        enclave.content.remove(sha512 for sha512 in new if sha512 not in named)


def _gather(
    enclave: Enclave,
    items: Sequence[Mapping[str, Any]],
    folder: Path,
    progress: Progress,
    *,
    gathered: Gathered,
    take: Take,
) -> None:
    found = [_survey(item, folder) for item in items]
    tally = Tally("gathering", sum(sum(one.sizes.values()) for one in found), progress)
    made = []
    for item, one in zip(items, found, strict=True):
        collected = collect(item["name"], item["kind"], one, take, tally.add, accepted=accepted_in(item))
        gathered.unrecognised += tuple(f"{item['name']}/{path}" for path in collected.unrecognised)
        gathered.skipped += tuple(f"{item['name']}/{path}" for path in one.skipped)
        gathered.left_out += tuple(f"{item['name']}/{path}" for path in one.left_out)
        gathered.warnings += led_outside(item["name"], folder / item["source"]["path"], one)
        gathered.warnings += tuple(f"{item['name']}: {text}" for text in collected.told)
        made.append(_made(enclave, item, collected.entries, find_waivers(item, collected.met)))
    gathered.made = tuple(made)


def _made(
    enclave: Enclave, item: Mapping[str, Any], entries: tuple[FileEntry, ...], waivers: tuple[Waiver, ...]
) -> Made:
    component = Component(
        name=item["name"],
        kind=item["kind"],
        version=item["version"],
        license=item.get("license", ""),
        source={"kind": source.REGISTERED, "enclave": enclave.name},
        files=entries,
        accept=waivers,
        data=_data(item),
    )
    return Made(
        component, _claims(item), Marking.from_authored(item["marking"]) if "marking" in item else None
    )


def _survey(item: Mapping[str, Any], folder: Path) -> Survey:
    return survey(item["name"], folder / item["source"]["path"], patterns.of_source(item["source"]))


def _data(item: Mapping[str, Any]) -> tuple[DataSet, ...]:
    found = (
        DataSet(one["name"], one["version"], Marking.from_authored(one["marking"]), one.get("sha512", ""))
        for one in item.get("data", ())
    )
    return tuple(sorted(found, key=lambda one: (one.name, one.version)))


def _claims(item: Mapping[str, Any]) -> tuple[Claim, ...]:
    return tuple(
        Claim(one["relation"], one["component"], one.get("version")) for one in item.get("parents", ())
    )
