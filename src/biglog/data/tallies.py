"""Normal forms that are at hand, counted as they come."""

from __future__ import annotations

from typing import Final

import polars as pl

COUNTS: Final = pl.Schema({"normal_form": pl.String(), "count": pl.UInt32()})
"""Columns of counted normal forms."""

_LEAST_WAITING: Final = 1 << 17


class Tally:
    """Adds up how often each normal form occurs; the memory is that of the distinct ones."""

    def __init__(self) -> None:
        self._parts = [pl.DataFrame(schema=COUNTS)]
        self._waiting = 0

    def add(self, forms: pl.Series) -> None:
        """Counts normal forms; a missing one is that of a blank line."""
        counts = forms.fill_null("").rename("normal_form").value_counts()
        self._parts.append(counts.with_columns(pl.col("count").cast(pl.UInt32)))
        self._waiting += len(counts)
        # Adding up costs as much as there is, so it waits until there is much.
        if self._waiting > max(_LEAST_WAITING, len(self._parts[0])):
            self._parts, self._waiting = [self.counts()], 0

    @property
    def held(self) -> int:
        """How many rows it holds at most: more than distinct normal forms."""
        return len(self._parts[0]) + self._waiting

    def counts(self) -> pl.DataFrame:
        """Columns normal_form and count, as in `COUNTS`, sorted by normal form."""
        summed = pl.concat(self._parts).group_by("normal_form").agg(pl.col("count").sum())
        return summed.sort("normal_form")
