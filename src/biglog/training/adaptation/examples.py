"""Rows as examples: equal ones once, so that each is computed once and counts as often as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.tasks.groups import Floats, Groups, Ints

Spans = list[tuple[int, int]]
"""First offset and offset behind the last character of each word of a normal form."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Distinct examples, and the rows that they stand for.

    Attributes:
        groups: Lines of each example; a line by itself is a group of one. Its forms are distinct.
        labels: Labels of each example, as numbers: one, or of words one each; none for lines that have none.
        rows: Example of each row, in the order of the table, shape (rows,).
        classes: What the numbers mean.
        words: Words of each form, where words have labels.
    """

    groups: Groups
    labels: list[NDArray[np.int64]]
    rows: Ints
    classes: tuple[str, ...]
    words: list[Spans] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def counts(self) -> Ints:
        """Rows of each example, shape (examples,)."""
        return np.bincount(self.rows, minlength=len(self))

    @property
    def lines(self) -> int:
        """Lines of all rows."""
        return int(self.groups.sizes[self.rows].sum())

    def codes(self, example: int) -> NDArray[np.int32]:
        """Form of each line of an example."""
        return self.groups.sequence(example)

    def once(self) -> Examples:
        """Returns them with one row each."""
        return replace(self, rows=np.arange(len(self)))

    def class_counts(self, weights: Floats | None = None) -> Floats:
        """How many labels of the rows are of each class, shape (classes,).

        Args:
            weights: Of each example, in place of how many rows it has.
        """
        found = np.zeros(len(self.classes))
        for labels, weight in zip(self.labels, self.counts if weights is None else weights, strict=True):
            np.add.at(found, labels, weight)
        return found


def single(forms: pl.Series) -> Groups:
    """Returns lines as groups of one.

    Args:
        forms: Normal forms, dtype String, shape (lines,).
    """
    once = forms.unique(maintain_order=True)
    codes = forms.to_frame("form").join(
        once.to_frame("form").with_row_index("code"), on="form", how="left", maintain_order="left"
    )["code"]
    ids = pl.int_range(len(forms), eager=True).cast(pl.String)
    return Groups(once, codes.to_numpy().astype(np.int32), np.arange(len(forms) + 1), ids)


def plain(forms: pl.Series) -> Examples:
    """Returns lines without labels, each form once.

    Args:
        forms: As of `single`.
    """
    groups = single(forms)
    first = single(groups.forms)
    return Examples(first, [np.zeros(0, np.int64)] * len(first), np.arange(len(first)), ())


def distinct(
    groups: Groups,
    labels: Sequence[int] | Sequence[tuple[int, ...]],
    classes: tuple[str, ...],
    words: list[Spans] | None = None,
) -> Examples:
    """Returns equal groups with equal labels once.

    Args:
        groups: One a row.
        labels: One a row, or one a word of each row, as numbers.
        classes: What the numbers mean.
        words: Words of each form, where words have labels.
    """
    _, place, _ = groups.distinct()
    numbers: dict[int | tuple[int, ...], int] = {}
    told = np.array([numbers.setdefault(label, len(numbers)) for label in labels])
    _, first, rows = np.unique(place * len(numbers) + told, return_index=True, return_inverse=True)
    # In the order in which they first come, whatever they are.
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    kept = first[order]
    answers = [np.atleast_1d(np.array(labels[row], dtype=np.int64)) for row in kept.tolist()]
    return Examples(groups.take(kept), answers, rank[rows.reshape(-1)], classes, words)
