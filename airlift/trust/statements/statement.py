"""in-toto Statements v1 about releases and bundles: what attesters sign (SPEC 4.5; in-toto Attestation 1.0).

    {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": ..., "digest": {"sha512": ...}}],
     "predicateType": ..., "predicate": {...}}

:func:`parse` reads an envelope that was verified by digest, or whose signers are about to be asked for; what it says
is only as true as its signers are honest.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError, UsageError
from airlift.trust.keys.public import Signer
from airlift.trust.statements import dsse, predicates
from airlift.trust.statements.dsse import Envelope
from airlift.trust.statements.predicates import OTHER, PROVENANCE, Reading

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
STATING = frozenset({PROVENANCE, OTHER})
"""The kinds that state something and pass no judgement."""

MAX_SUBJECTS = 64
_KEYS = frozenset({"_type", "subject", "predicateType", "predicate"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A claim: ``subjects`` are the SHA-512 (hex) of the manifests that it is about."""

    subjects: tuple[str, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What sort of claim it is, in policy's words; see SPEC 4.5-4."""
        return predicates.kind_of(self.predicate_type)

    @property
    def reading(self) -> Reading:
        """What its predicate says (SPEC 4.5-10)."""
        return predicates.read_predicate(self.predicate_type, self.predicate)

    @property
    def passes(self) -> bool:
        """Whether it speaks for its subject; what does not never counts towards a quorum (SPEC 4.5-5)."""
        return self.reading.passes

    @property
    def time(self) -> str | None:
        """When it says that it was made (``YYYY-MM-DDTHH:MM:SSZ``), or None if it does not (SPEC 4.5-11)."""
        return self.reading.time


@dataclass(frozen=True, slots=True)
class Attestation:
    """An envelope as it came, with its SHA-512 (hex), and the statement in it."""

    data: bytes = field(repr=False)
    digest: str
    envelope: Envelope
    statement: Statement

    @property
    def payload_digest(self) -> str:
        """The SHA-512 (hex) of what was signed: the same statement has it in whatever envelope (SPEC 4.5-5)."""
        return hashlib.sha512(self.envelope.payload).hexdigest()


def check_predicate(kind: str, predicate_type: str, predicate: Any) -> dict[str, Any]:
    """Return a predicate that a person gave for an attestation of ``kind``, in the format ``predicate_type``.

    Raises:
        UsageError: the format is of another kind, or the predicate lacks what the format demands.
    """
    if predicates.kind_of(predicate_type) != kind:
        raise UsageError(
            f"predicates of the type {ascii(predicate_type)[1:-1]} are no {kind} attestations",
            expected=" or ".join(predicates.types_of(kind)),
            found=f"{predicates.kind_of(predicate_type)} attestations",
        )
    fault = "an object" if type(predicate) is not dict else ""
    fault = fault or predicates.read_predicate(predicate_type, predicate).fault
    if fault:
        raise UsageError(f"the predicate is no {kind} of the type {predicate_type}", expected=fault)
    result: dict[str, Any] = predicate
    return result


def attest(
    subjects: Sequence[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any], signer: Signer
) -> Attestation:
    """Return a signed statement about ``subjects``: pairs of a name for people and the SHA-512 of a manifest.

    Raises:
        MalformedError: the predicate is not strict JSON, or is too long.
    """
    payload = strict.format(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha512": digest}} for name, digest in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        },
        floats=True,
    )
    return parse(dsse.format(dsse.sign(PAYLOAD_TYPE, payload, signer)))


def parse(data: bytes, what: str = "attestation") -> Attestation:
    """Parse an envelope with a statement in it; no signature is verified.

    Raises:
        MalformedError: it is none, or breaks a limit of SPEC 4.5.
    """
    envelope = dsse.parse(data, what=what)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedError(
            f"{what} is not an in-toto statement", expected=PAYLOAD_TYPE, found=envelope.payload_type
        )
    document = strict.parse_any(envelope.payload, limit=dsse.MAX_BYTES, what=what, floats=True)
    return Attestation(data, hashlib.sha512(data).hexdigest(), envelope, _statement(document, what))


# -- inside --------------------------------------------------------------------------------------------------------


def _statement(document: Any, what: str) -> Statement:
    strict.only(document, _KEYS, what)
    if strict.member(document, "_type", str, what) != STATEMENT_TYPE:
        raise MalformedError(f"{what} is no in-toto Statement v1", expected=STATEMENT_TYPE)
    subjects = strict.member(document, "subject", list, what)
    if not 1 <= len(subjects) <= MAX_SUBJECTS:
        raise MalformedError(f"{what} has no subject, or too many", expected=f"1 to {MAX_SUBJECTS}")
    kind = strict.member(document, "predicateType", str, what)
    if not 1 <= len(kind) <= dsse.MAX_TEXT or not (kind.isascii() and kind.isprintable()):
        raise MalformedError(f"{what}: the predicate type is not short printable ASCII")
    digests = [_subject(item, what) for item in subjects]
    return Statement(
        tuple(digest for digest in digests if digest is not None),
        kind,
        strict.member({"predicate": {}, **document}, "predicate", dict, what),
    )


def _subject(document: Any, what: str) -> str | None:
    """Return the SHA-512 of a subject (an in-toto ResourceDescriptor, which may say more), or None without one."""
    digests = strict.member(document, "digest", dict, f"a subject of {what}")
    return fields.digest(digests, "sha512", f"a subject of {what}") if "sha512" in digests else None
