"""SPDX 3.0.1 with the AI profile: the elements and relationships of one release, as JSON-LD (SPEC 15.3)."""

from collections.abc import Iterator
from typing import Any

from airlift.bundle.release import KINDS, Component, FileEntry, Release
from airlift.evidence import controls
from airlift.evidence.facts import Facts
from airlift.evidence.names import SPDX_LICENCES, WEIGHTS, dump, identifier, purl

VERSION = "3.0.1"
CONTEXT = f"https://spdx.org/rdf/{VERSION}/spdx-context.jsonld"
CREATION = "_:creation"
PURPOSES = {
    **dict.fromkeys(WEIGHTS, "model"),
    "policy": "configuration",
    "prompt": "configuration",
    "blocklist": "data",
    "data": "data",
    "tokenizer": "data",
}
Json = dict[str, Any]


def format(facts: Facts, release: str | None = None) -> bytes:  # noqa: A001 - as in every format of this room
    """Return the document of the release with this digest, of the active one by default; empty without one."""
    chosen = facts.releases.get(release or facts.active or "")
    names = _Names(facts)
    elements = [*_people(facts, names, chosen), *(_elements(facts, names, chosen) if chosen else ())]
    graph = [_creation(facts, names), *elements, _document(facts, names, chosen, elements)]
    return dump({"@context": CONTEXT, "@graph": graph})


class _Names:
    """Gives elements their identifiers."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def __call__(self, *parts: str) -> str:
        return f"urn:uuid:{identifier(self.facts, 'spdx', *parts)}"


def _element(kind: str, spdx_id: str, /, **more: Any) -> Json:
    return {"type": kind, "spdxId": spdx_id, "creationInfo": CREATION, **more}


def _relation(names: _Names, kind: str, start: str, ends: list[str]) -> Json:
    return _element(
        "Relationship", names("relation", kind, start), relationshipType=kind, **{"from": start, "to": ends}
    )


def _creation(facts: Facts, names: _Names) -> Json:
    return {
        "type": "CreationInfo",
        "@id": CREATION,
        "specVersion": VERSION,
        "created": facts.generated,
        "createdBy": [names("agent")],
        "createdUsing": [names("tool")],
    }


def _people(facts: Facts, names: _Names, release: Release | None) -> Iterator[Json]:
    """Yield the enclave as the agent, airlift as its tool, and those who signed the release."""
    yield _element("SoftwareAgent", names("agent"), name=f"enclave {facts.enclave}")
    yield _element("Tool", names("tool"), name=f"airlift {facts.version}")
    for key, holder in controls.signers(facts, release.digest, "targets") if release else ():
        yield _element("Agent", names("signer", key), name=f"{holder} (key {key})")


def _document(facts: Facts, names: _Names, release: Release | None, elements: list[Json]) -> Json:
    return _element(
        "SpdxDocument",
        names("document"),
        name=f"enclave {facts.enclave}: {release.label if release else 'nothing active'}",
        comment=f"marking {facts.marking}; ledger {facts.ledger.origin}, {facts.ledger.size} entries, root "
        f"(SHA-384) {facts.ledger.root.hex()}",
        profileConformance=["core", "software", "ai", "dataset", "simpleLicensing"],
        rootElement=[names("release", release.digest)] if release else [names("agent")],
        element=[item["spdxId"] for item in elements],
    )


def _elements(facts: Facts, names: _Names, release: Release) -> Iterator[Json]:
    whole = names("release", release.digest)
    yield _element(
        "software_Package",
        whole,
        name=release.name,
        software_packageVersion=release.version,
        software_primaryPurpose="application",
        description=release.notes or release.label,
        verifiedUsing=[_digest("sha512", release.digest)],
        **_supply(facts, names, release),
    )
    yield _relation(names, "contains", whole, [names("component", c.name) for c in release.components])
    for component in release.components:
        yield from _component(facts, names, release, component)
    yield from _requirements(names, release)


def _supply(facts: Facts, names: _Names, release: Release) -> Json:
    """Return who supplied the release and when: its first signer, and the time of the bundle that brought it."""
    signers = controls.signers(facts, release.digest, "targets")
    issued = [b.issued for b in facts.bundles.values() if b.target and b.target.digest == release.digest]
    return {
        "suppliedBy": names("signer", signers[0][0]) if signers else names("agent"),
        "releaseTime": min(issued, default=facts.generated),
    }


def _component(facts: Facts, names: _Names, release: Release, item: Component) -> Iterator[Json]:
    here = names("component", item.name)
    kind = "ai_AIPackage" if item.kind in WEIGHTS else "software_Package"
    if item.kind == "data":
        kind = "dataset_DatasetPackage"
    more: Json = _supply(facts, names, release)
    if kind == "dataset_DatasetPackage":
        more |= {
            "builtTime": more["releaseTime"],
            "originatedBy": [more["suppliedBy"]],
            "dataset_datasetType": ["other"],
        }
    yield _element(
        kind,
        here,
        name=item.name,
        software_packageVersion=item.version,
        software_primaryPurpose=PURPOSES[item.kind],
        software_downloadLocation=purl(item) or f"urn:airlift:component:{item.digest}",
        comment=f"{item.kind}; digest (SHA-512 of its list of files, airlift SPEC 5.1-2) {item.digest}",
        **more,
    )
    for entry in item.files:
        yield _file(names, item, entry)
    yield _relation(names, "contains", here, [names("file", item.name, entry.path) for entry in item.files])
    yield from _licence(names, item, here)
    yield from _parents(names, item, here)


def _file(names: _Names, item: Component, entry: FileEntry) -> Json:
    return _element(
        "software_File",
        names("file", item.name, entry.path),
        name=entry.path,
        software_primaryPurpose=PURPOSES[item.kind],
        verifiedUsing=[_digest("sha512", entry.sha512), _digest("sha256", entry.sha256)],
    )


def _digest(algorithm: str, value: str) -> Json:
    return {"type": "Hash", "algorithm": algorithm, "hashValue": value}


def _licence(names: _Names, item: Component, here: str) -> Iterator[Json]:
    if not item.license:
        return
    name = names("licence", item.name)
    if item.license in SPDX_LICENCES:
        yield _element(
            "simplelicensing_LicenseExpression", name, simplelicensing_licenseExpression=item.license
        )
    else:
        yield _element("simplelicensing_SimpleLicensingText", name, simplelicensing_licenseText=item.license)
    yield _relation(names, "hasDeclaredLicense", here, [name])


def _parents(names: _Names, item: Component, here: str) -> Iterator[Json]:
    """Yield what a component was made from; nothing is said of it that the release does not say."""
    ends = []
    for parent in item.parents:
        name = names("parent", parent.name, parent.version, parent.digest)
        ends.append(name)
        yield _element(
            "software_Package",
            name,
            name=parent.name,
            software_packageVersion=parent.version,
            software_primaryPurpose=PURPOSES[item.kind],
            comment=f"{item.name} {item.version}: {parent.relation}; digest {parent.digest or 'unknown'}",
        )
    if ends:
        yield _relation(names, "descendantOf", here, ends)


def _requirements(names: _Names, release: Release) -> Iterator[Json]:
    needed: dict[str, list[str]] = {}
    for requirement in release.requires:
        by_kind = requirement.needs in KINDS
        for item in release.components:
            if requirement.needs == (item.kind if by_kind else item.name):
                needed.setdefault(requirement.component, []).append(names("component", item.name))
    for component, ends in needed.items():
        yield _relation(names, "dependsOn", names("component", component), sorted(set(ends)))
