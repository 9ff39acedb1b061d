"""An analysis as one HTML file that needs nothing else, and as a plain dict for JSON.

The file makes no request: style, script and (where there is a timeline) plotly.js are inside it, and a
content security policy pins the scripts by their SHA-256, so that a log line which found a way past the
escaping would still not run. plotly.js ships as one bundle of 4.8 MB; gzip and base64 bring it to 2.0 MB,
and the browser's own `DecompressionStream` unpacks it. Until then, and without JavaScript, a static drawing
stands in its place.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import math
import os
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from biglog import wording
from biglog.errors import OutputError
from biglog.inference.analysis import Analysis, Event
from biglog.timeline import figure, level_order, resample, stacked_paths

SCHEMA = "biglog.analysis/1"
PAGE_ROWS = 50
SPARK_COLUMNS, SPARK_HEIGHT = 60, 20
_UNBROKEN = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?|[\d.,]+ (%|[A-Za-z]+)")
_TEMPLATES = Path(__file__).with_name("templates")


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
    _write(path, render_report(analysis).encode())


def render_report(analysis: Analysis) -> str:
    """Return the report's HTML."""
    drawn = figure(analysis)
    plotly, packed = _plotly() if drawn else ("", "")
    style, script = (_read(name) for name in ("report.css", "report.js"))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            a=analysis,
            figure=drawn,
            static_timeline=stacked_paths(analysis),
            plotly=Markup(packed),
            style=Markup(style),
            script=Markup(script),
            policy=_policy([script, plotly] if plotly else [script]),
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


@cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


@cache
def _plotly() -> tuple[str, str]:
    """Return the source of plotly.js, and the same packed by gzip and base64."""
    # The import costs half a second: only where something is drawn.
    from plotly.offline import get_plotlyjs

    source = str(get_plotlyjs())
    # A fixed time stamp keeps equal analyses equal byte for byte.
    return source, base64.b64encode(gzip.compress(source.encode(), 6, mtime=0)).decode("ascii")


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Plotly sets style attributes and inserts rules, and draws its export through data: images.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("visible", "moment", "percent", "plural", "duration", "size", "score", "clip", "shorten")
    environment.filters |= {name: getattr(wording, name) for name in words}
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["line_end"] = lambda line: line.rstrip("\r\n")
    environment.filters["unbroken"] = _unbroken
    names = ("headline", "lede", "source_words", "burst_words", "alike_words", "severity_rank", "SEVERITIES")
    pieces = ("template_pieces", "text_pieces", "line_pieces")
    environment.globals |= {name: getattr(wording, name) for name in (*names, *pieces, "SCORE_NOTE")}
    return environment


def _unbroken(text: str) -> Markup:
    """Keep times, and numbers with what they count, from being broken over two lines."""
    return Markup(_UNBROKEN.sub(r'<span class="nowrap">\g<0></span>', str(escape(text))))


def _write(path: Path, content: bytes) -> None:
    try:
        target = path.resolve()
        if target.exists() and not (target.is_file() or target.is_dir()):
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the report cannot be written: {error.strerror or error}",
            where=path,
            remedy="Name a file in an existing folder that you may write to, on a disk with a few MB free",
        ) from error
