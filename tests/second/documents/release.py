"""The release manifest (5.1) and the list of revocations (5.4)."""

import hashlib
from typing import Any

from tests.second import strict
from tests.second.documents import fields, paths, variants
from tests.second.errors import demand

LIMIT = 64 << 20
FILES = 200_000
PIECE = 16 << 20
RELATIONS = ("adapter-of", "quantised-from", "merged-from", "tuned-from", "derived-from")
REVOKED = {"release": (128,), "component": (128,), "file": (128, 64), "key": (64,)}
REVOKED_FOR = ("vulnerability", "compromise", "malfunction", "superseded", "legal", "other")
WAIVED = ("code", "drift", "pickle", "remote-code")
ADDRESSES = ("https", "bucket", "oci")
HOST = r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
# Printable ASCII without what 5.1-19 leaves out, after the first slash.
REST = r"/[!$%&'()*+,\-./0-9:;=A-Z_a-z~]*"
NAME = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"


def parse(data: bytes) -> dict[str, Any]:
    """Parse a release manifest.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    value = strict.document(data, "release", LIMIT, newest=2)
    newer = value["airlift"] == 2
    fields.members(
        value, "airlift type name version marking notes components requires", "pieces" if newer else ""
    )
    fields.matching(value["name"], fields.NAME)
    fields.matching(value["version"], fields.VERSION)
    fields.marking(value["marking"])
    fields.text(value["notes"])
    for component in fields.items(value["components"], 1024):
        _component(component, value["marking"], newer=newer)
    names = [component["name"] for component in value["components"]]
    fields.ascending(names)
    replaced = [name for component in value["components"] for name in component.get("replaces", [])]
    demand(not set(replaced) & set(names), "a name that was given up and is there [5.1-15]")
    needed = "pieces" in value or any(map(_needs_format_2, value["components"]))
    demand(newer == needed, "a format that says nothing [5.1-12]")
    for requirement in fields.items(value["requires"], 4096):
        _requirement(requirement)
    variants.check_release(value)
    _one_digest_each(value)
    if "pieces" in value:
        fields.digest(value["pieces"])
        demand(0 < sum(_pieces(size) for size in _large(value).values()) <= 1 << 20, "pieces [5.8-1]")
    return value


def pieces(value: dict[str, Any], table: bytes) -> dict[str, list[str]]:
    """Return the SHA-512 of the pieces of every content that has any, by SHA-512 [5.8].

    Raises:
        Refused: ``digest-mismatch``, if it is not the table that the manifest names.
    """
    contents = _large(value)
    right = hashlib.sha512(table).hexdigest() == value["pieces"]
    whole = len(table) == 64 * sum(map(_pieces, contents.values()))
    demand(right and whole, "another table of pieces", "digest-mismatch")
    found, at = dict[str, list[str]](), 0
    for sha512 in sorted(contents):
        end = at + 64 * _pieces(contents[sha512])
        found[sha512] = [table[n : n + 64].hex() for n in range(at, end, 64)]
        at = end
    return found


def _large(value: dict[str, Any]) -> dict[str, int]:
    return {sha512: size for sha512, (size, _) in contents(value).items() if size > PIECE}


def _pieces(size: int) -> int:
    return (size + PIECE - 1) // PIECE


def contents(value: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of every distinct content, by SHA-512."""
    return {
        file["sha512"]: (file["size"], file["sha256"])
        for component in value["components"]
        for file in component["files"]
    }


def parse_revocations(data: bytes) -> dict[str, Any]:
    """Parse a list of revocations (5.4)."""
    value = strict.document(data, "revocations", 8 << 20, newest=2)
    fields.members(value, "airlift type entries")
    newer = value["airlift"] == 2
    for entry in fields.items(value["entries"], 1 << 20):
        _revocation(entry, newer=newer)
    fields.ascending([(entry["kind"], entry["digest"]) for entry in value["entries"]])
    demand(len({entry["digest"] for entry in value["entries"]}) == len(value["entries"]), "a digest twice")
    serials = [entry["serial"] for entry in value["entries"] if newer and entry["serial"]]
    demand(len(set(serials)) == len(serials), "a serial twice")
    demand(newer == any(map(_is_new, value["entries"])), "a format that says nothing [5.4-2]")
    return value


def check_lifted(value: Any) -> None:
    """Check the revocations that root lifts [5.4-4].

    Raises:
        Refused: ``malformed``.
    """
    for subject in fields.items(value, 4096, 1):
        fields.members(subject, "kind digest serial")
        _subject(subject)
        fields.integer(subject["serial"], 1, 2**31 - 1)
    fields.ascending([(subject["kind"], subject["digest"], subject["serial"]) for subject in value])


def _revocation(entry: Any, *, newer: bool) -> None:
    fields.members(entry, "kind digest reason" + " serial type" * newer)
    _subject(entry)
    demand(newer or entry["kind"] in ("release", "component"), "a kind of format 2")
    fields.text(entry["reason"])
    if newer:
        fields.integer(entry["serial"], 0, 2**31 - 1)
        demand(entry["type"] in REVOKED_FOR, "an unknown type")


def _subject(value: Any) -> None:
    demand(value["kind"] in REVOKED, "an unknown kind")
    digits = REVOKED[value["kind"]]
    fields.matching(value["digest"], "|".join(f"[0-9a-f]{{{count}}}" for count in digits))


def _is_new(entry: dict[str, Any]) -> bool:
    return (
        bool(entry.get("serial")) or entry.get("type", "other") != "other" or entry["kind"] in ("file", "key")
    )


def _component(value: Any, above: dict[str, Any], *, newer: bool) -> None:
    fields.members(
        value,
        "name kind version license source parents vendor_signature digest files",
        "accept data marking replaces variant" if newer else "",
    )
    paths.check(fields.matching(value["name"], fields.NAME))
    demand(
        value["kind"] in (fields.KINDS | fields.LATER if newer else fields.KINDS), "an unknown kind [5.1-18]"
    )
    fields.matching(value["version"], fields.VERSION)
    fields.text(value["license"])
    _files(value)
    _source(value["source"], newer=newer)
    _parents(value)
    _vendor_signature(value["vendor_signature"], newer=newer)
    if "marking" in value:
        demand(fields.covers(above, fields.marking(value["marking"])), "a marking above the release's")
    if "accept" in value:
        _waivers(value)
    if "replaces" in value:
        _replaced(value)
    if "data" in value:
        _data(value)
    if "variant" in value:
        variants.check(value)
    taken = value["source"]["kind"] == "enclave"
    demand("marking" in value or not taken, "what was taken over from an enclave has no marking [5.1-17]")


def _data(component: dict[str, Any]) -> None:
    demand("marking" in component, "a component with data and without a marking [5.1-16]")
    for one in fields.items(component["data"], 256, 1):
        fields.members(one, "name version sha512 marking")
        fields.matching(one["name"], fields.NAME)
        fields.matching(one["version"], fields.VERSION)
        demand(one["sha512"] is None or fields.digest(one["sha512"]), "a digest of data")
        below = fields.covers(component["marking"], fields.marking(one["marking"]))
        demand(below, "data marked above what was made with it [5.1-16]")
    fields.ascending([(one["name"], one["version"]) for one in component["data"]])


def _replaced(component: dict[str, Any]) -> None:
    for name in fields.items(component["replaces"], 16, 1):
        fields.matching(name, fields.NAME)
    fields.ascending(component["replaces"])


def _files(component: dict[str, Any]) -> None:
    files = fields.items(component["files"], FILES, 1)
    for file in files:
        fields.members(file, "path size sha512 sha256")
        paths.check(file["path"])
        fields.integer(file["size"], 0)
        fields.digest(file["sha512"])
        fields.digest(file["sha256"], 64)
    fields.ascending([file["path"] for file in files])
    paths.no_collisions([file["path"] for file in files])
    listed = [[file["path"], file["size"], file["sha512"]] for file in files]
    stated = fields.digest(component["digest"])
    demand(hashlib.sha512(strict.dumps(listed)).hexdigest() == stated, "a component's digest")


def _source(value: Any, *, newer: bool, taken: int = 0) -> None:
    optional = "exclude left_out" if newer else ""
    demand(isinstance(value, dict), "a source that is no object")
    if newer and value.get("kind") in ("registered", "enclave"):
        _inside(value, taken)
        return
    if newer and value.get("kind") in ADDRESSES:
        _address(value, optional + " include")
    elif value.get("kind") == "path":
        fields.members(value, "kind path", optional + " include" * newer)
        fields.text(value["path"])
    else:
        fields.members(value, "kind repo revision include", optional)
        demand(value["kind"] == "hub", "an unknown source")
        fields.text(value["repo"])
        fields.text(value["revision"])
    if "include" in value:
        _patterns(value["include"], least=int(value["kind"] != "hub"))
    if "exclude" in value:
        _patterns(value["exclude"], least=1)
    if "left_out" in value:
        demand(value.get("include") or value.get("exclude"), "left out by no pattern")
        _left_out(value["left_out"])


def _address(value: dict[str, Any], patterns: str) -> None:
    """Check what was fetched from an address [5.1-19]."""
    if value["kind"] == "oci":
        fields.members(value, "kind reference form", patterns)
        digest = r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
        _one_address(value["reference"], rf"{HOST}(/{NAME})+@{digest}")
        demand(value["form"] in ("files", "layout"), "an unknown form of an image")
        chosen = {"include", "exclude", "left_out"} & value.keys()
        demand(value["form"] == "files" or not chosen, "files chosen from a layout")
    elif value["kind"] == "https":
        fields.members(value, "kind url", patterns)
        _one_address(value["url"], f"https?://{HOST}{REST}")
    else:
        fields.members(value, "kind url", f"endpoint versions {patterns}")
        _one_address(value["url"], rf"(s3|gs|az)://[a-z0-9][a-z0-9._-]{{1,62}}{REST}")
        if "endpoint" in value:
            _one_address(value["endpoint"], f"https?://{HOST}({REST})?")
        if "versions" in value:
            _versions(value["versions"])


def _one_address(value: Any, pattern: str) -> None:
    demand(len(fields.matching(value, pattern)) <= 2048, "a long address")


def _versions(value: Any) -> None:
    for one in fields.items(value, FILES, 1):
        fields.members(one, "path version")
        paths.check(one["path"])
        fields.matching(one["version"], "[ -~]{1,1024}")
    fields.ascending([one["path"] for one in value])


def _inside(value: dict[str, Any], taken: int) -> None:
    """Check a source that is an enclave; ``taken`` of kind enclave lead to it [5.1-17]."""
    if value["kind"] == "registered":
        fields.members(value, "kind enclave")
        fields.matching(value["enclave"], fields.ENCLAVE)
        return
    demand(taken < 8, "taken over too often")
    fields.members(value, "kind enclave release component entry size root origin")
    fields.matching(value["enclave"], fields.ENCLAVE)
    named = fields.members(value["release"], "digest name version")
    fields.digest(named["digest"])
    fields.matching(named["name"], fields.NAME)
    fields.matching(named["version"], fields.VERSION)
    fields.matching(value["component"], fields.NAME)
    fields.integer(value["entry"], 0, fields.integer(value["size"], 1) - 1)
    fields.digest(value["root"], 96)
    _source(value["origin"], newer=True, taken=taken + 1)


def _patterns(value: Any, least: int) -> None:
    for pattern in fields.items(value, 256, least):
        fields.text(pattern, 256, 1)


def _left_out(value: Any) -> None:
    fields.members(value, "count names")
    count = fields.integer(value["count"], 1)
    names = fields.items(value["names"], 1000)
    demand(len(names) == min(count, 1000), "as many names as are left out, or 1,000")
    for name in names:
        fields.line(name)
    fields.ascending(names)


def _parents(component: dict[str, Any]) -> None:
    parents = fields.items(component["parents"], 64)
    for parent in parents:
        fields.members(parent, "relation name version digest")
        demand(parent["relation"] in RELATIONS, "an unknown relation")
        fields.matching(parent["name"], fields.NAME)
        fields.matching(parent["version"], fields.VERSION)
        if parent["digest"] is not None:
            fields.digest(parent["digest"])
        same = (parent["name"], parent["version"]) == (component["name"], component["version"])
        demand(not same, "a component that is its own parent")
    fields.ascending([(p["relation"], p["name"], p["version"], p["digest"] or "") for p in parents])


def _vendor_signature(value: Any, *, newer: bool) -> None:
    if value is None:
        return
    fields.members(value, "method sha512 size trusted", "listed left_out" if newer else "")
    demand(value["method"] in ("key", "certificate"), "an unknown method")
    fields.digest(value["sha512"])
    fields.integer(value["size"], 1, 64 << 20)
    for pem in fields.items(value["trusted"], 1 if value["method"] == "key" else 8, 1):
        demand(isinstance(pem, str) and pem.isascii() and pem, "a key that is not PEM")
    fields.ascending(value["trusted"])
    demand(("listed" in value) == ("left_out" in value), "one of listed and left_out")
    if "listed" in value:
        fields.integer(value["listed"], 1, FILES)
        _left_out(value["left_out"])
        demand(value["listed"] > value["left_out"]["count"], "all of a vendor's files are left out")


def _waivers(component: dict[str, Any]) -> None:
    waivers = fields.items(component["accept"], len(WAIVED), 1)
    there = {file["path"] for file in component["files"]}
    for waiver in waivers:
        fields.members(waiver, "what reason files")
        demand(waiver["what"] in WAIVED, "an unknown objection")
        demand(fields.text(waiver["reason"], 4096, 1).strip(), "a blank reason")
        for path in fields.items(waiver["files"], FILES, 1):
            demand(isinstance(path, str) and path in there, "a waiver for a file that is not there")
        fields.ascending(waiver["files"])
    fields.ascending([waiver["what"] for waiver in waivers])


def _needs_format_2(component: dict[str, Any]) -> bool:
    source = component["source"]
    return (
        component["kind"] in fields.LATER
        or "accept" in component
        or "data" in component
        or "marking" in component
        or "replaces" in component
        or "variant" in component
        or "exclude" in source
        or "left_out" in source
        or source["kind"] in ("registered", "enclave", *ADDRESSES)
        or (source["kind"] == "path" and "include" in source)
        or "listed" in (component["vendor_signature"] or {})
    )


def _requirement(value: Any) -> None:
    fields.members(value, "component needs version")
    fields.matching(value["component"], fields.NAME)
    fields.matching(value["needs"], fields.NAME)
    fields.text(value["version"], least=1)


def _one_digest_each(value: dict[str, Any]) -> None:
    seen: dict[str, tuple[int, str]] = {}
    count = 0
    for component in value["components"]:
        for file in component["files"]:
            count += 1
            told = (file["size"], file["sha256"])
            demand(
                seen.setdefault(file["sha512"], told) == told, "two sizes or digests of one content [5.1-4]"
            )
    demand(count <= FILES, "too many files")
