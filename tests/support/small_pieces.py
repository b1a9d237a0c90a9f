"""Releases that state pieces, of small files: pieces are made small for the time of a test, for both importers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airlift.bundle import release as releases
from tests.second.documents import release as second
from tests.support import weights
from tests.support.enclaves import KINDS, V1, world

PIECE = 48 << 10
"""How long a piece is, in bytes, in these tests: not what blocks are cut at."""

OLD = weights.weights(21, rows=512, columns=512)
NEW = weights.weights(21, rows=512, columns=512, changed=3000)
FOUR = {**V1, "base": {**V1["base"], "model.safetensors": OLD}}
FIVE = {**V1, "base": {**V1["base"], "model.safetensors": NEW}}
"""What the releases 4 and 5 hold; their model consists of many pieces, their guard is too small for any."""

VERSIONS = {"guard": "2.1"}
MORE: dict[str, Any] = {"versions": VERSIONS, "kinds": KINDS}


@contextmanager
def small_pieces() -> Iterator[None]:
    """Let pieces have :data:`PIECE` bytes meanwhile, but for what is made once for all tests."""
    world()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "PIECE_BYTES", PIECE)
        patch.setattr(second, "PIECE", PIECE)
        yield
