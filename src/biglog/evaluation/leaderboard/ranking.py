"""Ranks: one table for rows that share task, version, split, protocol and truth, and none across tables.

Within a table the main metric ranks. Equal figures, as printed, share a rank (1, 2, 2, 4). A rank says
nothing where two rows differ by no more than their seeds do: by no more than the deviation of a difference of
two independent figures, sqrt(sd_a^2 + sd_b^2). Such rows are told to be level with the best of those that
they do not differ from.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from biglog.evaluation.leaderboard.collecting import Entry, check_names
from biglog.evaluation.results import METRICS, Figure, ModelResults, TaskResult

PLACES: Final[Mapping[str, int]] = {"false_alarms_per_day": 2}
"""Decimals of a metric as printed, 3 of any other."""

OTHER_DATA: Final = "measured on other data: a checksum differs"
TEST_SEEN: Final = "pretraining saw lines of the test"
NO_FIGURE: Final = "has no figure of the metric that ranks here"


@dataclass(frozen=True)
class Row:
    """A model in a table.

    Attributes:
        entry: Where it is from.
        result: Of this table's task.
        rank: From 1; None where it is not ranked.
        level: Best rank among rows that it does not differ from beyond the deviation of seeds; its own rank
            where it differs from all above it.
        unranked: Why it has no rank.
    """

    entry: Entry
    result: TaskResult
    rank: int | None = None
    level: int | None = None
    unranked: str = ""

    @property
    def model(self) -> ModelResults:
        """The model."""
        return self.entry.results

    @property
    def is_baseline(self) -> bool:
        """Whether it is a rule or a classical method."""
        return self.model.kind == "baseline"


@dataclass(frozen=True)
class Table:
    """Rows that may be compared, the best first, those without a rank last.

    Attributes:
        key: What they share (`TaskResult.comparable`).
        main_metric: What ranks them.
        metrics: All metrics that a row has, the one that ranks first.
        rows: The rows.
        slug: Name of the table in addresses.
    """

    key: tuple[str, int, str, str, str]
    main_metric: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    slug: str

    @property
    def task(self) -> str:
        """Identifier of the task."""
        return self.key[0]

    @property
    def family(self) -> str:
        """What kind of task it is: `anomaly` of `anomaly/bgl-windows-20`."""
        return self.task.partition("/")[0]

    def best(self, metric: str) -> str | None:
        """Returns the best figure of a metric among ranked rows, as it is printed; None if there is none."""
        figures = [
            row.result.metrics[metric] for row in self.rows if row.rank and metric in row.result.metrics
        ]
        return shown(metric, min(figures, key=lambda one: worth(metric, one))) if figures else None


def tables(entries: Sequence[Entry]) -> list[Table]:
    """Puts results into tables and ranks them.

    Args:
        entries: Of the models, in any order.

    Returns:
        A table for each group of comparable rows, by task, version, split, protocol and truth.

    Raises:
        InputError: Two models have the same name.
    """
    check_names(entries)
    groups: dict[tuple[str, int, str, str, str], list[Row]] = {}
    for entry in entries:
        for result in entry.results.results:
            groups.setdefault(result.comparable, []).append(Row(entry, result))
    return [_table(key, groups[key]) for key in sorted(groups)]


def shown(metric: str, figure: Figure) -> str:
    """Returns a mean as it is printed."""
    return f"{figure.mean:.{PLACES.get(metric, 3)}f}"


def worth(metric: str, figure: Figure) -> float:
    """Returns a number that is the lower, the better the figure."""
    return -figure.mean if METRICS[metric].higher_is_better else figure.mean


def _table(key: tuple[str, int, str, str, str], rows: list[Row]) -> Table:
    main = _main_metric(rows)
    reasons = _unranked(rows, main)
    ranked = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    others = [
        Row(row.entry, row.result, unranked=reason)
        for row, reason in zip(rows, reasons, strict=True)
        if reason
    ]
    names = {name for row in rows for name in row.result.metrics} - {main}
    ordered = (main, *(name for name in METRICS if name in names))
    # Protocols are sentences: the address keeps the task, and a checksum of the rest.
    rest = hashlib.sha256("\n".join(key[2:]).encode()).hexdigest()[:8]
    return Table(
        key,
        main,
        ordered,
        (*_ranked(ranked, main), *sorted(others, key=lambda row: row.model.name)),
        f"{key[0].replace('/', '-')}-v{key[1]}-{rest}",
    )


def _main_metric(rows: Sequence[Row]) -> str:
    """The metric that most rows name as the one that ranks; of several the first by name."""
    named = Counter(row.result.main_metric for row in rows)
    return min(named, key=lambda name: (-named[name], name))


def _unranked(rows: Sequence[Row], main: str) -> list[str]:
    """Why each row has no rank; empty for those that have one."""
    said: dict[str, Counter[str]] = {}
    for row in rows:
        for path, checksum in row.result.data.items():
            said.setdefault(path, Counter())[checksum] += 1
    usual = {path: min(found, key=lambda one: (-found[one], one)) for path, found in said.items()}
    return [
        NO_FIGURE
        if main not in row.result.metrics
        else OTHER_DATA
        if any(usual[path] != checksum for path, checksum in row.result.data.items())
        else TEST_SEEN
        if row.result.exposure == "test"
        else ""
        for row in rows
    ]


def _ranked(rows: Sequence[Row], main: str) -> list[Row]:
    figures = [row.result.metrics[main] for row in rows]
    places = [round(worth(main, one), PLACES.get(main, 3)) for one in figures]
    ranks = [1 + sum(other < place for other in places) for place in places]
    found = []
    for row, own, rank in zip(rows, figures, ranks, strict=True):
        level = min(
            other_rank
            for other, other_rank in zip(figures, ranks, strict=True)
            if other_rank == rank or (other_rank < rank and _within(own, other))
        )
        found.append(Row(row.entry, row.result, rank, level))
    return sorted(found, key=lambda row: (row.rank or 0, row.model.name.casefold(), row.model.name))


def _within(one: Figure, other: Figure) -> bool:
    return abs(one.mean - other.mean) <= math.hypot(one.sd, other.sd)
