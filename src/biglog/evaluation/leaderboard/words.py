"""What the leaderboard says in Markdown and on its page: both say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from biglog.evaluation.leaderboard.ranking import Row, Table, shown
from biglog.evaluation.results import METRICS

TITLE: Final = "Leaderboard"

READING: Final = (
    "Rows of a table share task, task version, split, protocol and version of the ground truth; nothing is "
    "ranked across tables.",
    "The first metric ranks. Figures that are equal as printed share a rank.",
    "± is the standard deviation over runs. Where two rows differ by no more than the deviation of their "
    "difference (the root of the sum of both squared), their ranks say nothing: such a row is marked ≈ with "
    "the best rank that it is level with.",
    "The best value of a column is bold. Trivial baselines and classical methods are marked; a model that is "
    "not above them has shown nothing.",
)

EXPOSURE_WORDS: Final[Mapping[str, str]] = {
    "none": "none on logs",
    "left_out": "domain left out",
    "seen": "domain seen",
    "test": "test seen",
}
"""Badges: what pretraining saw of the task's domains."""

EXPOSURE_MEANINGS: Final[Mapping[str, str]] = {
    "none": "the model has no pretraining on logs",
    "left_out": "pretraining saw no log of the task's domains",
    "seen": "pretraining saw other lines of the task's domains, never those of the test",
    "test": "pretraining saw lines of the test: not ranked",
}

KIND_WORDS: Final[Mapping[str, str]] = {"encoder": "encoder", "baseline": "baseline", "system": "system"}


def lede(found: list[Table]) -> str:
    """Returns one sentence on how much there is."""
    models = {row.model.name for table in found for row in table.rows}
    baselines = {row.model.name for table in found for row in table.rows if row.is_baseline}
    tasks = {table.task for table in found}
    return (
        f"{_many(len(models), 'model')}, {_many(len(baselines), 'baseline')} among them, on "
        f"{_many(len(tasks), 'task')} in {_many(len(found), 'table')}."
    )


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cell(row: Row, metric: str) -> str:
    """Returns a figure as it is printed, with its deviation where there is more than one run."""
    figure = row.result.metrics.get(metric)
    if figure is None:
        return ""
    spread = f" ± {shown(metric, type(figure)(figure.sd))}" if figure.runs > 1 else ""
    return shown(metric, figure) + spread


def is_best(table: Table, row: Row, metric: str) -> bool:
    """Whether a ranked row has the best figure of a metric, as printed; not so where it is the only row."""
    figure = row.result.metrics.get(metric)
    several = sum(metric in one.result.metrics for one in table.rows if one.rank) > 1
    return (
        several
        and figure is not None
        and row.rank is not None
        and shown(metric, figure) == table.best(metric)
    )


def rank_words(row: Row) -> str:
    """Returns a rank, and which better one it is level with."""
    if row.rank is None:
        return "–"
    return f"{row.rank}" if row.level == row.rank else f"{row.rank} ≈ {row.level}"


def level_words(row: Row) -> str:
    """Says in words what a rank means; empty where it is plain."""
    if row.rank is None:
        return f"not ranked: {row.unranked}"
    if row.level == row.rank:
        return ""
    return f"rank {row.rank}; no difference from rank {row.level} beyond the deviation of seeds"


def parameters(row: Row) -> str:
    """Returns how many parameters a model has, short."""
    count = row.model.parameters
    if count is None:
        return ""
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def speed(row: Row) -> str:
    """Returns lines a second of wall time, short."""
    rate = row.result.lines_per_second
    return "" if rate is None else f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def head(protocol: str) -> str:
    """Returns what a protocol begins with, up to its first colon or semicolon."""
    return re.split(r"[:;]", protocol, maxsplit=1)[0]


def arrow(metric: str) -> str:
    """Returns which way a metric is better."""
    return "↑" if METRICS[metric].higher_is_better else "↓"


def metric_words(metric: str) -> str:
    """Returns a metric's name as a title: `average_precision` is `average precision`."""
    return metric.replace("_", " ")
