"""The policy in force: loaded and held against the ledger; set only through an entry (SPEC 8.2)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from airlift import authored, files, strict
from airlift.errors import LedgerError, ManifestError
from airlift.high.enclave.enclave import POLICY_TEXT as TEXT
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.enclave_folder import MAX_CONFIG_BYTES
from airlift.ledger.state import State
from airlift.policy.document import Policy, parse_policy
from airlift.trust.keys.public import PublicKey, load_public

SCHEMA = "policy.schema.json"
MAX_FILE_BYTES = 4 << 20

_PUT_BACK = "put the recorded file back with `airlift high policy set FILE`, which also records a change"


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy as written, its meaning, and by file name the public keys and other files that it names.

    ``relay_keys`` are those of sub-enclaves, which speak for nobody else (SPEC 7.12).
    """

    data: bytes
    policy: Policy
    keys: Mapping[str, PublicKey]
    files: Mapping[str, bytes] = field(default_factory=dict)
    relay_keys: Mapping[str, PublicKey] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-512 (hex) over the text, the fingerprints of its keys, and its files: what the ledger records."""
        more = {"files": self.file_digests} if self.files else {}
        text = hashlib.sha512(self.data).hexdigest()
        named = {"policy": text, "keys": self.fingerprints, **more}
        return hashlib.sha512(strict.format(named)).hexdigest()

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprints of all keys that it names, by the names of their files."""
        return {name: key.fingerprint for name, key in {**self.keys, **self.relay_keys}.items()}

    @property
    def file_digests(self) -> dict[str, str]:
        """SHA-512 (hex) of each file that its commands use."""
        return {name: hashlib.sha512(data).hexdigest() for name, data in self.files.items()}

    @property
    def voters(self) -> Mapping[str, frozenset[str]]:
        """For each kind of attestation that policy asks for, the ids of the keys that count."""
        return self.policy.demands.voters({name: key.key_id for name, key in self.keys.items()})

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The ids of the keys, each with the name that its file gives it (SPEC 4.5-12)."""
        return tuple((key.key_id, name.removesuffix(".pub")) for name, key in self.keys.items())


def default_document(enclave: str) -> bytes:
    """Return the policy text of an enclave whose owners gave none: every key at its safe default."""
    return yaml.safe_dump({"airlift": 1, "enclave": enclave}, sort_keys=False).encode()


def read(data: bytes, name: str, enclave: str, keys: Path) -> PolicyDocument:
    """Check a policy text; key files are looked up below the folder ``keys``.

    Raises:
        ManifestError: not valid, or for another enclave.
        UncheckedError: a key that it names cannot be read.
    """
    policy = parse_policy(authored.load(name, data, SCHEMA))
    if policy.enclave != enclave:
        raise ManifestError(
            f"{name}: the policy is for another enclave", expected=enclave, found=policy.enclave
        )
    named, relayed = policy.demands.key_files(), tuple(item.ledger_key for item in policy.relay)
    all_files = (TEXT, *(Path(key).name for key in (*named, *relayed)), *policy.files)
    if len(set(all_files)) != len(all_files):
        raise ManifestError(f"{name}: two of the policy, its keys and its files have the same name")
    return PolicyDocument(
        data,
        policy,
        {Path(key).name: load_public(keys / key) for key in named},
        _files(policy, keys),
        {Path(key).name: load_public(keys / key) for key in relayed},
    )


def load(enclave: Enclave, state: State) -> Policy:
    """Return the policy in force.

    Raises:
        LedgerError: the files are not those that the ledger recorded.
    """
    return load_document(enclave, state).policy


def load_document(enclave: Enclave, state: State) -> PolicyDocument:
    """Return the policy in force with its text and keys; errors as :func:`load`."""
    folder = enclave.policy_path(state.policy or "")
    data = files.read_bounded(folder / TEXT, MAX_CONFIG_BYTES)
    try:
        policy = _parse(str(folder / TEXT), data)
    except ManifestError as error:
        raise LedgerError(f"the policy in force was changed: {error.message}", hint=_PUT_BACK) from error
    named = sorted({Path(key).name for key in policy.demands.key_files()})
    relayed = sorted(Path(item.ledger_key).name for item in policy.relay)
    document = PolicyDocument(
        data,
        policy,
        {name: load_public(folder / name) for name in named},
        _files(policy, folder),
        {name: load_public(folder / name) for name in relayed},
    )
    if document.digest != state.policy:
        raise LedgerError(
            f"{folder / TEXT} is not the policy that the ledger recorded",
            hint=_PUT_BACK,
        )
    return document


def _files(policy: Policy, folder: Path) -> dict[str, bytes]:
    """Return the files that the commands of a policy use, which lie beside it."""
    return {name: files.read_bounded(folder / name, MAX_FILE_BYTES) for name in policy.files}


@lru_cache(maxsize=1)
def _parse(name: str, data: bytes) -> Policy:
    """Parse a policy; a command asks for the one in force many times, and each time its text is digested anew."""
    return parse_policy(authored.load(name, data, SCHEMA))


def write(enclave: Enclave, document: PolicyDocument) -> None:
    """Write a policy and its keys durably under their digest; the ledger decides whether it is in force."""
    folder = files.make_folder(enclave.policy_path(document.digest))
    for name, key in {**document.keys, **document.relay_keys}.items():
        files.write_durable(folder / name, key.pem())
    for name, data in document.files.items():
        files.write_durable(folder / name, data)
    files.write_durable(folder / TEXT, document.data)
