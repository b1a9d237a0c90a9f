"""Verify a medium's TUF metadata against the pinned root and the committed state (SPEC 4.4). High side.

One function, :func:`verify_metadata`, drives ``tuf.ngclient.Updater`` on a scratch copy of the state, without a
network and at a given reference time. The caller commits what it returns, or nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from tuf.api import exceptions
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from airlift import files
from airlift.errors import (
    AirliftError,
    DigestError,
    ExpiredError,
    InventoryError,
    MalformedError,
    ReplayError,
    SignatureError,
    TrustStateError,
)
from airlift.trust.tuf import metadata, roles, targets
from airlift.trust.tuf.fetcher import BASE_URL, MediumFetcher, ReadFile
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, STATE_ROLES, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import BUNDLER, Document
from airlift.trust.tuf.targets import BUNDLE_PREFIX
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

MAX_ROOTS = 1024
_SCRATCH_MODE = 0o600

KeepRoot = Callable[[int, bytes], None]


def verify_metadata(
    *,
    pinned_root: bytes,
    roots: Mapping[int, bytes],
    state: Mapping[str, bytes],
    read: ReadFile,
    reference_time: datetime,
    workdir: Path,
    keep_root: KeepRoot,
) -> TrustedMetadata:
    """Verify the medium's metadata with ``read`` and return what is to be trusted from now on.

    ``roots`` are the newer roots kept so far, by version, and ``state`` the committed files or nothing. ``workdir``
    is an empty scratch folder. ``keep_root`` is called for every newly verified root, even if the rest then fails.

    Raises:
        ExpiredError: the metadata that would be used has expired at ``reference_time`` (aware, UTC).
        InventoryError: the medium lacks metadata.
        ReplayError, SignatureError, DigestError, MalformedError: what the medium holds is proven bad.
        TrustStateError: the enclave's own roots or state are damaged.
    """
    _check_own(roots, state)
    metadata.check(ROOT, pinned_root)
    _prepare(workdir, roots, state)
    fetcher = MediumFetcher(read, state, lambda: _own_timestamp(updater))
    with _errors(workdir):
        updater = Updater(str(workdir), BASE_URL, fetcher=fetcher, config=_config(), bootstrap=pinned_root)
    trusted = _set_reference_time(updater, reference_time)
    try:
        with _errors(workdir), _expiry(trusted, fetcher):
            updater.refresh()
            updater.get_targetinfo(f"{BUNDLE_PREFIX}{'0' * 64}")  # loads the bundler's metadata
    finally:
        chain = _chain(workdir, metadata.version_of(metadata.check(ROOT, pinned_root)), trusted.root.version)
        _keep(chain, roots, keep_root)
    if roots and trusted.root.version < max(roots):
        raise TrustStateError("a kept root no longer verifies", expected=f"root version {max(roots)}")
    return _result(workdir, chain, overtaken=fetcher.overtaken)


# -- before --------------------------------------------------------------------------------------------------------


def _check_own(roots: Mapping[int, bytes], state: Mapping[str, bytes]) -> None:
    expected = {f"{role}.json" for role in STATE_ROLES}
    if state and set(state) != expected:
        raise TrustStateError("the trust state is incomplete", expected=", ".join(sorted(expected)))
    try:
        for role in STATE_ROLES:
            if state:
                metadata.check(role, state[f"{role}.json"])
        for data in roots.values():
            metadata.check(ROOT, data)
    except AirliftError as error:
        raise TrustStateError(f"the trust state is damaged: {error.message}", found=error.found) from error


def _prepare(workdir: Path, roots: Mapping[int, bytes], state: Mapping[str, bytes]) -> None:
    history = files.make_folder(workdir / "root_history")
    for version, data in roots.items():
        files.write_durable(history / f"{version}.root.json", data, mode=_SCRATCH_MODE)
    for name, data in state.items():
        files.write_durable(workdir / name, data, mode=_SCRATCH_MODE)


def _config() -> UpdaterConfig:
    return UpdaterConfig(
        max_root_rotations=MAX_ROOTS,
        root_max_length=metadata.MAX_BYTES[ROOT],
        timestamp_max_length=metadata.MAX_BYTES[TIMESTAMP],
        snapshot_max_length=metadata.MAX_BYTES[SNAPSHOT],
        targets_max_length=metadata.MAX_BYTES[TARGETS],
    )


def _set_reference_time(updater: Updater, reference_time: datetime) -> TrustedMetadataSet:
    """Set the time that expiry is judged by; tuf 7.0 has no API for it, so this is pinned by a test."""
    trusted = getattr(updater, "_trusted_set", None)
    if not isinstance(trusted, TrustedMetadataSet) or not isinstance(
        getattr(trusted, "reference_time", None), datetime
    ):
        raise AirliftError("this version of tuf has no reference time to set", expected="tuf 7.0")
    trusted.reference_time = reference_time
    return trusted


def _own_timestamp(updater: Updater) -> int:
    """Return the version of the own timestamp if it verified under the newest root, else 0."""
    trusted = updater._trusted_set  # noqa: SLF001 - as above
    return int(trusted.timestamp.version) if TIMESTAMP in trusted else 0


# -- errors --------------------------------------------------------------------------------------------------------


@contextmanager
def _errors(workdir: Path) -> Iterator[None]:
    """Let nothing of tuf's exceptions escape; errors of ours come out as themselves."""
    try:
        with files.writing(workdir):
            yield
    except exceptions.BadVersionNumberError as error:
        raise ReplayError(f"metadata is older than what is trusted: {error}") from error
    except exceptions.UnsignedMetadataError as error:
        raise SignatureError(f"metadata is not signed by its role: {error}") from error
    except exceptions.LengthOrHashMismatchError as error:
        raise DigestError(f"metadata is not what was signed: {error}") from error
    except exceptions.RepositoryError as error:
        raise MalformedError(f"metadata is not acceptable: {error}") from error
    except exceptions.DownloadHTTPError as error:
        raise InventoryError(
            f"metadata is missing: {error}", expected="all metadata on every volume"
        ) from error
    except exceptions.DownloadError as error:
        if isinstance(error.__cause__, AirliftError):
            raise error.__cause__ from error
        raise MalformedError(f"metadata cannot be loaded: {error}") from error


@contextmanager
def _expiry(trusted: TrustedMetadataSet, fetcher: MediumFetcher) -> Iterator[None]:
    """Name the role that has expired, and when, before :func:`_errors` would lose it."""
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise _expired(trusted, fetcher) from error


def _expired(trusted: TrustedMetadataSet, fetcher: MediumFetcher) -> ExpiredError:
    times = {role: trusted[role].expires for role in (ROOT, TIMESTAMP, SNAPSHOT) if role in trusted}
    for role, document in fetcher.served.items():
        times.setdefault(role, metadata.expiry_of(document))
    role, expires = min(times.items(), key=lambda item: item[1])
    return ExpiredError(
        f"the metadata of role {role} has expired",
        expected=f"an expiry after {trusted.reference_time.strftime(metadata.TIME)} (the reference time)",
        found=expires.strftime(metadata.TIME),
        hint="ask the low side for fresh metadata (`airlift low renew`) and import that with `airlift high import`; "
        "then run the same command again without --activate: what is staged is kept",
    )


# -- after ---------------------------------------------------------------------------------------------------------


def _chain(workdir: Path, first: int, last: int) -> dict[int, bytes]:
    """Return the verified roots ``[first, last]``; after a failed write the last one may be absent."""
    paths = {version: workdir / "root_history" / f"{version}.root.json" for version in range(first, last + 1)}
    return {
        n: files.read_bounded(path, metadata.MAX_BYTES[ROOT]) for n, path in paths.items() if path.exists()
    }


def _keep(chain: Mapping[int, bytes], known: Mapping[int, bytes], keep_root: KeepRoot) -> None:
    for version, data in list(chain.items())[1:]:
        if known.get(version) != data:
            keep_root(version, data)


def _result(workdir: Path, chain: Mapping[int, bytes], *, overtaken: bool) -> TrustedMetadata:
    state = {
        f"{role}.json": files.read_bounded(workdir / f"{role}.json", metadata.MAX_BYTES[role])
        for role in STATE_ROLES
    }
    newest = max(chain)
    documents = {role: metadata.check(role, state[f"{role}.json"]) for role in STATE_ROLES}
    documents[ROOT] = metadata.check(ROOT, chain[newest])
    _check_root_version(documents, newest)
    return TrustedMetadata(
        files=MappingProxyType(state),
        roots=MappingProxyType(dict(chain)),
        versions={role: metadata.version_of(document) for role, document in documents.items()},
        expires={role: document["signed"]["expires"] for role, document in documents.items()},
        overtaken=overtaken,
        sequence=documents[BUNDLER]["signed"][metadata.SEQUENCE],
        holders=roles.holders(documents[ROOT]) | roles.holders(documents[TARGETS]),
        signers=_signers(documents),
        bundler_key_ids=tuple(sorted(roles.of(documents[TARGETS], BUNDLER).by_id())),
        targets=MappingProxyType(
            targets.listed(documents[TARGETS], TARGETS) | targets.listed(documents[BUNDLER], BUNDLER)
        ),
    )


def _check_root_version(documents: Mapping[str, Document], newest: int) -> None:
    """Refuse metadata that was made knowing a newer root than the medium carries: somebody left that root out."""
    known = documents[SNAPSHOT]["signed"][metadata.ROOT_VERSION]
    if newest < known:
        raise InventoryError(
            f"{newest + 1}.root.json is missing from the medium", expected=f"roots up to {known}"
        )


def _signers(documents: Mapping[str, Document]) -> dict[str, tuple[str, ...]]:
    """Return who signed each role; demanding the thresholds here once more costs little and trusts no file."""
    root = documents[ROOT]
    found = {
        role: roles.of(root, role).demand(documents[role], f"{role} metadata") for role in metadata.TOP_LEVEL
    }
    found[BUNDLER] = roles.of(documents[TARGETS], BUNDLER).demand(documents[BUNDLER], "bundler metadata")
    return found
