"""Shards of a small release: how tests make them, join them, and say that it was wrong."""

from pathlib import Path

from airlift.bundle.media_sizes import Medium
from airlift.low.bundle.job import BundleRequest, Coding, Destination, Joined
from airlift.low.bundle.make_bundle import divisible, look_up, plan_bundle
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.sharding.division import Divisible, Share
from airlift.low.bundle.sharding.make_shard import ShardResult, make_shard
from airlift.low.bundle.sharding.shard_file import Place
from tests.support.depots import NOW, Site
from tests.support.rebuild import load_bundle
from tests.support.weights import noise, weights

SMALL = Medium(file_bytes=70_000)
"""Chunks so small that a release of a megabyte has dozens of blocks."""
DELTA = {"reference": "assistant@2", "from_": "assistant@1"}


def stack(changed: int = 0) -> dict[str, dict[str, bytes]]:
    """Return components whose delta has copies, changes, moved bytes, and what is new."""
    text = noise(9, 150_000)
    return {
        "base": {
            "model.safetensors": weights(1, rows=400, columns=512, changed=changed),
            "more.safetensors": weights(5, rows=100 + changed, columns=300, changed=changed),
            "config.json": b'{"changed": %d}' % changed,
            "empty.txt": b"",
        },
        "guard": {"guard.safetensors": weights(2), "words.txt": text[changed:] + text[:changed]},
    }


def stock(site: Site) -> Site:
    """Release the stack twice."""
    site.release(stack(), "1")
    site.release(stack(changed=50), "2")
    return site


def request(site: Site, output: Path, **more: object) -> BundleRequest:
    """Return the request for a delta of the stack."""
    fields = {"medium": SMALL, "from_": "assistant@1", "release": "assistant@2", "workers": 2, **more}
    return BundleRequest(
        fields["release"],  # type: ignore[arg-type]
        Destination(output, medium=fields["medium"]),  # type: ignore[arg-type]
        fields["from_"],  # type: ignore[arg-type]
        Coding(fields["workers"]),  # type: ignore[arg-type]
    )


def code(site: Site, number: int, of: int, shared: str = "shared", **more: object) -> ShardResult:
    """Code one shard of the delta."""
    asked = request(site, site.folder / shared, **more)
    return make_shard(site.depot, asked, Share(number, of), now=NOW)


def code_all(site: Site, of: int, shared: str = "shared", **more: object) -> list[ShardResult]:
    """Code all shards of the delta."""
    return [code(site, number, of, shared, **more) for number in range(1, of + 1)]


def join(site: Site, output: str = "out", shared: str = "shared", **more: object) -> BundleResult:
    """Join the shards of the delta."""
    joined = Joined(site.folder / shared, more.pop("of", None))  # type: ignore[arg-type]
    return site.bundle(**{**DELTA, "output": output, "medium": SMALL, "joined": joined, **more})  # type: ignore[arg-type]


def divided(site: Site, **more: object) -> Divisible:
    """Return the plan of the delta."""
    asked = request(site, site.folder, **more)
    subject = look_up(site.depot, asked)
    return divisible(plan_bundle(site.depot, subject), asked)


def place(site: Site, number: int, of: int, shared: str = "shared", **more: object) -> Place:
    """Return where a shard of the delta is."""
    return Place(site.folder / shared, divided(site, **more).digest(), Share(number, of))


def held(result: BundleResult) -> tuple[object, ...]:
    """Return what two bundles of the same content have in common: their manifests, but for sequence and time."""
    made = load_bundle(result.volumes[0].path)
    return (made.files, made.bases, made.chunks, made.target, made.baseline, made.packed, len(result.volumes))
