"""The first stage of a build: logs are read, in parallel, into sorted runs on disk.

A run has a bounded number of rows, sorted by (`key`, `item`, `position`). `key` is the row's timestamp in
microseconds; a row without one takes that of the row before it in its source, rows before the first timestamp
of a source take that one. Sources without any timestamp have runs of their own, in order of position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

import polars as pl

from biglog.data.archives.catalog import session_of_source
from biglog.data.schema import LINES
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS, Domain
from biglog.logs.grouping import session_ids
from biglog.logs.masking import normal_forms
from biglog.logs.record import BATCH_LINES, RecordBatch, SourceReport, read_logs
from biglog.logs.redaction import Redactor

RUN_ROWS: Final = 1 << 18
RUN_BYTES: Final = 1 << 28
"""A run has about so many rows at most, or so many bytes in memory."""

ORDER: Final = ("key", "item", "position")
"""What rows are sorted by: time, order of the sources, place in the source."""

_ROW_GROUP: Final = 1 << 15
_NAMED_LINES: Final = 5
_REDACTED: Final = ("content", "session_id", "host")
_COLUMNS: Final = tuple(name for name in LINES.names if name not in ("line_id", "normal_form"))


@dataclass(frozen=True)
class SourceItem:
    """A raw log, or the logs of a tar.

    Attributes:
        index: Its number among those of the domain.
        path: What `read_logs` is given.
        name: What the tables call it; of the logs of a tar, the part before `::` is.
        year: Year of its first line, where timestamps have none.
        labelled: Whether the domain's labels of sessions are about it.
    """

    index: int
    path: str
    name: str
    year: int | None = None
    labelled: bool = True

    def name_of(self, source: str) -> str:
        """What the tables call one of its sources, by the reader's name of it."""
        if not source.partition("::")[2]:
            return self.name
        return self.name.partition("::")[0] + "::" + source.partition("::")[2]


@dataclass(frozen=True)
class ReadTask:
    """Sources to read one after the other.

    Attributes:
        number: Number of the task.
        domain: Name of the domain.
        sources: What to read.
        folder: Where runs go.
        labels: Parquet file with the labels of sessions, or None.
        redactor: What hides personal data, or None.
        run_rows: Rows of a run.
    """

    number: int
    domain: str
    sources: tuple[SourceItem, ...]
    folder: Path
    labels: Path | None = None
    redactor: Redactor | None = None
    run_rows: int = RUN_ROWS


@dataclass(frozen=True)
class Run:
    """Sorted rows on disk.

    Attributes:
        path: Parquet file.
        rows: How many.
        bytes: Size of the file.
        low: Lowest key; for `timeless` runs the lowest position in the source, from 0.
        high: Highest key or position.
        constant: The key of all rows, where it was known only after they were written; else None.
        timeless: The source, as (item, position of its first row), if it has no timestamps; else None.
    """

    path: Path
    rows: int
    bytes: int
    low: int
    high: int
    constant: int | None = None
    timeless: tuple[int, int] | None = None

    def scan(self, timeless_base: int = 0) -> pl.LazyFrame:
        """Its rows with their keys.

        Args:
            timeless_base: Key of the first row of its source, if that has no timestamps.
        """
        frame = pl.scan_parquet(self.path)
        if self.timeless is not None:
            return frame.with_columns(key=pl.col("position") - self.timeless[1] + timeless_base)
        if self.constant is not None:
            return frame.with_columns(key=pl.lit(self.constant, dtype=pl.Int64))
        return frame


@dataclass
class SourceRecord:
    """What was read from one source.

    Attributes:
        name: What the tables call it.
        report: What the reader says.
        rows: Rows it gave.
        start: Earliest timestamp.
        end: Latest timestamp.
        first_without_header: Numbers of the first lines without header.
        first_bad_timestamps: Numbers of the first lines with a header whose timestamp is no point in time.
        backwards: Lines with a timestamp before the latest one so far.
        first_backwards: Numbers of the first of them.
        largest_step_back_seconds: How far the clock went back at most.
    """

    name: str
    report: SourceReport
    rows: int = 0
    start: datetime | None = None
    end: datetime | None = None
    first_without_header: list[int] = field(default_factory=list)
    first_bad_timestamps: list[int] = field(default_factory=list)
    backwards: int = 0
    first_backwards: list[int] = field(default_factory=list)
    largest_step_back_seconds: float = 0.0


@dataclass(frozen=True)
class ReadResult:
    """What a task did.

    Attributes:
        runs: The runs it wrote.
        sources: What it read, in order.
    """

    runs: list[Run]
    sources: list[SourceRecord]


def read_sources(task: ReadTask) -> ReadResult:
    """Reads sources into runs; an empty source is no error.

    Raises:
        InputError: A source is missing or no text.
    """
    runs = _Runs(task)
    records = [record for item in task.sources for record in _read_item(task, item, runs)]
    return ReadResult(runs.finish(), records)


def _read_item(task: ReadTask, item: SourceItem, runs: _Runs) -> list[SourceRecord]:
    domain = DOMAINS[task.domain]
    reader = read_logs([item.path], year=item.year, batch_lines=min(task.run_rows, BATCH_LINES))
    records: dict[str, SourceRecord] = {}
    position = 0
    for source, batches in groupby(_batches(iter(reader)), key=lambda batch: batch.source):
        name = item.name_of(source)
        record = records[source] = SourceRecord(name, SourceReport(source))
        clock, spill = _Clock(record), _Spill(item.index, position, runs)
        session = session_of_source(domain.name, name)
        for batch in batches:
            clock.see(batch.frame)
            spill.add(_rows(batch.frame, domain, name, session, task, item.labelled))
        position = spill.finish()
    for report in reader.report.sources:
        record = records.setdefault(report.name, SourceRecord(item.name_of(report.name), report))
        record.report = report
        if not report.bad_timestamps:
            record.first_bad_timestamps = []
    return list(records.values())


def _batches(reader: Iterator[RecordBatch]) -> Iterator[RecordBatch]:
    """Batches of a source; none where the reader complains that there is no line."""
    try:
        yield from reader
    except InputError as error:
        if not error.problem.startswith("empty"):
            raise


def _rows(
    frame: pl.DataFrame, domain: Domain, name: str, session: str | None, task: ReadTask, labelled: bool
) -> pl.DataFrame:
    """The columns of the table but `line_id` and `normal_form`."""
    sessions = session_ids(frame, domain)
    if session is not None:
        sessions = pl.Series("session_id", [session]).new_from_index(0, len(frame))
    rows = frame.with_columns(sessions, source=pl.lit(name))
    if domain.labels == "line":
        rows = rows.with_columns(is_anomaly=pl.col("label") != domain.normal_label)
    else:
        rows = _session_labelled(rows.drop("label"), domain, task.labels if labelled else None)
    if task.redactor is not None:
        shown = [task.redactor.redact(rows[column]).alias(column) for column in _REDACTED]
        rows = rows.with_columns(shown)
    return rows.select(_COLUMNS)


def _session_labelled(rows: pl.DataFrame, domain: Domain, labels: Path | None) -> pl.DataFrame:
    if labels is None:
        none = {"label": pl.lit(None, dtype=pl.String), "is_anomaly": pl.lit(None, dtype=pl.Boolean)}
        return rows.with_columns(**none)
    rows = rows.join(_labels(labels), on="session_id", how="left", maintain_order="left")
    if domain.unnamed_label is None:
        return rows
    unnamed = pl.col("session_id").is_not_null() & pl.col("label").is_null()
    return rows.with_columns(
        label=pl.when(unnamed).then(pl.lit(domain.unnamed_label)).otherwise("label"),
        is_anomaly=pl.when(unnamed).then(pl.lit(False)).otherwise("is_anomaly"),
    )


@lru_cache(maxsize=1)
def _labels(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, columns=["session_id", "label", "is_anomaly"])


class _Runs:
    """Collects rows with known keys, and writes a run whenever there are enough."""

    def __init__(self, task: ReadTask) -> None:
        self._task = task
        self._runs: list[Run] = []
        self._waiting: list[pl.DataFrame] = []
        self._written = 0

    def add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        if self.is_full(self._waiting):
            self._flush()

    def is_full(self, frames: Sequence[pl.DataFrame]) -> bool:
        enough = sum(map(len, frames)) >= self._task.run_rows
        return enough or sum(frame.estimated_size() for frame in frames) >= RUN_BYTES

    def finish(self) -> list[Run]:
        self._flush()
        return self._runs

    def keep(self, runs: Sequence[Run]) -> None:
        self._runs += runs

    def _flush(self) -> None:
        if self._waiting:
            self._runs.append(self.write(pl.concat(self._waiting).sort(ORDER), "key"))
            self._waiting = []

    def write(self, rows: pl.DataFrame, order: str) -> Run:
        path = self._task.folder / f"{self._task.number:06}-{self._written:06}.parquet"
        self._written += 1
        # Here, as contents repeat themselves from source to source.
        rows = rows.with_columns(normal_forms(rows["content"]).alias("normal_form"))
        rows.write_parquet(path, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP)
        return Run(path, len(rows), path.stat().st_size, rows[order][0], rows[order][-1])


class _Spill:
    """Gives the rows of one source their keys. Until a timestamp comes, they wait, on disk if need be."""

    def __init__(self, item: int, first: int, runs: _Runs) -> None:
        self._item, self._first, self._runs = item, first, runs
        self._next = first
        self._last: int | None = None
        self._untimed: list[pl.DataFrame] = []
        self._untimed_runs: list[Run] = []

    def add(self, rows: pl.DataFrame) -> None:
        times = pl.concat(
            [pl.Series([self._last], dtype=pl.Int64), rows["timestamp"].to_physical().alias("")]
        )
        rows = rows.with_columns(
            times.forward_fill().slice(1).alias("key"),
            pl.lit(self._item, dtype=pl.Int32).alias("item"),
            pl.int_range(self._next, self._next + len(rows), dtype=pl.Int64).alias("position"),
        )
        self._next += len(rows)
        if rows["key"].null_count() == len(rows):
            self._wait(rows)
            return
        rows = rows.with_columns(pl.col("key").backward_fill())
        if self._last is None:
            self._give_key(rows["key"][0])
        self._last = rows["key"][-1]
        self._runs.add(rows)

    def _wait(self, rows: pl.DataFrame) -> None:
        self._untimed.append(rows)
        if self._runs.is_full(self._untimed):
            self._write_untimed()

    def _write_untimed(self) -> None:
        if self._untimed:
            self._untimed_runs.append(self._runs.write(pl.concat(self._untimed), "position"))
            self._untimed = []

    def _give_key(self, key: int) -> None:
        """The first timestamp of the source is there: what waited stands at this time."""
        for rows in self._untimed:
            self._runs.add(rows.with_columns(key=pl.lit(key, dtype=pl.Int64)))
        self._untimed = []
        self._runs.keep([replace(run, low=key, high=key, constant=key) for run in self._untimed_runs])
        self._untimed_runs = []

    def finish(self) -> int:
        """Returns the position behind the source's last row."""
        self._write_untimed()
        first = self._first
        self._runs.keep(
            [
                replace(run, low=run.low - first, high=run.high - first, timeless=(self._item, first))
                for run in self._untimed_runs
            ]
        )
        return self._next


class _Clock:
    """Follows the timestamps of one source, and notes where they go back, and other exceptions."""

    def __init__(self, record: SourceRecord) -> None:
        self._record = record
        self._latest: int | None = None

    def see(self, frame: pl.DataFrame) -> None:
        record = self._record
        record.rows += len(frame)
        _note(record.first_without_header, frame.filter(~pl.col("has_header")))
        _note(record.first_bad_timestamps, frame.filter("has_header", pl.col("timestamp").is_null()))
        timed = frame.filter("has_header", pl.col("timestamp").is_not_null())
        if len(timed):
            self._order(timed.select("line_number", time=pl.col("timestamp").to_physical()))
            self._span(timed["timestamp"])

    def _order(self, timed: pl.DataFrame) -> None:
        latest = pl.concat([pl.Series([self._latest], dtype=pl.Int64), timed["time"].alias("")])
        latest = latest.cum_max().forward_fill()
        back = (latest.head(len(timed)) - timed["time"]).fill_null(0)
        later = timed.filter(back > 0)
        self._record.backwards += len(later)
        _note(self._record.first_backwards, later)
        step = back.max()
        assert isinstance(step, int)
        self._record.largest_step_back_seconds = max(self._record.largest_step_back_seconds, step / 1e6)
        self._latest = latest[-1]

    def _span(self, times: pl.Series) -> None:
        start, end = times.min(), times.max()
        assert isinstance(start, datetime)
        assert isinstance(end, datetime)
        self._record.start = min(self._record.start or start, start)
        self._record.end = max(self._record.end or end, end)


def _note(numbers: list[int], lines: pl.DataFrame) -> None:
    missing = _NAMED_LINES - len(numbers)
    numbers += lines["line_number"].head(missing).to_list()
