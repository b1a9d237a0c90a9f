"""The outlook of a staged bundle: can it still be completed, as far as is known without its volumes (SPEC 7.8-6)?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airlift.bundle import manifest, own, volume
from airlift.bundle.fields import parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.errors import AirliftError
from airlift.high.enclave import policy, staged_record
from airlift.high.enclave.age import trusted_bundlers
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.high.enclave.staged import StagedBundle, staged_bundles
from airlift.high.enclave.staged_record import Record
from airlift.ledger.state import State
from airlift.trust.tuf import metadata, roles, targets

OPEN, EXPIRED, WITHDRAWN = "open", "expired", "withdrawn"
SEQUENCE_USED, BASELINE_MISSING, TOO_OLD, UNKNOWN = "sequence-used", "baseline-missing", "too-old", "unknown"
HOPELESS = frozenset({WITHDRAWN, SEQUENCE_USED, UNKNOWN})
"""What garbage collection removes: it will not be completed, or nobody can tell what it is."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether a staged bundle can be completed: one of the words above, why, and what is to be done next."""

    word: str
    reason: str
    next: str


def outlook(enclave: Enclave, state: State, staged: StagedBundle, now: datetime) -> Outlook:
    """Return what is to be expected of a staged bundle.

    Raises:
        TrustStateError: the enclave's own trust state is damaged.
    """
    bundle, drop = staged.bundle, f"airlift high discard {staged.name}"
    if bundle is None or staged.digest is None:
        return Outlook(UNKNOWN, "there is no manifest of it", f"import a volume of it, or free it: `{drop}`")
    documents = _trusted(enclave, state)
    for word, reason in (
        (SEQUENCE_USED, _sequence_used(bundle, state, documents)),
        (WITHDRAWN, _withdrawn(staged.digest, staged.record, documents)),
    ):
        if reason:
            return Outlook(word, reason, f"free it: `{drop}`; ask the low side for a new bundle")
    reason = _baseline_missing(enclave, staged.own or own.whole(bundle), state)
    if reason:
        return Outlook(BASELINE_MISSING, reason, f"import the baseline first, or free it: `{drop}`")
    reason = _too_old(enclave, bundle, state, now)
    if reason:
        return Outlook(TOO_OLD, reason, f"ask the low side for a new bundle, and free this one: `{drop}`")
    reason = _expired(enclave, state, staged.record, documents, now)
    if reason:
        renewal = "ask the low side for fresh metadata (`airlift low renew`) and import that"
        return Outlook(EXPIRED, reason, f"{renewal}; then go on: {_insert(staged)}")
    return Outlook(OPEN, "nothing is known against it", _insert(staged))


def _insert(staged: StagedBundle) -> str:
    """Return what to insert for what is missing."""
    if staged.bundle is None or staged.record is None or not staged.missing:
        return "`airlift high import VOLUME` with a volume of it"
    found = staged_record.wanted(staged.bundle, staged.record.volumes, staged.missing)
    return f"`airlift high import` with {staged_record.spell(found, last='or')}"


def _trusted(enclave: Enclave, state: State) -> dict[str, roles.Document]:
    """Return the enclave's committed metadata by role; nothing before the first import."""
    return {
        name.removesuffix(".json"): metadata.check(name.removesuffix(".json"), data)
        for name, data in enclave.load_trust(state).items()
    }


def _sequence_used(bundle: Bundle, state: State, documents: Mapping[str, roles.Document]) -> str:
    """Say which committed bundle has this sequence number by a key that is still trusted (SPEC 7.2-4)."""
    others = state.at_sequence(bundle.sequence)
    if not others or not documents:
        return ""
    current = set(roles.of(documents[metadata.TARGETS], roles.BUNDLER).by_id())
    used = any(current & set(other.bundler_keys) for other in others)
    return f"another bundle with sequence {bundle.sequence} was imported" if used else ""


def _is_older(record: Record | None, documents: Mapping[str, roles.Document]) -> bool:
    """Say whether the enclave's own metadata is newer than what the bundle was last verified with."""
    own = documents.get(metadata.TIMESTAMP)
    return own is not None and (record is None or metadata.version_of(own) > record.timestamp)


def _withdrawn(digest: str, record: Record | None, documents: Mapping[str, roles.Document]) -> str:
    """Say whether newer metadata no longer lists the bundle (SPEC 7.2-2)."""
    if record is None or not _is_older(record, documents):
        return ""
    listed = targets.listed(documents[roles.BUNDLER], roles.BUNDLER).get(manifest.target_name(digest))
    return (
        "" if listed else "newer metadata that was imported no longer lists it: it was withdrawn or replaced"
    )


def _baseline_missing(enclave: Enclave, mine: Own, state: State) -> str:
    """Say whether what the bundle builds on is not held (SPEC 6.2-6)."""
    if mine.baseline is None:
        return ""
    if mine.baseline.digest not in {known.release for known in state.bundles}:
        return f"its baseline {mine.baseline.label} was never imported here"
    if all(enclave.content.holds(base.sha512, base.size) for base in mine.bases):
        return ""
    return f"its baseline {mine.baseline.label} is no longer held"


def _too_old(enclave: Enclave, bundle: Bundle, state: State, now: datetime) -> str:
    """Say whether policy refuses bundles of this age."""
    days = policy.load(enclave, state).refuse_new_after_days
    age = _reference_time(enclave, state, now) - parse_time(bundle.issued)
    if days is None or age <= timedelta(days=days):
        return ""
    return f"it was issued {age.days} days ago; policy says {days} at most"


def _reference_time(enclave: Enclave, state: State, now: datetime) -> datetime:
    """Return the time that expiry is judged by, as far as the roots that are kept tell (SPEC 7.2-3)."""
    return reference_time(state, now, trusted_bundlers(enclave))


def _newest_root(enclave: Enclave) -> roles.Document:
    kept = enclave.load_roots()
    return metadata.check(metadata.ROOT, kept[max(kept)])


def _expired(
    enclave: Enclave,
    state: State,
    record: Record | None,
    documents: Mapping[str, roles.Document],
    now: datetime,
) -> str:
    """Say when the metadata that would be used expired, if it has (SPEC 7.2-3)."""
    times = [metadata.expiry_of(_newest_root(enclave))]
    if _is_older(record, documents):
        times += [metadata.expiry_of(document) for document in documents.values()]
    elif record is not None:
        times.append(parse_time(record.expires))
    expired = min(times) < _reference_time(enclave, state, now)
    return f"its metadata expired on {min(times):%Y-%m-%d}" if expired else ""


def hopeless(enclave: Enclave, state: State, staged: StagedBundle, now: datetime) -> bool:
    """Say whether garbage collection may remove a staged bundle; not if the trust state cannot tell."""
    try:
        return outlook(enclave, state, staged, now).word in HOPELESS
    except AirliftError:
        return False


_SUMMARY = ("bundle", "sequence", "enclave", "baseline", "target", "marking")


def describe_staged(enclave: Enclave, state: State, now: datetime) -> tuple[Mapping[str, Any], ...]:
    """Return what is known of every staged bundle, as status tells it (SPEC 7.8-6).

    Raises:
        TrustStateError: the enclave's own trust state is damaged.
    """
    return tuple(_describe(enclave, state, item, now) for item in staged_bundles(enclave, state))


def _describe(enclave: Enclave, state: State, item: StagedBundle, now: datetime) -> dict[str, Any]:
    """Return what is known of one staged bundle."""
    bundle, record, view = item.bundle, item.record, outlook(enclave, state, item, now)
    seen = record.volumes if record else ()
    return {
        **(volume.summary(item.own) if item.own else dict.fromkeys(_SUMMARY)),
        "manifest": item.digest or item.folder.name,
        "since": record.since if record else None,
        "chunks_present": item.chunks,
        "chunks_total": len(item.own.chunks) if item.own else None,
        "bytes": item.chunk_bytes + item.file_bytes,
        "reserved": item.reserved,
        "missing": [bundle.chunks[index].sha512 for index in item.missing] if bundle else [],
        "seen": [{"volume": known.volume, "volumes": known.volumes} for known in seen],
        "wanted": staged_record.wanted(bundle, seen, item.missing) if bundle else [],
        "outlook": view.word,
        "completable": view.word == OPEN,
        "reason": view.reason,
        "next": view.next,
    }
