"""Times as users have them (ISO 8601 texts, Unix seconds, timestamps) as microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError

SECOND: Final = 1_000_000
"""Microseconds of a second."""

# 285 years from 1970: milliseconds that are given for seconds lie beyond it.
_LATEST: Final = 1 << 53


def microseconds(times: pl.Series, what: str = "time") -> NDArray[np.int64]:
    """Returns times as microseconds since 1970, UTC.

    Args:
        times: Timestamps; ISO 8601 texts, which are UTC where they name no zone; or Unix seconds (texts of
            digits too). Shape (n,).
        what: What they are called in an error.

    Returns:
        int64, shape (n,).

    Raises:
        InputError: One is missing, NaN, or no time.
    """
    if times.dtype.is_float():
        times = times.fill_nan(None)
    missing = times.null_count()
    if missing:
        raise InputError(
            f"{missing:,} of {len(times):,} values of {what} are missing, the first in row "
            f"{int(times.is_null().arg_max() or 0)}",
            remedy="Leave out what has no time, or give it the time of the line before",
        )
    if times.dtype.is_numeric():
        return _of_numbers(times, what)
    if times.dtype == pl.String:
        return _of_texts(times.str.strip_chars(), what)
    if isinstance(times.dtype, pl.Datetime):
        return times.dt.cast_time_unit("us").to_physical().to_numpy()
    if times.dtype == pl.Null:
        return np.zeros(0, dtype=np.int64)
    raise InputError(f"{what} has type {times.dtype}", remedy="Give timestamps, ISO 8601 texts or seconds")


def moment(text: str) -> datetime:
    """Returns one time, as a user writes it.

    Raises:
        InputError: It is no time.
    """
    found = int(microseconds(pl.Series([text], dtype=pl.String), "the time given")[0])
    return datetime.fromtimestamp(found / SECOND, UTC)


def _of_numbers(times: pl.Series, what: str) -> NDArray[np.int64]:
    values = np.round(times.cast(pl.Float64).to_numpy() * SECOND)
    if not (np.isfinite(values).all() and (np.abs(values) < _LATEST).all()):
        raise InputError(f"{what} has values that are no Unix seconds", remedy="Milliseconds: divide by 1000")
    return values.astype(np.int64)


def _of_texts(times: pl.Series, what: str) -> NDArray[np.int64]:
    numbers = times.cast(pl.Float64, strict=False)
    if numbers.null_count() == 0:
        return _of_numbers(numbers, what)
    found = [_iso(text, row, what) for row, text in enumerate(times)]
    return np.asarray(found, dtype=np.int64)


def _iso(text: str, row: int, what: str) -> int:
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} (row {row}) is no {what}", remedy="Write 2024-05-01T12:00:00, or Unix seconds"
        ) from error
    zoned = told if told.tzinfo else told.replace(tzinfo=UTC)
    return round(zoned.timestamp() * SECOND)
