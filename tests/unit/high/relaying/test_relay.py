"""A hub that hands on, and one that alters, withholds or re-addresses: THREATS, "Against the rules"."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import manifest, volume
from airlift.bundle.returns import receipt as receipts
from airlift.errors import (
    AirliftError,
    DigestError,
    IncompleteError,
    InventoryError,
    LedgerError,
    MalformedError,
    RefusedError,
    SignatureError,
    WrongEnclaveError,
)
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.expected import Expected
from airlift.high.importing.install import stage
from airlift.high.relaying.check_receipt import check_receipt, holds
from airlift.high.relaying.judge import Viewer, look_at
from airlift.high.relaying.relay import RelayRequest, relay
from airlift.high.relaying.store import store
from airlift.media.volume_copies import plan_copies, write_copies
from airlift.media.volume_reader import read_volumes
from airlift.progress import silent
from tests.support import keys, returns
from tests.support.depots import NOW
from tests.support.enclaves import (
    attempt,
    files_of,
    flip,
    fresh,
    operator,
    overwrite,
    picture,
    reseal,
    volumes,
    world,
)

POLICY = (
    "airlift: 2\nenclave: alpha\nrelay: {bravo: {ledger_key: bravo.pub, ceiling: {level: UNCLASSIFIED}}}\n"
)
FILES = ("LABEL.txt", "volume.json", "SHA256SUMS", "metadata", "manifests", "chunks")


def make_hub(folder: Path) -> Enclave:
    keys.write(folder / "authored", "bravo")
    path = folder / "authored/policy.yaml"
    path.write_text(POLICY)
    return fresh(folder / "hub", world().site, policy=path)


def make_bravo(folder: Path) -> Enclave:
    return fresh(folder / "bravo", world().site, name="bravo")


def handed(hub: Enclave, output: Path) -> list[Path]:
    """Hand on the bundle that is for bravo; return its volumes, which may be changed."""
    request = RelayRequest("bravo", output, world().bundles["bravo"])
    relay(hub, request, operator=operator())
    return sorted(output.iterdir())


def alter_chunk(paths: list[Path]) -> list[Path]:
    flip(next((paths[0] / volume.CHUNKS).iterdir()), 100)
    reseal(paths[0])
    return paths


def alter_label(paths: list[Path]) -> list[Path]:
    label = paths[0] / volume.LABEL
    overwrite(label, label.read_bytes().replace(b"UNCLASSIFIED", b"CONFIDENTIAL"))
    reseal(paths[0])
    return paths


def readdress(paths: list[Path], enclave: str | None = None) -> list[Path]:
    """Write the manifest of the bundle anew, for another enclave, so that the volumes agree with it."""
    for path in paths:
        index = volume.parse_index((path / volume.INDEX).read_bytes())
        old = path / volume.MANIFESTS / volume.manifest_name(index.manifest)
        bundle = replace(manifest.parse(old.read_bytes()), enclave=enclave)
        old.unlink()
        overwrite(path / volume.MANIFESTS / volume.manifest_name(bundle.digest), manifest.format(bundle))
        overwrite(path / volume.LABEL, volume.render_label(bundle, index.volume, index.volumes))
        reseal(path, bundle=bundle.id, manifest=bundle.digest)
    return paths


def withhold_chunk(paths: list[Path]) -> list[Path]:
    next((paths[0] / volume.CHUNKS).iterdir()).unlink()
    return paths


def withhold_metadata(paths: list[Path]) -> list[Path]:
    for path in paths:
        next((path / volume.METADATA).glob("*.targets.json")).unlink()
        reseal(path)
    return paths


@pytest.mark.parametrize(
    ("act", "error", "code"),
    [
        (alter_chunk, DigestError, 3),
        (alter_label, InventoryError, 3),
        (readdress, SignatureError, 3),
        (withhold_chunk, IncompleteError, 4),
        (withhold_metadata, InventoryError, 3),
    ],
)
def test_a_hub_that_alters_readdresses_or_withholds_is_caught(
    tmp_path: Path, act: Callable[[list[Path]], list[Path]], error: type[AirliftError], code: int
) -> None:
    """THREATS, rules: a relay that alters, withholds or re-addresses."""
    paths = handed(make_hub(tmp_path), tmp_path / "out")
    attempt(make_bravo(tmp_path), act(paths), error, code)


def test_a_hub_that_hands_on_what_is_for_somebody_else_is_caught(tmp_path: Path) -> None:
    charlie = fresh(tmp_path / "charlie", world().site, name="charlie")
    attempt(charlie, handed(make_hub(tmp_path), tmp_path / "out"), WrongEnclaveError, 6)


def test_volumes_are_handed_on_once_and_without_leftovers(tmp_path: Path) -> None:
    hub, given = make_hub(tmp_path), volumes("full", tmp_path)
    (given[0] / ".DS_Store").write_bytes(b"x")
    shutil.copytree(given[0], tmp_path / "again")
    request = RelayRequest("bravo", tmp_path / "out", (*given, tmp_path / "again"))
    result = relay(hub, request, operator=operator())
    assert result.passed_over
    originals = world().bundles["full"]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [path.name for path in originals]
    for path in originals:
        assert files_of(path) == files_of(tmp_path / "out" / path.name)
        for name in files_of(path):
            assert (path / name).read_bytes() == (tmp_path / "out" / path.name / name).read_bytes()


def test_the_folder_of_a_recut_keeps_its_name(tmp_path: Path) -> None:
    (given, *_), bundle = volumes("uncut", tmp_path), None
    named = given.rename(given.with_name(f"{given.name}-c0123abcd"))
    found = read_volumes([named])
    bundle = manifest.parse(
        (named / volume.MANIFESTS / volume.manifest_name(found[0].index.manifest)).read_bytes()
    )
    (copy,) = plan_copies(found, bundle)
    assert copy.name == named.name
    other = named.rename(tmp_path / "disc")
    (copy,) = plan_copies(read_volumes([other]), bundle)
    assert copy.name == given.name
    (written,) = write_copies([copy], bundle, tmp_path / "copies", lambda _count: None)
    assert files_of(written) == files_of(other)


def test_nothing_is_handed_on_that_is_not_recorded(tmp_path: Path) -> None:
    """A command that cannot write its entry leaves no volume: here it holds another key than the ledger's."""
    hub, output = make_hub(tmp_path), tmp_path / "out"
    stranger = Operator("tester", keys.signer("stranger"), NOW)
    with pytest.raises(AirliftError):
        relay(hub, RelayRequest("bravo", output, world().bundles["bravo"]), operator=stranger)
    assert not output.exists()


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    hub, given = make_hub(tmp_path), world().bundles["bravo"]
    before = picture(hub.folder)
    relay(hub, RelayRequest("bravo", tmp_path / "out", given), operator=operator(), dry_run=True)
    store(hub, given, operator=operator(), dry_run=True)
    assert picture(hub.folder) == before
    assert not (tmp_path / "out").exists()


def test_what_was_verified_to_be_handed_on_is_never_installed(tmp_path: Path) -> None:
    hub = make_hub(tmp_path)
    viewer = Viewer(hub, hub.state(), NOW, keep_roots=False)
    (looked,) = look_at(viewer, [world().bundles["full"]], [])
    with pytest.raises(ValueError, match="to be handed on"):
        stage(hub, looked.insist(), silent, expected=Expected("sha512", {}), now=NOW)


def test_a_hub_that_names_nobody_hands_on_nothing(tmp_path: Path) -> None:
    hub = fresh(tmp_path / "hub", world().site)
    with pytest.raises(RefusedError, match="no such sub-enclave"):
        relay(hub, RelayRequest("bravo", tmp_path / "out"), operator=operator())
    with pytest.raises(WrongEnclaveError):
        store(hub, world().bundles["bravo"], operator=operator())


# -- receipts ------------------------------------------------------------------------------------------------------


def receipt_of(**changes: Any) -> bytes:
    """Return a receipt of bravo, signed by the key that these tests give for it, that states something else."""
    bundle = read_volumes(world().bundles["bravo"])[0]
    path = bundle.folder / volume.MANIFESTS / volume.manifest_name(bundle.index.manifest)
    target = manifest.parse(path.read_bytes()).target
    assert target is not None
    return returns.forged(returns.receipt_for("bravo", target), **changes)


def test_a_receipt_that_is_good() -> None:
    key = keys.signer(returns.LEDGER).public
    stated = check_receipt(receipt_of(sequence=9, manifest="1" * 128), "bravo", key)
    first = read_volumes(world().bundles["bravo"])[0]
    path = first.folder / volume.MANIFESTS / volume.manifest_name(first.index.manifest)
    bundle = manifest.parse(path.read_bytes())
    assert holds(stated, bundle)
    assert holds(stated, replace(bundle, target=None))
    assert not holds(stated, replace(bundle, sequence=10))
    assert not holds(replace(stated, installed=()), bundle)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: returns.forged(receipt_of(), key="stranger"), SignatureError),
        (lambda: receipt_of(enclave="charlie"), LedgerError),
        (lambda: receipt_of(size=8), LedgerError),
        (lambda: receipt_of(**returns.with_ledger(7, b"\x07" * 48, name="charlie")), AirliftError),
        (lambda: returns.sign("text/plain", b"{}"), MalformedError),
        (lambda: returns.sign(receipts.PAYLOAD_TYPE, b"{}"), MalformedError),
        (lambda: b"ABCD EFGH", MalformedError),
    ],
)
def test_a_receipt_that_is_forged_or_of_another_enclave(
    make: Callable[[], bytes], error: type[AirliftError]
) -> None:
    with pytest.raises(error) as caught:
        check_receipt(make(), "bravo", keys.signer(returns.LEDGER).public)
    assert caught.value.exit_code == 3
