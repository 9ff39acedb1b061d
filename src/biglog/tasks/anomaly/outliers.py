"""Outlier detectors of scikit-learn over features of groups: neighbours, density, subspaces, trees, and more.

Each is a row of `OUTLIERS`: what is fitted, and how its answer becomes a score that is higher for odder
groups. Equal rows are fitted once each where weight cannot be given, as log sessions repeat by the thousand
and a point with more than k copies has no density.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.neural_network import MLPRegressor
from sklearn.svm import OneClassSVM

from biglog.tasks.anomaly.features import Features, Matrix
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats

MOST_FITTED: Final = 20_000
"""Distinct groups that a detector is fitted on; of more, a seeded sample."""

_DIGITS: Final = 6
"""Digits of a score; features are scaled to a spread of 1, and are of single precision."""


@dataclass(frozen=True)
class Outlier:
    """One detector.

    Attributes:
        make: Makes the estimator, given the fitted rows and a seed.
        score: Scores rows, higher for odder ones.
        repeats: Whether it is fitted on repeated rows too.
    """

    make: Callable[[Matrix, int], Any]
    score: Callable[[Any, Matrix], Floats]
    repeats: bool = False


def _q_statistic(estimator: Any, rows: Matrix) -> Floats:
    """Squared distance to the subspace (Xu et al., SOSP 2009, after Jackson and Mudholkar 1979)."""
    back = estimator.inverse_transform(estimator.transform(rows))
    squared: Floats = ((rows - back) ** 2).sum(axis=1)
    return squared


def _autoencoder(rows: Matrix, seed: int) -> Any:
    width = rows.shape[1]
    layers = (max(2, min(64, width // 2)), max(2, min(8, width // 4)), max(2, min(64, width // 2)))
    return MLPRegressor(
        hidden_layer_sizes=layers, max_iter=300, early_stopping=len(rows) >= 100, random_state=seed
    )


def _rebuilt(estimator: Any, rows: Matrix) -> Floats:
    squared: Floats = ((rows - estimator.predict(rows).reshape(rows.shape)) ** 2).mean(axis=1)
    return squared


OUTLIERS: Final = {
    "knn": Outlier(
        lambda rows, seed: NearestNeighbors(n_neighbors=1),
        lambda estimator, rows: estimator.kneighbors(rows)[0][:, -1],
    ),
    "lof": Outlier(
        lambda rows, seed: LocalOutlierFactor(n_neighbors=max(1, min(20, len(rows) - 1)), novelty=True),
        lambda estimator, rows: -estimator.score_samples(rows),
    ),
    "pca": Outlier(lambda rows, seed: PCA(n_components=0.95, svd_solver="full"), _q_statistic, repeats=True),
    "isolation_forest": Outlier(
        lambda rows, seed: IsolationForest(random_state=seed),
        lambda estimator, rows: -estimator.score_samples(rows),
        repeats=True,
    ),
    "one_class_svm": Outlier(
        lambda rows, seed: OneClassSVM(nu=0.01, gamma="scale"),
        lambda estimator, rows: -estimator.score_samples(rows),
    ),
    "autoencoder": Outlier(_autoencoder, _rebuilt),
}
"""Detectors by name."""


class OutlierMethod:
    """One of `OUTLIERS` over features of groups.

    Args:
        name: Its name.
        features: Names of blocks of features.
        seed: Of what is drawn.
    """

    supervised: ClassVar[bool] = False
    ordered: ClassVar[bool] = False

    def __init__(self, name: str, features: Sequence[str] = ("counts",), seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self._features = Features(features)
        self._estimator: Any = None

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Fits it on normal groups."""
        rows = self._features.fit(view).transform(view)
        outlier = OUTLIERS[self.name]
        fitted = self._sample(rows if outlier.repeats else np.unique(rows, axis=0))
        if len(fitted) < 2:
            fitted = np.repeat(fitted, 2, axis=0)
        self._estimator = outlier.make(fitted, self.seed)
        if self.name == "autoencoder":
            with warnings.catch_warnings():
                # It is good enough where its steps end.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self._estimator.fit(fitted, fitted)
        else:
            self._estimator.fit(fitted)
        return self

    def _sample(self, rows: Matrix) -> Matrix:
        if len(rows) <= MOST_FITTED:
            return rows
        drawn = np.random.default_rng(self.seed).choice(len(rows), MOST_FITTED, replace=False)
        sample: Matrix = rows[np.sort(drawn)]
        return sample

    def score(self, view: View) -> Floats:
        """Scores groups, shape (groups,)."""
        rows, inverse = np.unique(self._features.transform(view), axis=0, return_inverse=True)
        scores = np.asarray(OUTLIERS[self.name].score(self._estimator, rows), dtype=np.float64)
        # Sums differ in their last digits by what else is scored, and equal groups must not: where most
        # distances are 0, the threshold lies among such digits.
        found: Floats = np.round(scores, _DIGITS)[_flat(inverse)]
        return found

    def state(self) -> State:
        """Returns what is to be saved."""
        features = self._features.state()
        config = {"name": self.name, "seed": self.seed, "features": features.config}
        return State(config, features.arrays, {"estimator": self._estimator})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted method of what was saved."""
        told = state.config["features"]
        method = cls(state.config["name"], told["names"], state.config["seed"])
        method._features = Features.from_state(State(told, state.arrays))
        method._estimator = state.estimators["estimator"]
        return method


def _flat(inverse: NDArray[np.intp]) -> NDArray[np.intp]:
    return inverse.reshape(-1)
