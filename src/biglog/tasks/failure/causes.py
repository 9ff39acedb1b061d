"""What preceded failures: events and components that came before them more than at other times.

Histories overlap, so lines and histories are no independent cases. Failures are counted once each, with all
forms of the histories before them; other time is counted in periods of one history's length, by component.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import xlogy

from biglog.tasks.failure.clock import SECOND, microseconds
from biglog.tasks.failure.histories import Histories
from biglog.tasks.groups import Floats

RiskOf = Callable[[Histories], Floats]
"""Histories to their risks, shape (histories,)."""

_AT_ONCE: Final = 4096

PRIOR: Final = 0.5
"""Cases that are added to each count, so that none is 0."""


def precursors(histories: Histories, table: pl.DataFrame) -> pl.DataFrame:
    """Contrasts the forms of histories before failures with those of other time.

    The measures are the log odds ratio, half a case added to each of the four cells (Haldane, Annals of
    Human Genetics 1956), and how surprising it is: the root of the likelihood ratio (Dunning, "Accurate
    methods for the statistics of surprise and coincidence", Computational Linguistics 1993), which a normal
    z-score may be compared with also where a form is rare. Many forms are compared: below 3 or 4 it says
    little.

    Args:
        histories: Histories.
        table: Their table: is_failure, group_id, time, and perhaps seconds_to_failure.

    Returns:
        One row a form, highest z first: `normal_form`, `failures` (that it preceded, of all), `share` of
        them, `other_share` of other periods, `lift`, `log_odds` and `z`.
    """
    cases, of_failure = _cases(histories, table)
    present = _present(histories, cases)
    failures, others = int(of_failure.sum()), int((~of_failure).sum())
    with_failure = np.asarray(present[of_failure].sum(axis=0)).ravel()
    with_other = np.asarray(present[~of_failure].sum(axis=0)).ravel()
    log_odds, z = _log_odds(with_failure, failures, with_other, others)
    share, other_share = with_failure / max(failures, 1), with_other / max(others, 1)
    lift = ((with_failure + PRIOR) / (failures + 2 * PRIOR)) / ((with_other + PRIOR) / (others + 2 * PRIOR))
    found = pl.DataFrame(
        {
            "normal_form": histories.groups.forms,
            "failures": with_failure.astype(np.int64),
            "share": share,
            "other_share": other_share,
            "lift": lift,
            "log_odds": log_odds,
            "z": z,
        }
    )
    return found.filter((pl.col("share") > 0) | (pl.col("other_share") > 0)).sort(
        "z", "normal_form", descending=[True, False]
    )


def components(histories: Histories, table: pl.DataFrame) -> pl.DataFrame:
    """Tells which components failed more often than all of them do.

    Args:
        histories: Histories.
        table: Their table, as of `precursors`.

    Returns:
        One row a component, most failures first: `group_id`, `failures`, `periods` of other time, and `lift`,
        failures by time over those of all components, `PRIOR` added.
    """
    cases, of_failure = _cases(histories, table)
    owner = pl.DataFrame({"case": cases, "group_id": histories.groups.ids}).unique("case").sort("case")
    told = owner.with_columns(of_failure=pl.Series(of_failure))
    rows = told.group_by("group_id").agg(
        failures=pl.col("of_failure").sum().cast(pl.Int64),
        periods=(~pl.col("of_failure")).sum().cast(pl.Int64),
    )
    share = float(of_failure.mean())
    lift = (pl.col("failures") + PRIOR * share) / (pl.col("failures") + pl.col("periods") + PRIOR) / share
    return rows.with_columns(lift=lift).sort("failures", "lift", "group_id", descending=[True, True, False])


def _cases(histories: Histories, table: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The failure or period of each history as a number, and which numbers are failures."""
    fails = table["is_failure"].to_numpy()
    span = np.maximum(np.round(histories.spans * SECOND), 1).astype(np.int64)
    when = microseconds(table["time"], "time")
    if "seconds_to_failure" in table.columns:
        ahead = table["seconds_to_failure"].cast(pl.Float64).fill_null(0.0).to_numpy()
        failed = when + np.round(ahead * SECOND).astype(np.int64)
    else:
        failed = when
    keys = pl.DataFrame(
        {"group_id": histories.groups.ids, "fails": fails, "place": np.where(fails, failed, when // span)}
    )
    distinct = keys.unique(maintain_order=True).with_row_index("case")
    cases = keys.join(distinct, on=["group_id", "fails", "place"], how="left", maintain_order="left")["case"]
    return cases.to_numpy().astype(np.int64), distinct["fails"].to_numpy()


def _present(histories: Histories, cases: NDArray[np.int64]) -> Any:
    """Whether a case has a form in any of its histories, shape (cases, forms)."""
    ones = np.ones(len(cases))
    member = csr_matrix((ones, (cases, np.arange(len(cases)))), shape=(int(cases.max()) + 1, len(cases)))
    return ((member @ histories.counts) > 0).astype(np.int64)


def _log_odds(with_a: Floats, a: int, with_b: Floats, b: int) -> tuple[Floats, Floats]:
    """Log odds ratio of two shares, and the signed root of its likelihood ratio against one share of both."""
    cells = [with_a, a - with_a, with_b, b - with_b]
    has_a, lacks_a, has_b, lacks_b = (cell + PRIOR for cell in cells)
    log_odds = np.log(has_a / lacks_a) - np.log(has_b / lacks_b)
    share = (with_a + with_b) / (a + b)
    expected = [a * share, a * (1 - share), b * share, b * (1 - share)]
    ratio = 2 * sum(xlogy(cell, cell) - xlogy(cell, told) for cell, told in zip(cells, expected, strict=True))
    sign = np.sign(with_a / max(a, 1) - with_b / max(b, 1))
    return log_odds, sign * np.sqrt(np.maximum(ratio, 0.0))


def reasons(histories: Histories, risk_of: RiskOf, base_risk: float, top: int) -> pl.DataFrame:
    """Tells which forms a risk hangs on: by how much it falls where all their lines are left out.

    Args:
        histories: Histories.
        risk_of: Gives the risk of histories.
        base_risk: Risk of a history that would have no line left.
        top: The most forms of a history.

    Returns:
        Rows by history, the greatest change first: `history`, `group_id`, `normal_form`, `lines`,
        `risk_change`, `last_seconds` (age of the youngest line).
    """
    counts = histories.counts.tocoo()
    rows, forms, lines = counts.row.astype(np.int64), counts.col.astype(np.int64), counts.data
    kept = lines < histories.groups.sizes[rows]
    without = np.full(len(rows), base_risk)
    for begin in range(0, int(kept.sum()), _AT_ONCE):
        some = np.flatnonzero(kept)[begin : begin + _AT_ONCE]
        repeated = histories.take(rows[some])
        left = repeated.groups.codes != forms[some][repeated.groups.owners]
        without[some] = risk_of(repeated.keeping(left))
    change = risk_of(histories)[rows] - without
    youngest = pl.DataFrame(
        {"history": histories.groups.owners, "form": histories.groups.codes, "last_seconds": histories.ages}
    ).cast({"history": pl.Int64, "form": pl.Int64})
    found = pl.DataFrame({"history": rows, "form": forms, "lines": lines, "risk_change": change})
    found = found.join(
        youngest.group_by("history", "form").agg(pl.col("last_seconds").min()), on=["history", "form"]
    ).sort("history", "risk_change", "form", descending=[False, True, False])
    told = found.group_by("history", maintain_order=True).head(top)
    return told.select(
        "history",
        histories.groups.ids.gather(told["history"]).alias("group_id"),
        histories.groups.forms.gather(told["form"]).alias("normal_form"),
        "lines",
        "risk_change",
        "last_seconds",
    )
