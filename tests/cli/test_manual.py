"""Man pages: one for each command, with all that it takes, which every reader of man pages shows without a word."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airlift import verify
from airlift.cli.manual import man, tree, troff
from airlift.cli.manual.tree import NAME, VERIFIER_NAME, Command
from tests.arch.tree import FOLDER, ROOT
from tests.cli.test_help import TREE

AT = datetime(2026, 11, 30, tzinfo=UTC)
COMMANDS = {command.path: command for command in (*tree.read().all(), tree.read_verifier())}
ORDER = (
    "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ARGUMENTS", "OPTIONS", "EXIT STATUS", "EXAMPLES", "FILES",
    "ENVIRONMENT", "SEE ALSO",
)  # fmt: skip
ALWAYS = {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"}


def source(path: tuple[str, ...]) -> str:
    """Return a page as it is written."""
    return man.page(COMMANDS[path], "1.0", AT)


def sections(path: tuple[str, ...]) -> dict[str, str]:
    """Return the sections of a page by title, without the marks of fonts and hyphens."""
    plain = re.sub(r"\\f[BIR]|\\&", "", source(path)).replace("\\-", "-")
    parts = re.split(r'^\.SH "([A-Z ]+)"\n', plain, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, as they are installed."""
    return written(tmp_path_factory.mktemp("man") / "man1")


def written(folder: Path, code: int = 0, **environment: str) -> Path:
    """Write all pages in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "airlift.cli.manual", str(folder)],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return folder


def test_every_command_has_a_page() -> None:
    assert set(COMMANDS) == {(NAME, *path) for path in TREE} | {(VERIFIER_NAME,)}


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_a_page_has_every_option_and_argument(path: tuple[str, ...]) -> None:
    found = sections((NAME, *path))
    for one in TREE[path].params:
        if one.param_type_name == "argument":
            assert one.metavar in found["SYNOPSIS"]
            assert one.metavar in found["ARGUMENTS"]
        for name in (*one.opts, *one.secondary_opts) if one.param_type_name == "option" else ():
            assert re.search(rf"^(\S+, )*{name}\b", found["OPTIONS"], re.MULTILINE), name
    for name in getattr(TREE[path], "commands", {}):
        assert f"{man.name((NAME, *path, name))}(1)" in found["COMMANDS"]


def test_the_verifier_has_all_of_its_options() -> None:
    options = sections((VERIFIER_NAME,))["OPTIONS"]
    named = re.findall(r"(--[a-z-]+)", verify.parser().format_help())
    assert len(named) > 5
    assert [name for name in named if name not in options] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_sections_stand_in_their_order(path: tuple[str, ...]) -> None:
    found = list(sections(path))
    assert found == [title for title in ORDER if title in found]
    assert set(found) >= ALWAYS


def test_what_is_referred_to_exists() -> None:
    for path in COMMANDS:
        for name in re.findall(r"(airlift[a-z-]*)\(1\)", sections(path)["SEE ALSO"]):
            assert name in {man.name(other) for other in COMMANDS}


def test_the_version_and_the_command_alone_are_told() -> None:
    found = sections((NAME,))
    assert "airlift --version" in found["SYNOPSIS"]
    assert "tells where you stand" in " ".join(found["DESCRIPTION"].split())


def test_every_variable_of_ours_is_told() -> None:
    """What the source asks the environment for; completion's own variable is no one's to set."""
    asked = set()
    for path in FOLDER.rglob("*.py"):
        texts = (
            node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
        )
        asked |= {
            text for text in texts if isinstance(text, str) and re.fullmatch(r"AIRLIFT_[A-Z0-9_]+", text)
        }
    assert len(asked) > 3
    assert asked <= set(man.VARIABLES)
    assert [key for key in man.VARIABLES if key not in source((NAME,))] == []


def test_the_exit_codes_are_those_of_the_specification() -> None:
    table = (ROOT / "docs/SPEC.md").read_text().split("\n## 10. ")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d) \| ([^|]+?) \|", table, re.MULTILINE)
    told = {int(code): meaning for code, meaning in rows}
    assert set(told) == set(range(9))
    assert {code for code in man.CODES if code < 100} == set(told)
    for code, meaning in told.items():
        assert meaning.split()[0].strip(",").lower() in man.CODES[code].lower(), code


def test_no_reader_warns(require_tool: Callable[[str], str], pages: Path) -> None:
    """groff, man-db and mandoc at their strictest; mandoc's word on style, too."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    for words in (
        (require_tool("groff"), "-man", "-ww", "-z"),
        (require_tool("mandoc"), "-T", "lint", "-W", "style"),
    ):
        said = run([*words, *map(str, sorted(pages.iterdir()))], environment)
        assert (said.returncode, said.stdout + said.stderr) == (0, "")
    for page in (pages / "airlift.1", pages / "airlift-low-bundle.1", pages / "airlift-high.1"):
        said = run([require_tool("man"), "--warnings", "-l", str(page)], environment)
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.startswith(f"{page.stem.upper()}(1)")


def test_what_is_indexed_is_the_summary(require_tool: Callable[[str], str], pages: Path) -> None:
    """``apropos`` and ``whatis`` find what lexgrog reads."""
    said = run([require_tool("lexgrog"), *map(str, sorted(pages.iterdir()))], dict(os.environ))
    assert said.stdout.count(": ") >= len(COMMANDS)
    assert '"airlift-high-import - verify a bundle, rebuild and install its release' in said.stdout
    assert "parse failed" not in said.stdout + said.stderr


HOSTILE = (".so /etc/passwd", "'br", r"\n(.k \fIx\fR \\*x", '"quoted" .. ...', "a `.b` c ~ ^ -- $x 'y'")


def test_a_text_is_never_a_request(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """Whatever a help says is shown as it stands: at the start of a line, too."""
    page = tmp_path / "x.1"
    command = Command((NAME,), ("A page. Of all.", *HOSTILE), (), (), HOSTILE, ())
    page.write_text(man.page(command, "1.0", AT))
    said = run([require_tool("mandoc"), "-T", "ascii", str(page)], dict(os.environ))
    shown = re.sub(r".\x08", "", said.stdout)
    for text in HOSTILE:
        assert f"\n       {text.replace('`', '')}\n" in shown
        assert f"\n       $ {text}\n" in shown


def test_other_letters_are_refused() -> None:
    for text in ("caf\u00e9", "two\nlines", "\x1b[0m"):
        with pytest.raises(ValueError, match="not printable ASCII"):
            troff.escape(text)


def test_the_same_commands_give_the_same_bytes(pages: Path, tmp_path: Path) -> None:
    def texts(folder: Path) -> dict[str, bytes]:
        return {page.name: page.read_bytes() for page in folder.iterdir()}

    again = written(tmp_path / "again", TZ="Pacific/Auckland", PYTHONHASHSEED="7", LC_ALL="C")
    assert texts(again) == texts(pages)
    dated = texts(written(tmp_path / "dated", SOURCE_DATE_EPOCH="86399"))
    assert all(b'"1970-01-01"' in page.partition(b"\n")[0] for page in dated.values())


@pytest.mark.parametrize("stated", ["today", "-1", "1e9", "9" * 12])
def test_a_date_that_is_none_is_refused(tmp_path: Path, stated: str) -> None:
    assert not written(tmp_path / "man", code=2, SOURCE_DATE_EPOCH=stated).exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    written(tmp_path / "file/man", code=8)


def run(words: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a reader of man pages."""
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
