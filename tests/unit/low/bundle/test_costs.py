"""What ``low bundle --explain`` says of a bundle: sums that are those of the chunks, and names that are right."""

from pathlib import Path

import pytest

from airlift.bundle import chunk
from airlift.bundle.chunk import Block, Source
from airlift.bundle.component.file_entry import FileEntry
from airlift.codec.plain.raw_equal import EQUAL, RAW
from airlift.low.bundle.costs import LARGEST, Account, ComponentCost
from airlift.low.bundle.planning.coding_plan import Placed
from airlift.low.bundle.publish import BundleResult
from airlift.tensors.element import Element
from airlift.tensors.span import TensorSpan, tile
from tests.support.depots import Site, signed_site
from tests.support.weights import noise, safetensors


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = signed_site(tmp_path_factory.mktemp("explain"))
    for version, changed in (("1", 0), ("2", 900)):
        tensors = {
            "wte": ("I8", (300, 64), noise(1, 19200)),
            "head": ("BF16", (300, 64), noise(changed, 38400)),
        }
        base = {"model.safetensors": safetensors(tensors)}
        words = {"words.txt": noise(changed + 1000, 5000), "config.json": b'{"changed": %d}' % changed}
        site.release({"base": base, "guard": words, "same": {"a.txt": b"a"}}, version)
    return site


def explained(result: BundleResult) -> dict[str, ComponentCost]:
    assert result.explain is not None
    return {item.component: item for item in result.explain}


def test_the_sums_are_those_of_the_bundle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk, "WORTH", 10**6)  # every table is packed
    small = site.bundle("assistant@2", from_="assistant@1", explain=True, dry_run=True)
    monkeypatch.setattr(chunk, "WORTH", 0)  # none is
    result = site.bundle("assistant@2", from_="assistant@1", explain=True)
    found = explained(result)
    assert list(found) == ["base", "guard"]
    coded = sum(item.coded_bytes for item in found.values())
    assert coded + result.chunks * chunk.HEADER.size == result.chunk_bytes > small.chunk_bytes
    assert small.explain == result.explain
    assert sum(item.target_bytes for item in found.values()) == result.target_bytes
    for item in found.values():
        assert sum(item.parts.values()) == item.coded_bytes == sum(one.coded_bytes for one in item.codecs)
        assert sum(one.target_bytes for one in item.codecs) == item.target_bytes
        assert item.ratio == pytest.approx(item.coded_bytes / item.target_bytes, abs=1e-6)
        assert item.bits_per_element == pytest.approx(8 * item.coded_bytes / item.elements, abs=1e-4)
    counted = {one.codec for item in found.values() for one in item.codecs}
    assert counted == set(result.codecs)


def test_it_names_what_dominates(site: Site) -> None:
    found = explained(site.bundle("assistant@2", from_="assistant@1", explain=True, dry_run=True))
    first = found["base"].largest[0]
    assert (first.path, first.tensor, first.target_bytes) == ("model.safetensors", "head", 38400)
    assert first.share == max(item.share for item in found["base"].largest) > 0.5
    assert [(item.path, item.tensor, item.codec) for item in found["guard"].largest] == [
        ("words.txt", None, "raw"),
        ("config.json", None, "raw"),
    ]
    assert found["guard"].parts["raw"] == 5000 + len(b'{"changed": 900}')


def test_a_dry_run_says_the_same_and_writes_nothing(site: Site, tmp_path: Path) -> None:
    before = sorted(path for path in site.folder.rglob("*") if path.name != "lock")
    dry = site.bundle(
        "assistant@2", from_="assistant@1", explain=True, dry_run=True, output=str(tmp_path / "no")
    )
    assert before == sorted(path for path in site.folder.rglob("*") if path.name != "lock")
    assert not (tmp_path / "no").exists()
    wet = site.bundle("assistant@2", from_="assistant@1", explain=True, output=str(tmp_path / "yes"))
    assert (dry.explain, dry.chunk_bytes, dry.volumes) == (wet.explain, wet.chunk_bytes, ())


def test_nothing_is_explained_that_was_not_asked_for(site: Site) -> None:
    assert site.bundle("assistant@2", from_="assistant@1", dry_run=True).explain is None


def placed(path: str, size: int) -> Placed:
    return Placed("a", FileEntry(path, size, f"{size:0128x}", "0" * 64))


def test_a_block_of_several_tensors_is_shared_out_by_length() -> None:
    """A copy of a whole file, and raw bytes that a tensor shares with what lies outside tensors."""
    names = [f"t{number}" for number in range(LARGEST + 2)]
    tensors = [TensorSpan(name, Element.F32, (10,), 40 * n, 40 * n + 40) for n, name in enumerate(names)]
    account = Account([placed("x", 280), placed("y", 60)], [tile(tensors, 280), tile(tensors[:1], 60)])
    blocks = [
        Block(0, 0, 280, EQUAL.id, Element.F32, (Source(0, 0, 280),), b""),
        Block(1, 0, 60, RAW.id, Element.BYTES, (), bytes(60)),
    ]
    assert list(account.watch(iter(blocks))) == blocks
    (found,) = account.summary()
    assert (found.elements, found.target_bytes, found.coded_bytes) == (70 + 10 + 20, 340, 48 + 28 + 60)
    assert [(one.codec, one.blocks, one.coded_bytes) for one in found.codecs] == [
        ("raw", 1, 88),
        ("equal", 1, 48),
    ]
    assert found.parts == {"block tables": 76, "raw": 60}
    head = [(one.path, one.tensor, one.coded_bytes, one.bits_per_element) for one in found.largest[:3]]
    assert head == [("y", "t0", 59, 46.9333), ("y", None, 29, 11.7333), ("x", "t0", 7, 5.4857)]
    assert len(found.largest) == LARGEST
