"""Verify an exported airlift ledger with a public key alone: one file, the standard library and ``cryptography``.

    airlift-verify EXPORT --public-key ledger.pub [--checkpoint OLD]... [--witness witness.pub]...

It imports nothing of airlift, so that an assessor can read all of it, copy it to another machine and run it there
(``python -I verify.py ...``). It recomputes every entry's digest and the root of every checkpoint (RFC 9162 section
2.1 with SHA-384), verifies the key's signature on every checkpoint (C2SP signed-note), and demands that each older
checkpoint kept elsewhere covers a prefix: only there does a history signed anew with a stolen key show.

Exit codes: 0 proven, 2 usage, 3 proven bad, 7 could not check.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
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
    """What was proven; ``root`` is the newest checkpoint's."""

    origin: str
    size: int
    root: bytes
    checkpoints: int
    kept: int = 0
    witnesses: dict[str, int] = field(default_factory=dict)

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
        for value in found:
            try:
                if isinstance(self.handle, mldsa.MLDSA87PublicKey):
                    self.handle.verify(value, checkpoint.text)
                else:
                    self.handle.verify(value, checkpoint.text, ec.ECDSA(hashes.SHA384()))
            except InvalidSignature as error:
                raise Failure(f"{what} has a signature by {name} that does not verify") from error
        return bool(found)


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
    check_format(document, what)
    if set(document) != ENTRY_KEYS or not TIME.fullmatch(member(document, "time", str, what)):
        raise Failure(f"{what} does not have the fields of an entry")
    for key, kind in (("index", int), ("type", str), ("actor", str), ("detail", dict)):
        member(document, key, kind, what)
    return document


def check_format(document: dict[str, Any], what: str) -> None:
    """Refuse any format but 1; a later one is not bad, only unknown."""
    if member(document, "airlift", int, what) > 1:
        raise Failure(f"{what} has a later format than this verifier knows", 7)
    if document["airlift"] != 1:
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


# -- the command ---------------------------------------------------------------------------------------------------


def verify(arguments: argparse.Namespace) -> Result:
    """Read the files that the arguments name and verify them."""
    key = load_key(_read(arguments.public_key), arguments.public_key)
    witnesses = [(name, load_key(_read(name), name)) for name in arguments.witness]
    kept = [(name, _read(name)) for name in arguments.checkpoint]
    with Path(arguments.export).open("rb") as file:
        result = verify_export(file, key, kept, witnesses)
    if arguments.origin not in {None, result.origin}:
        raise Failure(f"this is the ledger {result.origin}, not {arguments.origin}")
    return result


def _read(name: str) -> bytes:
    with Path(name).open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise Failure(f"{name} is longer than {MAX_FILE} bytes")
    return data


def report(result: Result) -> str:
    """Return what was proven, for people."""
    unkept = "none given: a history signed anew with a stolen key would not show"
    lines = [
        f"ledger       {result.origin}",
        f"entries      {result.size}, every one recomputed",
        f"root         {base64.b64encode(result.root).decode()}",
        f"checkpoints  {result.checkpoints}, every one signed by the given key and consistent",
        f"kept         {result.kept} older checkpoints cover prefixes"
        if result.kept
        else f"kept         {unkept}",
        *(f"witness      {count} checkpoints signed by {name}" for name, count in result.witnesses.items()),
    ]
    return "".join(f"{line}\n" for line in lines)


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="airlift-verify", description="Verify an exported airlift ledger.")
    parser.add_argument("export", metavar="EXPORT", help="the exported ledger")
    parser.add_argument("--public-key", metavar="K", required=True, help="the ledger's public key (PEM)")
    parser.add_argument("--checkpoint", metavar="OLD", action="append", default=[], help="one kept earlier")
    parser.add_argument("--witness", metavar="K", action="append", default=[], help="a witness's key (PEM)")
    parser.add_argument("--origin", help="the ledger that it must be (airlift/NAME)")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args(words)
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
