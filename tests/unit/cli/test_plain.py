"""What is written in a pipe is what rich would write there, word for word and column for column."""

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airlift.cli.frame.plain import Plain
from airlift.cli.frame.terminal import Terminal
from airlift.shown import clean

WIDE = 100_000  # columns: nothing is folded
TEXTS = st.text(max_size=12).map(clean)
LEAVES: st.SearchStrategy[Any] = st.tuples(TEXTS, st.just([]))
BRANCHES: st.SearchStrategy[Any] = st.recursive(
    st.lists(LEAVES, max_size=3), lambda below: st.lists(st.tuples(TEXTS, below), max_size=3)
)
SHEETS = st.one_of(
    st.tuples(st.just("line"), st.tuples(TEXTS, st.just("bold"))),
    st.tuples(st.just("grid"), st.tuples(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))),
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.just("table"),
            st.tuples(
                st.lists(TEXTS, min_size=n, max_size=n),
                st.lists(st.lists(TEXTS, min_size=n, max_size=n), max_size=4),
            ),
        )
    ),
    st.tuples(st.just("tree"), st.tuples(TEXTS, BRANCHES)),
)


@given(SHEETS)
def test_plain_is_what_rich_writes(sheet: tuple[str, tuple[object, ...]]) -> None:
    name, arguments = sheet
    plain, drawn = io.StringIO(), io.StringIO()
    getattr(Plain(plain), name)(*arguments)
    getattr(Terminal(drawn, WIDE), name)(*arguments)
    expected = "".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines() or [""])
    assert plain.getvalue() == expected
