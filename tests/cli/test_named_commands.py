"""What is told to people exists: every command, option and file that documents, help and hints name."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.arch.tree import FOLDER, ROOT
from tests.cli.test_help import LEAVES, TREE

GROUPS = {path[0] for path in TREE if path}
SAID = {"--insecure-", "--help", "--version", "--strict"}
"""Ways of speaking (`--insecure-...`), options of every command, and those of other programs."""
FOREIGN = {"--upgrade", "--no-index", "--find-links", "--patch-from", "--long", "--ultra"} | {
    *("--authfile", "--merge", "--image", "--rootless", "--preserve-digests"),
    *("--environment", "--raw", "--insecure-policy", "--dest-tls-verify", "--tls-verify"),
    *(
        "--user",
        "--map-root-user",
        "--net",
        "--ipc",
        "--pid",
        "--mount",
        "--propagation",
        "--fork",
        "--mount-proc",
    ),
    *(
        "--kill-child",
        "--no-new-privs",
        "--bounding-set",
        "--inh-caps",
        "--as",
        "--nproc",
        "--fsize",
        "--core",
    ),
    *("--bind", "--make-rprivate"),
    *("--system", "--home-dir", "--shell", "--now"),
    *("--recursive", "--infected", "--max-filesize", "--max-scansize", "--alert-exceeds-max", "--database"),
    *("--hash", "--require-hashes", "--no-deps", "--only-binary", "--layout", "--sign", "--all"),
    *("--dest-decompress", "--dest-oci-accept-uncompressed-layers", "--preserve-digests"),
    *("--delay-updates", "--link-dest"),
    *("--array", "--nthreads"),
}
"""Options of other programs: pip, uv, zstd, unshare, systemctl, clamscan, skopeo, umoci, helm, dask and more."""
PARSERS = ("airlift/verify.py", "examples/*.py", "tests/bench/*.py")
"""Programs of ours with argparse."""
STYLES = "style.py"
"""Holds CSS, whose variables look like options."""

CODE = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)")
COMMAND = re.compile(rf"\bairlift ((?:{'|'.join(sorted(GROUPS))})\b[^`\n]*)")
PLACE = re.compile(r"(?<![\w./-])(?:airlift|docs|examples|keys|manifests|tests)/[\w./-]*")


@dataclass(frozen=True)
class Text:
    """A piece of text and where it stands."""

    where: str
    text: str


def documents() -> Iterator[Text]:
    """Yield what people read in the repository, with continued lines joined."""
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("keys/*.md")]):
        yield Text(str(path.relative_to(ROOT)), re.sub(r"\\\n\s*", "", path.read_text()))
    for path in sorted(ROOT.glob("manifests/*.yaml")):
        yield Text(str(path.relative_to(ROOT)), path.read_text())


def strings() -> Iterator[Text]:
    """Yield every string in the source: messages, hints, help and docstrings."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "X" for p in node.values)
                yield Text(f"{path.relative_to(ROOT)}:{node.lineno}", "".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield Text(f"{path.relative_to(ROOT)}:{node.lineno}", node.value)


def commands(text: str) -> Iterator[str]:
    """Yield what a text calls commands: ``airlift high import ...`` anywhere, ``high import`` as code."""
    yield from COMMAND.findall(text)
    for code in CODE.findall(text):
        if code.split(" ")[0] in GROUPS and len(code.split(" ")) > 1 and not code.startswith("keys "):
            yield code


def named(text: str) -> list[str]:
    """Return what is wrong with the commands and options that a text names."""
    wrong = []
    for command in commands(text):
        words = _words(command)
        path = next((tuple(words[:n]) for n in (3, 2, 1) if tuple(words[:n]) in TREE), ())
        if len(path) < len(words) and path not in LEAVES and re.fullmatch(r"[a-z-]+", words[len(path)]):
            wrong.append(f"there is no command {command!r}")
        if path in LEAVES:
            known = {name for parameter in LEAVES[path].params for name in parameter.opts}
            known |= {name for parameter in LEAVES[path].params for name in parameter.secondary_opts}
            wrong += [
                f"{' '.join(path)} has no {word}" for word in OPTION.findall(command) if word not in known
            ]
    return wrong


def _words(command: str) -> list[str]:
    plain = re.sub(r"\s#.*", "", command)
    try:
        words = shlex.split(plain)
    except ValueError:
        words = plain.split()
    return [word.rstrip(".,;:)") for word in words]


def known_options() -> set[str]:
    """Return every option of any program of ours."""
    own = {
        name for leaf in TREE.values() for item in leaf.params for name in (*item.opts, *item.secondary_opts)
    }
    parsed = {
        option
        for pattern in PARSERS
        for path in ROOT.glob(pattern)
        for option in re.findall(r"add_argument\(\s*\"(--[a-z-]+)", path.read_text())
    }
    return own | parsed | SAID | FOREIGN


@pytest.mark.parametrize("read", [documents, strings])
def test_every_command_that_is_named_exists_with_its_options(read: Callable[[], Iterator[Text]]) -> None:
    """`low revoke` was recommended after a theft before there was one."""
    assert [f"{item.where}: {wrong}" for item in read() for wrong in named(item.text)] == []


@pytest.mark.parametrize("read", [documents, strings])
def test_every_option_that_is_named_exists(read: Callable[[], Iterator[Text]]) -> None:
    known = known_options()
    found = [(item.where, option) for item in read() for option in OPTION.findall(item.text)]
    assert len(found) > 30
    assert [pair for pair in found if pair[1] not in known and STYLES not in pair[0]] == []


def test_every_file_that_documents_name_exists() -> None:
    named_files = [
        (item.where, place.rstrip("."))
        for item in documents()
        for code in CODE.findall(item.text)
        for place in PLACE.findall(code)
    ]
    assert len(named_files) > 10
    assert [(where, place) for where, place in named_files if not (ROOT / place).exists()] == []


@pytest.mark.parametrize(
    "text",
    [
        "see `airlift low banish KEY`",
        "run airlift high forget",
        "`low recast alpha-3`",
        "`airlift high import VOLUME --force`",
        "`airlift high policy get`",
    ],
)
def test_what_does_not_exist_is_found(text: str) -> None:
    assert named(text)


@pytest.mark.parametrize(
    "text",
    [
        "see `airlift low list`",
        "`airlift high import VOLUME... --activate`",
        "`airlift high policy set FILE`, then again",
        "airlift low fetch org/name --revision 0123",
        "the `low` side",
        "`airlift keys show`",
    ],
)
def test_what_exists_is_accepted(text: str) -> None:
    assert named(text) == []
