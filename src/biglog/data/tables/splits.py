"""Where the splits are cut: exactly, in order of time, never between rows of the same moment.

Lines are cut at a moment. Each has a *sort key*, an integer (microseconds since 1970); the cut is the key at
the wanted share of the rows, moved to the nearer end of the rows that have this very key. It is found by
histograms that narrow down on it, in passes over the keys: the state is one histogram, however many rows
there are. Groups are cut by their number, in order of their first line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from biglog.data.schema import SPLITS

TENTHS: Final = (8, 1, 1)
"""Tenths of the rows in training, validation and test."""

BINS: Final = 1 << 20
"""Bins of a histogram: eight bytes each."""

Keys = Callable[[int, int], Iterable[NDArray[np.int64]]]
"""Gives the sort keys from the first to the last given key, both included, in chunks of any order; others
may be among them."""


@dataclass(frozen=True)
class Histogram:
    """Rows by sort key.

    Attributes:
        low: Lowest key of the first bin.
        width: Keys a bin.
        counts: Rows in each bin, shape (bins,).
    """

    low: int
    width: int
    counts: NDArray[np.int64]

    def key(self, bins: int) -> int:
        """The lowest key that is in none of the first `bins` bins."""
        return self.low + bins * self.width


@dataclass(frozen=True)
class Cut:
    """A moment between two splits.

    Attributes:
        key: Lowest sort key of what follows.
        rows: Rows before it.
    """

    key: int
    rows: int


def histogram(keys: Keys, low: int, high: int, bins: int = BINS) -> Histogram:
    """Counts rows by sort key.

    Args:
        keys: The sort keys.
        low: Lowest key that is counted.
        high: Highest key that is counted.
        bins: How many bins to make at most.
    """
    width = max(1, -(-(high - low + 1) // bins))
    size = (high - low) // width + 1
    counts = np.zeros(size, dtype=np.int64)
    for chunk in keys(low, high):
        inside = chunk[(chunk >= low) & (chunk <= high)]
        counts += np.bincount((inside - low) // width, minlength=size)
    return Histogram(low, width, counts)


def cut(keys: Keys, low: int, high: int, rank: int, bins: int = BINS) -> Cut:
    """Finds the moment that has as nearly as possible `rank` rows before it.

    Rows with the same key stay together, and never are there no rows before it.

    Args:
        keys: The sort keys.
        low: The lowest of them.
        high: The highest of them.
        rank: How many rows should be before it, less than there are.
        bins: Bins of a histogram.
    """
    before = 0
    while True:
        counted = histogram(keys, low, high, bins)
        upto = np.cumsum(counted.counts)
        at = int(np.searchsorted(upto, rank - before, side="right"))
        before += int(upto[at - 1]) if at else 0
        low, high = counted.key(at), min(high, counted.key(at + 1) - 1)
        if low == high:
            tied = int(counted.counts[at])
            break
    if before and rank - before <= before + tied - rank:
        return Cut(low, before)
    return Cut(low + 1, before + tied)


def time_cuts(keys: Keys, low: int, high: int, rows: int, bins: int = BINS) -> tuple[Cut, Cut]:
    """Finds the beginnings of validation and test, by `TENTHS`.

    A split is empty where too many rows share a moment.

    Args:
        keys: The sort keys.
        low: The lowest of them.
        high: The highest of them.
        rows: How many there are, at least one.
        bins: Bins of a histogram.
    """
    first, second = (cut(keys, low, high, rank, bins) for rank in shares(rows)[1:3])
    return first, second


def shares(count: int) -> tuple[int, int, int, int]:
    """Where the splits of `count` ordered things begin, and where the last one ends.

    Args:
        count: How many things there are.
    """
    return 0, count * TENTHS[0] // 10, count * (TENTHS[0] + TENTHS[1]) // 10, count


def split_of(number: int, count: int) -> str:
    """The split of one of `count` ordered things, by its number from 0."""
    bounds = shares(count)
    return next(split for split, end in zip(SPLITS, bounds[1:], strict=True) if number < end)
