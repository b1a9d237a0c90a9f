"""Reserve: see that there is room for what an import still writes, and hold it (SPEC 7.8-5)."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from airlift import files
from airlift.errors import NoSpaceError
from airlift.files import Reservation
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.staged import RESERVED, load_manifest, staged_folders

SPACE_MARGIN = 16 << 20
LARGE_BYTES = 16 << 20
MAX_BEGUN = 64
"""How many files are open at once before they are written."""
THREADS = 4


@contextmanager
def reserve(
    enclave: Enclave, digest: str, need: int, *, keep: bool = False, apart: int = 0
) -> Iterator[Reservation]:
    """Give ``need`` bytes of room, and a margin, until the body is done; with ``keep`` for as long as it is staged.

    Of these the body itself sets ``apart`` bytes aside: see :func:`begun`.

    What is held for this bundle already is part of it. When it is no longer needed it is given back, so that there is
    room for the record of what was done.

    Raises:
        NoSpaceError: there is not so much; nothing was changed.
    """
    folder = enclave.staging_path(digest)
    held = folder / RESERVED
    check_space(enclave, folder, need)
    fresh = keep and not folder.exists()
    lasting = keep or held.exists()
    try:
        files.make_folder(folder if lasting else enclave.staging)
        with files.reserving(held if lasting else enclave.staging / RESERVED, lasting=lasting) as room:
            room.resize(need - apart + SPACE_MARGIN)
            fresh = False
            yield room
    except NoSpaceError:
        if fresh:
            files.remove(folder)
        raise
    if not keep:
        give_back(enclave, digest)


def begun_apart(enclave: Enclave, digest: str, contents: Mapping[str, int]) -> dict[str, int]:
    """Return which contents (size in bytes by SHA-512) get their room in the files that they are written to.

    Those are large ones, so that their blocks are allocated once and not twice; none if room is held already. Their
    order is that of ``contents``.
    """
    if (enclave.staging_path(digest) / RESERVED).exists():
        return {}
    large = sorted(
        (sha512 for sha512, size in contents.items() if size >= LARGE_BYTES), key=contents.__getitem__
    )
    chosen = set(large[-MAX_BEGUN:])
    return {sha512: size for sha512, size in contents.items() if sha512 in chosen}


@contextmanager
def begun(folder: Path, contents: Mapping[str, int]) -> Iterator[dict[str, files.Begun]]:
    """Give a temporary file in ``folder`` for each content; whoever writes one takes it out.

    Threads set their room aside while the body is at work.

    Raises:
        NoSpaceError: as the body does. If it was not all there nothing was changed, else finished files are kept.
    """
    found, fresh = dict[str, files.Begun](), not folder.parent.exists()
    rooms = list[Future[None]]()
    files.make_folder(folder)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                for sha512, length in contents.items():
                    found[sha512] = files.begin(folder / sha512, length, pool)
                    rooms.append(found[sha512].room)
                yield found
            finally:
                for one in found.values():
                    one.room.cancel()
                for one in found.values():
                    files.drop(one)
    except NoSpaceError:
        there = [not room.cancelled() and room.exception() is None for room in rooms]
        if fresh and there.count(True) < len(contents):
            files.remove(folder.parent)
        raise


def give_back(enclave: Enclave, digest: str) -> None:
    """Let go of the room that is held for a bundle, if it is."""
    held = enclave.staging_path(digest) / RESERVED
    if held.exists():
        files.remove(held)


def check_space(enclave: Enclave, folder: Path, need: int) -> None:
    """Check that ``need`` bytes can be written for the bundle that is staged in ``folder``.

    Raises:
        NoSpaceError: they cannot; it says how many bytes are lacking, and which other bundles hold room.
    """
    others = [path for path in staged_folders(enclave) if path != folder]
    free = files.free_bytes(enclave.folder) + files.held_bytes(folder / RESERVED)[1]
    for path in others:
        stated, held = files.held_bytes(path / RESERVED)
        free -= stated - held
    lacking = need + SPACE_MARGIN - free
    if lacking > 0:
        raise NoSpaceError(
            f"{lacking} bytes of room are lacking to import the bundle",
            expected=f"{need + SPACE_MARGIN} bytes",
            found=f"{max(0, free)} bytes that are not reserved",
            hint=_hint(others),
            data={"needed": need + SPACE_MARGIN, "free": max(0, free), "lacking": lacking},
        )


def _hint(others: list[Path]) -> str | None:
    """Return what to do about a lack of room: bundles that are staged can be discarded."""
    found = [load_manifest(path) for path in others]
    names = [bundle.id if bundle else path.name for bundle, path in zip(found, others, strict=True)]
    if not names:
        return None
    return (
        f"free some space (`airlift high gc`, or `airlift high discard {names[0]}`, which is staged: "
        "see `airlift high status`), then run the same command again"
    )
