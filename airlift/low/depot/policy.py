"""The depot's policy: what a release must carry before it is bundled, and what scans it, kept as it was written.

SPEC L4.15 and L3.9.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import authored, files, strict
from airlift.bundle import fields
from airlift.errors import MalformedError, ManifestError
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import record
from airlift.policy.demands import Demands, file_name, parse_demands
from airlift.policy.document import Command, parse_commands
from airlift.trust.keys.public import PublicKey, load_public

FILE = "policy.json"
SCHEMA = "depot-policy.schema.json"
MAX_BYTES = 4 << 20
MAX_TEXT_BYTES = 64 << 10
GATE = "airlift"
"""The name of airlift's own gate among the scanners; no other may have it."""
_TYPE = "depot-policy"


@dataclass(frozen=True, slots=True)
class DepotPolicy:
    """A policy as written, what it demands, the public keys that it names, by file name, and its scanners."""

    text: str
    demands: Demands
    keys: Mapping[str, PublicKey]
    scanners: tuple[Command, ...] = ()

    def format(self) -> bytes:
        """Return the document that is kept."""
        pems = {name: key.pem().decode() for name, key in self.keys.items()}
        return strict.format({"airlift": fields.FORMAT, "type": _TYPE, "text": self.text, "keys": pems})

    @property
    def digest(self) -> str:
        """SHA-512 (hex) of the document that is kept."""
        return hashlib.sha512(self.format()).hexdigest()


def read(path: Path) -> DepotPolicy:
    """Read and check a policy that a person wrote; the key files that it names are looked up beside it.

    Raises:
        ManifestError: it is not valid, or two keys have one file name.
        UncheckedError: a key that it names cannot be read.
    """
    data = files.read_bounded(path, MAX_TEXT_BYTES)
    document = authored.load(str(path), data, SCHEMA)
    demands = parse_demands(document)
    named = demands.key_files()
    if len({file_name(key) for key in named}) != len(named):
        raise ManifestError(f"{path}: two keys have the same file name")
    keys = {file_name(key): load_public(path.parent / key) for key in named}
    return DepotPolicy(data.decode(), demands, keys, _scanners(document))


def load(depot: Depot) -> DepotPolicy | None:
    """Return the policy of a depot, None if it has none.

    Raises:
        MalformedError: it was changed into something that is none.
    """
    path = depot.folder / FILE
    if not path.exists():
        return None
    data = strict.parse(files.read_bounded(path, MAX_BYTES), limit=MAX_BYTES, what=FILE)
    document = fields.check_header(data, _TYPE, frozenset({"text", "keys"}), FILE)
    text: str = strict.member(document, "text", str, FILE)
    pems = strict.member(document, "keys", dict, FILE)
    try:
        authored_policy = authored.load(FILE, text.encode(), SCHEMA)
        demands, scanners = parse_demands(authored_policy), _scanners(authored_policy)
    except ManifestError as error:
        raise MalformedError(f"{FILE}: {error.message}", hint=_AGAIN) from error
    if set(pems) != {file_name(key) for key in demands.key_files()}:
        raise MalformedError(f"{FILE} does not hold the keys that it names", hint=_AGAIN)
    keys = {name: PublicKey.from_pem(strict.member(pems, name, str, FILE).encode(), name) for name in pems}
    return DepotPolicy(text, demands, keys, scanners)


def _scanners(document: Mapping[str, Any]) -> tuple[Command, ...]:
    found = parse_commands(document.get("scanners", ()), "scanners")
    if any(command.name == GATE for command in found):
        raise ManifestError(
            f"policy: a scanner is called {GATE}", hint="airlift's own gate is: choose another name"
        )
    return found


_AGAIN = "set it again: `airlift low policy set FILE`"


def set_policy(depot: Depot, path: Path, *, now: datetime, dry_run: bool = False) -> DepotPolicy:
    """Put a policy in force for every bundle that is made from now on; one that is in force already is no event.

    Raises:
        ManifestError, UncheckedError: as of :func:`read`.
    """
    made = read(path)
    if dry_run:
        return made
    data, place = made.format(), depot.folder / FILE
    with depot.lock():
        if not place.exists() or files.read_bounded(place, MAX_BYTES) != data:
            files.write_durable(place, data, mode=0o644)
            fingerprints = {name: key.fingerprint for name, key in made.keys.items()}
            record(depot, now, "policy", digest=made.digest, keys=fingerprints)
    return made
