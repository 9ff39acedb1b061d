"""An analysis as one HTML file that needs nothing else, and as a plain dict for JSON.

The file makes no request: style, script and (where there is a timeline) plotly.js are inside it, and a
content security policy pins the scripts by their SHA-256, so that a log line which found a way past the
escaping would still not run. plotly.js ships as one bundle of 4.8 MB; gzip and base64 bring it to 2.0 MB,
and the browser's own `DecompressionStream` unpacks it. Until then, and without JavaScript, a static drawing
stands in its place.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from biglog.inference.analysis import Analysis, Event
from biglog.page import environment, plotly, policy, read, write
from biglog.timeline import figure, level_order, resample, stacked_paths

SCHEMA = "biglog.analysis/1"
PAGE_ROWS = 50
SPARK_COLUMNS, SPARK_HEIGHT = 60, 20


def write_report(analysis: Analysis, path: Path) -> None:
    """Write an analysis as one self-contained HTML file.

    The file appears under its name only when it is complete. A `path` that is neither a regular file nor a
    folder (`/dev/stdout`, a pipe) is written to directly.

    Args:
        analysis: What to show.
        path: Where to write; an existing file is replaced.

    Raises:
        OutputError: The folder is missing, the path is a folder, or the system refuses the write (no
            permission, disk full); nothing half-written stays behind.
    """
    write(path, render_report(analysis).encode())


def render_report(analysis: Analysis) -> str:
    """Return the report's HTML."""
    drawn = figure(analysis)
    source, packed = plotly() if drawn else ("", "")
    style = read("report.css")
    script = "\n\n".join([read("report.js"), read("figure.js")])
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            a=analysis,
            figure=drawn,
            static_timeline=stacked_paths(analysis),
            plotly=Markup(packed),
            style=Markup(style),
            script=Markup(script),
            policy=policy([script, source] if source else [script]),
            page_rows=PAGE_ROWS,
            levels=level_order(analysis.level_counts),
            event_index={event.event_id: i for i, event in enumerate(analysis.events, start=1)},
            same_day=_same_day(analysis),
            top_score=max((odd.anomaly_score for odd in analysis.odd_lines), default=0.0),
            spark_columns=max(1, min(SPARK_COLUMNS, len(analysis.bins))),
            spark=lambda event: spark(event, analysis),
        )
    )


def analysis_to_dict(analysis: Analysis) -> dict[str, object]:
    """Return an analysis as JSON types: schema version first, then the fields in their documented order.

    Times are ISO 8601 with their offset, tuples are lists, and a number that JSON cannot hold (NaN, infinity)
    is None. Texts stand as they are in the log, whole and unescaped.
    """
    return {"schema": SCHEMA, **_plain(analysis)}


def spark(event: Event, analysis: Analysis) -> tuple[str, str]:
    """Return the SVG paths of an event's lines over time: all columns, and those within its burst.

    Columns are `SPARK_COLUMNS` at most, scaled to the event's maximum; none that has lines is invisible.
    """
    columns = resample(event.timeline, SPARK_COLUMNS)
    tallest, inside = max(columns, default=0), _burst_columns(event, analysis, len(columns))
    paths = ["", ""]
    for x, count in enumerate(columns):
        if count:
            height = max(count / tallest * SPARK_HEIGHT, 2.0)
            paths[x in inside] += f"M{x}.5 {SPARK_HEIGHT}v-{height:.3g}"
    return paths[0], paths[1]


def _burst_columns(event: Event, analysis: Analysis, columns: int) -> range:
    if not (event.burst and analysis.bins and analysis.bin_seconds):
        return range(0)
    width = analysis.bin_seconds * len(analysis.bins) / columns
    first = (event.burst.start - analysis.bins[0]).total_seconds() / width
    last = (event.burst.end - analysis.bins[0]).total_seconds() / width
    return range(math.floor(first), max(math.ceil(last), math.floor(first) + 1))


def _same_day(analysis: Analysis) -> bool:
    return bool(analysis.start and analysis.end and analysis.start.date() == analysis.end.date())


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
