"""Which digest of a file decides: what policy says is what is done, and what the record and the report tell."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airlift import verify as standalone
from airlift.bundle import piece_table
from airlift.bundle import release as releases
from airlift.bundle.chunk import BUILT, Block, Source
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release
from airlift.errors import (
    BaselineDamagedError,
    ContentDamagedError,
    DigestError,
    LedgerError,
    MalformedError,
    NoSpaceError,
)
from airlift.evidence import controls
from airlift.evidence.report import page
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave import expected, policy
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, stated
from airlift.high.enclave.status import enclave_status
from airlift.high.importing import commit, part_digests
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.importing.repair import repair
from airlift.high.record.changes import find_changes
from airlift.high.record.gather import gather_facts
from airlift.high.record.ledger_copies import export_ledger
from airlift.intake import collect
from airlift.ledger import details
from airlift.ledger.entries.imports import ImportCommit, ImportPrepare
from airlift.ledger.entry import Entry
from airlift.store import content
from tests.support import forge
from tests.support.bundle_values import LARGE, PIECED
from tests.support.depots import NOW, Components, Site
from tests.support.enclaves import (
    V1,
    V2,
    attempt,
    enclave,
    holds_release,
    operator,
    overwrite,
    site,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

OLD = V1["base"]["model.safetensors"]
NEW = V2["base"]["model.safetensors"]
CONFIG = "nested/config.json"


def says(place: Enclave, algorithm: str) -> Enclave:
    """Put a policy in force that says which digest decides."""
    path = place.folder.parent / f"{algorithm}.yaml"
    path.write_text(f"airlift: 1\nenclave: alpha\ndigest: {algorithm}\n")
    change_policy(place, path, operator=operator())
    return place


def named(place: Enclave, kind: str) -> list[Any]:
    """Return what the entries of a type say files were verified with."""
    with place.ledger() as log:
        return [entry.detail["file_digest"] for entry in log.entries(types=(kind,))]


@pytest.fixture(name="used")
def _used(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the digests of files that are begun, by name: of files that are written, and of files at rest."""
    world()
    found: Counter[str] = Counter()

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return (lambda *data: self.new(name, *data)) if name.startswith("sha") else getattr(hashlib, name)

        def new(self, name: str, *data: bytes) -> Any:
            found[name] += 1
            return hashlib.new(name, *data)

    for module in (part_digests, expected, content):
        monkeypatch.setattr(module, "hashlib", Counting())
    return found


def at_rest(place: Enclave, data: bytes) -> Path:
    return place.content.path(forge.digest(data).sha512)


def lying(low: Site, monkeypatch: pytest.MonkeyPatch, components: Components, path: str) -> list[Path]:
    """Bundle a release whose signed manifest gives the files at ``path`` a SHA-256 that is not theirs."""

    def entry(name: str, size: int, sha512: str, sha256: str) -> FileEntry:
        return FileEntry(name, size, sha512, "0" * 64 if name == path else sha256)

    monkeypatch.setattr(collect, "FileEntry", entry)
    low.release(components, "9", versions={"base": "9", "guard": "9"}, kinds={"guard": "guard"})
    return [item.path for item in low.bundle("assistant@9", "lying", from_="none").volumes]


# -- what is done --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_an_import_verifies_with_what_policy_says(tmp_path: Path, used: Counter[str], algorithm: str) -> None:
    """Broke: `digest: sha256` changed nothing but the report."""
    place = says(enclave("fresh", tmp_path), algorithm)
    result = take(place, "uncut", activate=True)
    assert used == {algorithm: 5}
    assert (result.files_built, result.file_digest) == (5, algorithm)
    assert named(place, "import-prepare") == named(place, "import-commit") == [algorithm]
    assert holds_release(place, V1)
    assert at_rest(place, OLD).is_file()


def test_the_signed_digest_that_policy_says_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest whose SHA-256 of a file is wrong beside a right SHA-512."""
    paths = lying(site(tmp_path), monkeypatch, {**V1, "base": {**V1["base"], CONFIG: b"{}"}}, CONFIG)
    place = says(enclave("one", tmp_path), "sha256")
    found = attempt(place, paths, DigestError, 3)
    assert found.expected == "0" * 64
    assert import_bundle(says(place, "sha512"), paths, operator=operator()).file_digest == "sha512"


def test_a_release_that_contradicts_an_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = lying(site(tmp_path), monkeypatch, {**V1, "base": {**V1["base"], CONFIG: b"{}"}}, "LICENSE")
    place = says(enclave("one", tmp_path), "sha256")
    attempt(place, paths, MalformedError, 3)
    with pytest.raises(MalformedError):
        plan_import(place, paths, NOW)
    import_bundle(says(place, "sha512"), paths, operator=operator())
    assert check_content(says(place, "sha256")).damaged == ()  # SHA-512 decides where two manifests differ


def test_a_contradiction_is_found_before_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: plan and verify took it, if there was nothing to rebuild, and the import refused it."""
    low = site(tmp_path)
    paths = lying(low, monkeypatch, V1, "LICENSE")
    place = says(enclave("one", tmp_path), "sha256")
    with pytest.raises(MalformedError):
        plan_import(place, paths, NOW)
    with pytest.raises(MalformedError):
        prove_bundle(place, paths, NOW)
    attempt(place, paths, MalformedError, 3)


def test_a_hostile_bundler(tmp_path: Path) -> None:
    low, place = site(tmp_path), says(enclave("one", tmp_path), "sha256")
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    paths = forge.publish(low, made, forge.packed(forge.raw(0, 0, bytes(len(NEW)))), tmp_path / "evil")
    found = attempt(place, paths, DigestError, 3)
    assert found.expected == hashlib.sha256(NEW).hexdigest()
    assert holds_release(place, V1)


def test_a_rotten_baseline(tmp_path: Path, used: Counter[str]) -> None:
    place = says(enclave("one", tmp_path), "sha256")
    rotten = bytearray(OLD)
    rotten[-4000] ^= 0xFF
    overwrite(at_rest(place, OLD), bytes(rotten))
    found = attempt(place, world().bundles["delta"], BaselineDamagedError, 5)
    assert found.expected == hashlib.sha256(OLD).hexdigest()
    assert set(used) == {"sha256"}


def test_a_base_that_no_manifest_names(tmp_path: Path, used: Counter[str]) -> None:
    """It is no content of the baseline (SPEC 6.2-5): refused before anything is read."""
    low, place, data = site(tmp_path), says(enclave("one", tmp_path), "sha256"), b"of a release of long ago"
    path = at_rest(place, data)
    path.parent.mkdir(exist_ok=True)
    overwrite(path, data)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[data])
    blocks = [Block(0, 0, len(data), 1, 0, (Source(0, 0, len(data)),), b""), forge.raw(0, 24, NEW[24:])]
    paths = forge.publish(low, made, forge.packed(*blocks), tmp_path / "evil")
    attempt(place, paths, MalformedError, 3)
    assert not used


def test_content_that_no_manifest_names_is_known_by_its_name() -> None:
    assert Expected("sha256", {"a" * 128: "b" * 64}).of("c" * 128) == ("sha512", "c" * 128)


def test_a_file_that_is_built_from_one_of_the_same_bundle(tmp_path: Path) -> None:
    """It is read from where files stand that were verified with this digest (SPEC 6.3-6)."""
    low, place = site(tmp_path), says(enclave("fresh", tmp_path), "sha256")
    contents = sorted({data for item in V1.values() for data in item.values() if data}, key=len, reverse=True)
    blocks = [forge.raw(0, 0, contents[0])]
    for n, data in enumerate(contents[1:], 1):
        at = contents[0].find(data[:1])
        blocks += [Block(n, 0, 1, 1, 0, (Source(BUILT, at, 1),), b""), forge.raw(n, 1, data[1:])]
    made = forge.describe(low, "assistant@1", files=[*contents, b""])
    import_bundle(place, forge.publish(low, made, forge.packed(*blocks), tmp_path / "good"), operator=operator(),
            activate=True)  # fmt: skip
    assert holds_release(place, V1)


@pytest.mark.parametrize("then", ["sha256", "sha512"])
def test_staged_files_count_for_the_digest_they_were_verified_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: Counter[str], then: str
) -> None:
    place = says(enclave("fresh", tmp_path), "sha256")

    def fail(*_: object) -> None:
        raise NoSpaceError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(commit, "install", fail)
        attempt(place, world().bundles["uncut"], NoSpaceError, 8)
    assert used == {"sha256": 5}
    assert take(says(place, then), "uncut", activate=True).file_digest == then
    assert used == ({"sha256": 5} if then == "sha256" else {"sha256": 5, "sha512": 5})
    assert list(place.staging.iterdir()) == []
    assert holds_release(place, V1)


def test_content_at_rest_is_checked_and_repaired(tmp_path: Path, used: Counter[str]) -> None:
    place = says(enclave("two", tmp_path), "sha256")
    assert check_content(place).digest == "sha256"
    overwrite(at_rest(place, NEW), bytes(len(NEW)))
    with pytest.raises(ContentDamagedError):
        check_content(place)
    assert repair(place, world().bundles["delta"], operator=operator()).repaired == (
        forge.digest(NEW).sha512,
    )
    assert check_content(place).damaged == ()
    assert holds_release(place, V2)
    assert set(used) == {"sha256"}


def test_changes_digest_what_they_compare(tmp_path: Path, used: Counter[str]) -> None:
    place = says(enclave("two", tmp_path), "sha256")
    assert find_changes(place, "assistant@2", tensors=True).tensors
    assert used == {"sha256": 2}
    overwrite(at_rest(place, OLD), bytes(len(OLD)))
    with pytest.raises(ContentDamagedError):
        find_changes(place, "assistant@2", tensors=True)


def test_what_manifests_state() -> None:
    low = world().site
    releases = [low.depot.load_release(f"assistant@{n}") for n in (1, 2)]
    entry = releases[1].components[0].files[0]
    odd = replace(releases[1].components[0], files=(replace(entry, sha256="0" * 64),))
    known = stated(releases)
    assert known[forge.digest(OLD).sha512] == hashlib.sha256(OLD).hexdigest()
    assert set(known) - set(stated([*releases, replace(releases[1], components=(odd,))])) == {entry.sha512}
    assert Expected("sha256", known).of("9" * 128) == ("sha512", "9" * 128)
    assert Expected().of(forge.digest(OLD).sha512) == ("sha512", forge.digest(OLD).sha512)


# -- what is told --------------------------------------------------------------------------------------------------


def told(place: Enclave) -> tuple[str, bool, tuple[str, ...]]:
    """Return the report, whether the record shows digests of CNSA 2.0, and the warnings of status."""
    found = gather_facts(place, NOW)
    shown = page.format(found).decode()
    return shown, controls.evidence(found, "digest").found, enclave_status(place, NOW).warnings


def test_the_record_tells_what_was_done(tmp_path: Path) -> None:
    """Broke: the report said that SHA-256 had been verified when policy said so, and nothing when it had been."""
    place = says(enclave("one", tmp_path), "sha256")
    shown, found, warnings = told(place)
    assert ("Policy verifies files with SHA-256" in shown, found) == (True, True)
    assert "Imports that verified" not in shown
    assert [text.split(":")[0] for text in warnings] == ["policy"]
    assert plan_import(place, world().bundles["delta"], NOW).file_digest == "sha256"
    assert plan_import(place, world().bundles["full"], NOW).file_digest is None
    take(place, "delta", activate=True)
    says(place, "sha512")
    shown, found, warnings = told(place)
    assert ("Policy verifies files with SHA-256" in shown, found) == (False, False)
    with place.ledger() as log:
        begun, committed = log.last("import-prepare"), log.last("import-commit")
    assert begun is not None
    assert committed is not None
    entries = f"{begun.index}, {committed.index}"
    assert f"Imports that verified files with SHA-256, which is not of CNSA 2.0: entries {entries}." in shown
    assert (shown.count("<td>SHA-512</td>"), shown.count("<td>SHA-256</td>")) == (1, 1)
    assert enclave_status(place, NOW).imports == {"sha256": 1, "sha512": 1}
    assert [text.split(":")[0] for text in warnings] == ["imports"]


def test_an_aborted_import_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: what it had put in place is used, was verified with SHA-256 alone, and status said nothing."""
    place = says(enclave("fresh", tmp_path), "sha256")

    def fail(*_: object) -> None:
        raise NoSpaceError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(commit, "save_trust", fail)
        with pytest.raises(NoSpaceError):
            import_bundle(place, world().bundles["uncut"], operator=operator())
    assert take(says(place, "sha512"), "uncut", activate=True).file_digest is None
    shown, found, warnings = told(place)
    assert not found
    assert "Imports that verified files with SHA-256" in shown
    assert [text.split(":")[0] for text in warnings] == ["imports"]


def test_an_import_that_rebuilds_nothing_says_so(tmp_path: Path) -> None:
    place = says(enclave("two", tmp_path), "sha256")
    assert take(place, "last").file_digest is None
    take(place, "renewal")
    assert named(place, "import-commit")[-2:] == [None, None]
    assert enclave_status(place, NOW).imports == {"sha512": 2}
    assert "nothing rebuilt" in told(place)[0]


def test_entries_of_before_mean_sha512() -> None:
    entry = Entry(1, "2026-11-21T12:00:00Z", "import-commit", "operator", "0" * 128, "any-1", {})
    assert details.file_digest(entry) == "sha512"
    assert details.file_digest(replace(entry, detail={"file_digest": None})) is None
    with pytest.raises(LedgerError):
        details.file_digest(replace(entry, detail={"file_digest": 5}))


def _without(real: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Return how entries were written before they said with which digest files are verified."""
    return lambda said: {key: value for key, value in real(said).items() if key != "file_digest"}


@pytest.mark.parametrize("old", [True, False])
def test_the_standalone_verifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    """A ledger is verified with the new detail and without it."""
    place = says(enclave("one", tmp_path), "sha256")
    if old:
        for kind in (ImportPrepare, ImportCommit):
            monkeypatch.setattr(kind, "format", _without(kind.format))
    take(place, "delta")
    with place.ledger() as log:
        last = log.last("import-commit")
        (tmp_path / "ledger.pub").write_bytes(log.public.pem())
    assert last is not None
    assert ("file_digest" in last.detail) is not old
    export_ledger(place, tmp_path / "ledger.jsonl")
    assert (
        standalone.main([str(tmp_path / "ledger.jsonl"), "--public-key", str(tmp_path / "ledger.pub")]) == 0
    )


# -- pieces --------------------------------------------------------------------------------------------------------


def test_pieces_decide_only_where_every_manifest_states_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong table, signed for one release, must not change what another one consists of (SPEC 7.3-8)."""
    sha512 = LARGE.sha512
    plain = replace(PIECED, pieces=None, name="plain")
    first, second = (bytes([number]) * piece_table.length(PIECED) for number in (1, 2))
    one, same, other = (
        replace(PIECED, name=name, pieces=hashlib.sha512(table).hexdigest())
        for name, table in (("one", first), ("same", first), ("other", second))
    )
    documents = {made.digest: releases.format(made) for made in (plain, one, same, other)}
    documents |= {str(made.pieces): table for made, table in ((one, first), (other, second))}
    place = SimpleNamespace(history=SimpleNamespace(load=lambda digest, _size=0: documents[digest]))
    monkeypatch.setattr(policy, "load", lambda *_: SimpleNamespace(digest="sha512"))

    def known(*installed: Release, target: Release | None = None) -> bytes | None:
        state = SimpleNamespace(installed=[made.digest for made in installed])
        found = expected.load_expected(cast("Any", place), cast("Any", state), target, {})
        return found.pieces.get(sha512)

    assert known(one) == known(one, same) == known(one, target=same) == known(target=one) == first
    assert known(plain) is None
    assert (
        known(plain, one) is known(one, plain) is known(one, target=plain) is known(plain, target=one) is None
    )
    assert known(one, other) is None
    with pytest.raises(MalformedError, match="states other pieces"):
        known(one, target=other)
