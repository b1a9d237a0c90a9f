"""TUF metadata of each role, parsed by hand (4.2): what TUF permits and section 4 does not is refused."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.second import strict
from tests.second.documents import fields, release
from tests.second.errors import Refused, demand
from tests.second.trust import keys
from tests.second.trust.keys import Key

LIMITS = {"root": 512_000, "targets": 4 << 20, "bundler": 4 << 20, "snapshot": 65_536, "timestamp": 65_536}
TOP_ROLES = ("root", "targets", "snapshot", "timestamp")

_COMMON = "_type spec_version version expires"
_OWN = {
    "root": "consistent_snapshot keys roles",
    "targets": "targets delegations",
    "bundler": "targets x-airlift-sequence",
    "snapshot": "meta x-airlift-root-version",
    "timestamp": "meta",
}
_OPTIONAL = {"root": "x-airlift-lifted"}
_DIGESTS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Role:
    """Who signs a role: keys by id, and how many of them."""

    keys: Mapping[str, Key]
    threshold: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """A file of metadata whose form was checked; nothing says yet that its signatures are good."""

    role: str
    data: bytes
    signed: dict[str, Any]
    signatures: dict[str, bytes]
    version: int
    expires: datetime
    roles: Mapping[str, Role]

    def signed_by(self, role: Role) -> bool:
        """Tell whether at least the threshold of a role's keys signed this."""
        good = [
            key_id
            for key_id, signature in self.signatures.items()
            if key_id in role.keys and role.keys[key_id].signed_metadata(self.signed, signature)
        ]
        return len(good) >= role.threshold


def parse(data: bytes, role: str, version: int | None = None) -> Metadata:
    """Parse metadata.

    Args:
        data: The file.
        role: Which role's it must be (4.4-7).
        version: The version that its name says, or None.

    Raises:
        Refused: ``malformed``.
    """
    value = strict.loads(data, LIMITS[role])
    fields.members(value, "signatures signed")
    signed = fields.members(value["signed"], f"{_COMMON} {_OWN[role]}", _OPTIONAL.get(role, ""))
    demand(signed["_type"] == ("targets" if role == "bundler" else role), "metadata of another role")
    fields.matching(signed["spec_version"], r"1\.0\.[0-9]{1,9}")
    fields.integer(signed["version"], 1, 2**31 - 1)
    demand(version in (None, signed["version"]), "a version that its name does not say")
    expires = fields.time(signed["expires"])
    roles = _check(role, signed)
    return Metadata(role, data, signed, _signatures(value["signatures"]), signed["version"], expires, roles)


def holds(entry: dict[str, Any], data: bytes) -> None:
    """Hold content against the length and the digests that are listed for it (4.2-10).

    Raises:
        Refused: ``digest-mismatch``.
    """
    demand(len(data) == entry["length"], "another length than listed", "digest-mismatch")
    for name, digest in entry["hashes"].items():
        demand(hashlib.new(name, data).hexdigest() == digest, f"another {name}", "digest-mismatch")


def _signatures(value: Any) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for line in fields.items(value, 64):
        fields.members(line, "keyid sig")
        key_id = fields.digest(line["keyid"], 64)
        demand(key_id not in found, "a key id twice")
        demand(
            isinstance(line["sig"], str) and re.fullmatch(r"(?:[0-9a-f]{2}){1,4627}", line["sig"]),
            "a signature",
        )
        found[key_id] = bytes.fromhex(line["sig"])
    return found


def _check(role: str, signed: dict[str, Any]) -> dict[str, Role]:
    if role == "root":
        demand(signed["consistent_snapshot"] is True, "no consistent snapshot")
        fields.members(signed["roles"], " ".join(TOP_ROLES))
        if "x-airlift-lifted" in signed:
            release.check_lifted(signed["x-airlift-lifted"])
        return _roles(signed["keys"], signed["roles"], "")
    if role == "targets":
        _targets(signed["targets"], r"release-[0-9a-f]{64}|revocations")
        return _delegations(signed["delegations"])
    if role == "bundler":
        _targets(signed["targets"], r"bundle-[0-9a-f]{64}")
        fields.integer(signed["x-airlift-sequence"], 0, fields.SEQUENCE_LIMIT)
    elif role == "snapshot":
        fields.integer(signed["x-airlift-root-version"], 1, 2**31 - 1)
        _meta(signed["meta"], "targets.json bundler.json")
    else:
        _meta(signed["meta"], "snapshot.json")
    return {}


def _roles(key_values: Any, roles: dict[str, Any], more: str) -> dict[str, Role]:
    demand(isinstance(key_values, dict), "keys that are no object")
    named: set[str] = set()
    for value in roles.values():
        fields.members(value, f"keyids threshold x-airlift-expiry-days {more}")
        ids = [fields.digest(key_id, 64) for key_id in fields.items(value["keyids"], 32, 1)]
        demand(len(set(ids)) == len(ids), "a key id twice")
        fields.integer(value["threshold"], 1, len(ids))
        fields.integer(value["x-airlift-expiry-days"], 1, 3650)
        named |= set(ids)
    demand(named == set(key_values), "keys that are not exactly those of the roles")
    parsed = {key_id: keys.parse(key_id, value) for key_id, value in key_values.items()}
    return {
        name: Role({key_id: parsed[key_id] for key_id in value["keyids"]}, value["threshold"])
        for name, value in roles.items()
    }


def _delegations(value: Any) -> dict[str, Role]:
    fields.members(value, "keys roles")
    (role,) = fields.items(value["roles"], 1, 1)
    demand(isinstance(role, dict) and role.get("name") == "bundler", "another delegation")
    demand(role.get("paths") == ["bundle-*"] and role.get("terminating") is True, "another delegation")
    return _roles(value["keys"], {"bundler": role}, "name paths terminating")


def _targets(value: Any, pattern: str) -> None:
    demand(isinstance(value, dict), "targets that are no object")
    for name, target in value.items():
        fields.matching(name, pattern)
        fields.members(target, "length hashes", "custom")
        fields.integer(target["length"], 0, 1 << 30)
        _hashes(target["hashes"])
        _custom(target.get("custom", {}), bundle=name.startswith("bundle-"))


def _custom(value: Any, *, bundle: bool) -> None:
    fields.members(value, "", "attestations" if bundle else "")
    attestations = fields.items(value.get("attestations", []), 256)
    for digest in attestations:
        fields.digest(digest)
    fields.ascending(attestations)


def _hashes(value: Any) -> None:
    fields.members(value, "sha512", "sha256 sha384")
    for name, digest in value.items():
        fields.digest(digest, _DIGESTS[name])


def _meta(value: Any, names: str) -> None:
    fields.members(value, names)
    for entry in value.values():
        fields.members(entry, "version length hashes")
        fields.integer(entry["version"], 1, 2**31 - 1)
        fields.integer(entry["length"], 0, 1 << 30)
        _hashes(entry["hashes"])


def bad_signature(what: str) -> Refused:
    """Return what metadata below its threshold is refused with."""
    return Refused("signature-invalid", f"{what} is not signed by its threshold")
