"""Lines over time: the figure of the report, its static stand-in, and the columns that sparklines share."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from biglog.inference.analysis import Analysis, Event, OddLine
from biglog.wording import SEVERITIES, burst_words, percent, score, severity_rank, shorten, visible

STATIC_COLUMNS, STATIC_HEIGHT = 200, 100
SHOWN_BURSTS = 60
# Levels of one severity (BGL's ERROR, SEVERE and FAILURE) share its colour in these strengths.
_STRENGTHS = (1.0, 0.72, 0.5, 0.35)


def resample(counts: Sequence[int], columns: int) -> list[int]:
    """Return counts summed into at most `columns` neighbouring groups of nearly equal width."""
    if len(counts) <= columns:
        return list(counts)
    edges = [i * len(counts) // columns for i in range(columns + 1)]
    return [sum(counts[low:high]) for low, high in pairwise(edges)]


def level_order(levels: Iterable[str]) -> list[tuple[str, str, float]]:
    """Return `(level, severity name, strength of its colour)`, the most severe first."""
    ordered = sorted(levels, key=lambda level: (-severity_rank(level), level))
    seen: dict[int, int] = {}
    result = []
    for level in ordered:
        rank = severity_rank(level)
        result.append((level, SEVERITIES[rank], _STRENGTHS[min(seen.get(rank, 0), len(_STRENGTHS) - 1)]))
        seen[rank] = seen.get(rank, 0) + 1
    return result


def stacked_paths(analysis: Analysis) -> list[tuple[str, float, str]]:
    """Return `(severity name, strength, SVG path)` of columns stacked by level, the most severe lowest.

    The paths fill a box of `STATIC_COLUMNS` by `STATIC_HEIGHT`.
    """
    series = {level: resample(counts, STATIC_COLUMNS) for level, counts in analysis.levels.items()}
    totals = [sum(column) for column in zip(*series.values(), strict=True)]
    if not any(totals):
        return []
    wide, scale, base = STATIC_COLUMNS / len(totals), STATIC_HEIGHT / max(totals), [0.0] * len(totals)
    paths = []
    for level, severity, strength in level_order(series):
        path = ""
        for x, count in enumerate(series[level]):
            if count:
                height = count * scale
                left, top = x * wide, abs(STATIC_HEIGHT - base[x] - height)
                path += f"M{left:.2f} {top:.2f}h{wide * 0.9:.2f}v{height:.2f}h-{wide * 0.9:.2f}z"
                base[x] += height
        paths.append((severity, strength, path))
    return paths


def figure(analysis: Analysis) -> dict[str, Any] | None:
    """Return the timeline as a Plotly figure, or None without timestamps or where all are the same.

    Lines per bin are stacked by level; above them stand a strip with the odd lines and one with the bursts.
    Colours are left out: each trace names its role in `meta`, and the page colours it from its style sheet.
    """
    if not analysis.bins or not analysis.bin_seconds or analysis.start == analysis.end:
        return None
    odd = [line for line in analysis.odd_lines if line.timestamp]
    bursts = _strongest(analysis.events)
    # Times far from all others are counted in the outermost bins; their marks stand at the edge too.
    first, last = analysis.bins[0], analysis.bins[-1] + timedelta(seconds=analysis.bin_seconds)

    def inside(when: datetime) -> str:
        return _x(min(max(when, first), last))

    traces = _bars(analysis)
    traces += [_odd_markers(odd, inside)] if odd else []
    traces += [_burst_spans(bursts, inside)] if bursts else []
    layout = _layout(bool(odd), bool(bursts))
    layout["xaxis"]["range"] = [_x(first), _x(last)]
    if max((sum(column) for column in zip(*analysis.levels.values(), strict=True)), default=0) < 5:
        layout["yaxis"] |= {"dtick": 1, "tickformat": "d"}
    return {"data": traces, "layout": layout}


def _bars(analysis: Analysis) -> list[dict[str, Any]]:
    starts = [_x(when) for when in analysis.bins]
    milliseconds = (analysis.bin_seconds or 0) * 1000
    return [
        {
            "type": "bar",
            "name": _label(level or "no level"),
            "x": starts,
            "y": list(analysis.levels[level]),
            "width": milliseconds * 0.92,
            "offset": milliseconds * 0.04,
            "meta": {"role": severity},
            "marker": {"opacity": strength, "line": {"width": 0}},
            "hovertemplate": "%{x|%Y-%m-%d %H:%M:%S}<br>%{y:,} %{fullData.name}<extra></extra>",
        }
        for level, severity, strength in level_order(analysis.levels)
    ]


def _odd_markers(odd: Sequence[OddLine], inside: Callable[[datetime], str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "odd lines",
        "x": [inside(line.timestamp) for line in odd if line.timestamp],
        "y": ["odd lines"] * len(odd),
        "yaxis": "y2",
        "customdata": [line.rank for line in odd],
        "hovertext": [_odd_label(line) for line in odd],
        "hoverinfo": "text",
        "meta": {"role": "odd"},
        "marker": {"symbol": "diamond", "size": 10, "opacity": 0.85, "line": {"width": 1}},
        "cliponaxis": False,
    }


def _burst_spans(events: Sequence[Event], inside: Callable[[datetime], str]) -> dict[str, Any]:
    x: list[str | None] = []
    texts: list[str] = []
    for event in events:
        if event.burst:
            x += [inside(event.burst.start), inside(event.burst.end), None]
            texts += [_burst_label(event)] * 2 + [""]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "bursts",
        "x": x,
        "y": ["bursts"] * len(x),
        "yaxis": "y3",
        "hovertext": texts,
        "hoverinfo": "text",
        "meta": {"role": "burst"},
        "line": {"width": 8},
        "marker": {"symbol": "square", "size": 8},
        "opacity": 0.9,
        "connectgaps": False,
        "cliponaxis": False,
    }


def _layout(odd: bool, bursts: bool) -> dict[str, Any]:
    # The strips take a fixed share from the top: bursts uppermost, odd lines between them and the bars.
    top = 1.0 - 0.1 * (odd + bursts)
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "showline": False, "automargin": True}
    strips = {"type": "category", **axis, "ticks": ""}
    layout: dict[str, Any] = {
        "barmode": "stack",
        "hovermode": "closest",
        "showlegend": False,
        "dragmode": False,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {
            **axis,
            "type": "date",
            "anchor": "y",
            "nticks": 8,
            "ticks": "outside",
            "ticklen": 6,
            "tickcolor": "rgba(0,0,0,0)",
        },
        "yaxis": {**axis, "domain": [0, top], "showgrid": True, "rangemode": "tozero", "nticks": 5},
    }
    layout["yaxis"]["tickformat"] = "~s"
    if odd:
        layout["yaxis2"] = {**strips, "domain": [top + 0.02, top + 0.09]}
    if bursts:
        layout["yaxis3"] = {**strips, "domain": [0.93, 1.0]}
    return layout


def _strongest(events: Sequence[Event]) -> list[Event]:
    """Return the events whose bursts exceed expectation most, in standard deviations of a Poisson count."""

    def excess(event: Event) -> float:
        burst = event.burst
        return (burst.count - burst.expected) / max(burst.expected, 0.01) ** 0.5 if burst else 0.0

    return sorted((event for event in events if event.burst), key=excess, reverse=True)[:SHOWN_BURSTS]


def _x(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")


def _label(text: str, limit: int = 76) -> str:
    # Plotly reads a few HTML tags in labels, and a label is one line: escape, and cut.
    return html.escape(visible(shorten(text, limit)), quote=False)


def _odd_label(line: OddLine) -> str:
    head = f"odd line {line.rank}, score {score(line.anomaly_score)}, line {line.line_number:,}"
    return "<br>".join([head, _label(line.content), *(_label(reason) for reason in line.reasons[:2])])


def _burst_label(event: Event) -> str:
    return "<br>".join(
        [
            _label(event.template),
            burst_words(event.burst) if event.burst else "",
            f"{percent(event.share)} of all lines",
        ]
    )
