from datetime import timedelta
from pathlib import Path

import pytest

from airlift.errors import (
    ExistsError,
    FormatTooNewError,
    KeyUnavailableError,
    MalformedError,
    NotHeldError,
    UsageError,
)
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.bundle.withdraw import withdraw
from airlift.low.depot import enclaves
from airlift.low.depot.enclaves import Acknowledged, EnclaveRecord, Newest, Word
from airlift.low.depot.events import read_events
from airlift.low.listing import listing
from airlift.low.release.make_release import make_release
from airlift.low.returns.register import register
from airlift.low.status import status
from airlift.trust.tuf import bundling
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site, make_site, signed_site
from tests.support.weights import weights

BASE = {"base": {"model.safetensors": weights(1)}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def ledger(site: Site, name: str = "ledger") -> Path:
    path = site.keys / f"{name}.pub"
    path.write_bytes(keys.signer(name).public.pem())
    return path


# -- listing ---------------------------------------------------------------------------------------------------------


def test_an_empty_depot(site: Site) -> None:
    found = listing(site.depot)
    assert (found.releases, found.bundles, found.enclaves) == ((), (), ())


def test_states_of_releases(site: Site) -> None:
    site.release(BASE)
    site.release({"base": {"model.safetensors": weights(2)}}, "2", names=())
    make_release(
        site.depot, site.manifest({"base": {"model.safetensors": weights(3)}}, "3"), now=NOW, replace=True
    )
    found = listing(site.depot).releases
    assert [(item.release, item.state) for item in found] == [
        ("assistant@1", "published"),
        ("assistant@2", "dropped"),
        ("assistant@3", "pending"),
    ]
    assert (found[0].components, found[0].files, found[0].bytes) == (("base 1",), 1, len(weights(1)))


def test_bundles_and_enclaves(site: Site) -> None:
    digest = site.release(BASE).digest
    site.bundle(for_="alpha")
    register(site.depot, "alpha", ledger_key=ledger(site), now=NOW)
    register(site.depot, "beta", ledger_key=ledger(site), now=NOW)
    entry = enclaves.load(site.depot, "alpha")
    held = Acknowledged(digest, 1, entry.enrolled, "receipt")
    enclaves.save(
        site.depot, EnclaveRecord("alpha", entry.enrolled, entry.ledger_key, entry.fingerprint, (held,))
    )
    found = listing(site.depot)
    (one,) = found.bundles
    assert (one.bundle, one.enclave, one.target, one.baseline) == ("alpha-1", "alpha", "assistant@1", None)
    assert [(item.enclave, item.acknowledged, item.known_by) for item in found.enclaves] == [
        ("alpha", "assistant@1", "receipt"),
        ("beta", None, None),
    ]


# -- withdraw --------------------------------------------------------------------------------------------------------


def test_withdraw(site: Site) -> None:
    site.release(BASE)
    site.bundle()
    site.bundle(output="two")
    seen = withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW, dry_run=True)
    assert (seen.outstanding, len(listing(site.depot).bundles)) == (("any-2",), 2)
    result = withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW)
    assert result == seen
    assert [item.bundle for item in listing(site.depot).bundles] == ["any-2"]
    assert read_events(site.depot)[-1].detail == {"bundle": "any-1", "digest": result.digest}
    assert bundling.sequence_of(site.depot.store) == 2
    with pytest.raises(NotHeldError, match="any-1"):
        withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW)


def test_withdraw_with_another_key(site: Site) -> None:
    site.release(BASE)
    site.bundle()
    with pytest.raises(KeyUnavailableError):
        withdraw(site.depot, "any-1", signer=keys.signer("alice"), now=NOW)


# -- enrol -----------------------------------------------------------------------------------------------------------


def test_enrol(site: Site) -> None:
    key = ledger(site)
    assert not register(site.depot, "alpha", ledger_key=key, now=NOW, dry_run=True).already
    assert enclaves.names(site.depot) == ()
    result = register(site.depot, "alpha", ledger_key=key, now=NOW)
    assert (result.already, result.fingerprint) == (False, keys.signer("ledger").public.fingerprint)
    entry = enclaves.load(site.depot, "alpha")
    assert (entry.ledger_key, entry.enrolled) == (key.read_text(), "2026-11-21T12:00:00Z")
    assert register(site.depot, "alpha", ledger_key=key, now=NOW).already
    with pytest.raises(ExistsError, match="another key"):
        register(site.depot, "alpha", ledger_key=ledger(site, "other"), now=NOW)


def test_enrol_nonsense(site: Site) -> None:
    with pytest.raises(UsageError):
        register(site.depot, "any", ledger_key=ledger(site), now=NOW)
    with pytest.raises(KeyUnavailableError):
        register(site.depot, "alpha", ledger_key=site.folder / "missing.pub", now=NOW)


def test_an_enclave_that_is_not_enrolled(site: Site) -> None:
    with pytest.raises(NotHeldError, match="not enrolled"):
        enclaves.load(site.depot, "alpha")
    assert enclaves.newest_acknowledged(site.depot, "alpha") is None


@pytest.mark.parametrize(
    "change",
    [(b'"operator"', b'"hearsay"'), (b'"sequence":1', b'"sequence":-1'), (b'"airlift":1', b'"airlift":0')],
)
def test_a_damaged_enclave_file(site: Site, change: tuple[bytes, bytes]) -> None:
    register(site.depot, "alpha", ledger_key=ledger(site), now=NOW)
    entry = enclaves.load(site.depot, "alpha")
    held = Acknowledged("ab" * 64, 1, entry.enrolled, "operator")
    enclaves.save(
        site.depot, EnclaveRecord("alpha", entry.enrolled, entry.ledger_key, entry.fingerprint, (held,))
    )
    path = site.depot.enclaves / "alpha.json"
    assert change[0] in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(*change))
    with pytest.raises(MalformedError):
        enclaves.load(site.depot, "alpha")


@pytest.mark.parametrize(
    "change",
    [
        (b'"airlift":2', b'"airlift":1'),
        (b'"airlift":2', b'"airlift":3'),
        (b'"counter":9', b'"counter":-1'),
        (b'"sequence":4', b'"sequence":2147483648'),
        (b'"root":"0123456789"', b'"root":"012345678"'),
        (b'"size":6', b'"sizes":6'),
    ],
)
def test_a_damaged_record_of_what_came_back(site: Site, change: tuple[bytes, bytes]) -> None:
    register(site.depot, "alpha", ledger_key=ledger(site), now=NOW)
    entry = enclaves.load(site.depot, "alpha")
    more = {"newest": Newest("note", 5, 4, 9), "word": Word(6, "0123456789")}
    full = EnclaveRecord("alpha", entry.enrolled, entry.ledger_key, entry.fingerprint, (), **more)  # type: ignore[arg-type]
    data = enclaves.format(full)
    assert enclaves.parse(data, "record") == full
    assert change[0] in data
    with pytest.raises((MalformedError, FormatTooNewError)):
        enclaves.parse(data.replace(*change), "record")


def test_a_record_without_returns_keeps_its_bytes(site: Site) -> None:
    register(site.depot, "alpha", ledger_key=ledger(site), now=NOW)
    data = (site.depot.enclaves / "alpha.json").read_bytes()
    assert data.startswith(b'{"acknowledged":[],"airlift":1,')
    with pytest.raises(MalformedError, match="nothing in it needs"):
        enclaves.parse(data.replace(b'"airlift":1', b'"airlift":2'), "record")
    note = EnclaveRecord("alpha", "2026-11-21T12:00:00Z", "pem", "b" * 96, (), Newest("x" * 300_000))
    with pytest.raises(MalformedError, match="too long"):
        enclaves.parse(enclaves.format(note), "record")


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_of_a_working_depot(site: Site) -> None:
    site.release(BASE)
    site.bundle()
    rotate(site.depot, Rotation("root", threshold=3), signers=[keys.signer("alice")], now=NOW)
    found = status(site.depot, NOW)
    assert (found.sequence, found.releases, found.outstanding, found.warnings) == (1, 1, 1, ())
    assert [(role.role, role.version, role.threshold) for role in found.roles] == [
        ("root", 1, 2),
        ("release", 2, 2),
        ("bundler", 1, 1),
    ]
    assert found.roles[0].members == ROOTS
    (change,) = found.pending
    assert (change.role, change.signatures, change.threshold) == ("root", 1, 3)
    assert "root threshold: 2 of 3 -> 3 of 3" in change.differences


def test_status_changes_nothing(site: Site) -> None:
    before = {path: path.stat().st_mtime_ns for path in site.depot.folder.rglob("*")}
    status(site.depot, NOW)
    listing(site.depot)
    assert {path: path.stat().st_mtime_ns for path in site.depot.folder.rglob("*")} == before


def test_status_of_an_unsigned_depot(tmp_path: Path) -> None:
    depot = make_site(tmp_path, signed=False).depot
    found = status(depot, NOW)
    assert found.fingerprint is None
    assert {change.role for change in found.pending} == {"root", "release"}
    assert [(role.role, role.version, role.members) for role in found.roles][1] == (
        "release",
        None,
        RELEASERS,
    )
    (tmp_path / "depot" / "pending" / "root.json").unlink()
    (tmp_path / "depot" / "pending" / "targets.json").unlink()
    assert status(depot, NOW).roles == ()


def test_status_warns_of_expiry(site: Site) -> None:
    site.release(BASE)
    site.bundle()
    soon = status(site.depot, NOW + timedelta(days=160)).warnings
    assert "release metadata expires in 20 days" in soon
    assert not any("root" in line for line in soon)
    assert (
        "bundler metadata expired on 2027-05-20T12:00:00Z"
        in status(site.depot, NOW + timedelta(days=180)).warnings
    )
