"""Rules that hardly need training: new events, new sets of events, counts out of range or of proportion.

They are the baselines that every learnt detector has to beat, and often does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats

_MOST_NUMBERS = 2**24
"""Of a table that is made to be looked at once."""


class NewEvent:
    """A group is as odd as the line in it that is farthest from all known forms; 0 if all are known."""

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = False

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Nothing is learnt: the view knows the forms."""
        return self

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,); a new form that is embedded like a known one still is above 0."""
        unknown = view.unknown_lines > 0
        return np.where(unknown, np.maximum(view.farthest, 1e-6), 0.0)

    def state(self) -> State:
        """Returns what is to be saved."""
        return State()

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        return cls()


class EventSet:
    """A group is as odd as its set of events differs from the nearest known one: 0 if known, at most 1.

    The distance is Jaccard's: events that one of both has, of all that they have. New forms belong to no
    known set.
    """

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = False

    def __init__(self) -> None:
        self._sets = csr_matrix((0, 0), dtype=np.float32)

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Remembers the sets of events of normal groups."""
        self._sets = _distinct_rows(_presence(view.counts))
        return self

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,)."""
        present = _presence(view.counts)
        new = _new_forms(view)
        rows = _with_column(present, new)
        distinct, inverse = _unique(rows)
        scores: Floats = self._distances(rows[distinct])[inverse]
        return scores

    def _distances(self, rows: csr_matrix) -> Floats:
        known = _with_column(self._sets, np.zeros(self._sets.shape[0]))
        known_sizes = np.asarray(known.sum(axis=1)).ravel()
        sizes = np.asarray(rows.sum(axis=1)).ravel()
        found = np.empty(rows.shape[0])
        for part in _parts(rows.shape[0], known.shape[0]):
            # New forms are in the last column, where no known set has any: they count to the union alone.
            both = (rows[part] @ known.T).toarray()
            union = sizes[part, None] + known_sizes[None, :] - both
            found[part] = (1.0 - both / np.maximum(union, 1.0)).min(axis=1)
        return found

    def state(self) -> State:
        """Returns what is to be saved."""
        return State(
            {"width": self._sets.shape[1]},
            {"indices": self._sets.indices, "indptr": self._sets.indptr},
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls()
        method._sets = _of_ones(state.arrays["indices"], state.arrays["indptr"], state.config["width"])
        return method


class CountRange:
    """How far a group's counts of events lie outside of what normal groups had, in orders of e, summed up.

    An event that all normal groups had is missed below its least count; a new form's least and most are 0.
    """

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = False

    def __init__(self) -> None:
        self._least, self._most = np.zeros(0), np.zeros(0)

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns the least and the most lines of each event in a group."""
        self._least = view.counts.min(axis=0).toarray().ravel().astype(float)
        self._most = view.counts.max(axis=0).toarray().ravel().astype(float)
        return self

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,); 0 within all ranges."""
        counts = view.counts.tocoo()
        grown = np.log1p(counts.data) - np.log1p(self._most[counts.col])
        over = np.bincount(counts.row, np.maximum(grown, 0.0), minlength=len(view))
        # What is missed: every event with a least count, less those that are there in full.
        needed = np.log1p(self._least)
        there = np.minimum(np.log1p(counts.data), needed[counts.col])
        under = needed.sum() - np.bincount(counts.row, there, minlength=len(view))
        under = np.where(under > 1e-9, under, 0.0)
        return np.asarray(over + under + np.log1p(view.unknown_lines), dtype=np.float64)

    def state(self) -> State:
        """Returns what is to be saved."""
        return State({}, {"least": self._least, "most": self._most})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls()
        method._least, method._most = state.arrays["least"], state.arrays["most"]
        return method


class Invariants:
    """Sets of events as `EventSet`, and pairs of events that always come equally often where both come.

    Such pairs are the simplest of the invariants of Lou et al., "Mining Invariants from Console Logs for
    System Problem Detection" (USENIX ATC 2010). A pair that is not kept is as odd as the share of such pairs
    in the group that is not.

    Args:
        least_groups: Groups with both events from which on a pair is believed.
        kept: Share of them in which it holds.
    """

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = False

    def __init__(self, least_groups: int = 5, kept: float = 0.999) -> None:
        self.least_groups, self.kept = least_groups, kept
        self._events = EventSet()
        self._pairs: NDArray[np.int64] = np.zeros((0, 2), dtype=np.int64)

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Learns sets and pairs."""
        self._events.fit(view)
        counts = view.counts
        present = _presence(counts)
        together = (present.T @ present).toarray()
        equal = np.zeros_like(together)
        for same in _by_count(counts):
            pairs = (same.T @ same).tocoo()
            equal[pairs.row, pairs.col] += pairs.data
        believed = (together >= self.least_groups) & (equal >= self.kept * together)
        self._pairs = np.argwhere(np.triu(believed, 1)).astype(np.int64)
        return self

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,)."""
        if not len(self._pairs):
            return self._events.score(view)
        rows, inverse = _unique(view.counts)
        parts = _parts(len(rows), len(self._pairs))
        broken = np.concatenate([self._broken(view.counts[rows[part]].toarray()) for part in parts])
        return np.maximum(self._events.score(view), broken[inverse])

    def _broken(self, counts: NDArray[np.int64]) -> Floats:
        """Share of the pairs in each group that are not kept."""
        one, other = counts[:, self._pairs[:, 0]], counts[:, self._pairs[:, 1]]
        both = (one > 0) & (other > 0)
        share: Floats = (both & (one != other)).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
        return share

    def state(self) -> State:
        """Returns what is to be saved."""
        state = self._events.state()
        config = state.config | {"least_groups": self.least_groups, "kept": self.kept}
        return State(config, state.arrays | {"pairs": self._pairs})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        method = cls(state.config["least_groups"], state.config["kept"])
        method._events = EventSet.from_state(state)
        method._pairs = state.arrays["pairs"]
        return method


def _presence(counts: csr_matrix) -> csr_matrix:
    return csr_matrix((np.ones(counts.nnz, dtype=np.float32), counts.indices, counts.indptr), counts.shape)


def _parts(rows: int, width: int) -> list[slice]:
    """Rows in parts, so that a table of a part and so many columns is not too large."""
    size = max(1, _MOST_NUMBERS // max(1, width))
    return [slice(start, start + size) for start in range(0, rows, size)]


def _by_count(counts: csr_matrix) -> Iterator[csr_matrix]:
    """For each count that there is, where it is: 1 there, of the shape of the table."""
    table = counts.tocoo()
    order = np.argsort(table.data, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(table.data[order])) + 1):
        ones = np.ones(len(part), dtype=np.float32)
        yield csr_matrix((ones, (table.row[part], table.col[part])), shape=counts.shape)


def _new_forms(view: View) -> NDArray[np.float32]:
    """How many distinct new forms each group has, shape (groups,)."""
    new = view.groups.counts[:, view.known :]
    return np.diff(new.indptr).astype(np.float32)


def _with_column(rows: csr_matrix, column: NDArray[Any]) -> csr_matrix:
    from scipy.sparse import hstack

    return hstack([rows, csr_matrix(column.astype(np.float32)[:, None])], format="csr")


def _of_ones(indices: NDArray[Any], indptr: NDArray[Any], width: int) -> csr_matrix:
    ones = np.ones(len(indices), dtype=np.float32)
    return csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, width))


def _unique(rows: csr_matrix) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first of the rows that are equal, and for each row which of them it equals."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    inverse = np.empty(rows.shape[0], dtype=np.intp)
    for row, (start, end) in enumerate(zip(rows.indptr, rows.indptr[1:], strict=False)):
        key = rows.indices[start:end].tobytes() + rows.data[start:end].tobytes()
        place = seen.setdefault(key, len(seen))
        if place == len(first):
            first.append(row)
        inverse[row] = place
    return np.array(first, dtype=np.intp), inverse


def _distinct_rows(rows: csr_matrix) -> csr_matrix:
    return rows[_unique(rows)[0]]
