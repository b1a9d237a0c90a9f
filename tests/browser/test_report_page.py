"""The report as a person sees it: at two widths, in light and dark, on paper, and with hostile names."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.evidence.facts import Facts
from airlift.evidence.report import page as report_page
from tests.browser.driver import Browser, browser
from tests.conftest import find_file
from tests.support.facts import component, facts
from tests.unit.evidence.documents.test_exports import CASES, rich
from tests.unit.evidence.report.test_page import hostile

WIDTHS = (390, 1280)
PAGES: dict[str, Callable[[], Facts]] = {**CASES, "hostile": hostile, "sixty components": lambda: many(60)}


def many(count: int) -> Facts:
    """Return facts whose active release has this many components."""
    found = rich()
    release = found.active_release
    assert release is not None
    components = tuple(
        component(f"part-{n:03d}", ("model", "data", "adapter")[n % 3], "1") for n in range(count)
    )
    changed = replace(release, components=components)
    return replace(found, active=changed.digest, releases={**found.releases, changed.digest: changed})


@pytest.fixture(scope="module")
def page(require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile = tmp_path_factory.mktemp("profile")
    with browser(require_tool("chromedriver"), require_tool("chromium"), profile) as found:
        yield found


@pytest.fixture(scope="module")
def axe() -> str:
    return find_file("AIRLIFT_AXE", "axe-core (axe.min.js)").read_text()


def written(folder: Path, name: str) -> Path:
    path = folder / "report.html"
    path.write_bytes(report_page.format(PAGES[name]()))
    return path


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_accessible_still_and_fits(
    page: Browser, axe: str, tmp_path: Path, name: str, width: int
) -> None:
    path = written(tmp_path, name)
    page.open(None)
    page.log()
    page.requests()
    for dark in (False, True):
        page.size(width, dark=dark)
        page.open(path)
        found = page.run(
            f"{axe}; const r = await axe.run(document, {{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}});"
            "return r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 90)).join(' | '))"
        )
        assert found == []
        wide = page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        assert page.run("return [window.ran, document.scripts.length, document.images.length]") == [
            None,
            0,
            0,
        ]
    assert set(page.requests()) == {path.as_uri()}
    assert [item for item in page.log() if item["level"] == "SEVERE"] == []
    if folder := os.environ.get("AIRLIFT_SCREENSHOTS"):
        Path(folder, f"{name.replace(' ', '-')}-{width}.png").write_bytes(page.picture())


def test_every_printed_page_bears_the_marking(
    page: Browser, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    import subprocess

    page.size(1280)
    page.open(written(tmp_path, "second"))
    (tmp_path / "report.pdf").write_bytes(page.paper())
    done = subprocess.run(
        [require_tool("pdftotext"), "-layout", tmp_path / "report.pdf", "-"], capture_output=True, check=True
    )
    pages = done.stdout.decode().split("\f")[:-1]
    assert len(pages) >= 3
    assert all(sheet.count("SECRET//NOFORN") >= 2 for sheet in pages)
    assert all(f"{number}/{len(pages)}" in sheet.replace(" ", "") for number, sheet in enumerate(pages, 1))


def test_the_policy_of_the_page_keeps_scripts_from_running(page: Browser, tmp_path: Path) -> None:
    """Were a script to get in, it would not run: the page says so itself."""
    data = report_page.format(facts()).replace(b"</main>", b"<script>window.ran = 1</script></main>")
    (tmp_path / "report.html").write_bytes(data)
    page.open(tmp_path / "report.html")
    assert page.run("return [document.scripts.length, window.ran]") == [1, None]
