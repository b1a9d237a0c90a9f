"""SPDX 3.0.1 with the AI profile: the elements and relationships of one release, as JSON-LD (SPEC 15.3)."""

from collections.abc import Iterator
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.parent import Parent
from airlift.bundle.release import Release
from airlift.bundle.remarks import of_component, omitted
from airlift.evidence import controls
from airlift.evidence.documents.metrics import metrics
from airlift.evidence.facts import Facts
from airlift.evidence.names import WEIGHTS, dump, identifier, licence, location

VERSION = "3.0.1"
CONTEXT = f"https://spdx.org/rdf/{VERSION}/spdx-context.jsonld"
CREATION = "_:creation"
AI, DATASET = "ai_AIPackage", "dataset_DatasetPackage"
AI_REQUIRES = {
    "suppliedBy",
    "releaseTime",
    "software_downloadLocation",
    "software_packageVersion",
    "software_primaryPurpose",
}
"""What the AI profile requires of a package beyond what the model does (SPDX 3.0.1, class AIPackage)."""
PURPOSES = {
    **dict.fromkeys(WEIGHTS, "model"),
    "policy": "configuration",
    "prompt": "configuration",
    "blocklist": "data",
    "data": "data",
    "tokenizer": "data",
    "image": "container",
    "wheels": "library",
    "chart": "application",
    "file": "file",
}
Json = dict[str, Any]


def format(facts: Facts, release: str | None = None) -> bytes:  # noqa: A001 - as in every format of this room
    """Return the document of the release with this digest, of the active one by default; empty if nothing is active.

    Raises:
        KeyError: there is no such release.
    """
    chosen = facts.releases[release] if release is not None else facts.active_release
    names = _Names(facts, chosen.digest if chosen else "")
    elements = [*_people(facts, names, chosen), *(_elements(facts, names, chosen) if chosen else ())]
    graph = [_creation(facts, names), *elements, _document(facts, names, chosen, elements)]
    return dump({"@context": CONTEXT, "@graph": graph})


class _Names:
    """Gives the elements of one document their identifiers."""

    def __init__(self, facts: Facts, release: str) -> None:
        self.facts, self.release = facts, release

    def __call__(self, *parts: str) -> str:
        return f"urn:uuid:{identifier(self.facts, 'spdx', self.release, *parts)}"


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
        profileConformance=["core", "software", "simpleLicensing", *_further(elements)],
        rootElement=[names("release")] if release else [names("agent")],
        element=[item["spdxId"] for item in elements],
    )


def _further(elements: list[Json]) -> list[str]:
    """Return the AI profile if there is an AI package, and everything is known that the profile requires of one."""
    models = [item for item in elements if item["type"] == AI]
    return ["ai"] if models and all(item.keys() >= AI_REQUIRES for item in models) else []


def _elements(facts: Facts, names: _Names, release: Release) -> Iterator[Json]:
    whole = names("release")
    yield _element(
        "software_Package",
        whole,
        name=release.name,
        software_packageVersion=release.version,
        software_primaryPurpose="application",
        description=release.notes or release.label,
        verifiedUsing=[_digest("sha512", release.digest)],
        **({"comment": "; ".join(omitted(release))} if release.omitted else {}),
        **_supply(facts, names, release),
    )
    yield _relation(names, "contains", whole, [names("component", c.name) for c in release.components])
    for component in release.components:
        yield from _component(facts, names, release, component)
    yield from _parents(names, release)
    yield from _requirements(names, release)


def _supply(facts: Facts, names: _Names, release: Release) -> Json:
    """Return who supplied the release (its first signer) and when the first bundle that carried it was issued."""
    signers = controls.signers(facts, release.digest, "targets")
    issued = [facts.bundles[carrier].issued for carrier in facts.carriers(release.digest)]
    return {
        **({"suppliedBy": names("signer", signers[0][0])} if signers else {}),
        **({"releaseTime": min(issued)} if issued else {}),
    }


def _component(facts: Facts, names: _Names, release: Release, item: Component) -> Iterator[Json]:
    here = names("component", item.name)
    address = location(item)
    yield _element(
        AI if item.kind in WEIGHTS else DATASET if item.kind == "data" else "software_Package",
        here,
        name=item.name,
        software_packageVersion=item.version,
        software_primaryPurpose=PURPOSES[item.kind],
        comment=_comment(item),
        **({"software_downloadLocation": address} if address else {}),
        **({"dataset_datasetType": ["noAssertion"]} if item.kind == "data" else {}),
        **_metrics(facts, release, item),
        **_supply(facts, names, release),
    )
    for entry in item.files:
        yield _file(names, item, entry)
    yield _relation(names, "contains", here, [names("file", item.name, entry.path) for entry in item.files])
    yield from _licence(names, item, here)
    if item.parents:
        ends = [_parent_name(names, release, parent) for parent in item.parents]
        yield _relation(names, "descendantOf", here, list(dict.fromkeys(ends)))


def _comment(item: Component) -> str:
    """Return what SPDX has no place for: kind and digest, and what else is to be told of a component."""
    head = f"{item.kind}; digest (SHA-512 of its list of files, airlift SPEC 5.1-2) {item.digest}"
    return "; ".join([head, *of_component(item)])


def _metrics(facts: Facts, release: Release, item: Component) -> Json:
    known = metrics(facts, release, item) if item.kind in WEIGHTS else []
    entries = [{"type": "DictionaryEntry", "key": name, "value": value} for name, value in known]
    return {"ai_metric": entries} if entries else {}


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
    name, expression = names("licence", item.name), licence(item.license)
    if expression is not None:
        yield _element(
            "simplelicensing_LicenseExpression", name, simplelicensing_licenseExpression=expression
        )
    else:
        yield _element("simplelicensing_SimpleLicensingText", name, simplelicensing_licenseText=item.license)
    yield _relation(names, "hasDeclaredLicense", here, [name])


def _parent_name(names: _Names, release: Release, parent: Parent) -> str:
    """Return the identifier of a parent: that of the release's own component if it is one, by name and digest."""
    for item in release.components:
        if (item.name, item.digest) == (parent.name, parent.digest):
            return names("component", item.name)
    return names("parent", parent.name, parent.version, parent.digest)


def _parents(names: _Names, release: Release) -> Iterator[Json]:
    """Yield what components were made from that is not in the release itself, each once."""
    named = {names("component", item.name) for item in release.components}
    for parent in (parent for item in release.components for parent in item.parents):
        name = _parent_name(names, release, parent)
        if name not in named:
            named.add(name)
            yield _element(
                "software_Package",
                name,
                name=parent.name,
                software_packageVersion=parent.version,
                comment=f"parent of a component; digest (airlift SPEC 5.1-2) {parent.digest or 'unknown'}",
            )


def _requirements(names: _Names, release: Release) -> Iterator[Json]:
    needed: dict[str, list[str]] = {}
    for requirement in release.requires:
        by_kind = release.names_kind(requirement.needs)
        for item in release.components:
            if requirement.needs == (item.kind if by_kind else item.folder):
                needed.setdefault(requirement.component, []).append(names("component", item.name))
    folders = {item.name: item.folder for item in release.components}
    for component, ends in needed.items():
        for name in [name for name, folder in folders.items() if folder == component] or [component]:
            yield _relation(names, "dependsOn", names("component", name), sorted(set(ends)))
