"""What makes thousands of steps quick: nothing is synced, and what a pure function of bytes said is remembered."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import pytest

from airlift.bundle import release
from airlift.ledger import entry
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import statement
from airlift.trust.tuf import metadata

REMEMBERED = 20_000


@contextmanager
def quick() -> Iterator[None]:
    """Skip fsync (tests/crash is about power cuts), and do not parse or verify the same bytes again."""
    verify = PublicKey.verify
    verified: set[tuple[bytes, bytes, bytes]] = set()

    def verify_once(key: PublicKey, signature: bytes, message: bytes) -> None:
        asked = (key.spki, signature, message)
        if asked not in verified:
            verify(key, signature, message)  # what is bad raises, and is not remembered
            verified.add(asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setattr(PublicKey, "verify", verify_once)
        for module in (release, entry, statement):
            patch.setattr(module, "parse", lru_cache(REMEMBERED)(module.parse))
        patch.setattr(metadata, "check", lru_cache(REMEMBERED)(metadata.check))
        patch.setattr(PublicKey, "from_pem", lru_cache(REMEMBERED)(PublicKey.from_pem))
        yield
