"""Neighbours in a column of timestamps that differ in nothing but the digits of their fraction.

A busy log has many lines a second: what is dear (calendar, time zone, a regex) is done for the first of such
a run of rows and holds for all of it; the fraction is added by arithmetic on its digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from biglog.logs.formats.columns import Flags, Integers, Stretches, rows_of

_WORD = 8
_MICRO_DIGITS = 6
_NANO_DIGITS = 9


@dataclass(frozen=True)
class Repeats:
    """Runs of neighbouring rows.

    Attributes:
        rows: How many rows there are.
        firsts: Row of each run's first text; shape (runs,).
        first_texts: The text of each run's first row; shape (runs,).
        micros: Microseconds that the varying digits of each text stand for; None if runs are of equal texts.
        absent: Rows without a text, which count to the run before them; None if there are none.
    """

    rows: int
    firsts: Integers
    first_texts: pl.Series
    micros: Integers | None = None
    absent: pl.Series | None = None

    @property
    def counts(self) -> Integers:
        """Rows of each run; shape (runs,)."""
        return np.diff(self.firsts, append=self.rows)

    def spread_flags(self, flags: pl.Series) -> Flags:
        """A Boolean of each run to all its rows, false where there is no text; shape (rows,)."""
        spread = np.repeat(flags.to_numpy(), self.counts)
        return spread if self.absent is None else spread & ~self.absent.to_numpy()

    def spread_times(self, times: pl.Series) -> pl.Series:
        """The time (UTC) of each run's first row to all its rows, moved by the digits they differ in."""
        array = times.to_arrow()
        _, buffer = array.buffers()
        values = np.frombuffer(buffer, dtype=np.int64)[array.offset : array.offset + len(array)]
        if self.micros is None:
            micros = np.repeat(values, self.counts)
        else:
            micros = np.repeat(values - self.micros[self.firsts], self.counts) + self.micros
        stamps = pa.Array.from_buffers(array.type, len(micros), [None, pa.py_buffer(micros)])
        column = pl.Series(times.name, stamps)
        if times.null_count():
            column = column.set(pl.Series(np.repeat(times.is_null().to_numpy(), self.counts)), None)
        return column if self.absent is None else column.set(self.absent, None)


def find_repeats(texts: pl.Series, fraction_at: int | None = None) -> Repeats:
    """Runs of neighbours that are equal, or equal but for the digits of a fraction.

    Args:
        texts: Strings, null where there is none.
        fraction_at: Position of a fraction's first digit in texts that have one, after a point or comma.

    Returns:
        The runs. Digits make no difference only where all texts have the same length and a fraction in the
        same place.
    """
    nulls = texts.null_count()
    if 0 < nulls < len(texts):
        runs = find_repeats(texts.forward_fill().backward_fill(), fraction_at)
        return replace(runs, absent=texts.is_null())
    table = None if nulls else _table(texts)
    if table is None:
        changed = texts.ne_missing(texts.shift(1)).to_numpy().copy()
        changed[:1] = True
        return Repeats(len(texts), np.flatnonzero(changed), texts.filter(pl.Series(changed)))
    firsts, micros = _runs(table, fraction_at)
    return Repeats(len(texts), firsts, texts[firsts], micros)


def find_repeats_in(texts: Stretches, fraction_at: int | None = None) -> Repeats:
    """`find_repeats` for stretches of a buffer, where texts of one length need not be copied out of it."""
    lengths = texts.lengths
    length = int(lengths[0]) if len(lengths) else 0
    if not length or not (lengths == length).all():
        return find_repeats(texts.strings, fraction_at)
    firsts, micros = _runs(rows_of(texts.buffer, texts.starts, length), fraction_at)
    heads = Stretches(texts.buffer, texts.starts[firsts], texts.ends[firsts])
    return Repeats(len(lengths), firsts, heads.strings, micros)


def _runs(table: NDArray[np.uint8], fraction_at: int | None) -> tuple[Integers, Integers | None]:
    """First rows of runs in a table of bytes, and the microseconds of all rows if runs differ in these."""
    length = table.shape[1]
    digits = 0 if fraction_at is None else _fraction_digits(table, fraction_at)
    if fraction_at is None or not digits:
        return np.flatnonzero(_changed(table, 0, length)), None
    rest = fraction_at + digits
    changed = _changed(table, 0, fraction_at) | _changed(table, rest, length)
    return np.flatnonzero(changed), _micros(table[:, fraction_at:rest])


def _table(texts: pl.Series) -> NDArray[np.uint8] | None:
    """The bytes of texts of one length, shape (rows, length); None where lengths differ."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(array) == 0:
        return None
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    length = int(bounds[1] - bounds[0])
    if not length or not (np.diff(bounds) == length).all():
        return None
    return np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]].reshape(-1, length)


def _fraction_digits(table: NDArray[np.uint8], at: int) -> int:
    """How many digits follow a point or comma before position `at`, in every row."""
    if at >= table.shape[1] or not np.isin(table[:, at - 1], (ord("."), ord(","))).all():
        return 0
    count = 0
    while count < _NANO_DIGITS and at + count < table.shape[1]:
        # Below "0" the difference wraps around to a large number.
        if (table[:, at + count] - np.uint8(ord("0")) > 9).any():
            break
        count += 1
    return count


def _micros(digits: NDArray[np.uint8]) -> Integers:
    """Decimals as whole microseconds; digits beyond the sixth are cut off, as the parser does."""
    kept = digits[:, :_MICRO_DIGITS]
    value = np.zeros(len(kept), dtype=np.int64)
    for column in range(kept.shape[1]):
        value = value * 10 + (kept[:, column] - np.uint8(ord("0")))
    scaled: Integers = value * 10 ** (_MICRO_DIGITS - kept.shape[1])
    return scaled


def _changed(table: NDArray[np.uint8], start: int, end: int) -> Flags:
    """Whether a row's bytes from `start` to `end` differ from those of the row before; the first row does."""
    changed = np.zeros(len(table), dtype=np.bool_)
    changed[0] = True
    last = end - _WORD
    # Whole words, the last of which may overlap the one before it; single bytes where there is no word.
    words = [*range(start, last, _WORD), last] if last >= start else []
    for at in words:
        column = _word_column(table, at)
        changed[1:] |= column[1:] != column[:-1]
    for at in () if words else range(start, end):
        changed[1:] |= table[1:, at] != table[:-1, at]
    return changed


def _word_column(table: NDArray[np.uint8], at: int) -> NDArray[np.uint64]:
    """Eight bytes of each row as one number, without a copy; only their equality has a meaning."""
    rows, length = table.shape
    return np.ndarray((rows,), dtype=np.uint64, buffer=table, offset=at, strides=(length,))
