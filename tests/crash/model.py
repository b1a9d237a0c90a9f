"""A file system that remembers what is durable: the least that POSIX promises, and no more.

A file's bytes are durable as of its last fsync. A name is durable once its folder was synced after it changed; until
then it may be kept or lost, each change for itself, in any order. Only two things are taken for granted, because
every file system with a journal gives them: a rename within one folder is one change, and a rename between folders
loses no file (the new name may be kept without the old one vanishing, but not the other way round).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(eq=False, slots=True)
class File:
    """A regular file: its bytes now, and as of its last fsync."""

    data: bytes = b""
    synced: bytes = b""


@dataclass(frozen=True, eq=False, slots=True)
class Link:
    """A symbolic link, which has nothing to sync but its name."""

    target: str


@dataclass(eq=False, slots=True)
class Change:
    """Names that one system call set in one folder (None: removed); ``after`` must be kept if this one is."""

    names: tuple[tuple[str, "Node | None"], ...]
    text: str
    after: "Change | None" = None
    synced: bool = False


@dataclass(eq=False, slots=True)
class Folder:
    """A folder: its names now, as of its last fsync, and the changes between the two, oldest first."""

    names: dict[str, "Node"] = field(default_factory=dict)
    synced: dict[str, "Node"] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, text: str, *names: tuple[str, "Node | None"], after: Change | None = None) -> Change:
        """Set names, not durably yet."""
        made = Change(names, text, after)
        self.pending.append(made)
        _apply(self.names, made)
        return made

    def settle(self, change: Change) -> None:
        """Make one change durable."""
        change.synced = True
        self.pending.remove(change)
        _apply(self.synced, change)

    def sync(self) -> None:
        """Make every name durable."""
        for change in self.pending:
            change.synced = True
        self.pending.clear()
        self.synced = dict(self.names)


Node = File | Link | Folder


@dataclass(frozen=True, slots=True)
class Image:
    """A folder tree in memory: ``links`` are paths and targets, ``files`` paths and indices into ``data``."""

    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, int], ...]
    data: tuple[bytes, ...]

    def write(self, top: Path) -> None:
        """Write the tree into the empty folder ``top``; paths with the same index become hard links."""
        first: dict[int, Path] = {}
        for path in self.folders:
            (top / path).mkdir()
        for path, number in self.files:
            if number in first:
                (top / path).hardlink_to(first[number])
            else:
                first[number] = top / path
                (top / path).write_bytes(self.data[number])
                (top / path).chmod(0o644 if path.endswith((".db", "/lock")) else 0o444)
        for path, target in self.links:
            (top / path).symlink_to(target)


def load(top: Path) -> Folder:
    """Return the tree at ``top``, all of it durable."""
    return _load(top, {})


def _load(top: Path, known: dict[tuple[int, int], File]) -> Folder:
    folder = Folder()
    for path in sorted(top.iterdir()):
        folder.names[path.name] = _load_node(path, known)
    folder.sync()
    return folder


def _load_node(path: Path, known: dict[tuple[int, int], File]) -> Node:
    if path.is_symlink():
        return Link(str(path.readlink()))
    if path.is_dir():
        return _load(path, known)
    status = path.stat()
    if (status.st_dev, status.st_ino) not in known:
        data = path.read_bytes()
        known[status.st_dev, status.st_ino] = File(data, data)
    return known[status.st_dev, status.st_ino]


def image(root: Folder, kept: Sequence[Change] | None = (), *, data: str = "synced") -> Image:
    """Return what a crash leaves if of the pending changes those in ``kept`` were kept by chance (None: all).

    ``data`` says what became of bytes that were not synced: ``synced`` (lost), ``half`` or ``all`` of them kept, or
    ``zeros`` in their place, where a file system had only noted how long the file is.
    """
    chosen = None if kept is None else set(map(id, kept))
    folders: list[str] = []
    links: list[tuple[str, str]] = []
    found: list[tuple[str, int]] = []
    numbers: dict[int, int] = {}
    contents: list[bytes] = []

    def walk(folder: Folder, prefix: str) -> None:
        for name, node in sorted(_after_crash(folder, chosen).items()):
            path = prefix + name
            if isinstance(node, Folder):
                folders.append(path)
                walk(node, path + "/")
            elif isinstance(node, Link):
                links.append((path, node.target))
            else:
                if id(node) not in numbers:
                    numbers[id(node)] = len(contents)
                    contents.append(_bytes_after_crash(node, data))
                found.append((path, numbers[id(node)]))

    walk(root, "")
    return Image(tuple(folders), tuple(links), tuple(found), tuple(contents))


def _after_crash(folder: Folder, chosen: set[int] | None) -> dict[str, Node]:
    if chosen is None:
        return folder.names
    names = dict(folder.synced)
    for change in folder.pending:
        before = change.after
        if id(change) in chosen and (before is None or before.synced or id(before) in chosen):
            _apply(names, change)
    return names


def _apply(names: dict[str, Node], change: Change) -> None:
    for name, node in change.names:
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _bytes_after_crash(node: File, data: str) -> bytes:
    if data == "all":
        return node.data
    if data == "half" and node.data != node.synced:
        return node.data[: len(node.data) // 2]
    if data == "zeros":
        return node.synced + bytes(max(0, len(node.data) - len(node.synced)))
    return node.synced


def pending(root: Folder) -> list[Change]:
    """Return every change that a crash may lose, in every folder that can be reached."""
    return [change for _, folder in _folders(root) for change in folder.pending]


def unsynced(root: Folder) -> list[str]:
    """Return what is not durable: names, and bytes of files; the lock and what recovery removes do not matter."""
    found = []
    for prefix, folder in _folders(root):
        if "/.tmp-" in f"/{prefix}":
            continue  # it counts when it gets its name: see tests.crash.recorder
        found += [f"{prefix}: {item.text}" for item in folder.pending if not _harmless(item)]
        found += [
            f"{prefix}{name}: bytes"
            for name, node in folder.names.items()
            if isinstance(node, File)
            and node.data != node.synced
            and name != "lock"
            and not name.startswith(".tmp-")
        ]
    return found


def _harmless(change: Change) -> bool:
    return all(name == "lock" or (node is None and name.startswith(".tmp-")) for name, node in change.names)


def _folders(top: Folder, prefix: str = "") -> Iterator[tuple[str, Folder]]:
    yield prefix, top
    for name, node in top.names.items():
        if isinstance(node, Folder):
            yield from _folders(node, f"{prefix}{name}/")
