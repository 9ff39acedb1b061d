"""Any log in, batches of records out: a record is one line with its header taken apart.

`read_logs` opens sources one after the other, recognises each one's layout on a sample of its first lines and
yields Polars frames of bounded size. The reader's `report` says what was read and what was wrong with it,
file by file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.decoding import Run
from biglog.logs.detection import Choice, choose, chosen, named
from biglog.logs.formats import HEADER_COLUMNS, PLAIN, Format, Layout
from biglog.logs.sources import OpenLog, Source, SourceLike, expand
from biglog.logs.timestamps import UTC_MICROSECONDS, Clock, known_zone

BATCH_BYTES: Final = 4 << 20
BATCH_LINES: Final = 1 << 18
MAX_LINE_BYTES: Final = 16 << 20
# A report names this many line numbers of a kind; the counts are complete.
_NAMED_LINES: Final = 5

SCHEMA: Final = pl.Schema(
    {
        "line_number": pl.Int64(),
        "line_count": pl.Int32(),
        "line": pl.String(),
        "timestamp": UTC_MICROSECONDS,
        "level": pl.String(),
        "component": pl.String(),
        "pid": pl.String(),
        "host": pl.String(),
        "label": pl.String(),
        "content": pl.String(),
        "has_header": pl.Boolean(),
        "layout": pl.String(),
        "raw_bytes": pl.Binary(),
    }
)
"""Columns of `RecordBatch.frame`, in order."""


@dataclass(frozen=True)
class RecordBatch:
    """Consecutive records of one source.

    Attributes:
        source: Name of the source.
        layout: Name of the layout its header was read by.
        frame: One row a record, columns as in `SCHEMA`. `line_number` is the number of its first line,
            counted from 1 in its source, and `line_count` how many lines it has; further pieces of a line
            over the bound share their number and have the count 0. `line` is the text, lines joined by a line
            feed. `content` is what follows the header without trailing spaces, or the whole text where
            `has_header` is false; such a record has the timestamp of the one before it. `layout` names what
            read this record, `plain` where there is no header. `raw_bytes` holds a record's bytes where they
            are no text; `line` then has U+FFFD in their place.
    """

    source: str
    layout: str
    frame: pl.DataFrame


@dataclass
class SourceReport:
    """What was read from one source, so far.

    Attributes:
        name: Name of the source.
        lines: Lines read.
        bytes: Bytes read, line ends included; of gzip files the unpacked ones.
        layout: Name of the layout.
        confidence: Share of sampled lines that have the layout, 0..1; 1 when the caller chose it.
        without_header: Lines that lack the layout's header (of the layout `plain`: all).
        bad_timestamps: Headers whose timestamp is no point in time.
        damaged: Lines with bytes that are no text.
        first_damaged: Numbers of the first of them.
        control_lines: Lines with control characters (NUL, escape, ...).
        split_lines: Lines over the length bound, which came in pieces.
        first_split: Numbers of the first of them.
        truncated: Whether compressed data ended early or were damaged: what follows is missing.
    """

    name: str
    lines: int = 0
    bytes: int = 0
    layout: str = ""
    confidence: float = 0.0
    without_header: int = 0
    bad_timestamps: int = 0
    damaged: int = 0
    first_damaged: tuple[int, ...] = ()
    control_lines: int = 0
    split_lines: int = 0
    first_split: tuple[int, ...] = ()
    truncated: bool = False


@dataclass
class ReadReport:
    """What a `LogReader` has read so far; it grows as the reader is iterated.

    Attributes:
        sources: One row a source that was begun, in order.
    """

    sources: list[SourceReport] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines of all sources."""
        return sum(source.lines for source in self.sources)

    @property
    def bytes(self) -> int:
        """Bytes of all sources."""
        return sum(source.bytes for source in self.sources)


class LogReader:
    """Iterable of `RecordBatch`, made by `read_logs`.

    Each iteration reads the sources anew and resets `report`.

    Attributes:
        report: What has been read so far.
    """

    def __init__(
        self,
        sources: list[Source],
        layout: Format | None,
        *,
        batch_bytes: int,
        batch_lines: int,
        max_line_bytes: int,
        zone: str | None,
        year: int | None,
    ) -> None:
        self.report = ReadReport()
        self._sources, self._layout = sources, layout
        self._batch_bytes, self._batch_lines = batch_bytes, max(1, batch_lines)
        self._max_line_bytes = max_line_bytes
        self._zone, self._year = zone, year
        self._streams_read = False

    def __iter__(self) -> Iterator[RecordBatch]:
        self._check_streams()
        self.report = report = ReadReport()
        for source in self._sources:
            row = SourceReport(source.name)
            report.sources.append(row)
            yield from self._batches(source, row)
        if not report.lines:
            where = self._sources[0].name if len(self._sources) == 1 else f"all {len(self._sources)} sources"
            raise InputError(
                "empty: there is no line to read", where=where, remedy="Give a log with at least one line"
            )

    def read(self) -> pl.DataFrame:
        """Everything in one frame, for logs that fit into memory.

        Returns:
            A column `source`, then those of `SCHEMA`.
        """
        return pl.concat(
            [batch.frame.select(pl.lit(batch.source).alias("source"), pl.all()) for batch in self]
        )

    def _check_streams(self) -> None:
        streams = [source.name for source in self._sources if source.stream is not None]
        if streams and self._streams_read:
            raise InputError(
                "this stream was read already", where=streams[0], remedy="Open it anew, or keep the records"
            )
        self._streams_read = bool(streams)

    def _batches(self, source: Source, row: SourceReport) -> Iterator[RecordBatch]:
        log = OpenLog(source)
        parser: _Parser | None = None
        for run in log.runs(self._batch_bytes, self._max_line_bytes):
            if parser is None:
                choice = chosen(self._layout, run.lines) if self._layout else choose(run.lines)
                parser = _Parser(choice, self._clock(choice, log), row)
            for part in _parts(run, self._batch_lines):
                yield RecordBatch(source.name, row.layout, parser.parse(part))
        row.truncated = log.truncated

    def _clock(self, choice: Choice, log: OpenLog) -> Clock:
        own = choice.format.zone if isinstance(choice.format, Layout) else "UTC"
        return Clock(zone=self._zone or own, written=log.written, year=self._year)


class _Parser:
    """Turns the runs of one source into frames, in order: it remembers line number and time."""

    def __init__(self, choice: Choice, clock: Clock, row: SourceReport) -> None:
        self.format, self.clock, self.row = choice.format, clock, row
        row.layout, row.confidence = choice.format.name, choice.confidence
        self.last_time = pl.Series([None], dtype=UTC_MICROSECONDS)

    def parse(self, run: Run) -> pl.DataFrame:
        header = self.format.read(run.lines, self.clock)
        if run.continues:
            header = _without_first_header(header, run.lines)
        first = self.row.lines + (0 if run.continues else 1)
        frame = header.with_columns(
            line_number=pl.int_range(first, first + len(header), dtype=pl.Int64),
            line_count=_line_counts(run),
            line=run.lines,
            timestamp=self._times(header),
            layout=pl.when("has_header").then(pl.lit(self.format.name)).otherwise(pl.lit(PLAIN.name)),
            raw_bytes=_raw_column(run),
        )
        self._count(run, header, first)
        return frame.select(SCHEMA.names())

    def _times(self, header: pl.DataFrame) -> pl.Series:
        """Lines without a header stand at the time of the record before them, also across batches."""
        filled = pl.concat([self.last_time, header["timestamp"]]).forward_fill()
        self.last_time = filled.tail(1)
        return header["timestamp"].zip_with(header["has_header"], filled.slice(1))

    def _count(self, run: Run, header: pl.DataFrame, first: int) -> None:
        row = self.row
        row.lines = first + len(header) - 1
        row.bytes += run.bytes
        row.without_header += len(header) - int(header["has_header"].sum())
        row.bad_timestamps += int(header["bad_timestamp"].sum())
        row.control_lines += run.control_lines
        row.damaged += len(run.raw)
        row.first_damaged += tuple(first + at for at in sorted(run.raw))
        row.first_damaged = row.first_damaged[:_NAMED_LINES]
        if run.continues and first not in row.first_split[-1:]:
            row.split_lines += 1
            row.first_split = (*row.first_split, first)[:_NAMED_LINES]


def _parts(run: Run, size: int) -> Iterator[Run]:
    """A run in parts of at most `size` lines: blank lines cost a byte of log, but a row of every column."""
    if len(run.lines) <= size:
        yield run
        return
    for at in range(0, len(run.lines), size):
        raw = {index - at: data for index, data in run.raw.items() if at <= index < at + size}
        counts = (run.bytes, run.control_lines) if at == 0 else (0, 0)
        yield Run(run.lines.slice(at, size), raw, *counts, continues=run.continues and at == 0)


def _raw_column(run: Run) -> pl.Series:
    column = pl.Series([None], dtype=pl.Binary).new_from_index(0, len(run.lines))
    if not run.raw:
        return column
    damaged = pl.DataFrame({"at": list(run.raw), "raw": list(run.raw.values())}).cast({"at": pl.Int64})
    positions = pl.DataFrame({"at": pl.int_range(len(run.lines), dtype=pl.Int64, eager=True)})
    return positions.join(damaged, on="at", how="left", maintain_order="left")["raw"]


def _line_counts(run: Run) -> pl.Series:
    """One line a record; a further piece of a line is none."""
    counts = pl.Series([1], dtype=pl.Int32).new_from_index(0, len(run.lines))
    return counts.set(pl.int_range(len(counts), eager=True) == 0, 0) if run.continues else counts


def _without_first_header(header: pl.DataFrame, lines: pl.Series) -> pl.DataFrame:
    """The first row as a line without header: it goes on with a line whose beginning was read before."""
    first = pl.int_range(pl.len()) == 0
    blank = [pl.when(~first).then(pl.col(name)).alias(name) for name in ("timestamp", *HEADER_COLUMNS)]
    never = [(pl.col(name) & ~first).alias(name) for name in ("has_header", "bad_timestamp")]
    content = pl.when(first).then(lines).otherwise(pl.col("content")).alias("content")
    return header.with_columns(*blank, *never, content)


def read_logs(
    sources: SourceLike | Iterable[SourceLike],
    *,
    layout: str | None = None,
    batch_bytes: int = BATCH_BYTES,
    batch_lines: int = BATCH_LINES,
    max_line_bytes: int = MAX_LINE_BYTES,
    zone: str | None = None,
    year: int | None = None,
) -> LogReader:
    """Read logs of any size, in bounded memory.

    Plain text and gzip, UTF-8 and UTF-16, with LF or CRLF. Every line becomes exactly one record, blank lines
    too.

    Args:
        sources: A path, a glob pattern, `-` for standard input, a binary file object, or several of these.
        layout: Name of a domain or a generic layout, or a notation such as `<Date> <Time> <Level>
            <Component>: <Content>`; None recognises each file's own.
        batch_bytes: About how many bytes of log make a batch.
        batch_lines: How many lines a batch has at most.
        max_line_bytes: Longer lines come in pieces that share their line number.
        zone: IANA zone of timestamps that name none; None takes the layout's own, mostly UTC.
        year: Year of the first timestamp where timestamps have none; None infers it from the time the file
            was written.

    Returns:
        An iterable of `RecordBatch` with a `report`. Files are opened as it is iterated.

    Raises:
        InputError: Now for a file that is missing, a folder, or not readable, an unknown layout or zone;
            while iterating for binary files, files that vanish, and when no source has a single line.
    """
    return LogReader(
        expand(sources),
        None if layout is None else named(layout),
        batch_bytes=batch_bytes,
        batch_lines=batch_lines,
        max_line_bytes=max_line_bytes,
        zone=None if zone is None else known_zone(zone),
        year=year,
    )
