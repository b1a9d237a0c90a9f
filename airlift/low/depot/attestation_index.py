"""The attestations of a depot: envelopes in documents/, and which release each is about (SPEC 4.5, 11)."""

from collections.abc import Mapping

from airlift import files, strict
from airlift.bundle import fields
from airlift.errors import UsageError
from airlift.low.depot.depot import MAX_INDEX_BYTES, MAX_RELEASES, Depot
from airlift.trust.statements import dsse, statement
from airlift.trust.statements.statement import Attestation
from airlift.trust.tuf.metadata import MAX_ATTESTATIONS

INDEX = "attestations.json"
RESERVED = 2
"""Places among those of a bundle that are kept for what the bundler states of the release and the bundle itself."""


def load(depot: Depot, release: str) -> tuple[Attestation, ...]:
    """Return the attestations about the release with this digest, oldest first.

    Raises:
        DigestError, UncheckedError: one in the depot is damaged or missing.
    """
    return tuple(
        statement.parse(depot.documents.load(digest, dsse.MAX_BYTES))
        for digest in _index(depot).get(release, ())
    )


def add(depot: Depot, release: str, attestation: Attestation, *, reserve: int = RESERVED) -> bool:
    """Keep an attestation about a release; say whether it is new. The caller holds the lock.

    Raises:
        UsageError: there are as many as a bundle carries.
    """
    known = _index(depot)
    listed = known.get(release, ())
    if attestation.digest in listed:
        return False
    if len(listed) >= MAX_ATTESTATIONS - reserve:
        raise UsageError(
            "the release has as many attestations as a bundle carries",
            expected=f"at most {MAX_ATTESTATIONS - reserve}",
            hint="record further ones on the high side: `airlift high attest FILE`",
        )
    depot.documents.keep(attestation.data)
    releases = {**known, release: (*listed, attestation.digest)}
    document = {"airlift": fields.FORMAT, "type": "depot-attestations", "releases": releases}
    files.write_durable(depot.folder / INDEX, strict.format(document), mode=0o644)
    return True


def _index(depot: Depot) -> Mapping[str, tuple[str, ...]]:
    path = depot.folder / INDEX
    if not path.exists():
        return {}
    data = strict.parse(files.read_bounded(path, MAX_INDEX_BYTES), limit=MAX_INDEX_BYTES, what=INDEX)
    document = fields.check_header(data, "depot-attestations", frozenset({"releases"}), INDEX)
    releases = strict.member(document, "releases", dict, INDEX)
    if len(releases) > MAX_RELEASES:
        raise UsageError(f"{INDEX} names too many releases", expected=f"at most {MAX_RELEASES}")
    return {
        fields.digest({"release": release}, "release", INDEX): tuple(
            fields.digest({"attestation": digest}, "attestation", INDEX) for digest in digests
        )
        for release, digests in releases.items()
    }
