"""Classifiers of scikit-learn over features of groups, where groups are labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from biglog.errors import InputError
from biglog.tasks.anomaly.features import Features
from biglog.tasks.anomaly.view import Labels, State, View
from biglog.tasks.groups import Floats

CLASSIFIERS: Final[dict[str, Callable[[int, int], Any]]] = {
    "logistic_regression": lambda rare, seed: LogisticRegression(
        C=10.0, class_weight="balanced", max_iter=2000, random_state=seed
    ),
    "svm": lambda rare, seed: _svm(rare, seed),
    "tree": lambda rare, seed: DecisionTreeClassifier(class_weight="balanced", random_state=seed),
    "forest": lambda rare, seed: ExtraTreesClassifier(
        300, class_weight="balanced", random_state=seed, n_jobs=1
    ),
    "gradient_boosting": lambda rare, seed: HistGradientBoostingClassifier(
        class_weight="balanced", min_samples_leaf=5, random_state=seed
    ),
}
"""Classifiers by name, made for so many groups of the rarer class and a seed."""


def _svm(rare: int, seed: int) -> Any:
    """A linear SVM, its margin turned into a probability where there are groups enough to do so."""
    machine = LinearSVC(class_weight="balanced", random_state=seed)
    folds = min(5, rare)
    return CalibratedClassifierCV(machine, cv=folds) if folds >= 2 else LogisticRegression(C=10.0)


class ClassifierMethod:
    """One of `CLASSIFIERS` over features of groups.

    Args:
        name: Its name.
        features: Names of blocks of features.
        seed: Of what is drawn.
    """

    supervised: ClassVar[bool] = True
    ordered: ClassVar[bool] = False

    def __init__(self, name: str, features: Sequence[str] = ("counts", "embeddings"), seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self._features = Features(features)
        self._estimator: Any = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the blocks of features."""
        return self._features.names

    def fit(self, view: View, labels: Labels | None = None) -> Self:
        """Fits it on labelled groups.

        Raises:
            InputError: There are no labels, or they are of one class.
        """
        truth = two_classes(labels, len(view))
        rows = self._features.fit(view).transform(view)
        rare = int(min(truth.sum(), len(truth) - truth.sum()))
        self._estimator = CLASSIFIERS[self.name](rare, self.seed).fit(rows, truth)
        return self

    def score(self, view: View) -> Floats:
        """Probability of being anomalous, shape (groups,)."""
        rows, inverse = np.unique(self._features.transform(view), axis=0, return_inverse=True)
        scores: Floats = np.asarray(self._estimator.predict_proba(rows)[:, 1], dtype=np.float64)
        return scores[inverse.reshape(-1)]

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


def two_classes(labels: Labels | None, groups: int) -> Labels:
    """Checks labels for learning: one a group, 0 and 1, both there.

    Args:
        labels: As a caller gave them.
        groups: How many there should be.

    Raises:
        InputError: They are not.
    """
    if labels is None:
        raise InputError("labels are needed", remedy="Give one label a group: 0 normal, 1 anomalous")
    told = np.asarray(labels)
    if told.shape != (groups,):
        raise InputError(f"{told.size} labels for {groups} groups", remedy="Give one label a group")
    # Before they are integers: 0.9 is no label, and would be 0.
    if not np.isin(told, (0, 1)).all():
        raise InputError(
            f"labels are {np.unique(told)[:5].tolist()}, not 0 and 1", remedy="0 is normal, 1 is anomalous"
        )
    truth = told.astype(np.int64)
    values = np.unique(truth)
    if len(values) < 2:
        kind = "anomalous" if values[0] else "normal"
        raise InputError(
            f"all {groups} groups are labelled {kind}",
            remedy="Give both kinds, or take an unsupervised method",
        )
    return truth
