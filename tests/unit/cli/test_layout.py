"""Tables fit every terminal: no column is lost, nothing is cut without a mark, no word stands alone (SPEC 14-9)."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.cli.frame import layout
from airlift.cli.frame.output import MARK
from airlift.cli.frame.plain import columns
from airlift.cli.frame.terminal import Terminal

WIDTHS = (80, 100, 140)
DIGEST = "b263be86ff8a60b515734a0ff92efe8c" * 4
RELEASES = (
    ["release", "state", "marking", "components", "files", "bytes", "attestations"],
    [
        [
            "assistant@2026.11.0",
            "published",
            "UNCLASSIFIED",
            "base 1.1, guard 2.1",
            "3",
            "308.3 MB",
            "provenance",
        ],
        ["assistant@2026.11.1", "pending", "UNCLASSIFIED", "base 1.2, guard 2.2", "3", "308.3 MB", "-"],
    ],
)
ENTRIES = (
    ["#", "time", "type", "actor", "bundle", "release"],
    [["12", "2026-11-30T04:06:32Z", "activate-commit", "root", "-", "assistant@2026.11.1"]],
)
WORDS = st.text(st.sampled_from("abcdefghij@.-"), min_size=1, max_size=30)
TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
TABLES: st.SearchStrategy[Any] = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(WORDS, min_size=n, max_size=n),
        st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=1, max_size=4),
    )
)


def drawn(table: tuple[list[str], list[list[str]]], width: int, *, whole: bool = False) -> list[str]:
    """Return the lines of a table on a terminal of this width."""
    stream = io.StringIO()
    Terminal(stream, width, whole=whole).table(*table)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("table", [RELEASES, ENTRIES], ids=["releases", "entries"])
def test_real_tables_fit(table: tuple[list[str], list[list[str]]], width: int) -> None:
    lines = drawn(table, width)
    assert max(map(columns, lines)) <= width
    shown = " ".join(" ".join(lines).split())
    assert [cell for row in table[1] for cell in row if cell != "-" and cell not in shown] == []


def test_what_has_no_room_stands_below_its_row() -> None:
    assert drawn(RELEASES, 80) == [
        "release              state      marking       files  bytes     attestations",
        "assistant@2026.11.0  published  UNCLASSIFIED  3      308.3 MB  provenance",
        "    components  base 1.1, guard 2.1",
        "assistant@2026.11.1  pending    UNCLASSIFIED  3      308.3 MB  -",
        "    components  base 1.2, guard 2.2",
    ]
    assert len(drawn(RELEASES, 140)) == 3


def test_digests_are_cut_with_a_mark_where_there_is_no_room() -> None:
    table = (["name", "digest"], [["guard", DIGEST]])
    assert drawn(table, 80)[1] == f"guard  {DIGEST[:32]}{MARK}"
    assert drawn(table, 140)[1] == f"guard  {DIGEST}"
    assert DIGEST in "".join(line.strip() for line in drawn(table, 80, whole=True)).replace("guard  ", "")


def test_names_are_never_taken_for_digests() -> None:
    name = "release-" + "a" * 50
    assert layout.brief(name) == "release-" + "a" * 32 + MARK
    assert layout.brief("z" * 60) == "z" * 60
    assert layout.brief("x" + "a" * 60) == "x" + "a" * 60


def test_facts_keep_their_column() -> None:
    stream = io.StringIO()
    Terminal(stream, 60).grid(
        [("digest", DIGEST), ("said", "one two three four five six seven eight nine ten x")]
    )
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"digest  {DIGEST[:32]}{MARK}"
    assert all(line.startswith((" " * 8, "said    ")) for line in lines[1:])
    assert max(map(len, lines)) <= 60


@given(TEXTS, st.integers(10, 120))
def test_folding_keeps_every_word_and_leaves_none_alone(text: str, width: int) -> None:
    lines = layout.fold(text, width)
    assert max(map(columns, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    if max(map(columns, text.split(" "))) <= width:
        assert " ".join(lines) == text


@given(TABLES, st.integers(40, 160))
def test_no_table_is_wider_than_its_terminal(table: tuple[list[str], list[list[str]]], width: int) -> None:
    lines = drawn(table, width)
    assert max(map(columns, lines)) <= width
    letters = sorted("".join("".join(row) for row in table[1]).replace(" ", ""))
    headers, shown = table[0], "".join(lines)
    assert all(shown.count(letter) >= letters.count(letter) for letter in set(letters))
    assert headers[0] in lines[0]
