"""From risks to alerts: a threshold chosen on validation data, by correlation or by what alarms may cost."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.metrics.prediction import Moments, at_budget
from biglog.tasks.failure.clock import SECOND, microseconds
from biglog.tasks.groups import Floats

VALIDATION_SHARE = 0.25
"""Share of the failures, the last ones, that a threshold is chosen by."""


def moments_of(table: pl.DataFrame) -> Moments:
    """Returns when and of whom predictions are asked, and what followed, as metrics take it.

    Args:
        table: Columns group_id, time and is_failure, and perhaps seconds_to_failure; without it a failure
            is taken to lie at the end of the horizon.
    """
    times = microseconds(table["time"], "time") / SECOND
    fails = table["is_failure"].to_numpy()
    if "seconds_to_failure" in table.columns:
        ahead = table["seconds_to_failure"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    else:
        horizon = table["horizon_seconds"] if "horizon_seconds" in table.columns else pl.Series([0.0])
        ahead = np.where(fails, float(horizon.cast(pl.Float64).fill_null(0.0)[0]), np.nan)
    return Moments.of(times, table["group_id"].to_numpy(), fails, ahead)


def best_threshold(labels: NDArray[np.bool_], risks: Floats) -> float:
    """Returns the threshold of the greatest Matthews' correlation; of equal ones the highest.

    It lies in the middle between the lowest risk that is an alert and the highest one that is none.

    Args:
        labels: Whether a failure followed, shape (n,), both classes.
        risks: Risk of each, shape (n,).
    """
    order = np.argsort(-risks, kind="stable")
    ranked, found = risks[order], np.cumsum(labels[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    true = found[last].astype(np.float64)
    alarms = (np.flatnonzero(last) + 1).astype(np.float64)
    failures, total = float(labels.sum()), float(len(labels))
    spread = alarms * (total - alarms) * failures * (total - failures)
    # (tp tn - fp fn) is (total tp - alarms failures).
    mcc = (total * true - alarms * failures) / np.sqrt(np.maximum(spread, 1e-12))
    best, levels = int(np.argmax(np.round(mcc, 12))), ranked[last]
    return float((levels[best] + levels[min(best + 1, len(levels) - 1)]) / 2)


def threshold_of(table: pl.DataFrame, risks: Floats, false_alarms_per_day: float | None = None) -> float:
    """Chooses a threshold; a risk that reaches it is an alert.

    Args:
        table: Histories of the validation: columns group_id, time, is_failure, perhaps seconds_to_failure.
        risks: Risk of each, shape (n,).
        false_alarms_per_day: What they may cost, of all components together; None chooses by correlation.

    Raises:
        InputError: No failure, or nothing else, is among them; or the budget is negative.
    """
    labels = table["is_failure"].to_numpy()
    if false_alarms_per_day is not None:
        if not false_alarms_per_day >= 0:
            raise InputError(
                f"a budget of {false_alarms_per_day} false alarms a day", remedy="Give 0 or more"
            )
        moments = moments_of(table)
        observed = float(np.ptp(moments.times)) or None
        if observed is None:
            raise InputError("all histories of the validation end at one moment", remedy="Give a longer log")
        return at_budget(risks, moments, false_alarms_per_day)
    if labels.all() or not labels.any():
        raise InputError(
            f"{int(labels.sum()):,} of {len(labels):,} histories of the validation precede a failure: no "
            "threshold can be chosen by them",
            remedy="Give more, or a budget of false alarms a day",
        )
    return best_threshold(labels, risks)


def split_by_time(table: pl.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Parts histories into those to learn from and, later, those to choose a threshold by.

    The cut is where the last quarter of the failures begins (at least one). Histories whose horizon reaches
    behind the cut are left out of the first, and those that reach back before it out of the second, unless
    none would be left.

    Args:
        table: Columns time, is_failure, and perhaps history_seconds and horizon_seconds.

    Returns:
        Positions of the histories of both.

    Raises:
        InputError: Fewer than two failures' moments are among them, or all fall into one part.
    """
    times = microseconds(table["time"], "time")
    labels = table["is_failure"].to_numpy()
    failing = np.sort(times[labels])
    if len(failing) < 2 or failing[0] == failing[-1]:
        raise InputError(
            f"{len(failing):,} of {len(labels):,} histories precede a failure: too few to learn from and to "
            "choose a threshold by",
            remedy="Give a longer log, a longer horizon, or histories for validation",
        )
    cut = failing[min(len(failing) - 1, int(np.ceil((1 - VALIDATION_SHARE) * len(failing))))]
    cut = cut if cut > failing[0] else failing[-1]
    ends, begins = times + _span(table, "horizon_seconds"), times - _span(table, "history_seconds")
    first, second = ends < cut, begins >= cut
    if not labels[first].any():
        first = times < cut
    if not labels[second].any():
        second = times >= cut
    return np.flatnonzero(first), np.flatnonzero(second)


def _span(table: pl.DataFrame, column: str) -> NDArray[np.int64]:
    if column not in table.columns:
        return np.zeros(len(table), dtype=np.int64)
    return np.round(table[column].cast(pl.Float64).fill_null(0.0).to_numpy() * SECOND).astype(np.int64)
