"""Small pictures as SVG: curves in panels, scores of several systems side by side, and matrices.

They are text with rounded coordinates, so the same figures give the same bytes. Each brings its own
background, with colours for light and for dark that follow the reader's setting: an image cannot know the
page around it. Curves differ in colour and in their dashes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape

from biglog.errors import InputError

WIDTH: Final = 880
"""Of every picture, in pixels: a README's column."""

MOST_POINTS: Final = 120
"""Points of a curve; neighbours are averaged where there are more."""

_PANEL_HEIGHT, _MARGIN, _GAP = 232, 16, 20
_LEFT, _TOP, _BOTTOM = 44, 62, 34
_ROW, _HEAD, _NAMES = 28, 64, 190
_CELL, _SLANTED, _OVERHANG = 22, 66, 26
_DEEPEST: Final = 0.6
"""Opacity of a cell of 1: words on it stay readable, on light and on dark."""
_DASHES: Final = ("", "7 3", "2 3", "8 3 2 3")
_LIGHT: Final = {
    "paper": "#ffffff",
    "edge": "#d0d7de",
    "ink": "#1f2328",
    "dim": "#59636e",
    "grid": "#e4e8ec",
    "own": "#ddf4ff",
    "s0": "#0969da",
    "s1": "#bc4c00",
    "s2": "#1a7f37",
    "s3": "#8250df",
}
_DARK: Final = {
    "paper": "#0d1117",
    "edge": "#3d444d",
    "ink": "#f0f6fc",
    "dim": "#9198a1",
    "grid": "#262c34",
    "own": "#121d2f",
    "s0": "#58a6ff",
    "s1": "#f0883e",
    "s2": "#3fb950",
    "s3": "#bc8cff",
}


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: What the legend calls it.
        x: Shape (points,), ascending.
        y: Shape (points,); points that are no finite number are left out.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One pair of axes, both from 0 unless it is said otherwise.

    Attributes:
        title: What is shown.
        unit: Of the vertical axis.
        series: Up to four curves.
        x_unit: Of the horizontal axis.
        x_labels: Where the horizontal axis is marked, and how; None marks round numbers.
        x_log: Whether it is logarithmic; then it begins at the least x, which is above 0.
        dots: Whether every point is drawn: for few of them.
        goal: A value that is wanted, as a line across; None draws none.
        y_low: Where the vertical axis begins.
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    x_unit: str = "step"
    x_labels: Mapping[float, str] | None = None
    x_log: bool = False
    dots: bool = False
    goal: float | None = None
    y_low: float = 0.0


@dataclass(frozen=True)
class Mark:
    """One score, with the ends of its spread where that is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        title: Its name; a line break parts it in two lines.
        marks: Scores by system; a system without one has an empty place.
    """

    title: str
    marks: Mapping[str, Mark]


@dataclass(frozen=True)
class Block:
    """Rows of a matrix that belong together.

    Attributes:
        title: Above the names of its rows.
        rows: By name the values by column; a column without one has an empty cell.
        mark_best: Whether the greatest value of each column is bold.
        own: The row whose name stands out.
    """

    title: str
    rows: Mapping[str, Mapping[str, float]]
    mark_best: bool = False
    own: str = ""


def curves(panels: Sequence[Panel], *, title: str, columns: int = 3) -> str:
    """Draws curves.

    Args:
        panels: Those without any finite point are left out.
        title: For readers who cannot see the picture.
        columns: Panels side by side.

    Raises:
        InputError: There is nothing to draw.
    """
    drawn = [panel for panel in map(_finite, panels) if panel.series]
    if not drawn:
        raise InputError("there is no point to draw a curve of", remedy="Give a run that logged its loss")
    columns = min(columns, len(drawn))
    across = (WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) / columns
    parts: list[str] = []
    for number, panel in enumerate(drawn):
        row, column = divmod(number, columns)
        parts += _panel(panel, _MARGIN + column * (across + _GAP), _MARGIN + row * _PANEL_HEIGHT, across)
    rows = math.ceil(len(drawn) / columns)
    return _picture(parts, 2 * _MARGIN + rows * _PANEL_HEIGHT, title)


def scores(columns: Sequence[Column], systems: Sequence[str], *, own: str, title: str) -> str:
    """Draws scores of at most 1 as dots, a row a system and a column a measure, each with its own axis.

    The largest score of each column is bold.

    Args:
        columns: The measures.
        systems: The rows, in order.
        own: The system whose row stands out.
        title: For readers who cannot see the picture.

    Raises:
        InputError: There is nothing to draw.
    """
    shown = [column for column in columns if any(name in column.marks for name in systems)]
    if not shown:
        raise InputError("there is no score to draw", remedy="Run the probes")
    across = (WIDTH - 2 * _MARGIN - _NAMES) / len(shown)
    height = _HEAD + _ROW * len(systems)
    parts = []
    if own in systems:
        band = _HEAD + _ROW * systems.index(own) + 2
        wide = WIDTH - 2 * _MARGIN
        parts.append(
            f'<rect class="own" x="{_MARGIN}" y="{band}" width="{wide}" height="{_ROW - 4}" rx="5"/>'
        )
    for row, name in enumerate(systems):
        y = _HEAD + _ROW * (row + 0.5)
        parts.append(_text(_MARGIN + 8, y + 4, name, "strong" if name == own else ""))
    for number, column in enumerate(shown):
        parts += _scored(column, systems, own, _MARGIN + _NAMES + number * across, across)
    return _picture(parts, height + _MARGIN, title)


def heat(
    blocks: Sequence[Block],
    columns: Sequence[str],
    *,
    title: str,
    notes: Sequence[str] = (),
    most: float = 1.0,
) -> str:
    """Draws values as a matrix whose cells are the stronger the greater they are.

    Args:
        blocks: Rows, block below block.
        columns: Their order.
        title: For readers who cannot see the picture.
        notes: Lines above it.
        most: The value of the strongest cell; the weakest is 0.

    Raises:
        InputError: There is nothing to draw, or a value is below 0 or above `most`.
    """
    values = [value for block in blocks for row in block.rows.values() for value in row.values()]
    if not columns or not values:
        raise InputError("there is no value to draw a matrix of", remedy="Run the study")
    if not all(-1e-9 <= value <= most + 1e-9 for value in values):
        odd = next(value for value in values if not -1e-9 <= value <= most + 1e-9)
        raise InputError(f"a value of the matrix is {odd:g}", remedy=f"Give values from 0 to {most:g}")
    across = (WIDTH - 2 * _MARGIN - _NAMES - _OVERHANG) / len(columns)
    parts = [
        _text(_MARGIN + 4, _MARGIN + 10 + 16 * i, note, "dim" if i else "strong")
        for i, note in enumerate(notes)
    ]
    top = _MARGIN + 16.0 * len(notes) + _SLANTED
    for number, name in enumerate(columns):
        x = _MARGIN + _NAMES + across * (number + 0.4)
        turned = f' transform="rotate(-40 {_n(x)} {_n(top - 6)})"'
        parts.append(_text(x, top - 6, name, "small").replace("<text", f"<text{turned}", 1))
    for block in blocks:
        parts += _block(block, columns, top, across, most)
        top += _CELL * (len(block.rows) + 1) + 6
    return _picture(parts, top + 4, title)


def _block(block: Block, columns: Sequence[str], top: float, across: float, most: float) -> Iterator[str]:
    yield _text(_MARGIN + 4, top + _CELL - 8, block.title, "dim")
    best = {
        column: max((row[column] for row in block.rows.values() if column in row), default=math.nan)
        for column in columns
    }
    for line, (name, row) in enumerate(block.rows.items()):
        y = top + _CELL * (line + 1)
        yield _text(_MARGIN + 4, y + 15, name, "strong" if name == block.own else "")
        for number, column in enumerate(columns):
            x = _MARGIN + _NAMES + across * number
            if column not in row:
                continue
            place = f'x="{_n(x + 1)}" y="{_n(y + 1)}" width="{_n(across - 2)}" height="{_CELL - 2}"'
            strength = f'fill-opacity="{_DEEPEST * row[column] / most:.2f}"'
            yield f'<rect class="cell" {place} rx="3" {strength}/>'
            bold = " strong" if block.mark_best and row[column] == best[column] else ""
            yield _text(x + across / 2, y + 15, f"{row[column]:.2f}", f"middle small{bold}")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Returns round numbers, evenly apart, that enclose a range.

    Args:
        low: Least value.
        high: Greatest value.
        most: At most so many gaps between them.
    """
    # Below what ticks are rounded to, there is nothing to enclose.
    span = next(size for size in (high - low, abs(high), 1.0) if size > 1e-6)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * part for part in (1, 2, 2.5, 5, 10, 20) if span / (power * part) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 10) for i in range(first, max(last, first + 1) + 1)]


def _finite(panel: Panel) -> Panel:
    kept = []
    for series in panel.series:
        points = [(x, y) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
        if points:
            kept.append(_thinned(series.name, points))
    return replace(panel, series=tuple(kept))


def _thinned(name: str, points: Sequence[tuple[float, float]]) -> Series:
    """Averages neighbours, so that no curve has more than `MOST_POINTS`."""
    size = math.ceil(len(points) / MOST_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    x, y = ([math.fsum(p[axis] for p in group) / len(group) for group in groups] for axis in (0, 1))
    return Series(name, x, y)


def _panel(panel: Panel, left: float, top: float, across: float) -> Iterator[str]:
    begin, end = _extent(panel)
    known = [y for series in panel.series for y in series.y] + ([] if panel.goal is None else [panel.goal])
    y_ticks = ticks(min(panel.y_low, *known), max(known))
    x0, x1, y0, y1 = left + _LEFT, left + across - 12, top + _PANEL_HEIGHT - _BOTTOM, top + _TOP

    def place(x: float, y: float) -> tuple[float, float]:
        at = (math.log(x) if panel.x_log else x) - begin
        return (
            x0 + (x1 - x0) * at / ((end - begin) or 1),
            y0 - (y0 - y1) * (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]),
        )

    yield _text(left, top + 14, panel.title, "strong")
    yield _text(left, top + 30, panel.unit, "dim")
    for tick in y_ticks:
        y = place(1, tick)[1]
        yield f'<path class="grid" d="M{_n(x0)} {_n(y)}H{_n(x1)}"/>'
        yield _text(x0 - 6, y + 4, _label(tick), "dim end")
    if panel.goal is not None:
        yield f'<path class="goal" d="M{_n(x0)} {_n(place(1, panel.goal)[1])}H{_n(x1)}"/>'
    for tick, label in _x_labels(panel, end).items():
        yield _text(place(tick, 0)[0], y0 + 15, label, "dim middle")
    yield _text((x0 + x1) / 2, y0 + 29, panel.x_unit, "dim middle")
    for number, series in enumerate(panel.series):
        yield from _curve(number, [place(a, b) for a, b in zip(series.x, series.y, strict=True)], panel.dots)
    yield from _legend(panel, left, top + 47)


def _extent(panel: Panel) -> tuple[float, float]:
    """Where the horizontal axis begins and ends, as logarithms where it is logarithmic."""
    places = [x for series in panel.series for x in series.x] + list(panel.x_labels or ())
    if panel.x_log:
        return math.log(min(places)), math.log(max(places))
    return 0.0, max(places)


def _x_labels(panel: Panel, end: float) -> Mapping[float, str]:
    if panel.x_labels is not None:
        return panel.x_labels
    return {tick: _label(tick) for tick in ticks(0, end, 4) if tick <= end}


def _curve(number: int, points: Sequence[tuple[float, float]], dots: bool) -> Iterator[str]:
    path = " ".join(f"{_n(x)} {_n(y)}" for x, y in points)
    yield f'<polyline class="s{number % 4}" points="{path}"/>'
    if dots:
        for x, y in points:
            yield f'<circle class="d{number % 4}" cx="{_n(x)}" cy="{_n(y)}" r="2.8"/>'


def _legend(panel: Panel, left: float, y: float) -> Iterator[str]:
    for number, series in enumerate(panel.series):
        if len(panel.series) > 1:
            yield f'<path class="s{number % 4}" d="M{_n(left)} {_n(y - 4)}h18"/>'
            yield _text(left + 22, y, series.name, "dim")
            left += 36 + 7 * len(series.name)


def _scored(column: Column, systems: Sequence[str], own: str, left: float, across: float) -> Iterator[str]:
    marks = {name: column.marks[name] for name in systems if name in column.marks}
    ends = [end for mark in marks.values() for end in (mark.value, mark.low, mark.high) if end is not None]
    axis = ticks(min(*ends, 0.999), min(max(ends), 1.0), 3)
    last = min(axis[-1], 1.0)  # a spread may reach beyond what a score can
    x0, x1 = left + 8, left + across - 52

    def place(value: float) -> float:
        return x0 + (x1 - x0) * (min(value, last) - axis[0]) / (last - axis[0])

    for line, title in enumerate(column.title.split("\n")):
        yield _text(left + 4, _MARGIN + 10 + 15 * line, title, "" if line else "strong")
    for tick in (axis[0], last):
        x = _n(place(tick))
        yield f'<path class="grid" d="M{x} {_HEAD - 3}V{_HEAD + _ROW * len(systems)}"/>'
        yield _text(place(tick), _HEAD - 8, _label(tick), "dim middle small")
    best = max(mark.value for mark in marks.values())
    for name, mark in marks.items():
        y = _HEAD + _ROW * (systems.index(name) + 0.5)
        kind = "mine" if name == own else "theirs"
        if mark.low is not None and mark.high is not None:
            yield f'<path class="{kind}" d="M{_n(place(mark.low))} {_n(y)}H{_n(place(mark.high))}"/>'
        yield f'<circle class="{kind}" cx="{_n(place(mark.value))}" cy="{_n(y)}" r="4.5"/>'
        yield _text(left + across - 4, y + 4, f"{mark.value:.3f}", "end" + " strong" * (mark.value == best))


def _picture(parts: Sequence[str], height: float, title: str) -> str:
    words, box = escape(title, {'"': "&quot;"}), f"0 0 {WIDTH} {_n(height)}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{_n(height)}" '
            f'viewBox="{box}" role="img" aria-label="{words}">',
            f"<title>{words}</title>",
            f"<style>{_style(_needed(parts))}</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{_n(height - 1)}" rx="8"/>',
            *parts,
            "</svg>\n",
        )
    )


def _needed(parts: Sequence[str]) -> set[str]:
    """Which kinds of marks a picture has that most have not: their style is left out elsewhere."""
    text = "".join(parts)
    return {kind for kind, sign in _SIGNS.items() if sign in text}


_SIGNS: Final = {"d": '<circle class="d', "cell": 'class="cell"', "goal": 'class="goal"'}


def _style(needed: set[str]) -> str:
    def rules(colours: Mapping[str, str]) -> str:
        return "".join(
            (
                f".paper{{fill:{colours['paper']};stroke:{colours['edge']}}}",
                f"text{{fill:{colours['ink']}}}.dim{{fill:{colours['dim']}}}",
                f".grid{{stroke:{colours['grid']}}}.own{{fill:{colours['own']}}}",
                *(f".s{i}{{stroke:{colours[f's{i}']}}}" for i in range(4)),
                *(f".d{i}{{fill:{colours[f's{i}']}}}" for i in range(4) if "d" in needed),
                f".cell{{fill:{colours['s0']}}}" if "cell" in needed else "",
                f".goal{{stroke:{colours['dim']};stroke-dasharray:4 4}}" if "goal" in needed else "",
                f".mine{{fill:{colours['s0']};stroke:{colours['s0']}}}",
                f".theirs{{fill:{colours['dim']};stroke:{colours['dim']}}}",
            )
        )

    shapes = (
        "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
        ".strong{font-weight:600}.small{font-size:10.5px}.end{text-anchor:end}.middle{text-anchor:middle}"
        "polyline,path{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}"
        ".grid{stroke-width:1}.mine,.theirs{stroke-width:1.4}"
        + "".join(f".s{i}{{stroke-dasharray:{dash}}}" for i, dash in enumerate(_DASHES) if dash)
    )
    return f"{shapes}{rules(_LIGHT)}@media(prefers-color-scheme:dark){{{rules(_DARK)}}}"


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{_n(x)}" y="{_n(y)}"{shown}>{escape(words)}</text>'


def _label(tick: float) -> str:
    return f"{tick:,.10f}".rstrip("0").rstrip(".")


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel is fine enough, and the same everywhere."""
    return f"{value:.1f}".removesuffix(".0")
