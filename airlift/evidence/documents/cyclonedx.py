"""CycloneDX 1.6: a bill of materials of one release with its models, digests, licences and ancestors (SPEC 15.2)."""

from typing import Any

from airlift.bundle import remarks
from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release
from airlift.evidence import controls
from airlift.evidence.documents.metrics import metrics
from airlift.evidence.facts import Attested, Facts
from airlift.evidence.names import WEIGHTS, dump, identifier, licence, location, purl
from airlift.trust.statements.statement import STATING

VERSION = "1.6"
SCHEMA = f"http://cyclonedx.org/schema/bom-{VERSION}.schema.json"
DATA = {"data": "dataset", "policy": "configuration", "prompt": "configuration", "tokenizer": "configuration"}
"""What CycloneDX calls the data of a kind of component; other kinds are ``other``."""
TYPES = {
    **dict.fromkeys(WEIGHTS, "machine-learning-model"),
    "image": "container",
    "wheels": "library",
    "chart": "application",
    "file": "file",
}
"""What CycloneDX calls a kind of component; other kinds are ``data``."""
Json = dict[str, Any]


def format(facts: Facts, release: str | None = None) -> bytes:  # noqa: A001 - as in every format of this room
    """Return the bill of the release with this digest, of the active one by default; empty if nothing is active.

    Raises:
        KeyError: there is no such release.
    """
    chosen = facts.releases[release] if release is not None else facts.active_release
    document: Json = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{identifier(facts, 'cyclonedx', chosen.digest if chosen else '')}",
        "version": 1,
        "metadata": _metadata(facts, chosen),
        "components": [_component(facts, chosen, item) for item in chosen.components] if chosen else [],
        "dependencies": _dependencies(chosen) if chosen else [],
    }
    return dump(document)


def _metadata(facts: Facts, release: Release | None) -> Json:
    tool = {"type": "application", "name": "airlift", "version": facts.version}
    properties = [
        _property("enclave", facts.enclave),
        _property("ledger:size", str(facts.ledger.size)),
        _property("ledger:root-sha384", facts.ledger.root.hex()),
    ]
    metadata: Json = {"timestamp": facts.generated, "tools": {"components": [tool]}}
    if release is not None:
        metadata["component"] = {
            "type": "application",
            "bom-ref": _release_ref(release),
            "name": release.name,
            "version": release.version,
            "description": release.notes,
            "hashes": [{"alg": "SHA-512", "content": release.digest}],
        }
        properties.append(_property("marking", str(release.marking)))
        properties += [_property("left-out", told) for told in remarks.omitted(release)]
        for key, holder in controls.signers(facts, release.digest, "targets"):
            properties.append(_property("signed-by", f"{holder} ({key})"))
        properties += [_property("attestation", _told(item)) for item in facts.about(release.digest)]
    return {**metadata, "properties": properties}


def _told(item: Attested) -> str:
    holders = ", ".join(signer.holder or signer.key_id for signer in item.signers if signer.verified)
    verdict = "passes" if item.passes else "states" if item.kind in STATING else "does not pass"
    return f"{item.kind} {verdict}, signed by {holders or 'nobody known'}, SHA-512 {item.digest}"


def _component(facts: Facts, release: Release, item: Component) -> Json:
    found: Json = {
        "type": _type(item.kind),
        "bom-ref": _ref(item),
        "name": item.name,
        "version": item.version,
        "components": [_file(item, entry) for entry in item.files],
        "properties": _properties(item),
    }
    if item.license:
        found["licenses"] = [_licence(item.license)]
    address = purl(item)
    if address is not None:
        found["purl"] = address
    place = location(item)
    if place is not None:
        found["externalReferences"] = [{"type": "distribution", "url": place}]
    ancestors = _ancestors(facts, release, item)
    if ancestors:
        found["pedigree"] = {"ancestors": ancestors}
    if item.kind in WEIGHTS:
        found["modelCard"] = _model_card(facts, release, item)
    elif item.kind not in TYPES:
        kind = DATA.get(item.kind, "other")
        found["data"] = [
            {"type": kind, "name": item.name, "classification": str(item.marking or release.marking)}
        ]
    return found


def _type(kind: str) -> str:
    return TYPES.get(kind, "data")


def _file(item: Component, entry: FileEntry) -> Json:
    return {
        "type": "file",
        "bom-ref": f"{_ref(item)}/{entry.path}",
        "name": entry.path,
        "hashes": [
            {"alg": "SHA-512", "content": entry.sha512},
            {"alg": "SHA-256", "content": entry.sha256},
        ],
        "properties": [_property("size", str(entry.size))],
    }


def _properties(item: Component) -> list[Json]:
    found = [_property("kind", item.kind), _property("digest-sha512", item.digest)]
    if item.source.get("kind") == sources.PATH:
        found.append(_property("source-path", item.source["path"]))
    if sources.is_fetched(item.source):
        found.append(_property("source", sources.at_endpoint(item.source)))
    if sources.is_inside(item.source):
        found += [_property("source", sources.told(step)) for step in sources.chain(item.source)]
    for made in item.data:
        found.append(_property(f"data:{made.name}", f"{made.version} ({made.marking})"))
        found += [_property(f"data:{made.name}:sha512", made.sha512)] if made.sha512 else []
    if item.vendor_signature is not None:
        found.append(_property("vendor-signature-sha512", item.vendor_signature.sha512))
    if item.variant is not None:
        found.append(_property("variant-of", item.variant.of))
        found += [_property(f"label:{key}", value) for key, value in item.variant.labels]
    if item.marking is not None:
        found.append(_property("marking", str(item.marking)))
    for waived in item.accept:
        found.append(_property(f"waiver:{waived.what}", waived.reason))
        found += [_property(f"waiver:{waived.what}:file", path) for path in waived.files]
    return found + [_property("remark", told) for told in remarks.lacks(item)]


def _property(name: str, value: str) -> Json:
    return {"name": f"airlift:{name}", "value": value}


def _licence(text: str) -> Json:
    expression = licence(text)
    if expression is None:
        return {"license": {"name": text}}
    single = set(expression).isdisjoint(" (+")
    return {"license": {"id": expression}} if single else {"expression": expression}


def _ancestors(facts: Facts, release: Release, item: Component) -> list[Json]:
    """Return what a component was made from; without parents, what its delta was taken against."""
    found = [
        {
            "type": _kind_of(facts, parent.digest, item),
            "name": parent.name,
            "version": parent.version,
            "properties": _related(parent.relation, parent.digest),
        }
        for parent in item.parents
    ]
    return found or _baselines(facts, release, item)


def _related(relation: str, digest: str) -> list[Json]:
    """Return how an ancestor is related, and its digest if somebody knew it."""
    known = [_property("digest-sha512", digest)] if digest else []
    return [_property("relation", relation), *known]


def _kind_of(facts: Facts, digest: str, child: Component) -> str:
    for component in facts.components():
        if digest and component.digest == digest:
            return _type(component.kind)
    return _type(child.kind)


def _baselines(facts: Facts, release: Release, item: Component) -> list[Json]:
    """Return the components of this name, with other content, that bundles of the release took a delta against."""
    found: dict[str, Json] = {}
    for carrier in facts.carriers(release.digest):
        bundle = facts.bundles[carrier]
        base = facts.releases.get(bundle.baseline.digest) if bundle.baseline else None
        for component in base.components if base else ():
            if component.name == item.name and component.digest != item.digest:
                found[component.digest] = {
                    "type": _type(component.kind),
                    "name": component.name,
                    "version": component.version,
                    "properties": _related("delta-from", component.digest),
                }
    return list(found.values())


def _model_card(facts: Facts, release: Release, item: Component) -> Json:
    """Return what is known of a model: its metrics, if somebody evaluated it."""
    card: Json = {"bom-ref": f"{_ref(item)}#card"}
    known = [{"type": name, "value": value} for name, value in metrics(facts, release, item)]
    if known:
        card["quantitativeAnalysis"] = {"performanceMetrics": known}
    return card


def _dependencies(release: Release) -> list[Json]:
    """Return what needs what: the release all its components, a component those that satisfy its requirements."""
    refs = {item.name: _ref(item) for item in release.components}
    needed: dict[str, set[str]] = {ref: set() for ref in refs.values()}
    for requirement in release.requires:
        by_kind = release.names_kind(requirement.needs)
        for item in release.components:
            if requirement.needs == (item.kind if by_kind else item.folder):
                for other in release.components:
                    if other.folder == requirement.component:
                        needed[refs[other.name]].add(refs[item.name])
    whole = {"ref": _release_ref(release), "dependsOn": sorted(refs.values())}
    return [whole, *({"ref": ref, "dependsOn": sorted(found)} for ref, found in needed.items())]


def _ref(item: Component) -> str:
    return f"component:{item.name}@{item.version}"


def _release_ref(release: Release) -> str:
    return f"release:{release.label}"
