"""Histories: only what had been logged by their moment, labels that follow it, times in all their forms."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from checkpoints import tiny_encoder
from data_path import DATA, needs_data
from failure_logs import BEGIN, lines_and_failures
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from biglog.data.executors import LocalExecutor
from biglog.data.tables.build import build
from biglog.errors import InputError
from biglog.tasks.failure.clock import microseconds
from biglog.tasks.failure.features import BLOCKS, Features
from biglog.tasks.failure.histories import histories, labels_of, since_failures
from biglog.tasks.failure.moments import latest, moments, read_failures, read_lines

DAY = 86_400


def table_of(history=DAY, horizon=3600, grid=600):
    lines, failures = lines_and_failures(days=12)
    read, listed = read_lines(lines), read_failures(failures)
    made = moments(read, listed, history_seconds=history, horizon_seconds=horizon, grid_seconds=grid)
    return made, read, listed


@settings(max_examples=20)
@given(st.integers(600, 3 * DAY), st.integers(60, DAY), st.integers(60, 7200))
def test_nothing_is_later_than_its_moment_and_labels_are_what_follows(history, horizon, grid):
    assume(grid <= history)
    table, lines, failures = table_of(history, horizon, grid)
    failed = {
        node: sorted(part["time"].to_list())
        for (node,), part in failures.partition_by("group_id", as_dict=True).items()
    }
    seen = histories(table)
    assert (seen.ages >= 0).all()
    assert (seen.ages < history).all()
    for row in table.sample(min(len(table), 20), seed=1).iter_rows(named=True):
        moment = round(row["time"].timestamp() * 1_000_000)
        own = lines.filter(
            pl.col("group_id") == row["group_id"],
            pl.col("time") <= moment,
            pl.col("time") > moment - history * 1_000_000,
        )
        assert row["normal_forms"] == own["normal_form"].to_list() != []
        times = failed.get(row["group_id"], [])
        later = times[bisect_right(times, moment) :][:1]
        assert row["is_failure"] == (bool(later) and later[0] - moment <= horizon * 1_000_000)
        if row["is_failure"]:
            assert row["seconds_to_failure"] == (later[0] - moment) / 1_000_000


def test_a_line_later_than_its_moment_is_refused():
    table, _, _ = table_of()
    with pytest.raises(InputError, match="later than its moment"):
        histories(table.with_columns(pl.col("time") - pl.duration(hours=3)))


def test_the_last_moment_of_each_component():
    lines, _ = lines_and_failures(days=3)
    read = read_lines(lines)
    at = BEGIN + timedelta(days=2)
    told = latest(read, history_seconds=3600, now=at)
    assert told["group_id"].to_list() == ["node-0", "node-1", "node-2"]
    assert all(time <= at for times in told["times"] for time in times)
    with pytest.raises(InputError, match="no line lies within"):
        latest(read, history_seconds=60, now=BEGIN - timedelta(days=1))


def test_many_components_within_a_minute_are_maintenance():
    failures = pl.DataFrame({"time": [100.0] * 5 + [500.0], "component": [*"abcde", "a"]})
    assert read_failures(failures)["maintenance"].to_list() == [True] * 5 + [False]


def test_times_in_all_their_forms():
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    expected = [round(moment.timestamp()) * 1_000_000]
    for given_ in (
        ["2024-05-01T12:00:00"],
        ["2024-05-01 14:00:00+02:00"],
        [str(moment.timestamp())],
        [int(moment.timestamp())],
        [moment.timestamp()],
        [moment],
    ):
        assert microseconds(pl.Series(given_)).tolist() == expected


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([1.0, float("nan")], "1 of 2 values"),
        ([None, 1.0], "are missing, the first in row 0"),
        (["noon"], "is no time"),
        ([1_714_564_800_000.0 * 1000], "Milliseconds"),
    ],
)
def test_times_that_are_none(times, said):
    with pytest.raises(InputError, match=said):
        microseconds(pl.Series(times))


def test_tables_that_cannot_be():
    table, _, _ = table_of()
    with pytest.raises(InputError, match="lacks normal_forms"):
        histories(table.drop("normal_forms"))
    with pytest.raises(InputError, match="has no lines"):
        histories(table.with_columns(normal_forms=pl.lit([], dtype=pl.List(pl.String))).head(2))
    with pytest.raises(InputError, match="2 labels for"):
        labels_of(table, [True, False], len(table))
    with pytest.raises(InputError, match="above 0"):
        table_of(horizon=-1)
    with pytest.raises(InputError, match="Give a longer history"):
        table_of(history=600, grid=1799)
    with pytest.raises(InputError, match="is empty"):
        read_failures(pl.DataFrame({"time": []}))


def test_seconds_since_the_last_failure():
    failures = pl.DataFrame({"group_id": ["a", "a", "b"], "time": [10_000_000, 20_000_000, 15_000_000]})
    ids = pl.Series(["a", "a", "b", "c", "a"])
    found = since_failures(ids, np.array([5, 12, 15, 99, 30]) * 1_000_000, failures)
    np.testing.assert_array_equal(found, [np.nan, 2.0, 0.0, np.nan, 10.0])


def test_features_one_by_one_are_those_of_all():
    table, _, _ = table_of()
    seen = histories(table, encode=tiny_encoder().encode_normal_forms)
    for block in BLOCKS:
        features = Features([block]).fit(seen)
        whole = features.transform(seen)
        assert whole.shape == (len(seen), len(features.names(seen)))
        for row in (0, 7, len(seen) - 1):
            alone = histories(table[row : row + 1], encode=tiny_encoder().encode_normal_forms)
            one, other = features.transform(alone)[0], whole[row]
            if block == "text":
                one, other = one.toarray(), other.toarray()
            np.testing.assert_array_equal(np.ravel(one), np.ravel(other), err_msg=block)
    with pytest.raises(InputError, match="no block"):
        Features(["moon"])
    with pytest.raises(InputError, match="need embeddings"):
        Features(["pooled"]).fit(histories(table))


@needs_data
def test_moments_are_those_of_the_table_of_failures(tmp_path):
    """A slice of the real log: histories made here are those that the table of failures has."""
    build("HPC", DATA, tmp_path, tables=("lines", "failures"), executor=LocalExecutor(1))
    folder = tmp_path / "HPC"
    table = pl.read_parquet(folder / "failures" / "train-*.parquet")
    lines = pl.concat([pl.read_parquet(path) for path in sorted((folder / "lines").glob("*.parquet"))])
    changes = pl.read_csv(DATA / "anomaly" / "hpc_failures" / "node_state_changes.csv")
    listed = changes.filter(pl.col("state") == "unavailable").select("component", time="unix_time")
    nodes = ["node-0", "node-153", "node-233"]
    mine = lines.filter(pl.col("host").is_in(nodes), pl.col("timestamp").is_not_null())
    mine = mine.sort("timestamp", "line_id").select("normal_form", group_id="host", time="timestamp")
    made = moments(
        read_lines(mine), read_failures(listed), history_seconds=DAY, horizon_seconds=3600, grid_seconds=600
    )
    theirs = table.filter(pl.col("horizon_seconds") == 3600, pl.col("group_id").is_in(nodes))
    columns = ["group_id", "time", "is_failure", "maintenance", "seconds_to_failure", "normal_forms"]
    both = made.join(theirs.select("group_id", "time"), on=["group_id", "time"], how="semi")
    assert len(theirs) > 100
    assert (
        both.select(columns).sort("group_id", "time").equals(theirs.select(columns).sort("group_id", "time"))
    )
