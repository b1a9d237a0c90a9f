"""Whatever a signed chunk says, rebuilding from it ends in the signed bytes or in an AirliftError (SPEC C2, 6.3).

Any codec beside any element, 0 to 4 sources of any lengths, and payloads that are good, damaged or nonsense, through
the importer's own way from chunk to file, on every path of the kernel. Each path has a process of its own, in which
warnings are errors.
"""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import cast

import pytest

from airlift import codec, files
from airlift.bundle import chunk
from airlift.bundle.chunk import BUILT, Block, Source
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own, whole
from airlift.codec.decoding import CODECS
from airlift.codec.ulp import kernel
from airlift.errors import DigestError, FormatTooNewError, MalformedError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing.rebuild import Task, rebuild
from airlift.high.verification.read_chunks import ChunkReader
from airlift.progress import silent
from airlift.tensors.element import Element
from tests.fuzz.conftest import Recorder
from tests.fuzz.mutate import damaged
from tests.fuzz.test_parsers import conversions, narrowed, plain, predicted
from tests.support.bundle_values import BUNDLE

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "3")) / len(kernel.names())
FIRST = bytes(range(256)) * 2
"""The first file of every bundle, which blocks of the second may read."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A block of one file, with the bytes of its sources; ``target`` is what it should decode to, if anything."""

    codec: int
    element: int
    length: int
    payload: bytes
    sources: tuple[bytes, ...]
    target: bytes | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What stands for the reader of a bundle: its manifest, and one chunk in memory."""

    bundle: Bundle
    data: bytes

    @property
    def own(self) -> Own:
        """All of it."""
        return whole(self.bundle)

    def read(self, _item: FileDigest) -> bytes:
        """Return the chunk."""
        return self.data


# -- what a chunk may say ------------------------------------------------------------------------------------------


def good() -> list[Coded]:
    """Return blocks of every codec that decode."""
    made = [Coded(0, 0, 5, b"bytes", (), b"bytes"), Coded(1, 0, 5, b"", (b"bytes",), b"bytes")]
    makers = [partial(plain, 2), partial(plain, 3), partial(plain, 4)]
    makers += [partial(predicted, 5), partial(predicted, 6), partial(narrowed, 7), partial(conversions, 8)]
    for case in (case for maker in makers for case in maker()):
        number, element, length = cast("partial[None]", case.feed).args
        payload, *sources = case.parts
        target = bytes(codec.decode(number, payload, sources, length, element))
        made.append(Coded(number, element, length, payload, tuple(sources[: CODECS[number].sources]), target))
    return made


def changed(item: Coded, others: Sequence[Coded], random_: random.Random) -> Coded:
    """Return a block that says something else in one way or more."""
    for _ in range(random_.choice([1, 1, 1, 2, 3])):
        item = replace(random_.choice(CHANGES)(item, random_.choice(others), random_), target=None)
    return item


def _payload(item: Coded, other: Coded, random_: random.Random) -> Coded:
    match random_.randrange(6):
        case 0:
            return replace(item, payload=other.payload)
        case 1:
            return replace(item, payload=random_.randbytes(random_.choice([0, 1, 4, 24, 200])))
        case _:
            return replace(item, payload=damaged(item.payload, other.payload, random_))


def _sources(item: Coded, other: Coded, random_: random.Random) -> Coded:
    pool = [
        *item.sources,
        *other.sources,
        b"\0" * item.length,
        random_.randbytes(item.length),
        b"\xff",
        b"ab",
    ]
    pool += [source[:-1] for source in item.sources] + [source + b"\0" for source in item.sources]
    pool += [damaged(source, b"", random_) for source in item.sources]
    kept = [source for source in pool if source]
    if random_.random() < 0.5:
        return replace(item, sources=(*item.sources, *random_.choices(kept, k=random_.randrange(1, 4)))[:4])
    return replace(item, sources=tuple(random_.choices(kept, k=random_.randrange(5))))


def _length(item: Coded, other: Coded, random_: random.Random) -> Coded:
    near = item.length + random_.choice([-2, -1, 1, 2, 4])
    return replace(
        item, length=max(1, random_.choice([near, near, 1, 2 * item.length, other.length, 1 << 16]))
    )


def _codec(item: Coded, other: Coded, random_: random.Random) -> Coded:
    return replace(item, codec=random_.choice([*CODECS, *CODECS, other.codec, 9, 255]))


def _element(item: Coded, _other: Coded, random_: random.Random) -> Coded:
    return replace(item, element=random_.choice([*Element, *Element, 20, 31, 57, 255]))


CHANGES: tuple[Callable[[Coded, Coded, random.Random], Coded], ...] = (
    _payload, _payload, _sources, _sources, _length, _codec, _element
)  # fmt: skip


def given(item: Coded, enclave: Enclave, random_: random.Random) -> Given:
    """Return a bundle of two files whose second is that block, after writing the bases that it reads."""
    bases = {hashlib.sha512(data).hexdigest(): data for data in item.sources}
    for digest, data in bases.items():
        path = enclave.content.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    data = chunk_of(item, list(bases.values()), random_)
    signed = "b" * 128 if item.target is None else hashlib.sha512(item.target).hexdigest()
    made = replace(
        BUNDLE,
        bases=tuple(FileDigest(digest, len(data)) for digest, data in bases.items()),
        files=(FileDigest(hashlib.sha512(FIRST).hexdigest(), len(FIRST)), FileDigest(signed, item.length)),
        chunks=(FileDigest("c" * 128, len(data)),),
    )
    return Given(made, data)


def chunk_of(item: Coded, bases: list[bytes], random_: random.Random) -> bytes:
    """Return a chunk of the first file and that block; the table of one in ten is damaged as well."""
    sources = tuple(Source(bases.index(data), 0, len(data)) for data in item.sources)
    if item.target is None and random_.random() < 0.1:
        sources = (*sources, Source(BUILT, random_.randrange(8), min(item.length, 500)))[-4:]
    block = Block(1, 0, item.length, item.codec, item.element, sources, item.payload)
    data = chunk.format([Block(0, 0, len(FIRST), 0, 0, (), FIRST), block])
    end = len(data) - len(FIRST) - len(item.payload)
    if item.target is None and random_.random() < 0.1:
        return damaged(data[:end], data, random_) + data[end:]
    return data


# -- the importer's way --------------------------------------------------------------------------------------------


def take(item: Coded, random_: random.Random) -> str:
    """Rebuild from a chunk as an import does; return the code of the error, or ``ok``."""
    with tempfile.TemporaryDirectory() as name:
        enclave = Enclave(Path(name), "alpha", "")
        made = given(item, enclave, random_)
        todo, built = {found.sha512 for found in made.bundle.files}, files.make_folder(Path(name) / "built")
        try:
            task = Task(todo, built)
            rebuild(enclave, cast("ChunkReader", made), task, silent, expected=Expected(), workers=1)
        except (MalformedError, DigestError, FormatTooNewError) as error:
            return error.code
        for digest in todo:
            assert hashlib.sha512((built / digest).read_bytes()).hexdigest() == digest
        return "ok"


@pytest.mark.parametrize("name", kernel.names())
def test_no_chunk_ends_in_anything_but_an_airlift_error(name: str, count: Recorder) -> None:
    """Broke: a copy with two sources, validly signed, was a ValueError and exit 1."""
    seed = int.from_bytes(os.urandom(4), "big") if "FUZZ_SECONDS" in os.environ else 1
    words = [sys.executable, "-W", "error", "-m", "tests.fuzz.test_chunks", str(SECONDS), str(seed)]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=os.environ | {"AIRLIFT_KERNEL": name},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 120,
    )
    assert done.returncode == 0, f"{name}, seed {seed}: {done.stderr[-4000:]}"
    count(f"chunks, {name}", done.stdout, r"(\d+) chunks, (\d+) refused")
    sys.stdout.write(f"{name}, seed {seed}: {done.stdout}")


LEAST = 400
"""Enough that each outcome is seen; on a quiet machine they take less than the time that is given."""


def main() -> None:
    """Fuzz for SECONDS with SEED, however slow the machine is at least LEAST chunks."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    random_, cases, count = random.Random(seed), good(), Counter[str]()
    os.fsync = lambda fd: None  # nothing here has to outlive a crash
    for item in cases:
        assert take(item, random_) == "ok", item
    end = monotonic() + seconds
    while monotonic() < end or sum(count.values()) < LEAST:
        item = changed(random_.choice(cases), cases, random_)
        try:
            count[take(item, random_)] += 1
        except BaseException:
            sys.stderr.write(f"{item}\n")
            raise
    assert count["malformed"] > 10
    assert count["format-too-new"] > 1
    sys.stdout.write(
        f"{kernel.default().name}: {count.total()} chunks, {count.total() - count['ok']} refused, "
        f"{dict(sorted(count.items()))}\n"
    )


if __name__ == "__main__":
    main()
