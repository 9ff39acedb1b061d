"""Probes of frozen vectors: events from one known line each, and alerts of a wording never seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from biglog.evaluation.measuring.measured import Measured
from biglog.evaluation.probes.alerts import unseen_alerts
from biglog.evaluation.probes.events import PROTOCOLS, count_events
from biglog.evaluation.probes.labelled import read_alerts, read_events
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task


def measure_events(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Asks for the events of lines, one line of each template known; figures are means over domains."""
    lines = read_events(folder, task.domains).lines
    protocol = PROTOCOLS[PROTOCOLS.index(task.options["protocol"])]
    novel = "novel_" if task.options["figure"] == "novel" else ""
    parts = []
    for (reader, domains), mine in subject.by_reader(task.domains, seeds).items():
        embed = reader.contents if protocol == "raw" else reader.forms
        counts = count_events(
            embed,
            lines,
            protocol=protocol,
            tested=domains,
            seeds=mine,
            shots=[task.options["shots"]],
            pooled=False,
        )
        parts.append(counts.select("seed", "domain", right=f"{novel}right", tests=f"{novel}tests"))
    counts = (
        pl.concat(parts).filter(pl.col("tests") > 0).with_columns(share=pl.col("right") / pl.col("tests"))
    )
    runs = [{"accuracy": _mean(counts.filter(seed=seed)["share"])} for seed in seeds]
    by_domain = counts.group_by("domain").agg(pl.mean("share")).sort("domain")
    details: dict[str, Any] = {
        "domains": {name: {"accuracy": share} for name, share in by_domain.iter_rows()}
    }
    return Measured(runs, int(counts["tests"].sum()) // len(seeds), details)


def measure_alerts(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Learns alerts on templates of all folds but one, and asks for those of that one."""
    lines = read_alerts(folder, task.domains[0]).lines
    values: dict[int, dict[str, float]] = {}
    for (reader, _), mine in subject.by_reader(task.domains, seeds).items():
        # The deviation over a single seed is none, and is not asked for.
        told = unseen_alerts(reader.contents, lines, seeds=mine)
        for place, seed in enumerate(mine):
            values[seed] = {name: row["values"][place] for name, row in told.items()}
    return Measured([values[seed] for seed in seeds], len(lines))


def _mean(column: pl.Series) -> float:
    return float(column.mean())  # type: ignore[arg-type]
