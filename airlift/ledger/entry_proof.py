"""A proof that one entry is in the ledger, as one text file: C2SP tlog-proof with SHA-384 digests (SPEC 9.6).

    airlift/tlog-proof-sha384@v1
    extra <the entry's canonical bytes, base64>
    index 2
    <sibling digests, base64, from the leaf upwards>

    <the signed checkpoint, verbatim>

Unlike in the C2SP format the ``extra`` line is always there: it is the leaf itself.
"""

import base64
import re
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.ledger import checkpoint, entry, note, tree
from airlift.ledger.entry import Entry
from airlift.trust.keys.public import PublicKey

HEADER = "airlift/tlog-proof-sha384@v1"
MAX_BYTES = 2 << 20
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Proof:
    """Canonical bytes of an entry, its index, its inclusion path, and the checkpoint note that covers it."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


def format(proof: Proof) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the bytes of a proof file."""
    lines = [HEADER, f"extra {_encode(proof.leaf)}", f"index {proof.index}", *map(_encode, proof.path), ""]
    return "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint


def parse(data: bytes, what: str = "proof") -> Proof:
    """Parse a proof file of at most :data:`MAX_BYTES`; nothing is verified.

    Raises:
        MalformedError: it is none.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError(
            f"{what} is too long", expected=f"at most {MAX_BYTES} bytes", found=f"{len(data)} bytes"
        )
    head, _, signed = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    index = _INDEX.fullmatch(lines[2]) if 3 <= len(lines) <= 3 + tree.MAX_PATH else None
    if index is None or lines[0] != HEADER:
        raise MalformedError(f"{what} is not a proof", expected=HEADER)
    try:
        leaf, *path = (base64.b64decode(text) for text in (lines[1].removeprefix("extra "), *lines[3:]))
    except ValueError as error:
        raise MalformedError(f"{what} has a line that is not base64") from error
    proof = Proof(leaf, int(index[1]), tuple(path), note.format(note.parse(signed, what)))
    if format(proof) != data:
        raise MalformedError(f"{what} is not in canonical form")
    return proof


def verify(proof: Proof, origin: str, key: PublicKey) -> Entry:
    """Verify that the entry is in the log ``origin`` of ``key``; return it.

    Raises:
        LedgerError: the path does not lead from the entry to the checkpoint's root.
        SignatureError: the checkpoint is not signed by ``key``.
    """
    signed = checkpoint.verify(proof.checkpoint, origin, key)
    tree.verify_inclusion(proof.path, proof.index, signed.size, tree.leaf_digest(proof.leaf), signed.root)
    found = entry.parse(proof.leaf)
    if found.index != proof.index:
        raise MalformedError("a proof is for another index than its entry", expected=str(found.index))
    return found


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
