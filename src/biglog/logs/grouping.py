"""Rows of a frame in groups: sessions by an identifier, windows by count or by time.

Every function takes a frame whose rows are in order and answers with positions, not copies: one row a group,
columns as in `GROUPS`, groups in the order of their first row. `gather` turns positions into lists of values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

import polars as pl
import pyarrow as pa

from biglog.errors import InputError
from biglog.logs.domains import Domain

GROUPS: Final = pl.Schema({"group_id": pl.String(), "rows": pl.List(pl.UInt32())})
"""Columns of a table of groups: its identifier, and the positions of its rows in ascending order."""

_ASSERTIONS: Final = re.compile(r"\^|\$|\\[bBAz<>]")
# Unicode's noncharacters: no text has them on purpose, so two of them can mark where an identifier stands.
_MARKS: Final = tuple(map(chr, range(0xFDD0, 0xFDF0)))


def by_session(frame: pl.DataFrame, *, column: str | None = None, pattern: str | None = None) -> pl.DataFrame:
    """Groups rows by an identifier; rows without one (null or empty) are in no group.

    Args:
        frame: Rows in order.
        column: Column that holds the identifier; with `pattern`, the column that is searched (`content` if
            None).
        pattern: Regular expression (Rust's dialect) with one group, the identifier. A row in which it finds
            several identifiers belongs to each of those sessions, once.

    Returns:
        A table of groups, `group_id` being the identifier. Sessions that begin with the same row come in the
        order of their identifiers in it.

    Raises:
        InputError: Neither argument is given, the column is missing, or the pattern is no regular expression
            with exactly one group.
    """
    if pattern is None:
        if column is None:
            raise InputError("sessions need a key", remedy="Give a column, a pattern with one group, or both")
        keys = _column(frame, column).cast(pl.String)
    else:
        texts = _column(frame, "content" if column is None else column)
        keys = _identifiers(texts.cast(pl.String), _session_pattern(pattern))
    table = pl.DataFrame({"group_id": keys}).with_row_index("rows")
    if pattern is not None:
        table = table.explode("group_id")
    table = table.filter(pl.col("group_id").is_not_null() & (pl.col("group_id") != ""))
    if pattern is not None:
        repeated = (pl.col("rows") == pl.col("rows").shift()).fill_null(False).any()
        table = table.unique(maintain_order=True) if table.select(repeated).item() else table
    return table.group_by("group_id", maintain_order=True).agg("rows").select(GROUPS.names()).cast(GROUPS)


def by_count(frame: pl.DataFrame, *, window_lines: int, stride_lines: int | None = None) -> pl.DataFrame:
    """Groups rows into windows of a fixed number of rows.

    All windows are full but the last: where full windows leave rows uncovered at the end, one shorter window
    follows, which begins a stride after the last full one. It is told by its length.

    Args:
        frame: Rows in order.
        window_lines: Rows a window.
        stride_lines: Rows from the beginning of one window to that of the next, at most `window_lines`; None
            is `window_lines`, windows that partition the rows.

    Returns:
        A table of groups, `group_id` being the window's number from 0.

    Raises:
        InputError: A size is not positive, or the stride would leave out rows.
    """
    stride = window_lines if stride_lines is None else stride_lines
    _check_sizes(window_lines, stride, "lines")
    height = len(frame)
    full = 0 if height < window_lines else 1 + (height - window_lines) // stride
    covered = (full - 1) * stride + window_lines if full else 0
    starts = pl.int_range(0, full + (covered < height), dtype=pl.Int64, eager=True) * stride
    ends = (starts + window_lines).clip(upper_bound=height)
    numbers = pl.int_range(0, len(starts), eager=True).cast(pl.String)
    return pl.DataFrame({"group_id": numbers, "rows": _ranges(starts, ends)}, schema=GROUPS)


def by_time(
    frame: pl.DataFrame, *, window_seconds: float, stride_seconds: float | None = None
) -> pl.DataFrame:
    """Groups rows into windows of a fixed length in time.

    Windows begin at multiples of the stride counted from 1970-01-01 UTC, so they do not depend on where a log
    begins or how it was cut. They hold the rows from their beginning (included) to their end (excluded),
    wherever a clock that went back has put them; windows without rows are left out. A row without timestamp
    takes that of the row before it, rows before the first timestamp take that one.

    Args:
        frame: Rows in order, with a column `timestamp`.
        window_seconds: Length of a window in seconds, in steps of a microsecond.
        stride_seconds: Seconds from the beginning of one window to that of the next, at most
            `window_seconds`; None is `window_seconds`, windows that partition the rows.

    Returns:
        A table of groups, `group_id` being the window's beginning, such as `2005-06-03T22:42:00Z`. Windows
        that begin with the same row come in order of time.

    Raises:
        InputError: A size is not positive, the stride would leave out rows, there is no column `timestamp`,
            or no row has one.
    """
    window = _microseconds(window_seconds)
    stride = window if stride_seconds is None else _microseconds(stride_seconds)
    _check_sizes(window, stride, "seconds")
    times = timestamps(frame).forward_fill().backward_fill()
    if times.is_empty():
        return pl.DataFrame(schema=GROUPS)
    if times.null_count():
        raise InputError("no row has a timestamp", remedy="Group by count, or by session")
    order = None if times.is_sorted() else times.arg_sort()
    times = times if order is None else times.gather(order)
    windows = _window_starts(times, window, stride)
    starts, ends = times.search_sorted(windows, "left"), times.search_sorted(windows + window, "left")
    rows = _ranges(starts, ends)
    if order is not None:
        rows = _lists(order.cast(pl.UInt32).gather(rows.explode()), rows).list.sort()
    ids = windows.cast(pl.Datetime("us")).dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
    table = pl.DataFrame({"group_id": ids, "rows": rows})
    return table.sort(pl.col("rows").list.first(), maintain_order=True).cast(GROUPS)


def timestamps(frame: pl.DataFrame) -> pl.Series:
    """The column `timestamp` as numbers.

    Args:
        frame: Any frame with a column `timestamp`.

    Returns:
        Int64 microseconds since 1970 UTC, shape (n,), name `timestamp`; null where a row has none.

    Raises:
        InputError: There is no column `timestamp`, or it holds no points in time.
    """
    times = _column(frame, "timestamp")
    if not isinstance(times.dtype, pl.Datetime | pl.Null):
        raise InputError(
            f"the column 'timestamp' holds {times.dtype}, not points in time",
            remedy="Parse it first, such as with biglog.logs.timestamps.parse_timestamps",
        )
    return times.cast(pl.Datetime("us")).cast(pl.Int64)


def session_ids(frame: pl.DataFrame, domain: Domain) -> pl.Series:
    """The session of each row by a domain's own key.

    Args:
        frame: Records, columns as `read_logs` gives them.
        domain: Says the key: `session_pattern` on the content, or else `session_column`.

    Returns:
        String, shape (n,), name `session_id`: the first identifier of each row; null where it has none, and
        everywhere if the domain has no key.

    Raises:
        InputError: The key's column is missing.
    """
    if domain.session_pattern is not None:
        keys = _column(frame, "content").str.extract(_session_pattern(domain.session_pattern), 1)
    elif domain.session_column is not None:
        keys = _column(frame, domain.session_column).cast(pl.String)
    else:
        keys = pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
    return keys.set(keys == "", None).alias("session_id")


def gather(frame: pl.DataFrame, groups: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """The values of each group's rows, as lists.

    Args:
        frame: The frame that was grouped.
        groups: A table of groups.
        columns: Columns of the frame.

    Returns:
        One row a group, in order: `group_id`, then each of the columns as a list of the rows' values.

    Raises:
        InputError: A column is missing.
    """
    rows = groups["rows"]
    positions = rows.explode(empty_as_null=False)
    lists = [_lists(_column(frame, name).gather(positions), rows) for name in columns]
    return groups.select("group_id").with_columns(lists)


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name in frame.columns:
        return frame[name]
    near = get_close_matches(name, frame.columns, n=3, cutoff=0.5) or frame.columns
    raise InputError(f"there is no column {name!r}", remedy=f"Did you mean {', '.join(map(repr, near))}?")


def _check_sizes(window: int, stride: int, unit: str) -> None:
    for name, size in ((f"window_{unit}", window), (f"stride_{unit}", stride)):
        if size <= 0:
            raise InputError(f"{name} is not positive", remedy="Give 1 or more")
    if stride > window:
        raise InputError(
            f"stride_{unit} is larger than window_{unit}: rows between two windows would be left out",
            remedy="Give a stride of at most the window",
        )


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) if math.isfinite(seconds) else 0


def _session_pattern(pattern: str) -> str:
    """The pattern itself, if it is a regular expression with one group."""
    try:
        groups = len(pl.Series([""]).str.extract_groups(pattern).struct.fields)
    except pl.exceptions.ComputeError as error:
        raise InputError(
            f"{pattern!r} is no regular expression: {error}",
            remedy="Look-around and back-references are not supported",
        ) from error
    if groups != 1:
        raise InputError(
            f"the pattern {pattern!r} has {groups} groups, and one is needed",
            remedy=r"Put the identifier in parentheses, as in 'request (\d+)', and other groups in (?:...)",
        )
    return pattern


def _identifiers(texts: pl.Series, pattern: str) -> pl.Series:
    """Lists of all that the pattern's group matches: Polars itself extracts whole matches, no group of them.

    A match alone gives its group again, unless the pattern looks at what stands around it. Then the group is
    written between marks that the texts do not have.
    """
    if _is_one_group(pattern):
        return texts.str.extract_all(pattern)
    if not _ASSERTIONS.search(pattern.replace("[^", "[")):
        return texts.str.extract_all(pattern).list.eval(pl.element().str.extract(pattern, 1))
    unused = (mark for mark in _MARKS if not texts.str.contains(mark, literal=True).any())
    opening, closing = next(unused), next(unused)
    marked = texts.str.replace_all(pattern, f"{opening}${{1}}{closing}")
    found = marked.str.extract_all(f"{opening}[^{closing}]*{closing}")
    return found.list.eval(pl.element().str.strip_chars(opening + closing))


def _is_one_group(pattern: str) -> bool:
    """Whether a valid pattern is one group from its first character to its last."""
    if pattern.startswith("(?") or not pattern.startswith("("):
        return False
    try:
        # What stands within is balanced only if the last parenthesis closes the first.
        return not pl.Series([""]).str.extract_groups(pattern[1:-1]).struct.fields
    except pl.exceptions.ComputeError:
        return False


def _window_starts(times: pl.Series, window: int, stride: int) -> pl.Series:
    """Beginnings of all windows that hold at least one of the times, ascending."""
    bounds = pl.DataFrame({"first": (times - window) // stride + 1, "last": times // stride}).unique()
    numbers = bounds.select(pl.int_ranges("first", pl.col("last") + 1).explode()).to_series()
    return numbers.unique().sort() * stride


def _ranges(starts: pl.Series, ends: pl.Series) -> pl.Series:
    bounds = pl.DataFrame({"start": starts, "end": ends})
    return bounds.select(pl.int_ranges("start", "end", dtype=pl.UInt32)).to_series()


def _lists(values: pl.Series, like: pl.Series) -> pl.Series:
    """Cuts values into lists of the lengths that `like` has; nothing is copied but the offsets."""
    ends = like.list.len().cast(pl.Int64).cum_sum()
    offsets = pl.concat([pl.Series([0], dtype=pl.Int64), ends.alias("")])
    lists = pa.LargeListArray.from_arrays(offsets.to_arrow(), values.to_arrow())
    return pl.Series(values.name, lists)
