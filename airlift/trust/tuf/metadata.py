"""Strict checks of TUF metadata, made on the raw bytes before tuf sees them (SPEC 4.2).

The TUF library accepts more than airlift wants: duplicate JSON keys, one public key under two key ids, MD5, any
delegation. What :func:`check` returns follows SPEC 4.2 to the letter; whether it is *signed* is another question.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airlift import strict
from airlift.bundle.revocations import Subject
from airlift.errors import AirliftError, MalformedError, SignatureError
from airlift.trust.keys.public import MAX_SIGNATURE_BYTES, TUF_SCHEMES, PublicKey
from airlift.trust.tuf.roles import BUNDLER, EXPIRY_DAYS, HOLDER, MAX_MEMBERS, Document, Member

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
TOP_LEVEL = (ROOT, SNAPSHOT, TARGETS, TIMESTAMP)
STATE_ROLES = (TIMESTAMP, SNAPSHOT, TARGETS, BUNDLER)
"""The roles whose newest file makes up a committed trust state, in the order in which they are verified."""

MAX_BYTES = {ROOT: 512_000, TARGETS: 4 << 20, BUNDLER: 4 << 20, SNAPSHOT: 65_536, TIMESTAMP: 65_536}
"""Largest metadata file of each role in bytes; 65,536 holds six ML-DSA-87 signatures."""

MAX_VERSION = 2**31 - 1
MAX_EXPIRY_DAYS = 3650
MAX_SIGNATURES = 2 * MAX_MEMBERS
MAX_TARGET_BYTES = 1 << 30
SPEC_VERSION = "1.0.31"
BUNDLE_PATHS = ["bundle-*"]
SEQUENCE = "x-airlift-sequence"
ROOT_VERSION = "x-airlift-root-version"
LIFTED = "x-airlift-lifted"
MAX_LIFTED = 4096
ATTESTATIONS = "attestations"
MAX_ATTESTATIONS = 256
TIME = "%Y-%m-%dT%H:%M:%SZ"

NEWEST = f"{TIMESTAMP}.json"
"""The one metadata file that has no version in its name."""

_NAME = re.compile(rf"([1-9][0-9]{{0,9}})\.({ROOT}|{SNAPSHOT}|{TARGETS}|{BUNDLER})\.json")
_HEX = re.compile(r"[0-9a-f]+")
_SPEC = re.compile(r"1\.0\.[0-9]{1,3}")
_TARGET_NAMES = {
    TARGETS: re.compile(r"release-[0-9a-f]{64}|revocations"),
    BUNDLER: re.compile(r"bundle-[0-9a-f]{64}"),
}
_DIGESTS = {"sha256": 64, "sha384": 96, "sha512": 128}
_COMMON = frozenset({"_type", "spec_version", "version", "expires"})


def check(role: str, data: bytes) -> Document:
    """Parse the metadata of ``role`` from raw bytes and check all that can be checked without a signature.

    Raises:
        MalformedError: it does not follow SPEC 4.2.
        SignatureError: a key, algorithm, threshold or list of signatures that SPEC 4.1 or 4.2 forbids.
    """
    what = f"{role} metadata"
    document = strict.only(
        strict.parse_any(data, limit=MAX_BYTES[role], what=what), frozenset({"signatures", "signed"}), what
    )
    _check_signatures(strict.member(document, "signatures", list, what), what)
    signed = strict.member(document, "signed", dict, what)
    _check_common(role, signed, what)
    _CHECKS[role](signed, what)
    return document


def state_digest(state: Mapping[str, bytes]) -> str:
    """Return SHA-384 in hex over the canonical list of names and digests: what the ledger pins."""
    listing = {name: hashlib.sha384(data).hexdigest() for name, data in state.items()}
    return hashlib.sha384(strict.format(listing)).hexdigest()


def check_target_name(role: str, name: str) -> str:
    """Return ``name`` if metadata of ``role`` (targets or bundler) may list it.

    Raises:
        MalformedError: it may not.
    """
    if not _TARGET_NAMES[role].fullmatch(name):
        raise MalformedError(f"{role} metadata may not list this target", found=ascii(name[:100]))
    return name


def file_name(role: str, version: int | None) -> str:
    """Return the name of a metadata file; every role but timestamp has a version."""
    return f"{role}.json" if version is None else f"{version}.{role}.json"


def parse_name(name: str) -> tuple[str, int | None] | None:
    """Return role and version of a metadata file by its name, None if it is no such name; see :func:`file_name`."""
    if name == NEWEST:
        return TIMESTAMP, None
    match = _NAME.fullmatch(name)
    return None if match is None else (match[2], int(match[1]))


def version_of(document: Document) -> int:
    """Return the version of checked metadata."""
    return int(document["signed"]["version"])


def expiry_of(document: Document) -> datetime:
    """Return the expiry time of checked metadata, in UTC."""
    return datetime.strptime(document["signed"]["expires"], TIME).replace(tzinfo=UTC)


# -- signatures and common fields ----------------------------------------------------------------------------------


def _check_signatures(signatures: list[Any], what: str) -> None:
    if len(signatures) > MAX_SIGNATURES:
        raise SignatureError(f"{what} has too many signatures", expected=f"at most {MAX_SIGNATURES}")
    for entry in signatures:
        strict.only(entry, frozenset({"keyid", "sig"}), f"a signature of {what}")
        _hex(entry, "keyid", 64, what)
        signature = strict.member(entry, "sig", str, what)
        if (
            len(signature) > 2 * max(MAX_SIGNATURE_BYTES.values())
            or len(signature) % 2
            or not _HEX.fullmatch(signature)
        ):
            raise SignatureError(f"a signature of {what} is not in lower-case hex or is too long")
    _unique([entry["keyid"] for entry in signatures], f"{what} has two signatures under one key id")


def _check_common(role: str, signed: dict[str, Any], what: str) -> None:
    expected = TARGETS if role == BUNDLER else role
    if strict.member(signed, "_type", str, what) != expected:
        raise MalformedError(f"{what} has another type", expected=expected, found=ascii(signed["_type"][:40]))
    if not _SPEC.fullmatch(strict.member(signed, "spec_version", str, what)):
        raise MalformedError(f"{what} follows another TUF specification", expected="1.0.x")
    _integer(signed, "version", 1, MAX_VERSION, what)
    _check_time(strict.member(signed, "expires", str, what), what)


def _check_time(text: str, what: str) -> None:
    try:
        if len(text) == 20 and datetime.strptime(text, TIME).replace(tzinfo=UTC).strftime(TIME) == text:
            return
    except ValueError:
        pass
    raise MalformedError(f"{what} has no valid expiry time", expected="YYYY-MM-DDTHH:MM:SSZ")


# -- roles ---------------------------------------------------------------------------------------------------------


def _check_root(signed: dict[str, Any], what: str) -> None:
    strict.only(signed, _COMMON | {"consistent_snapshot", "keys", "roles", LIFTED}, what)
    if strict.member(signed, "consistent_snapshot", bool, what) is not True:
        raise MalformedError(f"{what} must have consistent_snapshot")
    roles = strict.only(strict.member(signed, "roles", dict, what), frozenset(TOP_LEVEL), what)
    for name in TOP_LEVEL:
        role = strict.member(roles, name, dict, what)
        strict.only(role, frozenset({"keyids", "threshold", EXPIRY_DAYS}), f"role {name} in {what}")
        _check_role(role, f"role {name} in {what}")
    _check_keys(strict.member(signed, "keys", dict, what), list(roles.values()), what)
    if LIFTED in signed:
        _check_lifted(strict.member(signed, LIFTED, list, what), f"{LIFTED} of {what}")


def _check_lifted(listed: list[Any], what: str) -> None:
    """Check the revocations that root lifts: sorted and distinct, at least one (SPEC 5.4-4)."""
    if not 0 < len(listed) <= MAX_LIFTED:
        raise MalformedError(
            f"{what} has a wrong length", expected=f"1 to {MAX_LIFTED}", found=str(len(listed))
        )
    subjects = [Subject.from_json(item, what) for item in listed]
    if subjects != sorted(set(subjects)):
        raise MalformedError(f"{what}: revocations must be sorted and distinct")


def _check_targets(signed: dict[str, Any], what: str) -> None:
    strict.only(signed, _COMMON | {"targets", "delegations"}, what)
    _check_target_files(TARGETS, signed, what)
    delegations = strict.member(signed, "delegations", dict, what)
    strict.only(delegations, frozenset({"keys", "roles"}), f"the delegations of {what}")
    roles = strict.member(delegations, "roles", list, what)
    if len(roles) != 1:
        raise MalformedError(
            f"{what} must delegate to one role", expected=BUNDLER, found=f"{len(roles)} roles"
        )
    _check_delegation(roles[0], f"the delegation in {what}")
    _check_keys(strict.member(delegations, "keys", dict, what), roles, what)


def _check_delegation(role: Any, what: str) -> None:
    strict.only(role, frozenset({"name", "terminating", "paths", "keyids", "threshold", EXPIRY_DAYS}), what)
    shape = {"name": BUNDLER, "terminating": True, "paths": BUNDLE_PATHS}
    if any(role.get(key) != value or type(role[key]) is not type(value) for key, value in shape.items()):
        raise MalformedError(f"{what} may only be {BUNDLER} for {BUNDLE_PATHS[0]}, terminating")
    _check_role(role, what)


def _check_bundler(signed: dict[str, Any], what: str) -> None:
    strict.only(signed, _COMMON | {"targets", SEQUENCE}, what)
    _integer(signed, SEQUENCE, 0, MAX_VERSION, what)
    _check_target_files(BUNDLER, signed, what)


def _check_snapshot(signed: dict[str, Any], what: str) -> None:
    strict.only(signed, _COMMON | {"meta", ROOT_VERSION}, what)
    _integer(signed, ROOT_VERSION, 1, MAX_VERSION, what)
    _check_meta(signed, (TARGETS, BUNDLER), what)


def _check_timestamp(signed: dict[str, Any], what: str) -> None:
    strict.only(signed, _COMMON | {"meta"}, what)
    _check_meta(signed, (SNAPSHOT,), what)


_CHECKS = {
    ROOT: _check_root,
    TARGETS: _check_targets,
    BUNDLER: _check_bundler,
    SNAPSHOT: _check_snapshot,
    TIMESTAMP: _check_timestamp,
}


# -- parts ---------------------------------------------------------------------------------------------------------


def _check_role(role: Any, what: str) -> None:
    key_ids = strict.member(role, "keyids", list, what)
    if not 0 < len(key_ids) <= MAX_MEMBERS or any(type(key_id) is not str for key_id in key_ids):
        raise SignatureError(f"{what} must have 1 to {MAX_MEMBERS} key ids")
    _unique(key_ids, f"{what} has a key id twice")
    threshold = strict.member(role, "threshold", int, what)
    if not 1 <= threshold <= len(key_ids):
        raise SignatureError(
            f"{what} has a wrong threshold", expected=f"1 to {len(key_ids)}", found=str(threshold)
        )
    _integer(role, EXPIRY_DAYS, 1, MAX_EXPIRY_DAYS, what)


def _check_keys(keys: dict[str, Any], roles: list[dict[str, Any]], what: str) -> None:
    """Check each key, and that the table holds the keys of ``roles`` and no others.

    A key must be spelled canonically and named by its own id. So one public key cannot appear under two key ids.
    """
    if set(keys) != {key_id for role in roles for key_id in role["keyids"]}:
        raise SignatureError(f"{what} lists a key that no role uses, or lacks one that a role uses")
    for key_id, key in keys.items():
        _check_key(key_id, key, f"key {key_id[:16]!a} in {what}")


def _check_key(key_id: str, key: Any, what: str) -> None:
    strict.only(key, frozenset({"keytype", "scheme", "keyval", HOLDER}), what)
    named = (strict.member(key, "keytype", str, what), strict.member(key, "scheme", str, what))
    if named not in TUF_SCHEMES.values():
        raise SignatureError(
            f"{what} has an algorithm that airlift does not accept", found=ascii(named[1][:40])
        )
    value = strict.only(strict.member(key, "keyval", dict, what), frozenset({"public"}), what)
    public = strict.member(value, "public", str, what)
    holder = strict.member(key, HOLDER, str, what)
    try:
        member = Member(PublicKey.from_pem(public.encode()), holder)
    except AirliftError as error:
        raise SignatureError(f"{what} is not usable: {error.message}", found=error.found) from error
    if {**member.key.tuf(), HOLDER: holder} != key:
        raise SignatureError(f"{what} is not in its canonical encoding: one key could pass for two")
    if member.key.key_id != key_id:
        raise SignatureError(f"{what} is under a key id that is not its own", expected=member.key.key_id)


def _check_target_files(role: str, signed: dict[str, Any], what: str) -> None:
    for name, target in strict.member(signed, "targets", dict, what).items():
        check_target_name(role, name)
        where = f"target {name} in {what}"
        strict.only(target, frozenset({"length", "hashes", "custom"}), where)
        _check_content(target, MAX_TARGET_BYTES, where)
        if "custom" in target:
            _check_custom(role, strict.member(target, "custom", dict, where), where)


def _check_custom(role: str, custom: dict[str, Any], what: str) -> None:
    """Check what stands beside a target: the attestations that a bundle carries, and nothing else (SPEC 4.5-7)."""
    strict.only(custom, frozenset({ATTESTATIONS} if role == BUNDLER else ()), f"custom of {what}")
    if ATTESTATIONS not in custom:
        return
    listed = strict.member(custom, ATTESTATIONS, list, what)
    if len(listed) > MAX_ATTESTATIONS:
        raise MalformedError(f"{what} has too many attestations", expected=f"at most {MAX_ATTESTATIONS}")
    for digest in listed:
        _hex({ATTESTATIONS: digest}, ATTESTATIONS, _DIGESTS["sha512"], what)
    if listed != sorted(set(listed)):
        raise MalformedError(f"{what}: attestations must be sorted and distinct")


def _check_meta(signed: dict[str, Any], roles: tuple[str, ...], what: str) -> None:
    meta = strict.member(signed, "meta", dict, what)
    strict.only(meta, frozenset(f"{role}.json" for role in roles), f"meta of {what}")
    for role in roles:
        where = f"{role}.json in {what}"
        entry = strict.only(
            strict.member(meta, f"{role}.json", dict, what), frozenset({"version", "length", "hashes"}), where
        )
        _integer(entry, "version", 1, MAX_VERSION, where)
        _check_content(entry, MAX_BYTES[role], where)


def _check_content(entry: dict[str, Any], limit: int, what: str) -> None:
    """Check length and digests: SHA-512 is demanded, weak algorithms are refused even beside it."""
    _integer(entry, "length", 0, limit, what)
    digests = strict.only(
        strict.member(entry, "hashes", dict, what), frozenset(_DIGESTS), f"the digests of {what}"
    )
    for name in {"sha512", *digests}:
        _hex(digests, name, _DIGESTS[name], what)


def _integer(document: Mapping[str, Any], key: str, low: int, high: int, what: str) -> None:
    value = strict.member(document, key, int, what)
    if not low <= value <= high:
        raise MalformedError(
            f"{what}: {key!r} is out of range", expected=f"{low} to {high}", found=str(value)
        )


def _hex(document: Mapping[str, Any], key: str, length: int, what: str) -> None:
    value = strict.member(document, key, str, what)
    if len(value) != length or not _HEX.fullmatch(value):
        raise MalformedError(f"{what}: {key!r} must be {length} lower-case hex digits")


def _unique(values: list[str], message: str) -> None:
    if len(set(values)) != len(values):
        raise SignatureError(message)
