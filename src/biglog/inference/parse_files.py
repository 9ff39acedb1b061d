"""Whole files parsed, in bounded memory: a row a line, or the events alone.

A log is read once. Its contents are kept in a temporary file until all of them are counted; then the events
are what the whole log says they are, and the rows are written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.row_files import Write, writing_rows
from biglog.errors import OutputError
from biglog.logs.record import LogReader, ReadReport, read_logs
from biglog.logs.sources.expand import SourceLike
from biglog.tasks.parsing.stream import ParseStream

_KEPT = ("source", "line_number", "timestamp", "level", "component", "content")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ParsedFiles:
    """What was parsed.

    Attributes:
        lines: Records of these sources.
        lines_so_far: Those and the ones that the stream had parsed before; events count them all.
        normal_forms: Distinct normal forms that are remembered.
        events: As `ParseStream.events` returns them.
        report: What was read of each source.
    """

    lines: int
    lines_so_far: int
    normal_forms: int
    events: pl.DataFrame
    report: ReadReport


def parse_files(
    sources: SourceLike | Iterable[SourceLike],
    out: Path | None,
    stream: ParseStream,
    *,
    layout: str | None = None,
    year: int | None = None,
    progress: Progress | None = None,
) -> ParsedFiles:
    """Parses logs.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        out: File to write, by its suffix Parquet, CSV or JSON lines; ``-`` is standard output; None writes
            none. Columns: source, line_number, timestamp, level, component, content, event_id, template,
            parameters. Spans of parameters are in the raw line; null where a content is not in its line as
            it stands (JSON with escapes).
        stream: What parses; what it saw before stays known.
        layout: Header layout; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        progress: Called with the lines and bytes read so far.

    Raises:
        InputError: A source cannot be read, or the suffix of `out` is not known.
        OutputError: The file cannot be written; nothing half-written stays behind.
    """
    reader = read_logs(sources, layout=layout, year=year)
    with tempfile.TemporaryDirectory(prefix="biglog-") as folder, writing_rows(out) as write:
        spool = _Spool(Path(folder))
        batches = _frames(reader, progress)
        for frame in batches:
            spool.add(frame, stream.count(frame["content"]))
            if len(stream.census.texts) > stream.max_forms:
                break
        stream.settle()
        _write_spooled(spool, stream, write)
        # More forms than are remembered: what is left is parsed as it comes.
        stream.forget()
        for frame in batches:
            write(_rows(frame, stream.parse(frame["content"], frame["start"].to_numpy())))
    forms = len(stream.census.texts)
    return ParsedFiles(reader.report.records, stream.lines, forms, stream.events(), reader.report)


class _Spool:
    """Batches on disk, with the form of each line."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def add(self, frame: pl.DataFrame, numbers: NDArray[np.int64]) -> None:
        numbered = frame.with_columns(form=pl.Series(numbers))
        try:
            numbered.write_ipc(self._folder / f"{self._count}.arrow", compression="lz4")
        except OSError as error:
            raise OutputError(
                f"lines cannot be kept here while they are counted ({error.strerror or error})",
                where=self._folder.parent,
                remedy="Free space, or name another folder in TMPDIR",
            ) from error
        self._count += 1

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for place in range(self._count):
            yield pl.read_ipc(self._folder / f"{place}.arrow")


def _write_spooled(spool: _Spool, stream: ParseStream, write: Write) -> None:
    """Writes what was kept; anew where it shows only now that something is no constant."""
    before, misfits = stream.counts(), stream.misfit_count
    for frame in spool:
        stream.emit(frame["content"], frame["form"].to_numpy(), frame["start"].to_numpy())
    if stream.misfit_count > misfits:
        stream.settle()
    stream.restore(before)
    for frame in spool:
        numbers, starts = frame["form"].to_numpy(), frame["start"].to_numpy()
        write(_rows(frame, stream.emit(frame["content"], numbers, starts)))


def _frames(reader: LogReader, progress: Progress | None) -> Iterator[pl.DataFrame]:
    for batch in reader:
        frame = batch.frame.with_columns(
            pl.lit(batch.source).alias("source"), content_starts(batch.frame).alias("start")
        )
        yield frame.select(*_KEPT, "start")
        if progress is not None:
            progress(reader.report.lines, reader.report.bytes)


def content_starts(frame: pl.DataFrame) -> pl.Series:
    """Where each content starts in its line, in characters; -1 where it is not in it as it stands."""
    line, content = pl.col("line"), pl.col("content")
    # What follows a header ends its line, but for blanks; offsets of `find` count bytes.
    body = line.str.strip_chars_end()
    last = body.str.len_chars().cast(pl.Int64) - content.str.len_chars()
    at = line.str.find(content, literal=True)
    first = line.cast(pl.Binary).bin.slice(0, at).cast(pl.String).str.len_chars().cast(pl.Int64)
    found = pl.when(body.str.ends_with(content)).then(last).when(at.is_not_null()).then(first)
    return frame.select(start=found.otherwise(-1))["start"]


def _rows(frame: pl.DataFrame, parsed: pl.DataFrame) -> pl.DataFrame:
    return frame.select(*_KEPT).hstack(parsed.select("event_id", "template", "parameters"))
