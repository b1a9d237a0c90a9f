"""Every bit of a bundle of 64 KiB flipped, and every file of it cut at every length: not one is accepted.

``AIRLIFT_BITS=all`` tries all of them, one after the other; else it is a sample, with the same places each time. Keys
are ECDSA P-384: the metadata of ML-DSA-87 alone is longer than 64 KiB.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest

from airlift.bundle import volume
from airlift.errors import AirliftError
from airlift.high.enclave.enclave import Enclave, open_enclave
from airlift.high.enclave.init import NewEnclave, init_enclave, root_fingerprint
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.verification.read_chunks import ChunkReader
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.ledger.state import State
from airlift.low.authority.init import Authorities, init
from airlift.low.authority.members import NamedRole
from airlift.low.depot.depot import open_depot
from airlift.low.release.make_release import make_release
from tests.support import keys, weights
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site
from tests.support.enclaves import files_of, operator

ALL = os.environ.get("AIRLIFT_BITS") == "all"
SIZE, SLACK = 64 << 10, 2 << 10
BITS, LENGTHS, IMPORTS = 2400, 400, 25
"""How many of each a sample has."""
EXITS = {"3", "7"}
"""Proven bad, or of a format that is not known."""
CONFIG = b'{"layers": 2}'


@dataclass(frozen=True, slots=True)
class Bench:
    """A volume that may be written, an enclave that can verify it, and what verifying it gives while it is good."""

    folder: Path
    enclave: Enclave
    state: State
    good: VerifiedBundle

    def files(self) -> list[Path]:
        """Return the files of the volume."""
        return [self.folder / path for path in files_of(self.folder)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield make(tmp_path_factory.mktemp("bits"))


def make(folder: Path) -> Bench:
    """Make a bundle of 64 KiB: first a small one, to see how much there is beside the model."""
    keys.write(folder / "keys", "ledger")
    small = _made(folder / "small", weights.noise(1, 1000))
    rest = sum(path.stat().st_size for path in small.rglob("*") if path.is_file()) - 1000
    made = _made(folder / "made", weights.noise(2, SIZE - rest + SLACK // 2))
    for path in made.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    root = open_depot(folder / "made" / "depot").root
    new = NewEnclave("alpha", root, root_fingerprint(root), str(folder / "keys" / "ledger.key"))
    init_enclave(folder / "enclave", new, operator=operator())
    enclave = open_enclave(folder / "enclave")
    state = enclave.state()
    return Bench(made, enclave, state, verify_bundle(enclave, [made], state, NOW))


def _made(folder: Path, model: bytes) -> Path:
    """Return the only volume of the only bundle of a depot whose keys are short."""
    site, names, scheme = Site(folder), (*ROOTS, *RELEASERS, BUNDLER), "ecdsa-p384"
    keys.write(site.keys, *names, scheme=scheme)
    who = {name: keys.signer(name, scheme) for name in names}
    paths = {name: site.keys / f"{name}.key" for name in names}
    root, release = (NamedRole([paths[name] for name in members], 2) for members in (ROOTS, RELEASERS))
    init(folder / "depot", Authorities(root, release, paths[BUNDLER]), now=NOW)
    manifest = site.manifest({"base": {"model.bin": model, "config.json": CONFIG}})
    make_release(site.depot, manifest, signers=[who[name] for name in RELEASERS[:2]], now=NOW)
    return site.bundle("assistant@1", signer=who[BUNDLER]).volumes[0].path


# -- what is tried -------------------------------------------------------------------------------------------------


def outcome(bench: Bench, path: Path) -> str:
    """Return the exit code and the code of the error that verifying gives, ``accepted`` if it gives none.

    Verifying reads no chunk before the bundle is verified, and then each by itself, so for a chunk only the latter is
    done over; that an import refuses the same is tried on a sample.
    """
    try:
        verified = bench.good if path.parent.name == volume.CHUNKS else verified_bundle(bench)
        reader = ChunkReader(verified, bench.enclave.staging_path(verified.digest), keep=False)
        for chunk in verified.bundle.chunks:
            reader.read(chunk)
    except AirliftError as error:
        return f"{error.exit_code} {error.code}"
    return "accepted"


def verified_bundle(bench: Bench) -> VerifiedBundle:
    return verify_bundle(bench.enclave, [bench.folder], bench.state, NOW)


def imported(bench: Bench, _path: Path) -> str:
    """Return the exit code and the code of the error that a whole import gives, ``accepted`` if it gives none."""
    try:
        import_bundle(bench.enclave, [bench.folder], operator=operator())
    except AirliftError as error:
        return f"{error.exit_code} {error.code}"
    return "accepted"


Judge = Callable[[Bench, Path], str]


def flipped(bench: Bench, bits: Iterable[tuple[Path, int]], judge: Judge) -> Counter[str]:
    """Flip one bit at a time, and back."""
    found = Counter[str]()
    for path, places in groupby(bits, key=itemgetter(0)):
        good = path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for _, bit in places:
                os.pwrite(file.fileno(), bytes([good[bit >> 3] ^ 1 << (bit & 7)]), bit >> 3)
                found[judge(bench, path)] += 1
                os.pwrite(file.fileno(), good[bit >> 3 : (bit >> 3) + 1], bit >> 3)
    return found


def cut(bench: Bench, lengths: Iterable[tuple[Path, int]], judge: Judge) -> Counter[str]:
    """Cut a file off at one length at a time, and restore it."""
    found = Counter[str]()
    for path, places in groupby(lengths, key=itemgetter(0)):
        good = path.read_bytes()
        for _, length in places:
            path.write_bytes(good[:length])
            found[judge(bench, path)] += 1
        path.write_bytes(good)
    return found


def chosen(places: Sequence[tuple[Path, int]], number: int) -> Sequence[tuple[Path, int]]:
    """Return all places or a sample of them, in order; a sample has more of volume.json, which no digest covers."""
    if ALL:
        return places
    index = [place for place in places if place[0].name == volume.INDEX]
    random_ = random.Random(1)
    return sorted({*random_.sample(places, number), *random_.sample(index, min(len(index), number // 10))})


def bits(bench: Bench) -> list[tuple[Path, int]]:
    return [(path, bit) for path in bench.files() for bit in range(8 * path.stat().st_size)]


def lengths(bench: Bench) -> list[tuple[Path, int]]:
    return [(path, length) for path in bench.files() for length in range(path.stat().st_size)]


# -- none is accepted ----------------------------------------------------------------------------------------------


@pytest.mark.timeout(0 if ALL else 300)
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_no_damage_of_a_small_bundle_is_accepted(bench: Bench, damage: str) -> None:
    """Threat: bit-flipped, truncated and zero-byte chunks, metadata, manifests, labels and lists of digests."""
    assert SIZE <= sum(path.stat().st_size for path in bench.files()) < SIZE + SLACK
    places, change, number = (bits, flipped, BITS) if damage == "flipped" else (lengths, cut, LENGTHS)
    tried = chosen(places(bench), number)
    found = change(bench, tried, outcome)
    sys.stdout.write(
        f"{damage}: {sum(found.values())} of {len(places(bench))}, {dict(sorted(found.items()))}\n"
    )
    assert found.total() == len(tried)
    assert {code.split()[0] for code in found} <= EXITS
    assert outcome(bench, bench.folder / volume.INDEX) == "accepted"


def test_an_import_refuses_the_same(bench: Bench) -> None:
    random_ = random.Random(2)
    for places, change in ((bits, flipped), (lengths, cut)):
        tried = sorted(random_.sample(places(bench), IMPORTS))
        found = change(bench, tried, imported)
        assert found.total() == len(tried)
        assert {code.split()[0] for code in found} <= EXITS
    assert bench.enclave.state().installed == ()
    assert imported(bench, bench.folder) == "accepted"
    held = {path.read_bytes() for path in (bench.enclave.folder / "content").rglob("*") if path.is_file()}
    assert CONFIG in held
    assert bench.enclave.state().installed
