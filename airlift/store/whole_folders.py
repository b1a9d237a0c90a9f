"""Folders that appear whole: built beside their place under a temporary name, and renamed there."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, Self, overload

from airlift import files
from airlift.errors import ExistsError

LOCK = "lock"
"""The file that a command which changes a depot or an enclave holds."""


class _HasFolder(Protocol):
    @property
    def folder(self) -> Path: ...


class Place:
    """A path below the folder of a depot or an enclave: ``trust = Place("trust")`` is ``self.folder / "trust"``."""

    __slots__ = ("_names",)

    def __init__(self, *names: str) -> None:
        self._names = names

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: _HasFolder, kind: type) -> Path: ...

    def __get__(self, owner: _HasFolder | None, kind: type) -> Self | Path:
        """Return the path below the owner's folder."""
        return self if owner is None else owner.folder.joinpath(*self._names)


def check_free(folder: Path, hint: str) -> None:
    """Check that a folder can be made at ``folder``; ``hint`` says what to do if not.

    Raises:
        ExistsError: there is something else than an empty folder.
    """
    with files.reading(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ExistsError(f"{folder} is not empty", hint=hint)


@contextmanager
def building(place: Path, *, locked: bool = False) -> Iterator[Path]:
    """Give an empty folder beside ``place``, which is renamed there, durably, when the body is done.

    If anything fails, nothing is left behind. With ``locked`` the folder's lock is held until it stands in its place,
    so that no other command takes it up before. What an interrupted run left beside the place is removed first.

    Raises:
        StorageError: it cannot be written, or something stands at ``place``.
    """
    files.make_folder(place.parent)
    temporary = place.with_name(f".tmp-{place.name}")
    files.remove(temporary)
    try:
        files.make_folder(temporary)
        with files.lock(temporary / LOCK) if locked else nullcontext():
            yield temporary
            files.rename_durable(temporary, place)
    except BaseException:
        files.remove(temporary)
        raise
