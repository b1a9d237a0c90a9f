"""The figures of the cases as a page and a plot."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.cases.bars import Rows, draw
from tests.bench.cases.figures import DELTA_LIMIT, FULL_LIMIT, OURS, Figures, Record, save
from tests.bench.cases.generic import BSDIFF, XDELTA, XZ, ZSTD, ZSTD_PATCH

TITLE = "Releases of public packages, beside generic tools"
FULL_TOOLS, DELTA_TOOLS = (ZSTD, XZ), (ZSTD_PATCH, XDELTA, BSDIFF)
KINDS = (
    ("Full releases", "zstd -19 --long=31", FULL_LIMIT, FULL_TOOLS),
    ("Deltas", "the best tool", DELTA_LIMIT, DELTA_TOOLS),
)


def write(folder: Path, record: Record) -> None:
    """Write ``cases.json``, ``cases.md`` and ``cases.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    save(record, folder / "cases.json")
    (folder / "cases.svg").write_text(draw(TITLE, list(_groups(record))))
    (folder / "cases.md").write_text(document(record))


def document(record: Record) -> str:
    """Return the page: the machine, the plot, a table of full releases and one of deltas, what is in each."""
    lines = [f"# {TITLE}", "", f"![{TITLE}](cases.svg)", ""]
    lines += [f"- {what}: {words}" for what, words in record.machine.items()]
    for title, held, limit, tools in KINDS:
        if cases := _of(record, title):
            lines += ["", f"## {title}", "", f"Limit: {limit} of {held}.", "", *_table(cases, tools)]
    lines += ["", "## What is in them", "", *_sets(record), ""]
    return "\n".join(lines)


def _of(record: Record, title: str) -> list[Figures]:
    return [case for case in record.cases if bool(case.base) == (title == "Deltas")]


def _table(cases: Sequence[Figures], tools: Sequence[str]) -> Iterator[str]:
    yield f"| case | raw | airlift | {' | '.join(tools)} | ratio | holds |"
    yield f"|---|{'---:|' * (len(tools) + 3)}---|"
    for case in cases:
        ratio = "" if case.ratio is None else f"{case.ratio:.4f}"
        holds = {None: "", True: "yes", False: "**no**"}[case.holds]
        sizes = [_size(case, program) for program in (OURS, *tools)]
        yield f"| {case.case} | {case.raw:,} | {' | '.join(sizes)} | {ratio} | {holds} |"


def _size(case: Figures, program: str) -> str:
    coded = case.of(program)
    if coded is None:
        return ""
    return f"{coded.size:,}{f' {coded.how}' if coded.how else ''}"


def _sets(record: Record) -> Iterator[str]:
    yield "| case | target | base | files | left out |"
    yield "|---|---|---|---:|---|"
    for case in record.cases:
        left = " ".join(f"`{pattern}`" for pattern in case.left_out)
        yield f"| {case.case} | {case.target} | {case.base or 'none'} | {case.files} | {left} |"


def _groups(record: Record) -> Iterator[tuple[str, float, Rows]]:
    """Yield what the plot shows: of each kind the ratios that are known."""
    for title, held, limit, _ in KINDS:
        rows = [(case.case, case.ratio) for case in _of(record, title) if case.ratio]
        if rows:
            yield f"{title}: size of airlift / {held}", limit, rows
