"""From physical lines to records: lines that belong together become one row.

Two things join lines. Formats whose records span lines by definition say where records start, and a `Framer`
assembles them before they are read. Whoever asks for it gets lines without header (stack traces, property
lists) joined to the record before them, by a `Joiner`, after they were read.

Both hold back the last record until its end is known, so that records do not depend on how the log comes in;
both cut a record that grows over a bound and go on with what follows as a record of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.logs.formats.header import Format
from biglog.logs.sources.decoding import Run
from biglog.logs.timestamps import Clock

MAX_RECORD_LINES: Final = 10_000

# A framer looks at blocks of this size whatever the size of the runs it is fed: even of a format that is
# wrong about its own starts the records are then always the same.
_BLOCK_LINES: Final = 1 << 16
_BLOCK_BYTES: Final = 4 << 20

_Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Bounds:
    """What a joined record may have at most; a single line may be longer.

    Attributes:
        lines: Physical lines.
        bytes: Bytes of its text (UTF-8).
    """

    lines: int = MAX_RECORD_LINES
    bytes: int = 16 << 20


def spans_lines(form: Format) -> bool:
    """Whether records of a format may have several lines."""
    return form.starts(pl.Series([""])) is not None


def unread(form: Format, lines: pl.Series) -> pl.Series:
    """The lines that are in no record which a format can read, without blank ones.

    Args:
        form: A format that knows the source.
        lines: Lines of a source, in order.
    """
    found = form.starts(lines)
    if found is None or lines.is_empty():
        read = form.read(lines, Clock())["has_header"]
    else:
        read = pl.Series(_read_by(form, lines, _own_starts(form, lines).to_numpy()))
    return lines.filter(~read & (lines.str.strip_chars() != ""))


def line_rows(run: Run, first: int, size: int) -> Iterator[pl.DataFrame]:
    """The lines of a run as rows.

    Args:
        run: Consecutive lines.
        first: Number of the first of them.
        size: How many rows a frame has at most: blank lines cost a byte of log, but a row of every column.

    Yields:
        Columns line_number, line_count (1; 0 for a further piece of a line), line and raw_bytes.
    """
    for at in range(0, len(run.lines), size):
        lines = run.lines.slice(at, size)
        counts = pl.Series([1], dtype=pl.Int32).new_from_index(0, len(lines))
        if run.continues and at == 0:
            counts = counts.set(pl.int_range(len(counts), eager=True) == 0, 0)
        yield pl.DataFrame(
            {
                "line_number": pl.int_range(first + at, first + at + len(lines), dtype=pl.Int64, eager=True),
                "line_count": counts,
                "line": lines,
                "raw_bytes": _raw_column(run.raw, at, len(lines)),
            }
        )


def joined(rows: pl.DataFrame, starts: pl.Series, encoding: str = "utf-8") -> pl.DataFrame:
    """Rows that belong together as one.

    Args:
        rows: Columns of `line_rows`, and maybe more.
        starts: Which rows begin a record; the first does.
        encoding: Of the source, for the line feeds between the bytes of damaged lines.

    Returns:
        The first row of each record, but `line` and `content` of all of its rows joined by line feeds,
        `line_count` their sum, and `raw_bytes` the bytes of all if any is damaged.
    """
    firsts = starts.arg_true().to_numpy().astype(np.int64)
    if len(firsts) == len(rows):
        return rows
    sizes = np.diff(firsts, append=len(rows))
    several = sizes > 1
    ids = np.repeat(np.arange(len(firsts)), sizes)
    inside = rows.filter(pl.Series(several[ids])).with_columns(id=pl.Series(ids[several[ids]]))
    texts = [name for name in ("line", "content") if name in rows.columns]
    groups = inside.group_by("id", maintain_order=True)
    merged = groups.agg(pl.col("line_count").sum(), pl.col(texts).str.join("\n"))
    merged = merged.with_columns(raw_bytes=_joined_bytes(inside, encoding))
    # Records of one line are most: they stay where they are, the others are picked from behind all rows.
    index = firsts.copy()
    index[several] = len(rows) + np.arange(len(merged))
    kept = rows.filter(starts)
    changed = ["line_count", *texts, "raw_bytes"]
    both = pl.concat([rows.select(changed), merged.select(changed)])
    return kept.with_columns(both.select(pl.all().gather(index)))


def bounded(rows: pl.DataFrame, starts: pl.Series, bounds: Bounds) -> pl.Series:
    """The given starts, and more where a record is over the bounds.

    Args:
        rows: Columns of `line_rows`.
        starts: Which rows begin a record; the first does.
        bounds: What a record may have at most.
    """
    firsts = starts.arg_true().to_numpy().astype(np.int64)
    ends = np.append(firsts[1:], len(rows))
    # A line feed stands between two lines: its byte is counted to each line, and one more is allowed.
    filled = np.append(0, (rows["line"].str.len_bytes().cast(pl.Int64) + 1).cum_sum().to_numpy())
    counted = np.append(0, rows["line_count"].cast(pl.Int64).cum_sum().to_numpy())
    over = (filled[ends] - filled[firsts] > bounds.bytes + 1) | (
        counted[ends] - counted[firsts] > bounds.lines
    )
    over &= ends - firsts > 1
    if not over.any():
        return starts
    more: list[int] = []
    for at, end in zip(firsts[over].tolist(), ends[over].tolist(), strict=True):
        while at < end:
            by_bytes = int(np.searchsorted(filled, filled[at] + bounds.bytes + 1, side="right")) - 1
            by_lines = int(np.searchsorted(counted, counted[at] + bounds.lines, side="right")) - 1
            at = max(at + 1, min(by_bytes, by_lines, end))
            more.append(at)
    mask = starts.to_numpy().copy()
    mask[[at for at in more if at < len(mask)]] = True
    return pl.Series(mask)


class Framer:
    """Turns the runs of one source into rows of one record each.

    Attributes:
        lines: Physical lines taken in.
    """

    def __init__(self, formats: Sequence[Format], size: int, bounds: Bounds, encoding: str) -> None:
        """Args:
        formats: What the records will be read by, one after the other.
        size: How many rows a frame has at most.
        bounds: What a record may have at most.
        encoding: Of the source.
        """
        self.lines = 0
        self._formats, self._size, self._bounds, self._encoding = formats, max(1, size), bounds, encoding
        self._spans = any(map(spans_lines, formats))
        self._held: pl.DataFrame | None = None
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = self._waiting_lines = 0

    def feed(self, run: Run) -> Iterator[pl.DataFrame]:
        """Take a run in; yield rows of the records that are complete (columns of `line_rows`)."""
        first = self.lines + (0 if run.continues else 1)
        self.lines = first + len(run.lines) - 1
        for rows in line_rows(run, first, self._size):
            if not self._spans:
                yield rows
                continue
            self._waiting.append(rows)
            self._waiting_lines += len(rows)
            self._waiting_bytes += _size_of(rows)
            if self._waiting_lines >= _BLOCK_LINES or self._waiting_bytes >= _BLOCK_BYTES:
                yield from self._blocks()

    def finish(self) -> Iterator[pl.DataFrame]:
        """Yield the records that were held back."""
        rest = [*([] if self._held is None else [self._held]), *self._waiting]
        self._held, self._waiting = None, []
        if rest:
            yield from self._records(pl.concat(rest), final=True)

    def _blocks(self) -> Iterator[pl.DataFrame]:
        """Whole blocks of what waits: each ends with the line that fills it."""
        rows = pl.concat(self._waiting)
        while True:
            filled = (rows["line"].str.len_bytes().cast(pl.Int64) + 1).cum_sum()
            full = (filled >= _BLOCK_BYTES).arg_max() if len(filled) and filled[-1] >= _BLOCK_BYTES else None
            end = min(_BLOCK_LINES, len(rows) + 1 if full is None else int(full) + 1)
            if end > len(rows):
                break
            block, rows = rows.head(end), rows.slice(end)
            yield from self._records(block if self._held is None else pl.concat([self._held, block]))
        self._waiting, self._waiting_lines, self._waiting_bytes = [rows], len(rows), _size_of(rows)

    def _records(self, rows: pl.DataFrame, *, final: bool = False) -> Iterator[pl.DataFrame]:
        # A piece of a line stands alone: joined to anything, it would gain a line feed.
        alone = rows["line_count"] == 0
        forced = alone | alone.shift(1, fill_value=True)
        starts, complete = _starts(self._formats, rows["line"], forced)
        starts = bounded(rows, starts, self._bounds)
        if final:
            complete = len(rows)
        elif _over(rows.slice(complete), self._bounds):
            complete = int(starts.arg_true()[-1])
        self._held = rows.slice(complete) if complete < len(rows) else None
        whole = joined(rows.head(complete), starts.head(complete), self._encoding)
        yield from whole.iter_slices(self._size)


class Joiner:
    """Joins rows without header to the row before them.

    Rows without header at the beginning of a source stay rows of their own, and so do further pieces of a
    line.
    """

    def __init__(self, bounds: Bounds, encoding: str) -> None:
        """Args:
        bounds: What a record may have at most.
        encoding: Of the source.
        """
        self._bounds, self._encoding = bounds, encoding
        self._held: pl.DataFrame | None = None
        self._begun = False

    def feed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take rows in; return the records that are complete.

        Args:
            rows: Columns of `line_rows`, `content` and `has_header`, and maybe more.
        """
        alone = rows["line_count"] == 0
        starts = rows["has_header"] | alone | alone.shift(1, fill_value=False)
        if not self._begun:
            begins = rows["has_header"].arg_max() if rows["has_header"].any() else None
            leading = len(rows) if begins is None else int(begins)
            starts |= pl.int_range(len(rows), eager=True) <= leading
            self._begun = begins is not None
        if self._held is not None:
            # What is held is one record: only its first row begins one.
            if self._held["line_count"][-1] == 0:
                starts |= pl.int_range(len(starts), eager=True) == 0
            mine = pl.int_range(len(self._held), eager=True) == 0
            rows, starts = pl.concat([self._held, rows]), pl.concat([mine, starts])
        if rows.is_empty():
            return rows
        starts = bounded(rows, starts, self._bounds)
        complete = int(starts.arg_true()[-1])
        self._held = rows.slice(complete)
        return joined(rows.head(complete), starts.head(complete), self._encoding)

    def finish(self) -> pl.DataFrame | None:
        """The record that was held back, if any."""
        held, self._held = self._held, None
        return (
            None if held is None else joined(held, pl.int_range(len(held), eager=True) == 0, self._encoding)
        )


def _starts(formats: Sequence[Format], lines: pl.Series, forced: pl.Series) -> tuple[pl.Series, int]:
    """Which lines begin a record, and how many lines are of records that are complete for certain."""
    if len(formats) == 1:
        starts = _own_starts(formats[0], lines) | forced
        return starts, int(starts.arg_true()[-1])
    claimed = _claimed([form for form in formats if not spans_lines(form)], lines)
    begins = np.ones(len(lines), dtype=bool)
    complete = len(lines)
    rest: _Positions = np.flatnonzero(~claimed)
    for form in filter(spans_lines, formats):
        if not len(rest):
            break
        texts = lines.gather(rest)
        # Lines that another format reads interrupt a record, and so do pieces of a line.
        apart = np.append(True, np.diff(rest) != 1) | forced.to_numpy()[rest]
        own = _own_starts(form, texts).to_numpy() | apart
        if rest[-1] == len(lines) - 1:
            complete = min(complete, int(rest[own][-1]))
        read = _read_by(form, texts, own)
        begins[rest[read]] = own[read]
        rest = rest[~read]
    return pl.Series(begins), complete


def _own_starts(form: Format, lines: pl.Series) -> pl.Series:
    found = form.starts(lines)
    assert found is not None
    return found.fill_null(value=True) | (pl.int_range(len(lines), eager=True) == 0)


def _claimed(formats: Sequence[Format], lines: pl.Series) -> NDArray[np.bool_]:
    """Lines that one of the formats reads, each line alone."""
    claimed = np.zeros(len(lines), dtype=bool)
    for form in formats:
        claimed |= form.read(lines, Clock())["has_header"].to_numpy()
    return claimed


def _read_by(form: Format, lines: pl.Series, own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Lines whose record the format reads."""
    ids = np.cumsum(own) - 1
    texts = pl.DataFrame({"id": ids, "line": lines}).group_by("id", maintain_order=True)
    records = texts.agg(pl.col("line").str.join("\n"))["line"]
    read: NDArray[np.bool_] = form.read(records, Clock())["has_header"].to_numpy()[ids]
    return read


def _over(rows: pl.DataFrame, bounds: Bounds) -> bool:
    return len(rows) > bounds.lines or _size_of(rows) > bounds.bytes + 1


def _size_of(rows: pl.DataFrame) -> int:
    return int(rows["line"].str.len_bytes().cast(pl.Int64).sum()) + len(rows)


def _joined_bytes(rows: pl.DataFrame, encoding: str) -> pl.Series:
    """Bytes of each record (column `id`, in order) that has a damaged row, else null."""
    ids = rows["id"].unique(maintain_order=True)
    damaged = rows.filter(pl.col("raw_bytes").is_not_null().any().over("id"))
    # Bytes that are no text come of these encodings only.
    encoding = encoding if encoding.startswith("utf-16") else "utf-8"
    newline = "\n".encode(encoding)
    parts: dict[int, list[bytes]] = {}
    for at, raw, line in damaged.select("id", "raw_bytes", "line").iter_rows():
        parts.setdefault(at, []).append(line.encode(encoding) if raw is None else raw)
    found = [newline.join(parts[at]) if at in parts else None for at in ids] if parts else [None] * len(ids)
    return pl.Series("raw_bytes", found, dtype=pl.Binary)


def _raw_column(raw: dict[int, bytes], at: int, length: int) -> pl.Series:
    column = pl.Series([None], dtype=pl.Binary).new_from_index(0, length)
    here = {index - at: data for index, data in raw.items() if at <= index < at + length}
    if not here:
        return column
    damaged = pl.DataFrame({"at": list(here), "raw": list(here.values())}).cast({"at": pl.Int64})
    positions = pl.DataFrame({"at": pl.int_range(length, dtype=pl.Int64, eager=True)})
    return positions.join(damaged, on="at", how="left", maintain_order="left")["raw"]
