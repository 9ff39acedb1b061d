"""Any log as a file of rows: Parquet, CSV or JSON lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from biglog.data.row_files import writing_rows
from biglog.logs.cleaning import clean
from biglog.logs.masking import normal_forms
from biglog.logs.merging import MergeReport, merge_batches
from biglog.logs.record import LogReader, ReadReport, RecordBatch, SourceReport, read_logs
from biglog.logs.redaction import Redactor
from biglog.logs.sources.expand import expand


@dataclass(frozen=True)
class Tabulated:
    """What was read and written.

    Attributes:
        rows: Rows written, one a record.
        sources: What was read from each source.
        skipped: Files and members that are no logs, each with the reason.
        merged: How far each clock is in order, where sources were merged; else None.
    """

    rows: int
    sources: tuple[SourceReport, ...]
    skipped: tuple[tuple[str, str], ...]
    merged: MergeReport | None


def tabulate(
    sources: Sequence[str],
    out: Path | None,
    *,
    layout: str | None = None,
    join: bool = False,
    merge: bool = False,
    zone: str | None = None,
    year: int | None = None,
    redactor: Redactor | None = None,
    cleaned: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Tabulated:
    """Reads logs and writes one row a record: where it stands, its header's columns, content, normal form.

    Args:
        sources: Logs, as `read_logs` takes them.
        out: File to write, by its suffix Parquet, CSV or JSON lines; ``-`` is standard output, JSON lines;
            None writes nothing: the log is read, to tell what it is.
        layout: Header layout of all sources; None recognises each one's own.
        join: Join lines without a header (stack traces) to the record before them.
        merge: Give the records of several logs in one order of time, rather than log after log.
        zone: IANA zone of timestamps that name none.
        year: Year of the first line where timestamps have none.
        redactor: What hides personal data; None writes them as they are.
        cleaned: Show control characters and what is no text visibly in lines and contents (see
            `biglog.logs.cleaning`).
        progress: Called with the lines and bytes read so far.

    Raises:
        InputError: A source cannot be read, or the suffix is not known.
        OutputError: The file cannot be written; nothing half-written stays behind.
    """
    options: dict[str, object] = {"layout": layout, "join": join, "zone": zone, "year": year}
    frames = _Merged(sources, options) if merge else _InOrder(sources, options)
    rows = 0
    with writing_rows(out) as write:
        for frame in frames:
            if out is not None:
                write(_row(frame, redactor, cleaned))
            rows += len(frame)
            if progress is not None:
                progress(frames.lines, frames.bytes)
    skipped = tuple((item.name, item.reason) for report in frames.reports for item in report.skipped)
    return Tabulated(
        rows,
        tuple(source for report in frames.reports for source in report.sources),
        skipped,
        frames.merge_report,
    )


class _InOrder:
    """Records of one source after the other, as frames with a column `source`."""

    merge_report: MergeReport | None = None

    def __init__(self, sources: Sequence[str], options: dict[str, object]) -> None:
        self._reader: LogReader = read_logs(list(sources), **options)  # type: ignore[arg-type]

    @property
    def reports(self) -> list[ReadReport]:
        return [self._reader.report]

    @property
    def lines(self) -> int:
        return sum(report.lines for report in self.reports)

    @property
    def bytes(self) -> int:
        return sum(report.bytes for report in self.reports)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for batch in self._reader:
            yield batch.frame.select(pl.lit(batch.source).alias("source"), pl.all())


class _Merged(_InOrder):
    """Records of all sources in one order of time."""

    def __init__(self, sources: Sequence[str], options: dict[str, object]) -> None:
        named = [source.stream or source.name for source in expand(list(sources))]
        self._readers = [read_logs(one, **options) for one in named]  # type: ignore[arg-type]
        logs: list[Iterable[RecordBatch]] = [*self._readers]
        self._batches = merge_batches(logs)

    @property
    def reports(self) -> list[ReadReport]:
        return [reader.report for reader in self._readers]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        yield from self._batches
        self.merge_report = self._batches.report


def _row(frame: pl.DataFrame, redactor: Redactor | None, cleaned: bool) -> pl.DataFrame:
    if cleaned:
        frame = frame.with_columns(clean(frame[name]).alias(name) for name in ("line", "content"))
    if redactor is not None:
        frame = redactor.redact_frame(frame)
    return frame.with_columns(normal_forms(frame["content"]).alias("normal_form"))
