"""Pieces of large files, in an enclave: which digests decide, and what is said of what is damaged (SPEC 5.8, 7.3)."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle import piece_table, volume
from airlift.bundle import release as releases
from airlift.bundle.chunk import Block, Source
from airlift.bundle.fields import FileDigest
from airlift.errors import (
    BaselineDamagedError,
    ContentDamagedError,
    DigestError,
    InventoryError,
    LedgerError,
    MalformedError,
)
from airlift.high.enclave.check_content import CheckResult, DamagedPieces, check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, load_expected
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.importing.repair import repair
from airlift.low.authority.sign import sign
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.release.make_release import make_release
from tests.support import forge, keys
from tests.support.depots import NOW, RELEASERS, Site
from tests.support.enclaves import attempt, enclave, holds_release, operator, overwrite, reseal, site
from tests.support.small_pieces import FIVE, FOUR, MORE, NEW, OLD, PIECE, small_pieces
from tests.unit.high.enclave.test_expected import says

pytestmark = pytest.mark.usefixtures("quick_disk")

SHA512 = forge.digest(NEW).sha512
LAST = len(NEW) // PIECE * PIECE
COUNT = sum(-(-len(data) // PIECE) for item in FOUR.values() for data in item.values() if len(data) > PIECE)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_pieces():
        yield


def made(tmp_path: Path) -> Site:
    """Return a low side with the releases 4 and 5, which state pieces."""
    low = site(tmp_path)
    low.release(FOUR, "4", **MORE)
    low.release(FIVE, "5", **MORE)
    return low


def paths(low: Site, label: str, output: str, from_: str = "none") -> list[Path]:
    return [item.path for item in low.bundle(label, output, from_=from_).volumes]


def holding(tmp_path: Path, low: Site) -> Enclave:
    """Return an enclave that runs release 4."""
    place = enclave("fresh", tmp_path)
    import_bundle(place, paths(low, "assistant@4", "four"), operator=operator(), activate=True)
    return place


def at_rest(place: Enclave, data: bytes) -> Path:
    return place.content.path(forge.digest(data).sha512)


def rot(path: Path, *offsets: int) -> None:
    """Flip bits of a file where it lies: all its hard links show it."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            byte = file.read(1)[0] ^ 1
            file.seek(offset)
            file.write(bytes([byte]))


# -- an import -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 5, 16])
def test_full_and_delta(tmp_path: Path, workers: int) -> None:
    low, place = made(tmp_path), enclave("fresh", tmp_path)
    for label, from_, components in (("assistant@4", "none", FOUR), ("assistant@5", "assistant@4", FIVE)):
        volumes = paths(low, label, label, from_)
        assert check_volumes(volumes).bundle
        result = import_bundle(place, volumes, operator=operator(), activate=True, workers=workers)
        assert result.file_digest == "sha512"
        assert holds_release(place, components)
        release = low.depot.load_release(label)
        assert release.pieces is not None
        assert len(place.history.load(release.pieces)) == piece_table.length(release) == 64 * COUNT
    assert check_content(place).damaged == ()


@pytest.mark.parametrize("length", [1000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
@pytest.mark.parametrize("workers", [1, 4])
def test_blocks_of_any_length(tmp_path: Path, length: int, workers: int) -> None:
    """Blocks within a piece, across a border, and across several."""
    low, place = made(tmp_path), enclave("fresh", tmp_path)
    contents = list({data: None for item in FOUR.values() for data in item.values() if data})
    blocks = [
        forge.raw(n, at, data[at : at + length])
        for n, data in enumerate(contents)
        for at in range(0, len(data), length)
    ]
    described = forge.describe(low, "assistant@4", files=[*contents, b""])
    volumes = forge.publish(low, described, forge.packed(*blocks), tmp_path / "medium")
    import_bundle(place, volumes, operator=operator(), activate=True, workers=workers)
    assert holds_release(place, FOUR)


@pytest.mark.parametrize("offset", [0, PIECE - 1, PIECE, 5 * PIECE + 3, len(OLD) - 1])
def test_a_hostile_bundler(tmp_path: Path, offset: int) -> None:
    """One wrong byte in any piece: the file is refused, and the message says where it is wrong."""
    low, place = made(tmp_path), enclave("fresh", tmp_path)
    contents = list({data: None for item in FOUR.values() for data in item.values() if data})
    lies = [bytearray(data) for data in contents]
    lies[contents.index(OLD)][offset] ^= 1
    blocks = [
        forge.raw(n, at, bytes(data[at : at + 40_000]))
        for n, data in enumerate(lies)
        for at in range(0, len(data), 40_000)
    ]
    described = forge.describe(low, "assistant@4", files=[*contents, b""])
    volumes = forge.publish(low, described, forge.packed(*blocks), tmp_path / "medium")
    found = attempt(place, volumes, DigestError, 3)
    start = offset // PIECE * PIECE
    assert f"bytes {start} to {min(start + PIECE, len(OLD))}" in found.message
    assert not [path for path in place.staging.rglob("*") if path.name == forge.digest(OLD).sha512]


def test_the_pieces_decide(tmp_path: Path) -> None:
    """What the authority signed of pieces is what comes in, and nothing else is computed of a large file."""
    low = made(tmp_path)
    wrong = restated(low, "assistant@4", lambda pieces: pieces[:64] + bytes(64) + pieces[128:])
    found = attempt(enclave("fresh", tmp_path), wrong, DigestError, 3)
    assert f"bytes {PIECE} to {2 * PIECE}" in found.message
    place = says(enclave("fresh", tmp_path / "other"), "sha256")
    assert import_bundle(place, wrong, operator=operator()).file_digest == "sha256"


def restated(low: Site, label: str, change: Callable[[bytes], bytes]) -> list[Path]:
    """Publish release 9, which is ``label`` but for what its table says of the model, and bundle it in full."""
    release = low.depot.load_release(label)
    assert release.pieces is not None
    pieces = piece_table.parse(low.depot.documents.load(release.pieces), release)
    (model,) = [sha512 for sha512 in pieces if sha512 in {forge.digest(OLD).sha512, SHA512}]
    table = piece_table.format(release, {**pieces, model: change(pieces[model])})
    other = replace(release, version="9", pieces=hashlib.sha512(table).hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airlift.low.release.make_release._with_pieces", lambda *_: (other, (table,)))
        low.release(FOUR if label.endswith("4") else FIVE, "9", **MORE)
    return paths(low, "assistant@9", "nine")


def test_a_release_that_contradicts_an_installed_one(tmp_path: Path) -> None:
    low = made(tmp_path)
    place = holding(tmp_path, low)
    volumes = restated(low, "assistant@4", lambda pieces: pieces[:64] + bytes(64) + pieces[128:])
    found = attempt(place, volumes, MalformedError, 3)
    assert "other pieces" in found.message
    with pytest.raises(MalformedError):
        plan_import(place, volumes, NOW)
    import_bundle(says(place, "sha256"), volumes, operator=operator())
    says(place, "sha512")
    assert check_content(place).damaged == (), "where two that are installed differ, the whole decides"
    rot(at_rest(place, OLD), 10)
    with pytest.raises(ContentDamagedError) as caught:
        check_content(place)
    assert caught.value.data["pieces"] == ()


@pytest.mark.parametrize("fault", ["lacking", "changed", "too long", "one too many"])
def test_a_table_that_is_not_the_one(tmp_path: Path, fault: str) -> None:
    low, place = made(tmp_path), enclave("fresh", tmp_path)
    (folder,) = paths(low, "assistant@4", "four")
    pieces = low.depot.load_release("assistant@4").pieces
    assert pieces is not None
    path = folder / volume.MANIFESTS / volume.manifest_name(pieces)
    data = path.read_bytes()
    if fault == "lacking":
        path.unlink()
    elif fault == "one too many":
        other = bytes(64)
        overwrite(path.with_name(volume.manifest_name(forge.digest(other).sha512)), other)
    else:
        overwrite(path, bytes(len(data)) if fault == "changed" else data + bytes(64))
    reseal(folder)
    attempt(place, [folder], InventoryError if fault in {"lacking", "one too many"} else DigestError, 3)


def test_a_table_that_vanished_from_history(tmp_path: Path) -> None:
    low = made(tmp_path)
    place = holding(tmp_path, low)
    pieces = low.depot.load_release("assistant@4").pieces
    assert pieces is not None
    path = place.history.path(pieces)
    overwrite(path, path.read_bytes()[:-1])
    with pytest.raises(LedgerError):
        check_content(place)
    path.unlink()
    with pytest.raises(LedgerError, match="missing"):
        check_content(place)


def test_policy_that_says_sha256_asks_for_no_pieces(tmp_path: Path) -> None:
    low = made(tmp_path)
    place = says(holding(tmp_path, low), "sha256")
    assert load_expected(place, place.state()).pieces == {}
    result = import_bundle(
        place, paths(low, "assistant@5", "d", "assistant@4"), operator=operator(), activate=True
    )
    assert result.file_digest == "sha256"
    assert holds_release(place, FIVE)


# -- a base that is damaged ----------------------------------------------------------------------------------------


def test_a_rotten_base_is_named_with_its_piece(tmp_path: Path) -> None:
    low = made(tmp_path)
    place = holding(tmp_path, low)
    volumes = paths(low, "assistant@5", "delta", "assistant@4")
    rot(at_rest(place, OLD), 7 * PIECE + 5)
    found = attempt(place, volumes, BaselineDamagedError, 5)
    assert f"bytes {7 * PIECE} to {8 * PIECE}" in str(found.found)
    assert str(at_rest(place, OLD)) in str(found.found)


def test_only_what_was_read_is_looked_at(tmp_path: Path) -> None:
    """A bundle that is wrong is to blame, if what it read of its base is sound, whatever the rest of that is."""
    low = made(tmp_path)
    place = holding(tmp_path, low)
    described = forge.describe(low, "assistant@5", files=[NEW], bases=[OLD])
    baseline = next(reference for reference in low.depot.releases() if reference.label == "assistant@4")
    blocks = [
        Block(0, 0, PIECE, 1, 0, (Source(0, 2 * PIECE, PIECE),), b""),
        forge.raw(0, PIECE, NEW[PIECE:]),
    ]
    volumes = forge.publish(
        low, replace(described, baseline=baseline), forge.packed(*blocks), tmp_path / "medium"
    )
    rot(at_rest(place, OLD), 5 * PIECE)
    attempt(place, volumes, DigestError, 3)
    rot(at_rest(place, OLD), 2 * PIECE + 9)
    found = attempt(place, volumes, BaselineDamagedError, 5)
    assert f"bytes {2 * PIECE} to {3 * PIECE}" in str(found.found)


# -- content at rest -----------------------------------------------------------------------------------------------


def checked(place: Enclave) -> tuple[CheckResult, str]:
    """Return what a check finds that is damaged."""
    with pytest.raises(ContentDamagedError) as caught:
        check_content(place, workers=3)
    data = dict(caught.value.data)
    data["pieces"] = tuple(DamagedPieces(item["sha512"], item["ranges"]) for item in data["pieces"])
    return CheckResult(**data), str(caught.value.found)


def test_check_names_the_pieces(tmp_path: Path) -> None:
    low = made(tmp_path)
    place = holding(tmp_path, low)
    volumes = paths(low, "assistant@5", "delta", "assistant@4")
    import_bundle(place, volumes, operator=operator(), activate=True)
    rot(at_rest(place, NEW), 0, 3 * PIECE, 4 * PIECE + 1, len(NEW) - 1)
    found, told = checked(place)
    ends = [(0, PIECE), (3 * PIECE, 5 * PIECE), (LAST, len(NEW))]
    assert found.damaged == (SHA512,)
    assert found.pieces == (DamagedPieces(SHA512, tuple(ends)),)
    assert f"base/model.safetensors of assistant@5 (bytes 0 to {PIECE} and " in told
    result = repair(place, volumes, operator=operator(), workers=3)
    assert (result.repaired, result.pieces) == ((SHA512,), found.pieces)
    assert check_content(place).damaged == ()
    assert holds_release(place, FIVE)


@pytest.mark.parametrize(
    ("length", "ranges"),
    [
        (len(OLD) - 1, [(LAST, len(OLD))]),
        (4 * PIECE, [(4 * PIECE, len(OLD))]),
        (0, [(0, len(OLD))]),
        (len(OLD) + 5, [(len(OLD), len(OLD) + 5)]),
        (LAST + PIECE, [(len(OLD), LAST + PIECE)]),
        (None, [(0, len(OLD))]),
    ],
)
def test_content_of_another_length(
    tmp_path: Path, length: int | None, ranges: Sequence[tuple[int, int]]
) -> None:
    place = holding(tmp_path, made(tmp_path))
    path = at_rest(place, OLD)
    if length is None:
        path.unlink()
    else:
        overwrite(path, (OLD + bytes(PIECE))[:length])
    found, _ = checked(place)
    assert found.pieces == (DamagedPieces(forge.digest(OLD).sha512, tuple(ranges)),)


def test_an_import_goes_on_where_a_check_found_damage_in_what_it_does_not_read(tmp_path: Path) -> None:
    """A file whose size is right counts as held, and is digested where it is read."""
    expected = Expected(pieces={"a" * 128: bytes(64 * 3)})
    content = FileDigest("a" * 128, 2 * PIECE + 1)
    spans = [(part.start, part.end) for part in expected.parts(content, PIECE, PIECE + 1)]
    assert spans == [(PIECE, 2 * PIECE)]
    assert [part.end for part in expected.parts(content)] == [PIECE, 2 * PIECE, 2 * PIECE + 1]
    assert [part.digest for part in expected.parts(replace(content, sha512="b" * 128))] == ["b" * 128]


@pytest.mark.parametrize("size", [0, 1, PIECE, 2 * PIECE, 3 * PIECE + 1])
def test_pieces_of_another_size_decide_nothing(size: int) -> None:
    """Two manifests may give one SHA-512 two sizes: nobody waits for bytes that never come."""
    expected, content = Expected(pieces={"a" * 128: bytes(64 * 3)}), FileDigest("a" * 128, size)
    assert [(part.start, part.end, part.digest) for part in expected.parts(content)] == [(0, size, "a" * 128)]
    assert expected.part(content, 0).end == size
    assert expected.part_bytes(content) == max(size, 1)


# -- the low side --------------------------------------------------------------------------------------------------


def test_pieces_are_stated_unless_the_manifest_says_no(tmp_path: Path) -> None:
    low = site(tmp_path)
    low.release(FOUR, "4", **MORE, pieces=False)
    plain = low.depot.load_release("assistant@4")
    assert plain.pieces is None
    assert releases.format(plain).startswith(b'{"airlift":1,')
    with pytest.MonkeyPatch.context() as patch:  # an older airlift knew none
        patch.setattr("airlift.low.release.make_release._with_pieces", lambda made, *_: (made, ()))
        first = low.release(FIVE, "5", **MORE)
    again = low.release(FIVE, "5", **MORE)
    assert (again.digest, again.already) == (first.digest, True), "what was released stays what it is"


def test_sign_holds_files_against_their_pieces(tmp_path: Path) -> None:
    low = site(tmp_path)
    real = piece_table.format
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piece_table, "format", lambda release, pieces: bytes(64) + real(release, pieces)[64:])
        make_release(low.depot, low.manifest(FOUR, "4", **MORE), now=NOW)
    with pytest.raises(DigestError, match="nothing was signed"):
        sign(low.depot, "assistant@4", signers=[keys.signer(RELEASERS[0])], now=NOW)


def test_signers_are_told(tmp_path: Path) -> None:
    low = site(tmp_path)
    done = make_release(low.depot, low.manifest(FOUR, "4", **MORE), now=NOW)
    pieces = low.depot.load_release("assistant@4").pieces
    assert f"pieces: {COUNT}, of 1 large contents, table {str(pieces)[:32]}" in done.differences
    dry = make_release(low.depot, low.manifest(FOUR, "4", **MORE), now=NOW, dry_run=True)
    assert dry.digest == done.digest


def test_the_table_goes_wherever_the_release_goes(tmp_path: Path) -> None:
    """Also where nothing is brought: a bundle from a release to itself."""
    low = made(tmp_path)
    place = holding(tmp_path, low)
    (folder,) = paths(low, "assistant@4", "again", "assistant@4")
    pieces = low.depot.load_release("assistant@4").pieces
    assert (folder / volume.MANIFESTS / volume.manifest_name(str(pieces))).is_file()
    assert import_bundle(place, [folder], operator=operator()).installed
