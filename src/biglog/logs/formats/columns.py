"""Columns of text as stretches of one buffer of bytes.

A block of log is one buffer. Its lines, and every field of their headers, are stretches of it: a start and a
length. Arrow's string views say just that (16 bytes a string: length, first four bytes, buffer, offset), so a
column of strings is four numbers a row, computed for all rows at once, and no text is copied. Strings of up
to 12 bytes stand in the view itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

PADDING: Final = 16
"""Bytes that must follow every stretch in its buffer, so that whole words may be read at its end."""

MAX_BUFFER: Final = 2**31 - 1
"""Arrow's offsets of string views are 32-bit integers."""

_TAB, _NEWLINE, _RETURN, _SPACE = b"\t\n\r "
REACH: Final = 57
"""Bytes that `Marks` can look ahead from any place: 64 bits, less those before the place in its byte."""

_INLINE: Final = 12
_BYTES: Final = 8
_FEW: Final = 16
# By number of bytes 0..8: the 64-bit word whose first bytes (little-endian) are all ones.
_FIRST_BYTES: Final = np.array([(1 << 8 * size) - 1 for size in range(_BYTES + 1)], dtype=np.uint64)
_ONES: Final = 0x0101010101010101
_HIGH_BITS: Final = np.uint64(0x80 * _ONES)

# Until it has seen a block of this size come and go, glibc gives the memory of each batch back to the system,
# which hands it out again page by page: a fifth of the time. (The block itself is never touched.)
np.empty((32 << 20) - (16 << 10), dtype=np.uint8)

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Buffer = NDArray[np.uint8]


@dataclass(frozen=True)
class Stretches:
    """Strings as stretches of a buffer.

    Attributes:
        buffer: UTF-8, with `PADDING` bytes after the last stretch; shape (bytes,).
        starts: Position of each one's first byte; shape (rows,).
        ends: Position after each one's last byte; shape (rows,).
    """

    buffer: Buffer
    starts: Integers
    ends: Integers

    @property
    def lengths(self) -> Integers:
        """Bytes of each stretch; shape (rows,)."""
        return self.ends - self.starts

    def where(self, keep: Flags) -> Stretches:
        """The same stretches, empty ones at the buffer's beginning where not kept; shape stays (rows,)."""
        return Stretches(self.buffer, self.starts * keep, self.ends * keep)

    @cached_property
    def strings(self) -> pl.Series:
        """The strings as a Polars column that shares the buffer; shape (rows,)."""
        lengths = self.lengths
        views = np.zeros((len(lengths), 4), dtype=np.uint32)
        views[:, 0] = lengths
        short = lengths <= _INLINE
        if short.all():
            self._fill_inline(views, self.starts)
        else:
            views[:, 1] = _words32(self.buffer)[self.starts]
            views[:, 3] = self.starts
            if short.any():
                rows = np.flatnonzero(short)
                inline = views[rows]
                self._fill_inline(inline, self.starts[rows])
                views[rows] = inline
        buffers = [None, pa.py_buffer(views), pa.py_buffer(self.buffer)]
        column = pl.from_arrow(pa.Array.from_buffers(pa.string_view(), len(lengths), buffers))
        assert isinstance(column, pl.Series)
        return column

    def stripped(self) -> Stretches:
        """The same without white space at their ends."""
        last = self.buffer[np.maximum(self.ends - 1, 0)]
        # Outside ASCII white space takes several bytes: Polars knows it, and it is asked rarely.
        spaces = (last == 32) | ((last >= 9) & (last <= 13)) | (last >= 128)
        rows = np.flatnonzero(spaces & (self.ends > self.starts))
        if not len(rows):
            return self
        ends, starts = self.ends.copy(), self.starts[rows]
        some = Stretches(self.buffer, starts, ends[rows]).strings
        ends[rows] = starts + some.str.strip_chars_end().str.len_bytes().to_numpy()
        return Stretches(self.buffer, self.starts, ends)

    def _fill_inline(self, views: NDArray[np.uint32], starts: Integers) -> None:
        """Put the bytes of short strings after their length, and zeros after them."""
        lengths, longest = views[:, 0], int(views[:, 0].max(initial=0))
        words = _words64(self.buffer)[starts] & _FIRST_BYTES[np.minimum(lengths, _BYTES)]
        views[:, 1] = words.astype(np.uint32)
        views[:, 2] = words >> np.uint64(32) if longest > _BYTES // 2 else 0
        views[:, 3] = 0
        if longest > _BYTES:
            rows = np.flatnonzero(lengths > _BYTES)
            more = _FIRST_BYTES[lengths[rows] - _BYTES].astype(np.uint32)
            views[rows, 3] = _words32(self.buffer)[starts[rows] + _BYTES] & more

    def translated(self, meaning: Callable[[str], str | None]) -> pl.Series | None:
        """What each string means, where there are few different ones.

        Args:
            meaning: Called once for each different string.

        Returns:
            The meanings; None if one of them is None, or a string is longer than 8 bytes, or there are more
            than 16 different strings.
        """
        lengths = self.lengths
        if int(lengths.max(initial=0)) > _BYTES:
            return None
        words = _words64(self.buffer)[self.starts] & _FIRST_BYTES[lengths]
        left, ends = np.ones(len(words), dtype=np.bool_), [0]
        code = np.zeros(len(words), dtype=np.int64)
        names = b""
        while left.any():
            word = words[left.argmax()]
            same = words == word
            name = meaning(word.tobytes().rstrip(b"\0").decode())
            if name is None or len(ends) > _FEW:
                return None
            np.putmask(code, same, len(ends))
            names += name.encode()
            ends.append(len(names))
            left &= ~same
        bounds = np.array(ends, dtype=np.int64)
        buffer = np.frombuffer(names + bytes(PADDING), dtype=np.uint8)
        return Stretches(buffer, bounds[code - 1], bounds[code]).strings

    def without(self, byte: int) -> Flags:
        """Whether each stretch has 1 to `REACH` bytes, none of them this one (below 128)."""
        lengths = self.lengths
        free = first_bit(Marks(self.buffer, byte).after(self.starts)) >= lengths
        return free & (lengths > 0) & (lengths <= REACH)

    def within(self, low: int, high: int) -> Flags:
        """Whether each stretch has 1 to 16 bytes, all of them from `low` to `high` (both below 128).

        Eight bytes are compared at a time: adding 128 - low sets a byte's high bit from `low` on, adding
        127 - high sets it beyond `high`. No byte from 128 on passes both, nor does a carry hide one.
        """
        lengths, words = self.lengths, _words64(self.buffer)
        at_least, beyond = np.uint64((0x80 - low) * _ONES), np.uint64((0x7F - high) * _ONES)

        def good(word: NDArray[np.uint64]) -> Flags:
            return ((word + at_least) & ~(word + beyond) & _HIGH_BITS) == _HIGH_BITS

        inside = _FIRST_BYTES[np.minimum(lengths, _BYTES)]
        found = good((words[self.starts] & inside) | (np.uint64(low * _ONES) & ~inside))
        if int(lengths.max(initial=0)) > _BYTES:
            # The last eight bytes, which overlap the first eight or meet them.
            found &= (lengths <= _BYTES) | good(words[np.maximum(self.ends - _BYTES, 0)])
        return found & (lengths > 0) & (lengths <= 2 * _BYTES)


class Marks:
    """Where one byte stands in a buffer, a bit for each byte: all within reach of a place are one number.

    Args:
        buffer: Bytes.
        byte: The one to mark.
    """

    def __init__(self, buffer: Buffer, byte: int) -> None:
        packed = np.packbits(buffer == byte, bitorder="little")
        self._words = _words64(np.concatenate((packed, np.zeros(_BYTES, dtype=np.uint8))))
        self._last = len(buffer)

    def after(self, places: Integers) -> NDArray[np.uint64]:
        """The marks of at least `REACH` bytes from each place on, that of the place itself as lowest bit."""
        places = np.minimum(places, self._last)
        marks: NDArray[np.uint64] = self._words[places >> 3] >> (places & 7).view(np.uint64)
        return marks


def first_bit(marks: NDArray[np.uint64]) -> Integers:
    """Number of zeros below the lowest one in each number; 64 for zero."""
    return np.bitwise_count(~marks & (marks - np.uint64(1))).astype(np.int64)


def split_lines(data: bytes) -> tuple[pl.Series, bool]:
    r"""Lines of a block of UTF-8 as a column that shares one buffer.

    Args:
        data: Valid UTF-8; lines end with `\n` or `\r\n`, the last one may lack it.

    Returns:
        The lines without their ends, one empty line for no data; and whether there may be control characters
        (below 32, but no tab, or 127) in them.
    """
    if len(data) > MAX_BUFFER - PADDING:
        return _split_copying(data), True
    buffer = np.frombuffer(data + bytes(PADDING), dtype=np.uint8)
    # One look at the bytes finds line ends and control characters.
    low = np.flatnonzero(buffer[: len(data)] < _SPACE)
    codes = buffer[low]
    is_end = codes == _NEWLINE
    ends = low[is_end]
    controls = not (is_end | (codes == _TAB) | (codes == _RETURN)).all() or b"\x7f" in data
    ended = len(ends)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
    if (codes == _RETURN).any():
        # A carriage return counts as part of the end only before a newline.
        returns = (buffer[ends[:ended] - 1] == _RETURN) & (ends[:ended] > starts[:ended])
        ends[:ended] -= returns
    return Stretches(buffer, starts, ends).strings.alias("line"), controls


def _split_copying(data: bytes) -> pl.Series:
    """Lines of any amount of data, several times slower."""
    text = data.replace(b"\r\n", b"\n").removesuffix(b"\n").decode()
    return pl.Series("line", [text]).str.split("\n").explode()


def stretches(lines: pl.Series) -> Stretches | None:
    """Where a column's strings stand in memory, without copying them if they share one buffer.

    Args:
        lines: Strings, none of them null.

    Returns:
        The stretches, shape (rows,): empty for strings that Polars holds elsewhere (up to 12 bytes) and at
        a buffer's very end; None where there is no such buffer.
    """
    array = lines.to_arrow(compat_level=pl.CompatLevel.newest())
    buffers = array.buffers()
    if array.null_count or len(lines) == 0:
        return None
    if len(buffers) != 3 or array.type != pa.string_view():
        return _copied(lines)
    buffer = _bytes(buffers[2])
    views = np.frombuffer(buffers[1], dtype=np.uint32).reshape(-1, 4)
    views = views[array.offset : array.offset + len(array)]
    lengths = views[:, 0].astype(np.int64)
    starts = views[:, 3].astype(np.int64)
    return _readable(Stretches(buffer, starts, starts + lengths), lengths > _INLINE)


def _copied(lines: pl.Series) -> Stretches | None:
    """Stretches of a column whose strings stand in several buffers: a copy that has them in one."""
    array = lines.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if data is None:
        return None
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return _readable(Stretches(_bytes(data), bounds[:-1], bounds[1:]), None)


def _readable(found: Stretches, known: Flags | None) -> Stretches | None:
    """The stretches with padding after them; the others become empty."""
    if not PADDING <= len(found.buffer) <= MAX_BUFFER:
        return None
    padded = found.ends <= len(found.buffer) - PADDING
    keep = padded if known is None else known & padded
    return found if keep.all() else found.where(keep)


def rows_of(buffer: Buffer, starts: Integers, length: int) -> NDArray[np.uint8]:
    """A copy of the `length` bytes from each start on, all within the buffer; shape (rows, length)."""
    windows = np.ndarray((len(buffer) - length + 1,), dtype=f"V{length}", buffer=buffer, strides=(1,))
    return windows[starts].view(np.uint8).reshape(-1, length)


def _bytes(buffer: Any) -> Buffer:
    return np.frombuffer(buffer, dtype=np.uint8)


def _words32(buffer: Buffer) -> NDArray[np.uint32]:
    """The little-endian 32-bit word that begins at each byte of a buffer, without a copy."""
    return np.ndarray((max(0, len(buffer) - 3),), dtype="<u4", buffer=buffer, strides=(1,))


def _words64(buffer: Buffer) -> NDArray[np.uint64]:
    """The little-endian 64-bit word that begins at each byte of a buffer, without a copy."""
    return np.ndarray((max(0, len(buffer) - 7),), dtype="<u8", buffer=buffer, strides=(1,))
