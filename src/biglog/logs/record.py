"""Any log in, batches of records out: a record is a line, or lines that belong together, taken apart.

`read_logs` opens sources one after the other, recognises each one's layout on a sample of its first lines and
yields Polars frames of bounded size. The reader's `report` says what was read and what was wrong with it,
file by file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.detection import Choice, choose, chosen, named
from biglog.logs.formats.header import HEADER_COLUMNS, PLAIN, Format, Layout
from biglog.logs.framing import Bounds, Framer, Joiner
from biglog.logs.sources.decoding import Run
from biglog.logs.sources.expand import OpenLog, Skipped, Source, SourceLike, expand, open_logs
from biglog.logs.timestamps import UTC_MICROSECONDS, Clock, known_zone

BATCH_BYTES: Final = 4 << 20
BATCH_LINES: Final = 1 << 18
MAX_LINE_BYTES: Final = 16 << 20
# A report names this many line numbers of a kind; the counts are complete.
_NAMED_LINES: Final = 5
# Layouts are recognised on so much of a source, however small its batches are.
_HEAD_BYTES: Final = 2 << 20
_HEADER: Final = ("timestamp", *HEADER_COLUMNS, "content", "has_header", "bad_timestamp")

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
        layout: Name of the layout that the source is read by; several are joined by `+`.
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
        layout: Name of the layout; several joined by `+` where lines of several are mixed.
        confidence: Share of sampled lines that have the layout, 0..1; 1 when the caller chose it.
        without_header: Lines that lack the layout's header (of the layout `plain`: all).
        bad_timestamps: Headers whose timestamp is no point in time.
        records: Records that came of them.
        layouts: How many of the records each layout read; those without header are under `plain`.
        encoding: How the text is written.
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
    records: int = 0
    layouts: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    damaged: int = 0
    first_damaged: tuple[int, ...] = ()
    control_lines: int = 0
    split_lines: int = 0
    first_split: tuple[int, ...] = ()
    truncated: bool = False

    def count(self, frame: pl.DataFrame) -> None:
        """Counts records (columns of `SCHEMA`) as read."""
        self.records += len(frame)
        self.lines += int(frame["line_count"].sum())
        for name, count in frame["layout"].value_counts(name="count").iter_rows():
            self.layouts[name] = self.layouts.get(name, 0) + count


@dataclass
class ReadReport:
    """What a `LogReader` has read so far; it grows as the reader is iterated.

    Attributes:
        sources: One row a source that was begun, in order.
        skipped: What was found in folders and archives and left out, with the reason: binary and hidden
            files, links, damaged members.
    """

    sources: list[SourceReport] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines of all sources."""
        return sum(source.lines for source in self.sources)

    @property
    def records(self) -> int:
        """Records of all sources."""
        return sum(source.records for source in self.sources)

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
        skipped: list[Skipped],
        join: bool,
        batch_bytes: int,
        batch_lines: int,
        max_line_bytes: int,
        zone: str | None,
        year: int | None,
    ) -> None:
        self.report = ReadReport()
        self._sources, self._layout, self._join = sources, layout, join
        self._skipped = skipped
        self._batch_bytes, self._batch_lines = batch_bytes, max(1, batch_lines)
        self._max_line_bytes = max_line_bytes
        self._zone, self._year = zone, year
        self._streams_read = False
        self._previous: Choice | None = None

    def __iter__(self) -> Iterator[RecordBatch]:
        self._check_streams()
        self.report = report = ReadReport()
        report.skipped.extend(self._skipped)
        self._previous = None
        for log in open_logs(self._sources, report.skipped):
            row = SourceReport(log.source.name)
            report.sources.append(row)
            yield from self._batches(log, row)
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

    def _batches(self, log: OpenLog, row: SourceReport) -> Iterator[RecordBatch]:
        runs = log.runs(self._batch_bytes, self._max_line_bytes)
        head, first = _head(runs)
        if head:
            choice = self._choice(first, log.source.name)
            row.layout, row.confidence, row.encoding = choice.name, choice.confidence, log.encoding
            for frame in self._frames(chain(head, runs), choice, log, row):
                yield RecordBatch(log.source.name, row.layout, frame)
        # Text that begins in ASCII shows its encoding later.
        row.encoding, row.truncated = log.encoding, log.truncated

    def _choice(self, lines: pl.Series, where: str) -> Choice:
        if self._layout is not None:
            return _chosen(self._layout, lines, where)
        self._previous = choose(lines, self._previous)
        return self._previous

    def _frames(
        self, runs: Iterable[Run], choice: Choice, log: OpenLog, row: SourceReport
    ) -> Iterator[pl.DataFrame]:
        bounds = Bounds(bytes=self._max_line_bytes)
        framer = Framer(choice.formats, self._batch_lines, bounds, row.encoding)
        joiner = Joiner(bounds, row.encoding) if self._join else None
        parser = _Parser([(form, self._clock(form, log)) for form in choice.formats], row)
        for rows in _counted(runs, framer, row):
            frame = parser.parse(rows)
            if joiner is not None:
                frame = joiner.feed(frame)
            if len(frame):
                row.count(frame)
                yield frame
        last = joiner.finish() if joiner else None
        if last is not None:
            row.count(last)
            yield last

    def _clock(self, form: Format, log: OpenLog) -> Clock:
        own = form.zone if isinstance(form, Layout) else "UTC"
        return Clock(zone=self._zone or own, written=log.written, year=self._year)


def _chosen(form: Format, lines: pl.Series, where: str) -> Choice:
    """The format that the caller chose; what it lacks in this source is said with the source's name."""
    try:
        return chosen(form, lines)
    except InputError as error:
        raise InputError(error.problem, where=where, line=error.line, remedy=error.remedy) from error


def _head(runs: Iterator[Run]) -> tuple[list[Run], pl.Series]:
    """The first runs, and their first lines for detection: the same ones whatever the size of the runs."""
    head: list[Run] = []
    sizes: list[pl.Series] = []
    size = 0
    for run in runs:
        head.append(run)
        sizes.append(run.lines.str.len_bytes().cast(pl.Int64) + 1)
        size += int(sizes[-1].sum())
        if size >= _HEAD_BYTES:
            break
    if not head:
        return [], pl.Series([], dtype=pl.String)
    count = (pl.concat(sizes).cum_sum() <= _HEAD_BYTES).sum()
    return head, pl.concat([run.lines for run in head]).head(max(1, int(count)))


def _counted(runs: Iterable[Run], framer: Framer, row: SourceReport) -> Iterator[pl.DataFrame]:
    """The records of all runs; what is said of runs, and not of records, is counted as they go by."""
    for run in runs:
        row.bytes += run.bytes
        row.control_lines += run.control_lines
        first = framer.lines + (0 if run.continues else 1)
        row.damaged += len(run.raw)
        row.first_damaged += tuple(first + at for at in sorted(run.raw))
        row.first_damaged = row.first_damaged[:_NAMED_LINES]
        if run.continues and first not in row.first_split[-1:]:
            row.split_lines += 1
            row.first_split = (*row.first_split, first)[:_NAMED_LINES]
        yield from framer.feed(run)
    yield from framer.finish()


class _Parser:
    """Reads the records of one source, in order, by one format after the other; it remembers the time."""

    def __init__(self, formats: list[tuple[Format, Clock]], row: SourceReport) -> None:
        self.formats, self.row = formats, row
        self.last_time = pl.Series([None], dtype=UTC_MICROSECONDS)

    def parse(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The columns of `SCHEMA` for rows of a `Framer`."""
        pieces = rows["line_count"] == 0
        header = self._read(rows["line"].set(pieces, "") if pieces.any() else rows["line"])
        if pieces.any():
            # A piece is no new header, whatever it looks like.
            header = _without_header(header, pieces, rows["line"])
        self.row.without_header += int(rows["line_count"].filter(~header["has_header"]).sum())
        self.row.bad_timestamps += int(header["bad_timestamp"].sum())
        columns = {column.name: column for column in (*rows, *header)} | {"timestamp": self._times(header)}
        return pl.DataFrame({name: columns[name] for name in SCHEMA})

    def _read(self, lines: pl.Series) -> pl.DataFrame:
        """Columns of `Format.read`, and `layout`: a record is read by the first format that can."""
        (form, clock), *others = self.formats
        header = _named(form.read(lines, clock), form)
        for form, clock in others:
            left = (~header["has_header"]).arg_true()
            more = _named(form.read(lines.gather(left), clock), form)
            found = more["has_header"]
            if found.any():
                index = pl.int_range(len(header), eager=True)
                index = index.scatter(left.filter(found), found.arg_true().cast(pl.Int64) + len(header))
                header = pl.concat([header, more])[index]
        return header

    def _times(self, header: pl.DataFrame) -> pl.Series:
        """Lines without a header stand at the time of the record before them, also across batches."""
        times = header["timestamp"]
        if times.null_count():
            filled = pl.concat([self.last_time, times]).forward_fill()
            times = times.zip_with(header["has_header"], filled.slice(1))
            self.last_time = filled.tail(1)
        elif len(times):
            self.last_time = times.tail(1)
        return times


def _named(header: pl.DataFrame, form: Format) -> pl.DataFrame:
    names = pl.Series("layout", [form.name, PLAIN.name])
    found = header["has_header"]
    layout = names.new_from_index(0, len(found))
    if not found.all():
        layout = layout.zip_with(found, names.new_from_index(1, len(found)))
    return pl.DataFrame([*(header[name] for name in _HEADER), layout])


def _without_header(header: pl.DataFrame, pieces: pl.Series, lines: pl.Series) -> pl.DataFrame:
    """The header columns with those of pieces as of lines without header."""
    blank = [pl.when(~pieces).then(pl.col(name)).alias(name) for name in ("timestamp", *HEADER_COLUMNS)]
    never = [(pl.col(name) & ~pieces).alias(name) for name in ("has_header", "bad_timestamp")]
    content = pl.when(pieces).then(lines).otherwise(pl.col("content")).alias("content")
    layout = pl.when(pieces).then(pl.lit(PLAIN.name)).otherwise(pl.col("layout")).alias("layout")
    return header.with_columns(*blank, *never, content, layout)


def read_logs(
    sources: SourceLike | Iterable[SourceLike],
    *,
    layout: str | None = None,
    join: bool = False,
    batch_bytes: int = BATCH_BYTES,
    batch_lines: int = BATCH_LINES,
    max_line_bytes: int = MAX_LINE_BYTES,
    zone: str | None = None,
    year: int | None = None,
) -> LogReader:
    """Read logs of any size, in bounded memory.

    Every line is in exactly one record, blank lines too: the lines of all records are those of the text, in
    order.

    Args:
        sources: A path, a folder (all text files below it), a glob pattern, `archive::pattern` for members
            of a zip or tar, `-` for standard input, a binary file object, or several of these. What is
            compressed (gzip, bzip2, xz, zstd, lz4) is unpacked, also within archives.
        layout: Name of a domain or a generic layout, a notation such as `<Date> <Time> <Level>
            <Component>: <Content>`, or a regex with named groups such as `(?P<time>\\S+) (?P<content>.*)`;
            None recognises each file's own, or several that are mixed in it.
        join: Whether lines without header (stack traces, continuations) are joined to the record before
            them, up to 10,000 lines or `max_line_bytes`. Formats whose records have several lines by
            definition are put together either way.
        batch_bytes: About how many bytes of log make a batch.
        batch_lines: How many records a batch has at most.
        max_line_bytes: Longer lines come in pieces that share their line number.
        zone: IANA zone of timestamps that name none; None takes the layout's own, mostly UTC.
        year: Year of the first timestamp where timestamps have none; None infers it from the time the file
            was written.

    Returns:
        An iterable of `RecordBatch` with a `report`. Files are opened as it is iterated.

    Raises:
        InputError: Now for a file that is missing or not readable, an unknown layout or zone; while iterating
            for binary files, files that vanish, archives that may do harm, and when no source has a single
            line.
    """
    skipped: list[Skipped] = []
    return LogReader(
        expand(sources, skipped),
        None if layout is None else named(layout),
        skipped=skipped,
        join=join,
        batch_bytes=batch_bytes,
        batch_lines=batch_lines,
        max_line_bytes=max_line_bytes,
        zone=None if zone is None else known_zone(zone),
        year=year,
    )
