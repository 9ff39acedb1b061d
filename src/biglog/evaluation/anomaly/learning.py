"""How few labels, and how little of the past, a detector needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import NEVER, OURS, Embedders, averaged, scored, words
from biglog.tasks.anomaly.detector import Detector, Settings
from biglog.tasks.anomaly.known import Encode, KnownForms
from biglog.tasks.anomaly.proposing import UNLABELLED, propose

Say = Callable[[str], None]

LABELS: Final = 20
"""Labelled groups, half of them anomalous."""

DRAWS: Final = 5
"""Draws of them with each seed."""

SHARES: Final = (0.8, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001)
"""Shares of the sessions, in order of time, that a detector is fitted on before it goes on by itself."""

_FEW: Final = {
    f"{OURS}, proposed groups": Settings("forest", ("counts",)),
    f"{OURS}, drawn groups": Settings("forest", ("counts",)),
    f"{OURS}, drawn groups, embeddings": Settings("logistic_regression", ("counts", "embeddings")),
    "tree of counts": Settings("tree", ("counts",), match_threshold=NEVER),
    "logistic regression of counts": Settings("logistic_regression", ("counts",), match_threshold=NEVER),
    "words in place of the encoder": Settings("logistic_regression", ("counts", "embeddings")),
}


def few_labels(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Compares 20 labelled groups with all of them, on every set that has labels to learn from.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours, and of the draws.
        say: Is told what was done.
    """
    found: dict[str, Any] = {}
    for case, (train, test, domain) in labelled_cases(folder).items():
        rows = {}
        for name, settings in _FEW.items():
            few, full = [], []
            for seed in seeds:
                encode = words if name.startswith("words") else embedders.ours(domain, seed)
                own = replace(settings, seed=seed)
                full.append(f1_of(own, train, train.labels, test, encode))
                if name.endswith("proposed groups"):
                    few.append(f1_of(own, train, told_of(train, proposed(train, encode, seed)), test, encode))
                else:
                    draws = [drawn(train.labels, DRAWS * seed + draw) for draw in range(DRAWS)]
                    few += [f1_alone(own, train.take(rows), test, encode) for rows in draws]
            rows[name] = {"labels_20": averaged(few), "all_labels": averaged(full)}
        best = max(row["all_labels"]["f1"]["mean"] for row in rows.values())
        for name, row in rows.items():
            row["share_of_own"] = row["labels_20"]["f1"]["mean"] / max(1e-9, row["all_labels"]["f1"]["mean"])
            row["share_of_best"] = row["labels_20"]["f1"]["mean"] / best
            say(f"  20 labels, {case}, {name}: {row['share_of_own']:.1%}, of best {row['share_of_best']:.1%}")
        found[case] = {"set": sets.counted(test), "systems": rows}
    told = (
        f"drawn: {LABELS // 2} normal and {LABELS // 2} anomalous groups of the training set, {DRAWS} draws "
        f"a seed, for which somebody has to find the anomalous ones; proposed: {LABELS} groups that a "
        "detector asks for before it has seen a label, the others counting as the nearest of these"
    )
    return {"protocol": told, "sets": found}


def labelled_cases(folder: Path) -> dict[str, tuple[Labelled, Labelled, str]]:
    """Returns the sets that have labels to learn from: training part, test, and domain of each.

    Args:
        folder: The data.
    """
    bgl = sets.labelled_lines(folder, "BGL")
    parts = sets.hdfs_100k(folder)
    test = sets.hdfs_test(folder)
    return {
        "HDFS": (sets.hdfs_labelled(folder), test, "HDFS"),
        "HDFS_100k": (parts["train"], parts["test"], "HDFS"),
        "BGL, windows of 20": (bgl.windows(20, 0, 60_000), bgl.windows(20, 80_000, 100_000), "BGL"),
        "BGL, windows of 100": (bgl.windows(100, 0, 60_000), bgl.windows(100, 80_000, 100_000), "BGL"),
    }


def drawn(labels: NDArray[np.int64], seed: int, count: int = LABELS) -> NDArray[np.int64]:
    """Draws groups, half of them anomalous, of an odd number one less; as positions, ascending."""
    generator = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labels == kind) for kind in (0, 1)]
    shares = [count - count // 2, count // 2]
    chosen = [generator.permutation(rows)[:share] for rows, share in zip(kinds, shares, strict=True)]
    return np.sort(np.concatenate(chosen))


def proposed(train: Labelled, encode: Encode, seed: int, count: int = LABELS) -> NDArray[np.int64]:
    """Returns the groups that a detector asks for, as positions, ascending."""
    return propose(KnownForms.of(train.groups, encode).view(train.groups, encode), count, seed)


def told_of(train: Labelled, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns labels as somebody gives them who labels some groups alone, shape (groups,)."""
    labels = np.full(len(train.labels), UNLABELLED)
    labels[rows] = train.labels[rows]
    return labels


def f1_alone(settings: Settings, train: Labelled, test: Labelled, encode: Encode) -> dict[str, Any]:
    """Scores a detector that learns from labelled groups and knows no others."""
    return f1_of(settings, train, train.labels, test, encode)


def f1_of(
    settings: Settings, train: Labelled, labels: NDArray[np.int64], test: Labelled, encode: Encode
) -> dict[str, Any]:
    """Scores a detector; one that was told a single class raises no alarm, and is scored so."""
    if len(np.unique(labels[labels != UNLABELLED])) < 2:
        return {"f1": 0.0}
    detector = Detector.fit(settings, train.groups, encode, labels)
    return {"f1": scored(detector, test, encode)["f1"]}


def online(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Fits on a share of a log's beginning, goes on through its first 80 %, and is tested on the rest.

    Two ways to go on: not at all, and with a person who says of each alarm whether it was one; what raised
    none is taken for normal.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours.
        say: Is told what was done.
    """
    cases = {
        f"{domain}, windows of 20": (domain, lines.windows(20, 0, len(lines.forms)))
        for domain in ("BGL", "Thunderbird")
        for lines in (sets.labelled_lines(folder, domain),)
    }
    parts = sets.hdfs_100k(folder)
    cases["HDFS_100k"] = ("HDFS", sets.with_more(parts["train"], parts["test"]))
    found: dict[str, Any] = {}
    for case, (domain, every) in cases.items():
        cut = int(SHARES[0] * len(every.labels))
        test = every.take(np.arange(cut, len(every.labels)))
        found[case] = {"set": sets.counted(test), "shares": {}}
        for share in SHARES:
            first = max(2, int(share * len(every.labels)))
            told = _begun(every, range(first, cut), test, domain, embedders, seeds)
            found[case]["shares"][f"{share:g}"] = told
            row = ", ".join(f"{name} {one['f1']['mean']:.4f}" for name, one in told.items())
            say(f"  online, {case}, {share:.1%} ({first} groups): {row}")
    protocol = (
        "in order of time; fitted on the normal groups of the first share, tested on the last 20 %; going "
        "on: alarms are answered, what raises none is taken for normal"
    )
    return {"protocol": protocol, "cases": found}


def _begun(
    every: Labelled,
    rest: range,
    test: Labelled,
    domain: str,
    embedders: Embedders,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Scores a detector as it was fitted on what comes before `rest`, and after it has gone through that."""
    runs: dict[str, list[dict[str, Any]]] = {"as fitted": [], "going on": []}
    for seed in seeds:
        encode = embedders.ours(domain, seed)
        start = every.take(np.arange(rest.start))
        settings = Settings(METHOD[domain], seed=seed)
        detector = Detector.fit(settings, start.groups, encode, start.labels)
        runs["as fitted"].append(scored(detector, test, encode))
        detector, asked = _gone_on(detector, every, rest, encode)
        runs["going on"].append(scored(detector, test, encode) | {"alarms_answered": float(asked)})
    return {name: averaged(told) for name, told in runs.items()}


METHOD: Final = {"BGL": "novelty", "Thunderbird": "novelty", "HDFS": "invariants"}
"""What "auto" takes with much to learn from; with seven groups it could not tell."""

_BATCH: Final = 250


def _gone_on(detector: Detector, every: Labelled, rows: range, encode: Encode) -> tuple[Detector, int]:
    """Goes through groups in order; of those that raise an alarm somebody says what they are."""
    asked = 0
    for begin in range(rows.start, rows.stop, _BATCH):
        part = every.take(np.arange(begin, min(begin + _BATCH, rows.stop)))
        alarms = detector.verdicts(part.groups, encode).is_anomaly
        asked += int(alarms.sum())
        labels = np.where(alarms, part.labels, 0)
        if not labels.all():
            detector = detector.updated(part.groups, encode, labels)
    return detector, asked
