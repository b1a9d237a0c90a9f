"""What a fetch would bring is told, and nothing is written for it (SPEC L2.19)."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import AirliftError, DigestError, UncheckedError
from airlift.low.sources.fetch import fetch
from airlift.low.sources.foresee import Foreseen, foresee
from tests.support.depots import Site
from tests.support.web_server import Fault, WebServer
from tests.support.weights import weights

DATA = bytes(range(256)) * 4096
"""1 MiB."""


def pin(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def everything(top: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in top.rglob("*")}


@dataclass
class Desk:
    """Who asks what would come, and looks that nothing was written."""

    site: Site
    waited: list[float] = field(default_factory=list)

    def ask(self, source: dict[str, Any]) -> Foreseen:
        before = everything(self.site.folder)
        try:
            return foresee(self.site.depot, source, Path(), sleep=self.waited.append)
        finally:
            assert everything(self.site.folder) == before


@pytest.fixture
def desk(site: Site) -> Desk:
    return Desk(site)


@pytest.fixture
def one(server: WebServer) -> dict[str, Any]:
    server.files["/m/base.bin"] = DATA
    return {"https": f"{server.url}/m/base.bin", "digest": pin(DATA)}


def test_a_file_that_is_not_here(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    found = desk.ask(one)
    (item,) = found.coming
    assert (item.bytes, item.kept, item.to_come) == (len(DATA), 0, len(DATA))
    assert (item.wanted.url, str(item.wanted.pin)) == (one["https"], pin(DATA))
    assert item.file.parent == desk.site.depot.fetched
    assert found.stated == {"kind": "https", "url": one["https"]}
    assert server.heads == ["/m/base.bin"]
    fetch(desk.site.depot, one, Path())
    assert item.file.name.partition(".")[0] in [
        path.name.partition(".")[0] for path in item.file.parent.iterdir()
    ]


def test_a_file_of_which_a_part_is_here(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(cut=300_000), *[Fault(cut=0)] * 5]
    with pytest.raises(UncheckedError):
        fetch(desk.site.depot, one, Path(), sleep=desk.waited.append)
    (item,) = desk.ask(one).coming
    assert (item.bytes, item.kept, item.to_come) == (len(DATA), 300_000, len(DATA) - 300_000)
    assert item.file.stat().st_size == 300_000


def test_a_file_that_was_fetched(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    fetched = fetch(desk.site.depot, one, Path())
    (item,) = desk.ask(one).coming
    assert (item.bytes, item.to_come, item.file) == (len(DATA), 0, fetched.paths["base.bin"])
    assert server.heads == []


def test_a_file_that_a_release_has(desk: Desk, server: WebServer) -> None:
    desk.site.release({"base": {"model.safetensors": weights(1)}})
    depot = desk.site.depot
    (reference,) = depot.releases()
    _, file = next(iter(depot.load_release(reference.digest).files()))
    found = desk.ask({"https": f"{server.url}/any", "digest": f"sha512:{file.sha512}"})
    (item,) = found.coming
    assert (item.bytes, item.to_come, item.file) == (file.size, 0, depot.content.path(file.sha512))
    assert server.heads == []


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_does_not_tell(desk: Desk, server: WebServer, one: dict[str, Any], status: int) -> None:
    server.without_heads = status
    (item,) = desk.ask(one).coming
    assert (item.bytes, item.kept, item.to_come) == (None, 0, None)
    (item,) = desk.ask(one | {"bytes": len(DATA)}).coming
    assert item.to_come == len(DATA)


def test_a_server_that_leads_on_and_is_slow(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.faults["/m/base.bin"] = [Fault(status=503), Fault(status=302, headers={"Location": "/next"})]
    server.files["/next"] = DATA
    assert [item.bytes for item in desk.ask(one).coming] == [len(DATA)]
    assert (desk.waited, server.heads) == ([1.0], ["/m/base.bin", "/m/base.bin", "/next"])


def test_a_server_that_does_not_have_it(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    server.files.clear()
    with pytest.raises(AirliftError) as caught:
        desk.ask(one)
    assert caught.value.exit_code == 5


def test_a_server_that_has_another_length(desk: Desk, server: WebServer, one: dict[str, Any]) -> None:
    with pytest.raises(DigestError, match="length"):
        desk.ask(one | {"bytes": len(DATA) + 1})
