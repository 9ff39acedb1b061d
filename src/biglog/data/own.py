"""A user's own logs as tables: lines as they are read, and windows of them, in bounded memory.

Nothing is known of these logs beforehand: lines stay in the order in which they are read, there are no labels
but those in the lines, and no splits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from biglog._version import __version__
from biglog.data.schema import SCHEMAS, SPLITS, conform
from biglog.data.tables.lines import SHARD_BYTES
from biglog.data.tables.parquet import RollingWriter, read_batches
from biglog.data.tables.sessions import (
    bucket_tasks,
    count_sessions,
    index_sessions,
    route_lines,
    session_tasks,
    write_sessions,
)
from biglog.data.tables.windows import Grouping, WindowTask, grouping_of, window_tasks, write_windows
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS, Domain
from biglog.logs.grouping import session_ids
from biglog.logs.masking import MASKING_VERSION, normal_forms
from biglog.logs.record import read_logs
from biglog.logs.sources.expand import expand


@dataclass(frozen=True)
class OwnLogs:
    """Logs to read, and how.

    Attributes:
        sources: Paths, folders, patterns or members of archives, as `read_logs` takes them.
        layout: Layout of all of them; None recognises each one's.
        join: Whether lines without header join the record before them.
        session_column: Column that tells sessions, or None.
        session_pattern: Regex with one group that finds sessions in the content, or None.
        window_lines: Lines a window.
        stride_lines: Lines from the beginning of one window to that of the next.
        window_seconds: Seconds a window.
        stride_seconds: Seconds from the beginning of one window to that of the next.
    """

    sources: tuple[str, ...]
    layout: str | None = None
    join: bool = False
    session_column: str | None = None
    session_pattern: str | None = None
    window_lines: int | None = None
    stride_lines: int | None = None
    window_seconds: float | None = None
    stride_seconds: float | None = None

    @property
    def table(self) -> str:
        """``windows`` if a way to group lines is given, else ``lines``."""
        asked = (self.window_lines, self.window_seconds, self.session_column, self.session_pattern)
        return "lines" if all(one is None for one in asked) else "windows"

    @property
    def domain(self) -> Domain:
        """A domain of which nothing holds but the session's key."""
        return replace(
            DOMAINS["Apache"],
            session_column=self.session_column,
            session_pattern=self.session_pattern,
            session_path=None,
            labels=None,
        )

    @property
    def grouping(self) -> Grouping:
        """How lines are grouped: by count or by time if that was asked for, else by session.

        Raises:
            InputError: Options contradict each other.
        """
        by_count_or_time = self.window_lines is not None or self.window_seconds is not None
        return grouping_of(
            self.domain,
            window_lines=self.window_lines,
            stride_lines=self.stride_lines,
            window_seconds=self.window_seconds,
            stride_seconds=self.stride_seconds,
            session=not by_count_or_time,
        )

    @property
    def key(self) -> str:
        """Digest of the files, the options and the code's versions: 32 hexadecimal digits.

        Raises:
            InputError: A source is missing, cannot be read, or is a stream.
        """
        found = expand(list(self.sources))
        for source in found:
            if source.path is None:
                raise InputError(
                    "a stream cannot be read twice", where=source.name, remedy="Write it to a file first"
                )
        paths = sorted({source.path for source in found if source.path is not None})
        made_of = {
            **asdict(self),
            "names": [source.name for source in found],
            "files": [file_digest(path) for path in paths],
            "columns": str(SCHEMAS[self.table]),
            "versions": [__version__, MASKING_VERSION],
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy="Check its mode") from error


def own_lines(logs: OwnLogs) -> Iterator[pl.DataFrame]:
    """Yields the rows of the table of lines, in the order in which they are read."""
    first = 0
    for batch in read_logs(list(logs.sources), layout=logs.layout, join=logs.join):
        frame = batch.frame
        yield frame.with_columns(
            pl.int_range(first, first + len(frame), dtype=pl.Int64).alias("line_id"),
            normal_forms(frame["content"]).alias("normal_form"),
            session_ids(frame, logs.domain),
            pl.lit(None, dtype=pl.Boolean).alias("is_anomaly"),
            pl.lit(batch.source).alias("source"),
        )
        first += len(frame)


def own_tables(logs: OwnLogs) -> Iterator[pa.Table]:
    """Yields the rows of the table that is asked for, piece by piece; windows pass through temporary files.

    Raises:
        InputError: The logs cannot be read, or the options contradict each other.
        OutputError: Temporary files cannot be written.
    """
    if logs.table == "lines":
        for frame in own_lines(logs):
            yield conform(frame, "lines")
        return
    grouping = logs.grouping
    with TemporaryDirectory(prefix="biglog-windows-") as scratch:
        folder = Path(scratch)
        rows = 0
        with RollingWriter(folder / "lines", "lines", "lines", SHARD_BYTES) as writer:
            for frame in own_lines(logs):
                writer.write(frame)
                rows += len(frame)
        by_session = grouping.kind == "session"
        tasks = (
            _session_tasks(logs, writer.paths, folder)
            if by_session
            else _window_tasks(grouping, writer.paths, rows, folder)
        )
        write = write_sessions if by_session else write_windows
        for task in tasks:
            for windows in read_batches(write(task).paths):
                yield conform(windows, "windows")


def _window_tasks(grouping: Grouping, shards: Sequence[Path], rows: int, folder: Path) -> list[WindowTask]:
    only, *others = SPLITS
    return [
        task
        for task in window_tasks(
            grouping,
            {only: list(shards)} | {split: [] for split in others},
            {only: rows} | dict.fromkeys(others, 0),
            folder / "windows",
            folder / "fingerprints",
            SHARD_BYTES,
        )
        if task.split == only
    ]


def _session_tasks(logs: OwnLogs, shards: Sequence[Path], folder: Path) -> list[WindowTask]:
    sessions = session_tasks(logs.domain, shards, (), folder / "sessions")
    for task in sessions:
        count_sessions(task)
    buckets = index_sessions(sessions)
    for task in sessions:
        route_lines(task)
    # Sessions have splits in order of their first lines: one after the other they are all in order.
    return bucket_tasks(buckets, sessions, None, folder / "windows", folder / "fingerprints", SHARD_BYTES)


def as_sources(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Returns what a caller names as texts, made absolute: a cache is used from any folder.

    Raises:
        InputError: A stream is among them.
    """
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if any(not isinstance(one, str | os.PathLike) or os.fspath(one) == "-" for one in named):
        raise InputError("a stream cannot be read twice", remedy="Write it to a file, and name the file")
    return tuple(os.path.abspath(one) for one in named)  # noqa: PTH100  # patterns, too
