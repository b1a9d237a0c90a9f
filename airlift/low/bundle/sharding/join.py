"""Join what others coded: hold it against the plan, decode it, and hand it on in the order of the plan (SPEC L4.21).

Nobody who wrote a shard is trusted. Where a block does not decode to the target it is asked first whether the depot
is as it was: only then it is the shard that is wrong.
"""

from collections.abc import Generator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from airlift.errors import FormatTooNewError, PartsMissingError, ProvenBadError
from airlift.low.bundle.content_reader import changed
from airlift.low.bundle.encode import Encoded, Turn, encode
from airlift.low.bundle.job import Coding, Joined
from airlift.low.bundle.sharding import shard_file
from airlift.low.bundle.sharding.division import Divisible, Run, Share
from airlift.low.bundle.sharding.shard_file import Place
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import DigestCache
from airlift.store.content import CountBytes

SHOWN = 8
"""So many numbers of missing shards are shown; all are in the data."""


@dataclass(frozen=True, slots=True)
class Shards:
    """All shards of a plan, whose heads and tables are what the plan says; ``parts`` are in order."""

    divided: Divisible
    parts: tuple[tuple[Place, Run], ...]

    def join(self, cache: DigestCache, coding: Coding, *, read: CountBytes) -> Generator[Encoded, None, None]:
        """Yield every block of the plan as the shards have it; ``read`` is told of the target bytes done.

        Raises:
            ProvenBadError: a shard is not what it must be, or the depot has changed.
            UncheckedError: something cannot be read.
        """
        done, plan, limits = 0, self.divided.plan, self.divided.limits
        with closing(encode(plan, cache, limits, coding, read=read, turns=self._turns())) as items:
            while True:
                try:
                    item = next(items)
                except StopIteration:
                    return
                except (ProvenBadError, FormatTooNewError) as error:
                    if "shard" in error.data:
                        raise
                    raise self._blame(cache.depot, done, error) from error
                done += 1
                yield item

    def _turns(self) -> Iterator[Turn]:
        blocks = self.divided.blocks()
        for place, run in self.parts:
            for file, block, coded in shard_file.read_shard(place, run, islice(blocks, run.blocks)):
                yield Turn(file, block, coded)

    def _blame(self, depot: Depot, number: int, error: ProvenBadError | FormatTooNewError) -> ProvenBadError:
        """Return what is wrong if block ``number`` is not what it must be: the depot, or the shard that it is of."""
        plan = self.divided.plan
        file, block = next(islice(self.divided.blocks(), number, None))
        for item in (plan.files[file], *(plan.source(source.file) for source in block.sources)):
            if depot.content.verified_stamp(item.entry.sha512, lambda _count: None) is None:
                return changed(depot, item)
        place = next(place for place, run in self.parts if run.first <= number < run.last)
        return shard_file.wrong(place, error)


def find_shards(divided: Divisible, asked: Joined) -> Shards:
    """Find the shards of a plan in a folder, and hold their heads and tables against it.

    Raises:
        PartsMissingError: not all are there.
        ProvenBadError: one is not what the plan says.
        UncheckedError: the folder, or one of them, cannot be read.
    """
    plan = divided.digest()
    found, others = shard_file.find_places(asked.folder, plan)
    of = asked.of or _likeliest(found)
    missing = sorted(set(range(1, of + 1)) - found.get(of, set()))
    if missing:
        raise _missing(asked, missing, of, others)
    parts = tuple(
        (Place(asked.folder, plan, Share(number, of)), run)
        for number, run in enumerate(divided.divide(of), 1)
    )
    blocks = divided.blocks()
    for place, run in parts:
        shard_file.check_shard(place, run, islice(blocks, run.blocks))
    return Shards(divided, parts)


def _likeliest(found: Mapping[int, AbstractSet[int]]) -> int:
    """Return into how many parts the plan was cut: of those of which the least is missing the most; 1 without any."""
    return min(found, key=lambda of: ((of - len(found[of])) / of, -of), default=1)


def _missing(asked: Joined, missing: list[int], of: int, others: int) -> PartsMissingError:
    commands = [f"{asked.command} --shard {number}/{of}" for number in missing]
    shown = ", ".join(map(str, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
    return PartsMissingError(
        f"{len(missing)} of {of} shards are missing in {asked.folder}: {shown}",
        expected="all shards of this plan, made with the same options and the same versions",
        found=f"{of - len(missing)} of them, and {others} of other plans",
        hint=f"make them, the first with `{commands[0]}`, and run the same command again",
        data={"missing": missing, "of": of, "commands": commands},
    )
