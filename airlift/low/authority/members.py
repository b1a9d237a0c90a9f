"""Members of a role from the keys that an operator names: ``.pub`` makes a member, a private key also signs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from airlift.errors import UsageError
from airlift.policy.holders import group_keys
from airlift.trust.keys.load import load_signer
from airlift.trust.keys.public import Passphrase, Signer, load_public
from airlift.trust.tuf.roles import Member, RoleKeys

URI = "pkcs11:"
_OBJECT = re.compile(r"[:;]object=([^;?]+)")


@dataclass(frozen=True, slots=True)
class NamedRole:
    """The keys that an operator names for a role (paths of key files, ``pkcs11:`` URIs), and how many must sign."""

    keys: Sequence[str | Path]
    threshold: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A member of a role, with the signer if its private key was named."""

    member: Member
    signer: Signer | None


def load(sources: Sequence[str | Path], passphrase: Passphrase | None) -> Mapping[str, Holder]:
    """Return the holder behind each source, each loaded once; people are named after their key files.

    Raises:
        KeyUnavailableError, MalformedError, PermissionDeniedError: a key cannot be used.
    """
    return {source: _holder(source, passphrase) for source in dict.fromkeys(map(str, sources))}


def to_role(named: NamedRole, holders: Mapping[str, Holder]) -> RoleKeys:
    """Return the members and the threshold of a role.

    Raises:
        UsageError: a key stands twice, the threshold cannot be met, or one person could meet it alone.
    """
    return check_people(
        RoleKeys(tuple(holders[str(source)].member for source in named.keys), named.threshold)
    )


def check_people(role: RoleKeys) -> RoleKeys:
    """Return the role if nobody has two of its keys, or one signature is enough (SPEC 4.3-1).

    Raises:
        UsageError: somebody could sign for two people.
    """
    people = group_keys((member.key.key_id, member.holder) for member in role.members)
    for person in people.values():
        if role.threshold > 1 and len(person.keys) > 1:
            raise UsageError(
                f"{person.name} has {len(person.keys)} keys of a role for which {role.threshold} people must sign",
                expected="one key a person",
                found=", ".join(sorted(key[:16] for key in person.keys)),
                hint="people are named after their key files: give each their own name, and each person one key",
            )
    return role


def signers(sources: Sequence[str | Path], holders: Mapping[str, Holder]) -> tuple[Signer, ...]:
    """Return the signers among these keys."""
    found = (holders[str(source)].signer for source in sources)
    return tuple(signer for signer in found if signer is not None)


def _holder(source: str, passphrase: Passphrase | None) -> Holder:
    if source.startswith(URI):
        signer = load_signer(source, passphrase)
        named = _OBJECT.search(source)
        return Holder(
            Member(signer.public, unquote(named[1]) if named else signer.public.key_id[:16]), signer
        )
    path = Path(source)
    if path.suffix == ".pub":
        return Holder(Member(load_public(path), path.stem), None)
    signer = load_signer(source, passphrase)
    return Holder(Member(signer.public, path.stem), signer)
