"""BGL and Thunderbird: windows of lines in order of time, without labels and with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import (
    CLASSICAL,
    LEARNT,
    NEVER,
    OURS,
    TRIVIAL,
    Embedders,
    System,
    averaged,
    fitted,
    scored,
    table,
    words,
)
from biglog.metrics.detection import detection_score, recall_by_label
from biglog.tasks.anomaly.detector import Settings
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.suspects import LEAST_SEVERITY, taken_for_normal

Say = Callable[[str], None]

SIZES: Final = (20, 100)
"""Lines of a window."""

_LEARNT: Final = tuple(
    system for system in LEARNT if system.settings.method not in ("next_event", "masked_line")
)
"""DeepLog stands for the methods that take minutes: there are four tables."""

DOMAINS: Final = ("BGL", "Thunderbird")


def unsupervised(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores detectors that learn from the normal windows of a log's beginning.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours and of what is drawn.
        say: Is told what was done.
    """
    found: dict[str, Any] = {}
    for domain in DOMAINS:
        lines = sets.labelled_lines(folder, domain)
        cut = sets.TRAIN_LINES[domain]
        for size in SIZES:
            train = lines.windows(size, 0, cut)
            test = lines.windows(size, cut, len(lines.forms))
            say(f"{domain}, windows of {size} lines")
            run = _run(domain, train, test, embedders, labelled=False)
            systems = table((*TRIVIAL, *CLASSICAL, *_LEARNT), seeds, run, say)
            found[f"{domain}, windows of {size}"] = {
                "protocol": f"learnt from the normal windows of the first {cut:,} lines, tested on the rest",
                "set": sets.counted(test),
                "systems": systems,
            }
    return found


def unvouched(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores what `biglog detect FILE` does: learn from the first half of a log as it is, judge the other.

    The rule beside it knows no log: a window is an alert if a word of it speaks of trouble.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours.
        say: Is told what was done.
    """
    found: dict[str, Any] = {}
    for domain in DOMAINS:
        lines = sets.labelled_lines(folder, domain)
        for size in SIZES:
            every = lines.windows(size, 0, len(lines.forms))
            half = len(every.labels) // 2
            train, test = every.take(np.arange(half)), every.take(np.arange(half, len(every.labels)))
            say(f"{domain}, windows of {size} lines, first half as it is")
            systems = {"word of trouble": averaged([by_words(test)])}
            systems |= table(UNVOUCHED, seeds, _first_half(domain, train, test, embedders), say)
            found[f"{domain}, windows of {size}"] = {
                "set": sets.counted(test),
                "learnt_from": sets.counted(train),
                "systems": systems,
            }
    told = "learnt from the first half of the log with all alerts that are in it, no label given; other half"
    return {"protocol": told, "cases": found}


_SUSPECTS: Final = f"{OURS}, suspect windows not learnt from"

UNVOUCHED: Final = (
    TRIVIAL[0],
    System(f"{OURS}, all learnt from", Settings("novelty"), True),
    System(_SUSPECTS, Settings("novelty"), True),
)
"""What learns from a log that nobody has called normal."""


def _first_half(
    domain: str, train: Labelled, test: Labelled, embedders: Embedders
) -> Callable[[System, int], dict[str, Any]]:
    def run(system: System, seed: int) -> dict[str, Any]:
        encode, groups = embedders.ours(domain, seed), train.groups
        if system.name == _SUSPECTS:
            groups, _ = taken_for_normal(groups, system.settings.method)
        return scored(fitted(system, seed, groups, encode), test, encode) | {"learnt_from": len(groups)}

    return run


def by_words(test: Labelled) -> dict[str, Any]:
    """Scores the rule that knows no log: a group is anomalous if a word of it speaks of trouble."""
    severity = word_severity(test.groups.forms)[0][test.groups.codes]
    worst = np.maximum.reduceat(severity, test.groups.offsets[:-1])
    _, place = test.distinct
    return detection_score(test.labels, worst, worst >= LEAST_SEVERITY, place).as_dict()


SUPERVISED: Final = (
    System("tree of counts", Settings("tree", ("counts",), match_threshold=NEVER)),
    System("words in place of the encoder", Settings("logistic_regression", ("embeddings",))),
    System("gradient boosting of counts", Settings("gradient_boosting", ("counts",), match_threshold=NEVER)),
    System(f"{OURS}, logistic regression", Settings("logistic_regression", ("counts", "embeddings")), True),
    System(f"{OURS}, forest", Settings("forest", ("counts", "embeddings", "severity")), True),
    System(f"{OURS}, window classifier (frozen encoder)", Settings("window_classifier")),
)
"""Methods that learn from labels."""


def supervised(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores methods that learn from labelled windows of BGL, and tells recall by alert category.

    Thunderbird has no alert in its first third, and is left out: what could be learnt would be tested beside
    the very burst that it comes from.
    """
    lines = sets.labelled_lines(folder, "BGL")
    _, begin = sets.SUPERVISED_LINES["BGL"]
    found: dict[str, Any] = {}
    for size in SIZES:
        train, test = lines.windows(size, 0, 60_000), lines.windows(size, begin, len(lines.forms))
        say(f"BGL with labels, windows of {size} lines")
        run = _run("BGL", train, test, embedders, labelled=True)
        found[f"BGL, windows of {size}"] = {
            "protocol": "learnt from lines 0-60,000, tested on 80,000-100,000; 60,000-80,000 not used",
            "set": sets.counted(test),
            "kinds": _kinds(train, test),
            "systems": table(SUPERVISED, seeds, run, say),
        }
    return found


def _run(
    domain: str, train: Labelled, test: Labelled, embedders: Embedders, *, labelled: bool
) -> Callable[[System, int], dict[str, Any]]:
    def run(system: System, seed: int) -> dict[str, Any]:
        encode = words if system.name.startswith("words") else embedders.ours(domain, seed)
        detector = fitted(system, seed, train.groups, encode, train.labels)
        row = scored(detector, test, encode)
        if labelled:
            alarms = detector.verdicts(test.groups, encode).is_anomaly
            told = recall_by_label(test.kinds, alarms)
            row["recall_by_kind"] = {kind: float(one.recall) for kind, one in told.items()}
        return row

    return run


def _kinds(train: Labelled, test: Labelled) -> dict[str, dict[str, int]]:
    """Windows by their first alert: how many were learnt from, how many tested."""
    return {
        name: dict(zip(*(part.tolist() for part in np.unique(one.kinds, return_counts=True)), strict=True))
        for name, one in (("train", train), ("test", test))
    }
