"""Repair: rebuild content at rest that is damaged, from volumes of a bundle that was imported before (SPEC 8.4)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.errors import NotHeldError
from airlift.high.enclave.check_content import CheckResult, examine, insist_intact, installed_places
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.expected import load_expected
from airlift.high.enclave.recover import recover
from airlift.high.enclave.switching import follow
from airlift.high.importing.install import needed_bases, staging_folder
from airlift.high.importing.rebuild import Task, rebuild
from airlift.high.verification.read_chunks import ChunkReader
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.progress import Progress, silent


def repair(
    enclave: Enclave,
    paths: Sequence[Path],
    *,
    operator: Operator,
    progress: Progress = silent,
    workers: int = 2,
    dry_run: bool = False,
) -> CheckResult:
    """Check, and rebuild what is damaged from the volumes of a bundle that this enclave committed.

    Raises:
        NotHeldError: the volumes are not of a committed bundle.
        ContentDamagedError: something is damaged that the bundle does not hold.
    """
    with enclave.reading() if dry_run else enclave.lock():
        if not dry_run:
            recover(enclave, operator)
        expected = enclave.look(lambda state: load_expected(enclave, state))
        found = examine(enclave, expected, progress, workers)
        verified = enclave.look(lambda state: verify_bundle(enclave, paths, state, operator.now))
        if verified.trusted is not None:
            raise NotHeldError(
                "the volumes are not of a bundle that was imported here", found=verified.bundle.id
            )
        chunks = ChunkReader(verified, enclave.staging_path(verified.digest) / volume.CHUNKS)
        able = {item.sha512 for item in verified.own.files} & set(found.damaged)
        if able and not dry_run:
            folder = files.make_folder(staging_folder(enclave, verified, expected))
            needed_bases(enclave, verified)
            rebuild(enclave, chunks, Task(able, folder), progress, expected=expected, workers=workers)
            _replace(enclave, folder, able)
            files.remove(enclave.staging_path(verified.digest))
            follow.renew(enclave, enclave.state())
            found = replace(found, exports=tuple(follow.differing(enclave, enclave.state())))
    left = tuple(digest for digest in found.damaged if digest not in able)
    insist_intact(enclave, replace(found, damaged=left, repaired=tuple(sorted(able))))
    return replace(
        found,
        repaired=tuple(sorted(able)),
        passed_over=verified.passed_over,
        repaired_chunks=tuple(chunks.repaired),
        damaged_volumes=tuple(sorted(chunks.damaged)),
    )


def _replace(enclave: Enclave, folder: Path, repaired: set[str]) -> None:
    """Put repaired content in place and link it anew wherever it is installed."""
    places = installed_places(enclave)
    for sha512 in sorted(repaired):
        content, *links = map(Path, places[sha512][1])
        enclave.content.adopt(folder / sha512, sha512)
        for link in links:
            files.make_folder(link.parent)
            files.relink(content, link, enclave.staging)
