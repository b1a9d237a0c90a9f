"""The report: well-formed, self-contained, true, and nothing in it is taken for markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.fields import Marking
from airlift.errors import ExistsError
from airlift.evidence.facts import Facts, Signatory
from airlift.evidence.report import page as report_page
from airlift.evidence.report.markup import tag, text
from airlift.evidence.report.style import sheet
from airlift.evidence.report.timeline import SHOWN
from airlift.high.record.exports import write_report
from airlift.ledger.entry import Entry
from airlift.policy.demands import Quorum
from airlift.shown import MAX_TEXT, clean
from tests.support.depots import NOW
from tests.support.enclaves import enclave
from tests.support.facts import attested, bundle
from tests.unit.evidence.documents.test_exports import CASES, HOSTILE, TWICE, inside, rich, sample, waived

pytestmark = pytest.mark.usefixtures("quick_disk")

VOID = {"meta"}


def hostile() -> Facts:
    """Return facts in which every text that somebody else wrote tries to be more than text."""
    found = rich()
    release = found.active_release
    assert release is not None
    odd = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>]]>\u202e'
    components = tuple(
        replace(c, license=odd, source={"kind": "path", "path": odd}) for c in release.components
    )
    changed = replace(release, components=components, notes=odd)
    entries = tuple(
        replace(e, actor=odd, release=changed.digest if e.release == release.digest else e.release,
                detail={**e.detail, "holders": dict.fromkeys(e.detail.get("holders", {}), odd)})
        for e in found.entries
    )  # fmt: skip
    attested = tuple(
        replace(
            a,
            subject=changed.digest,
            predicate={odd: odd},
            signers=(Signatory("a" * 64, odd, verified=True),),
        )
        for a in found.attestations
    )
    return replace(
        found, active=changed.digest, releases={**found.releases, changed.digest: changed}, entries=entries,
        attestations=attested, enclave="alpha", marking=Marking('SECRET"\\<', ("NOFORN",)),
        controls={"catalog": odd, "controls": [{"id": "si-7", "title": odd, "claim": odd, "evidence": ["ledger"]}]},
    )  # fmt: skip


class Page(HTMLParser):
    """Reads a page, checking that every element is closed in its turn."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.words: list[str] = []
        self.feed(data.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def tags(self, name: str) -> list[dict[str, Any]]:
        return [attributes for tag, attributes in self.seen if tag == name]


PAGES = {**CASES, "hostile": hostile}


@pytest.mark.parametrize("name", PAGES)
def test_well_formed_and_self_contained(name: str) -> None:
    found = PAGES[name]()
    data = report_page.format(found)
    assert report_page.format(found) == data
    page = Page(data)
    names = {tag for tag, _ in page.seen}
    assert not names & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "image",
        "use",
        "a:href",
    }
    for tag_, attributes in page.seen:
        assert not {key for key in attributes if key.startswith("on")} | (
            {"src", "srcset", "style"} & set(attributes)
        )
        if "href" in attributes:
            assert (tag_, attributes["href"][0]) == ("a", "#")
    style = data.decode().split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import|expression\(", style)
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.tags("a")} <= set(ids)
    headings = [int(tag_[1]) for tag_, _ in page.seen if re.fullmatch(r"h[1-6]", tag_)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_hostile_text_is_shown_as_text() -> None:
    page = Page(report_page.format(hostile()))
    shown = "".join(page.words)
    assert shown.count("<script>window.ran=1</script>") > 10
    assert "\\u202e" in shown
    assert "\u202e" not in shown
    assert HOSTILE.startswith("</style>")
    assert report_page.format(rich()).count(b"</style>") == 1


def test_what_it_tells() -> None:
    found = rich()
    shown = "".join(Page(report_page.format(found)).words)
    for expected in ("assistant@1", "SECRET//NOFORN", "adapter-of", "tuned-from", "signed by its vendor",
                     "Dan Release", "signature-invalid", "rolled back", "AU-9", "airlift-verify"):  # fmt: skip
        assert expected in shown
    assert found.ledger.root.hex() in shown
    assert found.ledger.checkpoint.decode() in shown


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "No witness signed"),
        ({"active": None}, "No release is active."),
        ({"omitted": 7}, "7 older entries"),
        ({"policy": replace(sample().policy, digest="sha256")}, "SHA-256 instead"),
        ({"ledger": replace(sample().ledger, scheme="ecdsa-p384")}, "ecdsa-p384"),
        ({"attestations": tuple(replace(a, passes=False) for a in sample().attestations)}, "speak against"),
        ({"attestations": ()}, "0 of 2 approval"),
    ],
)
def test_what_must_be_known_first(changes: dict[str, Any], expected: str) -> None:
    assert expected in "".join(Page(report_page.format(sample(**changes))).words)


def test_nothing_to_warn_of() -> None:
    found = rich()
    calm = replace(found, ledger=replace(found.ledger, witnesses=("auditor",)))
    assert "every check that this page makes came out well" in "".join(Page(report_page.format(calm)).words)


def test_a_parent_in_the_release_is_drawn_as_that_component() -> None:
    drawn = report_page.format(rich()).decode().split('id="lineage-h"')[1].split("</svg>")[0]
    assert drawn.count(">base<") == 1
    assert drawn.count("adapter-of") == 1
    assert drawn.count(">seed 0.9<") == 1
    assert drawn.count("parent component") == 2 * 2  # in a box, and in its title


def test_an_approval_that_was_withdrawn_is_shown_as_such() -> None:
    found = rich()
    release = found.active_release
    assert release is not None
    given = report_page.format(found).decode()
    assert given.count("approved by Ivy Security") == 1
    later = attested(release, "approval", 1, 9, passes=False)
    withdrawn = report_page.format(replace(found, attestations=(*found.attestations, later))).decode()
    assert "approved by Ivy Security" not in withdrawn
    assert "approved, until a later word" in withdrawn
    assert "1 of 2 approval" in withdrawn
    again = replace(found, attestations=(*found.attestations, later, attested(release, "approval", 1, 10)))
    assert "refused, until a later word" in report_page.format(again).decode()


def test_the_bundles_that_brought_the_release_are_drawn_however_many_came_since() -> None:
    found = rich()
    release = found.active_release
    assert release is not None
    other = next(r for digest, r in found.releases.items() if digest != found.active)
    bundles = [bundle(20, release, None), *(bundle(n, other, None) for n in range(21, 29))]
    shown = report_page.format(replace(found, bundles={b.digest: b for b in bundles})).decode()
    assert "bundle alpha-20" in shown
    assert "bundle alpha-28" not in shown.split('id="timeline"')[0]


def test_long_histories_are_bounded() -> None:
    found = rich()
    many = tuple(
        Entry(n, "2026-11-01T00:00:00Z", "import-reject", "x", None, None, {"code": "malformed", "exit": 3})
        for n in range(10_000)
    )
    data = report_page.format(replace(found, entries=(*found.entries, *many)))
    assert len(data) < 200_000
    assert data.count(b'class="mark ') == SHOWN


def test_markings_of_any_kind_fit_a_style_sheet() -> None:
    assert 'content: "SECRET\\000022\\00005c\\00003c"' in sheet('SECRET"\\<')


def test_pieces_escape() -> None:
    assert tag("p", text("<&\"'>"), title="\"'") == '<p title="&quot;&#x27;">&lt;&amp;&quot;&#x27;&gt;</p>'
    assert len(clean("x" * 2 * MAX_TEXT)) == MAX_TEXT + 3


def test_of_a_real_enclave(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    result = write_report(place, tmp_path / "report.html", now=NOW)
    data = (tmp_path / "report.html").read_bytes()
    assert (result.release, result.bytes) == ("assistant@2", len(data))
    assert "bundle any-2" in "".join(Page(data).words)
    with pytest.raises(ExistsError):
        write_report(place, tmp_path / "report.html", now=NOW)


def test_waivers_and_signatures_in_part_are_known_first() -> None:
    page = report_page.format(waived()).decode()
    attention = page[page.index('id="attention"') : page.index('id="lineage"')]
    assert "Component base runs with a waiver for remote-code: No other code." in attention
    assert "Component base: vendor signature covers 2 of 4 files: left out a.pt, b.pt." in attention
    assert "&lt;b&gt;two&lt;/b&gt;" in attention
    assert "pickle for every component; remote-code for base" in page
    assert "signed by its vendor, in part" in page
    assert "What else is to be known of them" in page
    assert "What else is to be known of them" not in report_page.format(rich()).decode()
    assert "waivers allowed" in report_page.format(rich()).decode()


def test_what_came_through_enclaves_is_told_with_its_whole_way() -> None:
    page = Page(report_page.format(inside()))
    told = " ".join(page.words)
    assert "; ".join(TWICE) in told
    assert "adapter-of base 1.0; with data mail 2026-10 (SECRET//NOFORN); with data notes 1 (CUI)" in told
    assert "enclave alpha" in told
    assert "path on the low side" in told, "what came from a path is told as ever"


def test_age_and_bars_of_the_policy_are_told() -> None:
    assert "keeps in different hands" in report_page.format(rich()).decode()
    aged = (("approval", Quorum(2, ("issm.pub", "owner.pub"), 90)),)
    policy = replace(rich().policy, attestations=aged, bars=(("approval", "build"),))
    told = report_page.format(replace(rich(), policy=policy)).decode()
    assert "approval: 2 of issm.pub, owner.pub, not older than 90 days" in told
    assert "approval and build" in told
