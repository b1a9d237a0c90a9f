"""One import, in the order of [7.1-1], up to the files rebuilt and the vendors' signatures over them."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.second import collect, reader, rebuild, strict
from tests.second import policy as policies
from tests.second.documents import portions, release, variants
from tests.second.enclave import Enclave
from tests.second.errors import Refused, demand
from tests.second.policy import Policy
from tests.second.reader import Media
from tests.second.rebuild import Content, Place
from tests.second.trust import metadata, statements, vendor, walk
from tests.second.trust.keys import Key
from tests.second.trust.walk import Trusted


@dataclass(frozen=True, slots=True)
class Installed:
    """What an import would have installed.

    Attributes:
        bundle: SHA-512 of the bundle manifest.
        already: Whether it was committed before; then nothing was looked at.
        overtaken: Whether the enclave's own metadata was newer.
        paths: SHA-512 of every file of the release by ``component/path``.
        rebuilt: How many files were rebuilt from chunks.
        tree: What the tree of the release is called.
    """

    bundle: str
    already: bool
    overtaken: bool
    paths: dict[str, str]
    rebuilt: int
    tree: str = ""


def run(enclave: Enclave, policy: Policy, given: Sequence[Path], output: Path, clock: datetime) -> Installed:
    """Import volumes: verify them, and put the files of their release into a folder of its own.

    Args:
        enclave: What is held.
        policy: The policy in force.
        given: Volumes, or folders of volumes.
        output: An empty folder; the files stand in ``release/``.
        clock: What the system's clock says.

    Raises:
        Refused: With the code of section 10.
    """
    media = reader.read(given)
    demand(not (policy.strict and media.leftovers), "leftovers on a volume", "inventory-refused")
    if any(before.manifest == media.digest for before in enclave.committed):
        return Installed(media.digest, already=True, overtaken=False, paths={}, rebuilt=0)
    chain = walk.walk_roots(enclave.pinned, media.metadata)
    now = _reference_time(enclave, chain[-1], clock)
    trusted = walk.walk(enclave.pinned, chain, media.metadata, now)
    entry = walk.bundle_target(trusted, media.digest)
    metadata.holds(entry, media.document(media.digest))
    _destined(enclave, media, trusted)
    _documents(media, trusted, entry, [*walk.keys_of(chain), *policy.keys])
    media = replace(media, manifest=portions.own(media.manifest, enclave.name))
    _hold_baseline(enclave, media)
    lacking = _lacking(enclave, media)
    policies.judge(policy, media, now)
    chosen = _choose(enclave, media, policy)
    contents = _contents(enclave, media, policy)
    files = _rebuild(enclave, media, contents, lacking, output) if lacking else {}
    paths = _tree(enclave, media, files, output, chosen)
    return Installed(
        media.digest,
        already=False,
        overtaken=trusted.overtaken,
        paths=paths,
        rebuilt=len(files),
        tree=_tree_name(media, chosen),
    )


def _choose(enclave: Enclave, media: Media, policy: Policy) -> set[str]:
    """Return the names of the variants that policy chooses, which must be at hand [7.14-1]."""
    if media.release is None:
        return set()
    chosen = variants.choose(media.release, policy.variants)
    if chosen is None:
        raise Refused("variant-refused", "policy makes no choice")
    for component in media.release["components"]:
        if component["name"] in chosen - variants.carried(media.manifest, media.release):
            held = all(enclave.content(file["sha512"]).is_file() for file in component["files"])
            demand(held, f"{component['name']} is neither held nor carried", "variant-refused")
    return chosen


def _tree_name(media: Media, chosen: set[str]) -> str:
    """Return what the tree is called [7.14-4]."""
    target = media.manifest["target"]
    if target is None:
        return ""
    listed = strict.dumps([target["digest"], *sorted(chosen)])
    return (hashlib.sha512(listed).hexdigest() if chosen else str(target["digest"]))[:64]


def _reference_time(enclave: Enclave, root: metadata.Metadata, clock: datetime) -> datetime:
    """Return the later of the clock and the newest issue time that a key still vouches for [7.2-3]."""
    listed = set(root.roles["timestamp"].keys)
    return max([clock, *(bundle.issued for bundle in enclave.committed if bundle.keys & listed)])


def _destined(enclave: Enclave, media: Media, trusted: Trusted) -> None:
    """Hold destination and replay [7.2-4]."""
    manifest = media.manifest
    named = [one["enclave"] for one in manifest.get("portions", [manifest])]
    demand({None, enclave.name} & set(named), "a bundle for another enclave", "wrong-enclave")
    sequence = manifest["sequence"]
    demand(sequence >= enclave.minimum_sequence, "a sequence below the minimum", "replayed")
    still = set(trusted.targets.roles["bundler"].keys)
    for before in enclave.committed:
        used = before.sequence == sequence and before.manifest != media.digest and before.keys & still
        demand(not used, "a sequence that another bundle used", "sequence-reused")
    highest = trusted.bundler.signed["x-airlift-sequence"]
    demand(sequence <= highest, "a sequence that the bundler never used")


def _documents(media: Media, trusted: Trusted, entry: dict[str, Any], known: Sequence[Key]) -> None:
    """Verify documents by length and digest before they are parsed [7.2-5]."""
    manifest, targets = media.manifest, trusted.targets.signed["targets"]
    about = {media.digest}
    if manifest["target"] is not None:
        digest = manifest["target"]["digest"]
        listed = targets.get(f"release-{digest[:64]}")
        demand(listed is not None, "a release that the authority does not list", "signature-invalid")
        metadata.holds(listed, media.document(digest))
        about.add(digest)
    revocations = media.document(manifest["revocations"])
    if not trusted.overtaken:
        demand("revocations" in targets, "no list of revocations")
        metadata.holds(targets["revocations"], revocations)
    release.parse_revocations(revocations)
    wanted = {manifest["revocations"], *about}
    for digest in entry.get("custom", {}).get("attestations", []):
        statements.check(media.document(digest), about, known)
        wanted.add(digest)
    for component in (media.release or {"components": []})["components"]:
        signature = component["vendor_signature"]
        if signature is not None:
            data = media.document(signature["sha512"])
            demand(len(data) == signature["size"], "a vendor's signature of another size", "digest-mismatch")
            wanted.add(signature["sha512"])
    if media.release and "pieces" in media.release:
        release.pieces(media.release, media.document(media.release["pieces"]))
        wanted.add(media.release["pieces"])
    demand(set(media.documents) == wanted, "documents that nothing names", "inventory-mismatch")


def _hold_baseline(enclave: Enclave, media: Media) -> None:
    """Hold the bundle against the baseline's own manifest [6.2-5] [6.2-6]."""
    manifest, named = media.manifest, media.manifest["baseline"]
    held: dict[str, tuple[int, str]] = {}
    sure: dict[str, tuple[int, str]] = {}
    if named is not None:
        imported = {before.release["digest"] for before in enclave.committed if before.release}
        demand(named["digest"] in imported, "a baseline that was never imported", "baseline-not-held")
        own = enclave.manifest(named["digest"])
        demand(
            (own["name"], own["version"]) == (named["name"], named["version"]), "a baseline of another name"
        )
        held = release.contents(own)
        sure = release.contents(variants.only(own, ()))
    for base in manifest["bases"]:
        same = base["sha512"] in held and held[base["sha512"]][0] == base["size"]
        demand(same, "a base that is not the baseline's")
    rebuilt = {file["sha512"] for file in manifest["files"]}
    demand(not rebuilt & set(sure), "a file that the baseline holds")


def _lacking(enclave: Enclave, media: Media) -> set[str]:
    """Return the content of the release that the enclave does not hold; the bundle must rebuild it [6.2-6].

    Raises:
        Refused: ``baseline-not-held``.
    """
    wanted: dict[str, tuple[int, str]] = {}
    if media.release:
        names = variants.carried(media.manifest, media.release)
        wanted = release.contents(variants.only(media.release, names))
    lacking = {digest for digest in wanted if not enclave.content(digest).is_file()}
    rebuilt = {file["sha512"] for file in media.manifest["files"]}
    demand(lacking <= rebuilt, "content that neither the bundle nor the enclave has", "baseline-not-held")
    held = all(enclave.content(base["sha512"]).is_file() for base in media.manifest["bases"])
    demand(not lacking or held, "a base that is not held", "baseline-not-held")
    return lacking


def _contents(enclave: Enclave, media: Media, policy: Policy) -> dict[str, Content]:
    """Return what every content of the target and of what is installed is verified with [7.3-5]."""
    stated: dict[str, set[str]] = {}
    for value in enclave.installed():
        for sha512, (_, sha256) in release.contents(value).items():
            stated.setdefault(sha512, set()).add(sha256)
    target = release.contents(media.release) if media.release else {}
    if policy.digest == "sha256":
        for sha512, (_, sha256) in target.items():
            other = stated.get(sha512, set()) - {sha256}
            demand(not other, "another SHA-256 than an installed release states", "digest-mismatch")
    for sha512, (_, sha256) in target.items():
        stated.setdefault(sha512, set()).add(sha256)
    pieces = _pieces(enclave, media) if policy.digest == "sha512" else {}
    sizes = {file["sha512"]: file["size"] for file in [*media.manifest["bases"], *media.manifest["files"]]}
    return {
        sha512: _content(sha512, size, stated.get(sha512, set()), policy, pieces)
        for sha512, size in sizes.items()
    }


def _content(
    sha512: str, size: int, stated: set[str], policy: Policy, pieces: dict[str, set[tuple[str, ...]]]
) -> Content:
    if policy.digest == "sha256" and len(stated) == 1:
        return Content(sha512, size, "sha256", next(iter(stated)))
    told = list(pieces.get(sha512, set()))
    decide = len(told) == 1 and len(told[0]) == -(-size // release.PIECE)
    return Content(sha512, size, "sha512", sha512, told[0] if decide else ())


def _pieces(enclave: Enclave, media: Media) -> dict[str, set[tuple[str, ...]]]:
    """Return what the target and what is installed say of the pieces of content [7.3-8]."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for value in enclave.installed():
        for sha512, pieces in enclave.pieces(value).items():
            found.setdefault(sha512, set()).add(tuple(pieces))
    if media.release and "pieces" in media.release:
        table = release.pieces(media.release, media.document(media.release["pieces"]))
        for sha512, pieces in table.items():
            other = found.get(sha512, set()) - {tuple(pieces)}
            demand(not other, "other pieces than an installed release states", "digest-mismatch")
            found.setdefault(sha512, set()).add(tuple(pieces))
    return found


def _rebuild(
    enclave: Enclave, media: Media, contents: dict[str, Content], lacking: set[str], output: Path
) -> dict[str, Path]:
    """Rebuild what the enclave lacks of the files of the bundle, and return where it is by SHA-512."""
    folder = output / "files"
    folder.mkdir(parents=True)
    digests = [file["sha512"] for file in media.manifest["files"]]
    files = {digest: folder / digest for digest in digests if digest in lacking}
    bases = [base["sha512"] for base in media.manifest["bases"]]
    place = Place(
        [enclave.content(digest) for digest in bases],
        [contents[digest] for digest in bases],
        [files.get(digest, enclave.content(digest)) for digest in digests],
        [contents[digest] for digest in digests],
        frozenset(number for number, digest in enumerate(digests) if digest not in lacking),
    )
    rebuild.rebuild(collect.collect(enclave, media), media.manifest, place)
    return files


def _tree(
    enclave: Enclave, media: Media, files: dict[str, Path], output: Path, chosen: set[str]
) -> dict[str, str]:
    """Put the tree of the release together, and verify the vendors' signatures over all that came [5.5-5].

    Returns:
        SHA-512 by path.
    """
    paths: dict[str, str] = {}
    whole = media.release or {"components": [], "requires": []}
    there = variants.only(whole, chosen | variants.carried(media.manifest, whole))
    for component in there["components"]:
        runs = "variant" not in component or component["name"] in chosen
        name = component.get("variant", {}).get("of", component["name"])
        folder = output / ("release" if runs else "aside") / (name if runs else component["name"])
        digests = {}
        for file in component["files"]:
            path = folder / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files.get(file["sha512"], enclave.content(file["sha512"])), path)
            if runs:
                paths[f"{name}/{file['path']}"] = file["sha512"]
            digests[file["path"]] = hashlib.sha256(path.read_bytes()).hexdigest()
        _vendor(media, component, digests)
    return paths


def _vendor(media: Media, component: dict[str, Any], digests: dict[str, str]) -> None:
    stated = component["vendor_signature"]
    if stated is None:
        return
    covered = vendor.verify(media.document(stated["sha512"]), stated, digests, component["source"])
    lacking = {"count": len(covered.left_out), "names": covered.names()} if covered.left_out else None
    told, found = (
        (stated.get("listed"), stated.get("left_out")),
        (covered.listed if lacking else None, lacking),
    )
    demand(
        told == found, "a vendor's signature that covers something else than is said", "inventory-mismatch"
    )
