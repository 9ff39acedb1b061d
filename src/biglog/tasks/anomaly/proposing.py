"""Few labels: which groups are worth one, and what the others are worth by them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from biglog.errors import InputError
from biglog.tasks.anomaly.features import Features, Matrix
from biglog.tasks.anomaly.view import Labels, View

FEATURES: Final = ("counts", "severity", "rarity")
"""What groups are compared by."""

UNLABELLED: Final = -1
"""Label of a group that nobody has labelled, as scikit-learn's semi-supervised estimators have it."""


def propose(view: View, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Chooses groups that stand for many: those in the middle of so many clusters.

    Args:
        view: Groups without labels.
        count: How many to choose, at most.
        seed: Of the clustering (k-means: Lloyd, 1982).

    Returns:
        Their positions, ascending.

    Raises:
        InputError: `count` is not positive.
    """
    if count < 1:
        raise InputError(f"{count} groups cannot be proposed", remedy="Give 1 or more")
    rows, first, times = _distinct(Features(FEATURES).fit(view).transform(view))
    clusters = KMeans(min(count, len(rows)), random_state=seed, n_init=4).fit(rows, sample_weight=times)
    distances = clusters.transform(rows)
    distances[clusters.labels_[:, None] != np.arange(distances.shape[1])] = np.inf
    middle = distances.argmin(axis=0)[np.isfinite(distances).any(axis=0)]
    return np.sort(first[middle]).astype(np.int64)


def spread(view: View, labels: Labels) -> NDArray[np.int64]:
    """Gives each group without label that of the labelled group that is nearest.

    Args:
        view: Groups, labelled or not.
        labels: 0, 1, or `UNLABELLED`, shape (groups,).
    """
    known = np.flatnonzero(np.asarray(labels) != UNLABELLED)
    rows = Features(FEATURES).fit(view).transform(view)
    nearest = NearestNeighbors(n_neighbors=1).fit(rows[known]).kneighbors(rows, return_distance=False)[:, 0]
    found = np.asarray(labels)[known][nearest].astype(np.int64)
    found[known] = np.asarray(labels)[known]
    return found


def _distinct(rows: Matrix) -> tuple[Matrix, NDArray[np.intp], NDArray[np.intp]]:
    distinct, first, times = np.unique(rows, axis=0, return_index=True, return_counts=True)
    return distinct, first, times
