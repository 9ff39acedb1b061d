"""Numbers that describe a group of lines, in blocks: counts, embeddings, distances, trouble, rarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.tasks.anomaly.view import State, View

Matrix = NDArray[np.float32]

MOST_EVENTS: Final = 512
"""Of more known events than this, those that the fewest training groups have share one column."""


def _counts(view: View) -> Matrix:
    """log(1 + lines) of each known event, and of all unknown ones."""
    known = view.counts.astype(np.float32).toarray()
    table: Matrix = np.log1p(np.column_stack([known, view.unknown_lines])).astype(np.float32)
    return table


def _embeddings(view: View) -> Matrix:
    """The mean of the lines' embeddings."""
    return view.mean_vectors


def _distances(view: View) -> Matrix:
    """Distance of the farthest line to all known forms, and the share of lines of unknown forms."""
    share = view.unknown_lines / view.groups.sizes
    return np.column_stack([view.farthest, share]).astype(np.float32)


def _severity(view: View) -> Matrix:
    """The worst that a line's words say, the mean, and the worst of the unknown lines."""
    groups = view.groups
    severity = view.severity
    worst = np.maximum.reduceat(severity[groups.codes], groups.offsets[:-1])
    mean = np.add.reduceat(severity[groups.codes], groups.offsets[:-1]) / groups.sizes
    unknown = np.where(groups.codes >= view.known, severity[groups.codes], 0.0)
    return np.column_stack([worst, mean, np.maximum.reduceat(unknown, groups.offsets[:-1])]).astype(
        np.float32
    )


def _rarity(view: View) -> Matrix:
    """How rare forms of its lines are, the rarest and the mean: 0 in every group learnt from, 1 in none."""
    groups, fitted = view.groups, max(view.fitted, 2)
    seen = np.zeros(len(groups.forms))
    seen[: len(view.groups_with)] = view.groups_with
    rare = 1.0 - np.log1p(seen) / np.log1p(fitted)
    worst = np.maximum.reduceat(rare[groups.codes], groups.offsets[:-1])
    mean = np.add.reduceat(rare[groups.codes], groups.offsets[:-1]) / groups.sizes
    return np.column_stack([worst, mean]).astype(np.float32)


def _trouble(view: View) -> Matrix:
    """The worst that a line's words say, and the rarest form: neither depends on how many lines there are."""
    return np.column_stack([_severity(view)[:, 0], _rarity(view)[:, 0]])


BLOCKS: Final[dict[str, Callable[[View], Matrix]]] = {
    "counts": _counts,
    "embeddings": _embeddings,
    "distances": _distances,
    "severity": _severity,
    "rarity": _rarity,
    "trouble": _trouble,
}
"""Blocks of features by name; any of them can be combined."""

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "distances": ("distance of the farthest line to known forms", "share of lines of unknown forms"),
    "severity": ("worst word severity", "mean word severity", "worst word severity of unknown lines"),
    "rarity": ("rarity of the rarest line", "mean rarity of lines"),
}
"""What the columns of blocks are called whose columns are always the same."""


class Column(NamedTuple):
    """A column of features.

    Attributes:
        block: Its block.
        name: What it says; of `counts` the normal form that is counted.
    """

    block: str
    name: str


PORTABLE: Final = ("embeddings", "severity", "rarity", "trouble")
"""Blocks that mean the same in another system, whose events are others."""


class Features:
    """Blocks of features side by side, each column centred, each block of the same weight.

    Args:
        names: Names of `BLOCKS`.

    Raises:
        InputError: A name is not known, or there is none.
    """

    def __init__(self, names: Sequence[str] = ("counts",)) -> None:
        unknown = [name for name in names if name not in BLOCKS]
        if unknown or not names:
            raise InputError(
                f"{unknown[0]!r} is no block of features" if unknown else "no features",
                remedy=f"Choose of {', '.join(BLOCKS)}",
            )
        self.names = tuple(names)
        self._kept: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._mean: dict[str, Matrix] = {}
        self._scale: dict[str, float] = {}

    def fit(self, view: View) -> Self:
        """Learns which columns are kept, and their means and scales."""
        common = np.argsort(-np.diff(view.counts.tocsc().indptr), kind="stable")
        self._kept = np.sort(common[:MOST_EVENTS])
        for name in self.names:
            block = self._block(name, view)
            self._mean[name] = block.mean(axis=0)
            spread = float(np.sqrt(((block - self._mean[name]) ** 2).sum(axis=1).mean()))
            self._scale[name] = spread if spread > 1e-6 else 1.0
        return self

    def transform(self, view: View) -> Matrix:
        """Describes groups.

        Returns:
            float32, shape (groups, columns).
        """
        return np.concatenate(
            [(self._block(name, view) - self._mean[name]) / self._scale[name] for name in self.names], axis=1
        ).astype(np.float32)

    def columns(self, forms: pl.Series) -> list[Column]:
        """Names the columns, in order.

        Args:
            forms: The known forms, shape (known,).
        """
        return [Column(block, name) for block in self.names for name in self._columns(block, forms)]

    def _columns(self, block: str, forms: pl.Series) -> Sequence[str]:
        if block == "counts":
            folded = ["all rarer events"] if len(self._kept) < len(forms) else []
            return [*forms.gather(self._kept).to_list(), *folded, "unknown forms"]
        return COLUMNS.get(block) or [f"{block} {place}" for place in range(len(self._mean[block]))]

    def original(self, rows: Matrix) -> Matrix:
        """Undoes centring and scaling: returns columns as their blocks give them, shape (groups, columns).

        Args:
            rows: As `transform` returns them.
        """
        scales = [np.full(len(self._mean[name]), self._scale[name]) for name in self.names]
        means = [self._mean[name] for name in self.names]
        back: Matrix = (rows * np.concatenate(scales) + np.concatenate(means)).astype(np.float32)
        return back

    def _block(self, name: str, view: View) -> Matrix:
        if name != "counts" or len(self._kept) == view.known:
            return BLOCKS[name](view)
        # Folded before it is dense: there may be many more events than are kept.
        kept = view.counts[:, self._kept].astype(np.float32).toarray()
        rest = view.groups.sizes - view.unknown_lines - kept.sum(axis=1, dtype=np.int64)
        return np.log1p(np.column_stack([kept, rest, view.unknown_lines])).astype(np.float32)

    def state(self) -> State:
        """Returns what is to be saved."""
        arrays = {f"mean.{name}": mean for name, mean in self._mean.items()} | {"kept": self._kept}
        return State({"names": list(self.names), "scale": self._scale}, dict(arrays))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes fitted features of what was saved."""
        features = cls(state.config["names"])
        features._kept, features._scale = state.arrays["kept"], dict(state.config["scale"])
        features._mean = {name: state.arrays[f"mean.{name}"] for name in features.names}
        return features
