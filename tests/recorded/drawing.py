"""Lines of a terminal as an SVG: real text, in the colours of the reader's scheme, with nothing of the web in it."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from tests.recorded.screen import Line, text

FONT = 14
ADVANCE = 8.4  # of a letter; each line is set to a multiple of it, whatever font the reader has
LEADING = 18
MARGIN = 20
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

LIGHT = {
    "ground": "#f6f8fa",
    "edge": "#d1d9e0",
    "plain": "#1f2328",
    "dim": "#59636e",
    "red": "#c1121f",
    "green": "#116329",
    "yellow": "#7d4e00",
    "cyan": "#0a5a7a",
    "low": "#0550ae",
    "high": "#116329",
}
DARK = {
    "ground": "#161b22",
    "edge": "#3d444d",
    "plain": "#e6edf3",
    "dim": "#9198a1",
    "red": "#ff8f87",
    "green": "#56d364",
    "yellow": "#e3b341",
    "cyan": "#56d4dd",
    "low": "#79c0ff",
    "high": "#56d364",
}
"""Every colour of a text is held against the ground by a test: at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""

GAP = "gap"
"""The style of a line that is drawn as the border between the sides."""


def document(title: str, told: str, lines: Sequence[Line], columns: int) -> str:
    """Return an SVG of the lines; ``told`` is for whoever cannot see it."""
    width = round(columns * ADVANCE) + 2 * MARGIN
    height = len(lines) * LEADING + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"',
            f'  width="{width}" height="{height}" aria-labelledby="t d" xml:space="preserve">',
            f'  <title id="t">{escape(title)}</title>',
            f'  <desc id="d">{escape(told)}</desc>',
            "  <style>",
            "    text{white-space:pre} .bold,.low,.high{font-weight:700}",
            *(f"    {rule}" for rule in _rules(LIGHT)),
            "    @media (prefers-color-scheme: dark) {",
            *(f"      {rule}" for rule in _rules(DARK)),
            "    }",
            "  </style>",
            f'  <rect class="ground" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            f'  <g class="plain" font-size="{FONT}" font-family={quoteattr(FONTS)}>',
            *_drawn(lines, width),
            "  </g>",
            "</svg>",
            "",
        ]
    )


def _rules(colours: dict[str, str]) -> Iterator[str]:
    yield f".ground{{fill:{colours['ground']};stroke:{colours['edge']}}} .{GAP}{{stroke:{colours['red']}}}"
    for name in [name for name in colours if name not in {"ground", "edge"}]:
        yield f".{name}{{fill:{colours[name]}}}"


def _drawn(lines: Sequence[Line], width: int) -> Iterator[str]:
    for number, line in enumerate(lines):
        base = MARGIN + number * LEADING + FONT
        if line and line[0][1] == GAP:
            yield from _border(line[0][0], base, width)
        elif line:
            parts = "".join(_piece(*piece) for piece in line)
            length = f"{len(text(line)) * ADVANCE:.1f}"
            yield f'<text x="{MARGIN}" y="{base}" textLength="{length}">{parts}</text>'


def _piece(part: str, style: str) -> str:
    return f'<tspan class="{style}">{escape(part)}</tspan>' if style else escape(part)


def _border(label: str, base: int, width: int) -> Iterator[str]:
    half = len(label) * ADVANCE / 2 + FONT
    y = base - FONT // 3
    for start, end in ((0, width / 2 - half), (width / 2 + half, width)):
        yield f'<path class="{GAP}" d="M{start:.0f} {y}H{end:.0f}" stroke-width="2" stroke-dasharray="2 7"/>'
    yield f'<text class="red" x="{width // 2}" y="{base}" text-anchor="middle">{escape(label)}</text>'
