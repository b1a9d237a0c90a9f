"""Round trips of the ledger's formats, and: any flipped byte raises AirliftError or changes nothing that counts."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.errors import AirliftError, MalformedError
from airlift.ledger import audit, checkpoint, entry, export, note, proof, tree
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.note import Note, Signature
from tests.ledgers import make_log, opened

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=40)
SIGNATURES = st.builds(
    Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=200)
)
TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1).map(lambda text: text + "\n")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
ENTRIES = st.builds(
    Entry,
    st.integers(0, 2**53 - 2),
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)),
    st.sampled_from(entry.TYPES),
    st.from_regex(r"[ -~]{1,256}", fullmatch=True),
    st.none() | st.from_regex(r"[0-9a-f]{128}", fullmatch=True),
    st.none() | st.from_regex(r"[a-z0-9]{1,20}-[1-9][0-9]{0,8}", fullmatch=True),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), VALUES, max_size=4),
)


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=5))
def test_notes_round_trip(text: str, signatures: list[Signature]) -> None:
    value = Note(text, tuple(signatures))
    assert note.parse(note.format(value)) == value


@given(st.integers(0, tree.MAX_SIZE), st.binary(min_size=48, max_size=48), st.from_regex(r"[a-z0-9-]{1,20}"))
def test_checkpoints_round_trip(size: int, root: bytes, name: str) -> None:
    try:
        value = Checkpoint(checkpoint.origin_of(name), size, root)
    except MalformedError:
        return
    assert checkpoint.parse(checkpoint.format(value)) == value


@given(ENTRIES)
def test_entries_round_trip(value: Entry) -> None:
    assert entry.parse(entry.format(value)) == value


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_parsers_raise_nothing_else(data: bytes) -> None:
    for parse in (
        note.parse,
        entry.parse,
        proof.parse,
        lambda d: export.parse(iter(d.splitlines(keepends=True))),
    ):
        with pytest.raises(AirliftError):
            parse(data)


@given(st.lists(st.binary(max_size=20), max_size=40), st.data())
def test_trees_grow_consistently(leaves: list[bytes], data: st.DataObject) -> None:
    nodes: dict[tuple[int, int], bytes] = {}
    frontier: tree.Digests = ()
    for size, leaf in enumerate(leaves):
        frontier, added = tree.grow(frontier, size, tree.leaf_digest(leaf))
        nodes |= {(level, index): digest for level, index, digest in added}
    old = data.draw(st.integers(0, len(leaves)))
    path = tree.consistency_proof(lambda level, index: nodes[level, index], old, len(leaves))
    older = tree.root_from(map(tree.leaf_digest, leaves[:old]))
    tree.verify_consistency(path, old, len(leaves), older, tree.fold(frontier))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    make_log(path, 4)
    return path


@given(st.data())
def test_any_changed_byte_of_the_database_is_found_or_means_nothing(path: Path, data: st.DataObject) -> None:
    with opened(path) as reader:
        expected = (list(reader.entries()), audit.verify(reader))
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    content = bytearray(copy.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    copy.write_bytes(content)
    try:
        with opened(copy) as reader:
            assert (list(reader.entries()), audit.verify(reader)) == expected
    except AirliftError as error:
        if error.exit_code not in {3, 7}:
            raise


@given(st.lists(st.sampled_from(["policy", "gc"]), max_size=3))
def test_drafts_become_entries(kinds: list[str]) -> None:
    for index, kind in enumerate(kinds):
        assert Draft(kind, "a", "2026-01-01T00:00:00Z").at(index).index == index
