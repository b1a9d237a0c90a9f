"""What a release changed: components, files, tensors, and numbers counted exactly."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.difference import compare_releases
from airlift.errors import ContentDamagedError, NotHeldError, UsageError
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record import changes
from airlift.high.record.changes import find_changes
from airlift.tensors.comparison import Counts, compare_runs
from airlift.tensors.element import Element
from tests.support.container_files import external, onnx
from tests.support.depots import Site
from tests.support.enclaves import V1, V2, enclave, flip, fresh, operator, site
from tests.support.facts import releases
from tests.support.tensor_files import safetensors

pytestmark = pytest.mark.usefixtures("quick_disk")


# -- numbers -------------------------------------------------------------------------------------------------------


def f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def test_floats_are_counted_by_their_bits() -> None:
    found = compare_runs(f32(1.0, 0.0, 5.0, 2.0), f32(1.5, -0.0, 5.0, 2.0), Element.F32)
    assert found == Counts(4, 2, 0, 0.5, 1 << 22)
    assert compare_runs(f32(0.0), f32(-0.0), Element.F32) == Counts(1, 1, 0, 0.0, 1)
    far = compare_runs(f32(-1.0), f32(1.0), Element.F32)
    assert (far.absolute, far.ulps) == (2.0, 2 * 0x3F800000 + 1)


def test_what_is_not_finite_is_counted_apart() -> None:
    old, new = f32(1.0, float("nan"), 3.0, 4.0), f32(float("inf"), 1.0, 3.5, 4.0)
    assert compare_runs(old, new, Element.F32) == Counts(4, 3, 2, 0.5, 1 << 21)
    assert compare_runs(f32(1.0), f32(float("nan")), Element.F32) == Counts(1, 1, 1, None, None)


@pytest.mark.parametrize(
    ("element", "old", "new", "expected"),
    [
        (Element.BF16, b"\x80\x3f", b"\x81\x3f", Counts(1, 1, 0, 2.0**-7, 1)),
        (Element.F16, b"\x00\x3c", b"\x01\x3c", Counts(1, 1, 0, 2.0**-10, 1)),
        (
            Element.F64,
            struct.pack("<d", 1.0),
            struct.pack("<d", -1.0),
            Counts(1, 1, 0, 2.0, 2 * 0x3FF << 52 | 1),
        ),
        (Element.C64, f32(1.0, 2.0), f32(1.0, 3.0), Counts(2, 1, 0, 1.0, 1 << 22)),
        (Element.F8_E4M3, b"\x38", b"\x39", Counts(1, 1, 0, 0.125, 1)),
        (Element.F8_E4M3, b"\x38", b"\x7f", Counts(1, 1, 1, None, None)),
        (Element.F8_E5M2, b"\x3c", b"\x3d", Counts(1, 1, 0, 0.25, 1)),
        (Element.F8_E4M3FNUZ, b"\x40", b"\x41", Counts(1, 1, 0, 0.125, 1)),
        (Element.F8_E5M2FNUZ, b"\x40", b"\x41", Counts(1, 1, 0, 0.25, 1)),
        (Element.I8, b"\x80", b"\x7f", Counts(1, 1, 0, 255.0, 255)),
        (Element.U16, b"\x00\x00", b"\xff\xff", Counts(1, 1, 0, 65535.0, 65535)),
        (
            Element.I64,
            struct.pack("<q", -(2**63)),
            struct.pack("<q", 2**63 - 1),
            Counts(1, 1, 0, 2.0**64, 2**64 - 1),
        ),
        (Element.U64, b"\x00" * 8, b"\xff" * 8, Counts(1, 1, 0, 2.0**64, 2**64 - 1)),
        (Element.Q8_0, b"\x00" * 68, b"\x00" * 34 + b"\x01" * 34, Counts(2, 1)),
        (Element.BYTES, b"abc", b"abd", Counts(3, 1)),
    ],
)
def test_every_kind_of_element(element: Element, old: bytes, new: bytes, expected: Counts) -> None:
    assert compare_runs(old, new, element) == expected
    assert compare_runs(old, old, element) == Counts(expected.elements)


def test_broken_runs() -> None:
    for old, new in ((b"ab", b"abcd"), (b"abc", b"abd")):
        with pytest.raises(ValueError, match="runs"):
            compare_runs(old, new, Element.F16)


@given(
    st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)), min_size=1, max_size=50),
    st.sampled_from([Element.F16, Element.I16, Element.U16]),
    st.integers(0, 50),
)
def test_counts_are_numpys_and_add_up(pairs: list[tuple[int, int]], element: Element, cut: int) -> None:
    kind = {Element.F16: "<f2", Element.I16: "<i2", Element.U16: "<u2"}[element]
    old, new = (np.array(side, "<u2").tobytes() for side in zip(*pairs, strict=True))
    found = compare_runs(old, new, element)
    first, second = (np.frombuffer(data, kind).astype(np.float64) for data in (old, new))
    differs = np.frombuffer(old, "<u2") != np.frombuffer(new, "<u2")
    finite = differs & np.isfinite(first) & np.isfinite(second)
    assert (found.elements, found.changed) == (len(pairs), int(np.count_nonzero(differs)))
    assert found.absolute == (np.abs(second - first)[finite].max() if finite.any() else None)
    at = 2 * min(cut, len(pairs))
    assert compare_runs(old[:at], new[:at], element) + compare_runs(old[at:], new[at:], element) == found


# -- manifests -----------------------------------------------------------------------------------------------------


def test_components_and_files() -> None:
    first, second = releases()
    base, docs, guard = second.components
    moved = replace(docs, files=(replace(docs.files[0], path="a.json"), docs.files[1]))
    more = replace(guard, files=(*guard.files, replace(guard.files[0], path="z.json", sha512="9" * 128)))
    changed = replace(second, components=(base, moved, more))
    found = {item.name: item for item in compare_releases(changed, first)}
    assert {name: item.change for name, item in found.items()} == dict.fromkeys(found, "changed")
    assert [(f.change, f.path) for f in found["docs"].files] == [("renamed", "a.json")]
    assert [f.change for f in found["guard"].files] == ["changed", "changed", "added"]
    fewer = replace(docs, files=docs.files[:1])
    (gone,) = compare_releases(replace(first, components=(fewer,)), replace(first, components=(docs,)))[
        0
    ].files
    assert (gone.change, gone.path) == ("removed", "model.safetensors")
    relabelled = replace(docs, version="2")
    assert [c.change for c in compare_releases(replace(first, components=(relabelled,)), first)] == [
        "relabelled",
        "removed",
        "removed",
    ]
    assert {c.change for c in compare_releases(first, None)} == {"added"}
    assert {c.change for c in compare_releases(first, first)} == {"unchanged"}


# -- an enclave ----------------------------------------------------------------------------------------------------


def test_a_delta_against_its_baseline(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    found = find_changes(place, "assistant@2", tensors=True)
    assert (found.against, found.why) == ("assistant@1", "what it came in as a delta from")
    assert {c["name"]: c["change"] for c in found.components} == {"base": "changed", "guard": "unchanged"}
    assert found.tensors is not None
    old, new = (np.frombuffer(v["base"]["model.safetensors"], np.uint8) for v in (V1, V2))
    assert 0 < sum(item.changed for item in found.tensors) <= np.count_nonzero(old != new)
    assert found.tensors_compared >= len(found.tensors) > 0
    assert find_changes(place, "assistant@2").tensors is None
    assert find_changes(place, "assistant@1").why.startswith("the first release")
    assert find_changes(place, "assistant@1", from_="assistant@2").why == "as asked"
    assert [c["name"] for c in find_changes(place, "assistant@2", component="guard").components] == ["guard"]


def test_progress_is_told_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a file, too: a file may be most of a release; all bytes are counted at the end."""
    place = enclave("two", tmp_path)
    monkeypatch.setattr(changes, "PIECE", 64)
    seen = list[tuple[str, int, int]]()
    found = find_changes(place, "assistant@2", tensors=True, progress=lambda *now: seen.append(now))
    done = [count for _, count, _ in seen]
    ((stage, total),) = {(stage, total) for stage, _, total in seen}
    assert (stage, done[-1]) == ("comparing", total)
    assert done == sorted(done)
    files = [f for c in found.components for f in c["files"] if f["change"] == "changed"]
    assert total >= sum(f["size_before"] + 2 * f["size_after"] for f in files)
    assert len(done) > 10 * len(files)


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    with pytest.raises(NotHeldError):
        find_changes(place, "assistant@9")
    with pytest.raises(NotHeldError):
        find_changes(place, "assistant@2", component="none")
    with pytest.raises(UsageError):
        find_changes(place, "assistant@2", from_="assistant@2")


def test_damaged_and_missing_content(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    release = place.load_release(place.state().installed[0])
    entry = next(e for c, e in release.files() if (c.name, e.path) == ("base", "model.safetensors"))
    path = place.content.path(entry.sha512)
    path.chmod(0o644)
    flip(path, -1)
    with pytest.raises(ContentDamagedError):
        find_changes(place, "assistant@2", tensors=True)
    path.unlink()
    found = find_changes(place, "assistant@2", tensors=True)
    assert (found.tensors, found.not_held) == ((), ("base/model.safetensors",))


def tensors(**more: tuple[str, tuple[int, ...], bytes]) -> bytes:
    header, body = {}, b""
    for name, (dtype, shape, data) in more.items():
        header[name] = (dtype, list(shape), [len(body), len(body) + len(data)])
        body += data
    return safetensors(header, body)


def imported(low: Site, tmp_path: Path, *versions: dict[str, Any]) -> Any:
    place = fresh(tmp_path / "new", low)
    for number, files in enumerate(versions, 20):
        low.release({"base": files}, str(number))
        bundle = low.bundle(f"assistant@{number}", f"out-{number}", from_="none")
        import_bundle(place, [item.path for item in bundle.volumes], operator=operator())
    return place


def outside(second: float) -> dict[str, bytes]:
    """Return a model whose numbers lie in another file."""
    told = external("w", 1, (2,), location="m.onnx_data", offset="4", length="8")
    return {"m.onnx": onnx(told), "m.onnx_data": f32(9, 1, second)}


def test_numbers_in_another_file_are_told_by_name(tmp_path: Path) -> None:
    place = imported(site(tmp_path), tmp_path, outside(2), outside(2.5))
    found = find_changes(place, "assistant@21", tensors=True)
    assert found.tensors is not None
    assert [(t.path, t.name, t.changed, t.absolute) for t in found.tensors] == [("m.onnx_data", "w", 1, 0.5)]


def test_what_tells_of_another_file_is_digested_too(tmp_path: Path) -> None:
    place = imported(site(tmp_path), tmp_path, outside(2), outside(2.5))
    release = place.load_release(place.state().installed[-1])
    entry = next(entry for _, entry in release.files() if entry.path == "m.onnx")
    path = place.content.path(entry.sha512)
    path.chmod(0o644)
    flip(path, -1)
    with pytest.raises(ContentDamagedError):
        find_changes(place, "assistant@21", tensors=True)


def test_tensors_that_came_went_and_were_reshaped(tmp_path: Path) -> None:
    old = tensors(a=("F32", (2,), f32(1, 2)), b=("F32", (2,), f32(1, 2)), c=("F32", (2,), f32(1, 2)))
    new = tensors(a=("F32", (2,), f32(1, 2.5)), b=("F32", (2, 1), f32(1, 2)), d=("F32", (2,), f32(1, 2)))
    place = imported(site(tmp_path), tmp_path, {"m.safetensors": old}, {"m.safetensors": new})
    found = find_changes(place, "assistant@21", tensors=True)
    assert found.why == "the release imported before it"
    assert found.tensors is not None
    assert {(t.name, t.change, t.changed) for t in found.tensors} == {
        ("a", "changed", 1),
        ("b", "reshaped", 0),
        ("c", "removed", 0),
        ("d", "added", 0),
    }
    assert found.tensors[0].absolute == 0.5
