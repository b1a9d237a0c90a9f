"""Volumes as they may arrive, odd but good or hostile, each with the exit codes that commands must give.

A variant makes its volumes below a folder and returns the paths to give. What is about the volume itself ends alike
in ``low check`` and ``high inspect``, ``verify`` and ``import``; the other outcomes say who can tell (SPEC 6.4-6).
"""

import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from airlift.bundle import manifest, volume
from tests.support.enclaves import copy, files_of, flip, overwrite, reseal, volumes, world

CHUNKS, MANIFESTS, METADATA = volume.CHUNKS, volume.MANIFESTS, volume.METADATA

Make = Callable[[Path], Sequence[Path]]
Change = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit code that each command must give."""

    check: int
    inspect: int
    verify: int
    import_: int


GOOD = Outcome(0, 0, 0, 0)
BAD = Outcome(3, 3, 3, 3)
UNREADABLE = Outcome(7, 7, 7, 7)
ABSENT = Outcome(4, 0, 4, 4)
"""A volume lacks a chunk that it lists; inspection lists it as missing."""
PARTIAL = Outcome(0, 0, 4, 4)
"""Volumes were not given; a check is about those that were."""
DAMAGED = Outcome(3, 0, 3, 3)
"""The bytes of a chunk are wrong; inspection does not read chunks."""
SPARED = Outcome(3, 0, 0, 0)
"""A copy of a chunk is damaged and another one is good: an import passes it over, a check is there to name it."""
FORGED = Outcome(0, 0, 3, 3)
"""A volume at one with itself; only who knows what was signed can tell."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Volumes of one kind: ``make`` writes them below a folder."""

    name: str
    make: Make
    outcome: Outcome


# -- finding files -------------------------------------------------------------------------------------------------


def find(folder: Path, kind: str) -> Path:
    """Return the file of a volume that ``kind`` stands for; digests differ from run to run."""
    if "/" in kind:
        part, number = kind.split("/")
        return sorted((folder / part).iterdir())[int(number)]
    return next(folder / path for path in files_of(folder) if path.endswith(kind))


def first_chunk(folder: Path) -> Path:
    """Return the first chunk of a volume."""
    return find(folder, "chunks/0")


def bundle_manifest(folder: Path) -> Path:
    """Return the bundle manifest of a volume."""
    return folder / MANIFESTS / volume.manifest_name(_index(folder).manifest)


def _index(folder: Path) -> volume.Index:
    return volume.parse_index((folder / volume.INDEX).read_bytes())


def _bundle(folder: Path) -> manifest.Bundle:
    return manifest.parse(bundle_manifest(folder).read_bytes())


# -- a closed inventory --------------------------------------------------------------------------------------------


def add_file(path: Path) -> None:
    """Add a file that nothing declares."""
    (path / "autorun.inf").write_text("[autorun]")


def add_chunk(path: Path) -> None:
    """Add a chunk that nothing declares."""
    (path / CHUNKS / ("0" * 64)).write_bytes(b"x")


def add_folder(path: Path) -> None:
    """Add a folder."""
    (path / "extra").mkdir()


def add_nested_folder(path: Path) -> None:
    """Add a folder in a folder."""
    (path / CHUNKS / "nested").mkdir()


def add_link(path: Path) -> None:
    """Add a link to another file of the volume."""
    (path / METADATA / "2.root.json").symlink_to("1.root.json")


def link_chunk(path: Path) -> None:
    """Replace a chunk by a link to it."""
    _link(first_chunk(path))


def link_label(path: Path) -> None:
    """Replace the label by a link to it."""
    _link(path / volume.LABEL)


def link_index(path: Path) -> None:
    """Replace volume.json by a link to it."""
    _link(path / volume.INDEX)


def link_folder(path: Path) -> None:
    """Replace a folder by a link to it."""
    _link(path / CHUNKS)


def _link(target: Path) -> None:
    elsewhere = target.parents[1] if target.parent.name in {CHUNKS, METADATA, MANIFESTS} else target.parent
    kept = elsewhere.parent.parent / f"elsewhere-{target.name}"
    shutil.move(target, kept)
    target.symlink_to(kept)


def dangling_index(path: Path) -> None:
    """Replace volume.json by a link to nowhere."""
    (path / volume.INDEX).unlink()
    (path / volume.INDEX).symlink_to("nowhere")


def add_fifo(path: Path) -> None:
    """Add a pipe."""
    os.mkfifo(path / CHUNKS / ("1" * 64))


def fifo_for_label(path: Path) -> None:
    """Replace the label by a pipe."""
    (path / volume.LABEL).unlink()
    os.mkfifo(path / volume.LABEL)


def add_socket(path: Path) -> None:
    """Add a socket."""
    here = Path.cwd()
    os.chdir(path / MANIFESTS)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.json")
    finally:
        os.chdir(here)


def folder_for_sums(path: Path) -> None:
    """Replace SHA256SUMS by a folder."""
    (path / volume.SUMS).unlink()
    (path / volume.SUMS).mkdir()


def file_for_folder(path: Path) -> None:
    """Replace a folder by a file."""
    shutil.rmtree(path / CHUNKS)
    (path / CHUNKS).write_bytes(b"")


def no_label(path: Path) -> None:
    """Take the label away."""
    (path / volume.LABEL).unlink()


def no_metadata(path: Path) -> None:
    """Take all metadata away."""
    shutil.rmtree(path / METADATA)


def no_manifest(path: Path) -> None:
    """Take the bundle manifest away."""
    bundle_manifest(path).unlink()


def leftovers(path: Path) -> None:
    """Leave what a desktop leaves for a file."""
    (path / "._LABEL.txt").write_bytes(b"\0\5\x16\7")


def leftovers_among_chunks(path: Path) -> None:
    """Leave what a desktop leaves in every folder that somebody looks at."""
    (path / CHUNKS / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def leftover_folder(path: Path) -> None:
    """Leave a desktop's index of the medium."""
    (path / ".Spotlight-V100").mkdir()


def leftover_names(path: Path) -> None:
    """Leave files of every name that desktops leave, one of them like a folder of the volume, one in capitals."""
    names = (
        ".apdisk",
        ".VolumeIcon.icns",
        "THUMBS.DB",
        "desktop.ini",
        "._manifests",
        "._.Trashes",
        ".directory",
    )
    for name in names:
        (path / name).write_bytes(b"x")
    for part in (CHUNKS, METADATA, MANIFESTS):
        (path / part / "._x").write_bytes(b"\0\5\x16\7")


def leftover_folders(path: Path) -> None:
    """Leave folders of every name that desktops leave; what is in them is for nobody to read."""
    for name in LEFTOVER_FOLDERS:
        (path / name).mkdir()
    for number in range(50):
        (path / LEFTOVER_FOLDERS[0] / f"{number}.exe").write_bytes(b"MZ")
    (path / LEFTOVER_FOLDERS[1] / "link").symlink_to("/")
    os.mkfifo(path / LEFTOVER_FOLDERS[1] / "pipe")
    for name in ("volume.json", "LABEL.txt"):
        shutil.copy(path / name, path / LEFTOVER_FOLDERS[2])


def leftover_file_for_folder(path: Path) -> None:
    """Leave a file that keeps a desktop from making the folder."""
    (path / ".Trashes").write_bytes(b"")


def link_for_leftover(path: Path) -> None:
    """Name a link like what desktops leave."""
    (path / ".DS_Store").symlink_to(volume.LABEL)


def link_for_leftover_folder(path: Path) -> None:
    """Name a link to a folder like what desktops leave."""
    (path / ".Trashes").symlink_to("/")


def device_for_leftover(path: Path) -> None:
    """Name a link to a device like what desktops leave."""
    (path / METADATA / "Thumbs.db").symlink_to("/dev/zero")


def fifo_for_leftover(path: Path) -> None:
    """Name a pipe like what desktops leave."""
    os.mkfifo(path / CHUNKS / "._x")


def fifo_for_leftover_folder(path: Path) -> None:
    """Name a pipe like a folder that desktops leave."""
    os.mkfifo(path / ".fseventsd")


def folder_for_leftover(path: Path) -> None:
    """Name a folder like a file that desktops leave."""
    (path / "._manifests").mkdir()


def leftover_folder_among_chunks(path: Path) -> None:
    """Leave a folder where no desktop leaves one."""
    (path / CHUNKS / ".Trashes").mkdir()


def huge_leftover(path: Path) -> None:
    """Hide what is large behind a name that desktops use."""
    _hole(path / ".DS_Store", (4 << 20) + 1)


def large_leftovers(path: Path) -> None:
    """Hide what is large behind many names that desktops use."""
    for number in range(17):
        _hole(path / MANIFESTS / f"._{number}", 4 << 20)


def endless_leftovers(path: Path) -> None:
    """Leave more than anybody leaves."""
    for number in range(4097):
        (path / CHUNKS / f"._{number}").touch()


def spelled_like_a_leftover(path: Path) -> None:
    """Name a file nearly like what desktops leave."""
    (path / "._").write_bytes(b"x")


def foreign_leftover(path: Path) -> None:
    """Name a file like what desktops leave beside a file of a name that no volume has."""
    (path / "._\N{LATIN SMALL LETTER E WITH ACUTE}").write_bytes(b"x")


def _hole(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


LEFTOVER_FOLDERS = (
    ".Spotlight-V100",
    ".Trashes",
    "System Volume Information",
    ".fseventsd",
    ".TemporaryItems",
    "$RECYCLE.BIN",
    ".Trash-1000",
    "lost+found",
)

LEFTOVERS = (
    leftovers,
    leftovers_among_chunks,
    leftover_folder,
    leftover_names,
    leftover_folders,
    leftover_file_for_folder,
)
"""What desktops leave in a volume."""

NO_LEFTOVERS = (
    link_for_leftover,
    link_for_leftover_folder,
    device_for_leftover,
    fifo_for_leftover,
    fifo_for_leftover_folder,
    folder_for_leftover,
    leftover_folder_among_chunks,
    huge_leftover,
    large_leftovers,
    endless_leftovers,
    spelled_like_a_leftover,
    foreign_leftover,
)
"""What is named like it, or nearly so, and is something else."""


def undecodable_name(path: Path) -> None:
    """Add a file whose name is no text."""
    Path(os.fsdecode(os.fsencode(path) + b"/chunks/\xff\xfe")).write_bytes(b"x")


CHANGES = (
    add_file,
    add_chunk,
    add_folder,
    add_nested_folder,
    add_link,
    link_chunk,
    link_label,
    link_index,
    link_folder,
    dangling_index,
    add_fifo,
    fifo_for_label,
    add_socket,
    folder_for_sums,
    file_for_folder,
    no_label,
    no_metadata,
    no_manifest,
    *NO_LEFTOVERS,
    undecodable_name,
)
"""What breaks the inventory of a volume."""


# -- what a volume says of itself ----------------------------------------------------------------------------------


def grow(kind: str, size: int, *, sealed: bool) -> Change:
    """Return a change that makes a file ``size`` bytes long, nearly all of them a hole."""

    def change(path: Path) -> None:
        target = find(path, kind)
        target.chmod(0o644)
        os.truncate(target, size)
        if sealed:
            reseal(path)

    return change


def edit(kind: str, how: Callable[[bytes], bytes], *, sealed: bool = False) -> Change:
    """Return a change of the bytes of one file; ``sealed``: SHA256SUMS and volume.json are made to fit."""

    def change(path: Path) -> None:
        target = find(path, kind)
        overwrite(target, how(target.read_bytes()))
        if sealed:
            reseal(path)

    return change


def remove(kind: str, *, sealed: bool) -> Change:
    """Return a change that takes one file away."""

    def change(path: Path) -> None:
        find(path, kind).unlink()
        if sealed:
            reseal(path)

    return change


def add(part: str, name: str, data: bytes) -> Change:
    """Return a change that adds a file and declares it."""

    def change(path: Path) -> None:
        (path / part / name).write_bytes(data)
        reseal(path)

    return change


def claim(**claims: object) -> Change:
    """Return a change of what volume.json claims."""
    return lambda path: reseal(path, **claims)


def lines(how: Callable[[bytes], bytes]) -> Change:
    """Return a change of SHA256SUMS, to which volume.json is made to fit."""

    def change(path: Path) -> None:
        data = how((path / volume.SUMS).read_bytes())
        overwrite(path / volume.SUMS, data)
        index = replace(_index(path), sums=hashlib.sha512(data).hexdigest())
        overwrite(path / volume.INDEX, volume.format_index(index))

    return change


def label_of_another(path: Path) -> None:
    """Give a volume a label that is right but for its number, and seal it."""
    bundle = _bundle(path)
    overwrite(path / volume.LABEL, volume.render_label(bundle, 2, 2))
    reseal(path)


def manifest_of_another(path: Path) -> None:
    """Let volume.json name another document of the volume as its bundle manifest."""
    other = next(item for item in sorted((path / MANIFESTS).iterdir()) if item != bundle_manifest(path))
    reseal(path, manifest=hashlib.sha512(other.read_bytes()).hexdigest())


def document(kind: str) -> Change:
    """Return a change that takes away a document which the bundle manifest names, and seals the rest."""

    def change(path: Path) -> None:
        bundle = _bundle(path)
        assert bundle.target is not None
        digest = bundle.target.digest if kind == "release" else bundle.revocations
        (path / MANIFESTS / volume.manifest_name(digest)).unlink()
        reseal(path)

    return change


def an_attestation(path: Path) -> None:
    """Take away an attestation, which only the bundler's metadata names, and seal the rest."""
    bundle = _bundle(path)
    assert bundle.target is not None
    named = {
        volume.manifest_name(digest) for digest in (bundle.digest, bundle.target.digest, bundle.revocations)
    }
    next(item for item in sorted((path / MANIFESTS).iterdir()) if item.name not in named).unlink()
    reseal(path)


def lists_a_stranger(path: Path) -> None:
    """List a chunk that the bundle does not have and that is not there."""

    def how(data: bytes) -> bytes:
        sums = volume.parse_sums(data) | {f"{CHUNKS}/{'0' * 64}": "0" * 64}
        return volume.format_sums(sums)

    lines(how)(path)
    index = _index(path)
    overwrite(path / volume.INDEX, volume.format_index(replace(index, chunks=index.chunks + 1)))


def upper_name(path: Path, *, sealed: bool) -> None:
    """Name a chunk in capitals."""
    target = first_chunk(path)
    target.rename(target.with_name(target.name.upper()))
    if sealed:
        reseal(path)


def rename_chunk(path: Path) -> None:
    """Give a chunk another name, and seal it."""
    target = first_chunk(path)
    target.rename(target.with_name("0" * 64))
    reseal(path)


# -- several volumes -----------------------------------------------------------------------------------------------


def swapped(folder: Path) -> list[Path]:
    """Swap two chunks, and seal both volumes."""
    paths = volumes("full", folder)
    one, two = first_chunk(paths[0]), first_chunk(paths[1])
    data = one.read_bytes()
    overwrite(one, two.read_bytes())
    overwrite(two, data)
    for path in paths:
        reseal(path)
    return paths


def two_cuts(folder: Path) -> list[Path]:
    """Return volumes of two cuts of one bundle: together they hold every chunk, the last one twice."""
    paths = volumes("full", folder)
    shutil.copy(first_chunk(paths[2]), paths[1] / CHUNKS)
    for number, path in enumerate(paths[:2], 1):
        overwrite(path / volume.LABEL, volume.render_label(_bundle(path), number, 2))
        reseal(path, volume=number, volumes=2)
    return [paths[0], paths[2], paths[1]]


def damaged_beside_good(folder: Path) -> list[Path]:
    """Return all volumes, and before them a copy of the first in which a bit flipped."""
    paths = volumes("full", folder)
    damaged = copy(paths[0], folder / "damaged")
    flip(first_chunk(damaged), 1000)
    return [damaged, *paths]


def linked_volume(folder: Path) -> list[Path]:
    """Return a folder that holds a link to a volume."""
    (folder / "disc").mkdir()
    (folder / "disc" / "airlift-any-1-vol01of01").symlink_to(world().bundles["uncut"][0])
    return [folder / "disc"]


def linked_path(folder: Path) -> list[Path]:
    """Return the operator's own link to a volume."""
    (folder / "disc").symlink_to(world().bundles["uncut"][0])
    return [folder / "disc"]


def beside_leftovers(folder: Path) -> list[Path]:
    """Return a folder that holds the volumes, and beside them what desktops leave on a medium."""
    (top,) = {path.parent for path in volumes("full", folder)}
    for name in (".Trashes", ".Spotlight-V100", "System Volume Information", "lost+found"):
        (top / name).mkdir()
    (top / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    return [top]


def volume_in_leftovers(folder: Path) -> list[Path]:
    """Return a folder that holds the volumes, and in the trash beside them another bundle's."""
    (top,) = {path.parent for path in volumes("full", folder)}
    copy(world().bundles["delta"][0], top / ".Trash-1000")
    (top / "lost+found").mkdir()
    (top / "lost+found" / volume.INDEX).symlink_to("nowhere")
    return [top]


def only_in_leftovers(folder: Path) -> list[Path]:
    """Return a folder of which only the trash is a volume."""
    copy(world().bundles["uncut"][0], folder / "disc" / ".Trashes")
    return [folder / "disc"]


def locked(folder: Path) -> list[Path]:
    """Return volumes on which nobody may write."""
    paths = volumes("full", folder)
    for path in paths:
        for item in (path, *path.rglob("*")):
            item.chmod(0o555 if item.is_dir() else 0o444)
    return paths


def no_folder_for_no_chunks(folder: Path) -> list[Path]:
    """Return a volume without chunks, from which a copy dropped the empty folder."""
    (path,) = volumes("renewal", folder)
    (path / CHUNKS).rmdir()
    return [path]


def _whole(name: str) -> Make:
    return lambda _folder: world().bundles[name]


def _one(change: Change, name: str = "uncut") -> Make:
    """Return what changes a bundle of one volume."""

    def make(folder: Path) -> Sequence[Path]:
        (path,) = volumes(name, folder)
        change(path)
        return [path]

    return make


def _second(change: Change) -> Make:
    """Return what changes the second of three volumes."""

    def make(folder: Path) -> Sequence[Path]:
        paths = volumes("full", folder)
        change(paths[1])
        return paths

    return make


def _of(*names: str) -> Make:
    return lambda _folder: [world().bundles[name][0] for name in names]


# -- the corpus ----------------------------------------------------------------------------------------------------


def _cut_short(data: bytes) -> bytes:
    return data[:-1]


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _good() -> Iterator[Variant]:
    makes: dict[str, Make] = {
        "as written": _whole("full"),
        "in one volume": _whole("uncut"),
        "without chunks": _whole("renewal"),
        "in another order": lambda _folder: world().bundles["full"][::-1],
        "a folder that holds them": lambda folder: [volumes("full", folder)[0].parent],
        "given twice": lambda _folder: [*world().bundles["full"], *world().bundles["full"]],
        "a copy beside": lambda folder: [*world().bundles["full"], volumes("full", folder)[0]],
        "renamed": lambda folder: [copy(world().bundles["uncut"][0], folder / "renamed")],
        "hard link to a chunk": _one(lambda path: os.link(first_chunk(path), path.parent / "second name")),
        "two cuts": two_cuts,
        "leftovers beside": beside_leftovers,
        "a volume in the trash beside": volume_in_leftovers,
        "the operator's link": linked_path,
        "read-only": locked,
        "empty folder dropped": no_folder_for_no_chunks,
    }
    yield from (Variant(f"good: {name}", make, GOOD) for name, make in makes.items())
    for change in LEFTOVERS:
        yield Variant(f"good: {change.__name__}", _one(change), GOOD)
        yield Variant(f"good: {change.__name__} on the second", _second(change), GOOD)


def _inventory() -> Iterator[Variant]:
    for change in CHANGES:
        yield Variant(f"inventory: {change.__name__}", _one(change), BAD)
        yield Variant(f"inventory: {change.__name__} on the second", _second(change), BAD)
    yield Variant("inventory: link to a volume", linked_volume, BAD)
    for kind, size in (("LABEL.txt", 1 << 20), ("volume.json", 1 << 20), ("timestamp.json", 9 << 20)):
        yield Variant(f"oversize: {kind}", _one(grow(kind, size, sealed=False)), BAD)
    yield Variant("oversize: metadata, sealed", _one(grow("timestamp.json", 9 << 20, sealed=True)), BAD)
    yield Variant("oversize: label, sealed", _one(grow("LABEL.txt", 1 << 20, sealed=True)), BAD)
    for name in ("payload.exe", "9.root.json", "7.timestamp.json", "99.snapshot.json", "bundler.json"):
        yield Variant(f"metadata: {name}, sealed", _one(add(METADATA, name, b"MZ")), BAD)
    for name in ("a" * 64 + ".json", "readme.txt"):
        yield Variant(f"manifests: {name}, sealed", _one(add(MANIFESTS, name, b"{}")), BAD)
    yield Variant("chunks: undeclared by the bundle, sealed", _one(add(CHUNKS, "0" * 64, b"x")), BAD)
    for part in (CHUNKS, METADATA, MANIFESTS):
        yield Variant(f"{part}: a leftover, sealed", _one(add(part, ".DS_Store", b"x")), BAD)


def _claims() -> Iterator[Variant]:
    claims: dict[str, object] = {"bundle": "any-99", "volumes": 2, "chunks": 7, "chunk_bytes": 7, "volume": 2}
    claims |= {"sums": "0" * 128, "manifest": "0" * 128, "type": "bundle", "more": 1}
    yield from (Variant(f"claims: {key}", _one(claim(**{key: value})), BAD) for key, value in claims.items())
    yield Variant("claims: a path for an id", _one(claim(bundle="../../x")), BAD)
    yield Variant("claims: a newer format", _one(claim(airlift=2)), UNREADABLE)
    yield Variant("claims: manifest of another document", _one(manifest_of_another), BAD)
    texts: dict[str, Callable[[bytes], bytes]] = {
        "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
        "a key twice": lambda data: data.replace(b'"airlift":1', b'"airlift":1,"airlift":1'),
        "a space": lambda data: data.replace(b":", b": ", 1),
        "NaN": lambda data: data.replace(b'"airlift":1', b'"airlift":NaN'),
        "nothing": lambda _data: b"",
    }
    yield from (
        Variant(f"volume.json: {key}", _one(edit("volume.json", how)), BAD) for key, how in texts.items()
    )
    sums: dict[str, Callable[[bytes], bytes]] = {
        "reversed": lambda data: b"".join(data.splitlines(keepends=True)[::-1]),
        "a line twice": lambda data: data.splitlines(keepends=True)[0] + data,
        "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
        "no newline": _cut_short,
        "capitals": lambda data: data[:64].upper() + data[64:],
        "a binary mark": lambda data: data.replace(b"  ", b" *", 1),
        "a path outside": lambda data: b"0" * 64 + b"  ../x\n" + data,
        "itself": lambda data: data + b"0" * 64 + b"  volume.json\n",
        "a file that is not there": lambda data: data + b"0" * 64 + b"  metadata/z.json\n",
        "nothing": lambda _data: b"",
    }
    yield from (Variant(f"SHA256SUMS: {key}", _one(lines(how)), BAD) for key, how in sums.items())
    yield Variant("SHA256SUMS: a chunk of no bundle", _one(lists_a_stranger), BAD)
    other = edit("LABEL.txt", lambda data: data.replace(b"UNCLASSIFIED", b"TOP SECRET  "), sealed=True)
    yield Variant("label: another marking, sealed", _one(other), BAD)
    yield Variant("label: another number, sealed", _one(label_of_another), BAD)


def _changed() -> Iterator[Variant]:
    small = ("LABEL.txt", "SHA256SUMS", "volume.json", "1.root.json", "timestamp.json", "manifests/0")
    for kind in (*small, "chunks/0"):
        flipped = DAMAGED if kind == "chunks/0" else BAD
        yield Variant(f"flipped: {kind}", _second(edit(kind, _flipped)), flipped)
        yield Variant(f"cut short: {kind}", _second(edit(kind, _cut_short)), BAD)
        yield Variant(f"grown: {kind}", _second(edit(kind, lambda data: data + b"\n")), BAD)
    for name, how in (("cut short", _cut_short), ("flipped", _flipped), ("empty", lambda _data: b"")):
        yield Variant(f"{name}: a chunk, sealed", _one(edit("chunks/0", how, sealed=True)), DAMAGED)
    for number in range(5):
        change = edit(f"manifests/{number}", _flipped, sealed=True)
        yield Variant(f"flipped: manifests/{number}, sealed", _one(change), BAD)
    for kind in ("release", "revocations"):
        yield Variant(f"left out: {kind}, sealed", _one(document(kind)), BAD)
    yield Variant("left out: volume.json", _one(remove("volume.json", sealed=False)), UNREADABLE)
    for role in ("timestamp", "snapshot", "targets", "bundler"):
        yield Variant(f"left out: {role}.json, sealed", _one(remove(f"{role}.json", sealed=True)), BAD)
    yield Variant("chunk in capitals", _one(lambda path: upper_name(path, sealed=False)), BAD)
    yield Variant("chunk in capitals, sealed", _one(lambda path: upper_name(path, sealed=True)), BAD)
    yield Variant("chunk under another name, sealed", _one(rename_chunk), BAD)
    yield Variant("chunks swapped, sealed", swapped, DAMAGED)
    yield Variant("forged: an attestation left out", _one(an_attestation), BAD)
    odd = volume.manifest_name(hashlib.sha512(b"{}").hexdigest())
    yield Variant("forged: a document that nothing names", _one(add(MANIFESTS, odd, b"{}")), BAD)
    yield Variant("forged: metadata", _one(edit("targets.json", _flipped, sealed=True)), FORGED)
    yield Variant("forged: the timestamp", _one(edit("timestamp.json", _flipped, sealed=True)), BAD)


def _sets() -> Iterator[Variant]:
    for names in (("full", "delta"), ("full", "uncut"), ("renewal", "full")):
        yield Variant(f"mixed: {' and '.join(names)}", _of(*names), BAD)
    metadata = edit("timestamp.json", lambda data: data + b"\n", sealed=True)
    yield Variant("differing: metadata", _second(metadata), BAD)
    odd = volume.manifest_name(hashlib.sha512(b"{}").hexdigest())
    yield Variant("differing: manifests", _second(add(MANIFESTS, odd, b"{}")), BAD)
    yield Variant("missing: a chunk", _second(remove("chunks/0", sealed=False)), ABSENT)
    yield Variant("missing: all chunks", _one(lambda path: shutil.rmtree(path / CHUNKS)), ABSENT)
    yield Variant("missing: a volume", lambda _folder: world().bundles["full"][1:], PARTIAL)
    yield Variant("missing: a chunk, sealed", _second(remove("chunks/0", sealed=True)), PARTIAL)
    yield Variant("damaged beside good", damaged_beside_good, SPARED)
    yield Variant("nothing: no such path", lambda folder: [folder / "no"], UNREADABLE)
    yield Variant("nothing: an empty folder", lambda folder: [folder], UNREADABLE)
    yield Variant("nothing: a volume in the trash", only_in_leftovers, UNREADABLE)
    yield Variant("nothing: a file", lambda _folder: [world().bundles["uncut"][0] / volume.LABEL], UNREADABLE)


VARIANTS = (*_good(), *_inventory(), *_claims(), *_changed(), *_sets())
"""Every variant, by kind."""
