"""Look into bytes, and into what is packed in them, and in that: pickles and code wherever they lie (SPEC L2.5)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath

from airlift.intake.gate import code, containers, keras, messagepack, numpy_objects, pickles, skops
from airlift.intake.gate.views import WINDOW, Budget, Unpacked, View
from airlift.intake.gate.wrappings import streams, tars, zips
from airlift.intake.gate.wrappings.zips import Member

MAX_DEPTH = 6
_GUESSED = frozenset({"bzip2", "lzma", "zlib"})
"""Streams whose first bytes may as well be something else."""
_NAMING = {"config.json": keras.code_in_configuration, "schema.json": skops.code_in_schema}
"""Members of Keras and skops archives that say what code is looked up."""
_SEALED = {
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"Rar!\x1a\x07": "RAR archive",
    b"\x1f\x9d": "compressed with compress",
    b"LZIP": "compressed with lzip",
    b"\x89LZO\0\r\n\x1a\n": "compressed with lzop",
    b"\xff\x06\0\0sNaPpY": "compressed with Snappy",
}


@dataclass(slots=True)
class Finding:
    """What was found: a pickle, code that loading runs, a program; and as what the whole was recognised.

    The first three say what it is, "" for none; ``remark`` why the file was not recognised, where more is known.
    """

    pickle: str = ""
    code: str = ""
    program: str = ""
    recognised: str = ""
    remark: str = ""

    def add(self, inner: "Finding", where: str) -> None:
        """Take over what was found in something inside, which is called ``where``."""
        for name in ("pickle", "code", "program"):
            found = getattr(inner, name)
            if found and not getattr(self, name):
                setattr(self, name, f"{found} in {where}")


@dataclass(slots=True)
class _Looking:
    """How deep a look goes, and what it may cost."""

    budget: Budget = field(default_factory=Budget)
    depth: int = 0


def inspect(view: View, name: str, budget: Budget | None = None) -> Finding:
    """Look into a file called ``name``.

    Raises:
        UncheckedError: it cannot be read.
    """
    return _inspect(view, name, _Looking(budget or Budget()))


def _inspect(view: View, name: str, looking: _Looking) -> Finding:
    if looking.depth > MAX_DEPTH:
        return Finding(pickle=f"something packed more than {MAX_DEPTH} times over that may be a pickle")
    head, found = view.read(0, WINDOW), Finding()
    if not head.startswith(zips.LOCAL) and pickles.is_pickle(view):
        found.pickle = "a pickle"
    is_archive = _archive(view, head, found, looking)
    if not is_archive or not _starts_archive(view, head):
        _add_front(found, _front(view, head, name, looking), is_archive=is_archive)
    found.program = found.program or code.program(view, head)
    if not found.program and code.source(name, head):
        found.program = "Python source"
    return found


def _starts_archive(view: View, head: bytes) -> bool:
    return head.startswith(zips.LOCAL) or tars.is_tar(head) or zips.is_empty_archive(view, head)


def _front(view: View, head: bytes, name: str, looking: _Looking) -> Finding:
    """Look at a file as what it is by its first bytes, whatever archive it ends in."""
    front = Finding()
    if not _arrays(view, head, front) and not _stream(view, head, name, front, looking):
        _single(view, head, front)
    return front


def _add_front(found: Finding, front: Finding, *, is_archive: bool) -> None:
    """Take over what was found at the front; a file that is two things is known if both are."""
    found.pickle = found.pickle or front.pickle
    found.code = found.code or front.code
    found.program = found.program or front.program
    if not is_archive or (found.recognised and front.recognised):
        found.recognised, found.remark = front.recognised, front.remark
    elif found.recognised:
        found.recognised, found.remark = "", "what stands before a zip archive is not known"


def _arrays(view: View, head: bytes, found: Finding) -> bool:
    stated = numpy_objects.header(view, head)
    if stated is None:
        return False
    if numpy_objects.holds_objects(stated):
        found.pickle = "a pickled array of objects"
    found.recognised = "NumPy array"
    return True


def _archive(view: View, head: bytes, found: Finding, looking: _Looking) -> bool:
    """Look at every member of an archive; False if it is none."""
    members, kind, unknown = _members(view, head, looking.budget)
    if not kind:
        return False
    deeper = _Looking(looking.budget, looking.depth + 1)
    for member in members:
        name = ascii(member.name[-80:])
        if member.view is None:
            unknown = unknown or f"{name} in it cannot be looked into"
            continue
        inner = _inspect_packed(member.view, member.name, deeper)
        if member.name in _NAMING:
            inner.code = inner.code or _NAMING[member.name](member.view)
        found.add(inner, name)
        if not inner.recognised:
            unknown = unknown or f"{name} in it is not known"
    if looking.budget.spent:
        unknown = "there is more in it than is looked into"
    found.recognised, found.remark = ("", f"{kind}: {unknown}") if unknown else (kind, "")
    return True


def _inspect_packed(view: View, name: str, looking: _Looking) -> Finding:
    """Look into what may have to be unpacked; what breaks off is not known, for want of memory it may be anything."""
    found = _inspect(view, name, looking)
    if isinstance(view, Unpacked) and view.damaged:
        found.recognised = ""
        if view.starved and not found.pickle:
            found.pickle = "a stream that takes too much memory to unpack, and may be a pickle"
    return found


def _members(view: View, head: bytes, budget: Budget) -> tuple[Iterator[Member], str, str]:
    """Return the members of an archive, what it is ("" for none), and why it cannot be known whole.

    A tar archive may end in a member that is a zip archive: both are looked at, and the name is that of the first.
    """
    directories = zips.directories(view)
    found = (item for one in directories for item in zips.members(view, one, budget))
    if tars.is_tar(head):
        return chain(tars.members(view, budget), found), "tar archive", ""
    if directories or zips.is_empty_archive(view, head):
        return found, "zip archive", ""
    if head.startswith(zips.LOCAL):
        members = zips.members_forward(view, budget)
        return members, "zip archive", "its directory is missing, or too far away to look at"
    return iter(()), "", ""


def _stream(view: View, head: bytes, name: str, found: Finding, looking: _Looking) -> bool:
    """Look into a compressed stream; False if it is none, or breaks where only its first bytes looked like one."""
    opened = streams.open_stream(view, head, looking.budget)
    if opened is None:
        return False
    kind, inside = opened
    inner = _inspect_packed(inside, PurePosixPath(name).stem, _Looking(looking.budget, looking.depth + 1))
    if inside.damaged and kind in _GUESSED and not inner.pickle:
        return False
    found.add(inner, f"what {kind} packs")
    if looking.budget.spent:
        found.remark = f"{kind}: there is more in it than is looked into"
        if not inside.read(0, 1):
            found.pickle = "a stream that does not come to its first byte, and may be a pickle"
    elif inner.recognised and not inside.damaged:
        found.recognised = f"{inner.recognised} in {kind}"
    else:
        found.remark = (
            f"{kind}: {'damaged' if inside.damaged else inner.remark or 'what is in it is not known'}"
        )
    return True


def _single(view: View, head: bytes, found: Finding) -> None:
    """Recognise what is no wrapping."""
    found.recognised = containers.recognise(view, head)
    if containers.is_hdf5(view, head):
        found.code = keras.code_in_hdf5(view)
    if not found.recognised:
        whole, objects = messagepack.walk(view)
        found.recognised = "MessagePack" if whole else ""
        found.pickle = "a pickled array of objects" if objects else ""
    found.remark = next((what for magic, what in _SEALED.items() if head.startswith(magic)), "")
