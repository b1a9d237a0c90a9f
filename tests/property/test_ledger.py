"""Round trips of the ledger's formats, and: any flipped byte raises AirliftError or changes nothing that counts."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlift.bundle.fields import Marking
from airlift.bundle.manifest import ReleaseRef
from airlift.errors import AirliftError, LedgerError, MalformedError
from airlift.ledger import audit, checkpoint, details, entry, entry_proof, export, note, tree
from airlift.ledger.answers import questions
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entries.activations import (
    Abort,
    ActivateCommit,
    ActivatePrepare,
    RollbackCommit,
    RollbackPrepare,
    WithdrawCommit,
    WithdrawPrepare,
)
from airlift.ledger.entries.administration import Enroll, Gc, PolicyChange, Roots, Witness
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.governance import FloorChange, Relayed, RevocationsKnown
from airlift.ledger.entries.imports import (
    ImportCommit,
    ImportPrepare,
    ImportReject,
    VendorVerified,
)
from airlift.ledger.entries.kinds import DETAILS as KINDS
from airlift.ledger.entries.kinds import TYPES
from airlift.ledger.entries.shape import Accepted, Detail, NamedComponent, Trust
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.note import Note, Signature
from tests.support import merkle, scan
from tests.support.ledgers import make_log, opened

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
    st.sampled_from(TYPES),
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
        entry_proof.parse,
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
    older = merkle.root_from(map(tree.leaf_digest, leaves[:old]))
    merkle.verify_consistency(path, old, len(leaves), older, tree.fold(frontier))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    make_log(path, 4)
    return path


@given(st.data())
def test_any_changed_byte_of_the_database_is_found_or_means_nothing(path: Path, data: st.DataObject) -> None:
    with opened(path) as reader:
        expected = (list(reader.entries()), audit.verify_log(reader))
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    content = bytearray(copy.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    copy.write_bytes(content)
    try:
        with opened(copy) as reader:
            assert (list(reader.entries()), audit.verify_log(reader)) == expected
    except AirliftError as error:
        if error.exit_code not in {3, 7}:
            raise


@given(st.lists(st.sampled_from(["policy", "gc"]), max_size=3))
def test_drafts_become_entries(kinds: list[str]) -> None:
    for index, kind in enumerate(kinds):
        assert Draft(kind, "a", "2026-01-01T00:00:00Z").at(index).index == index


COMPONENTS = [{"name": n, "kind": "model", "version": v, "digest": c * 128} for n, v, c in (
    ("base", "1", "a"), ("base", "2", "b"), ("guard", "1", "c")
)]  # fmt: skip
DETAILS = st.fixed_dictionaries(
    {"components": st.lists(st.sampled_from(COMPONENTS), max_size=2)},
    optional={
        "holders": st.dictionaries(
            st.sampled_from(["d" * 64, "e" * 64]), st.sampled_from(["Dan", "base", "x" * 40])
        ),
        "text": st.sampled_from(["x" * 40 + "y", "x" * 300, "deadbeef and more", ""]),
    },
)
HEX = st.sampled_from(["a" * 128, "b" * 128, "0" * 128])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COUNTS = st.integers(0, 2**53 - 1)
TEXTS_BY_KEY = st.dictionaries(TEXT, TEXT, max_size=3)
NAMED = st.builds(ReleaseRef, HEX, st.sampled_from(["base", "x.y"]), st.sampled_from(["1", "2.0+a"]))
SWITCHED = (st.none() | HEX, NAMED)
ATTESTED = st.builds(
    RecordedAttestation, HEX, TEXT, HEX, st.booleans(), st.lists(TEXT, max_size=3).map(tuple), TEXTS_BY_KEY
)
COMMITS = st.builds(
    ImportCommit,
    bundle_manifest=HEX,
    sequence=COUNTS,
    issued=st.sampled_from(["2026-01-01T00:00:00Z", "1999-12-31T23:59:59Z"]),
    baseline=st.none() | NAMED,
    marking=st.sampled_from([Marking("SECRET"), Marking("SECRET", ("A", "B"))]),
    overtaken=st.booleans(),
    bundler_keys=st.lists(TEXT, max_size=3).map(tuple),
    trust=st.builds(Trust, st.sampled_from(["00000001", "s.1"]), HEX),
    metadata=st.dictionaries(TEXT, COUNTS, max_size=3),
    signers=st.dictionaries(TEXT, st.lists(TEXT, max_size=2).map(tuple), max_size=2),
    holders=TEXTS_BY_KEY,
    release=st.none() | NAMED,
    components=st.lists(st.builds(NamedComponent, TEXT, TEXT, TEXT, HEX), max_size=2).map(tuple),
    volumes=COUNTS,
    chunk_bytes=COUNTS,
    files_built=COUNTS,
    revocations=HEX,
    volume_names=st.lists(TEXT, max_size=2).map(tuple),
    codecs=st.dictionaries(TEXT, COUNTS, max_size=2),
    attestations=st.lists(ATTESTED, max_size=2).map(tuple),
    vendor_signatures=st.lists(st.builds(VendorVerified, TEXT, HEX, TEXT, TEXT), max_size=2).map(tuple),
    insecure_expired=st.none() | st.builds(Accepted, TEXT, TEXTS_BY_KEY),
)
SAID: st.SearchStrategy[Detail] = st.one_of(
    st.builds(Enroll, TEXT, TEXT, COUNTS, TEXT, HEX, COUNTS),
    st.builds(ImportPrepare, HEX, COUNTS, st.none() | NAMED, st.none() | NAMED),
    COMMITS,
    st.builds(ImportReject, TEXT, COUNTS),
    st.builds(ActivatePrepare, *SWITCHED),
    st.builds(ActivateCommit, *SWITCHED, st.none() | COUNTS),
    st.builds(RollbackPrepare, *SWITCHED),
    st.builds(RollbackCommit, *SWITCHED, st.none() | COUNTS, st.none() | TEXT),
    st.builds(WithdrawPrepare, *SWITCHED, st.none() | TEXT),
    st.builds(WithdrawCommit, *SWITCHED, st.none() | COUNTS),
    st.builds(FloorChange, TEXT, st.none() | TEXT, st.none() | TEXT, TEXT, TEXTS_BY_KEY),
    st.builds(RevocationsKnown, HEX, st.booleans()),
    st.builds(Relayed, HEX, TEXT, st.lists(TEXT, max_size=3).map(tuple), st.none() | HEX),
    st.builds(Abort, COUNTS, TEXT),
    st.builds(PolicyChange, HEX, TEXTS_BY_KEY, st.none() | TEXTS_BY_KEY),
    st.builds(Gc, st.lists(HEX, max_size=3).map(tuple)),
    ATTESTED,
    st.sampled_from([Witness(), Roots()]),
)


@given(SAID)
def test_what_an_entry_says_round_trips(said: Detail) -> None:
    written = Draft(said.TYPE, "admin", "2026-01-01T00:00:00Z", detail=said.format()).at(0)
    stored = entry.parse(entry.format(written))
    assert details.read(stored, type(said)) == said
    assert details.read(stored, type(said)).format() == stored.detail


@given(st.sampled_from(TYPES), SAID, st.data())
def test_any_detail_is_understood_or_refused(kind: str, said: Detail, data: st.DataObject) -> None:
    detail: dict[str, Any] = said.format()
    if detail:
        key: str = data.draw(st.sampled_from(sorted(detail)))
        detail[key] = data.draw(st.just(detail[key]) | VALUES)
    with suppress(LedgerError):
        details.read(Draft(kind, "admin", "2026-01-01T00:00:00Z", detail=detail).at(0), KINDS[kind])


DRAFTS = st.builds(
    Draft,
    st.sampled_from(
        ["import-commit", "activate-commit", "rollback-commit", "withdraw-commit", "attestation", "gc"]
    ),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from([f"2026-0{n}-01T00:00:00Z" for n in range(1, 5)]),
    st.sampled_from(["1" * 128, "2" * 128]),
    st.none() | st.sampled_from(["alpha-1", "alpha-2"]),
    DETAILS,
)
QUESTIONS = st.sampled_from(
    ["base", "base@1", "guard", "a" * 128, "aaaaaaaa", "A" * 40, "d" * 64, "ddddddddd", "Dan", "alpha-1", "1" * 9,
     "x" * 40, "x" * 40 + "y", "x" * 300, "deadbeef", "ada", "nobody", "", "model"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(DRAFTS, min_size=1, max_size=12), st.lists(QUESTIONS, min_size=1, max_size=6), st.integers(0, 4)
)
def test_the_index_answers_as_the_entries_do(
    tmp_path_factory: pytest.TempPathFactory, drafts: list[Draft], asked: list[str], limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "ledger.db"
    signer = make_log(path, 0)
    with opened(path, writable=True) as log:
        entries = log.append_all(drafts, signer)
        audit.verify_log(log, signer.public)
        for text in asked:
            expected = list(scan.where(entries, text))
            found = questions.where(log, text, limit=limit)
            assert list(found.entries) == (expected[-limit:] if limit else expected)
            assert found.more == bool(limit and len(expected) > limit)
            for since in (None, "2026-02-01T00:00:00Z"):
                about = list(scan.history(entries, since=since, component=text))
                assert list(questions.history(log, since=since, component=text).entries) == about
        for number in range(1, 6):
            time = f"2026-0{number}-01T00:00:00Z"
            assert questions.active_at(log, time) == scan.active_at(entries, time)
            later = questions.history(log, since=time, types=["gc", "attestation"]).entries
            assert list(later) == [e for e in entries if e.time >= time and e.type in {"gc", "attestation"}]
