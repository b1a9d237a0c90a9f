"""A receipt: what an enclave says that it holds, as one small document that its ledger's key signs (SPEC 9.12).

It is the payload of a DSSE envelope of type :data:`PAYLOAD_TYPE`. The checkpoint in it makes it worth keeping: a
ledger that was restored from an older copy, or rewritten, contradicts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import COMPONENT_NAME, ENCLAVE_NAME, Marking
from airlift.bundle.manifest import MAX_SEQUENCE, ReleaseRef
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.errors import MalformedError

PAYLOAD_TYPE = "application/vnd.airlift.receipt+json"
MAX_BYTES = 4 << 20
MAX_RELEASES = 4096
MAX_NOTE = 256 << 10
ROOT_BITS = 384
MAX_VERSION = 2**31 - 1
"""Of metadata (SPEC 4.2-2)."""

WITH_MORE = 2
"""The format of a receipt that states the version of metadata, or which variants are held."""
_NEW_KEYS = frozenset({"metadata", "variants"})

_KEYS = frozenset(
    {"enclave", "issued", "active", "previous", "installed", "bundle", "marking", "checkpoint", "ledger"}
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an enclave holds at ``issued``: releases, the newest bundle, and the ledger's newest checkpoint note.

    ``sequence`` is that of the newest bundle and ``manifest`` its digest, 0 and "" before the first; ``root`` is hex.
    ``metadata`` is the version of the trusted timestamp where it is higher than ``sequence``, else None. ``variants``
    are the names of the held ones, by digest of each installed release that has any.
    """

    enclave: str
    issued: str
    active: ReleaseRef | None
    previous: ReleaseRef | None
    installed: tuple[ReleaseRef, ...]
    sequence: int
    manifest: str
    marking: Marking
    checkpoint: str
    size: int
    root: str
    metadata: int | None = None
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ledger(self) -> StatedLedger:
        """What it says of its ledger."""
        return StatedLedger(self.checkpoint, self.size, self.root)


def format(receipt: Receipt) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the canonical bytes of a receipt."""
    more: dict[str, Any] = {} if receipt.metadata is None else {"metadata": receipt.metadata}
    if receipt.variants:
        more["variants"] = {release: list(names) for release, names in receipt.variants.items()}
    return strict.format(
        {
            "airlift": WITH_MORE if more else fields.FORMAT,
            "type": "receipt",
            "enclave": receipt.enclave,
            "issued": receipt.issued,
            "active": receipt.active and receipt.active.to_json(),
            "previous": receipt.previous and receipt.previous.to_json(),
            "installed": [release.to_json() for release in receipt.installed],
            "bundle": {"sequence": receipt.sequence, "manifest": receipt.manifest or None},
            "marking": receipt.marking.to_json(),
            "checkpoint": receipt.checkpoint,
            "ledger": {"size": receipt.size, "root": receipt.root},
            **more,
        }
    )


def parse(data: bytes) -> Receipt:
    """Parse and check a receipt whose signature was verified.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 9.12.
    """
    what = "receipt"
    document = strict.parse(data, limit=MAX_BYTES, what=what)
    more = (
        _NEW_KEYS & document.keys() if strict.member(document, "airlift", int, what) == WITH_MORE else set()
    )
    fields.check_header(document, "receipt", _KEYS | more, what, newest=WITH_MORE)
    if document["airlift"] == WITH_MORE and not more:
        raise MalformedError(f"{what} states a format that nothing in it needs")
    installed = strict.member(document, "installed", list, what)
    note = strict.member(document, "checkpoint", str, what)
    if len(installed) > MAX_RELEASES or not note or len(note) > MAX_NOTE:
        raise MalformedError(f"{what} lists too much, or has no checkpoint")
    bundle = strict.only(
        strict.member(document, "bundle", dict, what), frozenset({"sequence", "manifest"}), what
    )
    ledger = strict.only(strict.member(document, "ledger", dict, what), frozenset({"size", "root"}), what)
    named = bundle.get("manifest", 0) is not None
    sequence = fields.count(bundle, "sequence", what, most=MAX_SEQUENCE)
    return Receipt(
        enclave=fields.name(document, "enclave", what, ENCLAVE_NAME),
        issued=fields.time(document, "issued", what),
        active=_reference(document, "active"),
        previous=_reference(document, "previous"),
        installed=tuple(ReleaseRef.from_json(item, what) for item in installed),
        sequence=sequence,
        manifest=fields.digest(bundle, "manifest", what) if named else "",
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        checkpoint=note,
        size=fields.count(ledger, "size", what),
        root=fields.digest(ledger, "root", what, bits=ROOT_BITS),
        metadata=fields.count(document, "metadata", what, least=sequence + 1, most=MAX_VERSION)
        if "metadata" in more
        else None,
        variants=_variants(document) if "variants" in more else {},
    )


def _variants(document: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    what = "receipt: variants"
    stated: dict[str, Any] = strict.member(document, "variants", dict, "receipt")
    known = {item.get("digest") for item in document["installed"] if type(item) is dict}
    if not stated or not stated.keys() <= known:
        raise MalformedError(f"{what} of no installed release, or of none at all")
    found = {release: fields.names(stated, release, what, COMPONENT_NAME) for release in stated}
    if not all(found.values()):
        raise MalformedError(f"{what} of a release of which none is held")
    return found


def _reference(document: dict[str, Any], key: str) -> ReleaseRef | None:
    return None if document.get(key, 0) is None else ReleaseRef.from_json(document.get(key), "receipt")
