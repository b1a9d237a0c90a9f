"""Bring the files of one commit into the local cache (SPEC L2.10)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from airlift import files
from airlift import progress as progress_module
from airlift.bundle.paths import check_no_collision, check_relative
from airlift.bundle.patterns import Patterns
from airlift.errors import (
    ForbiddenFileError,
    MalformedError,
    ManifestError,
    NoSpaceError,
    NotHeldError,
    UncheckedError,
)
from airlift.intake.choose import Chosen, choose
from airlift.low.release.hub import listing
from airlift.low.release.hub.cache import Cache, find_cache
from airlift.low.release.hub.download import Errand, download
from airlift.low.release.hub.endpoint import Endpoint, check_repo, find_endpoint
from airlift.low.release.hub.proof import Listed, prove_file
from airlift.progress import Progress, Tally

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ROOM = 16 << 20  # bytes that the file system needs for names and folders


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository and a whole commit of it, and glob patterns on relative paths (none: everything, and nothing)."""

    repo: str
    revision: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """Files of one commit in the local cache: path by relative path, sorted; SHA-256 (hex) by path; bytes.

    ``skipped`` are leftovers that the commit holds, ``left_out`` files that the patterns leave out; none was fetched.
    ``came`` counts the bytes that came in now; what was in the cache before did not. ``folder`` is where all of them
    lie under their names.
    """

    repo: str
    revision: str
    paths: Mapping[str, Path]
    sha256: Mapping[str, str]
    bytes: int
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    came: int = 0
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would do: the size (bytes) of each file, by path; how many bytes would still have to come in."""

    repo: str
    revision: str
    sizes: Mapping[str, int]
    bytes: int
    to_come: int
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def fetch_commit(
    wanted: Wanted,
    folder: Path | None = None,
    progress: Progress = progress_module.silent,
    *,
    digested: bool = True,
) -> Fetched:
    """Bring the files of a commit into the cache ``folder`` (none: the usual one); those there already are kept.

    They are digested as they come, and those that were there where they lie; with ``digested=False`` of these only
    what is not in LFS, as the caller holds the others against ``sha256``. What is wrong there is fetched anew.

    Raises:
        UsageError: huggingface_hub is not installed, or HF_ENDPOINT is no address.
        ManifestError: this is no name of a repository, or no commit.
        ForbiddenFileError: a path that no component may have; a pattern of ``exclude`` fits no file.
        NotHeldError: the endpoint does not have the repository, the commit, or any file that the patterns leave.
        DigestError: a file is not what the endpoint lists; it is not kept.
        UncheckedError: the endpoint cannot be reached, wants a token, or breaks off; what came in is kept.
        StorageError: there is no room, or the cache cannot be written.
    """
    endpoint, cache, kept, chosen = _look(wanted, folder, progress)
    _check_room(cache, kept)
    total = sum(item.size for item in kept)
    tally = Tally(f"fetching {wanted.repo}", total, progress)
    tally.add(0)
    errand = Errand(endpoint, wanted.repo, cache, tally.add, partial(progress_module.tell, progress))
    paths, sha256, came = dict[str, Path](), dict[str, str](), 0
    for item in kept:
        found = _held(errand, item, digested=digested or not item.lfs)
        real, digest, count = found or download(errand, item)
        came += count
        paths[item.path], sha256[item.path] = cache.point(item, real), digest
    return Fetched(
        wanted.repo,
        wanted.revision,
        paths,
        sha256,
        total,
        chosen.skipped,
        chosen.left_out,
        came,
        cache.files,
    )


def plan_fetch(
    wanted: Wanted, folder: Path | None = None, progress: Progress = progress_module.silent
) -> Plan:
    """Say what :func:`fetch_commit` would do; nothing is fetched, and no file read.

    Raises:
        AirliftError: as :func:`fetch_commit`.
    """
    _, cache, kept, chosen = _look(wanted, folder, progress)
    return Plan(
        wanted.repo,
        wanted.revision,
        {item.path: item.size for item in kept},
        sum(item.size for item in kept),
        _to_come(cache, kept),
        chosen.skipped,
        chosen.left_out,
    )


def newest_commit(repo: str, branch: str, progress: Progress = progress_module.silent) -> str:
    """Return the newest commit (40 hex digits) of a branch, as the endpoint tells it.

    Raises:
        UsageError: huggingface_hub is not installed, or HF_ENDPOINT is no address.
        NotHeldError: the endpoint does not have the repository or the branch.
        UncheckedError: the endpoint cannot be reached, wants a token, or answers with no commit.
    """
    endpoint = find_endpoint()
    check_repo(endpoint.library, repo)
    return listing.find_newest(endpoint, repo, branch, partial(progress_module.tell, progress))


def _look(
    wanted: Wanted, folder: Path | None, progress: Progress
) -> tuple[Endpoint, Cache, list[Listed], Chosen]:
    """Ask what the commit holds, and choose."""
    endpoint = find_endpoint()
    check_repo(endpoint.library, wanted.repo)
    if not _COMMIT.fullmatch(wanted.revision):
        raise ManifestError(
            "a revision must be a whole commit",
            expected="40 lower-case hex digits",
            found=ascii(wanted.revision[:80]),
            hint=f"branches and tags move: name a commit, as {endpoint.place}/{wanted.repo}/commits/main shows it",
        )
    kept, chosen = _list(endpoint, wanted, progress)
    usual = Path(endpoint.library.constants.HF_HUB_CACHE).expanduser()
    return endpoint, find_cache(folder or usual, wanted.repo, wanted.revision), kept, chosen


def _list(endpoint: Endpoint, wanted: Wanted, progress: Progress) -> tuple[list[Listed], Chosen]:
    """Return what the endpoint lists of each wanted file of the commit, sorted by path."""
    tell, what = partial(progress_module.tell, progress), f"{wanted.repo} at {wanted.revision}"
    listed = listing.list_commit(endpoint, wanted.repo, wanted.revision, tell)
    chosen = choose(listed, Patterns(tuple(wanted.include), tuple(wanted.exclude)))
    if not chosen.kept:
        raise NotHeldError(
            f"{what} has no such files",
            expected=", ".join(wanted.include) or "any file",
            found=f"{len(chosen.left_out)} left out by patterns, {len(chosen.skipped)} leftovers",
            hint=f"see what it has: `airlift low fetch {wanted.repo} --revision {wanted.revision} --dry-run`",
        )
    _check_paths(chosen.kept)
    if not all(listed[path] for path in chosen.kept):
        tree = listing.list_tree(endpoint, wanted.repo, wanted.revision, tell)
        listed = {path: listed[path] or tree.get(path) for path in chosen.kept}
    kept = [item for item in (listed[path] for path in chosen.kept) if item is not None]
    if len(kept) < len(chosen.kept):
        unknown = next(path for path in chosen.kept if listed[path] is None)
        raise UncheckedError(
            f"the endpoint states no size and digest of {unknown} of {wanted.repo}",
            hint=listing.ANOTHER,
        )
    return kept, chosen


def _check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that no component may have, before anything is asked for or written under them."""
    try:
        for path in paths:
            check_relative(path)
        check_no_collision(list(paths))
    except MalformedError as error:
        raise ForbiddenFileError(
            error.message,
            expected=error.expected,
            found=error.found,
            hint="leave the file out: --exclude GLOB",
        ) from error


def _held(errand: Errand, item: Listed, *, digested: bool) -> tuple[Path, str, int] | None:
    """Return where a file lies already, its SHA-256, and that nothing came in; None if it is not there, or wrong."""
    real = errand.cache.find(item)
    if real is None:
        return None
    if not digested:
        errand.count(item.size)
        return real, item.digest, 0
    proof = prove_file(real, item, errand.count)
    if proof.holds:
        return real, proof.sha256, 0
    errand.count(-item.size)
    errand.tell(f"{item.path} of {errand.repo} in the cache is not what the endpoint lists: fetching it anew")
    return None


def _to_come(cache: Cache, kept: Sequence[Listed]) -> int:
    """Return how many bytes are neither in the cache nor collected for it."""
    lacking = {item.digest: item for item in kept if cache.find(item) is None}
    return sum(max(0, item.size - cache.collected(item)) for item in lacking.values())


def _check_room(cache: Cache, kept: Sequence[Listed]) -> None:
    needed, folder = _to_come(cache, kept), cache.folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = files.free_bytes(folder)
    if needed and needed + _ROOM > free:
        raise NoSpaceError(
            f"there is no room in {cache.folder.parent}",
            expected=f"{needed} bytes",
            found=f"{free} bytes free",
            hint="free some space, or fetch into a cache on another disk: --cache DIR",
        )
