"""What a model card says of results on tasks: beside baselines, and as metadata that a Hub reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from huggingface_hub import EvalResult

from biglog.evaluation.figures.markdown import table as grid
from biglog.evaluation.leaderboard import words
from biglog.evaluation.leaderboard.collecting import Entry
from biglog.evaluation.leaderboard.describing import titles
from biglog.evaluation.leaderboard.picture import picture
from biglog.evaluation.leaderboard.ranking import Row, Table, tables, worth

_TYPES: Final = {
    "parsing": "token-classification",
    "anomaly": "text-classification",
    "failure": "text-classification",
    "probes": "feature-extraction",
}
"""Tasks of a Hub, by ours."""


def board_table(name: str, entries: Sequence[Entry]) -> str:
    """Returns a table of a model's results, the best baseline and the best other model beside them.

    Args:
        name: The model's.
        entries: Results of all models.

    Returns:
        Markdown; empty if there is no result of that model.
    """
    rows = [_line(table, row) for table in tables(entries) for row in table.rows if row.model.name == name]
    if not rows:
        return ""
    head = ("task", "metric", "pretraining", name, "best baseline", "best other", "rank")
    return grid(head, rows, texts=3)


def board_picture(name: str, entries: Sequence[Entry]) -> str:
    """Returns a picture of all results on the tasks of a model, SVG; empty without results of it and others.

    Args:
        name: The model's.
        entries: Results of all models.
    """
    asked = [table for table in tables(entries) if any(row.model.name == name for row in table.rows)]
    return picture(asked, name) if asked else ""


def eval_results(name: str, entries: Sequence[Entry]) -> list[EvalResult]:
    """Returns a model's results as a card's metadata have them.

    Results on lines that pretraining has seen are left out: a Hub would show them as any other.

    Args:
        name: The model's.
        entries: Results of all models.
    """
    called = titles()
    return [
        EvalResult(
            task_type=_TYPES.get(table.family, table.family),
            task_name=called.get(table.task, table.task),
            dataset_type=table.task,
            dataset_name=called.get(table.task, table.task),
            dataset_split=table.key[2],
            metric_type=table.main_metric,
            metric_name=words.metric_words(table.main_metric),
            metric_value=round(row.result.metrics[table.main_metric].mean, 4),
        )
        for table in tables(entries)
        for row in table.rows
        if row.model.name == name and row.rank is not None
    ]


def _line(table: Table, row: Row) -> tuple[str, ...]:
    main = table.main_metric
    others = [one for one in table.rows if one.rank is not None and one.model.name != row.model.name]
    named = titles().get(table.task, table.task)
    several = sum(one.rank is not None for one in table.rows)
    rank = "not ranked" if row.rank is None else f"{words.rank_words(row)} of {several}"
    return (
        f"{named} (`{table.task}`, version {table.key[1]}, {table.key[4]})",
        f"{words.metric_words(main)} {words.arrow(main)}",
        words.EXPOSURE_WORDS[row.result.exposure],
        words.cell(row, main),
        _best([one for one in others if one.is_baseline], main),
        _best([one for one in others if not one.is_baseline], main),
        rank,
    )


def _best(rows: Sequence[Row], metric: str) -> str:
    if not rows:
        return ""
    best = min(rows, key=lambda one: worth(metric, one.result.metrics[metric]))
    return f"{words.cell(best, metric)} ({best.model.name})"
