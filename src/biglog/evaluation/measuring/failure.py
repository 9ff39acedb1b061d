"""Failure prediction: kinds of failure, from counts and from beginnings of logs; and failures in time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from biglog.data.executors import LocalExecutor
from biglog.data.tables.build import build
from biglog.data.tables.failures import PREFIXES
from biglog.evaluation.failure.classes import (
    EXPERIMENTS,
    by_application,
    by_experiment,
    experiments,
    read_beginnings,
    read_experiments,
)
from biglog.evaluation.failure.in_time import incidents_of, read_hpc, read_splits, run_predictor
from biglog.evaluation.failure.running import OPENSTACK
from biglog.evaluation.failure.systems import System
from biglog.evaluation.measuring.measured import Measured
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task
from biglog.tasks.failure.histories import histories
from biglog.tasks.failure.predictors import Predictor


def measure_openstack(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Tells the kind of failure by counts of events; figures are means over the three services."""
    system = _system(task, subject)
    runs: list[dict[str, Any]] = []
    lines = 0
    read = {name: read_experiments(folder / OPENSTACK / name) for name in EXPERIMENTS}
    for seed in seeds:
        rows = {}
        for name, (counts, labels) in read.items():
            seen = experiments(counts, subject.encode(task.domains[0], seed))
            identity = counts.hash_rows().to_numpy()
            rows[name] = by_experiment(system, seen, labels, identity, EXPERIMENTS[name], seed)
        runs.append(rows)
    lines = sum(int(counts.sum_horizontal().sum()) for counts, _ in read.values())
    figures = [_means(list(rows.values()), task.metrics) for rows in runs]
    details = {
        name: _means([rows[name] for rows in runs], task.metrics)
        | {"unseen": _means([rows[name]["unseen"] for rows in runs], task.metrics)}
        for name in EXPERIMENTS
    }
    return Measured(figures, lines, {"services": details, "method": _told(system)})


def measure_hadoop(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Tells the fault of an application by the beginning of its containers' logs."""
    table = read_beginnings(_built("Hadoop", folder))
    mine = table.filter(pl.col("prefix") == PREFIXES.index(task.options["share"]))
    system = _system(task, subject)
    runs = []
    for seed in seeds:
        seen = histories(mine, encode=subject.encode("Hadoop", seed))
        runs.append(by_application(system, seen, mine, seed))
    details = {"containers": _means([run["containers"] for run in runs], task.metrics)}
    lines = int(mine["line_ids"].list.len().sum())
    return Measured([run["applications"] for run in runs], lines, details | {"method": _told(system)})


def measure_hpc(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Tells which nodes fail within the horizon."""
    horizon, lead = task.options["horizon_seconds"], task.options["lead_time_seconds"]
    protocol, known, lines, horizons = read_hpc(_built("HPC", folder), folder)
    tables = horizons[horizon]
    incidents = incidents_of(known, protocol.group_pattern, tables["test"])
    system = _system(task, subject)
    runs, details = [], dict[str, Any]()
    for seed in seeds:
        splits = read_splits(tables, lines, known, subject.encode("HPC", seed))
        method, blocks = system.settings[0]
        predictor = Predictor(method, blocks, seed).fit(splits["train"].seen, splits["train"].labels)
        told = run_predictor(predictor, splits["validation"], splits["test"], horizon, incidents)
        details = {"budgets": told["budgets"], "incidents": told["incidents"]}
        runs.append(told | {"recall_at_lead_time": told["incident_recall"][f"{lead:g}"]})
    read = int(tables["test"]["line_ids"].list.len().sum())
    return Measured(runs, read, details | {"method": _told(system)})


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Tables built for this process, gone when it ends."""


@cache
def _built(domain: str, folder: Path) -> Path:
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix="biglog-"))
    out = Path(_FOLDERS[-1].name) / domain
    made = build(domain, folder, out, tables=("lines", "failures"), executor=LocalExecutor(1))
    return Path(made.folder)


def _system(task: Task, subject: Subject) -> System:
    own = task.options["method"], tuple(task.options["blocks"])
    return System(subject.name, (subject.predictor or own,))


def _told(system: System) -> str:
    method, blocks = system.settings[0]
    return f"{method}: {', '.join(blocks)}" if blocks else method


def _means(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in names}
