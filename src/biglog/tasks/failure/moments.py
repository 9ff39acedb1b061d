"""Histories of lines and a list of failures: moments on a grid of time, or the last one of each component.

As in the table of failures (`biglog.data.tables.failures`), a moment is asked for where a component has
logged a line since the grid point before: it is chosen by what was known then, never by what came after.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.tables.failures import MAINTENANCE_COMPONENTS
from biglog.errors import InputError
from biglog.logs.masking import normal_forms
from biglog.tasks.failure.clock import SECOND, microseconds

GRID_SHARE: Final = 6
"""Grid points within a horizon, where no grid is given."""

SYSTEM: Final = "system"
"""The component of lines that are not told apart."""

_TIME: Final = pl.Datetime("us", "UTC")


def read_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Returns lines as histories need them, by component, in order of time.

    Args:
        lines: Columns `time` (or `timestamp`), `normal_form` (or `content`), and perhaps `group_id` (or
            `component`); without it all lines are of one component, the system.

    Returns:
        Columns group_id, time (microseconds since 1970) and normal_form.

    Raises:
        InputError: A column is missing, or a line has no time.
    """
    time = _first(lines, "time", "timestamp")
    if "normal_form" in lines.columns:
        forms = lines["normal_form"].cast(pl.String)
    else:
        forms = normal_forms(lines[_first(lines, "content")].cast(pl.String).fill_null(""))
    named = next((name for name in ("group_id", "component") if name in lines.columns), None)
    groups = lines[named].cast(pl.String) if named else pl.Series([SYSTEM] * len(lines), dtype=pl.String)
    frame = pl.DataFrame(
        {"group_id": groups, "time": microseconds(lines[time], time), "normal_form": forms.fill_null("")}
    )
    return frame.filter(pl.col("group_id").is_not_null()).sort("group_id", "time", maintain_order=True)


def read_failures(failures: pl.DataFrame) -> pl.DataFrame:
    """Returns a list of failures as histories need it, in order of time.

    Args:
        failures: Columns `time`, and perhaps `component` (or `group_id`) and `maintenance`.

    Returns:
        Columns group_id, time (microseconds since 1970) and maintenance: whether many components failed
        within the same minute, unless the column says so itself.

    Raises:
        InputError: There is no column time, a time is missing, or there is no failure.
    """
    if failures.is_empty():
        raise InputError("the list of failures is empty", remedy="Without a failure nothing can be learnt")
    time = microseconds(failures[_first(failures, "time", "timestamp", "unix_time")], "time of a failure")
    named = next((name for name in ("group_id", "component") if name in failures.columns), None)
    groups = failures[named].cast(pl.String).fill_null(SYSTEM) if named else [SYSTEM] * len(failures)
    frame = pl.DataFrame({"group_id": groups, "time": time})
    if "maintenance" in failures.columns:
        frame = frame.with_columns(maintenance=failures["maintenance"].cast(pl.Boolean).fill_null(False))
    else:
        minute = pl.col("time") // (60 * SECOND)
        many = pl.col("group_id").n_unique().over(minute) >= MAINTENANCE_COMPONENTS
        frame = frame.with_columns(maintenance=many)
    return frame.unique(maintain_order=True).sort("time", "group_id")


def moments(
    lines: pl.DataFrame,
    failures: pl.DataFrame,
    *,
    history_seconds: float,
    horizon_seconds: float,
    grid_seconds: float | None = None,
) -> pl.DataFrame:
    """Makes histories with labels.

    Moments whose horizon reaches behind the last line are left out: nobody knows what followed.

    Args:
        lines: As `read_lines` returns them.
        failures: As `read_failures` returns them.
        history_seconds: Seconds that a predictor sees.
        horizon_seconds: How far labels reach.
        grid_seconds: Seconds between moments; None is a sixth of the horizon.

    Returns:
        Columns as of the table of failures, without line_ids and label, with `times` of the lines.

    Raises:
        InputError: A number of seconds is not positive, no moment has a line in its history, or none has its
            horizon within the log.
    """
    grid_seconds = horizon_seconds / GRID_SHARE if grid_seconds is None else grid_seconds
    _positive(history_seconds=history_seconds, horizon_seconds=horizon_seconds, grid_seconds=grid_seconds)
    grid = max(1, round(grid_seconds * SECOND))
    asked = lines.select("group_id", time=-(-pl.col("time") // grid) * grid).unique(maintain_order=True)
    last = lines["time"].max()
    horizon = round(horizon_seconds * SECOND)
    asked = asked.filter(pl.col("time") + horizon <= last)
    if asked.is_empty():
        raise InputError(
            f"no history has its horizon of {horizon_seconds:g} s within the log",
            remedy="Give a longer log or a shorter horizon",
        )
    table = _cut(lines, _told(asked, failures, horizon), history_seconds, horizon_seconds)
    if table.is_empty():
        raise InputError(
            f"no history of {history_seconds:g} s has a line at its moments, {grid_seconds:g} s apart",
            remedy="Give a longer history",
        )
    return table


def latest(lines: pl.DataFrame, *, history_seconds: float, now: datetime | None = None) -> pl.DataFrame:
    """Makes the history of each component that ends now.

    Args:
        lines: As `read_lines` returns them; what is later than now is not looked at.
        history_seconds: Seconds that a predictor sees.
        now: The moment; None is the time of the last line of all.

    Returns:
        Columns group_id, time, history_seconds, start, end, times and normal_forms; components without a
        line in this time are left out.

    Raises:
        InputError: No component has a line in this time.
    """
    _positive(history_seconds=history_seconds)
    end = int(lines["time"].to_numpy().max(initial=0)) if now is None else round(now.timestamp() * SECOND)
    asked = lines.filter(pl.col("time") <= end, pl.col("time") > end - round(history_seconds * SECOND))
    if asked.is_empty():
        raise InputError(
            f"no line lies within {history_seconds:g} s before the moment", remedy="Check the time given"
        )
    rows = asked.select("group_id").unique().sort("group_id").with_columns(time=pl.lit(end, dtype=pl.Int64))
    return _cut(lines, rows, history_seconds, None)


def _cut(
    lines: pl.DataFrame, rows: pl.DataFrame, history_seconds: float, horizon_seconds: float | None
) -> pl.DataFrame:
    """Adds to moments the lines of their histories."""
    keys, ends = _keys(lines, rows, round(history_seconds * SECOND))
    first = np.searchsorted(keys, ends - round(history_seconds * SECOND), "right")
    last = np.searchsorted(keys, ends, "right")
    positions = pl.DataFrame({"first": first, "last": last}).select(pl.int_ranges("first", "last"))
    at = positions.to_series().explode(empty_as_null=False)
    sizes = last - first
    owner = pl.Series("owner", np.repeat(np.arange(len(rows)), sizes))
    flat = lines.select(times="time", normal_forms="normal_form")[at].with_columns(owner)
    lists = flat.group_by("owner", maintain_order=True).agg("times", "normal_forms").drop("owner")
    found = rows.filter(pl.Series(sizes > 0)).hstack(lists)
    return found.with_columns(
        pl.col("time").cast(_TIME),
        pl.col("times").cast(pl.List(_TIME)),
        start=pl.col("times").list.first().cast(_TIME),
        end=pl.col("times").list.last().cast(_TIME),
        history_seconds=pl.lit(float(history_seconds)),
        horizon_seconds=pl.lit(horizon_seconds, dtype=pl.Float64),
    ).sort("time", "group_id")


def _told(asked: pl.DataFrame, failures: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Adds to moments whether a failure follows, how long it takes, and whether it is maintenance."""
    later = failures.select("group_id", "maintenance", failed="time").sort("failed")
    # The first failure strictly after the moment: join_asof takes equal ones too.
    told = asked.with_columns(after=pl.col("time") + 1).sort("after")
    found = told.join_asof(
        later, left_on="after", right_on="failed", by="group_id", strategy="forward", check_sortedness=False
    )
    fails = (pl.col("failed") - pl.col("time") <= horizon).fill_null(False)
    seconds = (pl.col("failed") - pl.col("time")) / SECOND
    return found.with_columns(
        is_failure=fails,
        seconds_to_failure=pl.when(fails).then(seconds),
        maintenance=fails & pl.col("maintenance").fill_null(False),
    ).drop("after", "failed")


def _keys(lines: pl.DataFrame, rows: pl.DataFrame, reach: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Component and time in one number, in order of both, of lines and of moments."""
    groups = pl.concat([lines["group_id"], rows["group_id"]]).unique().sort()
    places = groups.to_frame().with_row_index("code")
    times = np.concatenate([lines["time"].to_numpy(), rows["time"].to_numpy()])
    begin = int(times.min(initial=0)) - reach
    step = int(times.max(initial=0)) - begin + 1
    found = []
    for frame in (lines, rows):
        code = frame.select("group_id").join(places, on="group_id", how="left", maintain_order="left")["code"]
        found.append((code.cast(pl.Int64) * step + (frame["time"] - begin)).to_numpy())
    return found[0], found[1]


def _first(frame: pl.DataFrame, *names: str) -> str:
    found = next((name for name in names if name in frame.columns), None)
    if found is None:
        raise InputError(
            f"the table has no column {' or '.join(names)}", remedy=f"It has {', '.join(frame.columns)}"
        )
    return found


def _positive(**seconds: float) -> None:
    for name, value in seconds.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} cannot be {value:g}", remedy="Give seconds above 0")
