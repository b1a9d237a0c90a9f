"""A small world made once per session: a depot, bundles, enclaves in several states; tests work on copies."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import volume
from airlift.bundle.media_sizes import Medium
from airlift.errors import AirliftError
from airlift.high.activation.activate import activate
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.enclave.init import NewEnclave, init_enclave, root_fingerprint
from airlift.high.importing.import_bundle import ImportResult, import_bundle
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from airlift.low.bundle.withdraw import withdraw
from airlift.strict import format as canonical
from tests.support import keys, weights
from tests.support.depots import BUNDLER, NOW, Components, Site, make_site

LICENSE = b"the same file in two components\n"
RECORDED = {3, 5, 6}

V1: Components = {
    "base": {
        "model.safetensors": weights.weights(1, rows=512, columns=512),
        "nested/config.json": b'{"layers": 2}',
        "empty.txt": b"",
        "LICENSE": LICENSE,
    },
    "guard": {"guard.safetensors": weights.weights(5), "LICENSE": LICENSE},
}
V2: Components = {
    **V1,
    "base": {**V1["base"], "model.safetensors": weights.weights(1, rows=512, columns=512, changed=3000)},
}
V3: Components = {**V2, "guard": {**V1["guard"], "guard.safetensors": weights.weights(5, changed=9)}}
VERSIONS = {"1": {"guard": "2.1"}, "2": {"guard": "2.1"}, "3": {"guard": "2.2"}}
KINDS = {"guard": "guard"}


@dataclass(frozen=True, slots=True)
class World:
    """Bundles by name: folders of volumes. ``enclaves`` holds fresh, one (release 1 active), two (1 and 2)."""

    folder: Path
    bundles: Mapping[str, tuple[Path, ...]]

    @property
    def site(self) -> Site:
        """The low side as it was when all bundles had been made; do not change it."""
        return Site(self.folder / "site")


def operator(now: datetime = NOW) -> Operator:
    """Return who runs commands in these enclaves."""
    return Operator("tester", keys.signer("ledger"), now)


def fresh(folder: Path, site: Site, name: str = "alpha", **more: Any) -> Enclave:
    """Enrol an enclave that trusts the site's root."""
    root = more.pop("root", site.depot.root)
    who = more.pop("operator", None) or operator()
    new = NewEnclave(name, root, root_fingerprint(root), str(site.keys / "ledger.key"), **more)
    init_enclave(folder, new, operator=who)
    return open_enclave(folder)


@cache
def _made() -> tuple[tempfile.TemporaryDirectory[str], World]:
    place = tempfile.TemporaryDirectory(prefix="airlift-tests-")
    return place, _make(Path(place.name))


def world() -> World:
    """Return the session's world."""
    return _made()[1]


def _make(folder: Path) -> World:
    site = make_site(folder / "site")
    keys.write(site.keys, "ledger")
    for version, components in (("1", V1), ("2", V2), ("3", V3)):
        site.release(components, version, versions=VERSIONS[version], kinds=KINDS)
    medium = Medium(volume_bytes=1_700_000)
    made = {
        "full": site.bundle("assistant@1", "full", medium=medium),
        "delta": site.bundle("assistant@2", "delta", from_="assistant@1"),
        "next": site.bundle("assistant@3", "next", from_="assistant@1"),
        "bravo": site.bundle("assistant@1", "bravo", for_="bravo", from_="none"),
        "uncut": site.bundle("assistant@1", "uncut"),
        "step": site.bundle("assistant@3", "step", from_="assistant@2"),
        "last": site.bundle("assistant@2", "last", from_="assistant@1"),
    }
    withdraw(site.depot, made["delta"].bundle, signer=keys.signer(BUNDLER), now=NOW)
    made["renewal"] = renew(site.depot, Destination(folder / "renewal"), signer=keys.signer(BUNDLER), now=NOW)
    bundles = {name: tuple(item.path for item in result.volumes) for name, result in made.items()}
    base = fresh(folder / "enclaves" / "fresh", site)
    for name, chain in (("one", ("full",)), ("two", ("full", "delta"))):
        enclave = open_enclave(copy(base.folder, folder / "enclaves" / name))
        for step in chain:
            import_bundle(enclave, bundles[step], operator=operator(), activate=True)
    return World(folder, bundles)


def copy(source: Path, target: Path) -> Path:
    """Copy a folder with its hard links, links and modes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True)
    return target


def enclave(name: str, folder: Path) -> Enclave:
    """Return a copy of the enclave ``name`` (fresh, one, two)."""
    return open_enclave(copy(world().folder / "enclaves" / name, folder / f"enclave-{name}"))


def volumes(name: str, folder: Path) -> list[Path]:
    """Return writable copies of the volumes of a bundle."""
    places = [folder / f"media-{name}" / path.name for path in world().bundles[name]]
    for path, place in zip(world().bundles[name], places, strict=True):
        shutil.copytree(path, place)
    return places


def site(folder: Path) -> Site:
    """Return a copy of the low side."""
    return Site(copy(world().folder / "site", folder / "site"))


# -- what an attacker does -----------------------------------------------------------------------------------------


def flip(path: Path, offset: int) -> None:
    """Flip one bit of the byte at ``offset``; negative ones count from the end."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    overwrite(path, bytes(data))


def overwrite(path: Path, data: bytes) -> None:
    """Write a file of a volume, which is read-only, breaking hard links."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def files_of(folder: Path) -> list[str]:
    """Return the relative paths of the files of a volume."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def reseal(folder: Path, **claims: Any) -> None:
    """Write SHA256SUMS and volume.json anew so that they fit what lies there, as any attacker can."""
    paths = [path for path in files_of(folder) if path not in {volume.SUMS, volume.INDEX}]
    sums = {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths}
    lines = volume.format_sums(sums)
    chunks = [(folder / path).stat().st_size for path in paths if path.startswith(f"{volume.CHUNKS}/")]
    index = volume.parse_index((folder / volume.INDEX).read_bytes())
    document = {
        "airlift": 1,
        "type": "volume",
        **{name: getattr(index, name) for name in ("bundle", "manifest", "volume", "volumes")},
        "chunks": len(chunks),
        "chunk_bytes": sum(chunks),
        "sums": hashlib.sha512(lines).hexdigest(),
        **claims,
    }
    overwrite(folder / volume.SUMS, lines)
    overwrite(folder / volume.INDEX, canonical(document))


# -- what must hold ------------------------------------------------------------------------------------------------


def picture(folder: Path) -> dict[str, str]:
    """Return every path below ``folder`` with its mode and content: equal pictures mean that nothing changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            text = f"-> {path.readlink()}"
        elif path.is_file():
            text = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            text = "folder"
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {text}"
    return found


def served(place: Enclave) -> dict[str, str]:
    """Return what model servers may see: the active link, releases and content."""
    wanted = ("active", "releases", "content", "policy.yaml")
    return {path: text for path, text in picture(place.folder).items() if path.split("/")[0] in wanted}


@contextmanager
def refused(place: Enclave, error: type[AirliftError], exit_code: int) -> Iterator[list[AirliftError]]:
    """Check that the body fails like this, changes nothing that is served, and is recorded as it must be."""
    before, state, raised = served(place), place.state(), list[AirliftError]()
    with pytest.raises(error) as caught:
        yield raised
    raised.append(caught.value)
    assert isinstance(caught.value, error)
    assert caught.value.exit_code == exit_code
    assert served(place) == before
    after = place.state()
    assert (after.installed, after.active, after.bundles) == (state.installed, state.active, state.bundles)
    with place.ledger() as log:
        added = [entry for entry in log.entries(state.size) if entry.type != "abort"]
    if exit_code not in RECORDED:
        assert [entry.type for entry in added if entry.type == "import-reject"] == []
        return
    (entry,) = [entry for entry in added if entry.type == "import-reject"]
    assert entry.detail == {"code": caught.value.code, "exit": exit_code}
    assert (entry.release, entry.bundle) == (None, None)


def attempt(
    place: Enclave, paths: Sequence[Path], error: type[AirliftError], exit_code: int, **more: Any
) -> AirliftError:
    """Import and expect this refusal; return it."""
    more.setdefault("operator", operator())
    with refused(place, error, exit_code) as raised:
        import_bundle(place, paths, **more)
    return raised[0]


def take(place: Enclave, name: str, **more: Any) -> ImportResult:
    """Import a bundle of the world as it is."""
    more.setdefault("operator", operator())
    return import_bundle(place, world().bundles[name], **more)


def holds_release(place: Enclave, components: Components) -> bool:
    """Say whether ``active`` serves exactly these files."""
    expected = {f"{name}/{path}": data for name, files in components.items() for path, data in files.items()}
    top = place.active.resolve()
    found = {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}
    return found == expected


def switch_to(place: Enclave, reference: str) -> None:
    """Activate a release."""
    activate(place, reference, operator=operator())


def forget(folder: Path) -> None:
    """Remove a folder, read-only files included."""
    shutil.rmtree(folder)
