"""Histories: the lines that a predictor sees at a moment, how old each of them is, and what followed.

A history is a group of lines (`biglog.tasks.groups`) that ends at a moment. A predictor is told ages, not
times, so that nothing of a date can be learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.errors import InputError
from biglog.tasks.failure.clock import microseconds
from biglog.tasks.groups import FORMS_COLUMN, Floats, Groups, Ints

Encode = Callable[[pl.Series], NDArray[np.float32]]
"""Normal forms to their embeddings, float32, shape (n, hidden)."""

NEEDED: Final = ("group_id", "time", FORMS_COLUMN)

_SECOND: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Histories:
    """Histories in the order of their table.

    Attributes:
        groups: Their lines as codes of normal forms; the groups' ids are the components.
        moments: When each one ends, microseconds since 1970 (UTC), shape (histories,).
        ages: Seconds from each line to the moment of its history, never negative, shape (lines,).
        spans: Seconds that each one reaches back, above 0, shape (histories,).
        since_failure: Seconds from the last failure of the component that is known, NaN without one, shape
            (histories,).
        vectors: Embedding of each form, float32, shape (forms, hidden); hidden is 0 without an encoder.
    """

    groups: Groups
    moments: NDArray[np.int64]
    ages: Floats
    spans: Floats
    since_failure: Floats
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        if (self.ages < 0).any():
            at = int(self.groups.owners[np.flatnonzero(self.ages < 0)[0]])
            raise InputError(
                f"history {at} ({self.groups.ids[at]}) has a line that is later than its moment",
                remedy="Give only what had been logged by then",
            )

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def counts(self) -> csr_matrix:
        """Lines of each history and form, int64, shape (histories, forms)."""
        return self.groups.counts

    def weighted(self, weights: Floats) -> csr_matrix:
        """Adds up a weight a line, by history and form.

        Args:
            weights: One a line, shape (lines,).

        Returns:
            float64, shape (histories, forms).
        """
        shape = (len(self), len(self.groups.forms))
        codes, offsets = self.groups.codes.copy(), self.groups.offsets.copy()
        # Copies: adding up duplicates happens in place.
        table = csr_matrix((weights.astype(np.float64), codes, offsets), shape=shape)
        table.sum_duplicates()
        return table

    def take(self, rows: Ints) -> Histories:
        """Returns some of the histories.

        Args:
            rows: Their positions, in the order wanted.
        """
        sizes = self.groups.sizes[rows]
        begins = np.repeat(self.groups.offsets[:-1][rows], sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return Histories(
            self.groups.take(rows),
            self.moments[rows],
            self.ages[begins + within],
            self.spans[rows],
            self.since_failure[rows],
            self.vectors,
        )

    def keeping(self, lines: NDArray[np.bool_]) -> Histories:
        """Returns the histories with some of their lines.

        Args:
            lines: Which ones stay, shape (lines,).

        Raises:
            InputError: A history has none left.
        """
        sizes = np.add.reduceat(lines.astype(np.int64), self.groups.offsets[:-1])
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        groups = Groups(self.groups.forms, self.groups.codes[lines], offsets, self.groups.ids)
        return replace(self, groups=groups, ages=self.ages[lines])


def histories(
    table: pl.DataFrame,
    *,
    encode: Encode | None = None,
    lines: pl.DataFrame | None = None,
    failures: pl.DataFrame | None = None,
) -> Histories:
    """Makes histories of the table of failures, or of one that has its columns.

    Args:
        table: Columns group_id, time and normal_forms; perhaps `times` (of each line), `start`, `end`, and
            history_seconds. Where times of lines are not known they are taken to lie evenly between start
            and end; without these, between the beginning of the history and its moment.
        encode: Embeds forms; None leaves embeddings out.
        lines: Columns line_id and timestamp, which the table's line_ids are looked up in.
        failures: Failures, columns group_id and time (microseconds since 1970, as `read_failures` of
            `biglog.tasks.failure.moments` returns them). Only what is not after a moment is used for it.

    Raises:
        InputError: A column is missing, a time is missing, a history has no lines, or a line is later than
            the moment of its history.
    """
    _check(table)
    groups = _in_order(Groups.of(table))
    moments = microseconds(table["time"], "time")
    times = _line_times(table, groups, lines)
    spans = _spans(table, groups, moments, times)
    if times is None:
        ages = _even_ages(table, groups, moments, spans)
    else:
        ages = (np.repeat(moments, groups.sizes) - times) / _SECOND
    forms = groups.forms
    vectors = np.zeros((len(forms), 0), dtype=np.float32) if encode is None else encode(forms)
    since = since_failures(groups.ids, moments, failures)
    return Histories(groups, moments, ages, spans, since, vectors)


def since_failures(ids: pl.Series, moments: NDArray[np.int64], failures: pl.DataFrame | None) -> Floats:
    """Seconds from the last failure of each component to a moment, NaN where none came before.

    Args:
        ids: Components, shape (n,).
        moments: Microseconds since 1970, shape (n,).
        failures: Columns group_id and time (microseconds since 1970); None knows of none.
    """
    found = np.full(len(moments), np.nan)
    if failures is None or failures.is_empty():
        return found
    known = pl.DataFrame({"group_id": failures["group_id"], "failed": failures["time"].cast(pl.Int64)})
    asked = pl.DataFrame({"group_id": ids, "moment": moments}).with_row_index("row")
    joined = asked.sort("moment").join_asof(
        known.sort("failed"), left_on="moment", right_on="failed", by="group_id", check_sortedness=False
    )
    last = joined.sort("row")["failed"]
    there = last.is_not_null().to_numpy()
    found[there] = (moments[there] - last.drop_nulls().to_numpy()) / _SECOND
    return found


def labels_of(table: pl.DataFrame, labels: Sequence[Any] | None, histories: int) -> NDArray[Any]:
    """Returns the label of each history.

    Args:
        table: Has a column is_failure where `labels` is None.
        labels: Labels; None takes the column.
        histories: How many there are.

    Raises:
        InputError: There are none, too few, or some are missing.
    """
    if labels is None:
        if "is_failure" not in table.columns:
            raise InputError("the histories have no column is_failure", remedy="Add it, or give labels")
        labels = table["is_failure"].to_list()
    if len(labels) != histories:
        raise InputError(
            f"{len(labels):,} labels for {histories:,} histories", remedy="Give one label a history"
        )
    if any(label is None for label in labels):
        raise InputError("a label is missing", remedy="Leave histories without label out")
    return np.asarray(labels)


def _in_order(groups: Groups) -> Groups:
    """Puts forms into alphabetical order: sums over them are then the same beside any other histories."""
    order = groups.forms.arg_sort()
    places = np.empty(len(order), dtype=np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    return groups.recoded(groups.forms.gather(order), places)


def _check(table: pl.DataFrame) -> None:
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise InputError(
            f"the table of histories lacks {', '.join(missing)}", remedy=f"It has {', '.join(table.columns)}"
        )


def _line_times(table: pl.DataFrame, groups: Groups, lines: pl.DataFrame | None) -> NDArray[np.int64] | None:
    """Microseconds of each line; None where the table does not say."""
    if "times" in table.columns:
        times = table["times"].explode(empty_as_null=False)
    elif lines is not None:
        ids = table.select(pl.col("line_ids").explode(empty_as_null=False).alias("line_id"))
        known = lines.select("line_id", "timestamp").unique("line_id")
        times = ids.join(known, on="line_id", how="left", maintain_order="left")["timestamp"]
    else:
        return None
    if len(times) != len(groups.codes):
        raise InputError(f"{len(times):,} times for {len(groups.codes):,} lines", remedy="Give one a line")
    return microseconds(times, "time of a line")


def _spans(
    table: pl.DataFrame, groups: Groups, moments: NDArray[np.int64], times: NDArray[np.int64] | None
) -> Floats:
    """Seconds that histories reach back; at least a second, so that shares of it can be taken."""
    if "history_seconds" in table.columns and table["history_seconds"].null_count() == 0:
        spans = table["history_seconds"].cast(pl.Float64).to_numpy()
    elif times is not None:
        first = np.minimum.reduceat(times, groups.offsets[:-1])
        spans = (moments - first) / _SECOND
    elif "start" in table.columns:
        spans = (moments - microseconds(table["start"], "start")) / _SECOND
    else:
        raise InputError("nothing says how far histories reach back", remedy="Add a column history_seconds")
    return np.maximum(np.nan_to_num(spans, nan=1.0), 1.0)


def _even_ages(table: pl.DataFrame, groups: Groups, moments: NDArray[np.int64], spans: Floats) -> Floats:
    """Ages of lines that lie evenly between the first and the last."""
    oldest, youngest = spans, np.zeros(len(groups))
    if {"start", "end"} <= set(table.columns):
        oldest = (moments - microseconds(table["start"], "start")) / _SECOND
        youngest = (moments - microseconds(table["end"], "end")) / _SECOND
    sizes = groups.sizes
    within = np.arange(len(groups.codes)) - np.repeat(groups.offsets[:-1], sizes)
    share = within / np.maximum(np.repeat(sizes, sizes) - 1, 1)
    ages: Floats = np.repeat(oldest, sizes) * (1 - share) + np.repeat(youngest, sizes) * share
    return ages
