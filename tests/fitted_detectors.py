"""Detectors of every method, fitted once, for tests of what a user does with them."""

import numpy as np
from anomaly_samples import EVENTS, ODD, UNRELATED, sessions
from checkpoints import tiny_encoder

from biglog import AnomalyDetector
from biglog.tasks.anomaly.methods import METHODS, SEQUENCES, SUPERVISED
from biglog.tasks.groups import Groups

TRAIN, TESTED = Groups.of_forms(sessions(60, 0)), Groups.of_forms(sessions(20, 1) + ODD)
BOTH = Groups.of_forms(sessions(60, 0) + ODD * 4)
LABELS = np.array([0] * 60 + [1] * 12)
NAMES = ("auto", *(name for name in METHODS if name not in SEQUENCES))
SEEN_ONCE = sessions(1, 1)[0]
NOVEL = [EVENTS["22"], EVENTS["5"], UNRELATED]

_fitted = {}


def fit(name="auto", **settings):
    detector = AnomalyDetector(tiny_encoder(), name, **settings)
    return detector.fit(BOTH, LABELS) if name in SUPERVISED else detector.fit(TRAIN)


def fitted(name="auto"):
    """Each detector fitted once: nothing changes it."""
    if name not in _fitted:
        _fitted[name] = fit(name)
    return _fitted[name]
