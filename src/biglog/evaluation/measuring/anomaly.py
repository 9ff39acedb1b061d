"""Anomaly detection without labels: windows of lines and sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.hdfs import reworded
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import System, fitted, scored
from biglog.evaluation.measuring.measured import Measured
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task
from biglog.tasks.anomaly.detector import Settings
from biglog.tasks.anomaly.suspects import taken_for_normal
from biglog.tasks.groups import Groups

_NOVELTY: Final = Settings("novelty")


def measure_windows(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Learns from the normal windows of a log's beginning, and is tested on the rest."""
    domain, size = task.options["domain"], task.options["window_lines"]
    lines, cut = sets.labelled_lines(folder, domain), sets.TRAIN_LINES[domain]
    train, test = lines.windows(size, 0, cut), lines.windows(size, cut, len(lines.forms))
    settings = subject.detector or Settings()
    return _detected(task, subject, seeds, settings, train.normal, lambda seed: test)


def measure_first_half(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Learns from the first half of a log as it is, alerts and all, and is tested on the other."""
    domain, size = task.options["domain"], task.options["window_lines"]
    lines = sets.labelled_lines(folder, domain)
    every = lines.windows(size, 0, len(lines.forms))
    half = len(every.labels) // 2
    train, test = every.take(np.arange(half)), every.take(np.arange(half, len(every.labels)))
    settings = subject.detector or _NOVELTY
    groups, _ = taken_for_normal(train.groups, settings.method)
    return _detected(task, subject, seeds, settings, groups, lambda seed: test)


def measure_hdfs(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Learns from DeepLog's normal sessions; a share of the log statements may be reworded since."""
    share = task.options["reworded_share"]
    test = sets.hdfs_test(folder)
    settings = subject.detector or Settings()
    return _detected(
        task,
        subject,
        seeds,
        settings,
        sets.hdfs_train(folder),
        lambda seed: reworded(test, share, seed) if share else test,
    )


def _detected(
    task: Task,
    subject: Subject,
    seeds: Sequence[int],
    settings: Settings,
    normal: Groups,
    tested: Callable[[int], Labelled],
) -> Measured:
    """Scores a detector, or a rule that learns nothing, with each seed.

    Args:
        task: The task.
        subject: Who is asked.
        seeds: Of what is drawn.
        settings: Of the detector.
        normal: Groups to learn from.
        tested: The test of a seed.
    """
    runs = []
    for seed in seeds:
        test = tested(seed)
        if subject.judge is not None:
            told = subject.judge(test)
        else:
            encode = subject.encode(task.domains[0], seed)
            detector = fitted(System(subject.name, settings), seed, normal, encode)
            told = scored(detector, test, encode)
        runs.append(told)
    last = tested(seeds[-1])
    details: dict[str, Any] = {"set": sets.counted(last), "learnt_from": len(normal)}
    details["method"] = runs[0].get("method", subject.name)
    return Measured([_flat(run) for run in runs], int(last.groups.offsets[-1]), details)


def _flat(told: dict[str, Any]) -> dict[str, float]:
    """The figures of a detection score, that of distinct groups beside them."""
    return {name: value for name, value in told.items() if isinstance(value, float)} | {
        "f1_distinct": told["distinct"]["f1"]
    }
