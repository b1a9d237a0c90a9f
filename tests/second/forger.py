"""An attacker with every key: changes one thing in a bundle, and signs all of it anew, so that nothing else is wrong.

It stands on the second importer's own canonical form and label and on ``cryptography``; nothing of ``airlift`` signs
or writes here. What is changed is a member of some document (or of metadata, the chain of roots included), the
spelling of a document, or a byte of a chunk; lengths, digests, versions and signatures of whatever names it are put
right.
"""

import copy
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from tests.second import strict
from tests.second.documents import volume
from tests.second.errors import Refused
from tests.second.trust import keys

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 40, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 1.5),
    *(
        "",
        "x",
        "X",
        "any",
        "a/b",
        "\u202e",
        "\u00a0",
        "a\n",
        "2026-11-21T12:00:00Z",
        "9999-12-31T23:59:59Z",
        "1.0.31",
    ),
    *("0" * 64, "0" * 128, [], [0], {}, {"x": 1}),
)
SPELLINGS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: b"\xef\xbb\xbf" + data,
    lambda data: data + b"\n",
    lambda data: data.replace(b":", b": ", 1),
    lambda data: data.replace(b"{", b'{"zzz":1,', 1),
    lambda data: data.replace(b"{", b'{"airlift":1,', 1),
    lambda data: data[:-1],
    lambda data: data.replace(b'"airlift":1', b'"airlift":1.0', 1),
    lambda data: data.replace(b'"airlift":1', b'"airlift":9', 1),
    lambda data: data.replace(b"a", b"\\u0061", 1),
    lambda data: data.replace(b"}", b',"zzz":"\\ud800"}', 1),
    lambda data: b"[" * 40 + data + b"]" * 40,
    lambda _data: b"",
)
ORDER = ("targets", "bundler", "snapshot", "timestamp")


@dataclass(slots=True)
class Parts:
    """A bundle in parts: documents as values, which are written anew; those whose spelling was changed as bytes."""

    metadata: dict[str, Any]
    manifest: dict[str, Any]
    release: dict[str, Any]
    revocations: dict[str, Any]
    others: list[bytes]
    chunks: list[bytes]
    parity: list[bytes] = field(default_factory=list)
    spelled: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    root: dict[str, Any] | None = None


class Forger:
    """Has the private keys of a depot, and a bundle of one volume."""

    def __init__(self, key_folder: Path, path: Path) -> None:
        self._keys: dict[str, mldsa.MLDSA87PrivateKey | ec.EllipticCurvePrivateKey] = {}
        for file in key_folder.glob("*.key"):
            private = serialization.load_pem_private_key(file.read_bytes(), None)
            assert isinstance(private, mldsa.MLDSA87PrivateKey | ec.EllipticCurvePrivateKey)
            self._keys[keys.of_pem(file.with_suffix(".pub").read_text()).id] = private
        self._parts, self._roots = _take_apart(path)
        self._name = path.name

    def forge(self, seed: int, folder: Path) -> tuple[Path, str]:
        """Write the volume with one change that the seed chooses; return it, and what was changed."""
        choose = random.Random(seed)
        parts = copy.deepcopy(self._parts)
        what = self._change(parts, choose)
        path = folder / self._name
        self._write(parts, path)
        return path, what

    def _change(self, parts: Parts, choose: random.Random) -> str:
        documents: dict[str, Any] = {
            "manifest": parts.manifest,
            "release": parts.release,
            "revocations": parts.revocations,
            **parts.metadata,
        }
        if "portions" in parts.manifest and choose.random() < 0.5:
            return f"portions: {change_value(parts.manifest['portions'], choose)}"
        kind = choose.choice(
            (*documents, "manifest", "release", "bundler", "targets", "root", "chunk", "spelling")
        )
        if kind == "chunk":
            return _change_chunk(parts, choose)
        if kind == "spelling":
            name = choose.choice(tuple(documents))
            number = choose.randrange(len(SPELLINGS))
            parts.spelled[name] = SPELLINGS[number]
            return f"{name}: spelling {number}"
        if kind == "root":
            parts.root = copy.deepcopy(json.loads(self._roots["1.root.json"])["signed"])
            parts.root["version"] = 2
            return f"root 2: {change_value(parts.root, choose) if choose.random() < 0.9 else 'as it was'}"
        return f"{kind}: {change_value(documents[kind], choose)}"

    def _write(self, parts: Parts, path: Path) -> None:
        documents = self._documents(parts)
        files = {f"manifests/{_sha512(data)[:64]}.json": data for data in documents}
        metadata = self._metadata(parts)
        files |= {f"metadata/{name}": data for name, data in (self._roots | metadata).items()}
        files |= {f"chunks/{_sha512(chunk)[:64]}": chunk for chunk in [*parts.chunks, *parts.parity]}
        try:
            label = volume.label(parts.manifest, 1, 1)
        except (KeyError, TypeError, AttributeError, UnicodeEncodeError, Refused):
            label = b"no label\n"
        files["LABEL.txt"] = label
        sums = "".join(
            f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
        ).encode()
        files["SHA256SUMS"] = sums
        files["volume.json"] = strict.dumps(self._index(parts, sums, _sha512(documents[0])))
        if parts.parity:  # What is lost is rebuilt from what the change left of its stripe.
            del files[f"chunks/{_sha512(parts.chunks[0])[:64]}"]
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)

    def _index(self, parts: Parts, sums: bytes, manifest: str) -> dict[str, Any]:
        enclave, sequence = parts.manifest.get("enclave"), parts.manifest.get("sequence")
        return {
            "airlift": 1,
            "type": "volume",
            "volume": 1,
            "volumes": 1,
            "manifest": manifest,
            "bundle": f"{enclave or ('several' if 'portions' in parts.manifest else 'any')}-{sequence}",
            "sums": _sha512(sums),
            "chunks": len({*parts.chunks, *parts.parity}),
            "chunk_bytes": sum(map(len, {*parts.chunks, *parts.parity})),
        }

    def _documents(self, parts: Parts) -> list[bytes]:
        """Return the documents, the bundle manifest first, after putting right what names them."""
        revocations = _spell(parts, "revocations", strict.dumps(parts.revocations))
        release = _spell(parts, "release", strict.dumps(parts.release))
        targets = parts.metadata["targets"].get("targets")
        if parts.manifest.get("revocations") == self._parts.manifest["revocations"]:
            parts.manifest["revocations"] = _sha512(revocations)
        named = parts.manifest.get("target")
        if isinstance(named, dict) and named.get("digest") == self._parts.manifest["target"]["digest"]:
            named["digest"] = _sha512(release)
            for member in ("name", "version"):
                if parts.release.get(member) != self._parts.release[member]:
                    named[member] = parts.release.get(member)
        if parts.release.get("marking") != self._parts.release["marking"]:
            parts.manifest["marking"] = parts.release.get("marking")
        if isinstance(targets, dict):
            _list(targets, f"release-{_sha512(release)[:64]}", release, "release-")
            _list(targets, "revocations", revocations, "revocations")
        manifest = _spell(parts, "manifest", strict.dumps(parts.manifest))
        listed = parts.metadata["bundler"].get("targets")
        if isinstance(listed, dict):
            old = f"bundle-{_sha512(strict.dumps(self._parts.manifest))[:64]}"
            entry = listed.pop(old, None)
            if entry is not None:
                listed[f"bundle-{_sha512(manifest)[:64]}"] = entry
                _list(listed, f"bundle-{_sha512(manifest)[:64]}", manifest, "bundle-")
                if isinstance(entry, dict) and isinstance(entry.get("custom"), dict):
                    entry["custom"].pop("attestations", None)
        return list(dict.fromkeys([manifest, release, revocations]))

    def _metadata(self, parts: Parts) -> dict[str, bytes]:
        made: dict[str, dict[str, Any]] = {}
        files: dict[str, bytes] = {}
        for role in ORDER:
            signed = parts.metadata[role]
            meta = signed.get("meta")
            for name in meta if isinstance(meta, dict) else ():
                if meta[name] == self._parts.metadata[role]["meta"].get(name) and name in made:
                    meta[name] = made[name]
            data = _spell(parts, role, self._sign(role, signed))
            version = signed.get("version")
            files["timestamp.json" if role == "timestamp" else f"{version}.{role}.json"] = data
            made[f"{role}.json"] = {
                "version": version,
                "length": len(data),
                "hashes": {"sha512": _sha512(data)},
            }
        if parts.root is not None:
            files["2.root.json"] = self._sign("root", parts.root)
        return files

    def _sign(self, role: str, signed: dict[str, Any]) -> bytes:
        """Sign with every key of a role: whoever must sign did."""
        roles = json.loads(self._roots["1.root.json"])["signed"]["roles"]
        members = roles["timestamp" if role == "bundler" else role]["keyids"]
        lines = [{"keyid": name, "sig": _signature(self._keys[name], signed).hex()} for name in members]
        return strict.dumps({"signatures": lines, "signed": signed})


def change_value(value: Any, choose: random.Random) -> str:
    """Change one member somewhere below a value; return where, and how."""
    places = list(_places(value))
    holder, key, path = choose.choice(places)
    old = holder[key]
    ways = ["set", "set", "drop", "add"]
    ways += ["turn", "twice"] * isinstance(old, list | str) + ["step"] * (type(old) is int)
    way = choose.choice(ways)
    if way == "set":
        holder[key] = choose.choice(VALUES)
    elif way == "step":
        holder[key] = old + choose.choice((-1, 1))
    elif way == "turn":
        holder[key] = old[::-1]
    elif way == "twice":
        holder[key] = old + old[:1]
    elif way == "drop":
        del holder[key]
    elif isinstance(holder, dict):
        holder["zzz"] = choose.choice(VALUES)
    else:
        holder.append(copy.deepcopy(old))
    return f"{way} {path}" + (f" = {holder[key]!r:.60}" if way == "set" else "")


def _places(value: Any, path: str = "") -> list[tuple[Any, Any, str]]:
    """Return every member below a value: what holds it, its key, its path."""
    found: list[tuple[Any, Any, str]] = []
    members = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, inner in members:
        found.append((value, key, f"{path}.{key}"))
        if isinstance(inner, dict | list):
            found += _places(inner, f"{path}.{key}")
    return found


def _change_chunk(parts: Parts, choose: random.Random) -> str:
    """Change a byte or two near the front of a chunk, where its table is, and list it as it is now."""
    number = choose.randrange(len(parts.chunks))
    data = bytearray(parts.chunks[number])
    at = choose.randrange(min(len(data), choose.choice((16, 80, 400))))
    data[at] = choose.choice((data[at] ^ 1 << choose.randrange(8), 0, 1, 255))
    if choose.random() < 0.1:
        del data[choose.randrange(len(data)) :]
    parts.chunks[number] = bytes(data) or b"x"
    listed = {"sha512": _sha512(parts.chunks[number]), "size": len(parts.chunks[number])}
    parts.manifest["chunks"][number] = listed
    return f"chunk {number}: byte {at}"


def _take_apart(path: Path) -> tuple[Parts, dict[str, bytes]]:
    index = json.loads((path / "volume.json").read_bytes())
    documents = {_sha512(file.read_bytes()): file.read_bytes() for file in (path / "manifests").iterdir()}
    manifest = json.loads(documents[index["manifest"]])
    chunks = [(path / "chunks" / chunk["sha512"][:64]).read_bytes() for chunk in manifest["chunks"]]
    stripes = manifest.get("parity", {"stripes": []})["stripes"]
    names = [chunk["sha512"][:64] for stripe in stripes for chunk in stripe["parity"]]
    parity = [(path / "chunks" / name).read_bytes() for name in names]
    metadata, roots = {}, {}
    for file in (path / "metadata").iterdir():
        if file.name.endswith(".root.json"):
            roots[file.name] = file.read_bytes()
        else:
            role = file.name.removesuffix(".json").rpartition(".")[2]
            metadata[role] = json.loads(file.read_bytes())["signed"]
    release = json.loads(documents[manifest["target"]["digest"]])
    revocations = json.loads(documents[manifest["revocations"]])
    return Parts(metadata, manifest, release, revocations, [], chunks, parity), roots


def _list(targets: dict[str, Any], name: str, data: bytes, kind: str) -> None:
    """List a document as it is now, unless its entry was what was changed."""
    if kind == "release-" and name not in targets:
        targets[name] = {"custom": {}, "hashes": {"sha512": ""}, "length": 0}
    entry = targets.get(name)
    if isinstance(entry, dict) and isinstance(entry.get("hashes"), dict) and "sha512" in entry["hashes"]:
        entry["hashes"]["sha512"] = _sha512(data)
        entry["length"] = len(data)


def _spell(parts: Parts, name: str, data: bytes) -> bytes:
    return parts.spelled.get(name, bytes)(data)


def _sha512(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


def _signature(
    private: mldsa.MLDSA87PrivateKey | ec.EllipticCurvePrivateKey, signed: Mapping[str, Any]
) -> bytes:
    message = keys.canonical(signed)
    if isinstance(private, mldsa.MLDSA87PrivateKey):
        return private.sign(b"tuf\x01" + hashlib.sha512(message).digest())
    return private.sign(message, ec.ECDSA(hashes.SHA384()))
