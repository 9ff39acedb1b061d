"""What is compared: a way to embed normal forms, a detector on it, and its scores on labelled groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import HashingVectorizer

from biglog.evaluation.anomaly.sets import Labelled, Labels
from biglog.evaluation.probes.baselines import MiniLM, in_words
from biglog.metrics.detection import detection_score
from biglog.tasks.anomaly.detector import Detector, Settings
from biglog.tasks.anomaly.known import Encode, Vectors
from biglog.tasks.groups import Groups

NEVER: Final = 2.0
"""A `match_threshold` that nothing reaches: forms are known by identity alone."""

OURS: Final = "BigLog"
_BUCKETS: Final = 2**12


@dataclass(frozen=True)
class Embedders:
    """Ways to embed normal forms.

    Attributes:
        ours: Gives, for a domain that is tested and a seed, an encoder that has not seen that domain.
        cache: Keeps vectors of MiniLM; None keeps none.
    """

    ours: Callable[[str, int], Encode]
    cache: Path | None = None

    def minilm(self) -> Encode:
        """Returns MiniLM-L6, reading mask tokens as words."""
        model = _minilm(self.cache)
        return lambda forms: np.asarray(in_words(model, forms.to_list()), np.float32)


@cache
def _minilm(folder: Path | None) -> MiniLM:
    return MiniLM(folder)


def words(forms: pl.Series) -> Vectors:
    """Embeds forms by their words alone, hashed; an `Encode`."""
    hashed = HashingVectorizer(token_pattern=r"[A-Za-z]+|\[[A-Z]+\]", n_features=_BUCKETS)
    return np.asarray(hashed.transform(forms.to_list()).toarray(), np.float32)


def characters(forms: pl.Series) -> Vectors:
    """Embeds forms by character 3- to 5-grams, hashed; an `Encode`."""
    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=_BUCKETS)
    return np.asarray(hashed.transform(forms.to_list()).toarray(), np.float32)


@dataclass(frozen=True)
class System:
    """One row of a table.

    Attributes:
        name: What it is called.
        settings: Of its detector.
        seeded: Whether it differs by seed: that of the encoder, and of what is drawn.
    """

    name: str
    settings: Settings
    seeded: bool = False


def _rule(name: str, method: str, **more: Any) -> System:
    return System(name, Settings(method, match_threshold=NEVER, **more))


TRIVIAL: Final = (
    _rule("new event", "new_event"),
    _rule("event set", "event_set"),
    _rule("count range", "count_range"),
    _rule("nearest neighbour of counts", "knn"),
)
"""Rules without an encoder."""

CLASSICAL: Final = (
    _rule("LOF of counts", "lof"),
    _rule("PCA of counts", "pca"),
    System("isolation forest of counts", Settings("isolation_forest", match_threshold=NEVER), True),
    _rule("one-class SVM of counts", "one_class_svm"),
    System("autoencoder of counts", Settings("autoencoder", match_threshold=NEVER), True),
)
"""Detectors of scikit-learn on counts of events."""

LEARNT: Final = (
    # Minutes each: one seed.
    System("DeepLog (LSTM on identities)", Settings("deeplog", match_threshold=NEVER)),
    System(f"{OURS}, next event", Settings("next_event")),
    System(f"{OURS}, masked line", Settings("masked_line")),
    System(f"{OURS}, neighbour of embeddings", Settings("knn", ("embeddings",)), True),
    System(f"{OURS}, novelty", Settings("novelty"), True),
    System(OURS, Settings("auto"), True),
)
"""Methods that learn, and those on our encoder."""


def fitted(
    system: System, seed: int, groups: Groups, encode: Encode, labels: Labels | None = None
) -> Detector:
    """Fits a system's detector.

    Args:
        system: The system.
        seed: Of what is drawn.
        groups: Groups to learn from, in order.
        encode: Embeds normal forms.
        labels: Their labels, for supervised methods.
    """
    return Detector.fit(replace(system.settings, seed=seed), groups, encode, labels)


def scored(detector: Detector, tested: Labelled, encode: Encode) -> dict[str, Any]:
    """Scores a detector on labelled groups, as they come and distinct ones once.

    Args:
        detector: The detector.
        tested: Labelled groups.
        encode: Embeds normal forms.

    Returns:
        What `detection_score` tells, and `method`, `seconds`.
    """
    started = time.perf_counter()
    groups, place = tested.distinct
    told = detector.verdicts(groups, encode)
    seconds = time.perf_counter() - started
    scores, alarms = told.raw[place], told.is_anomaly[place]
    found = detection_score(tested.labels, scores, alarms, place).as_dict()
    return found | {"method": detector.settings.method, "seconds": round(seconds, 3)}


def averaged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation of each figure over runs; what is no figure is the first run's.

    Args:
        runs: Of one system.
    """
    first = runs[0]
    found: dict[str, Any] = {}
    for name, value in first.items():
        if isinstance(value, dict):
            found[name] = averaged([run[name] for run in runs])
        elif isinstance(value, float):
            values = [float(run[name]) for run in runs]
            found[name] = {"mean": float(np.mean(values)), "sd": float(np.std(values)), "runs": len(values)}
        else:
            found[name] = value
    return found


def table(
    systems: Sequence[System],
    seeds: Sequence[int],
    run: Callable[[System, int], dict[str, Any]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Runs systems, those that have seeds once for each.

    Args:
        systems: The rows.
        seeds: The seeds.
        run: Scores a system with a seed.
        say: Is told what was done.
    """
    found = {}
    for system in systems:
        runs = [run(system, seed) for seed in (seeds if system.seeded else seeds[:1])]
        found[system.name] = averaged(runs)
        say(f"  {system.name}: {_short(found[system.name])}")
    return found


def _short(row: dict[str, Any]) -> str:
    parts = [f"{n} {v['mean']:.4f}" for n, v in row.items() if isinstance(v, dict) and "mean" in v]
    for name, nested in row.items():
        if isinstance(nested, dict) and "mean" not in nested and "f1" in nested:
            parts.append(f"{name} f1 {nested['f1']['mean']:.4f}")
    return ", ".join(parts)
