"""Results as Markdown."""

from collections.abc import Iterator

from tests.bench.measure import DIGEST
from tests.bench.peers import FM_DELTA, TENSORX, ZIPNN_XOR, ZSTD
from tests.bench.results import Results, Row

OURS = "airlift"
MIB = 1 << 20
SPEED_BYTES = 400_000_000  # below it, starting Python is much of what is measured


def document(title: str, plot: str, results: Results) -> str:
    """Return a page: the machine, the plot, a table for each pair, and what the targets come to."""
    lines = [
        f"# {title}",
        "",
        f"![{title}]({plot})",
        "",
        *(f"- {what}: {words}" for what, words in results.machine.items()),
    ]
    for pair in results.pairs:
        lines += ["", *_pair(results, pair)]
    return "\n".join([*lines, ""])


def _pair(results: Results, pair: str) -> Iterator[str]:
    rows = results.of(pair)
    rates = results.rates[pair]
    yield f"## {pair}"
    yield ""
    yield f"{results.pairs[pair] / 1e6:,.1f} MB; SHA-512 on one core: {max(rates):.2f} GB/s (best of {len(rates)})."
    yield ""
    yield "| program | bytes | of target | make s | core s | apply s | core s | make MiB | apply MiB | rounds |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    yield from (_row(row) for row in sorted(rows.values(), key=lambda row: (row.program == DIGEST, row.size)))
    yield ""
    yield from _comparisons(rows, max(rates))


def _row(row: Row) -> str:
    name = f"**{row.program}**" if row.program == OURS else row.program
    sizes = ("", "") if row.program == DIGEST else (f"{row.size:,}", f"{row.share:.4f}")
    costs = [f"{cost.seconds:.2f} | {cost.cpu:.2f}" for cost in (row.make, row.apply)]
    memory = [f"{cost.anonymous / MIB:.0f}" for cost in (row.make, row.apply)]
    if row.program == DIGEST:
        costs[0], memory[0] = " | ", ""
    return "| " + " | ".join([name, *sizes, *costs, *memory, str(row.rounds)]) + " |"


def _comparisons(rows: dict[str, Row], rate: float) -> Iterator[str]:
    """Yield what the targets of the codec are stated in."""
    ours, zstd = (rows.get(name) for name in (OURS, ZSTD))
    if ours is None:
        return
    for name in (ZIPNN_XOR, TENSORX, FM_DELTA):
        if name in rows:
            yield f"- size: {ours.size / rows[name].size:.2f} of {name}"
    if ours.target < SPEED_BYTES:
        return
    making, applying = (ours.target / 1e9 / cost.seconds for cost in (ours.make, ours.apply))
    yield f"- `low bundle`: {making:.2f} GB/s of target"
    yield f"- `high import`: {applying:.2f} GB/s, {applying / rate:.2f} of the SHA-512 rate"
    if zstd is not None:
        rebuilding = zstd.apply.seconds + rows[DIGEST].apply.seconds
        yield f"- {zstd.make.seconds / ours.make.seconds:.1f} times as fast as zstd -3 --patch-from"
        yield f"- {rebuilding / ours.apply.seconds:.1f} times as fast as zstd -d --patch-from, then sha512sum"
