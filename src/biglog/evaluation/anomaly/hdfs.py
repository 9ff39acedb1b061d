"""HDFS sessions: unsupervised, supervised, and with log statements reworded since training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from biglog.data.rewording import reword_share
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
    characters,
    fitted,
    scored,
    table,
    words,
)
from biglog.tasks.anomaly.detector import Settings
from biglog.tasks.anomaly.known import Encode

Say = Callable[[str], None]

SHARES: Final = (0.0, 0.1, 0.2, 0.3)
"""Shares of the distinct log statements that are reworded."""

PROTOCOL: Final = (
    "learnt from the 4,855 normal sessions of DeepLog's authors, the last fifth of them held out to set the "
    "threshold at a false-alarm budget of 1 %; tested on LogRobust's test sessions without its validation "
    "sessions"
)


def unsupervised(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores unsupervised detectors: LogRobust's test has 9,838 abnormal sessions, another all 16,838.

    Args:
        folder: The data.
        embedders: Ours by seed.
        seeds: Of ours and of what is drawn.
        say: Is told what was done.
    """
    train, test = sets.hdfs_train(folder), sets.hdfs_test(folder)
    whole = sets.with_more(test.take(np.flatnonzero(test.labels == 0)), sets.hdfs_abnormal(folder))
    tests = {"robust": test, "all_abnormal": whole}

    def run(system: System, seed: int) -> dict[str, Any]:
        encode = embedders.ours("HDFS", seed)
        detector = fitted(system, seed, train, encode)
        return {name: scored(detector, tested, encode) for name, tested in tests.items()}

    systems = table((*TRIVIAL, *CLASSICAL, *LEARNT), seeds, run, say)
    counted = {name: sets.counted(tested) for name, tested in tests.items()}
    return {"protocol": PROTOCOL, "sets": counted, "systems": systems}


SUPERVISED: Final = (
    System("tree of counts", Settings("tree", ("counts",), match_threshold=NEVER)),
    System("gradient boosting of counts", Settings("gradient_boosting", ("counts",), match_threshold=NEVER)),
    System("SVM of counts", Settings("svm", ("counts",), match_threshold=NEVER)),
    System("logistic regression of counts", Settings("logistic_regression", ("counts",))),
    System(f"{OURS}, logistic regression", Settings("logistic_regression", ("counts", "embeddings")), True),
    System(f"{OURS}, forest", Settings("forest", ("counts", "embeddings")), True),
    System(f"{OURS}, window classifier (frozen encoder)", Settings("window_classifier")),
)
"""Methods that learn from labels."""


def supervised(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores methods that learn from LogRobust's 12,000 labelled sessions."""
    train, test = sets.hdfs_labelled(folder), sets.hdfs_test(folder)

    def run(system: System, seed: int) -> dict[str, Any]:
        encode = embedders.ours("HDFS", seed)
        detector = fitted(system, seed, train.groups, encode, train.labels)
        return scored(detector, test, encode)

    told = "learnt from LogRobust's 12,000 labelled sessions; tested as the unsupervised ones"
    return {"protocol": told, "systems": table(SUPERVISED, seeds, run, say)}


def reworded(tested: Labelled, share: float, seed: int) -> Labelled:
    """Rewords a share of the distinct forms, wherever they come.

    Args:
        tested: Labelled groups.
        share: Of the distinct forms.
        seed: Of the choice and of the wording.
    """
    forms = tested.groups.forms
    wording = reword_share(forms.to_list(), share, seed)
    return tested.with_forms(forms.replace(list(wording), list(wording.values())) if wording else forms)


def drift(
    folder: Path, embedders: Embedders, seeds: Sequence[int], wordings: Sequence[int], say: Say
) -> dict[str, Any]:
    """Scores detectors on the test sessions with log statements reworded since training.

    Args:
        folder: The data.
        embedders: Ours by seed.
        seeds: Of ours.
        wordings: Seeds of the rewording.
        say: Is told what was done.
    """
    train, test = sets.hdfs_train(folder), sets.hdfs_test(folder)
    known_as: dict[str, Callable[[int], tuple[Encode, Settings]]] = {
        "event set by identity": lambda seed: (words, Settings("event_set", match_threshold=NEVER)),
        "words in place of the encoder": lambda seed: (words, Settings("auto")),
        "character n-grams in place of the encoder": lambda seed: (characters, Settings("auto")),
        "MiniLM-L6 in place of the encoder": lambda seed: (embedders.minilm(), Settings("auto")),
        OURS: lambda seed: (embedders.ours("HDFS", seed), Settings("auto")),
    }
    found: dict[str, Any] = {}
    for name, make in known_as.items():
        runs: dict[str, list[dict[str, Any]]] = {}
        for seed in seeds if name == OURS else seeds[:1]:
            encode, settings = make(seed)
            detector = fitted(System(name, settings), seed, train, encode)
            for share in SHARES:
                for wording in wordings if share else wordings[:1]:
                    other = reworded(test, share, wording)
                    runs.setdefault(f"{share:g}", []).append(scored(detector, other, encode))
        found[name] = {share: averaged(told) | _worst(told) for share, told in runs.items()}
        row = ", ".join(f"{share} {told['f1']['mean']:.4f}" for share, told in found[name].items())
        say(f"  drift, {name}: {row}")
    told = f"a share of the distinct log statements is reworded everywhere; {len(wordings)} rewordings"
    return {"protocol": f"{PROTOCOL}; {told}", "wordings": list(wordings), "systems": found}


def _worst(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {"least_f1": min(run["f1"] for run in runs)}
