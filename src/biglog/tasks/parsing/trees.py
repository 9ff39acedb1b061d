"""A forest of decision trees as plain arrays: what was learnt travels without pickle, and is asked without
scikit-learn.

All trees of all rows are walked in step, level by level: for the few rows of a round that costs less than
asking tree by tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesClassifier

_ROWS = 2_000
"""Rows that are walked at once: bounds the memory."""


@dataclass(frozen=True)
class Forest:
    """Trees whose answers are averaged.

    Attributes:
        feature: Which feature a node looks at, shape (nodes,).
        threshold: Up to which value its first child is meant, shape (nodes,); infinite in a leaf.
        child: Its first child, shape (nodes,); the second follows it; a leaf is its own.
        value: Probability of yes in each node, shape (nodes,).
        roots: The first node of each tree, shape (trees,).
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    child: NDArray[np.int32]
    value: NDArray[np.float32]
    roots: NDArray[np.int32]

    @classmethod
    def of(cls, fitted: ExtraTreesClassifier) -> Forest:
        """Takes the trees of a fitted classifier of two classes."""
        parts = [_laid_out(estimator.tree_) for estimator in fitted.estimators_]
        sizes = np.array([len(part[0]) for part in parts])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        children = [part[2] + root for part, root in zip(parts, roots, strict=True)]
        return cls(
            np.concatenate([part[0] for part in parts]).astype(np.int16),
            np.concatenate([part[1] for part in parts]).astype(np.float32),
            np.concatenate(children).astype(np.int32),
            np.concatenate([part[3] for part in parts]).astype(np.float32),
            roots.astype(np.int32),
        )

    @classmethod
    def together(cls, forests: Sequence[Forest]) -> Forest:
        """Makes several forests one: the average over all trees."""
        offsets = np.cumsum([0, *(len(forest.feature) for forest in forests[:-1])]).astype(np.int32)
        shifted = zip(forests, offsets, strict=True)
        return cls(
            np.concatenate([forest.feature for forest in forests]),
            np.concatenate([forest.threshold for forest in forests]),
            np.concatenate([forest.child + offset for forest, offset in shifted]),
            np.concatenate([forest.value for forest in forests]),
            np.concatenate([f.roots + offset for f, offset in zip(forests, offsets, strict=True)]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the arrays by name, as `from_arrays` takes them."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Forest:
        """Takes what `arrays` gave; a KeyError says what is missing."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})

    def __call__(self, asked: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Says how likely yes is.

        Args:
            asked: Features, shape (rows, features).

        Returns:
            Probabilities, shape (rows,).
        """
        table = np.asarray(asked, dtype=np.float32)
        parts = [self._walk(table[at : at + _ROWS]) for at in range(0, len(table), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _walk(self, table: NDArray[np.float32]) -> NDArray[np.float64]:
        rows = np.repeat(np.arange(len(table), dtype=np.int32), len(self.roots))
        nodes = np.tile(self.roots, len(table))
        flat, width = table.ravel(), np.int32(table.shape[1])
        base, walking = rows * width, np.arange(len(nodes))
        while len(walking):
            at = nodes[walking]
            further = self.child[at] != at
            walking, at = walking[further], at[further]
            goes_on = flat[base[walking] + self.feature[at]] > self.threshold[at]
            nodes[walking] = self.child[at] + goes_on
        answers = self.value[nodes].reshape(len(table), len(self.roots))
        return answers.mean(axis=1, dtype=np.float64)


def _laid_out(tree: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A tree with the children of a node side by side, level by level: feature, threshold, child, value."""
    order, at = [0], 0
    child = np.zeros(tree.node_count, dtype=np.int64)
    while at < len(order):
        node = order[at]
        if tree.children_left[node] < 0:
            child[at] = at
        else:
            child[at] = len(order)
            order += [int(tree.children_left[node]), int(tree.children_right[node])]
        at += 1
    placed = np.array(order)
    leaf = tree.children_left[placed] < 0
    counts = tree.value[placed, 0, :]
    return (
        np.where(leaf, 0, tree.feature[placed]),
        # Rounded down: a float32 is above the rounded threshold where it is above the exact one.
        np.where(leaf, np.inf, _rounded_down(tree.threshold[placed])),
        child,
        counts[:, 1] / counts.sum(axis=1),
    )


def _rounded_down(exact: NDArray[np.float64]) -> NDArray[np.float32]:
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
