"""Groups of lines (sessions, windows) as numbers: a normal form has a code, a group is a run of codes.

Everything above works on this: what depends on a form is computed once a form, what depends on a group once
a distinct sequence, and the rest is a lookup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.errors import InputError
from biglog.logs.grouping import gather
from biglog.logs.masking import normal_forms

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]

FORMS_COLUMN: Final = "normal_forms"
CONTENTS_COLUMN: Final = "contents"
_HASH_BASES: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of lines.

    Attributes:
        forms: Distinct normal forms, dtype String, shape (forms,).
        codes: Index into `forms` of each line, groups one after the other, shape (lines,).
        offsets: Where each group begins in `codes`, and the end, shape (groups + 1,).
        ids: Identifier of each group, dtype String, shape (groups,).
    """

    forms: pl.Series
    codes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    ids: pl.Series

    def __post_init__(self) -> None:
        sizes = np.diff(self.offsets)
        if not len(sizes):
            raise InputError("there are no groups", remedy="Give at least one group of lines")
        if (sizes <= 0).any():
            where = int(np.flatnonzero(sizes <= 0)[0])
            raise InputError(
                f"group {self.ids[where]!r} (number {where}) has no lines",
                remedy="Leave groups without lines out: nothing can be said of them",
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, groups: Any) -> Groups:
        """Takes groups in any of the forms that a user has them in.

        Args:
            groups: Groups; or a list of lists of contents; or a Polars frame, a `datasets.Dataset` or an
                Arrow table with a list column `normal_forms` or `contents`, and perhaps `group_id`.

        Raises:
            InputError: It is none of these, there is no group, or a group has no lines.
        """
        if isinstance(groups, cls):
            return groups
        frame = _frame(groups)
        if frame is not None:
            return cls._of_frame(frame)
        if isinstance(groups, str) or not isinstance(groups, Iterable):
            raise InputError(
                f"groups of lines are needed, not a {type(groups).__name__}",
                remedy="Give a list of lists of contents, or a table with a column normal_forms or contents",
            )
        return cls.of_contents(list(groups))

    @classmethod
    def of_contents(cls, groups: Sequence[Sequence[str]], ids: Sequence[str] | None = None) -> Groups:
        """Makes groups of lists of contents.

        Args:
            groups: Contents of each group.
            ids: Identifiers; None numbers them from 0.
        """
        contents, sizes = _lines(groups)
        return cls._of_lines(normal_forms(contents), sizes, ids)

    @classmethod
    def of_forms(cls, groups: Sequence[Sequence[str]], ids: Sequence[str] | None = None) -> Groups:
        """Makes groups of lists of normal forms (or of anything else that identifies an event).

        Args:
            groups: Normal forms of each group.
            ids: Identifiers; None numbers them from 0.
        """
        return cls._of_lines(*_lines(groups), ids)

    @classmethod
    def of_rows(cls, forms: pl.Series, table: pl.DataFrame) -> Groups:
        """Makes groups of lines in order.

        Args:
            forms: Normal form of each line, dtype String, shape (n,).
            table: A table of groups, as `biglog.logs.grouping` makes them.
        """
        lists = gather(forms.rename("form").to_frame(), table, ["form"])
        sizes = lists["form"].list.len()
        return cls._of_lines(lists["form"].explode(empty_as_null=False), sizes, lists["group_id"])

    @classmethod
    def _of_frame(cls, frame: pl.DataFrame) -> Groups:
        column = next((name for name in (FORMS_COLUMN, CONTENTS_COLUMN) if name in frame.columns), None)
        if column is None or not isinstance(frame[column].dtype, pl.List):
            raise InputError(
                f"the table has no list column {FORMS_COLUMN!r} or {CONTENTS_COLUMN!r}",
                remedy=f"It has {', '.join(frame.columns)}",
            )
        lists = frame[column].fill_null([])
        lines = lists.explode(empty_as_null=False).cast(pl.String)
        if column == CONTENTS_COLUMN:
            lines = normal_forms(lines)
        ids = frame["group_id"].cast(pl.String) if "group_id" in frame.columns else None
        return cls._of_lines(lines, lists.list.len(), ids)

    @classmethod
    def _of_lines(
        cls, lines: pl.Series, sizes: Sequence[int] | pl.Series, ids: Sequence[str] | pl.Series | None
    ) -> Groups:
        coded = lines.fill_null("").alias("form").to_frame()
        distinct = coded.unique(maintain_order=True).with_row_index("code")
        codes = coded.join(distinct, on="form", how="left", maintain_order="left")["code"]
        offsets = np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64), dtype=np.int64)])
        names = pl.Series(map(str, range(len(sizes))), dtype=pl.String) if ids is None else pl.Series(ids)
        return cls(
            distinct["form"],
            codes.to_numpy().astype(np.int32),
            offsets,
            names.cast(pl.String).rename("group_id"),
        )

    # -- what is derived --

    @cached_property
    def sizes(self) -> Ints:
        """Lines of each group, shape (groups,)."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> Ints:
        """Group of each line, shape (lines,)."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def counts(self) -> csr_matrix:
        """Lines of each group and form, int64, shape (groups, forms), indices sorted."""
        ones = np.ones(len(self.codes), dtype=np.int64)
        # A copy: adding up duplicates happens in place.
        shape = (len(self), len(self.forms))
        table = csr_matrix((ones, self.codes.copy(), self.offsets.copy()), shape=shape)
        table.sum_duplicates()
        return table

    def sequence(self, group: int) -> NDArray[np.int32]:
        """Returns the codes of a group's lines, in order."""
        return self.codes[self.offsets[group] : self.offsets[group + 1]]

    def identities(self) -> pl.Series:
        """Returns 12 hex digits a group, which its normal forms alone decide, shape (groups,)."""
        forms = [form.encode() for form in self.forms.to_list()]
        digests = [
            hashlib.sha256(b"\n".join(map(forms.__getitem__, self.sequence(group).tolist()))).hexdigest()[:12]
            for group in range(len(self))
        ]
        return pl.Series("identity", digests, dtype=pl.String)

    def take(self, rows: Ints) -> Groups:
        """Returns some of the groups, with the same forms.

        Args:
            rows: Their positions, in the order wanted.
        """
        sizes = self.sizes[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        codes = self.codes[np.repeat(self.offsets[:-1][rows], sizes) + within]
        return Groups(self.forms, codes, offsets, self.ids.gather(rows))

    def recoded(self, forms: pl.Series, codes: Ints) -> Groups:
        """Returns the same groups with other forms.

        Args:
            forms: The other forms.
            codes: For each form of these groups its index in the others.
        """
        return Groups(forms, np.asarray(codes, dtype=np.int32)[self.codes], self.offsets, self.ids)

    def distinct(self) -> tuple[Groups, Ints, Ints]:
        """Keeps one of the groups with equal sequences.

        Returns:
            The distinct groups in order of first appearance, for each group its distinct one, and for each
            distinct one how many groups have it.
        """
        _, first, inverse, counts = np.unique(
            self._hashes(), return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return self.take(first[order]), place[inverse], counts[order]

    def _hashes(self) -> NDArray[Any]:
        """Two hashes a group, together 128 bits: equal sequences have equal ones."""
        sizes, within = self.sizes, np.arange(len(self.codes)) - np.repeat(self.offsets[:-1], self.sizes)
        longest = int(sizes.max())
        found = np.empty((len(self), 2), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for column, base in enumerate(_HASH_BASES):
                powers = np.multiply.accumulate(np.full(longest, base, dtype=np.uint64))
                terms = (self.codes.astype(np.uint64) + np.uint64(1)) * powers[within]
                # Polynomials modulo a power of two are the same for some long sequences, whatever the base.
                terms = (terms ^ (terms >> np.uint64(32))) * base
                found[:, column] = np.add.reduceat(terms, self.offsets[:-1])
        return found.view([("a", np.uint64), ("b", np.uint64)])[:, 0]


def _lines(groups: Sequence[Sequence[str]]) -> tuple[pl.Series, list[int]]:
    """The lines of groups one after the other, and how many each has."""
    for place, group in enumerate(groups):
        if isinstance(group, str) or not isinstance(group, Iterable):
            raise InputError(
                f"a group is a list of contents, not a {type(group).__name__} (number {place})",
                remedy="Put its contents into a list",
            )
    lists = [list(group) for group in groups]
    try:
        lines = pl.Series([line for group in lists for line in group], dtype=pl.String)
    except TypeError as error:
        raise InputError("a line of a group is no text", remedy="Give the contents of lines") from error
    return lines, [len(group) for group in lists]


def _frame(groups: Any) -> pl.DataFrame | None:
    """A table as a Polars frame; None if it is no table."""
    if isinstance(groups, pl.DataFrame):
        return groups
    if type(groups).__module__.startswith("datasets."):
        if type(groups).__name__ != "Dataset":
            raise InputError(
                f"groups of lines are needed, not a {type(groups).__name__}", remedy="Take one of its splits"
            )
        return pl.DataFrame(groups.with_format("arrow")[:])
    if type(groups).__module__.startswith("pyarrow"):
        return pl.DataFrame(groups)
    return None
