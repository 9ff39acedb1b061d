"""The tables: their columns, their splits, and what order their rows have.

*lines* has one row a line of the raw logs. *templates* has the ground truth of log parsing; it is for
evaluation alone, so all of it is `test`. *windows* has groups of lines with the label of each group.
*failures* has what a predictor sees up to a moment, and whether a failure followed. These four are built of a
domain's logs. *statements* has the log calls of source code, of no domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from datasets import Features

SPLITS: Final = ("train", "validation", "test")
TABLES: Final = ("lines", "templates", "windows", "failures")
"""What is built of each domain. The table of statements is of no domain: see `SCHEMAS`."""

_TIME = pa.timestamp("us", tz="UTC")

LINES: Final = pa.schema(
    {
        "line_id": pa.int64(),
        "timestamp": _TIME,
        "level": pa.string(),
        "component": pa.string(),
        "pid": pa.string(),
        "host": pa.string(),
        "content": pa.string(),
        "normal_form": pa.string(),
        "session_id": pa.string(),
        "label": pa.string(),
        "is_anomaly": pa.bool_(),
        "source": pa.string(),
        "line_number": pa.int64(),
        "has_header": pa.bool_(),
    }
)
"""One row a line, in order of time. `line_id` counts from 0 through all splits. `timestamp` of a line without
header is that of the record before it. `session_id` is the line's first. `label` is as the source has it (its
own column, or the label of its session) and `is_anomaly` what it means; both are null where nothing is
labelled. `source` is the file's name relative to the data folder (`archive::member`), `line_number` the
line's number in it, from 1. `content` is the whole line where `has_header` is false."""

TEMPLATES: Final = pa.schema(
    {
        "line_id": pa.int64(),
        "content": pa.string(),
        "normal_form": pa.string(),
        "event_id": pa.string(),
        "template": pa.string(),
        "ground_truth_version": pa.string(),
    }
)
"""One row an annotated line and version of the ground truth; `line_id` is the annotation's own, from 1."""

WINDOWS: Final = pa.schema(
    {
        "group_id": pa.string(),
        "grouping": pa.string(),
        "start": _TIME,
        "end": _TIME,
        "line_ids": pa.list_(pa.int64()),
        "contents": pa.list_(pa.string()),
        "normal_forms": pa.list_(pa.string()),
        "label": pa.string(),
        "is_anomaly": pa.bool_(),
    }
)
"""One row a group, in order of its first line. `grouping` says how it was made: `session`, `count:20/20`
(lines a window / lines to the next) or `time:60/60` (seconds). `start` and `end` are the times of its first
and last line. `line_ids` are those of the table of lines."""

FAILURES: Final = pa.schema(
    {
        "group_id": pa.string(),
        "time": _TIME,
        "history_seconds": pa.float64(),
        "horizon_seconds": pa.float64(),
        "start": _TIME,
        "end": _TIME,
        "line_ids": pa.list_(pa.int64()),
        "normal_forms": pa.list_(pa.string()),
        "label": pa.string(),
        "is_failure": pa.bool_(),
        "seconds_to_failure": pa.float64(),
        "maintenance": pa.bool_(),
    }
)
"""One row a history, in order of `time`, the moment at which a prediction is asked for: nothing in the
history is later. `start` and `end` are the times of its first and last line. `is_failure` says whether a
failure of `group_id` lies within (time, time + horizon_seconds]; then `seconds_to_failure` is the time to the
first. Both horizon and time to failure are null where the label is that of the whole group, whenever it
failed. `maintenance` marks rows whose failure hit many components within the same minute."""

STATEMENTS: Final = pa.schema(
    {
        "template": pa.string(),
        "level": pa.string(),
        "raw_level": pa.string(),
        "component": pa.string(),
        "parameters": pa.list_(pa.string()),
        "language": pa.string(),
        "project": pa.string(),
        "version": pa.string(),
        "licence": pa.string(),
        "path": pa.string(),
        "line_number": pa.int64(),
        "count": pa.int64(),
    }
)
"""One row a log call of source code, by project, path and line. `template` has `<*>` for each argument, and
`parameters` what the arguments are called, in the order of the `<*>`. `level` is one of trace, debug, info,
warning, error, critical, or null where the call does not say; `raw_level` is as written (of Python's warnings
the category). `component` is the logger, class or module. `licence` is the project's, as SPDX has it where it
can be known. `path` is the file inside the project and `line_number` the line of the call, from 1. Calls of a
project that have one level, and templates that differ in case, digits or spaces alone, are one row, the
first; `count` says how many."""

SCHEMAS: Final[Mapping[str, pa.Schema]] = MappingProxyType(
    {
        "lines": LINES,
        "templates": TEMPLATES,
        "windows": WINDOWS,
        "failures": FAILURES,
        "statements": STATEMENTS,
    }
)
"""Columns of each table, as its Parquet files have them."""


GROUPINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "windows": ("window_lines", "stride_lines", "window_seconds", "stride_seconds", "session"),
        "failures": ("history_seconds", "horizon_seconds"),
    }
)
"""What a caller can choose, by table: options of `biglog.data.tables.build.build`."""


def features(table: str) -> Features:
    """The columns of a table as `datasets` describes them.

    Args:
        table: One of `SCHEMAS`.
    """
    from datasets import Features

    return Features.from_arrow_schema(SCHEMAS[table])


def conform(frame: pl.DataFrame, table: str) -> pa.Table:
    """Turns rows into a table of the exact schema.

    Args:
        frame: Has all columns of the table, in any order; others are left out.
        table: One of `SCHEMAS`.

    Returns:
        The rows with the columns of `SCHEMAS[table]`, in its order and types.
    """
    schema = SCHEMAS[table]
    arrow = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return arrow.cast(schema)
