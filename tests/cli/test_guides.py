"""The guides: every command runs as it stands, shows what the page shows, and is read in ten minutes."""

import re
from pathlib import Path

import pytest

from tests.arch.tree import ROOT
from tests.support import pages, shown

GUIDES = ("docs/guide-low.md", "docs/guide-high.md", "docs/guide-assessor.md")
WORDS = 1800
"""Ten minutes of somebody who reads 180 words a minute."""


@pytest.mark.timeout(pages.SECONDS + 60)
@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_shows_what_comes(page: str, tmp_path: Path) -> None:
    said, seconds = pages.run(page, tmp_path, {"LOGNAME": "eve"})
    steps, parts = shown.steps(page), shown.parts(said)
    assert len(steps) == len(parts) == len(seconds) == len(pages.blocks(page)) > 5
    for step, part in zip(steps, parts, strict=True):
        different = shown.differs(step.shown, part)
        assert not different, f"{step.commands}did not show\n{different}\nbut\n{part}"


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_is_read_in_ten_minutes(page: str) -> None:
    assert len((ROOT / page).read_text().split()) < WORDS


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_shows_more_than_it_leaves_out(page: str) -> None:
    for step in shown.steps(page):
        assert any(line != shown.LEFT_OUT for line in shown.lines(step.shown)), step.commands


SAID = "gathering: 0 %\nrelease  assistant@1\ndigest   cc55775382102197\n\nsignatures  1\npublished   no\n"


@pytest.mark.parametrize(
    "page",
    [
        "release assistant@1\ndigest 0011223344556677\nsignatures 1\npublished no\n",
        "...\nsignatures 1\n...\n",
        "release assistant@1\n...\npublished no\n",
        "...\nrelease ...\n...\nsignatures 1\npublished no\n",
        "...\n",
    ],
)
def test_what_comes_as_shown(page: str) -> None:
    assert shown.differs(page, SAID) == ""


@pytest.mark.parametrize(
    ("page", "different"),
    [
        ("...\nsignatures 2\n...\n", "signatures 2"),
        ("...\nrelease other ...\n...\n", "release other ..."),
        ("...\npublished no\n...\nsignatures 1\n...\n", "signatures 1"),
        ("...\nrelease assistant@1\nsignatures 1\n...\n", "release assistant@1\nsignatures 1"),
        ("signatures 1\n...\n", "signatures 1"),
        ("...\nsignatures 1\n", "signatures 1"),
        ("release assistant@1\n", "release assistant@1"),
        ("release assistant@1\n...\nrelease assistant@1\n", "release assistant@1"),
        ("", ""),
    ],
)
def test_what_does_not_come_as_shown(page: str, different: str) -> None:
    assert shown.differs(page, SAID) == different
    assert page or shown.differs(page, "") == ""


def pages_of_docs() -> list[str]:
    return sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_the_first_page_of_docs_lists_every_page_once() -> None:
    text = (ROOT / "docs/README.md").read_text()
    listed = re.findall(r"^- \[[^\]]*\]\(([\w.-]+\.md)\)", text, re.MULTILINE)
    assert sorted(listed) == [name for name in pages_of_docs() if name != "README.md"]


CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def test_every_link_of_docs_leads_to_a_file() -> None:
    found = [
        (str(page.relative_to(ROOT)), link)
        for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("keys/*.md"))
        for link in LINK.findall(CODE.sub("", page.read_text()))
    ]
    assert len(found) > 100
    assert [(page, link) for page, link in found if not ((ROOT / page).parent / link).exists()] == []


def test_every_footnote_of_the_comparison_has_an_address() -> None:
    text = (ROOT / "docs/comparison.md").read_text()
    notes = re.findall(r"^\[\^(\w+)\]: .*?<https://[^>]+>", text, re.MULTILINE | re.DOTALL)
    assert set(notes) == set(re.findall(r"\[\^(\w+)\](?!:)", text))
    assert len(notes) == 7
