"""Who may sign: the members and threshold of a role, and signatures over TUF metadata (SPEC 4.2, 4.3).

A document is TUF metadata as parsed JSON, ``{"signatures": [...], "signed": {...}}``, that
:func:`airlift.trust.tuf.metadata.check` has accepted or that this room has just built.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airlift.errors import SignatureError, UsageError
from airlift.trust.keys.public import ECDSA_P384, PublicKey, Signer, canonical

HOLDER = "x-airlift-holder"
EXPIRY_DAYS = "x-airlift-expiry-days"
BUNDLER = "bundler"
MAX_MEMBERS = 32
MAX_HOLDER = 128

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A public key and the name of the person or machine that holds it."""

    key: PublicKey
    holder: str

    def __post_init__(self) -> None:
        if not 0 < len(self.holder) <= MAX_HOLDER or not self.holder.isprintable():
            raise UsageError(
                "a holder name is not usable",
                expected=f"1 to {MAX_HOLDER} printable characters",
                found=ascii(self.holder[:80]),
            )

    def describe(self) -> str:
        """Return one line for people: holder, scheme and fingerprint."""
        return f"{self.holder} ({self.key.scheme}, fingerprint {self.key.fingerprint})"


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The members of a role and how many of them must sign.

    Raises:
        UsageError: a key appears twice, or the threshold is not within [1, number of members].
    """

    members: tuple[Member, ...]
    threshold: int

    def __post_init__(self) -> None:
        if len({member.key.spki for member in self.members}) != len(self.members):
            raise UsageError("a key is a member of a role twice", hint="give each key once")
        if len(self.members) > MAX_MEMBERS:
            raise UsageError("a role has too many members", expected=f"at most {MAX_MEMBERS}")
        if not 1 <= self.threshold <= len(self.members):
            raise UsageError(
                "a threshold cannot be met",
                expected=f"1 to {len(self.members)}, the number of members",
                found=str(self.threshold),
            )

    def by_id(self) -> dict[str, Member]:
        """Return the members by TUF key id."""
        return {member.key.key_id: member for member in self.members}

    def signers(self, document: Document) -> tuple[str, ...]:
        """Return the key ids of members whose signature over ``document`` verifies, sorted."""
        signatures = {entry["keyid"]: entry["sig"] for entry in document["signatures"]}
        found = []
        for key_id, member in self.by_id().items():
            if key_id in signatures and _verifies(member.key, signatures[key_id], document["signed"]):
                found.append(key_id)
        return tuple(sorted(found))

    def missing(self, document: Document) -> int:
        """Return how many more members must sign ``document``."""
        return max(0, self.threshold - len(self.signers(document)))

    def demand(self, document: Document, what: str) -> tuple[str, ...]:
        """Return the key ids that signed ``document`` if they meet the threshold.

        Raises:
            SignatureError: they do not.
        """
        signers = self.signers(document)
        if len(signers) < self.threshold:
            raise SignatureError(
                f"{what} is not signed by enough members",
                expected=f"{self.threshold} valid signatures",
                found=str(len(signers)),
            )
        return signers

    def change(self, add: Iterable[Member], remove: Iterable[str], threshold: int | None) -> "RoleKeys":
        """Return the role with members added, members removed by key id, and another threshold.

        Raises:
            UsageError: a removed key is no member, an added one is, or the threshold does not fit.
        """
        gone = set(remove)
        strangers = gone - set(self.by_id())
        if strangers:
            raise UsageError("a key to remove is no member", found=min(strangers))
        kept = tuple(member for member in self.members if member.key.key_id not in gone)
        return RoleKeys(kept + tuple(add), self.threshold if threshold is None else threshold)


def of(delegator: Document, role: str) -> RoleKeys:
    """Return who may sign ``role`` according to a checked root or targets document."""
    entry, keys = _entry(delegator, role)
    return RoleKeys(tuple(_member(keys[key_id]) for key_id in entry["keyids"]), entry["threshold"])


def expiry_days(delegator: Document, role: str) -> int:
    """Return for how many days new metadata of ``role`` is valid, as its delegator says."""
    return int(_entry(delegator, role)[0][EXPIRY_DAYS])


def entry(role: RoleKeys, days: int) -> dict[str, Any]:
    """Return the TUF role object of ``role``."""
    return {"keyids": sorted(role.by_id()), "threshold": role.threshold, EXPIRY_DAYS: days}


def key_table(roles: Iterable[RoleKeys]) -> dict[str, dict[str, Any]]:
    """Return the TUF ``keys`` object of all members of ``roles``, each with its holder.

    Raises:
        UsageError: one key has two holders.
    """
    table: dict[str, dict[str, Any]] = {}
    for role in roles:
        for key_id, member in role.by_id().items():
            key = {**member.key.tuf(), HOLDER: member.holder}
            if table.setdefault(key_id, key) != key:
                raise UsageError(
                    "a key has two holders", found=f"{table[key_id][HOLDER]} and {member.holder}"
                )
    return table


def holders(delegator: Document) -> dict[str, str]:
    """Return the holder of every key of a checked root or targets document, by key id."""
    signed = delegator["signed"]
    keys: Mapping[str, Any] = signed["keys"] if "keys" in signed else signed["delegations"]["keys"]
    return {key_id: key[HOLDER] for key_id, key in keys.items()}


def payload(key: PublicKey, signed: Mapping[str, Any]) -> bytes:
    """Return the bytes that ``key`` signs for TUF metadata: canonical JSON, or its TAP 21 envelope for ML-DSA."""
    data = canonical(signed)
    return data if key.scheme == ECDSA_P384 else b"tuf\x01" + hashlib.sha512(data).digest()


def sign(document: Document, signer: Signer) -> Document:
    """Return ``document`` with a signature by ``signer``, which replaces an earlier one by the same key."""
    key_id = signer.public.key_id
    signature = signer.sign(payload(signer.public, document["signed"])).hex()
    others = [entry for entry in document["signatures"] if entry["keyid"] != key_id]
    signatures = sorted([*others, {"keyid": key_id, "sig": signature}], key=lambda entry: str(entry["keyid"]))
    return {"signatures": signatures, "signed": document["signed"]}


# -- inside --------------------------------------------------------------------------------------------------------


def _entry(delegator: Document, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
    signed = delegator["signed"]
    if role == BUNDLER:
        return signed["delegations"]["roles"][0], signed["delegations"]["keys"]
    return signed["roles"][role], signed["keys"]


def _member(key: Mapping[str, Any]) -> Member:
    return Member(PublicKey.from_pem(key["keyval"]["public"].encode()), key[HOLDER])


def _verifies(key: PublicKey, signature: str, signed: Mapping[str, Any]) -> bool:
    try:
        key.verify(bytes.fromhex(signature), payload(key, signed))
    except SignatureError:
        return False
    return True
