"""The leaderboard at a glance: a matrix of models and tasks, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from biglog.evaluation.charts import Block, heat
from biglog.evaluation.leaderboard.ranking import Table
from biglog.evaluation.results import METRICS

_NOTES: Final = ("Metric that ranks, of ranked rows; bold: the best of its group", "", "")
"""Two lines are left free for the names of tasks, which are long."""


def picture(found: Sequence[Table], own: str = "") -> str:
    """Draws the metric that ranks of every ranked row, for tasks where it is a share.

    Args:
        found: The tables.
        own: The model that stands out.

    Returns:
        SVG; empty where there are fewer than two rows to compare.
    """
    drawn = [table for table in found if (METRICS[table.main_metric].low, _high(table)) == (0.0, 1.0)]
    rows: dict[bool, dict[str, dict[str, float]]] = {False: {}, True: {}}
    for table in drawn:
        for row in table.rows:
            if row.rank is not None:
                cells = rows[row.is_baseline].setdefault(row.model.name, {})
                cells.setdefault(_label(table), row.result.metrics[table.main_metric].mean)
    if sum(map(len, rows.values())) < 2:
        return ""
    blocks = [
        Block(title, dict(sorted(rows[kind].items(), key=lambda one: (one[0] != own, one[0]))), True, own)
        for kind, title in ((False, "models"), (True, "baselines"))
        if rows[kind]
    ]
    columns = list(dict.fromkeys(map(_label, drawn)))
    return heat(blocks, columns, title="Models and baselines on tasks", notes=_NOTES)


def _high(table: Table) -> float:
    return METRICS[table.main_metric].high


def _label(table: Table) -> str:
    return table.task.partition("/")[2]
