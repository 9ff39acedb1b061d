"""The table of windows by session: a session is in one split as a whole, by its first line.

Of each session its identifier, its first line and its number of lines are kept in memory. Then lines are
routed on disk to *buckets* of consecutive sessions, and one bucket is grouped at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from biglog.data.schema import SPLITS
from biglog.data.tables.parquet import ROW_GROUP_ROWS, read_batches
from biglog.data.tables.splits import shares
from biglog.data.tables.windows import (
    BUCKET_ROWS,
    READ,
    Grouping,
    WindowResult,
    WindowTask,
    group_rows,
    write_groups,
)
from biglog.logs.domains import Domain
from biglog.logs.grouping import by_session


@dataclass(frozen=True)
class SessionTask:
    """A shard of lines whose sessions are counted, and whose lines are routed.

    Attributes:
        path: The shard.
        column: Column of the session's identifier.
        pattern: Or the regex that finds it in the content.
        preferred: Sources that hold their sessions whole, where others hold some of the same lines.
        counted: Parquet file of the shard's sessions.
        index: Parquet file of all sessions with their buckets.
        buckets: Folder of the buckets.
    """

    path: Path
    column: str | None
    pattern: str | None
    preferred: tuple[str, ...]
    counted: Path
    index: Path
    buckets: Path


def session_tasks(
    domain: Domain, shards: Sequence[Path], preferred: Sequence[str], folder: Path
) -> list[SessionTask]:
    """Makes a task of each shard of lines.

    Args:
        domain: Says what tells sessions.
        shards: All shards of lines.
        preferred: See `SessionTask`.
        folder: For temporary files.
    """
    pattern = domain.session_pattern
    column = None if pattern else "session_id"
    counted, buckets = folder / "counted", folder / "buckets"
    for made in (counted, buckets):
        made.mkdir(parents=True)
    return [
        SessionTask(
            path, column, pattern, tuple(preferred), counted / path.name, folder / "index.parquet", buckets
        )
        for path in shards
    ]


def count_sessions(task: SessionTask) -> Path:
    """Counts the lines of the sessions in a shard, and finds their first ones.

    Returns:
        A Parquet file: group_id, preferred, first, lines.
    """
    parts = [
        _members(batch, task)
        .group_by("group_id", "preferred")
        .agg(first=pl.col("line_id").min(), lines=pl.len())
        for batch in read_batches([task.path], ["line_id", "content", "session_id", "source"])
    ]
    if parts:
        counted = pl.concat(parts).group_by("group_id", "preferred")
        total = counted.agg(pl.col("first").min(), pl.col("lines").sum())
        total.write_parquet(task.counted, compression="zstd")
    return task.counted


def _members(batch: pl.DataFrame, task: SessionTask) -> pl.DataFrame:
    """One row a line and session it belongs to."""
    rows = by_session(batch, column=task.column, pattern=task.pattern).explode("rows")
    preferred = pl.col("source").is_in(list(task.preferred)).alias("preferred")
    return pl.concat([rows.select("group_id"), batch.with_columns(preferred)[rows["rows"]]], how="horizontal")


def index_sessions(tasks: Sequence[SessionTask], bucket_rows: int = BUCKET_ROWS) -> dict[str, list[int]]:
    """Gives every session its split and bucket.

    Args:
        tasks: The shards, after `count_sessions`.
        bucket_rows: About how many lines a bucket has.

    Returns:
        The buckets of each split, in order.
    """
    counted = [pl.read_parquet(task.counted) for task in tasks if task.counted.exists()]
    schema = {"group_id": pl.String, "preferred": pl.Boolean, "first": pl.Int64, "lines": pl.UInt32}
    every = pl.concat([*counted, pl.DataFrame(schema=schema)], how="vertical_relaxed")
    chosen = every.filter(pl.col("preferred") | ~pl.col("preferred").any().over("group_id"))
    sessions = chosen.group_by("group_id", "preferred").agg(pl.col("first").min(), pl.col("lines").sum())
    sessions = sessions.sort("first", "group_id").with_row_index("rank")
    bounds = shares(len(sessions))[1:3]
    split = sum(((pl.col("rank") >= bound).cast(pl.UInt32) for bound in bounds), pl.lit(0, dtype=pl.UInt32))
    sessions = sessions.with_columns(split.alias("split"))
    filled = pl.col("lines").cum_sum().over("split") - pl.col("lines")
    bucket = pl.struct("split", filled // bucket_rows).rank("dense").cast(pl.UInt32) - 1
    sessions = sessions.with_columns(bucket.alias("bucket"))
    if tasks:
        sessions.select("group_id", "preferred", "rank", "bucket").write_parquet(tasks[0].index)
    buckets = sessions.group_by("split").agg(pl.col("bucket").unique().sort())
    found = {SPLITS[number]: members for number, members in buckets.iter_rows()}
    return {name: found.get(name, []) for name in SPLITS}


def route_lines(task: SessionTask) -> int:
    """Writes each line of a shard to the buckets of its sessions.

    Returns:
        How many lines were routed, each counted once a session.
    """
    if not task.counted.exists():
        return 0
    mine = pl.scan_parquet(task.counted).select("group_id", "preferred")
    index = pl.scan_parquet(task.index).join(mine, on=["group_id", "preferred"], how="semi").collect()
    routed, waiting, flushed = 0, list[pl.DataFrame](), 0
    for batch in read_batches([task.path], list(READ)):
        rows = _members(batch, task).join(index, on=["group_id", "preferred"], maintain_order="left")
        waiting.append(rows.drop("preferred", "source"))
        routed += len(rows)
        if sum(map(len, waiting)) >= BUCKET_ROWS:
            _flush(waiting, task, flushed)
            waiting, flushed = [], flushed + 1
    if waiting:
        _flush(waiting, task, flushed)
    return routed


def _flush(waiting: list[pl.DataFrame], task: SessionTask, number: int) -> None:
    for (bucket,), rows in pl.concat(waiting).partition_by("bucket", as_dict=True).items():
        folder = task.buckets / f"{bucket:06}"
        folder.mkdir(exist_ok=True)
        rows.write_parquet(
            folder / f"{task.path.stem}-{number:04}.parquet", compression="zstd", compression_level=1
        )


def bucket_tasks(
    buckets: dict[str, list[int]],
    sessions: Sequence[SessionTask],
    labels: Path | None,
    folder: Path,
    fingerprints: Path,
    shard_bytes: int,
) -> list[WindowTask]:
    """Makes tasks of consecutive buckets, after `route_lines`.

    Args:
        buckets: What `index_sessions` says.
        sessions: Its tasks.
        labels: Parquet file with the labels of sessions, or None.
        folder: Where the windows go.
        fingerprints: Where fingerprints go.
        shard_bytes: About how large a shard may be.
    """
    tasks: list[WindowTask] = []
    for split in SPLITS:
        paths = [sessions[0].buckets / f"{bucket:06}" for bucket in buckets[split]]
        for part in _fitting(paths, shard_bytes) or [()]:
            prints = fingerprints / f"{len(tasks):06}.parquet"
            grouping = Grouping("session")
            tasks.append(
                WindowTask(len(tasks), split, grouping, part, folder, prints, shard_bytes, labels=labels)
            )
    return tasks


def _fitting(paths: list[Path], shard_bytes: int) -> list[tuple[Path, ...]]:
    parts: list[list[Path]] = []
    filled = shard_bytes
    for path in paths:
        size = sum(file.stat().st_size for file in path.iterdir())
        if filled + size > shard_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(path)
        filled += size
    return [tuple(part) for part in parts]


def write_sessions(task: WindowTask) -> WindowResult:
    """Writes the sessions of a task's buckets.

    Raises:
        OutputError: They cannot be written.
    """
    return write_groups(task, _by_session(task))


def _by_session(task: WindowTask) -> Iterator[pl.DataFrame]:
    for bucket in task.paths:
        rows = pl.concat([pl.read_parquet(path) for path in sorted(bucket.iterdir())]).sort("rank", "line_id")
        numbered = rows.with_row_index("at").group_by("group_id", maintain_order=True).agg(rows="at")
        own = pl.when(pl.col("session_id") == pl.col("group_id"))
        labelled = rows.with_columns(
            own.then("label").alias("label"), own.then("is_anomaly").alias("is_anomaly")
        )
        windows = _labelled(group_rows(labelled, numbered, task.grouping), task.labels)
        for at in range(0, len(windows), ROW_GROUP_ROWS["windows"]):
            yield windows.slice(at, ROW_GROUP_ROWS["windows"])


def _labelled(windows: pl.DataFrame, labels: Path | None) -> pl.DataFrame:
    """A session that is never a line's first is known by the list of labels only."""
    if labels is None:
        return windows
    listed = pl.scan_parquet(labels).select(
        pl.col("session_id").alias("group_id"),
        pl.col("label").alias("listed_label"),
        pl.col("is_anomaly").alias("listed_anomaly"),
    )
    known = listed.join(windows.lazy().select("group_id"), on="group_id", how="semi").collect()
    return windows.join(known, on="group_id", how="left", maintain_order="left").with_columns(
        label=pl.coalesce("label", "listed_label"), is_anomaly=pl.coalesce("is_anomaly", "listed_anomaly")
    )
