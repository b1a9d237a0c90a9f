"""A kept state and the entries after it give what all entries give; so does a file of it that was changed."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import strict
from airlift.bundle.manifest import ReleaseRef
from airlift.errors import AirliftError, LedgerError
from airlift.ledger import kept_state, note
from airlift.ledger import log as logs
from airlift.ledger.entries.activations import (
    Abort,
    ActivateCommit,
    ActivatePrepare,
    RollbackCommit,
    RollbackPrepare,
    WithdrawCommit,
    WithdrawPrepare,
)
from airlift.ledger.entries.administration import Gc, PolicyChange
from airlift.ledger.entries.governance import FloorChange, RevocationsKnown
from airlift.ledger.entries.imports import ImportReject
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entry import Draft
from airlift.ledger.state import fold_entries
from airlift.trust.keys.file import FileSigner, generate
from tests.support import details
from tests.support.ledgers import ORIGIN, R1, R2, R3, TIME

RELEASES = st.sampled_from([R1, R2, R3])
KEYS = st.lists(st.sampled_from(["ab" * 32, "cd" * 32]), max_size=2, unique=True)
DIGESTS = st.sampled_from(["sha512", "sha256", None])
STEPS = st.one_of(
    st.tuples(st.just("enroll"), st.sampled_from(["alpha", "bravo"])),
    st.tuples(st.just("policy"), st.sampled_from(["ab", "cd"]), st.none() | st.just({"guard": "1"})),
    st.tuples(st.just("floor"), st.sampled_from(["guard", "kind:guard"]), st.sampled_from(["1", "2", None])),
    st.tuples(st.just("revoke"), st.sampled_from(["0", "6", "7"]), st.booleans()),
    st.tuples(st.just("prepare"), RELEASES, st.integers(1, 4)),
    st.tuples(st.just("import"), st.none() | RELEASES, st.integers(1, 4), st.booleans(), KEYS, DIGESTS),
    st.tuples(
        st.just("switch"),
        st.sampled_from([ActivateCommit, RollbackCommit, WithdrawCommit]),
        RELEASES,
        st.booleans(),
    ),
    st.tuples(
        st.just("intend"), st.sampled_from([ActivatePrepare, RollbackPrepare, WithdrawPrepare]), RELEASES
    ),
    st.tuples(st.just("abort"), st.integers(0, 5)),
    st.tuples(st.just("gc"), st.lists(RELEASES, max_size=2)),
    st.tuples(st.just("reject")),
)


def draft(number: int, step: tuple[Any, ...]) -> Draft:
    """Return the entry of one step."""
    kind, *rest = step
    said: Detail
    release: str | None = None
    bundle: str | None = None
    match kind:
        case "enroll":
            said = details.enroll(enclave=rest[0], minimum_sequence=number)
        case "policy":
            said = PolicyChange(f"{rest[0] * 64}", {}, rest[1])
        case "floor":
            said = FloorChange(rest[0], rest[1], None, "x", {})
        case "revoke":
            said = RevocationsKnown(rest[0] * 128, covers=rest[1])
        case "prepare":
            release, bundle, said = rest[0], f"alpha-{rest[1]}", details.prepare(number, sequence=rest[1])
        case "import":
            release, sequence, overtaken, keys, checked = rest
            bundle, said = f"alpha-{sequence}", details.commit(
                number, sequence=sequence, issued=TIME, overtaken=overtaken,
                bundler_keys=tuple(keys), file_digest=checked,
            )  # fmt: skip
        case "switch":
            release, said = rest[1], rest[0](None if rest[2] else R1, named(rest[1]))
        case "intend":
            release, said = rest[1], rest[0](None, named(rest[1]))
        case "abort":
            said = Abort(rest[0], "x")
        case "gc":
            said = Gc(tuple(rest[0]))
        case _:
            said = ImportReject("x", 3)
    return Draft(said.TYPE, "op", TIME, release, bundle, said.format())


def named(digest: str) -> ReleaseRef:
    return ReleaseRef(digest, "assistant", "1")


def valid(steps: list[tuple[Any, ...]]) -> list[Draft]:
    """Return the drafts of the steps, without those that make the sequence one that no ledger holds."""
    drafts: list[Draft] = []
    for step in steps:
        made = [*drafts, draft(len(drafts), step)]
        try:
            fold_entries(item.at(index) for index, item in enumerate(made))
        except LedgerError:
            continue
        drafts = made
    return drafts


@pytest.fixture(scope="module")
def signer() -> FileSigner:
    return generate("ecdsa-p384")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshot")


@given(st.lists(STEPS, max_size=25), st.data())
def test_a_kept_state_and_the_rest_are_the_fold_of_all(
    folder: Path, signer: FileSigner, steps: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    """At every cut of every sequence; and the file, with any byte changed or cut away, leads to the same state."""
    drafts = valid(steps)
    path, place = folder / "ledger.db", folder / "state.note"
    path.unlink(missing_ok=True)
    logs.create(path, ORIGIN, signer)
    with logs.open_log(path, ORIGIN, writable=True) as log:
        log.append_all(drafts, signer)
        entries = list(log.entries())
        expected, cut = fold_entries(entries), data.draw(st.integers(0, len(entries)))
        begun = fold_entries(entries[:cut])
        assert fold_entries(entries[cut:], begun) == expected
        made = kept_state.format(begun, log.root(cut), ORIGIN, signer)
        assert kept_state.parse(made, log) == begun
        place.write_bytes(made)
        assert kept_state.load(log, place) == expected
        spot = data.draw(st.integers(0, 1 << 20)) % len(made)  # signatures vary in length
        flipped = bytes([made[spot] ^ data.draw(st.integers(1, 255))])
        for other in (made[:spot] + flipped + made[spot + 1 :], made[:spot], made[spot:], made + b"\n"):
            place.write_bytes(other)
            assert kept_state.load(log, place) == expected


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=3) | RELEASES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything inside a document, outermost first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in places(item, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value at a place; a value of ``...`` takes it out."""
    if not path:
        return {} if value is ... else value
    result = copy.deepcopy(document)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


@pytest.fixture(scope="module")
def long(folder: Path, signer: FileSigner) -> Path:
    """Return a ledger with a state in which nothing is empty."""
    path = folder / "long.db"
    steps: list[tuple[Any, ...]] = [
        ("enroll", "alpha"), ("policy", "ab", {"guard": "1"}), ("revoke", "6", True),
        ("import", R1, 1, False, ["ab" * 32], "sha512"),
        ("switch", ActivateCommit, R1, True), ("import", R2, 2, True, ["cd" * 32], None),
        ("switch", ActivateCommit, R2, False), ("prepare", R3, 3), ("intend", ActivatePrepare, R1),
    ]  # fmt: skip
    logs.create(path, ORIGIN, signer)
    with logs.open_log(path, ORIGIN, writable=True) as log:
        log.append_all(valid(steps), signer)
    return path


def refused(log: logs.Log, text: str, line: bytes, signer: FileSigner) -> bool:
    """Say whether a file with this note and line is no kept state; what is one can be kept again."""
    try:
        found = kept_state.parse(note.format(note.sign(text, ORIGIN, signer)) + line, log)
    except AirliftError:
        return True
    kept_state.format(found, log.root(found.size), ORIGIN, signer)
    return False


@given(st.data())
def test_whatever_a_signed_line_holds_only_an_airlift_error_comes_of_it(
    long: Path, signer: FileSigner, data: st.DataObject
) -> None:
    """Broke: ``"open": ["x"]`` raised TypeError, and a sequence that is text was believed."""
    with logs.open_log(long, ORIGIN) as log:
        state = fold_entries(log.entries())
        document = json.loads(kept_state.format_line(state))
        path = data.draw(st.sampled_from(places(document)))
        line = strict.format(changed(document, path, data.draw(VALUES | st.just(...))))
        refused(log, kept_state._text(ORIGIN, log.size, log.root(), line), line, signer)


WRONG: list[tuple[tuple[Any, ...], Any]] = [
    (("open",), ["x"]),
    (("open",), [0]),
    (("open",), [2**53 - 1]),
    (("open",), [-1]),
    (("size",), "8"),
    (("size",), True),
    (("keys",), ["ab" * 32]),
    (("enclave",), 1),
    (("active",), "x"),
    (("installed", 0), "x"),
    (("trust", "folder"), ".."),
    (("enrolment", "minimum_sequence"), "1"),
    (("bundles", 0), {}),
    (("bundles", 0, 1), "x"),
    (("bundles", 0, 2), "1"),
    (("bundles", 0, 3), "yesterday"),
    (("bundles", 0, 5), 0),
    (("bundles", 0, 6), -1),
    (("bundles", 0, 6), 2),
    (("bundles", 0, 7), -1),
    (("bundles", 0, 8), "md5"),
    (("bundles", 0, 8), ...),
    (("policy",), ...),
    ((), []),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_line_of_another_form_is_not_believed(
    long: Path, signer: FileSigner, path: tuple[Any, ...], value: Any
) -> None:
    with logs.open_log(long, ORIGIN) as log:
        document = json.loads(kept_state.format_line(fold_entries(log.entries())))
        line = strict.format(changed(document, path, value))
        assert refused(log, kept_state._text(ORIGIN, log.size, log.root(), line), line, signer)


@pytest.mark.parametrize(
    "line", [b"{", b"{" + b"[" * 200_000, b'{"size":' + b"9" * 5000 + b"}", b'{"size":NaN}', b"{\xff}"]
)
def test_a_line_that_is_no_json_is_not_believed(long: Path, signer: FileSigner, line: bytes) -> None:
    with logs.open_log(long, ORIGIN) as log:
        assert refused(log, kept_state._text(ORIGIN, log.size, log.root(), line), line, signer)


@given(st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8), max_size=5))
def test_whatever_a_signed_note_says_only_an_airlift_error_comes_of_it(
    long: Path, signer: FileSigner, lines: list[str]
) -> None:
    with logs.open_log(long, ORIGIN) as log:
        assert refused(log, "".join(f"{line}\n" for line in ["a", *lines]), b"{}", signer)
        for size in ("", "x", "9" * 5000, "\u0661", "-1", "08"):
            assert refused(log, f"a\n{size}\n", b"{}", signer)
