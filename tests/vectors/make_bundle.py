"""Writes bundle/*.json: documents, sums and chunks of the transfer format, and what must become of them.

A case has its bytes (``text``, or ``base64`` if they are no UTF-8) and an outcome: ``ok``, which also means that what
was parsed is written back as it was, or the code of the error. Chunks are parsed against ``bundle``.
Run it with ``python -m tests.vectors.make_bundle``.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from airlift.bundle import chunk, manifest, release, revocations, volume
from tests.support import bundle_values as values
from tests.support.bundle_values import changed

FOLDER = Path(__file__).parent / "bundle"
OK, MALFORMED, TOO_NEW = "ok", "malformed", "format-too-new"

Case = tuple[str, bytes, str]


def canonical(value: Any) -> bytes:
    """Return canonical JSON by Python's own means, lone surrogates included."""
    written = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return written.encode(errors="surrogatepass")


def described(cases: Iterator[Case]) -> list[dict[str, str]]:
    """Return the cases as they stand in a file."""
    return [{"name": name} | _bytes(data) | {"outcome": outcome} for name, data, outcome in cases]


def _bytes(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def to_bytes(case: dict[str, str]) -> bytes:
    """Return the bytes of a case."""
    return case["text"].encode() if "text" in case else base64.b64decode(case["base64"])


# -- what breaks every document ------------------------------------------------------------------------------------


def _documents(good: bytes, newest: int = 1) -> Iterator[Case]:
    """Yield what no parser of a JSON document accepts; ``newest`` is the highest format of this kind of document."""
    document = json.loads(good)
    yield "empty", b"", MALFORMED
    yield "cut", good[:-1], MALFORMED
    yield "grown", good + b"\n", MALFORMED
    yield "byte order mark", b"\xef\xbb\xbf" + good, MALFORMED
    yield "UTF-16", good.decode().encode("utf-16-le"), MALFORMED
    yield "not UTF-8", good.replace(b'"airlift"', b'"airlift\xff"', 1), MALFORMED
    yield "a space", good.replace(b":", b": ", 1), MALFORMED
    yield "an escape that is not needed", good.replace(b'"type"', b'"t\\u0079pe"', 1), MALFORMED
    yield "keys out of order", _reversed(document), MALFORMED
    yield "a key twice", good.replace(b'{"airlift":1,', b'{"airlift":1,"airlift":1,', 1), MALFORMED
    yield "a float", good.replace(b'"airlift":1', b'"airlift":1.0', 1), MALFORMED
    yield "an exponent", good.replace(b'"airlift":1', b'"airlift":1e0', 1), MALFORMED
    yield "not a number", good.replace(b'"airlift":1', b'"airlift":NaN', 1), MALFORMED
    yield "infinity", good.replace(b'"airlift":1', b'"airlift":-Infinity', 1), MALFORMED
    yield "minus zero", good.replace(b'"airlift":1', b'"airlift":-0', 1), MALFORMED
    yield "a huge integer", good.replace(b'"airlift":1', b'"airlift":' + b"9" * 5000, 1), MALFORMED
    yield "2 to the 53", good.replace(b'"airlift":1', b'"airlift":%d' % 2**53, 1), MALFORMED
    yield "format as text", canonical(document | {"airlift": "1"}), MALFORMED
    yield "format true", canonical(document | {"airlift": True}), MALFORMED
    yield "format 0", canonical(document | {"airlift": 0}), MALFORMED
    newer = newest + 1
    yield f"format {newer}", canonical(document | {"airlift": newer}), TOO_NEW
    yield f"format {newer} with keys of its own", canonical({"airlift": newer, "zzz": 1}), TOO_NEW
    yield "another type", canonical(document | {"type": "receipt"}), MALFORMED
    yield "an unknown key", canonical(document | {"zzz": 1}), MALFORMED
    yield "a lone surrogate", canonical(document | {"zzz": "\ud800"}), MALFORMED
    yield "an escaped lone surrogate", good.replace(b'"type"', b'"t\\ud800"', 1), MALFORMED
    yield "deep nesting", good.replace(b"1", b"[" * 100_000 + b"]" * 100_000, 1)[:2000], MALFORMED
    yield "33 levels", canonical(document | {"zzz": json.loads("[" * 32 + "]" * 32)}), MALFORMED
    yield "a list", b"[]", MALFORMED
    yield "null", b"null", MALFORMED
    for key in sorted(document):
        lacking = {name: value for name, value in document.items() if name != key}
        yield f"without {key}", canonical(lacking), MALFORMED
        yield f"{key} of another type", canonical(document | {key: {"x": False}}), MALFORMED


def _reversed(document: dict[str, Any]) -> bytes:
    return json.dumps(dict(sorted(document.items(), reverse=True)), separators=(",", ":")).encode()


def _set(document: dict[str, Any], *edits: tuple[str, Any]) -> Iterator[Case]:
    """Yield a malformed case for each (path, value)."""
    for path, value in edits:
        shown = ascii(value) if len(ascii(value)) <= 40 else ascii(value)[:37] + "..."
        yield f"{path} = {shown}", canonical(changed(document, path, value)), MALFORMED


# -- the documents -------------------------------------------------------------------------------------------------


def releases() -> Iterator[Case]:
    """Yield release manifests."""
    good = release.format(values.RELEASE)
    document = json.loads(good)
    yield "good", good, OK
    yield "good: no component", canonical(document | {"components": [], "requires": []}), OK
    yield from _documents(good, newest=2)
    yield "format 2 that nothing needs", canonical(document | {"airlift": 2}), MALFORMED
    yield from _waived()
    yield from _inside()
    yield from _pieced()
    yield from _set(
        document,
        *(("name", text) for text in ("", "Base", "base\n", "-a", "a" * 65, "a/b", "\u00e4")),
        *(("version", text) for text in ("", "1 0", "1.0\n", "1/0", "v" * 65)),
        *(("notes", text) for text in ("bell\a", "\u202ereverse", "tab\t", "\x1b[2J", "n" * 4097)),
        *_markings(),
        ("components.0.kind", "virus"),
        ("components.0.license", "\x00"),
        ("components.0.parents", [{}]),
        ("components.0.parents.0.relation", "child-of"),
        ("components.0.parents.0.name", "Docs"),
        ("components.0.parents.0.digest", "0"),
        ("components.0.parents.1.relation", "adapter-of"),
        ("components.0.parents.1.zzz", 1),
        (
            "components.0.parents.1",
            {"relation": "tuned-from", "name": "base", "version": "1.0", "digest": None},
        ),
        ("components.1.vendor_signature", {}),
        ("components.1.vendor_signature.method", "keyless"),
        ("components.1.vendor_signature.size", 0),
        ("components.1.vendor_signature.trusted", []),
        ("components.1.vendor_signature.trusted", ["PEM", "PEM"]),
        ("components.1.vendor_signature.trusted", ["\u00e4"]),
        ("components.1.vendor_signature.trusted", [1]),
        ("components.1.vendor_signature.zzz", 1),
        ("components.0.source", {"kind": "ftp", "path": "x"}),
        ("components.0.source", {"kind": "path", "path": "x", "repo": "y"}),
        ("components.0.source", {"kind": "path"}),
        ("components.1.source.include", ["\u202e"]),
        ("components.1.source.include", [1]),
        ("components.1.source.include", "*"),
        ("components.0.files", []),
        ("components.0.files", ["config.json"]),
        ("components.0.files.0.size", -1),
        ("components.0.files.0.size", 1),
        ("components.0.files.0.sha512", "0" * 128),
        ("components.0.files.0.sha512", values.sha512("x").upper()),
        ("components.0.files.0.sha256", "0" * 63),
        ("components.0.files.0.sha256", "g" * 64),
        ("components.0.digest", "0" * 128),
        ("components.1.name", "base"),
        ("components.1.name", "aaa"),
        ("components.1.name", "nul"),
        ("components.1.name", "guard."),
        ("requires.0.component", "Base"),
        ("requires.0.needs", ""),
        ("requires.0.version", "\n\x00"),
        ("requires.0", {"component": "base", "needs": "guard"}),
    )
    yield from _paths(document)


def _waived() -> Iterator[Case]:
    """Yield release manifests with the members of format 2 (SPEC 5.1-9 to 5.1-13, 5.5-6)."""
    good = release.format(values.WAIVED)
    document = json.loads(good)
    yield "good: format 2", good, OK
    yield "the members of format 2 in format 1", canonical(document | {"airlift": 1}), MALFORMED
    first, second = "components.0", "components.1"
    waiver = document["components"][0]["accept"][0]
    lists: list[Any] = [[], {}, None, [waiver] * 4, [waiver, waiver]]
    files: list[Any] = [[], ["other"], [1], [[]], ["config.json"] * 2]
    marks: list[Any] = [None, {}, {"level": "CUI"}]
    globs: list[Any] = [[], "*", [""], [1], ["x" * 257], ["*"] * 257]
    left: list[Any] = [None, [], {}, {"count": 0, "names": []}]
    for path, value in (
        *((f"{first}.accept", wrong) for wrong in lists),
        (f"{first}.accept", list(reversed(document["components"][0]["accept"]))),
        *((f"{first}.accept.0.what", wrong) for wrong in ("virus", "", 1)),
        *((f"{first}.accept.0.reason", wrong) for wrong in ("", " \n", "\x1b[2J", "r" * 4097, 1)),
        *((f"{first}.accept.0.files", wrong) for wrong in files),
        (f"{first}.accept.0.files", ["weights/model.safetensors", "config.json"]),
        (f"{first}.accept.0", {key: value for key, value in waiver.items() if key != "reason"}),
        (f"{first}.accept.0.zzz", 1),
        *((f"{first}.marking", wrong) for wrong in marks),
        (f"{first}.marking.level", "TOP SECRET"),
        (f"{first}.marking.level", "COSMIC"),
        (f"{first}.marking.caveats", ["SI"]),
        *((f"{first}.source.include", wrong) for wrong in globs),
        *((f"{first}.source.exclude", wrong) for wrong in globs),
        *((f"{first}.source.left_out", wrong) for wrong in left),
        (f"{first}.source.left_out.count", 3),
        (f"{first}.source.left_out.names", ["b", "a"]),
        (f"{first}.source.left_out.names", ["a", "a"]),
        (f"{first}.source.left_out.names", ["", "a"]),
        (f"{first}.source.left_out.names", ["a", 1]),
        (f"{first}.source.left_out.zzz", 1),
        (f"{first}.source", {"kind": "path", "path": "x", "left_out": {"count": 1, "names": ["a"]}}),
        (f"{second}.vendor_signature.listed", 1),
        (f"{second}.vendor_signature.listed", 200_001),
        (f"{second}.vendor_signature.left_out", None),
        (f"{second}.vendor_signature.left_out.count", 2),
    ):
        yield from _set(document, (path, value))
    for key in ("listed", "left_out"):
        stated = document["components"][1]["vendor_signature"]
        lacking = {name: value for name, value in stated.items() if name != key}
        yield (
            f"a vendor's signature without {key}",
            canonical(changed(document, f"{second}.vendor_signature", lacking)),
            MALFORMED,
        )


def _pieced() -> Iterator[Case]:
    """Yield release manifests that state the pieces of large files (SPEC 5.8)."""
    good = release.format(values.PIECED)
    document = json.loads(good)
    yield "good: pieces", good, OK
    yield "pieces in format 1", canonical(document | {"airlift": 1}), MALFORMED
    lacking = {key: value for key, value in document.items() if key != "pieces"}
    yield "no pieces in format 2", canonical(lacking), MALFORMED
    yield "good: large content without pieces", canonical(lacking | {"airlift": 1}), OK
    wrong: list[Any] = [None, "", "0" * 127, "G" * 128, [], {}, 1]
    yield from _set(document, *(("pieces", value) for value in wrong))
    for name, size, outcome in (
        ("good: one byte more than a piece", (16 << 20) + 1, OK),
        ("pieces of content of 16 MiB", 16 << 20, MALFORMED),
        ("good: as many pieces as can be", 16 << 40, OK),
        ("too many pieces", (16 << 40) + 1, MALFORMED),
    ):
        entry = replace(values.LARGE, size=size)
        sized = replace(values.PIECED, components=(replace(values.GUARD, files=(entry,)),))
        yield name, release.format(sized), outcome


def _inside() -> Iterator[Case]:
    """Yield release manifests with what was trained in an enclave, or taken over from one (SPEC 5.1-16, 5.1-17)."""
    good = release.format(values.INSIDE)
    document = json.loads(good)
    yield "good: trained inside", good, OK
    yield "trained inside, in format 1", canonical(document | {"airlift": 1}), MALFORMED
    made, tuned = "components.1", "components.2"
    longest = _taken(7, values.TAKEN)
    yield "good: taken over eight times", canonical(changed(document, f"{tuned}.source", longest)), OK
    stated = document["components"][2]["data"]
    wrong_lists: list[Any] = [[], {}, None, [{}], stated[::-1], [stated[0], stated[0]]]
    many = [stated[0] | {"version": f"{n:03}"} for n in range(257)]
    origins: list[Any] = [None, {}, {"kind": "registered"}, {"kind": "ftp"}, [], document["components"][2]]
    for path, value in (
        *((f"{tuned}.data", wrong) for wrong in wrong_lists),
        (f"{tuned}.data", many),
        *((f"{tuned}.data.0.name", wrong) for wrong in ("", "Mail", 1)),
        *((f"{tuned}.data.0.version", wrong) for wrong in ("", "1 0", None)),
        *((f"{tuned}.data.0.sha512", wrong) for wrong in ("", "0" * 96, 1)),
        *((f"{tuned}.data.0.marking", wrong) for wrong in (None, {"level": "SECRET"})),
        (f"{tuned}.data.0.marking.level", "TOP SECRET"),
        (f"{tuned}.data.0.marking.caveats", ["ORCON"]),
        (f"{tuned}.data.0.zzz", 1),
        *((f"{made}.source.enclave", wrong) for wrong in ("", "Alpha", "a" * 25, 1)),
        (f"{made}.source.origin", {"kind": "path", "path": "x"}),
        (f"{made}.source.include", ["*"]),
        *((f"{tuned}.source.enclave", wrong) for wrong in ("a_b", None)),
        (f"{tuned}.source.release", values.sha512("release")),
        (f"{tuned}.source.release.digest", "0" * 96),
        (f"{tuned}.source.release.name", ""),
        (f"{tuned}.source.release.version", None),
        (f"{tuned}.source.release.zzz", 1),
        (f"{tuned}.source.component", "Tuned"),
        *((f"{tuned}.source.entry", wrong) for wrong in (-1, 9, True, "7")),
        *((f"{tuned}.source.size", wrong) for wrong in (0, 7, None)),
        *((f"{tuned}.source.root", wrong) for wrong in ("0" * 128, "", "G" * 96)),
        *((f"{tuned}.source.origin", wrong) for wrong in origins),
        (f"{tuned}.source.origin", {"kind": "path", "path": "x", "revision": "0"}),
        (f"{tuned}.source.include", ["*"]),
        (f"{tuned}.source.left_out", {"count": 1, "names": ["a"]}),
        (f"{tuned}.source", _taken(8, values.TAKEN)),
    ):
        yield from _set(document, (path, value))
    for place, key in ((tuned, "marking"), (made, "marking")):
        lacking = dict(document["components"][int(place[-1])])
        del lacking[key]
        yield f"{place} without {key}", canonical(changed(document, place, lacking)), MALFORMED
    unmarked = {
        key: value for key, value in document["components"][2].items() if key not in ("data", "marking")
    }
    yield "taken over without a marking", canonical(changed(document, tuned, unmarked)), MALFORMED
    for key in values.TAKEN:
        lacking = {name: value for name, value in values.TAKEN.items() if name != key}
        yield f"taken over without {key}", canonical(changed(document, f"{tuned}.source", lacking)), MALFORMED


def _taken(times: int, source: dict[str, Any]) -> dict[str, Any]:
    """Return a source that was taken over ``times`` times more."""
    for _ in range(times):
        source = values.TAKEN | {"origin": source}
    return source


def _markings() -> Iterator[tuple[str, Any]]:
    yield "marking.level", ""
    yield "marking.level", "A//B"
    yield "marking.level", "SECRET\n"
    yield "marking.level", "S\u00c9CRET"
    yield "marking.level", "x" * 65
    yield "marking.caveats", ["B", "A"]
    yield "marking.caveats", ["A", "A"]
    yield "marking.caveats", [1]
    yield "marking.caveats", [f"{n:02}" for n in range(64)]
    yield "marking", {"level": "SECRET"}
    yield "marking", {"level": "SECRET", "caveats": [], "more": 1}


BAD_PATHS = (
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "/etc/passwd",
    "a//b",
    "a/",
    "./a",
    "C:/x",
    "C:",
    "a\\b",
    "\\\\server\\x",
    "a\0b",
    "a\nb",
    "\x7f",
    "a\u0085b",
    "a\u202eb",
    "a\u2066b",
    "\u200fa",
    "a\u00adb",
    "\ufeffa",
    "a\u2028b",
    "a\u00a0b",
    "\ud800",
    "\ue000",
    "\U000e0041",
    "nul",
    "NUL.txt",
    "a/con/b",
    "Com1",
    "lpt9.x.y",
    "com\u00b9",
    "aux .h",
    "conin$",
    "a.",
    "a ",
    "a. /b",
    " a",
    "...",
    'a"b',
    "a|b",
    "a?b",
    "a*b",
    "<a>",
    "a:b",
    "e\u0301",
    "\u212b",
    "n" * 256,
    "\u00e4" * 128,
    "/".join(["n" * 250] * 5),
)
GOOD_PATHS = (
    "a",
    ".gitattributes",
    "a/b/c.txt",
    "\u00e9/\u65e5\u672c.json",
    "n" * 255,
    "/".join(["n" * 255] * 4),
    "nulls",
    "a b",
    "~a",
)


def _paths(document: dict[str, Any]) -> Iterator[Case]:
    """Yield a release of one file for every path, and releases of files that collide."""
    for text in BAD_PATHS:
        yield f"path {ascii(text)[:60]}", _of_paths(document, text), MALFORMED
    for text in GOOD_PATHS:
        yield f"good: path {ascii(text)[:60]}", _of_paths(document, text), OK
    for first, second in (
        ("A", "a"),
        ("a", "a"),
        ("b", "a"),
        ("STRASSE", "stra\u00dfe"),
        ("\u03a3", "\u03c2"),
        ("i\u0307", "\u0130"),
        ("a", "a/b"),
        ("A", "a/b"),
        ("Dir/x", "dir/y"),
        ("\u00c9/x", "\u00e9/y"),
    ):
        yield f"paths {first!a} and {second!a}", _of_paths(document, first, second), MALFORMED


def _of_paths(document: dict[str, Any], *paths: str) -> bytes:
    """Return a release whose only component has these files; its digest is right wherever it can be."""
    files = [values.entry(path, str(number)) for number, path in enumerate(paths)]
    listed = [{"path": f.path, "size": f.size, "sha512": f.sha512, "sha256": f.sha256} for f in files]
    tree = canonical([[f.path, f.size, f.sha512] for f in files])
    digest = hashlib.sha512(tree).hexdigest()
    component = document["components"][0] | {"files": listed, "digest": digest}
    return canonical(document | {"components": [component]})


def bundles() -> Iterator[Case]:
    """Yield bundle manifests."""
    good = manifest.format(values.BUNDLE)
    document = json.loads(good)
    yield "good", good, OK
    yield "good: for any enclave, without target", manifest.format(values.RENEWAL), OK
    yield "good: format 2, packed tables", manifest.format(replace(values.BUNDLE, packed=True)), OK
    complete = document | {"baseline": None, "bases": []}
    yield "good: without baseline", canonical(complete), OK
    yield "good: nothing to rebuild", canonical(document | {"chunks": [], "files": []}), OK
    for size in (2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**53 - 1):
        yield (
            f"good: a file of {size} bytes",
            canonical(changed(document, "files.0.size", size)),
            OK,
        )
    yield "good: format 2, parity", manifest.format(values.PROTECTED), OK
    yield from _parity(json.loads(manifest.format(values.PROTECTED)))
    yield from _portions(json.loads(manifest.format(values.SEVERAL)))
    yield from _documents(good, newest=2)
    times = (
        "2026-03-01T12:00:00+00:00",
        "2026-02-30T12:00:00Z",
        "2026-3-1T12:00:00Z",
        "2026-03-01 12:00:00Z",
    )
    yield from _set(
        document,
        *(("sequence", number) for number in (0, -1, 2**31, 2**53 - 1)),
        *(("issued", text) for text in (*times, "2026-03-01T24:00:00Z", "2026-03-01T12:00:60Z", "")),
        ("issued", "\u0662026-03-01T12:00:00Z"),
        ("issued", "2026-03-01T12:00:00Z\n"),
        *(("enclave", text) for text in ("any", "", "Alpha", "-a", "a" * 25, "a.b", "alpha\n")),
        *_markings(),
        ("target", None),
        ("target.digest", "0" * 127),
        ("target.name", "../x"),
        ("target.version", ""),
        ("baseline", None),
        ("baseline", {"digest": "0" * 128}),
        ("bases.1", document["bases"][0]),
        ("files.0.size", 2**53),
        ("files.0.size", True),
        ("files.1", document["files"][0]),
        ("files", [document["files"][1]]),
        ("chunks", []),
        ("chunks.0.size", 0),
        ("chunks.0.size", (64 << 20) + 1),
        ("chunks.1", document["chunks"][0] | {"size": 5}),
        ("chunks.0.sha512", document["chunks"][0]["sha512"].upper()),
        ("revocations", None),
        ("revocations", "0" * 64),
    )


def _portions(document: dict[str, Any]) -> Iterator[Case]:
    """Yield manifests for several enclaves (SPEC 6.2-8, 6.2-9)."""
    first, second = document["portions"]
    yield "good: format 2, portions", canonical(document), OK
    varied = changed(document, "portions.1.variants", ["base-int4"])
    yield "good: portions with variants", canonical(varied), OK
    both = first | {"enclave": "bravo"}
    shared = document | {
        "files": document["files"][:3],
        "chunks": document["chunks"][:2],
        "portions": [first, both],
    }
    yield "good: two portions alike", canonical(shared), OK
    nothing = both | {"bases": [], "files": [], "chunks": []}
    yield "good: a portion of nothing", canonical(shared | {"portions": [first, nothing]}), OK
    stripes = [{"data": [0, 1, 2], "parity": [{"sha512": "0" * 128, "size": 900}]}]
    yield "good: portions and parity", canonical(document | {"parity": {"stripes": stripes}}), OK
    yield "portions in format 1", canonical(document | {"airlift": 1}), MALFORMED
    lists: list[Any] = [[], [first], [second, first], [first, first], {}, None]
    yield from _set(
        document,
        ("enclave", "alpha"),
        ("baseline", first["baseline"]),
        ("variants", ["base-int4"]),
        ("target", None),
        *(("portions", some) for some in lists),
        ("portions", [first, both]),
        ("portions", [first | {"enclave": f"e{number:02}"} for number in range(65)]),
        *(("portions.0.enclave", name) for name in ("any", "several", "Alpha", None, "zulu")),
        ("portions.0.baseline", None),
        ("portions.0.zzz", 1),
        ("portions.0", {key: value for key, value in first.items() if key != "bases"}),
        ("portions.1.variants", []),
        ("portions.1.variants", ["b", "a"]),
        *(("portions.0.bases", wrong) for wrong in ([], [[0, 1]], [[0, 3]], [[0, 2, 2]], [0, 2], None)),
        *(("portions.0.files", wrong) for wrong in ([[0, 2]], [[0, 4]], [[0, 1], [1, 3]], [[2, 3], [0, 2]])),
        *(
            ("portions.0.files", wrong)
            for wrong in ([[0, 0], [1, 3]], [[-1, 3]], [[0, "3"]], [[0, True]], [[3, 0]])
        ),
        *(("portions.1.chunks", wrong) for wrong in ([], [[0, 1]], [[0, 1], [2, 4]], [[1, 2]])),
        ("portions.1.files", [[1, 2]]),
        ("files.3.size", 301),
        ("files.3", document["files"][0]),
        ("bases.1", document["bases"][0]),
        ("chunks.2", document["chunks"][0]),
    )


def _parity(document: dict[str, Any]) -> Iterator[Case]:
    """Yield manifests whose parity is none."""
    first, second = document["parity"]["stripes"]
    item = first["parity"][1]
    yield "parity in format 1", canonical(document | {"airlift": 1}), "malformed"
    both = {"data": [1, 0], "parity": first["parity"]}
    yield "good: both in one stripe", canonical(document | {"parity": {"stripes": [both]}}), OK
    stripes: tuple[Any, ...] = (
        [],
        [first],
        [first, second, second],
        [first, first],
        [first, {"data": [1, 0], "parity": first["parity"]}],
        [first, second | {"data": []}],
        [first, second | {"data": [2]}],
        [first, second | {"data": [-1]}],
        [first, second | {"data": [2**53 - 1]}],
        [first, second | {"data": [False]}],
        [first, second | {"data": ["0"]}],
        [first, second | {"parity": []}],
        [first, second | {"parity": second["parity"] * 65}],
        [{"data": [1, 0] * 127, "parity": first["parity"]}],
        [first, second | {"parity": [second["parity"][0] | {"size": 401}]}],
        [first, second | {"parity": [second["parity"][0] | {"size": 399}]}],
        [first, second | {"parity": [item | {"size": 400}]}],
        [first, second | {"parity": ["0" * 128]}],
        [first, second | {"more": 1}],
        [first, {"data": [0]}],
        [first, None],
        {},
    )
    for number, made in enumerate(stripes):
        yield f"stripes {number}", canonical(document | {"parity": {"stripes": made}}), "malformed"
    others: tuple[Any, ...] = (None, [], {}, {"stripes": [first, second], "more": 1})
    for number, parity in enumerate(others):
        yield f"parity {number}", canonical(document | {"parity": parity}), "malformed"
    large = [chunk | {"size": 64 << 20} for chunk in document["chunks"]]
    members = [{"sha512": values.sha512(str(number)), "size": 64 << 20} for number in range(3)]
    for count, code in ((2, OK), (3, "malformed")):
        stripe = {"data": [0, 1], "parity": members[:count]}
        text = canonical(document | {"chunks": large, "parity": {"stripes": [stripe]}})
        yield f"{'good: ' if code == OK else ''}a stripe of {2 + count} times 64 MiB", text, code


def revoked() -> Iterator[Case]:
    """Yield lists of revocations."""
    good = revocations.format(values.REVOCATIONS)
    document = json.loads(good)
    yield "good", good, OK
    yield "good: none", revocations.format(()), OK
    yield from _documents(good, newest=revocations.NEWEST_FORMAT)
    twice = [document["entries"][0], document["entries"][0] | {"reason": "z"}]
    yield from _set(
        document,
        ("entries.0.kind", "bundle"),
        ("entries.0.digest", "0" * 64),
        ("entries.0.reason", "\x1b"),
        ("entries.0", {"kind": "release"}),
        ("entries", document["entries"][::-1]),
        ("entries", twice),
        ("entries.0.kind", "file"),
        ("entries.0.serial", 1),
        ("entries.0.type", "other"),
    )
    yield "format 2 that nothing needs", canonical(document | {"airlift": 2}), MALFORMED
    yield from _newly_revoked()


def _newly_revoked() -> Iterator[Case]:
    """Yield lists with what format 2 added (SPEC 5.4-2)."""
    good = revocations.format(values.REVOKED)
    document = json.loads(good)
    yield "good: format 2", good, OK
    yield "the members of format 2 in format 1", canonical(document | {"airlift": 1}), MALFORMED
    for kind in revocations.TYPES:
        yield from ((name, data, OK) for name, data, _ in _set(document, ("entries.0.type", kind)))
    edges = [("entries.0.serial", number) for number in (0, revocations.MAX_SERIAL)]
    yield from ((name, data, OK) for name, data, _ in _set(document, *edges))
    yield from _set(
        document,
        ("entries.0.serial", -1),
        ("entries.0.serial", revocations.MAX_SERIAL + 1),
        ("entries.0.serial", document["entries"][1]["serial"]),
        ("entries.0.serial", "1"),
        ("entries.0.serial", True),
        ("entries.0.type", "whim"),
        ("entries.0.type", 1),
        ("entries.0.kind", "person"),
        ("entries.0.digest", "0" * 64),
        ("entries.1.digest", "0" * 96),
        ("entries.3.digest", "0" * 128),
        ("entries.0", {key: value for key, value in document["entries"][0].items() if key != "type"}),
        ("entries", document["entries"][::-1]),
    )


def indexes() -> Iterator[Case]:
    """Yield volume.json."""
    good = volume.format_index(values.INDEX)
    document = json.loads(good)
    yield "good", good, OK
    yield "good: any", canonical(document | {"bundle": f"any-{2**31 - 1}"}), OK
    yield "good: a name with a number", canonical(document | {"bundle": "alpha-1-2"}), OK
    yield from _documents(good)
    ids = ("alpha", "alpha-0", "alpha-01", "-1", "alpha-7\n", "../x-1", f"alpha-{2**31}", "alpha-12345678901")
    yield from _set(
        document,
        *(("bundle", text) for text in ids),
        ("manifest", "0" * 64),
        ("volume", 0),
        ("volume", 4),
        ("volumes", 0),
        ("volumes", 1),
        ("volumes", 100),
        ("chunks", -1),
        ("chunk_bytes", -1),
        ("sums", values.INDEX.sums.upper()),
    )


def sums() -> Iterator[Case]:
    """Yield SHA256SUMS."""
    good = volume.format_sums(values.SUMS)
    first, second, third = good.splitlines(keepends=True)
    yield "good", good, OK
    yield "good: one line", first, OK
    yield "empty", b"", MALFORMED
    yield "cut", good[:-1], MALFORMED
    yield "an empty line", good + b"\n", MALFORMED
    yield "out of order", second + first + third, MALFORMED
    yield "a line twice", first + first, MALFORMED
    yield "a path twice", first + b"0" * 64 + first[64:], MALFORMED
    yield "upper case", b"A" + first[1:], MALFORMED
    yield "a short digest", first[1:], MALFORMED
    yield "one space", first.replace(b"  ", b" "), MALFORMED
    yield "binary mode", first.replace(b"  ", b" *"), MALFORMED
    yield "no path", first[:66] + b"\n", MALFORMED
    yield "a long path", first[:66] + b"n" * 161 + b"\n", MALFORMED
    yield "a carriage return", first[:-1] + b"\r\n", MALFORMED
    yield "an escape", first[:66] + b"\x1b[2J\n", MALFORMED
    yield "not ASCII", first[:66] + "\u00e4\n".encode(), MALFORMED
    yield "a byte order mark", b"\xef\xbb\xbf" + first, MALFORMED


def chunks() -> Iterator[Case]:
    """Yield chunks of the bundle of ``bundle_values``: files of 300, 0 and 200 bytes, bases of 1,000 and 500."""
    good = chunk.format(values.BLOCKS)
    yield "good", good, OK
    yield "good: one block", _chunk(_block()), OK
    yield "empty", b"", MALFORMED
    yield "cut by one", good[:-1], MALFORMED
    yield "cut in the table", good[:50], MALFORMED
    yield "cut in the sources", good[: 16 + 28 + 28 + 10], MALFORMED
    yield "cut in the header", good[:15], MALFORMED
    yield "the header only", good[:16], MALFORMED
    yield "grown", good + b"\0", MALFORMED
    yield "another magic", b"ALCHUNK2" + good[8:], MALFORMED
    yield "reserved word", good[:12] + b"\1" + good[13:], MALFORMED
    for count in (0, 2, 4, 2**16, 2**31, 2**32 - 1):
        yield f"{count} blocks claimed", good[:8] + struct.pack("<I", count) + good[12:], MALFORMED
    for name, changes in _bad_blocks():
        yield name, _chunk(_block(**changes)), MALFORMED
    for name, source in _bad_sources():
        yield name, _chunk(_block(sources=(source,))), MALFORMED


def _block(
    *,
    file: int = 0,
    start: int = 0,
    length: int = 100,
    reserved: int = 0,
    claimed: int = 0,
    count: int | None = None,
    sources: tuple[tuple[int, int, int], ...] = ((0, 0, 100),),
) -> bytes:
    fixed = chunk.BLOCK.pack(
        file, 1, 0, len(sources) if count is None else count, reserved, start, length, claimed
    )
    return fixed + b"".join(chunk.SOURCE.pack(*source) for source in sources)


def _chunk(block: bytes) -> bytes:
    return chunk.HEADER.pack(chunk.MAGIC, 1, 0) + block


EDGES = (2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1)


def _bad_blocks() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "file 3 of 3", {"file": 3}
    yield "the last file number", {"file": 2**32 - 1}
    yield "nothing", {"length": 0}
    yield "nothing of an empty file", {"file": 1, "length": 0}
    yield "one byte beyond its file", {"start": 201}
    yield "starts at the end of its file", {"start": 300}
    yield "longer than its file", {"length": 301}
    yield "reserved byte", {"reserved": 1}
    yield "a payload that is not there", {"claimed": 1}
    yield "a payload of 4 GiB", {"claimed": 2**32 - 1}
    yield "more sources than are there", {"count": 2}
    yield "five sources", {"sources": ((0, 0, 100),) * 5}
    yield "255 sources", {"count": 255}
    for edge in EDGES:
        yield f"starts at {edge}", {"start": edge}
        yield f"{edge} bytes long", {"length": edge}


def _bad_sources() -> Iterator[tuple[str, tuple[int, int, int]]]:
    yield "base 2 of 2", (2, 0, 100)
    yield "the last base number", (2**32 - 1, 0, 100)
    yield "no byte of a base", (0, 0, 0)
    yield "one byte beyond its base", (0, 901, 100)
    yield "starts at the end of its base", (1, 500, 1)
    for edge in EDGES:
        yield f"a source that starts at {edge}", (0, edge, 100)
        yield f"a source of {edge} bytes", (0, 0, edge)


# -- writing -------------------------------------------------------------------------------------------------------

MAKERS: dict[str, Callable[[], Iterator[Case]]] = {
    "release": releases,
    "bundle": bundles,
    "revocations": revoked,
    "volume": indexes,
    "sums": sums,
    "chunk": chunks,
}


def made() -> dict[str, str]:
    """Return the text of every file by its name."""
    return {
        f"{name}.json": json.dumps(described(maker()), indent=0, ensure_ascii=True) + "\n"
        for name, maker in MAKERS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, written in made().items():
        (FOLDER / name).write_text(written, encoding="ascii")
