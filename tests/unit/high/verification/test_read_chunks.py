"""Chunks of a bundle for several enclaves: an enclave rebuilds, and judges by, its own (SPEC 6.2-10, 6.7-6)."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airlift import erasure
from airlift.bundle.fields import FileDigest
from airlift.bundle.parity.stripe import Stripe
from airlift.errors import DigestError, IncompleteError
from airlift.high.verification.read_chunks import ChunkReader

DATA = [bytes([number]) * 100 for number in range(3)]
OWN = 2


def digest(data: bytes) -> FileDigest:
    return FileDigest(hashlib.sha512(data).hexdigest(), len(data))


CHUNKS = tuple(map(digest, DATA))


def reader(parity: int, lost: dict[int, Exception], staged: Path) -> tuple[ChunkReader, Stripe]:
    """Return the reader of the enclave that takes the last of three chunks, and the stripe of all."""
    extra = [bytes(item) for item in erasure.encode(DATA, parity)]
    stripe = Stripe((0, 1, 2), tuple(map(digest, extra)))
    contents = {digest(data): data for data in (*DATA, *extra)}

    def read(item: FileDigest, *_more: object) -> bytes:
        for number, error in lost.items():
            if item == CHUNKS[number]:
                raise error
        return contents[item]

    mine = SimpleNamespace(
        has_chunk=lambda number: number == OWN,
        only=lambda digests: tuple(one for one in digests if one == CHUNKS[OWN].sha512),
        chunks=(CHUNKS[OWN],),
    )
    bundle = SimpleNamespace(chunks=CHUNKS, parity=(stripe,), all_chunks=(*CHUNKS, *stripe.parity))
    verified = SimpleNamespace(bundle=bundle, own=mine, lacking=(), read_chunk=read, chunk_paths={})
    return ChunkReader(cast("Any", verified), staged), stripe


def test_only_its_own_are_rebuilt(tmp_path: Path) -> None:
    """What broke: the lost chunks of others were rebuilt as well, staged, and told in the record."""
    lost: dict[int, Exception] = {0: IncompleteError("absent"), OWN: IncompleteError("absent")}
    made, _ = reader(2, lost, tmp_path / "staged")
    assert made.read(CHUNKS[OWN]) == DATA[OWN]
    assert made.repaired == [CHUNKS[OWN].sha512]
    assert len(list((tmp_path / "staged").iterdir())) == 1


@pytest.mark.parametrize(
    "ask", [lambda made, _stripe: made.read(CHUNKS[OWN]), lambda made, stripe: made.prove(stripe)]
)
def test_the_damage_of_others_does_not_decide(
    tmp_path: Path, ask: Callable[[ChunkReader, Stripe], object]
) -> None:
    """What broke: a damaged chunk of another enclave made `high verify` say 3, where an import said 4."""
    lost: dict[int, Exception] = {
        0: DigestError("damaged"), 1: DigestError("damaged"), OWN: IncompleteError("absent")
    }  # fmt: skip
    made, stripe = reader(1, lost, tmp_path / "staged")
    with pytest.raises(IncompleteError):
        ask(made, stripe)
