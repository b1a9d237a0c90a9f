"""Verify what an airlift ledger proves, with a public key alone: one file, the standard library and ``cryptography``.

    airlift-verify FILE --public-key ledger.pub [--checkpoint OLD]... [--witness witness.pub]...

FILE is an export of the whole ledger, a proof of one entry, an answer (`airlift provenance ... --prove`) or receipt.
This file imports nothing of airlift, so that an assessor can read all of it, copy it to another machine and run it
there (``python -I verify.py ...``).

- Export: every entry's digest and the root of every checkpoint are recomputed (RFC 9162 section 2.1 with SHA-384),
  the key's signature on every checkpoint is verified (C2SP signed-note), and each older checkpoint kept elsewhere
  must cover a prefix: only there does a history signed anew with a stolen key show.
- Answer: every entry in it is proven to be in the ledger, every document to be one that a proven entry names, and
  every statement of the answer to stand in one of those. It may leave things out: only an export shows that not.
- Proof, receipt: the one entry is in the ledger; the ledger's key signed what the enclave says it holds.

Exit codes: 0 proven, 2 usage, 3 proven bad, 7 could not check.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, mldsa
except ImportError as failure:  # exit code 7, not a traceback
    sys.stderr.write(f"error: cannot verify without cryptography 48 or later ({failure.name})\n")
    sys.exit(7)

MAX_LINE = 1 << 20
MAX_FILE = 256 * 1024
MAX_ANSWER = 256 << 20
PROOF = b"airlift/tlog-proof-sha384@v1\n"
RECEIPT = "application/vnd.airlift.receipt+json"
RECEIPT_FORMAT = 2
SWITCHES = {"activate-commit", "rollback-commit"}
ENDS = {*SWITCHES, "withdraw-commit"}
NEW_TYPES = {
    "floor",
    "revocations",
    "withdraw-prepare",
    "withdraw-commit",
    "relay",
    "register",
    "export",
    "unfollow",
}
MAX_SIGNATURES = 32
ANSWER = {"airlift": 1, "command": "airlift-verify"}
COUNTS = range(10_000_001)

ORIGIN = re.compile(r"airlift/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
HEADER_KEYS = {"airlift", "type", "origin", "public_key", "entries", "checkpoints"}
ENTRY_KEYS = {"airlift", "index", "time", "type", "actor", "release", "bundle", "detail"}


class Failure(Exception):  # noqa: N818 - not every one of these is an error of the program
    """Verification ended without proof: 3 for proven bad, 7 for what could not be checked."""

    def __init__(self, message: str, exit_code: int = 3) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Result:
    """What was proven of a ledger of ``size`` entries; ``root`` is the newest checkpoint's."""

    origin: str
    size: int
    root: bytes
    checkpoints: int
    kept: int = 0
    witnesses: dict[str, int] = field(default_factory=dict)
    kind: str = "export"
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; digests in hex."""
        return {"ok": True, **asdict(self), "root": self.root.hex()}


# -- strict JSON ---------------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """Return the one spelling that a value has in a ledger."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """Parse one canonical JSON object without floats, huge integers, duplicate keys or deep nesting."""
    try:
        value = json.loads(data.decode(), parse_int=_integer, parse_float=_integer, parse_constant=_integer)
        same = canonical(value) == data  # duplicate keys do not survive this
    except (ValueError, RecursionError) as error:
        raise Failure(f"{what} is not strict JSON") from error
    if not same or type(value) is not dict:
        raise Failure(f"{what} is not a canonical JSON object")
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= 2**53:  # int() refuses floats and NaN, too
        raise ValueError(text)
    return int(text)


def parse_any(data: bytes, what: str) -> Any:
    """Parse JSON of any spacing; a key that stands twice in one object, and half a surrogate pair, are refused."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_distinct, parse_constant=_integer)
        canonical(value)  # half a pair has no bytes in UTF-8
    except (ValueError, RecursionError) as error:
        raise Failure(f"{what} is not JSON") from error
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def decode(text: Any, what: str) -> bytes:
    """Return the bytes of standard base64."""
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (ValueError, AttributeError) as error:
        raise Failure(f"{what} is not base64") from error


def member(document: dict[str, Any], key: str, kind: type, what: str) -> Any:
    """Return ``document[key]`` if it is exactly of ``kind``."""
    if type(document.get(key)) is not kind:
        raise Failure(f"{what} does not say its {key!r}")
    return document[key]


# -- keys and notes (C2SP signed-note, tlog-checkpoint) ------------------------------------------------------------


class Checkpoint(NamedTuple):
    """The three lines of a checkpoint, and the (name, key id, signature) lines that sign ``text``."""

    origin: str
    size: int
    root: bytes
    text: bytes
    lines: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True)
class Verifier:
    """A public key of one of the two accepted schemes, ready to verify notes."""

    handle: mldsa.MLDSA87PublicKey | ec.EllipticCurvePublicKey
    spki: bytes
    scheme: bytes

    def key_id(self, name: str) -> bytes:
        """Return the note key id: SHA-256(name || LF || 0xff || identifier || DER SPKI)[:4]."""
        return hashlib.sha256(name.encode() + b"\n\xff" + self.scheme + self.spki).digest()[:4]

    def signed(self, checkpoint: Checkpoint, name: str, what: str) -> bool:
        """Verify this key's lines under ``name``; say whether there is one."""
        found = [value for *line, value in checkpoint.lines if line == [name, self.key_id(name)]]
        if not all(self.verifies(value, checkpoint.text) for value in found):
            raise Failure(f"{what} has a signature by {name} that does not verify")
        return bool(found)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether a signature is this key's over ``message``."""
        try:
            if isinstance(self.handle, mldsa.MLDSA87PublicKey):
                self.handle.verify(signature, message)
            else:
                self.handle.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            return False
        return True


def load_key(data: bytes, what: str) -> Verifier:
    """Parse a public key in PEM."""
    try:
        handle = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Failure(f"{what} is not a public key in PEM that can be used here", 7) from error
    if isinstance(handle, mldsa.MLDSA87PublicKey):
        scheme = b"airlift-ml-dsa-87"
    elif isinstance(handle, ec.EllipticCurvePublicKey) and isinstance(handle.curve, ec.SECP384R1):
        scheme = b"airlift-ecdsa-p384"
    else:
        raise Failure(f"{what} is neither an ML-DSA-87 nor an ECDSA P-384 key", 7)
    spki = handle.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Verifier(handle, spki, scheme)


def parse_checkpoint(data: bytes, what: str) -> Checkpoint:
    """Parse a checkpoint note of at most 256 KiB; nothing is verified."""
    try:
        text, _, tail = data.decode().rpartition("\n\n")
        origin, size, encoded = text.split("\n")
        lines = tuple(_parse_line(line) for line in tail.split("\n")[:-1])
        root = base64.b64decode(encoded)
    except ValueError as error:
        raise Failure(f"{what} is not a checkpoint") from error
    if not (ORIGIN.fullmatch(origin) and NUMBER.fullmatch(size) and len(root) == 48):
        raise Failure(f"{what} is not three lines of origin, size and root")
    if not (1 <= len(lines) <= MAX_SIGNATURES and len(data) <= MAX_FILE):
        raise Failure(f"{what} has no signature, or is too long")
    signed = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
    written = (f"— {name} {base64.b64encode(key_id + value).decode()}\n" for name, key_id, value in lines)
    if signed + b"\n" + "".join(written).encode() != data:
        raise Failure(f"{what} is not in canonical form")
    return Checkpoint(origin, int(size), root, signed, lines)


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    dash, name, encoded = line.split(" ")
    raw = base64.b64decode(encoded)
    plain = "+" not in name and all(c >= "!" and not c.isspace() for c in name)
    if not (dash == "—" and plain and 1 <= len(name.encode()) <= 255 and 4 < len(raw) <= 4 + 8192):
        raise ValueError(line)
    return name, raw[:4], raw[4:]


# -- the tree (RFC 9162 section 2.1) -------------------------------------------------------------------------------


def digest_of(prefix: bytes, *parts: bytes) -> bytes:
    """Return HASH(0x00 || leaf) or HASH(0x01 || left || right)."""
    return hashlib.sha384(prefix + b"".join(parts)).digest()


def complete_subtrees(leaves: list[bytes]) -> list[list[bytes]]:
    """Return the digests of all complete subtrees; ``result[level][i]`` covers leaves [i << level, i+1 << level)."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([digest_of(b"\x01", *below[i : i + 2]) for i in range(0, len(below) - 1, 2)])
    return levels


def root_of(levels: list[list[bytes]], size: int) -> bytes:
    """Return the root of the first ``size`` leaves: subtrees joined from the right."""
    digest = b""
    for level in range(size.bit_length()):
        if size >> level & 1:
            peak = levels[level][(size >> level) - 1]
            digest = digest_of(b"\x01", peak, digest) if digest else peak
    return digest or hashlib.sha384(b"").digest()


def verify_inclusion(path: list[bytes], index: int, leaf: bytes, found: Checkpoint, what: str) -> None:
    """Verify that an entry is at ``index`` of the tree that a checkpoint covers (RFC 9162 section 2.1.3.2)."""
    position, last, digest = index, found.size - 1, digest_of(b"\x00", leaf)
    if not 0 <= index < found.size or len(path) > 64:
        raise Failure(f"{what} is not in the tree")
    for sibling in path:
        if last == 0:
            raise Failure(f"the proof of {what} is too long")
        if position & 1 or position == last:
            digest = digest_of(b"\x01", sibling, digest)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            digest = digest_of(b"\x01", digest, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or digest != found.root:
        raise Failure(f"{what} is not in the ledger: its proof does not lead to the checkpoint")


def verify_consistency(path: list[bytes], old: Checkpoint, new: Checkpoint, what: str) -> None:
    """Verify that the tree of the older checkpoint is a prefix of the newer one's (RFC 9162 section 2.1.4.2)."""
    if old.size in {0, new.size}:
        if path or old.root != (hashlib.sha384(b"").digest() if old.size == 0 else new.root):
            raise Failure(f"{what} has another root: the history was changed")
        return
    if old.size > new.size or len(path) > 64:
        raise Failure(f"{what} covers more entries than the ledger has")
    path = [old.root, *path] if old.size & (old.size - 1) == 0 else path
    position, last = old.size - 1, new.size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = path[0] if path else b""
    for sibling in path[1:]:
        if last == 0:
            raise Failure(f"the proof of {what} is too long")
        if position & 1 or position == last:
            older, newer = digest_of(b"\x01", sibling, older), digest_of(b"\x01", sibling, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = digest_of(b"\x01", newer, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or (older, newer) != (old.root, new.root):
        raise Failure(f"{what} is no prefix of the ledger: the history was changed")


# -- the export ----------------------------------------------------------------------------------------------------


class Lines:
    """The lines of a file, each bounded, with a running SHA-384 over all that were read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha384()

    def read(self, what: str) -> bytes:
        """Return the next line without its newline."""
        line = self.file.readline(MAX_LINE + 2)
        if not line.endswith(b"\n"):
            raise Failure(f"{what} is missing, cut off or too long")
        self.digest.update(line)
        return line[:-1]


def parse_entry(data: bytes, what: str) -> dict[str, Any]:
    """Parse one entry and check its fields."""
    document = parse_json(data, what)
    check_format(document, what, 2)
    if (document["airlift"] == 2) != (document.get("type") in NEW_TYPES):
        raise Failure(f"{what} has another format than its type")
    if set(document) != ENTRY_KEYS or not TIME.fullmatch(member(document, "time", str, what)):
        raise Failure(f"{what} does not have the fields of an entry")
    for key, kind in (("index", int), ("type", str), ("actor", str), ("detail", dict)):
        member(document, key, kind, what)
    return document


def check_format(document: dict[str, Any], what: str, newest: int = 1) -> None:
    """Refuse any format but 1 to ``newest``; a later one is not bad, only unknown."""
    if member(document, "airlift", int, what) > newest:
        raise Failure(f"{what} has a later format than this verifier knows", 7)
    if document["airlift"] < 1:
        raise Failure(f"{what} has no known format")


def verify_export(
    file: BinaryIO, key: Verifier, kept: list[tuple[str, bytes]], witnesses: list[tuple[str, Verifier]]
) -> Result:
    """Verify a whole export: entries, roots, signatures, kept checkpoints, end."""
    lines = Lines(file)
    origin, entries, count = _header(lines, key)
    levels = complete_subtrees([_leaf(lines, index) for index in range(entries)])
    result = Result(origin, entries, root_of(levels, entries), count)
    last = -1
    for number in range(count):
        what = f"checkpoint {number + 1} of {count}"
        note = member(parse_json(lines.read(what), what), "checkpoint", str, what).encode()
        found = _agree(result, note, what, key, levels)
        if found.size <= last:
            raise Failure(f"{what} is out of order")
        last = found.size
        _witnessed(result, found, what, witnesses)
    if last != entries:
        raise Failure(f"the newest checkpoint covers {max(last, 0)} of {entries} entries")
    expected = canonical({"digest": lines.digest.hexdigest()})
    if lines.read("the last line") != expected or file.read(1):
        raise Failure("the export does not end in the digest of its lines")
    for name, data in kept:
        _agree(result, data, name, key, levels)
        result.kept += 1
    if not all(result.witnesses.values()):
        raise Failure("a witness signed none of the checkpoints")
    return result


def _header(lines: Lines, key: Verifier) -> tuple[str, int, int]:
    what = "the header"
    document = parse_json(lines.read(what), what)
    if document.get("type") != "ledger":
        raise Failure("this is not the export of a ledger")
    check_format(document, what)
    entries, count = member(document, "entries", int, what), member(document, "checkpoints", int, what)
    origin = member(document, "origin", str, what)
    if (
        set(document) != HEADER_KEYS
        or not ORIGIN.fullmatch(origin)
        or not (entries in COUNTS and count in COUNTS)
    ):
        raise Failure(f"{what} has a field out of range")
    pem = key.handle.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if member(document, "public_key", str, what).encode() != pem:
        raise Failure("the ledger is kept with another key than the given one")
    return origin, entries, count


def _leaf(lines: Lines, index: int) -> bytes:
    data = lines.read(f"entry {index}")
    if parse_entry(data, f"entry {index}")["index"] != index:
        raise Failure(f"entry {index} says another index")
    return digest_of(b"\x00", data)


def _agree(result: Result, data: bytes, what: str, key: Verifier, levels: list[list[bytes]]) -> Checkpoint:
    """Verify one checkpoint of the ledger against its entries."""
    found = parse_checkpoint(data, what)
    if found.origin != result.origin:
        raise Failure(f"{what} is of another ledger: {found.origin}, not {result.origin}")
    if not key.signed(found, result.origin, what):
        raise Failure(f"{what} is not signed by the given key")
    if found.size > result.size:
        raise Failure(f"{what} covers {found.size} entries, the ledger has only {result.size}")
    if root_of(levels, found.size) != found.root:
        raise Failure(f"{what} has another root for the first {found.size} entries: the history was changed")
    return found


def _witnessed(result: Result, found: Checkpoint, what: str, witnesses: list[tuple[str, Verifier]]) -> None:
    for label, witness in witnesses:
        signed = [witness.signed(found, name, what) for name, _, _ in found.lines if name != result.origin]
        result.witnesses[label] = result.witnesses.get(label, 0) + any(signed)


# -- proofs, answers, receipts: one checkpoint, and what it proves -------------------------------------------------


def verify_checkpoint(data: bytes, origin: str, key: Verifier, what: str) -> Checkpoint:
    """Parse a checkpoint of the ledger ``origin`` and verify its signature."""
    found = parse_checkpoint(data, what)
    if found.origin != origin:
        raise Failure(f"{what} is of another ledger: {found.origin}, not {origin}")
    if not key.signed(found, origin, what):
        raise Failure(f"{what} is not signed by the given key")
    return found


def verify_proof(data: bytes, key: Verifier) -> tuple[Result, Checkpoint]:
    """Verify a proof of one entry: a text file as C2SP tlog-proof has it."""
    head, _, note = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    if len(lines) < 3 or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Failure("this is not a proof of an entry")
    found = parse_checkpoint(note, "the checkpoint of the proof")
    verify_checkpoint(note, found.origin, key, "the checkpoint of the proof")
    leaf, path = decode(lines[1][6:], "the entry"), [decode(text, "the proof") for text in lines[3:]]
    entry = parse_entry(leaf, "the entry")
    if lines[2][6:] != str(entry["index"]):
        raise Failure("the proof is for another index than its entry")
    verify_inclusion(path, entry["index"], leaf, found, "the entry")
    facts = {"index": entry["index"], "type": entry["type"], "time": entry["time"]}
    return Result(found.origin, found.size, found.root, 1, kind="proof", facts=facts), found


def verify_receipt(document: dict[str, Any], key: Verifier) -> tuple[Result, Checkpoint]:
    """Verify a receipt: a DSSE envelope that the ledger's key signed, and the checkpoint in it."""
    payload = decode(document.get("payload"), "the receipt's payload")
    message = b"DSSEv1 %d %b %d %b" % (len(RECEIPT), RECEIPT.encode(), len(payload), payload)
    lines = member(document, "signatures", list, "the receipt")
    signatures = [
        decode(line.get("sig"), "a signature") for line in lines[:MAX_SIGNATURES] if type(line) is dict
    ]
    if not any(key.verifies(signature, message) for signature in signatures):
        raise Failure("the receipt is not signed by the given key")
    claims = parse_json(payload, "the receipt")
    check_format(claims, "the receipt", RECEIPT_FORMAT)
    origin = f"airlift/{member(claims, 'enclave', str, 'the receipt')}"
    note = member(claims, "checkpoint", str, "the receipt").encode()
    found = verify_checkpoint(note, origin, key, "the receipt's checkpoint")
    if claims.get("type") != "receipt" or claims.get("ledger") != {
        "size": found.size,
        "root": found.root.hex(),
    }:
        raise Failure("the receipt contradicts its own checkpoint")
    facts = {name: claims.get(name) for name in ("enclave", "issued", "active", "installed", "marking")}
    return Result(origin, found.size, found.root, 1, kind="receipt", facts=facts), found


def verify_answer(document: dict[str, Any], key: Verifier) -> tuple[Result, Checkpoint, list[bytes]]:
    """Verify an answer; return what was proven, its checkpoint, and the older notes that it is consistent with."""
    data = member(document, "data", dict, "the answer")
    proof = member(data, "proof", dict, "the answer")
    if set(proof) != {"origin", "checkpoint", "entries", "documents", "consistency"}:
        raise Failure("the proof in the answer does not have the parts of one")
    origin, what = member(proof, "origin", str, "the proof"), "the answer's checkpoint"
    found = verify_checkpoint(member(proof, "checkpoint", str, "the proof").encode(), origin, key, what)
    leaves = {}
    for item in member(proof, "entries", list, "the proof"):
        index, leaf = _proven_entry(item, found)
        leaves[index] = leaf
    ground = Ground(
        leaves, [decode(text, "a document") for text in member(proof, "documents", list, "the proof")]
    )
    ground.check({name: value for name, value in data.items() if name != "proof"})
    if "root" in data and (data["root"], data.get("size")) != (found.root.hex(), found.size):
        raise Failure("the answer says another size or root than the checkpoint")
    older = []
    for item in member(proof, "consistency", list, "the proof"):
        note = member(item, "checkpoint", str, "a consistency proof").encode()
        old = verify_checkpoint(note, origin, key, "an older checkpoint")
        path = [
            decode(text, "a consistency proof") for text in member(item, "path", list, "a consistency proof")
        ]
        verify_consistency(path, old, found, "an older checkpoint")
        older.append(note)
    facts = {"command": document.get("command"), "entries": len(leaves), "documents": len(ground.documents)}
    return Result(origin, found.size, found.root, 1, kind="answer", facts=facts), found, older


def _proven_entry(item: Any, found: Checkpoint) -> tuple[int, dict[str, Any]]:
    if type(item) is not dict:
        raise Failure("a proof of an entry is no object")
    leaf = member(item, "leaf", str, "a proven entry").encode()
    entry = parse_entry(leaf, "a proven entry")
    what = f"entry {entry['index']}"
    if item.get("index") != entry["index"]:
        raise Failure(f"{what} is proven under another index")
    path = [decode(text, f"the proof of {what}") for text in member(item, "path", list, what)]
    verify_inclusion(path, entry["index"], leaf, found, what)
    return entry["index"], {name: value for name, value in entry.items() if name != "airlift"}


Thing = tuple[str, Any, Any, Any]
"""Kind, name, version and digest of a node of a lineage."""


class Ground:
    """What is proven: entries, documents that they name by SHA-512, and all that those state of things.

    ``edges`` are (digest of a thing, relation, other thing): exactly what a lineage may say.
    """

    def __init__(self, leaves: dict[int, dict[str, Any]], documents: list[bytes]) -> None:
        self.leaves, self.documents = leaves, documents
        self.words: set[str] = set()
        self.things: set[Thing] = set()
        self.edges: set[tuple[Any, str, Thing]] = set()
        self.kinds: set[tuple[Any, Any]] = set()
        self.variants: set[tuple[Any, Thing]] = set()
        for leaf in leaves.values():
            self.words.update(_words(leaf))
            self._state_entry(leaf)
        waiting = [(hashlib.sha512(data).hexdigest(), parse_any(data, "a document")) for data in documents]
        while waiting:
            named = [pair for pair in waiting if pair[0] in self.words]
            if not named:
                raise Failure("a document in the answer is named by no proven entry")
            waiting = [pair for pair in waiting if pair[0] not in self.words]
            for digest, document in named:
                self.words.update(_words(document))
                if document.get("type") == "release":
                    self._state_release(digest, document)
                elif document.get("type") == "bundle":
                    self._state_bundle(digest, document)

    def _state(self, above: Any, relation: str, thing: Thing) -> None:
        self.things.add(thing)
        self.edges.add((above, relation, thing))

    def _state_entry(self, leaf: dict[str, Any]) -> None:
        detail, here = (
            leaf["detail"],
            ("entry", f"entry {leaf['index']} ({leaf['type']})", leaf["time"], None),
        )
        self.things.add(here)
        bundle = detail.get("bundle_manifest")
        if bundle is not None:
            self.things.add(("bundle", leaf["bundle"], str(detail.get("sequence")), bundle))
            self._state(bundle, "recorded-in", here)
        if leaf["type"] == "register":
            stated = detail["from"]
            made = ("release", stated["name"], stated["version"], stated["digest"])
            self._state(leaf["release"], "made-from", made)
            self._state(leaf["release"], "recorded-in", here)
        if leaf["type"] == "import-commit":
            base = detail.get("baseline")
            if base:  # a bundle for several enclaves says of each which it is; the entry says it of this one
                self._state(bundle, "delta-from", ("release", base["name"], base["version"], base["digest"]))
            for item in _list(dict(_dict(detail.get("variants"))).get("left_out")):
                thing = ("component", item["name"], item["version"], item["digest"])
                self._state(leaf["release"], "leaves-out", thing)
        for codec, count in _dict(detail.get("codecs")):
            self._state(bundle, "coded-with", ("delta", codec, str(count), None))
        for name in _list(detail.get("volume_names")):
            self._state(bundle, "came-on", ("volume", name, None, None))
        holders = dict(_dict(detail.get("holders")))
        for role, keys in _dict(detail.get("signers")):
            for key in _list(keys):
                self._state(
                    bundle, f"signed-by {role}", ("key", holders.get(key, "unnamed holder"), None, key)
                )
        for item in [detail] if leaf["type"] == "attestation" else _list(detail.get("attestations")):
            self._state_attestation(item, here)

    def _state_attestation(self, item: dict[str, Any], entry: Thing) -> None:
        kind, digest = item.get("kind"), item.get("sha512")
        speaks = bool(item.get("passes")) or kind in {"provenance", "other"}
        relation = "attested-by" if speaks else "disputed-by"
        self._state(item.get("subject"), relation, ("attestation", kind, None, digest))
        self._state(digest, "recorded-in", entry)
        verb = "approved-by" if kind == "approval" and item.get("passes") else "signed-by"
        for key, holder in _dict(item.get("holders")):
            self._state(digest, verb, ("key", holder, None, key))

    def _state_release(self, digest: str, document: dict[str, Any]) -> None:
        here = ("release", document["name"], document["version"], digest)
        self.things.add(here)
        for component in document["components"]:
            self._state_component(here, component)

    def _state_component(self, release: Thing, item: dict[str, Any]) -> None:
        digest, source = item["digest"], item["source"]
        thing = ("component", item["name"], item["version"], digest)
        self._state(release[3], "contains", thing)
        if "variant" in item:
            self.variants.add((release[3], thing))
        self.kinds.add((digest, item["kind"]))
        self._state(digest, "part-of", release)
        origin = self._state_source(digest, source)
        for file in item["files"]:
            self._state(digest, "consists-of", ("file", file["path"], None, file["sha512"]))
            self._state(file["sha512"], "gathered-from", origin)
            self._state(file["sha512"], "part-of", thing)
        self._state(digest, "licensed-under", ("licence", item["license"], None, None))
        for parent in item["parents"]:
            above = ("component", parent["name"], parent["version"], parent["digest"])
            self._state(digest, parent["relation"], above)
        for made in item.get("data", []):
            self._state(digest, "made-with", ("data", made["name"], made["version"], made["sha512"]))
        if item["vendor_signature"]:
            stated = item["vendor_signature"]
            self._state(
                digest, "vouched-for-by", ("vendor-signature", stated["method"], None, stated["sha512"])
            )

    def _state_source(self, above: str, source: dict[str, Any]) -> Thing:
        """State where something comes from, and where that comes from: sources of enclaves are a chain."""
        first: Thing | None = None
        while True:
            place, origin = _place(source), source.get("origin")
            self._state(above, "gathered-from", place)
            first = first or place
            if origin is None:
                return first
            there = source["release"]
            above, source = there["digest"], origin
            self._state(above, "part-of", ("release", there["name"], there["version"], above))

    def _state_bundle(self, digest: str, document: dict[str, Any]) -> None:
        number = document["sequence"]
        addressee = document["enclave"] or ("several" if "portions" in document else "any")
        here = ("bundle", f"{addressee}-{number}", str(number), digest)
        self.things.add(here)
        for name, relation in (("target", "carries"), ("baseline", "delta-from")):
            stated = document[name]
            if stated:
                self._state(
                    digest, relation, ("release", stated["name"], stated["version"], stated["digest"])
                )
                if name == "target":
                    self._state(stated["digest"], "carried-by", here)

    # -- what an answer says ---------------------------------------------------------------------------------------

    def check(self, data: dict[str, Any]) -> None:
        """Check that an answer says nothing but what is proven; its question is its own affair, and so are counts."""
        if "since" in data:
            self._check_period({name: value for name, value in data.items() if name != "time"})
            return
        for name, value in data.items():
            if name == "node":
                self._check_node(value, None)
            elif name in {"entries", "nodes", "periods"}:
                for item in member(data, name, list, "the answer"):
                    {
                        "entries": self._check_entry,
                        "nodes": self._check_subject,
                        "periods": self._check_period,
                    }[name](item)
            elif name not in {"component", "bundles", "releases", "components", "root"} and type(
                value
            ) not in {int, bool}:
                raise Failure(f"the answer has a part that answers do not have: {name[:80]!a}")
        if "bundles" in data:
            self._check_brought(data)

    def _check_brought(self, data: dict[str, Any]) -> None:
        commits = [entry for entry in data["entries"] if entry["type"] == "import-commit"]
        releases = [entry["detail"]["release"] for entry in commits if entry["detail"].get("release")]
        components = [item for entry in commits for item in entry["detail"]["components"]]
        brought = [[entry["bundle"] for entry in commits], _labels(releases), _labels(components)]
        if [list(dict.fromkeys(x)) for x in brought] != [
            data["bundles"],
            data["releases"],
            data["components"],
        ]:
            raise Failure("the answer says that something else came in than its entries say")

    def _check_entry(self, entry: dict[str, Any]) -> None:
        leaf = self.leaves.get(entry["index"])
        if leaf is None or canonical(leaf) != canonical(entry):
            raise Failure(f"entry {entry['index']!a} in the answer is not the one that is proven")

    def _check_subject(self, node: dict[str, Any]) -> None:
        self._check_node(node, None)

    def _check_node(self, node: dict[str, Any], above: Any) -> None:
        if set(node) != {"kind", "name", "version", "digest", "relation", "parents"}:
            raise Failure("the answer has a node that is none")
        thing = (node["kind"], node["name"], node["version"], node["digest"])
        known = thing in self.things if above is None else (above, node["relation"], thing) in self.edges
        if not known or (above is None and node["relation"] != "subject"):
            shown = ascii(f"{node['relation']}: {node['kind']} {node['name']}"[:120])
            raise Failure(f"the answer says {shown}, which nothing in it proves")
        for parent in node["parents"]:
            self._check_node(parent, node["digest"])

    def _check_period(self, period: dict[str, Any]) -> None:
        """Check a period in which a release was active: its bounds, and all of the release's components."""
        digest, since, until = period["digest"], period["since"], period["until"]
        for entry, types in ((since, SWITCHES), (until, ENDS)) if until is not None else ((since, SWITCHES),):
            self._check_entry(entry)
            if entry["type"] not in types:
                raise Failure("the answer takes an entry for a switch that is none")
        chosen = _list(since["detail"].get("variants"))
        held = [thing for above, relation, thing in self.edges if (above, relation) == (digest, "contains")]
        held = [thing for thing in held if (digest, thing) not in self.variants or thing[1] in chosen]
        said = [("component", c["name"], c["version"], c["digest"]) for c in period["components"]]
        if sorted(held) != sorted(said):
            raise Failure("the answer lists other components than the release that was active has")
        if since["release"] != digest or (until is not None and until["index"] <= since["index"]):
            raise Failure("the answer gives a period that its entries do not bound")
        named = [
            f"{thing[1]}@{thing[2]}" for thing in self.things if (thing[0], thing[3]) == ("release", digest)
        ]
        kinds = {(item["digest"], item["kind"]) for item in period["components"]}
        further = set(period) - {"release", "digest", "since", "until", "components"}
        if period["release"] not in named or not kinds <= self.kinds or further:
            raise Failure("the answer gives a release or a component another name or kind than it has")
        if any(set(item) != {"name", "kind", "version", "digest"} for item in period["components"]):
            raise Failure("the answer says more of a component than periods do")


def _place(source: dict[str, Any]) -> Thing:
    """Return a component's source, without where it comes from itself."""
    kind = source["kind"]
    if kind == "enclave":
        name = f"enclave:{source['enclave']}/{source['component']}"
        return "source", name, str(source["entry"]), source["release"]["digest"]
    if kind == "registered":
        return "source", f"registered:{source['enclave']}", None, None
    if kind in {"https", "bucket", "oci"}:
        return "source", f"oci:{source['reference']}" if kind == "oci" else source["url"], None, None
    name = f"hub:{source['repo']}" if kind == "hub" else f"path:{source['path']}"
    return "source", name, source.get("revision"), None


def _words(value: Any) -> Iterator[str]:
    """Yield every string in a document, numbers in decimal and keys as well."""
    if isinstance(value, dict):
        yield from value
        if "name" in value and "version" in value:
            yield f"{value['name']}@{value['version']}"
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif value is not None:
        yield str(value)


def _labels(items: list[dict[str, Any]]) -> list[str]:
    return [f"{item['name']}@{item['version']}" for item in items]


def _dict(value: Any) -> list[tuple[str, Any]]:
    return sorted(value.items()) if isinstance(value, dict) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# -- the command ---------------------------------------------------------------------------------------------------


def verify(arguments: argparse.Namespace) -> Result:
    """Read the files that the arguments name and verify them."""
    key = load_key(_read(arguments.public_key), arguments.public_key)
    witnesses = [(name, load_key(_read(name), name)) for name in arguments.witness]
    kept = [(name, _kept(_read(name, MAX_ANSWER), name)) for name in arguments.checkpoint]
    with Path(arguments.file).open("rb") as file:
        first = file.read(64)
        file.seek(0)
        if first.startswith(PROOF) or b'"command"' in first or b'"payload"' in first:
            result = _verify_small(file.read(MAX_ANSWER + 1), key, kept, witnesses)
        else:
            result = verify_export(file, key, kept, witnesses)
    if arguments.origin not in {None, result.origin}:
        raise Failure(f"this is the ledger {result.origin}, not {arguments.origin}")
    return result


def _verify_small(
    data: bytes, key: Verifier, kept: list[tuple[str, bytes]], witnesses: list[tuple[str, Verifier]]
) -> Result:
    """Verify a proof, an answer or a receipt, and hold its checkpoint against kept ones as far as that goes."""
    older: list[bytes] = []
    if len(data) > MAX_ANSWER:
        raise Failure(f"the file is longer than {MAX_ANSWER} bytes", 7)
    if data.startswith(PROOF):
        result, found = verify_proof(data, key)
    else:
        document = parse_any(data, "the file")
        if document.get("payloadType") == RECEIPT:
            result, found = verify_receipt(document, key)
        elif isinstance(document.get("data"), dict) and "proof" in document["data"]:
            try:
                result, found, older = verify_answer(document, key)
            except (KeyError, TypeError, AttributeError, RecursionError) as error:
                raise Failure("the answer is not in the format of one") from error
        else:
            raise Failure("this is no export, proof, answer with a proof, or receipt", 7)
    _witnessed(result, found, "the checkpoint", witnesses)
    if not all(result.witnesses.values()):
        raise Failure("a witness did not sign the checkpoint")
    for name, note in kept:
        old = verify_checkpoint(note, result.origin, key, name)
        if old.size == found.size and old.root != found.root:
            raise Failure(f"{name} has another root for {old.size} entries: the history was changed")
        if old.size != found.size and note not in older:
            raise Failure(
                f"{name} covers {old.size} entries and this {found.size}: nothing here proves that one continues "
                "the other; export the ledger and verify that",
                7,
            )
        result.kept += 1
    return result


def _kept(data: bytes, name: str) -> bytes:
    """Return the checkpoint note that a kept file is, or that a receipt or an answer carries."""
    if not data.startswith(b"{"):
        return data
    document = parse_any(data, name)
    try:
        if "payload" in document:
            document = parse_any(decode(document["payload"], name), name)
            return str(document["checkpoint"]).encode()
        return str(document["data"]["proof"]["checkpoint"]).encode()
    except (KeyError, TypeError) as error:
        raise Failure(f"{name} holds no checkpoint", 7) from error


def _read(name: str, limit: int = MAX_FILE) -> bytes:
    with Path(name).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Failure(f"{name} is longer than {limit} bytes")
    return data


def report(result: Result) -> str:
    """Return what was proven, for people."""
    unkept = "none given: a history signed anew with a stolen key would not show"
    whole = result.kind == "export"
    shown = {name: ascii(value)[:400] for name, value in result.facts.items()}
    lines = [
        *([] if whole else [f"this is      {'an' if result.kind == 'answer' else 'a'} {result.kind}"]),
        f"ledger       {result.origin}",
        f"entries      {result.size}{', every one recomputed' if whole else ' in the ledger'}",
        f"root         {base64.b64encode(result.root).decode()}",
        f"checkpoints  {result.checkpoints}, every one signed by the given key and consistent",
        *(f"{name:12} {value}" for name, value in shown.items() if name != "entries"),
        *([f"proven       {result.facts['entries']} entries"] if "entries" in result.facts else []),
        f"kept         {result.kept} older checkpoints cover prefixes"
        if result.kept
        else f"kept         {unkept}",
        *(f"witness      {count} checkpoints signed by {name}" for name, count in result.witnesses.items()),
    ]
    if result.kind == "answer":
        lines.append("not proven   that nothing was left out: only a full export shows that")
    return "".join(f"{line}\n" for line in lines)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    found = argparse.ArgumentParser(
        prog="airlift-verify", description="Verify what an airlift ledger proves."
    )
    found.add_argument(
        "file", metavar="FILE", help="an export, a proof, an answer with its proof, or a receipt"
    )
    found.add_argument("--public-key", metavar="K", required=True, help="the ledger's public key (PEM)")
    found.add_argument("--checkpoint", metavar="OLD", action="append", default=[], help="one kept earlier")
    found.add_argument("--witness", metavar="K", action="append", default=[], help="a witness's key (PEM)")
    found.add_argument("--origin", help="the ledger that it must be (airlift/NAME)")
    found.add_argument(
        "--format", choices=("table", "json"), default="table", help="a table for people, or JSON for scripts"
    )
    return found


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = parser().parse_args(words)
    try:
        result = verify(arguments)
    except (Failure, OSError) as caught:
        failure = caught if isinstance(caught, Failure) else Failure(f"cannot read: {caught}", 7)
        code = {3: "proven-bad", 7: "unreadable"}[failure.exit_code]
        error = {"code": code, "exit": failure.exit_code, "message": str(failure)}
        sys.stderr.write(f"error: {failure}\n")
        if arguments.format == "json":
            sys.stdout.write(json.dumps({**ANSWER, "ok": False, "error": error, "data": {}}) + "\n")
        return failure.exit_code
    if arguments.format == "json":
        sys.stdout.write(json.dumps({**ANSWER, "ok": True, "data": result.to_json()}) + "\n")
    else:
        sys.stdout.write(report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
