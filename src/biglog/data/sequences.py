"""Logs in order: which normal form follows which.

A corpus of distinct normal forms has no order. Here the same logs are read once more, and each becomes an
array of row numbers into the table of normal forms: four bytes a line, whatever its length. A line whose form
is not in the table (held out, excluded, blank) breaks the sequence, so that no window reaches across it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.sources import NORMAL_FORM, Source
from biglog.data.tables.parquet import read_batches
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs

BREAK: Final = -1
"""Stands where a line's normal form is not in the table, and between two logs of an archive."""

_LEAST_MASKED: Final = 1 << 15

Rows = NDArray[np.int32]


@dataclass(frozen=True)
class LineSequence:
    """The lines of one source, in order.

    Attributes:
        domain: Its domain.
        file: What records call the source.
        rows: For each line the row of its normal form, or `BREAK`; shape (lines,).
    """

    domain: str
    file: str
    rows: Rows

    def cut(self, share: float) -> tuple[LineSequence, LineSequence]:
        """Returns the earlier and the later part, which is `share` of the lines."""
        at = len(self.rows) - round(share * len(self.rows))
        return replace(self, rows=self.rows[:at]), replace(self, rows=self.rows[at:])


def read_sequences(sources: Iterable[Source], forms: pl.DataFrame) -> tuple[LineSequence, ...]:
    """Reads sources in order.

    Args:
        sources: Logs, tables of lines or datasets. Those of domains that the table has nothing of are passed
            over.
        forms: Columns domain and normal_form, each pair once.

    Returns:
        One sequence a source; its rows count from 0 in `forms`.

    Raises:
        InputError: A source cannot be read.
    """
    numbered = forms.with_row_index("row").select("domain", NORMAL_FORM, pl.col("row").cast(pl.Int32))
    tables = {str(key): part.drop("domain") for (key,), part in numbered.group_by("domain")}
    return tuple(
        LineSequence(source.name, source.file, _rows(source, tables[source.name]))
        for source in sources
        if source.name in tables
    )


def fingerprint(sequences: Sequence[LineSequence]) -> str:
    """Returns a digest of sequences: equal if and only if they are, but for the names of files."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{sequence.domain}\n{len(sequence.rows)}\n".encode())
        digest.update(np.ascontiguousarray(sequence.rows, dtype="<i4").tobytes())
    return digest.hexdigest()


def _rows(source: Source, table: pl.DataFrame) -> Rows:
    parts: list[Rows] = [np.zeros(0, dtype=np.int32)]
    for forms, begins in _forms(source):
        found = forms.to_frame(NORMAL_FORM).join(table, on=NORMAL_FORM, how="left", maintain_order="left")
        rows = found["row"].fill_null(BREAK).to_numpy()
        parts.append(np.insert(rows, np.flatnonzero(begins), BREAK))
    return np.concatenate(parts)


def _forms(source: Source) -> Iterator[tuple[pl.Series, NDArray[np.bool_]]]:
    """Yields normal forms in order, and which of them are the first of a log of their own."""
    if not source.is_table:
        for frame in _gathered(_contents(source)):
            yield normal_forms(frame["content"]).rename(NORMAL_FORM), frame["begins"].to_numpy()
        return
    if source.dataset is not None:
        batches = source.dataset.normal_forms()
    else:
        batches = (frame[NORMAL_FORM] for frame in read_batches([source.path], [NORMAL_FORM]))
    at = 0
    for forms in batches:
        number = np.arange(at, at + len(forms)) + 1
        at += len(forms)
        wanted = (number >= source.first) & (number <= (source.last or at))
        yield forms.filter(pl.Series(wanted)).fill_null(""), np.zeros(int(wanted.sum()), dtype=bool)


def _contents(source: Source) -> Iterator[pl.DataFrame]:
    """Yields contents in order, and which of them are the first of a log of their own.

    The logs of a zip are numbered through, as counting does; but each is read by its own layout.
    """
    name, before, last = None, 0, 0
    zipped = source.path.suffix == ".zip"
    for batch in read_logs(f"{source.path}::*.log" if zipped else source.path):
        begins = batch.source != name
        if begins:
            name, before, last = batch.source, before + last, 0
        number = pl.col("line_number") + before
        if len(batch.frame):
            last = int(batch.frame.select((pl.col("line_number") + pl.col("line_count")).max() - 1).item())
        wanted = (number >= source.first) & (number <= (source.last or pl.lit(1 << 62)))
        first = pl.int_range(pl.len()) == 0
        yield batch.frame.filter(wanted).select("content", (first & pl.lit(begins)).alias("begins"))


def _gathered(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Puts small batches together: masking a few lines takes as long as masking thousands."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= _LEAST_MASKED:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
