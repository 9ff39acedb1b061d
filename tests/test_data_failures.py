"""Histories: nothing in them is later than their moment, labels are what events say, splits keep apart."""

from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data

from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS, SPLITS
from biglog.data.tables.build import build
from biglog.errors import InputError

HERE = LocalExecutor(1)
BEGIN = int(datetime(2004, 12, 20, tzinfo=UTC).timestamp())
DAY = 86_400


def hpc(folder, days=400, nodes=7):
    """Real lines: a node logs twice a day and fails every hundred days; all fail on the tenth."""
    folder.mkdir()
    texts = (LINES / "HPC.log").read_text().splitlines()
    log, events = [], ["unix_time,line_number,component,state"]
    for day in range(days):
        for node in range(nodes):
            for hour in (1, 13):
                fields = texts[(day + node) % 5].split(" ")
                fields[1], fields[4] = f"node-{node}", str(BEGIN + day * DAY + hour * 3600 + node * 7)
                log.append(" ".join(fields))
            if day == 10 or (day + 13 * node) % 100 == 99:
                at = BEGIN + day * DAY + 13 * 3600 + 2000 + (0 if day == 10 else node)
                events.append(f"{at},{len(log)},node-{node},unavailable")
                events.append(f"{at + 60},{len(log)},node-{node},available")
        log.append(log[-1].replace(f"node-{nodes - 1}", "gige7"))
    (folder / "HPC.log").write_text("\n".join(log) + "\n")
    (folder / "node_state_changes.csv").write_text("\n".join(events) + "\n")
    return folder


def read(folder, table, split="*"):
    return pl.concat(
        pl.read_parquet(path) for path in sorted(Path(folder).glob(f"{table}/{split}-*.parquet"))
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    place = tmp_path_factory.mktemp("hpc")
    return build(
        "HPC", hpc(place / "logs"), place / "out", tables=("lines", "failures"), executor=HERE
    ), place / "logs"


def failures_of(logs):
    events = pl.read_csv(logs / "node_state_changes.csv").filter(pl.col("state") == "unavailable")
    return {
        node: sorted(part["unix_time"])
        for (node,), part in events.partition_by("component", as_dict=True).items()
    }


def test_labels_are_what_a_naive_search_says(built):
    report, logs = built
    events = failures_of(logs)
    table = read(report.folder, "failures")
    assert table.to_arrow().column_names == SCHEMAS["failures"].names
    assert set(table["horizon_seconds"]) == {3_600, 86_400}
    assert set(table["group_id"]) == {f"node-{n}" for n in range(7)}
    assert 0 < table["is_failure"].sum() < len(table)
    for row in table.sample(500, seed=1).iter_rows(named=True):
        moment, times = row["time"].timestamp(), events[row["group_id"]]
        later = times[bisect_right(times, moment) :][:1]
        fails = bool(later) and later[0] - moment <= row["horizon_seconds"]
        assert row["is_failure"] == fails
        assert row["seconds_to_failure"] == (later[0] - moment if fails else None)
        assert row["label"] == ("unavailable" if fails else "available")
        assert row["maintenance"] == (fails and later[0] // DAY == BEGIN // DAY + 10)


def test_a_history_is_what_was_logged_before(built):
    report, _ = built
    lines = read(report.folder, "lines").sort("line_id")
    for row in read(report.folder, "failures").sample(200, seed=2).iter_rows(named=True):
        own = lines.filter(
            pl.col("host") == row["group_id"],
            pl.col("timestamp") <= row["time"],
            pl.col("timestamp") > row["time"] - pl.duration(seconds=int(row["history_seconds"])),
        )
        assert row["line_ids"] == own["line_id"].to_list() != []
        assert row["normal_forms"] == own["normal_form"].to_list()
        assert (row["start"], row["end"]) == (own["timestamp"][0], own["timestamp"][-1])
        assert row["time"].timestamp() % 600 == 0
        assert (row["time"] - row["end"]).total_seconds() < 600


def test_splits_by_date_do_not_see_each_other(built):
    report, _ = built
    bounds = [datetime(2005, 1, 1, tzinfo=UTC), datetime(2005, 7, 1, tzinfo=UTC)]
    parts = [read(report.folder, "failures", split) for split in SPLITS]
    assert all(len(part) for part in parts)
    for bound, before, after in zip(bounds, parts, parts[1:], strict=False):
        reach = pl.col("time") + pl.duration(seconds=pl.col("horizon_seconds").cast(pl.Int64))
        assert before.select(reach.max()).item() < bound <= after["start"].min()
    last = read(report.folder, "lines")["timestamp"].max()
    assert parts[2].select(reach.max()).item() <= last
    for part in parts:
        assert part["time"].is_sorted()


def test_other_histories_and_horizons(built, tmp_path):
    _, logs = built
    report = build(
        "HPC", logs, tmp_path, tables=("failures",), executor=HERE, history_seconds=7_200, horizon_seconds=60
    )
    table = read(report.folder, "failures")
    assert set(table["horizon_seconds"]) == {60}
    assert table["line_ids"].list.len().max() == 1
    assert not table["is_failure"].any()
    for options in ({"history_seconds": 0}, {"horizon_seconds": -1}):
        with pytest.raises(InputError, match="above 0"):
            build("HPC", logs, tmp_path, tables=("failures",), executor=HERE, **options)


def test_a_damaged_list_of_failures(tmp_path):
    logs = hpc(tmp_path / "logs", days=3)
    (logs / "node_state_changes.csv").write_text("when,what\n1,2\n")
    with pytest.raises(InputError, match=r"node_state_changes\.csv"):
        build("HPC", logs, tmp_path / "out", executor=HERE)


@needs_data
def test_alerts_of_bgl(tmp_path):
    report = build("BGL", DATA, tmp_path, tables=("lines", "failures"), executor=HERE)
    lines = read(report.folder, "lines").sort("line_id")
    alerts = lines.filter("is_anomaly")["timestamp"].to_list()
    table = read(report.folder, "failures")
    assert read(report.folder, "failures", "test")["is_failure"].any()
    anomalous = set(lines.filter("is_anomaly")["line_id"])
    for row in table.iter_rows(named=True):
        assert not anomalous & set(row["line_ids"])
        later = alerts[bisect_right(alerts, row["time"]) :][:1]
        fails = bool(later) and (later[0] - row["time"]).total_seconds() <= 600
        assert row["is_failure"] == fails


def test_prefixes_of_hadoop(tmp_path):
    from test_data_build import hadoop_zip

    (tmp_path / "logs").mkdir()
    hadoop_zip(tmp_path / "logs")
    report = build(
        "Hadoop", tmp_path / "logs", tmp_path / "out", tables=("lines", "windows", "failures"), executor=HERE
    )
    table = read(report.folder, "failures")
    assert len(table) == 10 * 2 * 3
    assert sorted(table["line_ids"].list.len().unique()) == [2, 3, 4]
    assert table["is_failure"].sum() == 30
    assert table["horizon_seconds"].null_count() == 60
    for split in SPLITS:
        applications = set(read(report.folder, "failures", split)["group_id"].str.split("/").list.first())
        assert applications == set(read(report.folder, "windows", split)["group_id"])
