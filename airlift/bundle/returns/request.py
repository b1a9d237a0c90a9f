"""A request: which chunks of a bundle an enclave lacks, as one document that its ledger's key signs (SPEC 9.14).

It is the payload of a DSSE envelope of type :data:`PAYLOAD_TYPE`. It names a bundle and chunks by numbers that the
low side gave them, and nothing else but the enclave. Typed codes say the same (``code``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import ENCLAVE_NAME, FileDigest, Marking
from airlift.bundle.manifest import MAX_CHUNKS, MAX_SEQUENCE
from airlift.bundle.own import Own
from airlift.bundle.returns import stated_ledger
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.errors import MalformedError, SequenceReusedError, UsageError

PAYLOAD_TYPE = "application/vnd.airlift.request+json"
MAX_BYTES = 1 << 20
MAX_MISSING = 1 << 16

_KEYS = frozenset({"enclave", "issued", "bundle", "missing", "marking"}) | stated_ledger.KEYS


@dataclass(frozen=True, slots=True)
class Request:
    """What an enclave lacks at ``issued`` of the bundle with this ``sequence`` and ``manifest`` (SHA-512, hex).

    ``missing`` are indices into the manifest's ``chunks``, ascending, at least one; ``marking`` is the bundle's.
    """

    enclave: str
    issued: str
    sequence: int
    manifest: str
    missing: tuple[int, ...]
    marking: Marking
    ledger: StatedLedger


def format(request: Request) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the canonical bytes of a request."""
    return strict.format(
        {
            "airlift": fields.FORMAT,
            "type": "request",
            "enclave": request.enclave,
            "issued": request.issued,
            "bundle": {"sequence": request.sequence, "manifest": request.manifest},
            "missing": list(request.missing),
            "marking": request.marking.to_json(),
            **request.ledger.to_json(),
        }
    )


def parse(data: bytes) -> Request:
    """Parse and check a request whose signature was verified.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 9.14.
    """
    what = "request"
    document = fields.check_header(strict.parse(data, limit=MAX_BYTES, what=what), "request", _KEYS, what)
    bundle = strict.only(
        strict.member(document, "bundle", dict, what), frozenset({"sequence", "manifest"}), what
    )
    return Request(
        enclave=fields.name(document, "enclave", what, ENCLAVE_NAME),
        issued=fields.time(document, "issued", what),
        sequence=fields.count(bundle, "sequence", what, least=1, most=MAX_SEQUENCE),
        manifest=fields.digest(bundle, "manifest", what),
        missing=_missing(strict.member(document, "missing", list, what), what),
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        ledger=stated_ledger.parse(document, what),
    )


def asked_chunks(request: Request | RequestCode, mine: Own) -> tuple[FileDigest, ...]:
    """Return the chunks that a request asks for of what an enclave takes of a bundle, in the manifest's order.

    Raises:
        UsageError: it is for a bundle with another sequence number.
        SequenceReusedError: it is for another bundle of this number.
        MalformedError: it asks for what is not in the bundle, or is another enclave's.
    """
    bundle = mine.bundle
    if request.sequence != bundle.sequence:
        raise UsageError(
            f"the request is not for bundle {bundle.id}",
            expected=f"sequence {bundle.sequence}",
            found=f"sequence {request.sequence}",
            hint="name the bundle that it is for: `airlift low list`",
        )
    if not bundle.digest.startswith(request.manifest):
        raise SequenceReusedError(
            f"the request is for another bundle with the number {bundle.sequence}",
            expected=f"digest {bundle.digest[:16]}...",
            found=f"digest {request.manifest[:16]}...",
        )
    if request.missing[-1] >= len(bundle.chunks):
        raise MalformedError(
            f"the request asks for what is not in bundle {bundle.id}",
            expected=f"chunks 0 to {len(bundle.chunks) - 1}",
            found=f"chunk {request.missing[-1]}",
            hint="ask the high side for a new request",
        )
    foreign = next((index for index in request.missing if not mine.has_chunk(index)), None)
    if foreign is not None:
        raise MalformedError(
            f"the request asks for another enclave's part of bundle {bundle.id}",
            expected=f"some of its own {len(mine.chunks)} chunks",
            found=f"chunk {foreign}",
            hint="ask the high side for a new request",
        )
    return tuple(bundle.chunks[index] for index in request.missing)


def _missing(indices: Sequence[Any], what: str) -> tuple[int, ...]:
    if not 1 <= len(indices) <= MAX_MISSING:
        raise MalformedError(f"{what} asks for no chunk or too many", expected=f"1 to {MAX_MISSING}")
    if any(type(index) is not int for index in indices) or any(a >= b for a, b in pairwise(indices)):
        raise MalformedError(f"{what}: 'missing' must be ascending numbers")
    if indices[0] < 0 or indices[-1] >= MAX_CHUNKS:
        raise MalformedError(f"{what} asks for chunks that no bundle has")
    return tuple(indices)
