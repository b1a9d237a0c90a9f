"""Effects happen where they are expected: the disk changes in files.py, surprises surface in cli/main.py."""

import ast
from collections.abc import Iterator

import pytest

from tests.arch.tree import Module, Rule, argument, dotted, parse, violations

DISK = "airlift.files"
SURFACE = "airlift.cli.main"

VOLUME_READERS = ("airlift.media.claims", "airlift.media.inventory", "airlift.media.volume_reader")
READS = {"read_bounded", "read_large", "reading"}

WRITE_METHODS = {"hardlink_to", "rename", "symlink_to", "touch", "write_bytes", "write_text"}
WRITE_CALLS = {
    "os.link",
    "os.rename",
    "os.renames",
    "os.replace",
    "os.symlink",
    "os.truncate",
    "shutil.copy",
    "shutil.copy2",
    "shutil.copyfile",
    "shutil.copytree",
    "shutil.move",
}
WRITE_FLAGS = {"O_APPEND", "O_CREAT", "O_RDWR", "O_TRUNC", "O_WRONLY"}


def disk_writes(module: Module) -> Iterator[str]:
    """Find what changes a file without going through files.py (temporary name, fsync, rename, fsync folder)."""
    if module.name == DISK:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _writes(node):
            yield f"{module.where(node)} calls {dotted(node.func)}(): durable writes go through {DISK}"
        elif isinstance(node, ast.Attribute) and node.attr in WRITE_FLAGS:
            yield f"{module.where(node)} uses {node.attr}: durable writes go through {DISK}"


def _writes(call: ast.Call) -> bool:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if name in WRITE_CALLS or ("." in name and last in WRITE_METHODS):
        return True
    if name in {"open", "io.open", "os.fdopen"}:
        return _mode_writes(argument(call, 1, "mode"))
    if last == "open" and name != "os.open":  # Path.open(mode), and libraries that take a mode second
        return any(_mode_writes(argument(call, position, "mode"), guess=False) for position in (0, 1))
    # Path.replace(target) has one argument, str.replace two, datetime.replace and dataclasses.replace keywords
    return "." in name and last == "replace" and len(call.args) == 1 and not call.keywords


def _mode_writes(mode: ast.expr | None, *, guess: bool = True) -> bool:
    """Say whether a mode writes; ``guess`` is the answer for a mode that is not written out."""
    if mode is None:
        return False
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
        return set(mode.value) <= set("rwaxbt+") and bool(set(mode.value) & set("wax+"))
    return guess


def volume_writes(module: Module) -> Iterator[str]:
    """Find what a reader of volumes uses of files.py beside what reads: nothing is ever written to a volume."""
    if module.inside(*VOLUME_READERS):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and dotted(node.value) == "files" and node.attr not in READS:
                yield f"{module.where(node)} uses files.{node.attr}: volumes are only read"


def broad_excepts(module: Module) -> Iterator[str]:
    """Find handlers that would swallow bugs; catching everything to clean up and raise again is fine."""
    if module.name == SURFACE:
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = _caught(node.type)
        if "Exception" in caught or ("BaseException" in caught and not _raises_again(node)):
            yield f"{module.where(node)} catches {' and '.join(sorted(caught))}: only {SURFACE} may"


def _caught(kind: ast.expr | None) -> set[str]:
    if kind is None:
        return {"Exception"}
    return {dotted(item) for item in (kind.elts if isinstance(kind, ast.Tuple) else [kind])}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize(
    "rule", [disk_writes, volume_writes, broad_excepts], ids=lambda rule: str(rule.__name__)
)
def test_the_tree_follows(rule: Rule) -> None:
    assert violations(rule) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (disk_writes, "open(path, 'rb')\n"),
        (disk_writes, "path.open()\n"),
        (disk_writes, "path.open('rb')\n"),
        (disk_writes, "text.replace('a', 'b')\n"),
        (disk_writes, "time.replace(tzinfo=None)\n"),
        (disk_writes, "dataclasses.replace(value, size=1)\n"),
        (disk_writes, "os.open(path, os.O_RDONLY)\n"),
        (disk_writes, "reader.open('chunk')\n"),
        (broad_excepts, "try:\n    f()\nexcept (OSError, ValueError):\n    pass\n"),
        (broad_excepts, "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"),
    ],
)
def test_good_examples(rule: Rule, source: str) -> None:
    assert list(rule(parse(source))) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (disk_writes, "path.write_bytes(data)\n"),
        (disk_writes, "open(path, 'w')\n"),
        (disk_writes, "open(path, mode='r+b')\n"),
        (disk_writes, "open(path, mode)\n"),
        (disk_writes, "path.open('xb')\n"),
        (disk_writes, "os.fdopen(descriptor, 'wb')\n"),
        (disk_writes, "os.open(path, os.O_WRONLY | os.O_CREAT)\n"),
        (disk_writes, "os.replace(a, b)\n"),
        (disk_writes, "temporary.replace(path)\n"),
        (disk_writes, "shutil.move(a, b)\n"),
        (broad_excepts, "try:\n    f()\nexcept:\n    raise\n"),
        (broad_excepts, "try:\n    f()\nexcept Exception:\n    pass\n"),
        (broad_excepts, "try:\n    f()\nexcept (OSError, Exception):\n    pass\n"),
        (broad_excepts, "try:\n    f()\nexcept BaseException:\n    pass\n"),
    ],
)
def test_bad_examples(rule: Rule, source: str) -> None:
    assert len(list(rule(parse(source)))) >= 1


def test_what_reads_volumes_writes_nothing() -> None:
    name = VOLUME_READERS[0]
    assert list(volume_writes(parse("files.read_bounded(path, 1)\n", name))) == []
    assert list(volume_writes(parse("files.remove(path)\n"))) == []
    assert len(list(volume_writes(parse("files.remove(path)\n", name)))) == 1
