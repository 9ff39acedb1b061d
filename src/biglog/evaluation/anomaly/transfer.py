"""From one system to another: learnt where labels are, used where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import OURS, Embedders, averaged, words
from biglog.metrics.detection import auroc, average_precision
from biglog.tasks.anomaly.detector import Detector, Settings
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.groups import Floats, Groups

Say = Callable[[str], None]

PROTOCOL: Final = (
    "learnt from all labelled groups of the source; the target's groups are seen without labels, all of them "
    "are scored; encoders have seen no line of the target"
)

PORTABLE: Final = {
    f"{OURS}, trouble and rarity": ("trouble",),
    f"{OURS}, trouble, rarity and embeddings": ("trouble", "embeddings"),
    f"{OURS}, embeddings": ("embeddings",),
}
"""Blocks of features that are carried over."""

WORDS: Final = "words in place of the encoder"


def labelled_sets(folder: Path) -> dict[str, Labelled]:
    """Returns the labelled groups of each system: windows of 20 lines, sessions, applications."""
    found = {
        domain: lines.windows(20, 0, len(lines.forms))
        for domain in ("BGL", "Thunderbird")
        for lines in (sets.labelled_lines(folder, domain),)
    }
    return found | {"HDFS": sets.hdfs_labelled(folder), "Hadoop": sets.hadoop_applications(folder)}


def transfer(folder: Path, embedders: Embedders, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Scores every pair of source and target, and the target alone by severity, which needs no source.

    Args:
        folder: The data.
        embedders: Ours by domain and seed.
        seeds: Of ours.
        say: Is told what was done.
    """
    labelled = labelled_sets(folder)
    pairs: dict[str, Any] = {}
    for target, tested in labelled.items():
        alone = _ranked(tested, _severity(tested.groups))
        pairs[f"none -> {target}"] = {"worst word severity": averaged([alone])}
        for source, taught in labelled.items():
            if source == target:
                continue
            row = {}
            for name, features in PORTABLE.items():
                runs = [
                    _ranked(tested, _carried(taught, tested, features, embedders.ours(target, seed)))
                    for seed in seeds
                ]
                row[name] = averaged(runs)
            row[WORDS] = averaged([_ranked(tested, _carried(taught, tested, ("embeddings",), words))])
            pairs[f"{source} -> {target}"] = row
            say(f"  {source} -> {target}: " + _short(row))
    return {"protocol": PROTOCOL, "pairs": pairs}


def _carried(taught: Labelled, tested: Labelled, features: tuple[str, ...], encode: Encode) -> Floats:
    settings = Settings("logistic_regression", features)
    detector = Detector.fit(settings, taught.groups, encode, taught.labels)
    return detector.moved(tested.groups, encode).verdicts(tested.groups, encode).raw


def _severity(groups: Groups) -> Floats:
    severity = word_severity(groups.forms)[0]
    return np.maximum.reduceat(severity[groups.codes], groups.offsets[:-1])


def _ranked(tested: Labelled, scores: Floats) -> dict[str, Any]:
    figures = (("auroc", auroc), ("average_precision", average_precision))
    return {name: float(partial(figure, tested.labels)(scores)) for name, figure in figures}


def _short(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {told['auroc']['mean']:.3f}" for name, told in row.items())
