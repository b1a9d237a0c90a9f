"""Ask a Hugging Face endpoint, and fetch models pinned to a commit: the only module of airlift that opens sockets.

``huggingface_hub`` is imported inside the function that needs it (extra ``low``). Which files there are, and the
SHA-256 of those in LFS, is what the endpoint (``HF_ENDPOINT``) says of that commit, whatever else the local cache
holds.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from airlift import progress as progress_module
from airlift.bundle.patterns import Patterns
from airlift.errors import ManifestError, NotHeldError, UncheckedError, UsageError
from airlift.intake.choose import Chosen, choose
from airlift.progress import Progress

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """Files of one commit in the local cache: path by relative path, sorted; SHA-256 (hex) of those in LFS; bytes.

    ``skipped`` are leftovers that the commit holds, ``left_out`` files that the patterns leave out; none was fetched.
    """

    repo: str
    revision: str
    paths: Mapping[str, Path]
    sha256: Mapping[str, str]
    bytes: int
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def fetch(
    repo: str,
    revision: str,
    include: Sequence[str] = (),
    folder: Path | None = None,
    progress: Progress = progress_module.silent,
    *,
    exclude: Sequence[str] = (),
) -> Fetched:
    """Bring the files of ``repo`` at the commit ``revision`` into the local cache; those there already are kept.

    ``include`` and ``exclude`` are glob patterns on the relative path (none: everything, and nothing); ``folder`` is
    the cache (none: the usual).

    Raises:
        UsageError: huggingface_hub is not installed.
        ManifestError: ``revision`` is no commit.
        ForbiddenFileError: a pattern of ``exclude`` fits no file.
        NotHeldError: the endpoint does not have the repository, the commit, or any file that the patterns leave.
        UncheckedError: the endpoint cannot be reached, or breaks off.
    """
    if not _COMMIT.fullmatch(revision):
        raise ManifestError(
            "a revision must be a whole commit",
            expected="40 lower-case hex digits",
            found=ascii(revision[:80]),
        )
    library = _library()
    origin = _Origin(library, os.environ.get("HF_ENDPOINT"), repo, revision)
    wanted, chosen = _list(origin, Patterns(tuple(include), tuple(exclude)))
    total, done = sum(item.size or 0 for item in wanted), 0
    paths = {}
    for item in wanted:
        progress(f"fetching {repo}", done, total)
        paths[item.rfilename] = _download(origin, item.rfilename, folder)
        done += item.size or 0
    progress(f"fetching {repo}", done, total)
    sha256 = {item.rfilename: str(item.lfs.sha256) for item in wanted if item.lfs is not None}
    return Fetched(repo, revision, paths, sha256, done, chosen.skipped, chosen.left_out)


def newest_commit(repo: str, branch: str) -> str:
    """Return the newest commit (40 hex digits) of a branch, as the endpoint tells it.

    Raises:
        UsageError: huggingface_hub is not installed.
        NotHeldError: the endpoint does not have the repository or the branch.
        UncheckedError: the endpoint cannot be reached, or answers with no commit.
    """
    library = _library()
    what = f"branch {branch} of {repo}"
    try:
        sha = library.HfApi(endpoint=os.environ.get("HF_ENDPOINT")).model_info(repo, revision=branch).sha
    except _failures(library) as error:
        raise _translated(library, what, error) from error
    if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
        raise UncheckedError(
            f"the endpoint tells no commit of {what}", expected="40 hex digits", found=ascii(sha)[:80]
        )
    return sha


@dataclass(frozen=True, slots=True)
class _Origin:
    library: ModuleType
    endpoint: str | None
    repo: str
    revision: str


def _library() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.errors
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise UsageError(
            "huggingface_hub is not installed", hint="install it on the low side: pip install 'airlift[low]'"
        ) from error
    disable_progress_bars()
    return huggingface_hub


def _list(origin: _Origin, patterns: Patterns) -> tuple[list[Any], Chosen]:
    """Return what the endpoint says of each wanted file of the commit (``RepoSibling``), sorted by path."""
    what = f"{origin.repo} at {origin.revision}"
    try:
        api = origin.library.HfApi(endpoint=origin.endpoint)
        info = api.model_info(origin.repo, revision=origin.revision, files_metadata=True)
    except _failures(origin.library) as error:
        raise _translated(origin.library, what, error) from error
    if info.sha != origin.revision:
        raise UncheckedError(
            f"the endpoint answered with another commit of {origin.repo}",
            expected=origin.revision,
            found=ascii(info.sha),
        )
    listed = {str(item.rfilename): item for item in info.siblings or ()}
    chosen = choose(listed, patterns)
    if not chosen.kept:
        raise NotHeldError(f"{what} has no such files", expected=", ".join(patterns.include) or "any file")
    return [listed[name] for name in chosen.kept], chosen


def _download(origin: _Origin, name: str, folder: Path | None) -> Path:
    try:
        path = origin.library.hf_hub_download(
            origin.repo, name, revision=origin.revision, endpoint=origin.endpoint, cache_dir=folder
        )
    except _failures(origin.library) as error:
        raise _translated(origin.library, f"{name} of {origin.repo}", error) from error
    return Path(path).resolve()


def _failures(library: ModuleType) -> tuple[type[Exception], ...]:
    """Return what the library raises when an endpoint cannot be used.

    Its own errors are OSErrors or ValueErrors; ``HTTPError`` is that of the HTTP library underneath, whichever it is.
    """
    return (OSError, ValueError, getattr(library.errors, "HTTPError", OSError))


def _translated(library: ModuleType, what: str, error: Exception) -> UncheckedError | NotHeldError:
    absent = (
        library.errors.RepositoryNotFoundError,
        library.errors.RevisionNotFoundError,
        library.errors.RemoteEntryNotFoundError,
    )
    if isinstance(error, absent):
        return NotHeldError(
            f"the endpoint does not have {what}", hint="check name, revision and access rights"
        )
    return UncheckedError(
        f"cannot fetch {what}",
        found=f"{type(error).__name__}: {str(error)[:200]}",
        hint="check the network and HF_ENDPOINT, then run the same command again; what was fetched is kept",
    )
