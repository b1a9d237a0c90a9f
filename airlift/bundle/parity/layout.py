"""The layout: which chunks make a stripe, and what goes on which volume (SPEC 6.7, Layout). Bytes throughout."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airlift.bundle.fields import FileDigest
from airlift.bundle.parity.stripe import MAX_BYTES, MAX_PARITY
from airlift.errors import UsageError, VolumeTooSmallError

LANE = 20
"""The usual number of data chunks in a stripe that lies on one volume."""

FULL_VOLUME_CHUNKS = 128
BUNDLE_CHUNKS = 256
_ASKED = re.compile(r"([1-9][0-9]{0,2})(%?)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Redundancy:
    """What an operator asked for: so many ``volumes`` of parity, or so much in ``percent``; the other is 0."""

    volumes: int = 0
    percent: int = 0

    def __str__(self) -> str:
        return f"{self.percent}%" if self.percent else str(self.volumes)


@dataclass(frozen=True, slots=True)
class Plan:
    """A stripe to be: its data chunks, by index, and how many parity chunks of how many bytes."""

    data: tuple[int, ...]
    parity: int
    size: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a volume carries: data chunks by index, parity chunks as (stripe, number among its parity)."""

    data: tuple[int, ...]
    parity: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The stripes of a bundle and the shares of its volumes, the first volume first."""

    stripes: tuple[Plan, ...]
    shares: tuple[Share, ...]

    def sizes(self, share: Share, chunks: Sequence[FileDigest]) -> list[int]:
        """Return the sizes of the chunks of a volume."""
        data = [chunks[index].size for index in share.data]
        return data + [self.stripes[stripe].size for stripe, _ in share.parity]


def parse(text: str) -> Redundancy:
    """Return what ``2`` (volumes) or ``20%`` asks for.

    Raises:
        UsageError: it asks for nothing that there is.
    """
    match = _ASKED.match(text.strip())
    most = 100 if match and match[2] else MAX_PARITY
    if match is None or int(match[1]) > most:
        raise UsageError(
            f"not an amount of parity: {text!r}",
            expected=f"a number of volumes (1 to {MAX_PARITY}), or 1% to 100%",
        )
    return Redundancy(percent=int(match[1])) if match[2] else Redundancy(volumes=int(match[1]))


def chunk_bytes(
    asked: Redundancy, limit: int, least: int, volume_bytes: int | None, target_bytes: int
) -> int:
    """Return how large chunks may be, so that stripes are small enough and fill up little.

    ``limit`` and ``least`` are the largest and smallest chunk that the medium allows; ``target_bytes`` are more than,
    or as many as, the chunks will have.
    """
    if asked.percent:
        data = max(LANE, -(-100 // asked.percent))
        members = data + _part(data, asked.percent)
        wanted = target_bytes // BUNDLE_CHUNKS
        wanted = wanted if volume_bytes is None else min(wanted, volume_bytes // (4 * members))
    else:
        data = 1 if volume_bytes is None else min(98, 2 * target_bytes // volume_bytes + 2)
        members = data + asked.volumes
        wanted = limit if volume_bytes is None else volume_bytes // FULL_VOLUME_CHUNKS
    return min(limit, max(least, min(wanted, MAX_BYTES // members)))


def lay_out(
    chunks: Sequence[FileDigest],
    asked: Redundancy,
    *,
    most_volumes: int,
    least: int,
    fits: Callable[[Layout], bool],
) -> Layout:
    """Return the layout with the fewest volumes that ``fits``, from ``least`` data volumes on.

    Raises:
        VolumeTooSmallError: there is none with at most ``most_volumes`` volumes.
    """
    for count in range(max(1, least), min(most_volumes - asked.volumes, len(chunks)) + 1):
        made = (_lanes if asked.percent else _across)(chunks, count, asked.percent or asked.volumes)
        small = all((len(item.data) + item.parity) * item.size <= MAX_BYTES for item in made.stripes)
        if small and fits(made):
            return made
    raise VolumeTooSmallError(
        "the chunks and their parity do not fit volumes of this size",
        expected=f"at most {most_volumes} volumes",
    )


def runs(sizes: Sequence[int], count: int) -> list[range]:
    """Cut a sequence into ``count`` runs of about equal sums, none of them empty; ``count`` is at most its length."""
    total, done, found, start = sum(sizes), 0, [], 0
    for number in range(1, count + 1):
        end = start + 1
        done += sizes[start]
        most = len(sizes) - (count - number)  # one is left for each run after this
        while end < most and (
            number == count or 2 * (done * count - total * number) + sizes[end] * count <= 0
        ):
            done += sizes[end]
            end += 1
        found.append(range(start, end))
        start = end
    return found


def _across(chunks: Sequence[FileDigest], count: int, parity: int) -> Layout:
    """Stripes over ``count`` data volumes, with ``parity`` volumes of parity after them."""
    shares = runs([item.size for item in chunks], count)
    ordered = [sorted(share, key=lambda index: (-chunks[index].size, index)) for share in shares]
    stripes = []
    for row in range(max(map(len, ordered))):
        data = tuple(share[row] for share in ordered if row < len(share))
        stripes.append(Plan(data, parity, max(chunks[index].size for index in data)))
    extra = tuple(
        Share((), tuple((stripe, number) for stripe in range(len(stripes)))) for number in range(parity)
    )
    return Layout(tuple(stripes), (*(Share(tuple(share), ()) for share in shares), *extra))


def _lanes(chunks: Sequence[FileDigest], count: int, percent: int) -> Layout:
    """Stripes within each of ``count`` volumes, their parity on the same volume."""
    stripes: list[Plan] = []
    shares = []
    most = max(LANE, -(-100 // percent))
    for share in runs([item.size for item in chunks], count):
        named = sorted(share, key=lambda index: chunks[index].sha512)
        lanes = -(-len(named) // most)
        first = len(stripes)
        for lane in range(lanes):
            data = tuple(named[lane::lanes])
            size = max(chunks[index].size for index in data)
            stripes.append(Plan(data, _part(len(data), percent), size))
        placed = (
            (number, row) for number in range(first, len(stripes)) for row in range(stripes[number].parity)
        )
        shares.append(Share(tuple(share), tuple(placed)))
    return Layout(tuple(stripes), tuple(shares))


def _part(count: int, percent: int) -> int:
    """Return ``percent`` of ``count``, rounded up."""
    return -(-count * percent // 100)
