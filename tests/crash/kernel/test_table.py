"""The table of what was tried, and the digest by which what was judged is known again."""

from pathlib import Path

import pytest

from tests.crash.fingerprint import fingerprint
from tests.crash.kernel import table
from tests.support import counted


def test_counts_are_added_up() -> None:
    recorded = [(table.PROPERTY, ["gc", "EIO", 1200]), ("other", 1), (table.PROPERTY, ["gc", "EIO", 3])]
    recorded.append((table.PROPERTY, ["check", "killed", 1]))
    assert table.format_table(table.add_up(recorded), ["check", "gc"], ["EIO"]) == [
        "| command | EIO | killed |",
        "| --- | ---: | ---: |",
        "| check |  | 1 |",
        "| gc | 1,203 |  |",
        "| **all** | 1,203 | 1 |",
    ]


@pytest.mark.parametrize("command", ["make crash", "make fuzz"])
def test_the_document_has_room_for_the_table(command: str) -> None:
    text, (begin, end) = counted.RELIABILITY.read_text(), counted.marks(command)
    changed = counted.put_between_marks(text, command, ["| new |"])
    assert changed.count("| new |") == 1
    assert changed.partition(begin)[0] == text.partition(begin)[0]
    assert changed.partition(end)[2] == text.partition(end)[2]


def test_a_state_is_known_again_by_everything_but_random_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".tmp-0123456789abcdef").write_bytes(b"x")
    first = fingerprint(tmp_path)
    (tmp_path / "a" / ".tmp-0123456789abcdef").rename(tmp_path / "a" / ".tmp-fedcba9876543210")
    assert fingerprint(tmp_path) == first
    found = {first}
    (tmp_path / "a" / ".tmp-fedcba9876543210").write_bytes(b"y")
    found.add(fingerprint(tmp_path))
    (tmp_path / "a" / ".tmp-fedcba9876543210").chmod(0o400)
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").hardlink_to(tmp_path / "a" / ".tmp-fedcba9876543210")
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").unlink()
    (tmp_path / "b").write_bytes(b"y")
    (tmp_path / "b").chmod(0o400)
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    found.add(fingerprint(tmp_path))
    assert len(found) == 6


def test_of_a_journal_only_a_whole_one_counts(tmp_path: Path) -> None:
    journal = tmp_path / "ledger.db-journal"
    journal.write_bytes(bytes(512))
    first = fingerprint(tmp_path)
    journal.write_bytes(bytes(512) + b"more")
    assert fingerprint(tmp_path) == first
    journal.write_bytes(_journal_of(bytes(512), nonce=1))
    assert fingerprint(tmp_path) != first


def test_of_a_journal_what_is_random_does_not_count(tmp_path: Path) -> None:
    """Signatures apart (they are made once), it is all that differs between two runs of a command."""
    journal, found = tmp_path / "ledger.db-journal", []
    page = bytes(range(256)) * 2
    for written in (
        _journal_of(page, nonce=1),
        _journal_of(page, nonce=77),
        _journal_of(page, nonce=1, off=1),
        _journal_of(page[::-1], nonce=1),
        _journal_of(page, nonce=1)[:-1],
    ):
        journal.write_bytes(written)
        found.append(fingerprint(tmp_path))
    assert found[0] == found[1]
    assert len(set(found)) == 4


def _journal_of(page: bytes, *, nonce: int, off: int = 0) -> bytes:
    """Return a journal of one page, whose sum is ``off`` (https://sqlite.org/fileformat2.html#the_rollback_journal)."""
    numbers = (1, nonce, 3, 512, len(page))
    head = bytes.fromhex("d9d505f920a163d7") + b"".join(number.to_bytes(4, "big") for number in numbers)
    total = nonce + sum(page[at] for at in range(len(page) - 200, 0, -200)) + off
    return head.ljust(512, b"\0") + (1).to_bytes(4, "big") + page + total.to_bytes(4, "big")


def test_a_digest_that_was_kept_by_inode_does_not_count(tmp_path: Path) -> None:
    kept = tmp_path / "verified.json"
    kept.write_bytes(b'{"a":[1,22]}')
    first = fingerprint(tmp_path)
    kept.write_bytes(b'{"a":[3,4]}')
    assert fingerprint(tmp_path) == first
    kept.write_bytes(b'{"a":[3,4]')
    assert fingerprint(tmp_path) != first
