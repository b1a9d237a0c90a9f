"""The transfer format: round trips, broken bytes, and volumes that hold what they were cut for."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle import chunk, fields, manifest, media_sizes, paths, release, revocations, volume
from airlift.bundle.chunk import Block, Source
from airlift.bundle.component import waiver
from airlift.bundle.component.component import KINDS, Component
from airlift.bundle.component.data_set import DataSet
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import MAX_CHUNK_BYTES, Bundle, ReleaseRef
from airlift.bundle.media_sizes import CLUSTER, SECTOR, Medium
from airlift.bundle.release import Release, Requirement
from airlift.bundle.revocations import Revocation
from airlift.bundle.volume import Index
from airlift.errors import AirliftError, ManifestError, VolumeTooSmallError
from airlift.policy.versions import satisfies
from tests.support.bundle_values import (
    BLOCKS,
    BUNDLE,
    INDEX,
    INSIDE,
    RELEASE,
    REVOCATIONS,
    REVOKED,
    SEVERAL,
    SUMS,
    WAIVED,
    content,
)

# -- values --------------------------------------------------------------------------------------------------------

digests = st.integers(0, 2**64).map(lambda n: f"{n:0128x}")
short_digests = st.integers(0, 2**64).map(lambda n: f"{n:064x}")
sizes = st.integers(0, 2**53 - 1)
names = st.text("ab09._-", max_size=59).map(lambda text: f"name{text}z")
versions = st.text("abXYZ019._+-", max_size=63).map(lambda text: f"1{text}")
enclaves = st.text("az09-", max_size=22).map(lambda text: f"e{text}0")
texts = st.text(st.characters().filter(str.isprintable) | st.just("\n"), max_size=30)
words = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/"), min_size=1, max_size=64
)
times = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
markings = st.builds(
    Marking,
    words | st.sampled_from(fields.LEVELS),
    st.sets(
        words
        | st.sampled_from(["NOFORN", "REL TO NONE"])
        | st.sets(st.sampled_from("ABC"), min_size=1).map(lambda some: "REL TO " + ", ".join(sorted(some))),
        max_size=3,
    ).map(lambda some: tuple(sorted(some))),
)
file_digests = st.builds(FileDigest, digests, sizes)
references = st.builds(ReleaseRef, digests, names, versions)


def distinct(
    items: st.SearchStrategy[Any], key: Callable[[Any], Any], most: int = 4
) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=most, unique_by=key).map(tuple)


entries = st.integers(0, 9).map(lambda n: FileEntry(f"{n}/model.safetensors", n, f"{n:0128x}", f"{n:064x}"))
globs = st.lists(texts.filter(bool), min_size=1, max_size=3)
left_out = st.sets(texts.filter(bool), min_size=1, max_size=3).map(
    lambda some: {"count": len(some), "names": sorted(some)}
)
plain_sources = st.builds(lambda text: {"kind": "path", "path": text}, texts)
chosen_sources = st.builds(
    lambda source, key, some, left: {**source, key: some, **({"left_out": left} if left else {})},
    plain_sources,
    st.sampled_from(["include", "exclude"]),
    globs,
    st.none() | left_out,
)
gathered_sources = plain_sources | chosen_sources
registered_sources = st.builds(lambda enclave: {"kind": "registered", "enclave": enclave}, enclaves)
taken_sources = st.recursive(
    gathered_sources | registered_sources,
    lambda origins: st.builds(
        lambda origin, enclave, release, component, place, root: {
            "kind": "enclave",
            "enclave": enclave,
            "release": {"digest": release.digest, "name": release.name, "version": release.version},
            "component": component,
            "entry": min(place),
            "size": max(place),
            "root": root,
            "origin": origin,
        },
        origins,
        enclaves,
        references,
        names,
        st.tuples(st.integers(0, 99), st.integers(100, 2**53 - 1)),
        st.integers(0, 2**64).map(lambda n: f"{n:096x}"),
    ),
    max_leaves=3,
)
data_sets = st.builds(DataSet, names, versions, st.just(Marking("UNCLASSIFIED")), digests | st.just(""))
components = st.builds(
    Component,
    names,
    st.sampled_from(KINDS),
    versions,
    texts,
    gathered_sources,
    st.lists(entries, min_size=1, max_size=3, unique_by=lambda e: e.path).map(
        lambda some: tuple(sorted(some, key=lambda e: e.path))
    ),
)
waived = st.builds(
    lambda made, kinds, reason: replace(
        made, accept=tuple(Waiver(kind, f"{reason}.", (made.files[0].path,)) for kind in sorted(kinds))
    ),
    components,
    st.sets(st.sampled_from(waiver.KINDS)),
    texts,
)
inside = st.builds(
    lambda made, source, sets: replace(
        made,
        source=source,
        marking=Marking("UNCLASSIFIED"),
        data=tuple(sorted(sets, key=lambda item: (item.name, item.version))),
    ),
    components,
    taken_sources,
    st.lists(data_sets, max_size=3, unique_by=lambda item: (item.name, item.version)),
)
releases = st.builds(
    Release,
    names,
    versions,
    markings,
    texts,
    distinct(waived, lambda c: c.name, 3).map(lambda some: tuple(sorted(some, key=lambda c: str(c.name)))),
    st.lists(st.builds(Requirement, names, names, texts), max_size=3).map(tuple),
)
complete = st.builds(
    Bundle,
    st.integers(1, manifest.MAX_SEQUENCE),
    times,
    st.none() | enclaves,
    markings,
    references,
    references,
    distinct(file_digests, lambda f: f.sha512),
    distinct(st.builds(FileDigest, digests, st.integers(1, 2**53 - 1)), lambda f: f.sha512).filter(bool),
    distinct(st.builds(FileDigest, digests, st.integers(1, MAX_CHUNK_BYTES)), lambda f: f.sha512).filter(
        bool
    ),
    digests,
)
bundles = complete | complete.map(
    lambda b: replace(b, target=None, baseline=None, bases=(), files=(), chunks=())
)
old_revoked = distinct(
    st.builds(Revocation, st.sampled_from(["component", "release"]), digests, texts), lambda r: r.digest
)
new_revoked = distinct(
    st.builds(
        Revocation,
        st.sampled_from(["component", "release", "file"]),
        digests,
        texts,
        st.integers(1, revocations.MAX_SERIAL),
        st.sampled_from(revocations.TYPES),
    )
    | st.builds(
        Revocation,
        st.sampled_from(["file", "key"]),
        short_digests,
        texts,
        st.integers(1, revocations.MAX_SERIAL),
    ),
    lambda r: r.digest,
).filter(lambda some: len({item.serial for item in some}) == len(some))
revoked = (old_revoked | new_revoked).map(lambda some: tuple(sorted(some)))
indexes = st.builds(
    lambda enclave, number, place, digest, total: Index(
        f"{enclave}-{number}", digest, min(place), max(place), total, total, digest
    ),
    enclaves,
    st.integers(1, manifest.MAX_SEQUENCE),
    st.tuples(st.integers(1, 99), st.integers(1, 99)),
    digests,
    sizes,
)
sums = st.dictionaries(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1),
    short_digests,
    min_size=1,
    max_size=5,
)


@given(releases, st.booleans())
def test_releases_round_trip(value: Release, marked: bool) -> None:
    if marked:
        value = replace(
            value,
            components=tuple(replace(c, marking=Marking(value.marking.level)) for c in value.components),
        )
    assert release.parse(release.format(value)) == value


@given(inside)
def test_what_was_trained_inside_round_trips(made: Component) -> None:
    value = replace(RELEASE, components=(made,), requires=())
    assert release.parse(release.format(value)) == value


@given(st.lists(markings, min_size=1, max_size=3), markings)
def test_a_join_is_the_lowest_that_covers_what_it_joins(some: list[Marking], other: Marking) -> None:
    joined = fields.join(some)
    assert (joined is None) == (
        len({m.level for m in some}) > 1 and not {m.level for m in some} <= set(fields.LEVELS)
    )
    if joined is not None:
        assert all(joined.covers(marking) for marking in some)
        if all(other.covers(marking) for marking in some):
            assert other.covers(joined)


@given(bundles)
def test_bundles_round_trip(value: Bundle) -> None:
    assert manifest.parse(manifest.format(value)) == value
    assert manifest.is_id(value.id)
    label = volume.render_label(value, 1, 99).decode("ascii")
    assert all(line.isprintable() for line in label.splitlines())


@given(revoked)
def test_revocations_round_trip(value: tuple[Revocation, ...]) -> None:
    assert revocations.parse(revocations.format(value)) == value


@given(indexes)
def test_indexes_round_trip(value: Index) -> None:
    assert volume.parse_index(volume.format_index(value)) == value


@given(sums)
def test_sums_round_trip(value: dict[str, str]) -> None:
    assert volume.parse_sums(volume.format_sums(value)) == value


@given(st.datetimes())
def test_times_round_trip(moment: Any) -> None:
    text = moment.replace(microsecond=0).isoformat() + "Z"
    assert fields.format_time(fields.parse_time(text)) == text


# -- chunks --------------------------------------------------------------------------------------------------------


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    file = draw(st.sampled_from([0, 2]))
    start = draw(st.integers(0, BUNDLE.files[file].size - 1))
    length = draw(st.integers(1, BUNDLE.files[file].size - start))
    return Block(
        file,
        start,
        length,
        draw(st.integers(0, 255)),
        draw(st.integers(0, 255)),
        tuple(draw(st.lists(block_sources(), max_size=4))),
        draw(st.binary(max_size=min(20, length))),
    )


@st.composite
def block_sources(draw: st.DrawFn) -> Source:
    base = draw(st.integers(0, 1))
    start = draw(st.integers(0, BUNDLE.bases[base].size - 1))
    return Source(base, start, draw(st.integers(1, BUNDLE.bases[base].size - start)))


@given(st.lists(blocks(), min_size=1, max_size=5))
def test_chunks_round_trip(some: list[Block]) -> None:
    data = chunk.format(some)
    assert chunk.size(some) == len(data)
    assert chunk.parse(data, BUNDLE) == tuple(some)


@given(st.binary(max_size=200).map(lambda tail: chunk.MAGIC + tail) | st.binary(max_size=60))
def test_any_bytes_are_a_chunk_or_malformed(data: bytes) -> None:
    _same_or_error(data, lambda given: chunk.parse(given, BUNDLE), chunk.format)


@given(st.lists(st.integers(0, 50), max_size=5), st.data())
def test_only_a_tiling_is_in_order(lengths: list[int], data: st.DataObject) -> None:
    """Whatever the blocks: those handed out tile the files from the start, and the end is the end of the last."""
    files = [content(f"{n}", size) for n, size in enumerate(lengths)]
    tiling = []
    for number, size in enumerate(lengths):
        cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=3))})
        tiling += [Block(number, a, b - a, 0, 0, (), b"") for a, b in pairwise(cuts)]
    assert list(chunk.in_order(tiling, files)) == tiling
    shuffled = data.draw(st.lists(st.sampled_from(tiling), max_size=12)) if tiling else []
    try:
        assert list(chunk.in_order(shuffled, files)) == tiling == shuffled
    except AirliftError as error:
        assert error.code == "malformed"  # noqa: PT017 - either outcome may be right
        assert shuffled != tiling


# -- broken bytes --------------------------------------------------------------------------------------------------

PAIRS: list[tuple[bytes, Callable[[bytes], Any], Callable[[Any], bytes]]] = [
    (release.format(RELEASE), release.parse, release.format),
    (release.format(WAIVED), release.parse, release.format),
    (release.format(INSIDE), release.parse, release.format),
    (manifest.format(BUNDLE), manifest.parse, manifest.format),
    (manifest.format(SEVERAL), manifest.parse, manifest.format),
    (revocations.format(REVOCATIONS), revocations.parse, revocations.format),
    (revocations.format(REVOKED), revocations.parse, revocations.format),
    (volume.format_index(INDEX), volume.parse_index, volume.format_index),
    (volume.format_sums(SUMS), volume.parse_sums, volume.format_sums),
    (chunk.format(BLOCKS), lambda data: chunk.parse(data, BUNDLE), chunk.format),
]


def _same_or_error(data: bytes, parse: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> None:
    """What is accepted is written back identically; everything else is an AirliftError, nothing else."""
    try:
        value = parse(data)
    except AirliftError as error:
        assert error.exit_code in {3, 7}  # noqa: PT017 - most inputs raise, some are accepted
        return
    assert write(value) == data


@given(st.sampled_from(PAIRS), st.data())
def test_any_flipped_cut_or_swapped_byte_raises_or_says_so(pair: Any, data: st.DataObject) -> None:
    good, parse, write = pair
    first, second = data.draw(st.tuples(st.integers(0, len(good) - 1), st.integers(0, len(good) - 1)))
    flipped, swapped = bytearray(good), bytearray(good)
    flipped[first] ^= 1 << data.draw(st.integers(0, 7))
    swapped[first], swapped[second] = swapped[second], swapped[first]
    for broken in (bytes(flipped), bytes(swapped), good[:first] + good[first + 1 :], good + good[first:]):
        _same_or_error(broken, parse, write)


@given(st.sampled_from(PAIRS), st.data())
def test_anything_cut_off_raises(pair: Any, data: st.DataObject) -> None:
    good, parse, write = pair
    short = good[: data.draw(st.integers(0, len(good) - 1))]
    if short.endswith(b"\n"):  # sums that end after a whole line are sums
        _same_or_error(short, parse, write)
        return
    try:
        parse(short)
    except AirliftError as error:
        assert error.code == "malformed"  # noqa: PT017 - either outcome may be right
    else:
        raise AssertionError(short)


def test_every_bit_of_a_chunk_s_table_counts() -> None:
    """A flipped bit is refused or changes what is parsed; none is ignored."""
    good, parse, write = PAIRS[-1]
    for bit in range(8 * (chunk.size(BLOCKS) - 30)):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        _same_or_error(bytes(flipped), parse, write)


# -- the cut -------------------------------------------------------------------------------------------------------


def _measured(share: tuple[FileDigest, ...], fixed: list[int], unit: int) -> int:
    """Return the bytes that a written volume takes up: its last fixed file is SHA256SUMS, which grows."""
    sums_bytes = (fixed[-1] if fixed else 0) + media_sizes.SUMS_LINE * len(share)
    written = [*fixed[:-1], sums_bytes, *(item.size for item in share)]
    return (
        media_sizes.RESERVE
        + media_sizes.FOLDER_SECTORS * unit
        + sum(media_sizes.occupied(size, unit) for size in written)
    )


@given(
    st.lists(st.integers(1, MAX_CHUNK_BYTES), max_size=60),
    st.lists(st.integers(0, 1 << 20), min_size=1, max_size=20),
    st.integers(1 << 20, 1 << 29),
    st.sampled_from([SECTOR, CLUSTER]),
)
def test_no_volume_is_larger_than_it_may_be(
    chunk_sizes: list[int], fixed: list[int], volume_bytes: int, unit: int
) -> None:
    """The cut never exceeds the medium, keeps the order, loses nothing and leaves no volume empty."""
    chunks = [content(f"{n}", size) for n, size in enumerate(chunk_sizes)]
    try:
        shares = media_sizes.cut_into_volumes(chunks, Medium(volume_bytes, unit=unit), fixed)
    except VolumeTooSmallError:
        largest = max(chunks, key=lambda item: item.size, default=None)
        alone = _measured((largest,) if largest else (), fixed, unit)
        assert alone + 2 * unit > volume_bytes or len(chunks) > volume.MAX_VOLUMES
        return
    assert [item for share in shares for item in share] == chunks
    assert len(shares) == 1 or all(shares)
    assert all(_measured(share, fixed, unit) <= volume_bytes for share in shares)


@given(st.integers(1, 2**50), st.sampled_from(["", "b", "B", " b"]))
def test_plain_sizes_round_trip(size: int, unit: str) -> None:
    if size < 10**12:
        assert media_sizes.parse_size(f"{size}{unit}", {}) == size


# -- paths and versions --------------------------------------------------------------------------------------------


@given(st.text(max_size=12) | st.text("./\\ a\u0301\u202eC:*\0", max_size=8))
def test_any_text_is_a_confined_path_or_malformed(text: str) -> None:
    try:
        checked = paths.check_relative(text)
    except AirliftError as error:
        assert error.code == "malformed"  # noqa: PT017 - either outcome may be right
        return
    parts = checked.split("/")
    assert checked == text
    assert not {"", ".", ".."} & set(parts)
    assert text.isprintable()
    assert all(part == part.strip(" ").rstrip(".") for part in parts)


@given(st.lists(st.text("abAB/", min_size=1, max_size=4), max_size=6))
def test_collisions_do_not_depend_on_the_order(some: list[str]) -> None:
    def collides(listed: list[str]) -> bool:
        try:
            paths.check_no_collision(listed)
        except AirliftError:
            return True
        return False

    assert collides(some) == collides(some[::-1]) == collides(sorted(some))
    if len({text.lower() for text in some}) < len(some):
        assert collides(some)


@given(
    st.text("0123456789.abcpostrcdev+-!v", max_size=12) | st.text(max_size=6),
    st.text("0123456789.<>=!~,*abcrpost ", max_size=12) | st.text(max_size=6),
)
def test_any_version_is_judged_or_refused(version: str, specifier: str) -> None:
    try:
        satisfies(version, specifier)
    except ManifestError:
        return
