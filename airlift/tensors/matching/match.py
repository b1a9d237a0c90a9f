"""Which earlier bytes each tensor of a target file is coded against. Pure, and linear in the number of spans.

Files are numbered: those of the baseline first, then the targets, in the order of the bundle. A target may be coded
against any file before it. A tensor is looked for by name, element and shape; then by content (renamed, or moved to
another file); then by name, element and row shape (a vocabulary that grew: the common rows match). By name, the same
path of the same component goes first, then the same component, then any; a namesake whose numbers are not like it
counts for nothing. Opaque bytes match the opaque bytes of the file of the same path, in the same component first.
Whatever is chosen decides how small the delta becomes, never whether it is right.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from airlift.tensors.element import Element
from airlift.tensors.matching import likeness
from airlift.tensors.matching.likeness import Read
from airlift.tensors.matching.segment import Segment, Source, blocks
from airlift.tensors.span import TensorSpan

__all__ = ["FileSpans", "Read", "Segment", "Source", "blocks", "match"]

SAMPLES = 16
SAMPLE_BYTES = 4 << 10
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


def match(files: Sequence[FileSpans], bases: int, read: Read) -> list[list[Segment]]:
    """Return for each file from number ``bases`` on the segments that tile it, at least one for each span.

    Their sources lie in files before it. (Neighbours are not merged yet: what has no source may still find one.)
    """
    index, found = _Index(read), []
    for number, file in enumerate(files):
        if number >= bases:
            found.append(list(_segments(number, file, index)))
        index.add(number, file)
    return found


# -- the index of earlier files ------------------------------------------------------------------------------------

Exact = tuple[Scope, str, Element, tuple[int, ...], int]
Rows = tuple[Scope, str, Element, tuple[int, ...], int]


@dataclass(slots=True)
class _Known:
    """Tensors of one length: all of them, and by digest the first ``digested``."""

    places: list[Place] = field(default_factory=list)
    by_digest: dict[bytes, Place] = field(default_factory=dict)
    digested: int = 0


@dataclass(frozen=True, slots=True)
class _Index:
    """Earlier files by everything that they are looked up by; the first of several equals wins."""

    read: Read
    files: list[FileSpans] = field(default_factory=list)
    exact: dict[Exact, Place] = field(default_factory=dict)
    rows: dict[Rows, Place] = field(default_factory=dict)
    by_length: dict[int, _Known] = field(default_factory=dict)
    by_path: dict[Scope, int] = field(default_factory=dict)
    opaque: list[list[TensorSpan]] = field(default_factory=list)

    def add(self, number: int, file: FileSpans) -> None:
        """Add the next file."""
        self.files.append(file)
        self.opaque.append([span for span in file.spans if span.opaque])
        for key in _path_keys(file):
            self.by_path.setdefault(key, number)
        scopes = file.scopes
        for span in file.spans:
            if not span.opaque and span.length:
                self._add_tensor((number, span), scopes)

    def _add_tensor(self, place: Place, scopes: Iterable[Scope]) -> None:
        span = place[1]
        self.by_length.setdefault(span.length, _Known()).places.append(place)
        for scope in scopes:
            self.exact.setdefault(_exact(scope, span), place)
            if (rows := _rows(scope, span)) is not None:
                self.rows.setdefault(rows, place)

    def digest(self, place: Place) -> bytes:
        """Return what tells a tensor from others of its length: a digest of it, or of samples if it is long."""
        number, span = place
        running = hashlib.sha256()
        step = max(SAMPLE_BYTES, span.length // SAMPLES)
        for start in range(span.start, span.end, step):
            running.update(self.read(number, start, min(start + SAMPLE_BYTES, span.end)))
        return running.digest()


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
    named = (index.exact.get(_exact(scope, span)) for scope in file.scopes)
    whole = _like(number, span, named, index) or _same_content((number, span), index)
    if whole is not None:
        yield Segment(span.start, span.end, span.element, row, Source(whole[0], whole[1].start, whole[1].end))
        return
    common, source = _common_rows(number, file, span, index)
    if source is not None:
        yield Segment(span.start, span.start + common, span.element, row, source)
    if common < span.length:
        yield Segment(span.start + common, span.end, span.element, row, None)


def _like(number: int, span: TensorSpan, places: Iterable[Place | None], index: _Index) -> Place | None:
    """Return the first place whose numbers are like those of a tensor, as far as both go."""
    for place in dict.fromkeys(places):
        if place is not None:
            length = min(span.length, place[1].length)
            theirs = Source(place[0], place[1].start, place[1].start + length)
            if likeness.alike(
                index.read, span.element, Source(number, span.start, span.start + length), theirs
            ):
                return place
    return None


def _same_content(place: Place, index: _Index) -> Place | None:
    """Return an earlier tensor of the same bytes. Reads the tensor only if one of its length exists."""
    known = index.by_length.get(place[1].length)
    if known is None:
        return None
    for candidate in known.places[known.digested :]:
        known.by_digest.setdefault(index.digest(candidate), candidate)
    known.digested = len(known.places)
    return known.by_digest.get(index.digest(place))


def _common_rows(number: int, file: FileSpans, span: TensorSpan, index: _Index) -> tuple[int, Source | None]:
    """Return how many bytes of leading rows an earlier tensor has too, and where they are."""
    keys = (_rows(scope, span) for scope in file.scopes)
    place = _like(number, span, (None if key is None else index.rows.get(key) for key in keys), index)
    if place is None:
        return 0, None
    common = min(span.length, place[1].length)
    return common, Source(place[0], place[1].start, place[1].start + common)


def _opaque_source(file: FileSpans, ordinal: int, span: TensorSpan, index: _Index) -> Source | None:
    """Return the counterpart of the opaque span number ``ordinal``: of a whole file the whole earlier file."""
    number = next((index.by_path[key] for key in _path_keys(file) if key in index.by_path), None)
    if number is None:
        return None
    earlier = index.files[number]
    if span.length == file.size:
        return Source(number, 0, earlier.size) if earlier.size else None
    if ordinal >= len(index.opaque[number]):
        return None
    same = index.opaque[number][ordinal]
    return Source(number, same.start, same.end)
