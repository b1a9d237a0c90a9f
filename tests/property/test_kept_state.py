"""A kept state and the entries after it give what all entries give; so does a file of it that was changed."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.manifest import ReleaseRef
from airlift.errors import LedgerError
from airlift.ledger import kept_state
from airlift.ledger import log as logs
from airlift.ledger.entries.imports import ImportReject
from airlift.ledger.entries.setup import Gc, PolicyChange
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entries.switch import (
    Abort,
    ActivateCommit,
    ActivatePrepare,
    RollbackCommit,
    RollbackPrepare,
)
from airlift.ledger.entry import Draft
from airlift.ledger.state import fold
from airlift.trust.keys.file import FileSigner, generate
from tests.support import details
from tests.support.ledgers import ORIGIN, R1, R2, R3, TIME

RELEASES = st.sampled_from([R1, R2, R3])
KEYS = st.lists(st.sampled_from(["ab" * 32, "cd" * 32]), max_size=2, unique=True)
DIGESTS = st.sampled_from(["sha512", "sha256", None])
STEPS = st.one_of(
    st.tuples(st.just("enroll"), st.sampled_from(["alpha", "bravo"])),
    st.tuples(st.just("policy"), st.sampled_from(["ab", "cd"])),
    st.tuples(st.just("prepare"), RELEASES, st.integers(1, 4)),
    st.tuples(st.just("import"), st.none() | RELEASES, st.integers(1, 4), st.booleans(), KEYS, DIGESTS),
    st.tuples(st.just("switch"), st.sampled_from([ActivateCommit, RollbackCommit]), RELEASES, st.booleans()),
    st.tuples(st.just("intend"), st.sampled_from([ActivatePrepare, RollbackPrepare]), RELEASES),
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
            said = PolicyChange(f"{rest[0] * 64}", {})
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
            fold(item.at(index) for index, item in enumerate(made))
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
        expected, cut = fold(entries), data.draw(st.integers(0, len(entries)))
        begun = fold(entries[:cut])
        assert fold(entries[cut:], begun) == expected
        made = kept_state.format(begun, log.root(cut), ORIGIN, signer)
        assert kept_state.parse(made, log) == begun
        place.write_bytes(made)
        assert kept_state.state(log, place) == expected
        spot = data.draw(st.integers(0, len(made) - 1))
        flipped = bytes([made[spot] ^ data.draw(st.integers(1, 255))])
        for other in (made[:spot] + flipped + made[spot + 1 :], made[:spot], made[spot:], made + b"\n"):
            place.write_bytes(other)
            assert kept_state.state(log, place) == expected
