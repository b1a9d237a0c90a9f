"""The file of a shard: every byte of a small one flipped, every length cut, with and without a digest of its own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlift.errors import AirliftError, ProvenBadError, UsageError
from airlift.low.bundle.encode import Encoded
from airlift.low.bundle.job import Coding, Joined
from airlift.low.bundle.sharding.division import Divisible, Share, parse_share
from airlift.low.bundle.sharding.join import find_shards
from airlift.low.bundle.sharding.shard_format import DIGEST_BYTES
from airlift.low.depot.digest_cache import DigestCache
from tests.support.depots import NOW, Site, signed_site
from tests.support.shards import code, divided, place
from tests.support.weights import noise

COMPLETE = {"release": "assistant@1", "from_": "none"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A release of two small files, and its one shard."""
    site = signed_site(tmp_path_factory.mktemp("small"))
    site.release({"base": {"a.txt": b"again and again " * 20, "b.txt": noise(3, 40)}}, "1")
    code(site, 1, 1, **COMPLETE)
    return site


@pytest.fixture(scope="module")
def plan(site: Site) -> Divisible:
    return divided(site, **COMPLETE)


@pytest.fixture
def shard(site: Site, tmp_path: Path) -> Iterator[Path]:
    path = place(site, 1, 1, **COMPLETE).path
    before = path.read_bytes()
    path.chmod(0o644)
    yield path
    path.write_bytes(before)


def joined(site: Site, plan: Divisible) -> list[Encoded]:
    """Return what a join takes from the shards."""
    cache = DigestCache(site.depot, NOW, {})
    return list(
        find_shards(plan, Joined(site.folder / "shared")).join(cache, Coding(1), read=lambda _count: None)
    )


def outcome(site: Site, plan: Divisible) -> list[Encoded] | AirliftError:
    try:
        return joined(site, plan)
    except AirliftError as error:
        return error


def test_every_byte_flipped(site: Site, plan: Divisible, shard: Path) -> None:
    data = shard.read_bytes()
    for place_ in range(len(data)):
        shard.write_bytes(data[:place_] + bytes([data[place_] ^ 0xFF]) + data[place_ + 1 :])
        with pytest.raises(ProvenBadError, match="shard 1 of 1 is wrong") as caught:
            joined(site, plan)
        assert caught.value.data["shard"] == 1


def test_every_byte_flipped_and_its_digest_made_anew(site: Site, plan: Divisible, shard: Path) -> None:
    """A worker can do that: what is taken then still decodes to the targets."""
    data, taken = shard.read_bytes()[:-DIGEST_BYTES], 0
    right = [(item.file, item.segment) for item in joined(site, plan)]
    for place_ in range(len(data)):
        changed = data[:place_] + bytes([data[place_] ^ 0x55]) + data[place_ + 1 :]
        shard.write_bytes(changed + hashlib.sha512(changed).digest())
        found = outcome(site, plan)
        if isinstance(found, AirliftError):
            assert (found.exit_code, found.data["shard"]) == (3, 1)
        else:
            taken += 1
            assert [(item.file, item.segment) for item in found] == right
    assert taken < len(data) / 10


def test_every_length(site: Site, plan: Divisible, shard: Path) -> None:
    data = shard.read_bytes()
    for other in [data[:length] for length in range(len(data))] + [data + b"\0", data + data]:
        shard.write_bytes(other)
        with pytest.raises(ProvenBadError, match="shard 1 of 1 is wrong"):
            joined(site, plan)


@pytest.mark.parametrize("text", ["1/1", "3/8", "4096/4096"])
def test_shares(text: str) -> None:
    share = parse_share(text)
    assert f"{share.number}/{share.of}" == text
    assert share == Share(*map(int, text.split("/")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "1",
        "1/",
        "/1",
        "0/1",
        "2/1",
        "1/0",
        "01/2",
        "1/4097",
        "-1/2",
        "1/2/3",
        "1 /2",
        "\u0661/\u0662",
        "1/2\n",
        "9" * 99,
    ],
)
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match="names no shard"):
        parse_share(text)
