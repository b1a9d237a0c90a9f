"""The chunks of a bundle (6.4-5, 6.7, 7.8): from staging, from volumes, and from parity what neither has."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tests.second.codecs import erasure
from tests.second.enclave import Enclave
from tests.second.errors import Refused, demand
from tests.second.reader import Media

MISSING = "volumes-missing"

WORST = ("unreadable", "digest-mismatch", MISSING)
"""What an import without parity ends with if chunks are missing, and others are bad: the first of these [7.8-1]."""


def collect(enclave: Enclave, media: Media) -> Iterator[bytes]:
    """Return the data chunks that are to be read, verified, in order; all are at hand before the first is decoded.

    Raises:
        Refused: ``unreadable``, ``digest-mismatch``, or ``volumes-missing``.
    """
    chunks = media.whole["chunks"]
    own = media.manifest.get("numbers", {"chunks": range(len(chunks))})["chunks"]
    found = {number: _find(enclave, media, chunks[number]) for number in own}
    codes = {number: code for number, code in found.items() if isinstance(code, str)}
    rebuilt: dict[int, bytes] = {}
    stripes = [_Stripe(enclave, media, one) for one in media.whole.get("parity", {"stripes": []})["stripes"]]
    broken = [stripe for stripe in stripes if codes.keys() & stripe.data]
    demand(not any(stripe.is_missing() for stripe in broken), "chunks are missing [6.7-6]", MISSING)
    for stripe in broken:
        for number in codes.keys() & stripe.data:
            restored = stripe.restore(number)
            if isinstance(restored, str):
                codes[number] = restored
            else:
                rebuilt[number] = restored
    lost = [code for number, code in codes.items() if number not in rebuilt]
    if lost:
        mixed = MISSING in lost and not stripes
        raise Refused(min(lost, key=WORST.index) if mixed else lost[0], f"{len(lost)} chunks are lost")
    return (rebuilt.get(number) or _again(enclave, media, chunks[number]) for number in own)


def _find(enclave: Enclave, media: Media, chunk: dict[str, Any]) -> bytes | str:
    """Return a chunk that has its signed digest, or the code of what is wrong with it [6.7-5]."""
    staged = enclave.staged_chunk(media.digest, chunk["sha512"])
    if staged is not None:
        return staged
    try:
        data = media.chunk(chunk["sha512"], chunk["size"])
    except Refused as refused:
        return refused.code
    return MISSING if data is None else data


def _again(enclave: Enclave, media: Media, chunk: dict[str, Any]) -> bytes:
    data = _find(enclave, media, chunk)
    if isinstance(data, str):
        raise Refused(data, "a chunk that was there before")
    return data


class _Stripe:
    """A stripe, and what can be found of its members."""

    def __init__(self, enclave: Enclave, media: Media, stripe: dict[str, Any]) -> None:
        self.data: list[int] = stripe["data"]
        self._chunks = [media.whole["chunks"][number] for number in self.data]
        self._parity: list[dict[str, Any]] = stripe["parity"]
        self._enclave, self._media = enclave, media

    @cached_property
    def found(self) -> list[bytes | str]:
        """The members, or what is wrong with them."""
        members = [*self._chunks, *self._parity]
        return [_find(self._enclave, self._media, member) for member in members]

    def is_missing(self) -> bool:
        """Tell whether data is absent, and too much to be rebuilt whatever is damaged [6.7-6]."""
        there = sum(member != MISSING for member in self.found)
        return MISSING in self.found[: len(self.data)] and there < len(self.data)

    def restore(self, number: int) -> bytes | str:
        """Return a lost data chunk, or the code of why it is lost for good [6.7-4] [6.7-6]."""
        k, place = len(self.data), self.data.index(number)
        members = {at: member for at, member in enumerate(self.found) if isinstance(member, bytes)}
        if len(members) < k:
            own = str(self.found[place])
            return MISSING if len(members) + self.found.count(MISSING) >= k else own
        whole = erasure.decode(members, k, len(self._parity), self._parity[0]["size"])
        pairs = zip(whole, self._chunks, strict=True)
        cut = [data[: chunk["size"]] for data, chunk in pairs]
        same = all(
            hashlib.sha512(data).hexdigest() == chunk["sha512"]
            for data, chunk in zip(cut, self._chunks, strict=True)
        )
        return cut[place] if same else "digest-mismatch"
