"""What a fresh clone installs: the listed folders, the locked digests, the schemas, one version."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import airlift
from tests.arch.tree import FOLDER, ROOT

LOCKED_EXTRAS = ("dev", "hsm", "low")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_every_folder_is_installed_and_nothing_else() -> None:
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in FOLDER.rglob("*.py")}
    assert set(project()["tool"]["setuptools"]["packages"]) == found | {"airlift.manifests"}


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert version("airlift") == airlift.__version__


def test_the_schemas_are_found_once_installed() -> None:
    names = {item.name for item in files("airlift.manifests").iterdir()}
    assert "release.schema.json" in names


def test_the_lock_has_a_digest_for_every_line_and_no_address() -> None:
    entries = lock().replace("\\\n", " ").splitlines()
    pattern = re.compile(r"[a-z0-9-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [entry for entry in entries if not pattern.fullmatch(entry)] == []


def test_the_lock_covers_the_project() -> None:
    locked = {canonicalize_name(name) for name in re.findall(r"^([a-z0-9-]+)==", lock(), flags=re.MULTILINE)}
    described = project()["project"]
    wanted = [*described["dependencies"], *project()["build-system"]["requires"]]
    for extra in LOCKED_EXTRAS:
        wanted += described["optional-dependencies"][extra]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= locked


@pytest.mark.parametrize("line", [*project()["project"]["dependencies"]])
def test_the_installed_versions_are_in_range(line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(version(wanted.name), prereleases=True)


def test_no_private_key_is_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [name for name in listed.decode().split("\0") if name]
    assert [name for name in names if name.endswith(".key")] == []
    marker = re.compile(rb"^-----BEGIN (ENCRYPTED |EC |RSA )?PRIVATE KEY-----", flags=re.MULTILINE)
    paths = [ROOT / name for name in names]
    holding = [str(path) for path in paths if path.is_file() and marker.search(path.read_bytes())]
    assert holding == []


def test_the_standalone_verifier_is_kept_from_every_room() -> None:
    """The import rule lists them by hand, and lacked four."""
    (contract,) = [
        item
        for item in project()["tool"]["importlinter"]["contracts"]
        if item.get("source_modules") == ["airlift.verify"]
    ]
    rooms = {
        f"airlift.{path.stem}"
        for path in FOLDER.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert set(contract["forbidden_modules"]) == rooms - {
        "airlift.__init__",
        "airlift.__main__",
        "airlift.verify",
    }
