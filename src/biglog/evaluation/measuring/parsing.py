"""Parsing: every domain by a parser that has not seen its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from biglog.evaluation.measuring.measured import Measured
from biglog.evaluation.parsing import (
    GROUND_TRUTHS,
    Parser,
    parsers_of,
    read_truth,
    scored,
    statements_apart,
    taught_parsers,
)
from biglog.evaluation.subjects import Lesson, Subject
from biglog.evaluation.tasks.reading import Task

_NOT_CORRECTED: Final = "none"


def measure_parsing(task: Task, folder: Path, subject: Subject, seeds: Sequence[int]) -> Measured:
    """Scores a parser on the samples of all domains; figures are means over domains."""
    assert subject.parsers is not None
    versions = GROUND_TRUTHS[task.options["truth"]]
    read = {domain: read_truth(domain, folder, versions) for domain in task.domains}
    truths = {domain: (contents, templates) for domain, (_, contents, templates) in read.items()}
    lesson = Lesson(task, folder, truths)
    runs, domains = [], []
    for seed in seeds:
        parsers = subject.parsers(lesson, seed)
        rows = {
            domain: scored(templates, parsers[domain](contents).to_list())[_NOT_CORRECTED]
            for domain, (contents, templates) in truths.items()
        }
        runs.append(_means(list(rows.values()), task.metrics))
        domains.append({domain: _means([row], task.metrics) for domain, row in rows.items()})
    means = {domain: _means([one[domain] for one in domains], task.metrics) for domain in truths}
    lines = sum(len(contents) for contents, _ in truths.values())
    return Measured(runs, lines, {"domains": means})


def taught_by_others(lesson: Lesson, seed: int) -> Mapping[str, Parser]:
    """Teaches a parser for each fold of domains, by the others and by log statements: a `Parsers`."""
    options = lesson.task.options
    folds: list[list[str]] = options["folds"]
    domains = [domain for fold in folds for domain in fold]
    statements = _statements(lesson.folder, tuple(domains), options["statements"])
    return parsers_of(taught_parsers(lesson.truths, folds, statements, seed))


@cache
def _statements(folder: Path, domains: tuple[str, ...], path: str) -> pl.DataFrame:
    """Log statements that are near to no form of the domains."""
    return statements_apart(folder, domains, [folder / path], None)[0]


def _means(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in names}
