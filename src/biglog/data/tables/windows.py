"""The table of windows: lines of the table of lines in groups, each with its label and its split.

Windows by count and by time are cut here, within a split of the lines, so that none straddles two. Sessions,
which are put into splits as a whole, are in `biglog.data.tables.sessions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import polars as pl

from biglog.data.schema import SPLITS
from biglog.data.tables.leakage import write_fingerprints
from biglog.data.tables.parquet import RollingWriter, read_batches
from biglog.errors import InputError
from biglog.logs.domains import Domain
from biglog.logs.grouping import by_count, by_time, gather, timestamps

WINDOW_LINES: Final = 20
BUCKET_ROWS: Final = 1 << 18
"""Lines that are grouped at a time, unless one session has more."""

KINDS: Final = ("group", "sequence")
"""What the leakage report of windows compares: identifiers, and whole sequences of normal forms."""

READ: Final = (
    "line_id",
    "timestamp",
    "content",
    "normal_form",
    "session_id",
    "label",
    "is_anomaly",
    "source",
)
"""Columns of lines that groups are made of."""


@dataclass(frozen=True)
class Grouping:
    """How lines are grouped.

    Attributes:
        kind: "session", "count" or "time".
        size: Lines or seconds a window.
        stride: Lines or seconds from the beginning of one window to that of the next.
    """

    kind: str
    size: float = 0
    stride: float = 0

    @property
    def name(self) -> str:
        """As the table has it: `session`, `count:20/20`, `time:60/30`."""
        return self.kind if self.kind == "session" else f"{self.kind}:{self.size:g}/{self.stride:g}"


def grouping_of(
    domain: Domain,
    *,
    window_lines: int | None = None,
    stride_lines: int | None = None,
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
    session: bool | None = None,
) -> Grouping:
    """Chooses how lines are grouped: as asked for, else by session where sessions are labelled, or by count.

    Args:
        domain: The domain.
        window_lines: Lines a window.
        stride_lines: Lines from one window to the next; None is `window_lines`.
        window_seconds: Seconds a window.
        stride_seconds: Seconds from one window to the next; None is `window_seconds`.
        session: Whether to group by session.

    Raises:
        InputError: The arguments contradict each other, or the domain has no sessions.
    """
    asked = [bool(session), window_lines is not None, window_seconds is not None]
    if sum(asked) > 1:
        raise InputError(
            "more than one way to group lines", remedy="Give window_lines, or window_seconds, or session"
        )
    has_key = any((domain.session_column, domain.session_pattern, domain.session_path))
    if session and not has_key:
        raise InputError(f"{domain.name} has no sessions", remedy="Give window_lines or window_seconds")
    if window_seconds is not None:
        return Grouping("time", window_seconds, stride_seconds or window_seconds)
    if session or (session is None and window_lines is None and domain.labels == "session"):
        return Grouping("session")
    lines = WINDOW_LINES if window_lines is None else window_lines
    if lines < 1 or (stride_lines is not None and not 0 < stride_lines <= lines):
        raise InputError(
            f"windows of {lines} lines every {stride_lines} leave lines out, or have none",
            remedy="Give 1 <= stride_lines <= window_lines",
        )
    return Grouping("count", lines, stride_lines or lines)


@dataclass(frozen=True)
class WindowTask:
    """A stretch of windows of one split, in order.

    Attributes:
        number: Number of the task; tasks are in order.
        split: The split.
        grouping: How lines are grouped.
        paths: Shards of lines, or the folders of buckets.
        first: First window (by count).
        last: Behind the last window (by count).
        labels: Parquet file with the labels of sessions, or None.
        folder: Where shards go, for now under names of their own.
        fingerprints: Where fingerprints go.
        shard_bytes: About how large a shard may be.
    """

    number: int
    split: str
    grouping: Grouping
    paths: tuple[Path, ...]
    folder: Path
    fingerprints: Path
    shard_bytes: int
    first: int = 0
    last: int = 0
    labels: Path | None = None


@dataclass
class WindowResult:
    """What was written.

    Attributes:
        split: The split.
        paths: Shards under the names they have for now.
        fingerprints: The file of fingerprints.
        rows: Windows.
        lines: Lines in them; a line may be in several.
        labelled: Windows with a label.
        anomalies: Windows that are anomalies.
    """

    split: str
    fingerprints: Path
    paths: list[Path] = field(default_factory=list)
    rows: int = 0
    lines: int = 0
    labelled: int = 0
    anomalies: int = 0


def window_tasks(
    grouping: Grouping,
    shards: dict[str, list[Path]],
    rows: dict[str, int],
    folder: Path,
    fingerprints: Path,
    shard_bytes: int,
) -> list[WindowTask]:
    """Makes tasks for windows by count or by time.

    Args:
        grouping: How lines are grouped.
        shards: Shards of lines of each split.
        rows: Lines of each split.
        folder: Where the windows go.
        fingerprints: Where fingerprints go.
        shard_bytes: About how large a shard may be.
    """
    tasks: list[WindowTask] = []
    for split in SPLITS:
        make = partial(
            WindowTask,
            split=split,
            grouping=grouping,
            paths=tuple(shards[split]),
            folder=folder,
            shard_bytes=shard_bytes,
        )
        for first, last in _stretches(grouping, rows[split], shards[split], shard_bytes):
            number = len(tasks)
            prints = fingerprints / f"{number:06}.parquet"
            tasks.append(make(number=number, fingerprints=prints, first=first, last=last))
    return tasks


def _stretches(grouping: Grouping, rows: int, shards: list[Path], shard_bytes: int) -> list[tuple[int, int]]:
    """Windows by count can be numbered beforehand: as many for each task as make about a shard."""
    if grouping.kind == "time":
        return [(0, 0)]
    size, stride = int(grouping.size), int(grouping.stride)
    windows = -(-max(0, rows - size) // stride) + (rows > 0)
    written = sum(path.stat().st_size for path in shards) * size / stride
    parts = min(max(1, windows), max(1, -(-int(written) // shard_bytes)))
    return list(pairwise(windows * part // parts for part in range(parts + 1)))


def write_windows(task: WindowTask) -> WindowResult:
    """Writes the windows of a task, by count or by time.

    Raises:
        OutputError: They cannot be written.
    """
    return write_groups(task, _by_time(task) if task.grouping.kind == "time" else _by_count(task))


def write_groups(task: WindowTask, frames: Iterable[pl.DataFrame]) -> WindowResult:
    """Writes groups into shards of bounded size, with the fingerprints of each.

    Args:
        task: Says where.
        frames: The groups, as `group_rows` makes them.

    Raises:
        OutputError: They cannot be written.
    """
    result = WindowResult(task.split, task.fingerprints)
    stem = f"{task.split}-{task.number:06}"
    with (
        write_fingerprints(task.fingerprints, KINDS) as prints,
        RollingWriter(task.folder, stem, "windows", task.shard_bytes) as writer,
    ):
        for windows in frames:
            writer.write(windows)
            sequence = pl.col("normal_forms").list.join("\n").alias("sequence")
            prints.write(windows.select(pl.col("group_id").alias("group"), sequence))
            _count(result, windows)
    result.paths = writer.paths
    return result


def _count(result: WindowResult, windows: pl.DataFrame) -> None:
    result.rows += len(windows)
    result.lines += int(windows["line_ids"].list.len().sum())
    result.labelled += len(windows) - windows["is_anomaly"].null_count()
    result.anomalies += int(windows["is_anomaly"].sum())


# -- by count, by time --


def _by_count(task: WindowTask) -> Iterator[pl.DataFrame]:
    size, stride = int(task.grouping.size), int(task.grouping.stride)
    chunk = max(1, BUCKET_ROWS // stride)
    at, rows = task.first, pl.DataFrame()
    offset = 0
    for batch in read_batches(task.paths, list(READ)):
        begin, offset = offset, offset + len(batch)
        if offset <= at * stride or at >= task.last:
            continue
        batch = batch.slice(max(0, at * stride + len(rows) - begin))
        rows = pl.concat([rows, batch]) if len(rows) else batch
        while at + chunk < task.last and len(rows) >= (chunk - 1) * stride + size:
            yield _count_windows(rows.head((chunk - 1) * stride + size), task.grouping)
            at, rows = at + chunk, rows.slice(chunk * stride)
        rows = rows.head((task.last - at - 1) * stride + size)
    if at < task.last:
        yield _count_windows(rows, task.grouping)


def _count_windows(rows: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    groups = by_count(rows, window_lines=int(grouping.size), stride_lines=int(grouping.stride))
    return _numbered(group_rows(rows, groups, grouping))


def _by_time(task: WindowTask) -> Iterator[pl.DataFrame]:
    """A window is done when a line at or after its end has come; unfinished ones wait for more lines."""
    rows, begun = pl.DataFrame(), None
    for batch in read_batches(task.paths, list(READ)):
        rows = pl.concat([rows, batch]) if len(rows) else batch
        last = timestamps(rows)[-1]
        if len(rows) >= BUCKET_ROWS and last is not None:
            done, begun, rows = _time_windows(rows, task.grouping, begun, last)
            yield done
    if len(rows):
        yield _time_windows(rows, task.grouping, begun, None)[0]


def _time_windows(
    rows: pl.DataFrame, grouping: Grouping, begun: int | None, upto: int | None
) -> tuple[pl.DataFrame, int | None, pl.DataFrame]:
    """The windows that begin at `begun` or later and end at `upto` or before, and what is left for others."""
    times = timestamps(rows)
    groups = by_time(rows, window_seconds=grouping.size, stride_seconds=grouping.stride)
    starts = groups["group_id"].str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").to_physical()
    wanted = pl.Series([True]).new_from_index(0, len(groups)) if begun is None else starts >= begun
    if upto is None:
        return _numbered(group_rows(rows, groups.filter(wanted), grouping)), None, rows.clear()
    done = starts + round(grouping.size * 1e6) <= upto
    unfinished = starts.filter(~done).min()
    begin = upto if unfinished is None else unfinished
    assert isinstance(begin, int)
    return (
        _numbered(group_rows(rows, groups.filter(wanted & done), grouping)),
        begin,
        rows.filter(times >= begin),
    )


def _numbered(windows: pl.DataFrame) -> pl.DataFrame:
    """Windows are called by their first and last line, which no two share."""
    first, last = pl.col("line_ids").list.first(), pl.col("line_ids").list.last()
    return windows.with_columns(group_id=pl.format("{}-{}", first, last))


def group_rows(rows: pl.DataFrame, groups: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Makes groups into rows of the table.

    The label of a group is that of its first anomalous line, or else its first label.

    Args:
        rows: Lines in order.
        groups: A table of groups, as `biglog.logs.grouping` makes them.
        grouping: How they were made.
    """
    alert = pl.when("is_anomaly").then("label").alias("alert")
    lists = gather(
        rows.with_columns(alert),
        groups,
        ("line_id", "timestamp", "content", "normal_form", "label", "alert", "is_anomaly"),
    )
    told, times = pl.col("is_anomaly").list.drop_nulls(), pl.col("timestamp").list.drop_nulls()
    label, alert = (pl.col(name).list.drop_nulls().list.first() for name in ("label", "alert"))
    return lists.select(
        "group_id",
        pl.lit(grouping.name).alias("grouping"),
        times.list.first().alias("start"),
        times.list.last().alias("end"),
        pl.col("line_id").alias("line_ids"),
        pl.col("content").alias("contents"),
        pl.col("normal_form").alias("normal_forms"),
        pl.coalesce(alert, label).alias("label"),
        pl.when(told.list.len() > 0).then(told.list.any()).alias("is_anomaly"),
    )
