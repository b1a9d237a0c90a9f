"""Which base bytes each run of a target file is coded against. Pure, and linear in the number of spans.

A tensor is looked for by name, dtype and shape; then by content digest (renamed, or moved to another file); then by
name, dtype and row shape (a vocabulary that grew: the common rows match). By name, the same path of the same
component goes first, then the same component, then any. Opaque bytes match the opaque bytes of the file of the same
path, in the same component first. Whatever is chosen decides how small the delta becomes, never whether it is right.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from airlift.tensors.element import Element
from airlift.tensors.matching.segment import Segment, Source, blocks, merge
from airlift.tensors.span import TensorSpan

__all__ = ["Digest", "FileSpans", "Segment", "Side", "Source", "blocks", "match"]

Side = Literal["target", "base"]
Digest = Callable[[Side, int, TensorSpan], bytes]
"""Returns the digest of the content of one span of file number ``int``; called at most once for each span."""

Scope = tuple[str, ...]
Place = tuple[int, TensorSpan]


@dataclass(frozen=True, slots=True)
class FileSpans:
    """A file of ``size`` bytes at ``path`` (relative to its component), with spans that tile it."""

    path: str
    component: str
    size: int
    spans: tuple[TensorSpan, ...]

    @property
    def scopes(self) -> tuple[Scope, Scope, Scope]:
        """Where to look, nearest first: this path of this component, this component, anywhere."""
        return (self.component, self.path), (self.component,), ()


def match(target: Sequence[FileSpans], base: Sequence[FileSpans], digest: Digest) -> list[list[Segment]]:
    """Return for each target file the segments that tile it; sources are indices into ``base``."""
    index = _index(base, digest)
    return [merge(_segments(number, file, index)) for number, file in enumerate(target)]


# -- the index of the base -----------------------------------------------------------------------------------------

_Key = TypeVar("_Key")
Exact = tuple[Scope, str, Element, tuple[int, ...], int]
Rows = tuple[Scope, str, Element, tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class _Index:
    """The base files by everything that they are looked up by; the first of several equals wins."""

    base: Sequence[FileSpans]
    digest: Digest
    exact: dict[Exact, Place] = field(default_factory=dict)
    rows: dict[Rows, Place] = field(default_factory=dict)
    by_length: dict[int, list[Place]] = field(default_factory=dict)
    by_digest: dict[int, dict[bytes, Place]] = field(default_factory=dict)
    by_path: dict[Scope, int] = field(default_factory=dict)
    opaque: list[list[TensorSpan]] = field(default_factory=list)


def _index(base: Sequence[FileSpans], digest: Digest) -> _Index:
    index = _Index(base, digest)
    for number, file in enumerate(base):
        index.opaque.append([span for span in file.spans if span.opaque])
        for key in _path_keys(file):
            index.by_path.setdefault(key, number)
        scopes = file.scopes
        for span in _tensors(file):
            place = (number, span)
            index.by_length.setdefault(span.length, []).append(place)
            for scope in scopes:
                index.exact.setdefault(_exact(scope, span), place)
                if (rows := _rows(scope, span)) is not None:
                    index.rows.setdefault(rows, place)
    return index


def _tensors(file: FileSpans) -> Iterator[TensorSpan]:
    return (span for span in file.spans if not span.opaque and span.length)


def _path_keys(file: FileSpans) -> tuple[Scope, Scope]:
    return (file.component, file.path), (file.path,)


def _exact(scope: Scope, span: TensorSpan) -> Exact:
    return scope, span.name, span.element, span.shape, span.length


def _rows(scope: Scope, span: TensorSpan) -> Rows | None:
    """Return the key of tensors that differ in the first dimension only; None if it has no rows of whole bytes."""
    if not span.shape or not span.shape[0] or span.length % span.shape[0]:
        return None
    return scope, span.name, span.element, span.shape[1:], span.length // span.shape[0]


# -- one target file -----------------------------------------------------------------------------------------------


def _segments(number: int, file: FileSpans, index: _Index) -> Iterator[Segment]:
    opaque = 0
    for span in file.spans:
        if not span.length:
            continue
        if span.opaque:
            yield Segment(span.start, span.end, span.element, 0, _opaque_source(file, opaque, span, index))
            opaque += 1
        else:
            yield from _tensor_segments(number, file, span, index)


def _tensor_segments(number: int, file: FileSpans, span: TensorSpan, index: _Index) -> Iterator[Segment]:
    row = span.row
    whole = _first(index.exact, (_exact(scope, span) for scope in file.scopes))
    whole = whole or _same_content(number, span, index)
    if whole is not None:
        yield Segment(span.start, span.end, span.element, row, Source(whole[0], whole[1].start, whole[1].end))
        return
    common, source = _common_rows(file, span, index)
    if source is not None:
        yield Segment(span.start, span.start + common, span.element, row, source)
    if common < span.length:
        yield Segment(span.start + common, span.end, span.element, row, None)


def _first(table: Mapping[_Key, Place], keys: Iterable[_Key | None]) -> Place | None:
    return next((table[key] for key in keys if key is not None and key in table), None)


def _same_content(number: int, span: TensorSpan, index: _Index) -> Place | None:
    """Return a base tensor of the same bytes. Reads the target tensor only if one of its length exists."""
    places = index.by_length.get(span.length)
    if places is None:
        return None
    known = index.by_digest.get(span.length)
    if known is None:
        known = index.by_digest[span.length] = {}
        for file, candidate in places:
            known.setdefault(index.digest("base", file, candidate), (file, candidate))
    return known.get(index.digest("target", number, span))


def _common_rows(file: FileSpans, span: TensorSpan, index: _Index) -> tuple[int, Source | None]:
    """Return how many bytes of leading rows a base tensor has too, and where they are."""
    place = _first(index.rows, (_rows(scope, span) for scope in file.scopes))
    if place is None:
        return 0, None
    number, base = place
    common = min(span.length, base.length)
    return common, Source(number, base.start, base.start + common)


def _opaque_source(file: FileSpans, ordinal: int, span: TensorSpan, index: _Index) -> Source | None:
    """Return the counterpart of the opaque span number ``ordinal``: of a whole file the whole base file."""
    number = next((index.by_path[key] for key in _path_keys(file) if key in index.by_path), None)
    if number is None:
        return None
    base = index.base[number]
    if span.length == file.size:
        return Source(number, 0, base.size) if base.size else None
    if ordinal >= len(index.opaque[number]):
        return None
    same = index.opaque[number][ordinal]
    return Source(number, same.start, same.end)
