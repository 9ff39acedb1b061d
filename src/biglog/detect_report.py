"""What `biglog detect` found as one HTML file that needs nothing else: scores over time, alerts in context.

Style, security policy and plotly.js are those of `biglog.page`.
"""

from __future__ import annotations

import html
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from biglog.detect_terminal import headline, lede, score
from biglog.inference.detection.alerts import Alert, AlertLine
from biglog.inference.detection.files import Detection
from biglog.page import environment, plotly, policy, read, write
from biglog.wording import Piece, duration, plural, shorten, text_pieces, visible

MOST_ALERTS: Final = 200
"""Distinct alerts that a report shows, those with the highest scores."""

MOST_POINTS: Final = 2_000
"""Points of the scores; of more groups, the highest score of each of so many stretches."""

MOST_MARKS: Final = 1_000
"""Alerts that are marked over the scores, those with the highest scores."""

SCORE_NOTE: Final = (
    "A score is 1 less the share of normal groups, held out from learning, that score at least as high. "
    "Groups above the threshold are alerts; it lies where the stated share of normal groups would alarm. "
    "Reasons say what the method compared. A line is told by how far it is from all known ones, and by how "
    "much the score falls without it and those like it."
)


def write_report(done: Detection, path: Path) -> None:
    """Writes a report.

    The file appears under its name only when it is complete.

    Args:
        done: What was found.
        path: Where to write; an existing file is replaced.

    Raises:
        OutputError: It cannot be written; nothing half-written stays behind.
    """
    write(path, render_report(done).encode())


def render_report(done: Detection) -> str:
    """Returns the report's HTML."""
    drawn = figure(done)
    source, packed = plotly()
    script = read("figure.js")
    shown = done.alerts[:MOST_ALERTS]
    return (
        environment()
        .get_template("detect_report.html.j2")
        .render(
            d=done,
            alerts=shown,
            headline=headline(done),
            lede=lede(done),
            figure=drawn,
            timed=_timed(done),
            static_scores=static_path(done),
            plotly=Markup(packed),
            style=Markup(f"{read('report.css')}\n{read('detect_report.css')}"),
            script=Markup(script),
            policy=policy([script, source]),
            pieces_of=line_pieces,
            three=score,
            SCORE_NOTE=SCORE_NOTE,
            span_words=span_words,
        )
    )


def line_pieces(line: AlertLine, limit: int = 600) -> list[Piece]:
    """Splits a line into its header and its content."""
    text = line.line.rstrip("\r\n")
    header = [
        piece._replace(kind=piece.kind or "header") for piece in text_pieces(text[: line.header], limit)
    ]
    return header + text_pieces(text[line.header :], limit)


def span_words(alert: Alert) -> str:
    """Returns how many lines a group has, and over what time."""
    lines = plural(alert.lines, "line")
    if alert.start is None or alert.end is None or alert.start == alert.end:
        return lines
    return f"{lines} over {duration((alert.end - alert.start).total_seconds())}"


def figure(done: Detection) -> dict[str, Any]:
    """Returns scores over time (without times, over the lines of the log) as a Plotly figure.

    Colours are left out: each trace names its role in `meta`, and the page colours it from its style sheet.
    """
    # Alerts have marks of their own, which their points would hide from the pointer.
    points, marks = _points(done, done.scores.filter(~pl.col("is_anomaly"))), _marks(done)
    timed = _timed(done)
    x = [_x(when) for when in points["start"]] if timed else points["first_row"].to_list()
    scores = {
        "type": "scatter",
        "mode": "markers",
        "name": "score",
        "x": x,
        "y": points["anomaly_score"].round(4).to_list(),
        "marker": {"size": 5, "opacity": 0.7},
        "hovertemplate": "score %{y:.3f}<br>%{x}<extra></extra>",
        "meta": {"role": "burst"},
        "cliponaxis": False,
    }
    every = [*x, *marks["x"]]
    ends = [min(every, default=0), max(every, default=1)]
    threshold = {
        "type": "scatter",
        "mode": "lines",
        "name": "threshold",
        "x": ends,
        "y": [done.threshold] * 2,
        "line": {"width": 1.5, "dash": "dash"},
        "marker": {},
        "hovertemplate": f"threshold {done.threshold:.3f}<extra></extra>",
        "meta": {"role": "error"},
    }
    return {"data": [scores, threshold, marks], "layout": _layout(timed)}


def static_path(done: Detection) -> str:
    """Returns the scores as an SVG path in a box of 200 by 100, which stands until the figure is drawn."""
    scores = _points(done, done.scores)["anomaly_score"].to_list()
    wide = 200 / max(len(scores), 1)
    return "".join(
        f"M{place * wide:.2f} 100h{wide:.2f}v-{value * 100:.1f}h-{wide:.2f}z"
        for place, value in enumerate(scores)
        if value > 0
    )


def _points(done: Detection, scores: pl.DataFrame) -> pl.DataFrame:
    """Scores by time; of many groups the highest of each stretch."""
    scores = scores.sort("start", "first_row") if _timed(done) else scores
    if len(scores) <= MOST_POINTS:
        return scores
    stretch = pl.int_range(pl.len()) * MOST_POINTS // pl.len()
    highest = pl.all().sort_by("anomaly_score", descending=True).first()
    return scores.group_by(stretch.alias("stretch"), maintain_order=True).agg(highest)


def _timed(done: Detection) -> bool:
    starts = done.scores["start"]
    return not starts.null_count() and starts.n_unique() > 1


def _marks(done: Detection) -> dict[str, Any]:
    rank = {alert.alert_id: place for place, alert in enumerate(done.alerts[:MOST_ALERTS], start=1)}
    odd = done.scores.filter("is_anomaly").hstack(done.rows.select("alert_id", "first_line", "reasons"))
    odd = odd.sort("anomaly_score", descending=True, maintain_order=True).head(MOST_MARKS)
    x = [_x(when) for when in odd["start"]] if _timed(done) else odd["first_row"].to_list()
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "alert",
        "x": x,
        "y": odd["anomaly_score"].round(4).to_list(),
        "customdata": [rank.get(alert_id) for alert_id in odd["alert_id"]],
        "hovertext": [_label(row, rank) for row in odd.iter_rows(named=True)],
        "hoverinfo": "text",
        "meta": {"role": "odd"},
        "marker": {"symbol": "diamond", "size": 9, "opacity": 0.85, "line": {"width": 1}},
        "cliponaxis": False,
    }


def _label(row: dict[str, Any], rank: dict[str, int]) -> str:
    # Plotly reads a few HTML tags in labels: escape, and cut.
    place = rank.get(row["alert_id"])
    head = f"alert {place}" if place else "alert"
    parts = [f"{head}, score {score(row['anomaly_score'])}, from line {row['first_line']:,}", row["group_id"]]
    return "<br>".join(
        html.escape(visible(shorten(text, 76)), quote=False) for text in (*parts, *row["reasons"][:2])
    )


def _layout(timed: bool) -> dict[str, Any]:
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "showline": False, "automargin": True}
    ticks = {"nticks": 8, "ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
    x = {**axis, **ticks, "type": "date" if timed else "linear"}
    return {
        "hovermode": "closest",
        "showlegend": False,
        "dragmode": False,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": x if timed else {**x, "title": {"text": "line of the log"}},
        "yaxis": {**axis, "showgrid": True, "range": [0, 1.04], "nticks": 6},
    }


def _x(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")
