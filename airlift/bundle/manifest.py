"""The bundle manifest: which chunks rebuild which files from which bases, signed by the bundler (SPEC 6.2)."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import COMPONENT_NAME, ENCLAVE_NAME, VERSION, FileDigest, Marking
from airlift.bundle.parity import stripe
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.portions import ranges
from airlift.bundle.portions.ranges import Ranges
from airlift.errors import MalformedError

MAX_BYTES = 64 << 20
MAX_CHUNKS = 1 << 20
MAX_CHUNK_BYTES = 64 << 20
MIN_CHUNK_BYTES = 64 << 10
MAX_SEQUENCE = 2**31 - 1
ANY_ENCLAVE = "any"
SEVERAL = "several"
"""What stands in names of bundles for several enclaves in the place of one."""
MAX_PORTIONS = 64
NEWEST_FORMAT = 2
"""The format of a bundle that has parity, variants or portions, or whose chunks may have packed tables."""

_KEYS = frozenset(
    {
        "sequence",
        "issued",
        "enclave",
        "marking",
        "target",
        "baseline",
        "bases",
        "files",
        "chunks",
        "revocations",
    }
)
_NEW_KEYS = frozenset({"parity", "variants", "portions"})
"""What a bundle of format 2 may have, where there is something to say."""
_PORTION_KEYS = frozenset({"enclave", "baseline", "bases", "files", "chunks"})
_ID = re.compile(r"([a-z0-9][a-z0-9-]{0,23})-([1-9][0-9]{0,9})\Z")


@dataclass(frozen=True, slots=True)
class ReleaseRef:
    """A release by digest of its manifest, with the name that people use."""

    digest: str
    name: str
    version: str

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"digest": self.digest, "name": self.name, "version": self.version}

    @classmethod
    def from_json(cls, document: Any, what: str) -> "ReleaseRef":
        """Parse the document form."""
        strict.only(document, frozenset({"digest", "name", "version"}), what)
        return cls(
            fields.digest(document, "digest", what),
            fields.name(document, "name", what, COMPONENT_NAME),
            fields.name(document, "version", what, VERSION),
        )


@dataclass(frozen=True, slots=True)
class Portion:
    """What one of several enclaves takes of a bundle: from which baseline, and ranges of the bundle's lists.

    ``variants`` are as those of a bundle.
    """

    enclave: str
    baseline: ReleaseRef | None
    bases: Ranges
    files: Ranges
    chunks: Ranges
    variants: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {
            "enclave": self.enclave,
            "baseline": self.baseline and self.baseline.to_json(),
            "bases": ranges.to_json(self.bases),
            "files": ranges.to_json(self.files),
            "chunks": ranges.to_json(self.chunks),
            **({"variants": list(self.variants)} if self.variants else {}),
        }


@dataclass(frozen=True)
class Bundle:
    """All of one transfer. A bundle without target carries fresh metadata only (``low renew``).

    ``files`` are the distinct contents that the chunks rebuild, in the order in which their blocks follow; ``bases``
    are the contents that blocks refer to; ``chunks`` are in decoding order. ``enclave`` is None for a bundle that any
    enclave of this root imports. ``revocations`` is the SHA-512 of the list that goes with it. ``packed`` says that
    chunks may have packed tables: such a bundle is of format 2, and so is one with stripes of ``parity``, which is
    always ``packed``. ``variants`` are the names of those that it carries, where it leaves some out: then it is
    ``packed`` as well. So is one with ``portions``, which is for several enclaves: then ``enclave``, ``baseline`` and
    ``variants`` are theirs, and ``files`` may name a content for each of them.
    """

    sequence: int
    issued: str
    enclave: str | None
    marking: Marking
    target: ReleaseRef | None
    baseline: ReleaseRef | None
    bases: tuple[FileDigest, ...]
    files: tuple[FileDigest, ...]
    chunks: tuple[FileDigest, ...]
    revocations: str
    packed: bool = False
    parity: tuple[Stripe, ...] = ()
    variants: tuple[str, ...] = ()
    portions: tuple[Portion, ...] = ()

    @property
    def id(self) -> str:
        """The name that people use: ``<enclave>-<sequence>``."""
        return f"{self.addressee}-{self.sequence}"

    @property
    def addressee(self) -> str:
        """Whom it is for, as names of bundles and volumes say it: an enclave, ``any`` or ``several``."""
        return self.enclave or (SEVERAL if self.portions else ANY_ENCLAVE)

    @property
    def enclaves(self) -> tuple[str, ...]:
        """The enclaves that it is for, sorted; none if any may import it."""
        return tuple(item.enclave for item in self.portions) or ((self.enclave,) if self.enclave else ())

    def is_for(self, enclave: str | None) -> bool:
        """Say whether an enclave may import it; one that is not named (None) may if any may."""
        return enclave in self.enclaves or not self.enclaves

    @cached_property
    def digest(self) -> str:
        """SHA-512 (hex) of the canonical manifest."""
        return hashlib.sha512(format(self)).hexdigest()

    @property
    def parity_chunks(self) -> tuple[FileDigest, ...]:
        """The parity chunks, stripe by stripe; one that is also a data chunk is among them."""
        return tuple(item for one in self.parity for item in one.parity)

    @property
    def all_chunks(self) -> tuple[FileDigest, ...]:
        """Every chunk that a volume may carry, once: the data chunks in order, then parity chunks."""
        return tuple({item.sha512: item for item in (*self.chunks, *self.parity_chunks)}.values())


def is_id(text: str) -> bool:
    """Say whether ``text`` has the form of a bundle id."""
    return _ID.match(text) is not None


def target_name(bundle_digest: str) -> str:
    """Return the opaque TUF target path of a bundle."""
    return f"bundle-{bundle_digest[: fields.NAME_HEX]}"


def format(bundle: Bundle) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the canonical bytes of a bundle manifest."""
    more: dict[str, Any] = {"parity": stripe.to_json(bundle.parity)} if bundle.parity else {}
    if bundle.variants:
        more["variants"] = list(bundle.variants)
    if bundle.portions:
        more["portions"] = [item.to_json() for item in bundle.portions]
    number = NEWEST_FORMAT if bundle.packed or more else fields.FORMAT
    return strict.format(
        {
            "airlift": number,
            "type": "bundle",
            "sequence": bundle.sequence,
            "issued": bundle.issued,
            "enclave": bundle.enclave,
            "marking": bundle.marking.to_json(),
            "target": bundle.target and bundle.target.to_json(),
            "baseline": bundle.baseline and bundle.baseline.to_json(),
            "bases": [item.to_json() for item in bundle.bases],
            "files": [item.to_json() for item in bundle.files],
            "chunks": [item.to_json() for item in bundle.chunks],
            "revocations": bundle.revocations,
            **more,
        }
    )


def parse(data: bytes) -> Bundle:
    """Parse and check a bundle manifest.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 6.2.
    """
    what = "bundle manifest"
    parsed = strict.parse(data, limit=MAX_BYTES, what=what)
    document = fields.check_header(parsed, "bundle", _keys(parsed), what, newest=NEWEST_FORMAT)
    several = "portions" in document
    chunks = _digests(document, "chunks", what)
    bundle = Bundle(
        sequence=fields.count(document, "sequence", what, least=1, most=MAX_SEQUENCE),
        issued=fields.time(document, "issued", what),
        enclave=(
            fields.name(document, "enclave", what, ENCLAVE_NAME)
            if _optional(document, "enclave", what)
            else None
        ),
        marking=Marking.from_json(strict.member(document, "marking", dict, what), what),
        target=_reference(document, "target", what),
        baseline=_reference(document, "baseline", what),
        bases=_digests(document, "bases", what),
        files=_digests(document, "files", what, distinct=not several),
        chunks=chunks,
        revocations=fields.digest(document, "revocations", what),
        packed=document["airlift"] == NEWEST_FORMAT,
        parity=stripe.parse(document["parity"], chunks, f"{what}: parity") if "parity" in document else (),
        variants=_variants(document, what) if "variants" in document else (),
        portions=_portions(document, what) if several else (),
    )
    _check(bundle)
    if several:
        _check_portions(bundle)
    return bundle


def _keys(parsed: Any) -> frozenset[str]:
    """Return the keys that a document of its format may have, and must."""
    number = parsed.get("airlift") if isinstance(parsed, dict) else None
    if type(number) is not int or number != NEWEST_FORMAT:
        return _KEYS
    optional: frozenset[str] = _NEW_KEYS & parsed.keys()
    return _KEYS | optional


def _check(bundle: Bundle) -> None:
    if bundle.enclave == ANY_ENCLAVE:
        raise MalformedError(f"bundle manifest: no enclave may be named {ANY_ENCLAVE!r}")
    if bundle.target is None and any(
        (bundle.baseline, bundle.bases, bundle.files, bundle.chunks, bundle.variants)
    ):
        raise MalformedError("bundle manifest: without a target there is nothing to rebuild")
    if bundle.bases and bundle.baseline is None and not bundle.portions:
        raise MalformedError("bundle manifest: bases without a baseline")
    if bool(bundle.chunks) != any(item.size for item in bundle.files):
        raise MalformedError("bundle manifest: chunks must be there exactly when there are bytes to rebuild")
    if any(not 0 < chunk.size <= MAX_CHUNK_BYTES for chunk in bundle.chunks):
        raise MalformedError(
            "bundle manifest: a chunk is empty or too long", expected=f"1 to {MAX_CHUNK_BYTES}"
        )


def _portions(document: dict[str, Any], what: str) -> tuple[Portion, ...]:
    listed = strict.member(document, "portions", list, what)
    if not 2 <= len(listed) <= MAX_PORTIONS:
        raise MalformedError(
            f"{what}: no such number of portions", expected=f"2 to {MAX_PORTIONS}", found=str(len(listed))
        )
    found = tuple(_portion(document, item, f"{what}: portions") for item in listed)
    names = [item.enclave for item in found]
    if names != sorted(set(names)) or {ANY_ENCLAVE, SEVERAL} & set(names):
        raise MalformedError(f"{what}: portions are not sorted by enclave and distinct, or of none")
    return found


def _portion(document: dict[str, Any], item: Any, what: str) -> Portion:
    more = {"variants"} if isinstance(item, dict) and "variants" in item else set()
    strict.only(item, _PORTION_KEYS | more, what)
    return Portion(
        fields.name(item, "enclave", what, ENCLAVE_NAME),
        _reference(item, "baseline", what),
        ranges.parse(item, "bases", len(document["bases"]), what),
        ranges.parse(item, "files", len(document["files"]), what),
        ranges.parse(item, "chunks", len(document["chunks"]), what),
        variants=_variants(item, what) if more else (),
    )


def _check_portions(bundle: Bundle) -> None:
    """Check that portions leave nothing out, and that each could be a bundle (SPEC 6.2-8, 6.2-3)."""
    if bundle.enclave or bundle.baseline or bundle.variants or bundle.target is None:
        raise MalformedError("bundle manifest: with portions it has a target, and all else is theirs")
    for name, lists in (
        ("bases", [item.bases for item in bundle.portions]),
        ("files", [item.files for item in bundle.portions]),
        ("chunks", [item.chunks for item in bundle.portions]),
    ):
        if not ranges.cover(lists, len(getattr(bundle, name))):
            raise MalformedError(f"bundle manifest: some of its {name} are of no portion")
    places: dict[str, list[int]] = {}
    for number, item in enumerate(bundle.files):
        places.setdefault(item.sha512, []).append(number)
    twice = [numbers for numbers in places.values() if len(numbers) > 1]
    if any(len({bundle.files[number].size for number in numbers}) > 1 for numbers in twice):
        raise MalformedError("bundle manifest: one SHA-512 stands with two sizes")
    for portion in bundle.portions:
        mask = ranges.mask(portion.files, len(bundle.files))
        if any(sum(mask[number] for number in numbers) > 1 for numbers in twice):
            raise MalformedError("bundle manifest: a portion names one digest twice")
        if bool(portion.chunks) != any(bundle.files[n].size for a, b in portion.files for n in range(a, b)):
            raise MalformedError(
                "bundle manifest: a portion has chunks without bytes to rebuild, or the other way"
            )
        if portion.bases and portion.baseline is None:
            raise MalformedError("bundle manifest: a portion has bases without a baseline")


def _variants(document: dict[str, Any], what: str) -> tuple[str, ...]:
    found = fields.names(document, "variants", what, COMPONENT_NAME)
    if not found:
        raise MalformedError(f"{what}: 'variants' names none")
    return found


def _optional(document: dict[str, Any], key: str, what: str) -> bool:
    if key not in document:
        raise MalformedError(f"{what} lacks {key!r}")
    return document[key] is not None


def _reference(document: dict[str, Any], key: str, what: str) -> ReleaseRef | None:
    if not _optional(document, key, what):
        return None
    return ReleaseRef.from_json(document[key], f"{what}: {key}")


def _digests(
    document: dict[str, Any], key: str, what: str, *, distinct: bool = True
) -> tuple[FileDigest, ...]:
    items = strict.member(document, key, list, what)
    if len(items) > MAX_CHUNKS:
        raise MalformedError(f"{what}: {key!r} is too long", expected=f"at most {MAX_CHUNKS} items")
    result = tuple(FileDigest.from_json(item, f"{what}: {key}") for item in items)
    if distinct and len({item.sha512 for item in result}) != len(result):
        raise MalformedError(f"{what}: {key!r} names one digest twice")
    return result
