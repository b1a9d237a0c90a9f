"""Matching: the nearest counterpart first, then renamed, then grown; no content is read needlessly."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.match import FileSpans, Read, Segment, Source, match
from airlift.tensors.matching.segment import merge
from airlift.tensors.span import TensorSpan, opaque


def tensor(name: str, *shape: int, start: int, element: Element = Element.BF16) -> TensorSpan:
    length = element.size
    for factor in shape:
        length *= factor
    return TensorSpan(name, element, shape, start, start + length)


def file(*spans: TensorSpan, path: str = "m.safetensors", component: str = "base") -> FileSpans:
    return FileSpans(path, component, spans[-1].end if spans else 0, spans)


@dataclass
class Content:
    """Bytes of tensors: those of one label are equal. ``labels`` by name; remembers what was read."""

    labels: dict[str, str] = field(default_factory=dict)
    asked: Counter[tuple[int, str]] = field(default_factory=Counter)

    def reading(self, files: list[FileSpans]) -> Read:
        def read(number: int, start: int, end: int) -> bytes:
            span = next(item for item in files[number].spans if item.start <= start < item.end)
            self.asked[number, span.name] += 1
            label = self.labels.get(span.name, f"{number} {span.name}")
            return Random(label).randbytes(span.length)[start - span.start : end - span.start]

        return read


def matched(
    target: list[FileSpans], base: list[FileSpans], content: Content | None = None
) -> list[list[Segment]]:
    files = [*base, *target]
    return [merge(parts) for parts in match(files, len(base), (content or Content()).reading(files))]


def only(segments: list[list[Segment]]) -> Segment:
    ((segment,),) = segments
    return segment


def test_identical_files_are_one_segment_for_each_element_type() -> None:
    whole = file(
        opaque(0, 100),
        tensor("a", 4, 8, start=100),
        tensor("b", 8, start=164),
        tensor("c", 2, start=180, element=Element.F32),
    )
    content = Content()
    assert matched([whole], [whole], content) == [
        [
            Segment(0, 100, Element.BYTES, 0, Source(0, 0, 100)),
            Segment(100, 180, Element.BF16, 8, Source(0, 100, 180)),
            Segment(180, 188, Element.F32, 2, Source(0, 180, 188)),
        ]
    ]
    assert not content.asked


def test_tensors_in_another_order_are_found() -> None:
    target = file(tensor("b", 4, start=0), tensor("a", 3, start=8))
    base = file(tensor("a", 3, start=0), tensor("b", 4, start=6))
    assert [segment.source for segment in matched([target], [base])[0]] == [Source(0, 6, 14), Source(0, 0, 6)]


def test_the_nearest_tensor_of_a_name_wins() -> None:
    span = tensor("a", 4, start=0)
    elsewhere = file(span, path="m.safetensors", component="other")
    same_component = file(span, path="n.safetensors")
    same_path = file(span)
    target = [file(span)]
    assert only(matched(target, [elsewhere, same_component, same_path])).source == Source(2, 0, 8)
    assert only(matched(target, [elsewhere, same_component])).source == Source(1, 0, 8)
    assert only(matched(target, [elsewhere])).source == Source(0, 0, 8)
    assert only(matched(target, [])).source is None


@pytest.mark.parametrize(
    "other",
    [
        tensor("b", 2, 4, start=0),
        tensor("a", 2, 4, start=0, element=Element.F16),
        tensor("a", 4, 2, start=0),
        tensor("a", 2, 5, start=0),
        tensor("a", 2, 4, 1, start=0),
    ],
)
def test_another_name_dtype_or_shape_is_another_tensor(other: TensorSpan) -> None:
    assert only(matched([file(tensor("a", 2, 4, start=0))], [file(other)])).source is None


def test_a_renamed_tensor_is_found_by_content_in_any_file() -> None:
    content = Content({"new": "same", "old": "same"})
    base = [
        file(tensor("x", 4, start=0), path="1.safetensors"),
        file(tensor("old", 2, 2, start=0), component="other"),
    ]
    assert only(matched([file(tensor("new", 4, start=0))], base, content)).source == Source(1, 0, 8)


def test_content_is_read_once_and_only_where_lengths_agree() -> None:
    base = file(tensor("kept", 4, start=0), tensor("wide", 50, start=8), tensor("x", 4, start=108))
    target = file(
        tensor("kept", 4, start=0),
        tensor("new1", 4, start=8),
        tensor("new2", 4, start=16),
        tensor("new3", 7, start=24),
    )
    content = Content()
    matched([target], [base], content)
    assert content.asked == {
        (0, "kept"): 1,
        (0, "x"): 1,
        (1, "new1"): 1,
        (1, "new2"): 1,
    }


def test_a_grown_vocabulary_keeps_its_common_rows() -> None:
    target, base = file(tensor("wte", 5, 4, start=0)), file(tensor("wte", 3, 4, start=0))
    assert matched([target], [base]) == [
        [Segment(0, 24, Element.BF16, 4, Source(0, 0, 24)), Segment(24, 40, Element.BF16, 4, None)]
    ]


def test_a_shrunk_vocabulary_uses_the_leading_rows() -> None:
    target, base = file(tensor("wte", 3, 4, start=0)), file(tensor("wte", 5, 4, start=0))
    assert only(matched([target], [base])).source == Source(0, 0, 24)


def test_a_tensor_whose_dimensions_say_nothing_about_its_length_has_no_rows() -> None:
    """A dtype from the future: its length is not a multiple of its first dimension, or that is zero."""
    odd = TensorSpan("t", Element.BYTES, (3, 5), 0, 4)
    zero = TensorSpan("t", Element.BYTES, (0, 5), 0, 4)
    assert only(matched([file(odd)], [file(zero)])).source is None
    assert only(matched([file(zero)], [file(odd)])).source is None
    assert only(matched([file(odd)], [file(odd)])) == Segment(0, 4, Element.BYTES, 0, Source(0, 0, 4))


def test_scalars_match_by_name() -> None:
    assert only(matched([file(tensor("s", start=0))], [file(tensor("s", start=0))])).source == Source(0, 0, 2)
    assert only(matched([file(tensor("s", start=0))], [file(tensor("t", start=0))])).source is None


def test_opaque_files_match_by_path_in_their_component_first() -> None:
    target = file(opaque(0, 10), path="config.json")
    elsewhere = file(opaque(0, 9), path="config.json", component="other")
    here = file(opaque(0, 12), path="config.json")
    assert only(matched([target], [elsewhere, here])).source == Source(1, 0, 12)
    assert only(matched([target], [elsewhere])).source == Source(0, 0, 9)
    assert only(matched([target], [file(opaque(0, 9), path="other.json")])).source is None


def test_an_opaque_file_is_coded_against_the_whole_of_one_that_was_not() -> None:
    broken = file(opaque(0, 50))
    intact = file(opaque(0, 10), tensor("a", 20, start=10))
    assert only(matched([broken], [intact])).source == Source(0, 0, 50)


def test_a_header_is_coded_against_the_header() -> None:
    target = file(opaque(0, 12), tensor("a", 2, start=12))
    base = file(opaque(0, 10), tensor("a", 2, start=10))
    assert matched([target], [base]) == [
        [
            Segment(0, 12, Element.BYTES, 0, Source(0, 0, 10)),
            Segment(12, 16, Element.BF16, 2, Source(0, 10, 14)),
        ]
    ]


def test_opaque_bytes_without_a_counterpart_have_no_source() -> None:
    target = file(opaque(0, 4), tensor("a", 2, start=4), opaque(8, 9))
    base = file(opaque(0, 4), tensor("a", 2, start=4))
    assert [segment.source for segment in matched([target], [base])[0]][2] is None
    assert matched([file(opaque(0, 4), path="f")], [file(path="f")])[0][0].source is None


def test_empty_files_and_empty_spans_have_no_segments() -> None:
    empty = file(tensor("e", 0, start=0), opaque(0, 0))
    assert matched([file(), empty], [file(), empty]) == [[], []]


def test_a_tensor_of_an_earlier_file_of_the_bundle_is_found() -> None:
    first = file(tensor("a", 4, start=0), path="1.safetensors")
    content = Content({"a": "same", "b": "same"})
    files = [first, file(tensor("b", 4, start=0), path="2.safetensors")]
    found = match(files, 0, content.reading(files))
    assert [parts[0].source for parts in found] == [None, Source(0, 0, 8)]
    found = match(files[::-1], 0, content.reading(files[::-1]))
    assert [parts[0].source for parts in found] == [None, Source(0, 0, 8)]


def test_the_baseline_goes_before_earlier_files_of_the_bundle() -> None:
    span = tensor("a", 4, start=0)
    found = matched([file(span, path="1"), file(span, path="2")], [file(span, path="0")])
    assert [parts[0].source for parts in found] == [Source(0, 0, 8), Source(0, 0, 8)]


def test_a_namesake_whose_signs_are_others_is_not_taken() -> None:
    """Two models of one architecture in a release: names and shapes agree, and no number does."""
    wide = tensor("a", 32, 32, start=0)
    target = [file(wide)]
    assert only(matched(target, [file(wide)])).source is None
    assert only(matched(target, [file(wide)], Content({"a": "same"}))).source == Source(0, 0, 2048)
    assert only(matched([file(tensor("a", 40, 32, start=0))], [file(wide)])).source is None
