"""Results of a model, printed beside those of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from biglog.evaluation.evaluate import code_checksum
from biglog.evaluation.results import METRICS, ModelResults, TaskResult
from biglog.evaluation.tasks.reading import Task

MOST_BESIDE = 3
"""Others that are shown beside a model, the best ones."""


def print_results(results: ModelResults, others: Sequence[ModelResults], console: Console) -> None:
    """Prints a row a task: the main metric, speed, and the best of the others on rows that compare.

    Args:
        results: Of the model.
        others: Of others; those measured by another protocol, split or version are not shown.
        console: Where to.
    """
    table = Table(title=results.name, title_justify="left", box=None, pad_edge=False)
    for column in ("task", "metric", results.name, "seen", "s", "lines/s", "beside it"):
        table.add_column(
            column, justify="right" if column in ("s", "lines/s") else "left", no_wrap=column != "beside it"
        )
    for row in results.results:
        main = row.metrics[row.main_metric]
        speed = row.lines_per_second
        table.add_row(
            row.task,
            row.main_metric,
            f"{main.mean:.4f} ± {main.sd:.4f}" if main.runs > 1 else f"{main.mean:.4f}",
            row.exposure.replace("_", " "),
            "" if speed is None else f"{row.wall_seconds:.1f}",
            "" if speed is None else f"{speed:,.0f}",
            ", ".join(f"{name} {value:.4f}" for name, value in beside(row, results.name, others)),
        )
    console.print(table)
    if any(row.exposure == "test" for row in results.results):
        console.print(
            "seen: test means that pretraining had lines of this test: no figure to compare.", highlight=False
        )
    code = code_checksum()
    if any(row.details.get("code", code) != code for row in results.results):
        console.print("Some rows were measured by other code: --again measures them anew.", highlight=False)


def beside(row: TaskResult, name: str, others: Sequence[ModelResults]) -> list[tuple[str, float]]:
    """Returns the best others on the same task, best first: name and main metric."""
    found = [
        (other.name, one.metrics[row.main_metric].mean)
        for other in others
        if other.name != name
        for one in other.results
        if one.comparable == row.comparable and row.main_metric in one.metrics
    ]
    higher = METRICS[row.main_metric].higher_is_better
    return sorted(found, key=lambda pair: (-pair[1] if higher else pair[1], pair[0]))[:MOST_BESIDE]


def print_tasks(tasks: Sequence[Task], baselines: Sequence[str], console: Console) -> None:
    """Prints what can be asked for."""
    table = Table(box=None, pad_edge=False)
    for column in ("task", "metric", "what"):
        table.add_column(column, no_wrap=column != "what")
    for task in tasks:
        large = " (large: takes minutes)" if task.scale == "large" else ""
        table.add_row(task.id, task.main_metric.replace("_", " "), task.title + large)
    console.print(table)
    console.print(f"\nBaselines: {', '.join(baselines)}, mean-pooled:FOLDER", highlight=False)


def tasks_as_rows(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Returns tasks for machines."""
    return [vars(task) for task in tasks]
