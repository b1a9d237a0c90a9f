"""The sheet of paper that a code is typed from: marking first and last, and what to type where (SPEC 9.15-6)."""

from collections.abc import Sequence

from airlift.bundle.fields import Marking


def render(
    marking: Marking, title: str, facts: Sequence[str], lines: Sequence[str], *, answered_by: str = ""
) -> str:
    """Return a sheet of printable ASCII: what the code is, what it says in words, its lines, what to do with them.

    ``answered_by`` is a command that takes the same lines, and answers them.
    """
    several = f"these {len(lines)} lines" if len(lines) > 1 else "this line"
    text = [
        str(marking),
        "",
        f"airlift {title}",
        *(f"  {fact}" for fact in facts),
        "",
        *(f"    {line}" for line in lines),
        "",
        f"On the low side type {several}:   airlift low returns import -",
        *((f"and once more to answer it:   {answered_by}",) if answered_by else ()),
        "Capitals, spaces and hyphens do not matter, nor O for 0, or I and L for 1.",
        "A code has no signature: it is the word of whoever types it.",
        "",
        str(marking),
    ]
    return "\n".join(text) + "\n"
