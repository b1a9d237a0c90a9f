"""Results as pictures: SVG on log scales, every mark and line labelled where it is, no script."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 470, 330
LEFT, RIGHT, TOP, BOTTOM = 62, 128, 44, 46
LINE = 13
HALO = 'stroke="#ffffff" stroke-width="4" paint-order="stroke"'  # keeps a label legible on a line
FONT = 'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="12" fill="#1d3557"'
COLOURS = {
    "airlift": "#c1121f",
    "zstd": "#3d5a80",
    "ZipNN": "#2d6a4f",
    "TensorX": "#0a7e8c",
    "FM-Delta": "#b5386f",
    "xdelta3": "#7b5ea7",
    "bsdiff": "#8a5a00",
    "sha512sum": "#6c757d",
}


@dataclass(frozen=True, slots=True)
class Series:
    """A mark, or a line through several: its label, and points (x, y), all above 0."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram. ``x`` and ``y`` name the axes with their units."""

    title: str
    x: str
    y: str
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps [low, high] to the pixels from ``start`` to ``end``, by the logarithm."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        """Yield 1, 2 and 5 of every decade, or only 1 where that would be crowded."""
        decades = math.log10(self.high / self.low)
        for exponent in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            for digit in (1, 2, 5) if decades < 2.5 else (1,):
                if self.low <= digit * 10.0**exponent <= self.high * 1.0001:
                    yield digit * 10.0**exponent


def draw(title: str, panels: Sequence[Panel], columns: int = 2) -> str:
    """Return an SVG of panels in rows."""
    columns = min(columns, len(panels))
    width, height = columns * WIDTH, math.ceil(len(panels) / columns) * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" {FONT}>',
        f'<title id="t">{escape(title)}</title>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        parts.append(f'<g transform="translate({column * WIDTH} {row * HEIGHT})">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> Iterator[str]:
    x = _axis([point[0] for series in panel.series for point in series.points], LEFT, WIDTH - RIGHT)
    y = _axis([point[1] for series in panel.series for point in series.points], HEIGHT - BOTTOM, TOP)
    yield _text(LEFT, TOP - 20, panel.title, 'font-weight="700"')
    yield _text((x.start + x.end) / 2, HEIGHT - 8, panel.x, 'text-anchor="middle"')
    yield _text(8, TOP - 4, panel.y, "")
    yield from _grid(x, y)
    for series in panel.series:
        yield from _marks(series, x, y)
    yield from _labels(panel.series, x, y)


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = min(values), max(values)
    return Axis(low / 1.25, max(high * 1.25, low * 4), start, end)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    for tick in x.ticks():
        at = f"{x.at(tick):.1f}"
        yield f'<path d="M{at} {y.start}V{y.end}" stroke="#e3e8ee"/>'
        yield _text(x.at(tick), y.start + 16, f"{tick:g}", 'text-anchor="middle" fill="#4a5568"')
    for tick in y.ticks():
        yield f'<path d="M{x.start} {y.at(tick):.1f}H{x.end}" stroke="#e3e8ee"/>'
        yield _text(x.start - 6, y.at(tick) + 4, f"{tick:g}", 'text-anchor="end" fill="#4a5568"')


def _marks(series: Series, x: Axis, y: Axis) -> Iterator[str]:
    colour = _colour(series.label)
    places = [f"{x.at(point[0]):.1f} {y.at(point[1]):.1f}" for point in series.points]
    if len(places) > 1:
        yield f'<path d="M{"L".join(places)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    for place in places:
        across, down = place.split()
        yield f'<circle cx="{across}" cy="{down}" r="{4 if len(places) == 1 else 2.5}" fill="{colour}"/>'


def _labels(series: Sequence[Series], x: Axis, y: Axis) -> Iterator[str]:
    """Write each label right of its last mark, moved down until it covers no other."""
    taken: list[tuple[float, float, float]] = []
    for one in sorted(series, key=lambda one: y.at(one.points[-1][1])):
        left, height = x.at(one.points[-1][0]) + 8, y.at(one.points[-1][1]) + 4
        right = left + 6.3 * len(one.label)
        while any(left < end and start < right and abs(height - at) < LINE for start, end, at in taken):
            height += 1
        taken.append((left, right, height))
        weight = ' font-weight="700"' if one.label.startswith("airlift") else ""
        yield _text(left, height, one.label, f'{HALO} fill="{_colour(one.label)}"{weight}')


def _colour(label: str) -> str:
    return next((colour for start, colour in COLOURS.items() if label.startswith(start)), "#1d3557")


def _text(x: float, y: float, words: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'
