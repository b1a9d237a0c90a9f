"""Build a tree from a plan: hard links into content where that can be, copies where not (SPEC 8.7-4)."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from airlift import files
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import ContentDamagedError
from airlift.layouts.plan import Joined, Linked, Plan, Pointer, Written
from airlift.progress import Progress, silent
from airlift.store.content import ContentFolder
from airlift.store.whole_folders import building


@dataclass(slots=True)
class Built:
    """How many files and pointers a tree has, and how many bytes of it are linked, copied or written anew.

    Bytes of a joined file whose blocks the file system shares count as linked.
    """

    files: int = 0
    pointers: int = 0
    linked_bytes: int = 0
    copied_bytes: int = 0
    written_bytes: int = 0


@dataclass(slots=True)
class Drafts:
    """Joined files that are written in ``folder`` while they are digested; a tree that is filled there takes them.

    So their content is read once: the plan that names them by their digest needs that anyway. ``total`` is how many
    bytes that may be at most, for ``progress``.
    """

    content: ContentFolder
    folder: Path
    progress: Progress = silent
    total: int = 0
    _made: dict[Joined, tuple[Path, Built]] = field(default_factory=dict)
    _done: int = 0

    def digest(self, joined: Joined) -> tuple[str, int]:
        """Write a joined file; as :func:`digest_joined`."""
        path, built = self.folder / f".draft-{len(self._made)}", Built()
        with files.writer(path) as out:
            found = digest_joined(joined, self.content, out, built, self._count)
        self._made[joined] = path, built
        return found

    def _count(self, size: int) -> None:
        self._done += size
        self.progress("joining files", self._done, max(self._done, self.total))

    def take(self, joined: Joined, target: Path, built: Built) -> bool:
        """Give a joined file that was written its place, and count it; say whether there was one."""
        if joined not in self._made:
            return False
        path, counted = self._made.pop(joined)
        files.rename_durable(path, target)
        built.linked_bytes += counted.linked_bytes
        built.written_bytes += counted.written_bytes
        return True

    def drop(self) -> None:
        """Remove what nobody took."""
        for path, _ in self._made.values():
            files.remove(path)


def build(plan: Plan, content: ContentFolder, place: Path, progress: Progress = silent) -> Built:
    """Build the tree of a plan at ``place``, where nothing may stand yet; it appears whole, durably.

    What must be copied is digested (SHA-512) on its way.

    Raises:
        ContentDamagedError: content of the release has vanished, or what was copied does not have its digest.
        StorageError: it cannot be written.
    """
    with building(place) as temporary:
        return fill(plan, content, temporary, progress)


def fill(
    plan: Plan,
    content: ContentFolder,
    place: Path,
    progress: Progress = silent,
    drafts: Drafts | None = None,
) -> Built:
    """Build the tree of a plan in ``place``, empty but for ``drafts``, durably; errors as of :func:`build`."""
    drafts = drafts or Drafts(content, place)
    built, total, folders = Built(), sum(sizes(plan)), {place}
    for path, part in sorted(plan.items()):
        target = place / path
        if target.parent not in folders:
            folders |= _make_folders(target.parent, place)
        _put(part, drafts, target, built)
        progress("exporting", built.linked_bytes + built.copied_bytes + built.written_bytes, total)
    drafts.drop()
    files.sync_folders(map(str, sorted(folders)))
    return built


def sizes(plan: Plan) -> Iterator[int]:
    """Yield the bytes of every file of a plan."""
    for part in plan.values():
        match part:
            case Linked():
                yield part.entry.size
            case Written():
                yield len(part.data)
            case Joined():
                yield sum(p.size if isinstance(p, FileEntry) else len(p) for p in part.parts)


def joined_pieces(joined: Joined, content: ContentFolder) -> Iterator[bytes]:
    """Yield the bytes of a joined file in order, in pieces of at most 1 MiB or a part's own length.

    Raises:
        ContentDamagedError: content has vanished, or has another length.
    """
    for part in joined.parts:
        if isinstance(part, FileEntry):
            yield from _content_pieces(part, content)
        else:
            yield part


def digest_joined(
    joined: Joined,
    content: ContentFolder,
    out: files.Writer | None = None,
    built: Built | None = None,
    beat: Callable[[int], object] = int,
) -> tuple[str, int]:
    """Return the SHA-256 (hex) of a joined file, and its size in bytes; content in it has its own digest.

    Both are computed at once, each in a thread of its own. With ``out`` the same pass writes the file, and counts in
    ``built`` what was written, and what the file system shares. ``beat`` is told how many bytes came, piece by piece.

    Raises:
        ContentDamagedError: content has vanished, or does not have its digest.
        StorageError: it cannot be written.
    """
    whole, counts = hashlib.sha256(), built or Built()
    before = counts.linked_bytes + counts.written_bytes
    with ThreadPoolExecutor(1) as other:
        for part in joined.parts:
            offset, shared, own = 0, _share(part, content, out), hashlib.sha256()
            counts.linked_bytes += shared
            for piece in [part] if isinstance(part, bytes) else _content_pieces(part, content):
                beside = other.submit(own.update, piece)
                whole.update(piece)
                if out is not None and offset + len(piece) > shared:
                    out.write(memoryview(piece)[max(0, shared - offset) :])
                beside.result()
                offset += len(piece)
                beat(len(piece))
            counts.written_bytes += offset - shared
            if isinstance(part, FileEntry) and own.hexdigest() != part.sha256:
                raise ContentDamagedError(
                    "content at rest is damaged", expected=part.sha256[:16], found=own.hexdigest()[:16]
                )
    return whole.hexdigest(), counts.linked_bytes + counts.written_bytes - before


def _put(part: Linked | Written | Joined | Pointer, drafts: Drafts, target: Path, built: Built) -> None:
    match part:
        case Pointer():
            files.add_link(target, part.target)
            built.pointers += 1
            return
        case Linked():
            _link_or_copy(part.entry, drafts.content, target, built)
        case Written():
            _write(target, iter([part.data]))
            built.written_bytes += len(part.data)
        case Joined():
            if not drafts.take(part, target, built):
                _join(part, drafts.content, target, built)
    built.files += 1


def _link_or_copy(entry: FileEntry, content: ContentFolder, target: Path, built: Built) -> None:
    source = _held(entry, content)
    if files.link_if_possible(source, target):
        built.linked_bytes += entry.size
        return
    running = hashlib.sha512()
    built.copied_bytes += _write(target, _fed(_content_pieces(entry, content), running))
    if running.hexdigest() != entry.sha512:
        raise ContentDamagedError(
            "content at rest is damaged", expected=entry.sha512[:16], found=running.hexdigest()[:16]
        )


def _join(joined: Joined, content: ContentFolder, target: Path, built: Built) -> None:
    """Write a joined file; blocks of content are shared where the file system can, and they begin where blocks do."""
    with files.writer(target) as out:
        for part in joined.parts:
            if isinstance(part, bytes):
                out.write(part)
                built.written_bytes += len(part)
                continue
            shared = _share(part, content, out)
            built.linked_bytes += shared
            for piece in _content_pieces(part, content, shared):
                out.write(piece)
                built.written_bytes += len(piece)


def _share(part: bytes | FileEntry, content: ContentFolder, out: files.Writer | None) -> int:
    """Let a file that is written share the blocks of content; return how many bytes, 0 if none."""
    if out is None or isinstance(part, bytes):
        return 0
    with files.opened(_held(part, content)) as source:
        return out.share_blocks(source, part.size)


def _fed(pieces: Iterator[bytes], running: "hashlib._Hash") -> Iterator[bytes]:
    """Yield pieces, each after it was digested."""
    for piece in pieces:
        running.update(piece)
        yield piece


def _held(entry: FileEntry, content: ContentFolder) -> Path:
    path = content.path(entry.sha512)
    if not path.is_file():
        raise ContentDamagedError("content has vanished", expected=str(path), found=f"no {entry.path}")
    return path


def _content_pieces(entry: FileEntry, content: ContentFolder, offset: int = 0) -> Iterator[bytes]:
    """Yield the bytes of content from ``offset`` on."""
    path = _held(entry, content)
    with files.opened(path) as descriptor:
        while True:
            with files.reading(path):
                data = files.read_at(descriptor, offset, files.COPY_BYTES)
            if not data:
                break
            yield data
            offset += len(data)
    if offset != entry.size:
        raise ContentDamagedError(
            "content at rest has another length", expected=str(entry.size), found=str(offset)
        )


def _write(target: Path, pieces: Iterator[bytes]) -> int:
    """Write a file of a tree that is not there yet, durably; return its size."""
    size = 0
    with files.writer(target) as out:  # some file systems have no hard links at all
        for piece in pieces:
            out.write(piece)
            size += len(piece)
    return size


def _make_folders(folder: Path, top: Path) -> set[Path]:
    """Make a folder below ``top`` with those that it lies in; return them."""
    found = set()
    while folder != top:
        found.add(folder)
        folder = folder.parent
    for path in sorted(found):
        files.make_folder(path)
    return found
