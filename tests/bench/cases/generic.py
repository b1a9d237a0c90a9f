"""Generic tools on a release: over all of its files as one, or file by file, whichever is smaller.

As one means that files are put together in the order of their paths, base and target alike, so that a tool finds what
lies in another file. File by file, each is coded against the file of the same path, or against nothing. Every delta
is applied again, and what comes out compared.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.cases.figures import Coded
from tests.bench.pairs import Sides
from tests.bench.peers import Peer, Words, compare
from tests.bench.process import run

WHOLE, SINGLE = "as one", "by file"
ZSTD, XZ = "zstd -19", "xz -9e"
ZSTD_PATCH, XDELTA, BSDIFF = "zstd -19 --patch-from", "xdelta3 -9", "bsdiff"


def _from(base: Path, *option: str) -> list[str]:
    """Return an option that names a base, unless it stands for nothing."""
    return [*option[:-1], f"{option[-1]}{base}"] if base.stat().st_size > len(NOTHING) else []


def _command(*words: str | Path) -> Words:
    return list(words)


NOTHING = b"\0"
"""What stands for a file that the base does not have: bsdiff does not map an empty one."""
ZSTD_WORDS = ("zstd", "-q", "-f", "--long=31")


def _zstd(name: str) -> Peer:
    return Peer(
        name,
        "zstd",
        lambda base, target, delta: _command(
            *ZSTD_WORDS, "-19", *_from(base, "--patch-from="), target, "-o", delta
        ),
        lambda base, delta, out: _command(*ZSTD_WORDS, "-d", *_from(base, "--patch-from="), delta, "-o", out),
    )


def _shell(words: str, source: Path, target: Path) -> Words:
    return ["sh", "-c", f'{words} < "$1" > "$2"', "sh", source, target]


FULL = (
    _zstd(ZSTD),
    Peer(
        XZ,
        "xz",
        lambda _base, target, delta: _shell("xz -9e -c", target, delta),
        lambda _base, delta, out: _shell("xz -dc", delta, out),
    ),
)
DELTA = (
    _zstd(ZSTD_PATCH),
    Peer(
        XDELTA,
        "xdelta3",
        lambda base, target, delta: _command(
            "xdelta3", "-9", "-e", "-f", *_from(base, "-s", ""), target, delta
        ),
        lambda base, delta, out: _command("xdelta3", "-d", "-f", *_from(base, "-s", ""), delta, out),
    ),
    Peer(
        BSDIFF,
        "bsdiff",
        lambda base, target, delta: ["bsdiff", base, target, delta],
        lambda base, delta, out: ["bspatch", base, out, delta],
    ),
)


def peers(*, delta: bool) -> tuple[Peer, ...]:
    """Return the tools for deltas, or for full releases."""
    return DELTA if delta else FULL


def code(peer: Peer, sides: Sides, folder: Path) -> Coded:
    """Return what a tool makes of a release; ``folder`` is an empty one, for its files.

    Raises:
        SystemExit: it failed, or did not bring every byte back.
    """
    nothing = folder / "nothing"
    nothing.write_bytes(NOTHING)
    whole = _code(
        peer, _together(sides.base, folder / "base"), _together(sides.target, folder / "target"), folder
    )
    single = sum(
        _code(peer, sides.base.get(name, nothing), path, folder) for name, path in _filled(sides.target)
    )
    return min(Coded(peer.name, whole, WHOLE), Coded(peer.name, single, SINGLE), key=lambda coded: coded.size)


def _filled(files: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """Yield the files that hold something: an empty one costs nothing."""
    return ((name, path) for name, path in files.items() if path.stat().st_size)


def _together(files: Mapping[str, Path], path: Path) -> Path:
    """Write files behind one another, in the order of their names; return where."""
    with path.open("wb") as whole:
        for name in sorted(files):
            whole.write(files[name].read_bytes())
    return path


def _code(peer: Peer, base: Path, target: Path, folder: Path) -> int:
    delta, out = folder / "delta", folder / "out"
    run(peer.make(base, target, delta))
    size = delta.stat().st_size
    run(peer.apply(base, delta, out))
    compare(out, target)
    for path in (delta, out):
        path.unlink()
    return size
