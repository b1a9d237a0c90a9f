"""Vendors' signatures and parents, from the authored manifest to the enclave's record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle import volume
from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.bundle.patterns import LeftOut
from airlift.errors import DigestError, InventoryError, KeyUnavailableError, ManifestError, SignatureError
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.release import assemble, gather
from airlift.low.release.make_release import make_release
from airlift.trust.statements import model_signing as signatures
from tests.support import keys, vendor
from tests.support.depots import NOW, RELEASERS, Site
from tests.support.enclaves import (
    V1,
    attempt,
    enclave,
    flip,
    fresh,
    operator,
    overwrite,
    picture,
    reseal,
    site,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

VENDOR = {"vendor_signature": {"path": "model.sig", "public_key": "vendor.pub"}}


def authored(low: Site, version: str = "7", by: str = "vendor", **more: Any) -> Path:
    """Write a manifest whose component ``base`` comes with its vendor's signature, and more."""
    path = low.manifest(V1, version, kinds={"guard": "guard"})
    (path.parent / "model.sig").write_bytes(vendor.sign(V1["base"], by))
    (path.parent / "vendor.pub").write_bytes(vendor.public())
    document = yaml.safe_load(path.read_text())
    document["components"][0] |= {**VENDOR, **more}
    path.write_text(yaml.safe_dump(document))
    return path


def files_in(seen: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in seen.items() if name != "lock" and not text.endswith("folder")}


def released(low: Site, path: Path, **more: Any) -> str:
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    return make_release(low.depot, path, signers=signers, now=NOW, **more).digest


def test_carried_verified_again_and_recorded(tmp_path: Path) -> None:
    low = site(tmp_path)
    digest = released(low, authored(low))
    (item,) = low.bundle("assistant@7", "vouched", from_="assistant@1").volumes
    place = enclave("one", tmp_path)
    import_bundle(place, [item.path], operator=operator())
    (stated,) = place.load_release(digest).vendor_signatures()
    kept = place.history.load(stated.sha512, signatures.MAX_BYTES)
    assert kept == (low.folder / "source-7" / "model.sig").read_bytes()
    with place.ledger() as log:
        commit = log.last("import-commit")
    assert commit is not None
    (recorded,) = commit.detail["vendor_signatures"]
    assert (recorded["component"], recorded["method"], recorded["sha512"]) == ("base", "key", stated.sha512)


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda folder: (folder / "base" / "empty.txt").write_bytes(b"x"), DigestError),
        (lambda folder: (folder / "base" / "further.txt").write_bytes(b"x"), InventoryError),
        (lambda folder: flip(folder / "model.sig", 200), Exception),
        (lambda folder: (folder / "vendor.pub").write_bytes(vendor.public("other")), SignatureError),
        (lambda folder: (folder / "vendor.pub").write_bytes(b"none"), KeyUnavailableError),
        (lambda folder: (folder / "vendor.pub").write_bytes(b"\xff"), ManifestError),
    ],
)
def test_a_release_whose_vendor_signature_fails_is_refused(tmp_path: Path, harm: Any, error: Any) -> None:
    low = site(tmp_path)
    path = authored(low)
    before = picture(low.folder / "depot")
    harm(path.parent)
    with pytest.raises(error):
        released(low, path)
    assert files_in(picture(low.folder / "depot")) == files_in(before)


def test_the_low_side_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release authority that is out of hand signs a release whose vendor signed something else."""
    low = site(tmp_path)
    vouched = signatures.Vouched("model", "key", "0" * 64, (), 1, ())
    monkeypatch.setattr(signatures, "verify_model", lambda *_: vouched)
    path = authored(low)
    (path.parent / "base" / "empty.txt").write_bytes(b"not what the vendor signed")
    released(low, path)
    (item,) = low.bundle("assistant@7", "odd", from_="none").volumes
    monkeypatch.undo()
    attempt(fresh(tmp_path / "new", low), [item.path], DigestError, 3)


@pytest.mark.parametrize(
    ("harm", "error"),
    [(lambda path: path.unlink(), InventoryError), (lambda path: flip(path, 30), DigestError)],
)
def test_a_signature_file_that_changed_on_the_way(tmp_path: Path, harm: Any, error: Any) -> None:
    low = site(tmp_path)
    digest = released(low, authored(low))
    (item,) = low.bundle("assistant@7", "vouched", from_="none").volumes
    (stated,) = low.depot.load_release(digest).vendor_signatures()
    harm(item.path / volume.MANIFESTS / volume.manifest_name(stated.sha512))
    reseal(item.path)
    attempt(fresh(tmp_path / "new", low), [item.path], error, 3)


def test_certificates_are_read_as_such(tmp_path: Path) -> None:
    low = site(tmp_path)
    path = authored(low, vendor_signature={"path": "model.sig", "certificates": ["root.pem"]})
    overwrite(path.parent / "root.pem", b"-----BEGIN CERTIFICATE-----\n")
    with pytest.raises(KeyUnavailableError):
        released(low, path)


# -- in part -------------------------------------------------------------------------------------------------------


def partly(low: Site, version: str = "7", listed: tuple[str, ...] = (), **source: Any) -> Path:
    """Write a manifest whose vendor signed further files, which are there too; ``source`` are the patterns."""
    path = authored(low, version)
    further = dict.fromkeys(listed, b"x")
    for name in further:
        (path.parent / "base" / name).write_bytes(b"x")
    (path.parent / "model.sig").write_bytes(vendor.sign({**V1["base"], **further}))
    document = yaml.safe_load(path.read_text())
    document["components"][0]["source"] |= source
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_signature_over_more_than_is_carried_is_told_as_that(tmp_path: Path) -> None:
    low = site(tmp_path)
    digest = released(low, partly(low, listed=("b.opt", "a.opt", ".DS_Store"), exclude=["*.opt"]))
    (stated,) = low.depot.load_release(digest).vendor_signatures()
    assert (stated.listed, stated.left_out) == (7, LeftOut(3, (".DS_Store", "a.opt", "b.opt")))
    (item,) = low.bundle("assistant@7", "partly", from_="assistant@1").volumes
    place = enclave("one", tmp_path)
    done = import_bundle(place, [item.path], operator=operator())
    assert "base: vendor signature covers 4 of 7 files: left out .DS_Store, a.opt, b.opt" in done.remarks
    assert sorted(p.name for p in (place.release_path(digest) / "base").iterdir()) == [
        "LICENSE", "empty.txt", "model.safetensors", "nested",
    ]  # fmt: skip


def test_what_the_patterns_do_not_leave_out_must_be_there(tmp_path: Path) -> None:
    low = site(tmp_path)
    path = partly(low, listed=("a.opt", "b.opt"), exclude=["a.opt"])
    (path.parent / "base" / "b.opt").unlink()
    with pytest.raises(InventoryError, match="the files that the vendor signed") as caught:
        released(low, path)
    assert "b.opt" in str(caught.value.found)


def test_files_that_are_carried_still_verify(tmp_path: Path) -> None:
    low = site(tmp_path)
    path = partly(low, listed=("a.opt",), exclude=["*.opt"])
    (path.parent / "base" / "empty.txt").write_bytes(b"not what the vendor signed")
    with pytest.raises(DigestError):
        released(low, path)


def test_a_signature_over_nothing_that_is_carried_is_none(tmp_path: Path) -> None:
    low = site(tmp_path)
    path = partly(low, include=[".hidden", "nested/*"])
    (path.parent / "model.sig").write_bytes(vendor.sign({"other.opt": b"x", "nested/other": b"x"}))
    (path.parent / "base" / "nested" / "config.json").unlink()
    (path.parent / "base" / ".hidden").write_bytes((path.parent / "model.sig").read_bytes())
    with pytest.raises(InventoryError, match="the files that the vendor signed"):
        released(low, path)


@pytest.mark.parametrize("lie", [None, LeftOut(1, ("b.opt",)), LeftOut(2, ("a.opt", "b.opt"))])
def test_the_high_side_finds_out_what_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: LeftOut | None
) -> None:
    """A release authority that is out of hand says that the vendor signed other files than he did."""
    low = site(tmp_path)
    path = partly(low, listed=("a.opt",), exclude=["*.opt"])
    with monkeypatch.context() as out_of_hand:
        real = assemble.assemble_component

        def lying(*given: Any) -> Component:
            made = real(*given)
            if made.vendor_signature is None:
                return made
            stated = replace(made.vendor_signature, left_out=lie, listed=5 if lie else 0)
            return replace(made, vendor_signature=stated)

        out_of_hand.setattr(gather, "assemble_component", lying)
        released(low, path)
    (item,) = low.bundle("assistant@7", "lie", from_="none").volumes
    error = attempt(fresh(tmp_path / "new", low), [item.path], InventoryError, 3)
    assert "lacks other files that its vendor signed" in error.message


# -- parents -------------------------------------------------------------------------------------------------------


def test_parents_are_found_here_and_in_earlier_releases(tmp_path: Path) -> None:
    low = site(tmp_path)
    named = [
        {"component": "guard", "relation": "tuned-from"},
        {"component": "base", "version": "1", "relation": "merged-from"},
        {"component": "unknown", "version": "9", "relation": "derived-from"},
    ]
    digest = released(low, authored(low, parents=named))
    base, guard = low.depot.load_release(digest).components
    (old,) = [c for c in low.depot.load_release("assistant@1").components if c.name == "base"]
    assert base.parents == (
        Parent("derived-from", "unknown", "9"),
        Parent("merged-from", "base", "1", old.digest),
        Parent("tuned-from", "guard", guard.version, guard.digest),
    )


def test_a_parent_without_version_must_be_in_the_release(tmp_path: Path) -> None:
    low = site(tmp_path)
    with pytest.raises(ManifestError):
        released(low, authored(low, parents=[{"component": "unknown", "relation": "adapter-of"}]))
