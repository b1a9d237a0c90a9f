"""Fixtures and hypothesis profiles that every test may use."""

import os
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.support import slow

# ci: the same examples on every run, so that a red build is about the change. fuzz: new ones, many of them.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("dev", deadline=None, max_examples=200)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")

SHARING_FOLDER = "AIRLIFT_SHARING_FOLDER"
"""The variable that names a folder on a file system whose files may share blocks."""

TOOL_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def find_tool(name: str) -> str:
    """Return the path of a program; skip the test without it, or fail when AIRLIFT_REQUIRE_TOOLS=1."""
    path = shutil.which(name, path=TOOL_PATH)
    if path is None:
        lacking(f"{name} is not installed")
    return path


def find_file(variable: str, name: str) -> Path:
    """Return the file that an environment variable names; skip or fail without it, as :func:`find_tool`."""
    path = Path(os.environ.get(variable, ""))
    if not path.is_file():
        lacking(f"{name} is not here; {variable} can name it")
    return path


def sharing_folder() -> Path:
    """Return a folder where files may share blocks; skip the test without it (not all kernels can)."""
    place = os.environ.get(SHARING_FOLDER)
    if not place or not Path(place).is_dir():
        pytest.skip(f"{SHARING_FOLDER} can name a folder on Btrfs, or on XFS with reflinks")
    return Path(place)


def lacking(reason: str) -> NoReturn:
    """Skip the test, or fail when AIRLIFT_REQUIRE_TOOLS=1."""
    if os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{reason}, and AIRLIFT_REQUIRE_TOOLS=1 asks for it", pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what tests/slow.txt lists."""
    for item in items:
        if slow.is_slow(item.nodeid):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Return :func:`find_tool`: ``require_tool("strace")`` is the path of strace, or the test does not run."""
    return find_tool


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hold imports that a test makes in this process against the second importer (tests/second)."""
    imports = item.nodeid.startswith("tests/cli/") or "airlift.high.importing.import_bundle" in sys.modules
    if not imports or item.nodeid.startswith(
        ("tests/crash/", "tests/second/", "tests/stateful/", "tests/steps/")
    ):
        return (yield)
    from tests.second import beside

    with beside.watched(item.nodeid):
        return (yield)
