"""Wheels: each a real one, whose members are those that its RECORD lists (PEP 427, PEP 376; SPEC L2.16).

What a wheel installs is code, and is run by whoever imports it: a pickle in it says nothing more. Nothing of it is
run or unpacked to a disk here.
"""

import base64
import binascii
import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from email.parser import BytesHeaderParser
from pathlib import PurePosixPath

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from airlift.errors import ForbiddenFileError, MalformedError
from airlift.intake.gate.forms import archive, pins
from airlift.intake.gate.forms.archive import Archive, Member
from airlift.intake.gate.forms.reading import Whole, refusing
from airlift.intake.gate.views import View

SUFFIX = ".whl"
MAX_TEXT = 4 << 20
"""Bytes of METADATA and WHEEL, and a quarter of what RECORD may have."""
_STRONG = ("sha256", "sha384", "sha512")
_UNLISTED = frozenset({"RECORD.jws", "RECORD.p7s"})
_AGAIN = "fetch it again: pip download --only-binary :all: --require-hashes -r requirements.lock"
_STEP = 1 << 20


def check_paths(paths: Iterable[str]) -> None:
    """Refuse anything but wheels side by side, with one list of pins beside them.

    Raises:
        ForbiddenFileError: there is something else, or no wheel.
    """
    found = sorted(paths)
    other = [path for path in found if path != pins.NAME and (not path.endswith(SUFFIX) or "/" in path)]
    if other:
        raise ForbiddenFileError(
            f"{other[0]} is no wheel",
            expected=f"NAME-VERSION-TAGS{SUFFIX} in one folder, and {pins.NAME}",
            hint="leave it out: `exclude: [...]` in the source of the component",
        )
    if found == [pins.NAME]:
        raise ForbiddenFileError("there are no wheels", hint=_AGAIN)


def check_wheel(relative: str, view: View) -> None:
    """Refuse a file that is not the wheel which its name promises, to the last byte that its RECORD lists.

    Raises:
        ForbiddenFileError: it is not.
        UncheckedError: it cannot be read.
    """
    with refusing(_AGAIN):
        name, version = _named(relative)
        with archive.opened(view, relative) as opened:
            members = [item for item in opened.infolist() if not item.is_dir()]
            folder = _folder(relative, members, name, version)
            _check_metadata(opened, relative, folder, name, version)
            _check_record(opened, relative, folder, members)


def check_pins(whole: Whole) -> None:
    """Refuse a list of pins that names a wheel which is not there.

    Raises:
        ForbiddenFileError: it does, or it is none.
        UncheckedError: it cannot be read.
    """
    if pins.NAME not in whole.files:
        return
    there: dict[tuple[str, Version], set[str]] = {}
    with refusing(_AGAIN):
        for path, entry in whole.files.items():
            if path.endswith(SUFFIX):
                there.setdefault(_named(path), set()).add(entry.sha256)
        for pin in pins.parse(whole.document(pins.NAME, pins.MAX_BYTES)):
            if not pin.sha256 & there.get((pin.name, pin.version), set()):
                raise MalformedError(
                    f"{pins.NAME} lists a wheel that is not there",
                    expected=f"{pin.name} {pin.version} with one of its digests",
                    found="no such wheel",
                )


def _named(relative: str) -> tuple[str, Version]:
    try:
        name, version, _, _ = parse_wheel_filename(relative)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise MalformedError(
            f"{relative} does not have the name of a wheel", found=str(error)[:120]
        ) from error
    return str(name), version


def _folder(relative: str, members: list[Member], name: str, version: Version) -> str:
    """Return the one folder that describes the wheel, which must be called as the wheel is."""
    found = {
        top for top in (item.filename.partition("/")[0] for item in members) if top.endswith(".dist-info")
    }
    if len(found) != 1:
        raise MalformedError(f"{relative} has not one folder *.dist-info", found=f"{len(found)}")
    (folder,) = found
    _check_same(relative, folder, *folder.removesuffix(".dist-info").rpartition("-")[::2], name, version)
    return folder


def _check_same(relative: str, where: str, name: str, version: str, *wanted: object) -> None:
    try:
        found: object = (str(canonicalize_name(name)), Version(version))
    except InvalidVersion:
        found = None
    if found != wanted:
        raise MalformedError(
            f"{relative} says in {where} that it is something else than its name",
            expected=" ".join(map(str, wanted)),
            found=ascii(f"{name} {version}"[:120]),
        )


def _check_metadata(opened: Archive, relative: str, folder: str, name: str, version: Version) -> None:
    form = _text(opened, relative, f"{folder}/WHEEL", MAX_TEXT)
    stated = str(BytesHeaderParser().parsebytes(form).get("Wheel-Version", ""))
    if not stated.startswith("1."):
        raise MalformedError(
            f"{relative} is a wheel of an unknown version", expected="1.x", found=ascii(stated[:40])
        )
    told = BytesHeaderParser().parsebytes(_text(opened, relative, f"{folder}/METADATA", MAX_TEXT))
    if len(told.get_all("Name", [])) != 1 or len(told.get_all("Version", [])) != 1:
        raise MalformedError(f"{relative} has not one name and one version in METADATA")
    _check_same(relative, "METADATA", str(told["Name"]), str(told["Version"]), name, version)


def _text(opened: Archive, relative: str, path: str, most: int) -> bytes:
    if path not in opened.NameToInfo:
        raise MalformedError(f"{relative} has no {PurePosixPath(path).name}", expected=path)
    if opened.getinfo(path).file_size > most:
        raise MalformedError(f"{relative}: {path} is too long", expected=f"at most {most} bytes")
    return opened.read(path)


# -- RECORD --------------------------------------------------------------------------------------------------------


def _check_record(opened: Archive, relative: str, folder: str, members: list[Member]) -> None:
    """Hold every member against the digest that RECORD states of it."""
    own = f"{folder}/RECORD"
    listed = _listed(relative, own, _text(opened, relative, own, 4 * MAX_TEXT))
    free = {own, *(f"{folder}/{name}" for name in _UNLISTED)}
    there = {item.filename for item in members} - free
    if there != set(listed) - free:
        different = sorted(there ^ (set(listed) - free))
        raise MalformedError(
            f"{relative} has other members than its RECORD lists", found=ascii(different[0][-80:])
        )
    for item in members:
        if item.filename in there:
            _check_member(opened, relative, item, *listed[item.filename])


def _listed(relative: str, own: str, data: bytes) -> Mapping[str, tuple[str, str]]:
    """Return digest and size of each member, as RECORD writes them."""
    found: dict[str, tuple[str, str]] = {}
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True):
            if row:
                path, digest, size = row
                if path in found:
                    raise MalformedError(f"{relative}: {own} lists a file twice", found=ascii(path[-80:]))
                found[path] = (digest, size)
    except (csv.Error, ValueError) as error:
        raise MalformedError(f"{relative}: {own} cannot be read", found=str(error)[:120]) from error
    return found


def _check_member(opened: Archive, relative: str, item: Member, digest: str, size: str) -> None:
    algorithm, _, text = digest.partition("=")
    if algorithm not in _STRONG:
        raise MalformedError(
            f"{relative}: RECORD states no digest of {item.filename[-80:]!a} that counts",
            expected=" or ".join(_STRONG),
            found=ascii(algorithm[:40]),
        )
    try:
        wanted = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        wanted = b""
    found, count = hashlib.new(algorithm), 0
    with opened.open(item) as member:
        while part := member.read(_STEP):
            found.update(part)
            count += len(part)
    if found.digest() != wanted or (size and size != str(count)):
        raise MalformedError(
            f"{relative}: {item.filename[-80:]!a} is not what RECORD says",
            expected=f"{digest}, {size} bytes",
            found=f"{count} bytes",
        )
