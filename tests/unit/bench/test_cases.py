"""Cases of public packages: which files are in them, what generic tools make of a whole release, and the verdict."""

import dataclasses
import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.cases import figures, generic, measure, packages, page
from tests.bench.cases.figures import OURS, Coded, Figures, Record
from tests.bench.cases.packages import CASES, Case, Source
from tests.bench.pairs import Sides
from tests.bench.peers import Peer, missing

VAD = Source("vad==2", "vad/data", ("*.onnx", "*.jit"), ("*.jit",))


def noise(seed: int, size: int = 40_000) -> bytes:
    return random.Random(seed).randbytes(size)


def write(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def test_the_table_names_packages_versions_and_folders() -> None:
    sources = [source for case in CASES for source in case.sources]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", source.package) for source in sources)
    assert all(not Path(source.folder).is_absolute() for source in sources)
    assert all(len(case.name) <= 21 for case in CASES), "the plot has room for so much"
    assert len({(case.name, case.base is None) for case in CASES}) == len(CASES)


def test_every_delta_is_a_full_release_too_unless_it_is_one_file_of_one() -> None:
    full = {case.target for case in CASES if case.base is None}
    assert {case.name for case in CASES if case.target not in full} == {"wake embedding 0.5.1"}


def test_files_are_those_of_the_patterns_in_order(tmp_path: Path) -> None:
    names = ("vad/data/b.onnx", "vad/data/a/c.onnx", "vad/data/model.jit", "vad/data/x.py", "vad/y.onnx")
    write(tmp_path / "vad==2", dict.fromkeys(names, b"x"))
    assert list(VAD.files(tmp_path)) == ["a/c.onnx", "b.onnx"]
    assert VAD.files(tmp_path)["b.onnx"] == tmp_path / "vad==2/vad/data/b.onnx"


def test_what_is_missing_is_left_out_with_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "vad==2", {"vad/data/b.onnx": b"12345"})
    old = dataclasses.replace(VAD, package="vad==1")
    found = list(packages.present(tmp_path, (Case("vad 2", VAD, old), Case("vad 2", VAD))))
    assert [(case.base, list(sides.target)) for case, sides in found] == [(None, ["b.onnx"])]
    assert packages.size(found[0][1].target) == 5
    assert capsys.readouterr().out == f"vad 2 is not measured: {tmp_path} has no vad==1\n"


@pytest.mark.parametrize("peer", [*generic.FULL, *generic.DELTA], ids=lambda peer: peer.name)
def test_a_tool_finds_over_all_files_what_lies_in_another(tmp_path: Path, peer: Peer) -> None:
    if reason := missing(peer):
        pytest.skip(reason)
    base = write(tmp_path / "base", {"a": noise(1)})
    target = write(tmp_path / "target", {"a": noise(1), "b": noise(1) + b"!", "empty": b""})
    delta = peer in generic.DELTA
    (tmp_path / "work").mkdir()
    coded = generic.code(peer, Sides(base if delta else {}, target), tmp_path / "work")
    assert (coded.program, coded.how) == (peer.name, generic.WHOLE)
    assert coded.size < 42_000, "of 80,001"


@pytest.mark.parametrize("peer", generic.DELTA, ids=lambda peer: peer.name)
def test_a_tool_is_told_by_file_where_that_is_smaller(tmp_path: Path, peer: Peer) -> None:
    if reason := missing(peer):
        pytest.skip(reason)
    base, target = (write(tmp_path / side, {"a": noise(1)}) for side in ("base", "target"))
    (tmp_path / "work").mkdir()
    coded = generic.code(peer, Sides(base, target), tmp_path / "work")
    assert coded.size < 1_000


def test_a_tool_that_loses_bytes_ends_the_bench(tmp_path: Path) -> None:
    liar = Peer(
        "liar", "cp", lambda _b, target, delta: ["cp", target, delta], lambda base, _d, out: ["cp", base, out]
    )
    target = write(tmp_path / "target", {"a": noise(1)})
    (tmp_path / "work").mkdir()
    with pytest.raises(SystemExit, match="was not rebuilt"):
        generic.code(liar, Sides({}, target), tmp_path / "work")


def test_files_are_put_together_in_the_order_of_their_names(tmp_path: Path) -> None:
    files = write(tmp_path, {"b": b"2", "a/c": b"1", "c": b"3"})
    assert generic._together(files, tmp_path / "whole").read_bytes() == b"123"


@pytest.mark.parametrize("base", [{}, {"old/a.safetensors": b"x" * 100}], ids=["full", "delta"])
def test_airlift_bundles_and_imports_a_case(tmp_path: Path, base: dict[str, bytes]) -> None:
    target = write(tmp_path / "target", {"old/notes.txt": b"one", "readme.txt": b"two" * 1000})
    source = write(
        tmp_path / "base", {name.replace("a.safetensors", "notes.txt"): base[name] for name in base}
    )
    (tmp_path / "work").mkdir()
    coded = measure.airlift(Sides(source, target), tmp_path / "work")
    assert coded.program == OURS
    assert 0 < coded.size < 3000


def sample(*coded: tuple[str, int], base: str = "vad==1") -> Figures:
    return Figures(
        "vad 2", "vad==2", base, ("*.jit",), 3, 10_000, tuple(Coded(*one, "as one") for one in coded)
    )


def test_a_delta_is_held_against_the_smallest_of_all_tools() -> None:
    case = sample((OURS, 1020), (generic.ZSTD_PATCH, 1100), (generic.XDELTA, 1000), (generic.BSDIFF, 1300))
    assert case.best == Coded(generic.XDELTA, 1000, "as one")
    assert (case.ratio, case.limit, case.holds) == (1.02, 1.02, True)
    assert sample((OURS, 1021), (generic.BSDIFF, 1000)).holds is False


def test_a_full_release_is_held_against_zstd_alone() -> None:
    case = sample((OURS, 1011), (generic.ZSTD, 1000), (generic.XZ, 900), base="")
    assert (case.ratio, case.limit, case.holds) == (1.011, 1.01, False)
    assert dataclasses.replace(case, coded=(Coded(OURS, 1010), *case.coded[1:])).holds is True


def test_there_is_no_verdict_where_nothing_was_measured() -> None:
    for case in (sample((OURS, 1)), sample((generic.BSDIFF, 1)), sample((OURS, 1), (generic.XZ, 1), base="")):
        assert (case.ratio, case.holds) == (None, None)


def record() -> Record:
    delta = sample((OURS, 1030), (generic.ZSTD_PATCH, 1100), (generic.XDELTA, 1000))
    full = sample((OURS, 9000), (generic.ZSTD, 9000), (generic.XZ, 8900), base="")
    return Record({"processor": "2 x something"}, [full, delta])


def test_json_keeps_everything(tmp_path: Path) -> None:
    figures.save(record(), tmp_path / "r.json")
    assert figures.load(tmp_path / "r.json") == record()
    assert len(json.loads((tmp_path / "r.json").read_text())["cases"]) == 2


def test_a_page_tells_sizes_and_the_verdict() -> None:
    lines = page.document(record()).splitlines()
    assert "- processor: 2 x something" in lines
    assert "| vad 2 | 10,000 | 9,000 as one | 9,000 as one | 8,900 as one | 1.0000 | yes |" in lines
    assert "| vad 2 | 10,000 | 1,030 as one | 1,100 as one | 1,000 as one |  | 1.0300 | **no** |" in lines
    assert "| vad 2 | vad==2 | vad==1 | 3 | `*.jit` |" in lines
    assert "| vad 2 | vad==2 | none | 3 | `*.jit` |" in lines


def test_a_page_its_figures_and_its_plot_are_written(tmp_path: Path) -> None:
    page.write(tmp_path / "new", record())
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"cases.json", "cases.md", "cases.svg"}
    tree = ET.parse(tmp_path / "new" / "cases.svg").getroot()  # noqa: S314 - written a moment ago
    words = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"limit 1.01", "limit 1.02"} <= set(words)
    assert words.count("vad 2") == 2


def test_a_page_without_verdicts_has_no_plot_of_them() -> None:
    assert not list(page._groups(Record({}, [sample((OURS, 1))])))
