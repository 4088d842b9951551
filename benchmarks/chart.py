"""Small charts on logarithmic axes as one SVG, without any library: what grows with what, in panels side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 330, 230, 58, 34, 16, 40
COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f")
STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#24292f}"
    ".t{font-weight:600;font-size:13px}.s{fill:#57606a;font-size:11px}.g{stroke:#d8dee4;stroke-width:1}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A name and its points, at least one; both coordinates are positive."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: title, what the axes count, its lines."""

    title: str
    across: str
    unit: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class _Axis:
    low: int
    high: int
    start: float
    length: float

    def at(self, value: float) -> float:
        """Where a value lies, in pixels."""
        return self.start + (log10(value) - self.low) / (self.high - self.low) * self.length

    @property
    def marks(self) -> list[float]:
        """Powers of ten from end to end."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def drawn(rows: Sequence[Sequence[Panel]], *, title: str, note: str) -> str:
    """The picture: panels in rows, a title above, a note below."""
    wide = max(len(row) for row in rows) * WIDTH + 12
    high = len(rows) * HEIGHT + 78
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        f'<text class="t" x="16" y="26" style="font-size:15px">{escape(title)}</text>',
    ]
    for down, row in enumerate(rows):
        for along, panel in enumerate(row):
            body.append(f'<g transform="translate({along * WIDTH},{down * HEIGHT + 40})">')
            body += _panel(panel)
            body.append("</g>")
    body.append(f'<text class="s" x="16" y="{high - 14}">{escape(note)}</text></svg>')
    return "\n".join(body) + "\n"


def _panel(panel: Panel) -> Iterator[str]:
    points = [point for line in panel.lines for point in line.points]
    across = _axis([x for x, _ in points], LEFT, WIDTH - LEFT - RIGHT)
    up = _axis([y for _, y in points], HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    yield f'<text class="t" x="{LEFT}" y="16">{escape(panel.title)}</text>'
    for value in across.marks:
        x = across.at(value)
        yield f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="s" x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{short(value)}</text>'
    for value in up.marks:
        y = up.at(value)
        yield f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="s" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)} {panel.unit}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="s" x="{middle}" y="{HEIGHT - BOTTOM + 31}" text-anchor="middle">{escape(panel.across)}</text>'
    for at, line in enumerate(panel.lines):
        yield from _line(line, at, across, up)


def _line(line: Line, at: int, across: _Axis, up: _Axis) -> Iterator[str]:
    colour, places = COLOURS[at], [(across.at(x), up.at(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    for (x, y), (many, much) in zip(places, line.points, strict=True):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{short(many)}: {much:.3g}</title></circle>'
    name_y = TOP + 14 + 15 * at
    yield f'<line x1="{LEFT + 8}" x2="{LEFT + 24}" y1="{name_y - 4}" y2="{name_y - 4}" stroke="{colour}" stroke-width="2"/>'
    yield f'<text class="s" x="{LEFT + 29}" y="{name_y}">{escape(line.name)}</text>'


def _axis(values: Sequence[float], start: float, length: float) -> _Axis:
    low = floor(log10(min(values)) + 1e-9)
    high = max(ceil(log10(max(values)) - 1e-9), low + 1)
    return _Axis(low, high, start, length)


def short(value: float) -> str:
    """``300k`` for 300,000."""
    for size, mark in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{mark}"
    return f"{value:g}"
