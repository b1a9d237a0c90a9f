"""Requests: what is missing of a bundle, given volumes, what is staged, or both; signed, and as a code."""

from pathlib import Path

import pytest

from airlift.bundle import manifest, own
from airlift.bundle.manifest import Bundle
from airlift.bundle.returns import code, request
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.request import asked_chunks
from airlift.errors import (
    ExistsError,
    IncompleteError,
    LedgerError,
    NotHeldError,
    UsageError,
    WrongEnclaveError,
)
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.staged import load_manifest
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record.request import Lack, find_lack, issue_request, print_request
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import copy, enclave, flip, operator, picture, volumes, world
from tests.support.envelopes import require_signature

pytestmark = pytest.mark.usefixtures("quick_disk")


def bundle_of(volume: Path) -> Bundle:
    documents = [path.read_bytes() for path in (volume / "manifests").iterdir()]
    return next(manifest.parse(data) for data in documents if b'"type":"bundle"' in data)


def chunks_on(volume: Path, bundle: Bundle) -> set[int]:
    names = {path.name for path in (volume / "chunks").iterdir()}
    return {index for index, chunk in enumerate(bundle.chunks) if chunk.sha512[:64] in names}


def lack_of(place: Enclave, *given: Path, named: str | None = None) -> Lack:
    before = picture(place.folder)
    found = find_lack(place, named, given, NOW)
    assert picture(place.folder) == before
    return found


def stage(place: Enclave, *given: Path) -> None:
    with pytest.raises(IncompleteError):
        import_bundle(place, given, operator=operator())


def test_what_volumes_lack(tmp_path: Path) -> None:
    first, *others = volumes("full", tmp_path)
    found = lack_of(enclave("fresh", tmp_path), *others)
    assert set(found.missing) == chunks_on(first, found.bundle) != set()
    assert (found.damaged, found.unreadable) == (0, 0)


def test_a_damaged_chunk_is_missing(tmp_path: Path) -> None:
    given = volumes("full", tmp_path)
    bad = next((given[-1] / "chunks").iterdir())
    flip(bad, 100)
    found = lack_of(enclave("fresh", tmp_path), *given)
    assert [found.bundle.chunks[index].sha512[:64] for index in found.missing] == [bad.name]
    assert (found.damaged, found.unreadable) == (1, 0)


def test_a_chunk_that_cannot_be_read_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airlift.high.verification import verified
    from airlift.media import volume_reader

    given = volumes("full", tmp_path)
    bad = next((given[-1] / "chunks").iterdir())

    def read(path: Path, *more: object) -> memoryview:
        from airlift.errors import UncheckedError

        if path == bad:
            raise UncheckedError("input/output error")
        return volume_reader.read_chunk(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(verified, "read_chunk", read)
    found = lack_of(enclave("fresh", tmp_path), *given)
    assert (len(found.missing), found.damaged, found.unreadable) == (1, 0, 1)


def test_what_is_staged_counts(tmp_path: Path) -> None:
    first, *others = volumes("full", tmp_path)
    place = enclave("fresh", tmp_path)
    stage(place, first)
    for found in (lack_of(place, named="any-1"), lack_of(place, first)):
        assert not set(found.missing) & chunks_on(first, found.bundle)
        assert len(found.missing) + len(chunks_on(first, found.bundle)) == len(found.bundle.chunks)
        assert lack_of(place, named=found.bundle.digest[:12]) == lack_of(place, named="any-1")
    *some, last = others
    found = lack_of(place, *some, named="any-1")
    assert set(found.missing) == chunks_on(last, found.bundle)


def test_a_staged_chunk_that_has_rotted_is_missing(tmp_path: Path) -> None:
    first, *_ = volumes("full", tmp_path)
    place = enclave("fresh", tmp_path)
    stage(place, first)
    before = lack_of(place, named="any-1")
    flip(next(iter(sorted(place.staging.glob("*/chunks/*")))), 50)
    after = lack_of(place, named="any-1")
    assert (len(after.missing), after.damaged) == (len(before.missing) + 1, 1)


def test_a_link_in_the_place_of_a_staged_chunk_is_not_followed(tmp_path: Path) -> None:
    first, *_ = volumes("full", tmp_path)
    place = enclave("fresh", tmp_path)
    stage(place, first)
    chunk = min(place.staging.glob("*/chunks/*"))
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    for found in (lack_of(place, named="any-1"), lack_of(place, *world().bundles["full"][1:])):
        assert found.damaged == 1


def test_a_staged_manifest_that_is_another_is_not_believed(tmp_path: Path) -> None:
    first, *_ = volumes("full", tmp_path)
    place = enclave("fresh", tmp_path)
    stage(place, first)
    (staged,) = place.staging.glob("*/bundle.json")
    assert load_manifest(staged.parent) == bundle_of(first)
    flip(staged, 20)
    assert load_manifest(staged.parent) is None
    with pytest.raises(NotHeldError, match="nothing is staged"):
        find_lack(place, "any-1", [], NOW)


def test_what_needs_no_request(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    with pytest.raises(UsageError, match="was imported"):
        find_lack(place, None, world().bundles["full"], NOW)
    with pytest.raises(UsageError, match="nothing is missing"):
        find_lack(place, None, world().bundles["next"], NOW)
    with pytest.raises(UsageError, match="another bundle"):
        find_lack(place, "any-77", world().bundles["next"], NOW)
    with pytest.raises(NotHeldError):
        find_lack(place, "any-77", [], NOW)
    with pytest.raises(WrongEnclaveError):
        find_lack(place, None, world().bundles["bravo"], NOW)


def test_a_committed_bundle_whose_staging_is_left_over(tmp_path: Path) -> None:
    first, *_ = volumes("full", tmp_path)
    place, other = enclave("one", tmp_path), enclave("fresh", tmp_path)
    stage(other, first)
    copy(next(other.staging.iterdir()), place.staging / next(other.staging.iterdir()).name)
    with pytest.raises(UsageError, match="was imported"):
        find_lack(place, "any-1", [], NOW)


def test_too_many_to_ask_for_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airlift.high.record.request.MAX_MISSING", 0)
    with pytest.raises(UsageError, match="too many"):
        find_lack(enclave("fresh", tmp_path), None, world().bundles["full"][1:], NOW)


def test_a_signed_request(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    lack = lack_of(place, *world().bundles["full"][1:])
    result = issue_request(place, lack, operator=operator(), output=tmp_path / "request.json")
    data = (tmp_path / "request.json").read_bytes()
    assert result.request == data.decode()
    envelope = dsse.parse(data)
    require_signature(envelope, keys.signer("ledger").public)
    stated = request.parse(envelope.payload)
    assert (stated.enclave, stated.sequence, stated.manifest) == ("alpha", 1, lack.bundle.digest)
    assert (stated.missing, stated.marking) == (lack.missing, lack.bundle.marking)
    with place.ledger() as log:
        assert (stated.ledger.size, stated.ledger.root) == (log.size, log.root().hex())
    assert result.missing == tuple(chunk.sha512 for chunk in asked_chunks(stated, own.whole(lack.bundle)))
    assert result.missing_bytes == sum(lack.bundle.chunks[index].size for index in result.indices)
    with pytest.raises(ExistsError):
        issue_request(place, lack, operator=operator(), output=tmp_path / "request.json")
    with pytest.raises(LedgerError):
        issue_request(place, lack, operator=Operator("x", keys.signer("stranger"), NOW))


def test_a_request_as_a_code(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    lack = lack_of(place, *world().bundles["full"][1:])
    result = print_request(place, lack, now=NOW, output=tmp_path / "request.txt")
    assert (result.request, (tmp_path / "request.txt").read_text()) == (None, result.sheet)
    assert result.code is not None
    assert result.sheet is not None
    key = keys.signer("ledger").public.fingerprint
    assert code.parse("\n".join(result.code)) == RequestCode(
        key[:10], 1, lack.bundle.digest[:10], lack.missing
    )
    lines = result.sheet.splitlines()
    assert lines[0] == lines[-1] == str(lack.bundle.marking)
    assert [line.strip() for line in lines if line.strip() in result.code] == list(result.code)
    assert "any-1" in result.sheet
    assert result.sheet.isascii()
