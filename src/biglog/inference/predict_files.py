"""Log files for the predictor: lines with a time and a component, and a list of failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.logs.sources.expand import SourceLike
from biglog.tasks.failure.moments import SYSTEM

COMPONENTS: Final = ("host", "component", "source", SYSTEM)
"""What can tell the components of a system apart: a column of lines; or nothing, and they are one."""

Progress = Callable[[int, int], None]

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*")


def seconds(text: str) -> float:
    """Reads a span of time: `90s`, `10m`, `24h`, `7d`, `2w`, or plain seconds.

    Raises:
        InputError: It is none, or not above 0.
    """
    found = _SPAN.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if value <= 0:
        raise InputError(f"{text!r} is no span of time", remedy="Write 90s, 10m, 24h or 7d")
    return value


def read_history(
    sources: SourceLike | Iterable[SourceLike],
    *,
    by: str = "host",
    layout: str | None = None,
    year: int | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Reads logs as the lines of histories.

    A line without a timestamp has that of the line before it in its source. Of contents only the normal form
    is kept, so memory is bounded by times and components.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        by: What tells components apart, of `COMPONENTS`; lines that have none are left out.
        layout: Header layout; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        progress: Called with the lines and bytes read so far.

    Returns:
        Columns group_id, time and normal_form.

    Raises:
        InputError: A source cannot be read, no line has a timestamp, or none has a component.
    """
    if by not in COMPONENTS:
        raise InputError(f"components cannot be told by {by!r}", remedy=f"Choose of {', '.join(COMPONENTS)}")
    reader = read_logs(sources, layout=layout, year=year)
    parts: list[pl.DataFrame] = []
    last: dict[str, datetime | None] = {}
    for batch in reader:
        named = pl.lit(batch.source if by == "source" else SYSTEM) if by in ("source", SYSTEM) else pl.col(by)
        before = pl.lit(last.get(batch.source), dtype=pl.Datetime("us", "UTC"))
        frame = batch.frame.select(
            group_id=named.cast(pl.String),
            time=pl.col("timestamp").forward_fill().fill_null(before),
            normal_form=normal_forms(batch.frame["content"]).cast(pl.Categorical),
        )
        last[batch.source] = frame["time"][-1] if len(frame) else last.get(batch.source)
        parts.append(frame)
        if progress is not None:
            progress(reader.report.lines, reader.report.bytes)
    lines = pl.concat(parts) if parts else pl.DataFrame({"group_id": [], "time": [], "normal_form": []})
    timed = lines.filter(pl.col("time").is_not_null())
    if timed.is_empty():
        raise InputError("no line has a timestamp", remedy="Name the format (--layout); see `biglog read`")
    found = timed.filter(pl.col("group_id").is_not_null())
    if found.is_empty():
        raise InputError(
            f"no line has a {by}",
            remedy=f"Tell components apart by {', '.join(c for c in COMPONENTS if c != by)}",
        )
    return found


def read_failures_file(path: Path) -> pl.DataFrame:
    """Reads a list of failures.

    Args:
        path: A CSV, Parquet or JSON lines file with a column `time` (ISO 8601, or Unix seconds), and perhaps
            `component` and `maintenance`.

    Raises:
        InputError: It cannot be read, has no column time, or no rows.
    """
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif path.suffix == ".jsonl":
            table = pl.read_ndjson(path)
        else:
            table = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"it cannot be read as a list of failures ({str(error).splitlines()[0]})",
            where=path,
            remedy="Write CSV with the columns time and component",
        ) from error
    if "time" not in table.columns or table.is_empty():
        problem = "it lists no failure" if table.is_empty() else "it has no column time"
        raise InputError(problem, where=path, remedy=f"It has the columns {', '.join(table.columns)}")
    return table
