"""Content at rest: check finds what rotted, and repair rebuilds it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from airlift.errors import (
    BaselineError,
    ContentDamagedError,
    IncompleteError,
    NotHeldError,
    ProvenBadError,
)
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.repair import repair
from tests.support import forge
from tests.support.enclaves import (
    V1,
    V2,
    enclave,
    flip,
    forget,
    holds_release,
    operator,
    overwrite,
    picture,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

MODEL = V1["base"]["model.safetensors"]
DIGEST = forge.digest(MODEL).sha512


def damaged(place: Enclave) -> list[str]:
    with pytest.raises(ContentDamagedError) as caught:
        check_content(place)
    assert caught.value.exit_code == 3
    assert caught.value.found is not None
    assert " of assistant@" in caught.value.found, "a digest told nobody which file was damaged"
    found: list[str] = list(caught.value.data["damaged"])
    return found


def rot(place: Enclave, path: str) -> Path:
    """Flip a bit of an installed file in place, as a disk does: all its hard links show it."""
    target = place.active / path
    target.chmod(0o644)
    with target.open("r+b") as file:
        file.seek(5)
        file.write(b"\xff")
    return target


def test_rot_is_found_and_repaired(tmp_path: Path) -> None:
    """A file at rest that no longer has its digest, rebuilt from the bundle that brought it."""
    place = enclave("one", tmp_path)
    rot(place, "base/model.safetensors")
    assert damaged(place) == [DIGEST]
    before = picture(place.folder)
    assert repair(place, world().bundles["full"], operator=operator(), dry_run=True).repaired == (DIGEST,)
    assert picture(place.folder) == before
    result = repair(place, world().bundles["full"], operator=operator())
    assert (result.damaged, result.repaired) == ((DIGEST,), (DIGEST,))
    check_content(place)
    assert holds_release(place, V1)
    assert (place.active / "base/model.safetensors").stat().st_ino == place.content.path(DIGEST).stat().st_ino
    assert list(place.staging.iterdir()) == []
    assert repair(place, world().bundles["full"], operator=operator()).repaired == ()


@pytest.mark.parametrize("how", ["copy", "missing", "symlink", "content gone", "folder gone", "tree gone"])
def test_other_damage(tmp_path: Path, how: str) -> None:
    """A broken hard link (a copy that differs), missing files and folders, links in their place."""
    place = enclave("one", tmp_path)
    target = place.active.resolve() / "base" / "model.safetensors"
    if how == "copy":
        overwrite(target, MODEL[:-1] + b"x")
    elif how == "content gone":
        place.content.path(DIGEST).unlink()
    elif how == "folder gone":
        forget(target.parent)
    elif how == "tree gone":
        forget(place.active.resolve())
    else:
        target.unlink()
        if how == "symlink":
            target.symlink_to(place.content.path(DIGEST))
    assert DIGEST in damaged(place)
    repair(place, world().bundles["full"], operator=operator())
    check_content(place)
    assert holds_release(place, V1)


def test_a_file_where_a_folder_was_is_damage(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    folder = place.active.resolve() / "base"
    forget(folder)
    folder.write_bytes(b"x")
    assert DIGEST in damaged(place)


def test_a_delta_repairs_its_file_from_its_base(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    rot(place, "base/model.safetensors")
    repair(place, world().bundles["delta"], operator=operator())
    check_content(place)
    assert holds_release(place, V2)


def test_what_the_bundle_does_not_hold_is_left(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    rot(place, "guard/guard.safetensors")
    rot(place, "base/model.safetensors")
    with pytest.raises(ContentDamagedError) as caught:
        repair(place, world().bundles["delta"], operator=operator())
    assert list(caught.value.data["damaged"]) == [forge.digest(V1["guard"]["guard.safetensors"]).sha512]
    assert list(caught.value.data["repaired"]) == [forge.digest(V2["base"]["model.safetensors"]).sha512]
    repair(place, world().bundles["full"], operator=operator())
    assert holds_release(place, V2)


def test_a_delta_whose_base_is_gone_repairs_nothing(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    rot(place, "base/model.safetensors")
    place.content.path(DIGEST).unlink()
    with pytest.raises(BaselineError):
        repair(place, world().bundles["delta"], operator=operator())


def test_only_committed_bundles_repair(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    rot(place, "base/model.safetensors")
    with pytest.raises(NotHeldError):
        repair(place, world().bundles["uncut"], operator=operator())
    with pytest.raises(IncompleteError):
        repair(place, world().bundles["full"][1:], operator=operator())
    assert damaged(place) == [DIGEST]


def test_files_that_somebody_added(tmp_path: Path) -> None:
    """Broke: Python code laid into a model's folder was not found, though a model server may run it."""
    place = enclave("one", tmp_path)
    top = place.active.resolve()
    (top / "base" / "modeling.py").write_text("import os\n")
    (top / "link").symlink_to("/")
    looks: list[Callable[[], object]] = [
        lambda: check_content(place),
        lambda: repair(place, world().bundles["full"], operator=operator()),
    ]
    for look in looks:
        with pytest.raises(ContentDamagedError) as caught:
            look()
        found = [path.split("/", 2)[2] for path in caught.value.data["unlisted"]]
        assert found == ["base/modeling.py", "link"]
    (top / "base" / "modeling.py").unlink()
    (top / "link").unlink()
    check_content(place)


def test_repair_from_a_damaged_medium(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    rot(place, "base/model.safetensors")
    from tests.support.enclaves import volumes

    paths = volumes("full", tmp_path)
    flip(next((paths[0] / "chunks").iterdir()), 9)
    with pytest.raises(ProvenBadError):
        repair(place, paths, operator=operator())
    assert damaged(place) == [DIGEST]
