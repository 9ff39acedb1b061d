"""Predictors of failure, in scikit-learn's conventions: trivial ones, and those that read all of a history.

A method is a row of `METHODS`: blocks of features and an estimator. Labels may be anything that can be told
apart, two classes or more. All classes weigh the same, however rare they are; so a probability says how much
a history looks like those before failures, not how often it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from biglog.errors import InputError
from biglog.tasks.anomaly.view import State
from biglog.tasks.failure.features import Features
from biglog.tasks.failure.histories import Histories
from biglog.tasks.failure.temporal import Temporal
from biglog.tasks.groups import Floats

COMPONENTS: Final = 8
"""Principal components of the method `reduced`."""


def _base_rate(seed: int, shape: tuple[int, int]) -> Any:
    return DummyClassifier(strategy="prior")


def _linear(seed: int, shape: tuple[int, int]) -> Any:
    return _logistic(1.0)


def _shrunk(seed: int, shape: tuple[int, int]) -> Any:
    """Weights held back strongly: where failures are few, most of what is learnt is chance."""
    return _logistic(0.001)


def _logistic(strength: float) -> Any:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    )


def _reduced(seed: int, shape: tuple[int, int]) -> Any:
    """A few principal components: what histories differ in most, learnt from all of them."""
    return make_pipeline(
        StandardScaler(),
        PCA(min(COMPONENTS, *shape), svd_solver="full"),
        LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000),
    )


def _steep(seed: int, shape: tuple[int, int]) -> Any:
    """For one column, or columns of which one is set: nothing needs to be held back."""
    return LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)


def _words(seed: int, shape: tuple[int, int]) -> Any:
    return make_pipeline(
        TfidfTransformer(), LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    )


def _boosting(seed: int, shape: tuple[int, int]) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.05,
        max_leaf_nodes=6,
        min_samples_leaf=10,
        max_features=0.3,
        max_bins=32,
        early_stopping=False,
        class_weight="balanced",
        random_state=seed,
    )


def _trees(seed: int, shape: tuple[int, int]) -> Any:
    return ExtraTreesClassifier(
        100, min_samples_leaf=2, class_weight="balanced_subsample", bootstrap=True, random_state=seed
    )


@dataclass(frozen=True)
class Recipe:
    """A method.

    Attributes:
        features: Blocks that it reads unless others are asked for.
        estimator: Makes it, of a seed and the shape of the columns; None is the temporal model.
    """

    features: tuple[str, ...]
    estimator: Callable[[int, tuple[int, int]], Any] | None


METHODS: Final = {
    "base_rate": Recipe(("warnings",), _base_rate),
    "warning_rate": Recipe(("warnings",), _steep),
    "last_event": Recipe(("last",), _steep),
    "since_failure": Recipe(("since_failure",), _steep),
    "tfidf": Recipe(("text",), _words),
    "linear": Recipe(("counts", "distinct", "severity"), _linear),
    "shrunk": Recipe(("counts", "distinct", "severity", "since_failure"), _shrunk),
    "reduced": Recipe(("distinct", "severity", "since_failure"), _reduced),
    "trees": Recipe(("counts", "severity", "timing"), _trees),
    "boosting": Recipe(("counts", "severity", "timing", "since_failure"), _boosting),
    "temporal": Recipe((), None),
}
"""Methods by name; the first four are trivial."""


class Predictor:
    """A method and the features that it reads.

    Args:
        method: One of `METHODS`.
        features: Blocks of `biglog.tasks.failure.features.BLOCKS`; None takes the method's own. The temporal
            model reads embeddings and counts over time, and no blocks.
        seed: Of what is drawn.

    Attributes:
        classes_: Labels, in order, shape (classes,).
    """

    def __init__(
        self, method: str = "boosting", features: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        if method not in METHODS:
            raise InputError(f"there is no method {method!r}", remedy=f"Choose of {', '.join(METHODS)}")
        recipe = METHODS[method]
        if recipe.estimator is None and features:
            raise InputError(f"{method} takes no features", remedy="Leave them out, or take another method")
        self.method = method
        self.features = tuple(features or recipe.features)
        self.seed = seed
        self.classes_: NDArray[Any] = np.zeros(0)
        self._features = Features(self.features) if self.features else None
        self._make = recipe.estimator
        self._estimator: Any = None
        self._temporal = Temporal(seed=seed) if recipe.estimator is None else None

    def fit(self, histories: Histories, labels: Sequence[Any] | NDArray[Any]) -> Self:
        """Learns from histories.

        Args:
            histories: Those of the training.
            labels: One each, shape (histories,).

        Raises:
            InputError: Labels are fewer or more than histories, or of one class only.
        """
        told = np.asarray(labels)
        if len(told) != len(histories):
            raise InputError(
                f"{len(told):,} labels for {len(histories):,} histories", remedy="Give one label a history"
            )
        self.classes_ = np.unique(told)
        if len(self.classes_) < 2:
            raise InputError(
                f"all {len(told):,} histories have the label {told[0]}",
                remedy="Give histories before failures and others: a longer log, or a longer horizon",
            )
        if self._temporal is not None:
            self._temporal.fit(histories, np.searchsorted(self.classes_, told))
        elif self._features is not None and self._make is not None:
            columns = self._features.fit(histories).transform(histories)
            self._estimator = self._make(self.seed, columns.shape).fit(columns, told)
        return self

    def predict_proba(self, histories: Histories) -> Floats:
        """Returns the probability of each class, shape (histories, classes)."""
        if self._temporal is not None:
            return self._temporal.predict_proba(histories)
        assert self._features is not None
        assert self._estimator is not None
        return np.asarray(self._estimator.predict_proba(self._features.transform(histories)))

    def predict(self, histories: Histories) -> NDArray[Any]:
        """Returns the likeliest class of each history, shape (histories,)."""
        return self.classes_[self.predict_proba(histories).argmax(axis=1)]

    def score(self, histories: Histories, labels: Sequence[Any] | NDArray[Any]) -> float:
        """Returns Matthews' correlation of what is predicted: accuracy says little of rare classes."""
        return float(matthews_corrcoef(np.asarray(labels), self.predict(histories)))

    # -- saving --

    def state(self) -> State:
        """Returns what is to be saved."""
        config: dict[str, Any] = {
            "method": self.method,
            "features": list(self.features),
            "seed": self.seed,
            "classes": self.classes_.tolist(),
        }
        if self._temporal is not None:
            inner = self._temporal.state()
            return State(config | inner.config, inner.arrays)
        assert self._features is not None
        config |= {"forms": self._features.forms, "words": self._features.words}
        return State(config, {"vectors": self._features.vectors}, {"estimator": self._estimator})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Makes a fitted predictor of what was saved.

        Raises:
            KeyError: Something is missing.
        """
        config = state.config
        made = cls(config["method"], config["features"] or None, config["seed"])
        made.classes_ = np.asarray(config["classes"])
        if made._temporal is not None:
            made._temporal = Temporal.from_state(state)
            return made
        assert made._features is not None
        made._features.forms, made._features.words = list(config["forms"]), list(config["words"])
        made._features.vectors = state.arrays["vectors"]
        made._estimator = state.estimators["estimator"]
        return made
