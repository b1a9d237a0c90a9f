"""Put a release into a bucket that policy names; all is read back before anything points at it (SPEC 8.7-10)."""

import hashlib
import posixpath
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

from airlift import strict
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release
from airlift.errors import BucketError, DigestError, LayoutError, UsageError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.enclave.recover import recover
from airlift.high.serving.bucket import OpenBucket
from airlift.high.serving.export import find
from airlift.layouts.build import joined_pieces
from airlift.layouts.layouts import Choice, plan_of
from airlift.layouts.plan import Joined, Linked, Plan, Pointer, Written
from airlift.ledger.entries.exports import Export
from airlift.policy.document import Bucket
from airlift.progress import Progress, silent

POINTER = "active.json"


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What was put where: ``prefix`` is that of its objects, of which ``sent_bytes`` were sent now."""

    release: str
    digest: str
    layout: str
    output: str
    prefix: str
    files: int
    bytes: int
    sent_bytes: int
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UploadJob:
    """What to put into a bucket: a release (``name@version``, digest or ``active``), as what, and where."""

    reference: str
    choice: Choice
    url: str


def upload(
    enclave: Enclave,
    job: UploadJob,
    *,
    operator: Operator,
    dry_run: bool = False,
    progress: Progress = silent,
) -> UploadResult:
    """Put an installed release into a bucket.

    Raises:
        UsageError: this is no URL of a bucket, or obstore is not installed.
        BucketError: policy does not name it; nothing was opened.
        NotHeldError: the release is not installed, or none is active. RefusedError: policy would not let it run.
        VariantError: policy chooses none of its variants, or one that is not held.
        LayoutError: the release cannot be served so.
        UncheckedError: the server cannot be reached, or does not let us.
        DigestError: the server gives back something else than was sent.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        permitted = _permitted(policy.load(enclave, state).buckets, job.url)
        release = find(enclave, job.reference, state, operator.now)
        plan = plan_of(job.choice, release, enclave.content)
        prefix = _key_of(job.url, job.choice.tree_name(release.digest, release.chosen))
        parcels = [_parcel(plan, path, enclave) for path in sorted(plan)]
        result = UploadResult(
            release=release.label,
            digest=release.digest,
            layout=job.choice.layout,
            output=job.url,
            prefix=prefix,
            files=len(parcels),
            bytes=sum(parcel.size for parcel in parcels),
            sent_bytes=0,
            recovered=recovered,
        )
        if dry_run:
            return result
        bucket = OpenBucket(permitted)
        sent = _send(bucket, prefix, parcels, enclave, progress)
        _read_back(bucket, prefix, parcels, enclave, progress)
        _record(enclave, operator, job, release)
        _point(bucket, result)
        return replace(result, sent_bytes=sent)


def _record(enclave: Enclave, operator: Operator, job: UploadJob, release: Release) -> None:
    chosen, served = job.choice, release_ref(release)
    detail = Export(
        served, chosen.layout, job.url, follow=False, components=chosen.components, names=dict(chosen.names)
    )
    enclave.record(operator, detail, release=release.digest)


def _point(bucket: OpenBucket, result: UploadResult) -> None:
    """Say at the prefix which release is there to be read."""
    data = strict.format({name: getattr(result, name) for name in ("release", "digest", "layout", "prefix")})
    bucket.put(_key_of(result.output, POINTER), [data], hashlib.sha512(data).hexdigest())


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One object: its path below the prefix, size in bytes, SHA-512 (hex), and the part of the plan that it is."""

    path: str
    size: int
    sha512: str
    part: Linked | Written | Joined

    def pieces(self, enclave: Enclave) -> Iterator[bytes]:
        match self.part:
            case Linked():
                return joined_pieces(Joined((self.part.entry,)), enclave.content)
            case Written():
                return iter([self.part.data])
            case Joined():
                return joined_pieces(self.part, enclave.content)


def _permitted(buckets: tuple[Bucket, ...], url: str) -> Bucket:
    if (
        not url.startswith("s3://")
        or ".." in url
        or url.endswith("/")
        or not url.isascii()
        or not url.isprintable()
    ):
        raise UsageError("this is no bucket", expected="s3://BUCKET/PREFIX", found=ascii(url[:80]))
    for bucket in buckets:
        if bucket.covers(url):
            return bucket
    raise BucketError(
        "policy does not let releases be put there",
        expected=", ".join(bucket.url for bucket in buckets) or "no bucket at all",
        found=url[:200],
    )


def _key_of(url: str, name: str) -> str:
    """Return the key of an object below the URL of a bucket."""
    return posixpath.join(url.removeprefix("s3://").partition("/")[2], name)


def _parcel(plan: Plan, path: str, enclave: Enclave) -> _Parcel:
    part = plan[path]
    if isinstance(part, Pointer):
        part = _followed(plan, path)
    match part:
        case Linked():
            return _Parcel(path, part.entry.size, part.entry.sha512, part)
        case Written():
            return _Parcel(path, len(part.data), hashlib.sha512(part.data).hexdigest(), part)
        case Joined():
            running = hashlib.sha512()
            for piece in joined_pieces(part, enclave.content):
                running.update(piece)
            size = sum(p.size if isinstance(p, FileEntry) else len(p) for p in part.parts)
            return _Parcel(path, size, running.hexdigest(), part)


def _followed(plan: Plan, path: str) -> Linked | Written | Joined:
    """Return the file that a link of a layout leads to.

    Raises:
        LayoutError: it leads to a folder, or in a circle.
    """
    at = path
    for _ in range(8):
        part = plan.get(at)
        if isinstance(part, Linked | Written | Joined):
            return part
        if not isinstance(part, Pointer):
            break
        at = posixpath.normpath(posixpath.join(posixpath.dirname(at), part.target))
    raise LayoutError("this layout has links to folders, and a bucket has none", found=path)


def _send(
    bucket: OpenBucket, prefix: str, parcels: list[_Parcel], enclave: Enclave, progress: Progress
) -> int:
    """Send what is not there yet; return how many bytes."""
    total, done, sent = sum(parcel.size for parcel in parcels), 0, 0
    for parcel in parcels:
        key = posixpath.join(prefix, parcel.path)
        if bucket.digest_said(key, parcel.size) != parcel.sha512:
            bucket.put(key, _counted(parcel.pieces(enclave), progress, done, total), parcel.sha512)
            sent += parcel.size
        done += parcel.size
        progress("sending", done, total)
    return sent


def _read_back(
    bucket: OpenBucket, prefix: str, parcels: list[_Parcel], enclave: Enclave, progress: Progress
) -> None:
    """Digest every object as the server gives it, and send once more what differs."""
    total, done = sum(parcel.size for parcel in parcels), 0
    for parcel in parcels:
        key = posixpath.join(prefix, parcel.path)
        if bucket.digest(key) != parcel.sha512:
            bucket.put(key, parcel.pieces(enclave), parcel.sha512)
            found = bucket.digest(key)
            if found != parcel.sha512:
                raise DigestError(
                    f"the bucket gives back something else as {key}",
                    expected=parcel.sha512[:16],
                    found=found[:16],
                )
        done += parcel.size
        progress("reading back", done, total)


def _counted(pieces: Iterator[bytes], progress: Progress, done: int, total: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        done += len(piece)
        progress("sending", done, total)
