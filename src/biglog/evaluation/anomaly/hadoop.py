"""Hadoop applications: normal or faulty, and which fault, by folds of whole applications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import OURS, Embedders, averaged, words
from biglog.metrics.detection import macro_f1
from biglog.tasks.anomaly.features import Features
from biglog.tasks.anomaly.known import Encode, KnownForms

Say = Callable[[str], None]

FOLDS: Final = 5

_Make = Callable[[int], Any]


def _regression(seed: int) -> Any:
    return LogisticRegression(C=10.0, class_weight="balanced", max_iter=3000, random_state=seed)


def _tree(seed: int) -> Any:
    return DecisionTreeClassifier(class_weight="balanced", random_state=seed)


def _forest(seed: int) -> Any:
    return ExtraTreesClassifier(500, class_weight="balanced", random_state=seed)


def _boosting(seed: int) -> Any:
    return GradientBoostingClassifier(random_state=seed)


def _most_frequent(seed: int) -> Any:
    return DummyClassifier(strategy="most_frequent")


SYSTEMS: Final[dict[str, tuple[tuple[str, ...], _Make]]] = {
    "most frequent class": (("counts",), _most_frequent),
    "tree of counts": (("counts",), _tree),
    "forest of counts": (("counts",), _forest),
    "gradient boosting of counts": (("counts",), _boosting),
    "words in place of the encoder": (("embeddings",), _regression),
    f"{OURS}, embeddings": (("embeddings",), _regression),
    f"{OURS}, counts and embeddings": (("counts", "embeddings"), _regression),
    f"{OURS}, forest of counts and embeddings": (("counts", "embeddings"), _forest),
}
"""Features and classifier of each row."""


def by_application(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Cross-validates: an application is in one fold, folds have alike shares of faults.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of folds, encoders and classifiers.
        say: Is told what was done.
    """
    labelled = sets.hadoop_applications(folder)
    found = {}
    for name, (features, make) in SYSTEMS.items():
        runs = []
        for seed in seeds:
            encode = words if name.startswith("words") else embedders.ours("Hadoop", seed)
            runs.append(_scored(labelled, features, make, encode, seed))
        found[name] = averaged(runs)
        say("  Hadoop, " + name + ": " + ", ".join(f"{k} {v['mean']:.3f}" for k, v in found[name].items()))
    told = f"{FOLDS} folds of whole applications, stratified by fault, drawn anew with each seed"
    return {"protocol": told, "set": sets.counted(labelled), "systems": found}


def _scored(
    labelled: Labelled, features: tuple[str, ...], make: _Make, encode: Encode, seed: int
) -> dict[str, float]:
    faults = np.full(len(labelled.labels), "", dtype=object)
    alarms = np.zeros(len(labelled.labels), dtype=np.int64)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(faults)), labelled.kinds):
        taught, tested = labelled.take(train), labelled.take(test)
        known = KnownForms.of(taught.groups, encode)
        view = known.view(taught.groups, encode)
        described = Features(features).fit(view)
        rows, others = described.transform(view), described.transform(known.view(tested.groups, encode))
        faults[test] = make(seed).fit(rows, taught.kinds).predict(others)
        alarms[test] = make(seed).fit(rows, taught.labels).predict(others)
    return {
        "fault_macro_f1": macro_f1(labelled.kinds, faults.astype(str)),
        "binary_macro_f1": macro_f1(labelled.labels, alarms),
    }
