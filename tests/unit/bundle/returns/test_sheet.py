"""The sheet of paper: as docs/returns.md shows it, and read as people will type it (SPEC 9.15-6)."""

from pathlib import Path
from textwrap import dedent

from airlift.bundle.fields import Marking
from airlift.bundle.returns import code, sheet
from airlift.bundle.returns.code import RequestCode

SAID = RequestCode("3f2a91c07d", 7, "a41f60b2e8", (3, 17, 40))
FACTS = (
    "from enclave   alpha",
    "made           2026-11-29T12:00:00Z",
    "of bundle      alpha-7, 3 of 57 chunks are missing",
)


def test_the_sheet_in_the_documents() -> None:
    answer = "airlift low recut alpha-7 --request - --output DIR"
    text = sheet.render(Marking("UNCLASSIFIED"), "request", FACTS, code.format(SAID), answered_by=answer)
    page = (Path(__file__).parents[4] / "docs/returns.md").read_text()
    block = page[page.index("    UNCLASSIFIED") : page.index("A wrong character")]
    assert dedent(block).strip() == text.strip()
    assert max(map(len, text.splitlines())) <= 80


def test_the_marking_is_first_and_last() -> None:
    text = sheet.render(Marking("SECRET", ("NOFORN",)), "receipt", (), ["1234"])
    lines = text.splitlines()
    assert lines[0] == lines[-1] == "SECRET//NOFORN"
    assert "type this line" in text
    assert max(map(len, lines)) <= 80
