"""Ratios as bars, one case a row, with the limit as a line: SVG without script."""

from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.plot import FONT

WIDTH, ROW, HEAD, FOOT = 760, 22, 46, 14
LEFT, RIGHT = 190, 70
WITHIN, BEYOND, LINE = "#3d5a80", "#c1121f", "#6c757d"

Rows = Sequence[tuple[str, float]]
"""(case, ratio), in the order of the picture."""


def draw(title: str, groups: Sequence[tuple[str, float, Rows]]) -> str:
    """Return a picture of groups (heading, limit, rows), one below the other."""
    most = max((ratio for _, limit, rows in groups for ratio in (limit, *(r for _, r in rows))), default=1.0)
    heights = [HEAD + ROW * len(rows) + FOOT for _, _, rows in groups]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {sum(heights)}" role="img" {FONT}>',
        f'<title id="t">{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{sum(heights)}" fill="#ffffff"/>',
    ]
    top = 0
    for (heading, limit, rows), height in zip(groups, heights, strict=True):
        parts += _group(top, heading, limit, rows, most)
        top += height
    return "\n".join([*parts, "</svg>", ""])


def _group(top: int, heading: str, limit: float, rows: Rows, most: float) -> Iterator[str]:
    scale = (WIDTH - LEFT - RIGHT) / most
    yield _text(LEFT, top + 20, heading, 'font-weight="bold"')
    for number, (case, ratio) in enumerate(rows):
        y = top + HEAD + number * ROW
        colour = WITHIN if ratio <= limit else BEYOND
        yield _text(LEFT - 8, y + 14, case, 'text-anchor="end"')
        yield f'<rect x="{LEFT}" y="{y + 3}" width="{ratio * scale:.1f}" height="{ROW - 7}" fill="{colour}"/>'
        yield _text(LEFT + max(ratio, limit) * scale + 6, y + 14, f"{ratio:.3f}", "")
    x, end = LEFT + limit * scale, top + HEAD + len(rows) * ROW
    yield f'<path d="M{x:.1f} {top + HEAD - 4}V{end}" stroke="{LINE}" stroke-width="1.5" stroke-dasharray="4 3"/>'
    yield _text(x, top + HEAD - 8, f"limit {limit}", f'text-anchor="middle" fill="{LINE}"')


def _text(x: float, y: float, words: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'
