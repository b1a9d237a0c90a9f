"""What is cited of docs/SPEC.md is there."""

import re
from collections.abc import Iterator

import pytest

from tests.arch.tree import FOLDER, ROOT

CITED = re.compile(r"SPEC ([A-Z]?\d+(?:\.\d+)*(?:-\d+a?)?)")
HEADING = re.compile(r"^#{2,4} (\d+(?:\.\d+)*)\.? ", re.MULTILINE)
PLACES = (FOLDER, ROOT / "tests", ROOT / "docs", ROOT / "manifests")


def sections() -> dict[str, str]:
    """Return the sections of the specification by number, each with those below it."""
    text = (ROOT / "docs" / "SPEC.md").read_text()
    starts = [(match[1], match.start()) for match in HEADING.finditer(text)]
    found = {}
    for place, (number, start) in enumerate(starts):
        ends = (other for name, other in starts[place + 1 :] if not name.startswith(f"{number}."))
        found[number] = text[start : next(ends, len(text))]
    return found


def exists(citation: str, known: dict[str, str]) -> bool:
    """Say whether a section (9.4), a rule of one (9.4-6, 4.1.6) or a lettered rule (L4.12, C8) exists."""
    if citation[0].isalpha():
        whole = "".join(known.values())
        return re.search(rf"(?:\*\*|^- |^### ){re.escape(citation)}\b", whole, re.MULTILINE) is not None
    section, _, rule = citation.partition("-")
    if not rule and section not in known and section.count(".") > 1:
        section, _, rule = section.rpartition(".")
    text = known.get(section, "")
    return bool(text) and (
        not rule or re.search(rf"^{rule}\. |\[{section}-{rule}\]", text, re.MULTILINE) is not None
    )


def cited() -> Iterator[tuple[str, str]]:
    """Yield where the specification is cited, and what of it."""
    for top in PLACES:
        for path in sorted(p for p in top.rglob("*") if p.suffix in {".py", ".md", ".yaml", ".h", ".c"}):
            for citation in CITED.findall(path.read_text()):
                yield str(path.relative_to(ROOT)), citation


def test_every_citation_leads_somewhere() -> None:
    """Docstrings cited sections 4.6 and 6.7, which had been renumbered away."""
    known = sections()
    found = list(cited())
    assert len(found) > 100
    assert [pair for pair in found if not exists(pair[1], known)] == []


@pytest.mark.parametrize(
    "citation", ["9", "9.4", "9.4-6", "4.1.6", "L4.12", "L2", "C8", "T9", "6.3-2", "14-3"]
)
def test_what_is_there_is_found(citation: str) -> None:
    assert exists(citation, sections())


@pytest.mark.parametrize("citation", ["4.6", "6.17", "9.4-99", "L9", "C99", "16"])
def test_what_is_not_there_is_missed(citation: str) -> None:
    assert not exists(citation, sections())
