"""A hub on this machine that everything here asks."""

from collections.abc import Iterator

import pytest

from airlift.low.release.hub import patience
from tests.support.hub_server import HubServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty hub; waiting costs next to nothing."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(patience, "WAITS", (0.01,) * 5)
    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,127.0.0.2,localhost")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield found
