"""Tables from archives and folders: all lines, in order, splits in time, the same bytes, whole or not."""

import fcntl
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data

from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS, SPLITS
from biglog.data.tables import parquet, windows
from biglog.data.tables.build import build, iter_tables
from biglog.data.tables.leakage import overlaps
from biglog.data.tables.lines import KINDS, plan_lines, shard_tasks, write_lines
from biglog.data.tables.runs import ReadTask, SourceItem, read_sources
from biglog.errors import BigLogError, InputError, OutputError
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import normal_forms

HERE = LocalExecutor(1)


def lines_of(domain):
    return (LINES / f"{domain}.log").read_text().splitlines()


def linux_log(count, step=7):
    """Real lines, at real intervals from each other; several share a second."""
    begin = datetime(2005, 6, 14, 15, 16, 1)
    texts = lines_of("Linux")
    stamps = (begin + timedelta(seconds=number // 3 * step) for number in range(count))
    return [f"{stamp:%b %d %H:%M:%S}{texts[n % 5][15:]}" for n, stamp in enumerate(stamps)]


def hadoop_zip(folder, applications=10, containers=2):
    """An archive as it is published, its containers a minute apart."""
    name = folder / "Hadoop.zip"
    normal = [f"application_1445087491445_{number:04}" for number in range(applications)]
    with zipfile.ZipFile(name, "w") as archive:
        faults = "\n".join(f"+ {one}" for one in normal[applications // 2 :])
        kept = "\n".join(f"+ {one}" for one in normal[: applications // 2])
        archive.writestr("abnormal_label.txt", f"### WordCount\nNormal:\n{kept}\n\nMachine down:\n{faults}\n")
        for number, application in enumerate(normal):
            for container in range(containers):
                text = "\n".join(lines_of("Hadoop")).replace(" 18:", f" {10 + number % 10}:") + "\n"
                place = f"{application}/container_{application[12:]}_01_{container + 1:06}.log"
                archive.writestr(place, text)
        archive.writestr(f"{normal[0]}/container_1445087491445_0000_01_000099.log", "")
    return name


def read(folder, table, split=None):
    paths = sorted(Path(folder).glob(f"{table}/{split or '*'}-*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths]) if paths else None


def tree(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def linux(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "Linux.log").write_text("\n".join(linux_log(100)) + "\n")
    return folder


def test_lines_in_order_of_time_with_all_columns(linux, tmp_path):
    report = build("linux", linux, tmp_path / "out", tables=("lines",), executor=HERE)
    assert report.domain == "Linux"
    table = read(report.folder, "lines").sort("line_id")
    assert table.to_arrow().column_names == SCHEMAS["lines"].names
    assert table["line_id"].to_list() == list(range(100))
    assert table["line_number"].to_list() == list(range(1, 101))
    assert table["timestamp"].is_sorted()
    assert table["timestamp"][0].year == 2005
    assert table["source"].unique().to_list() == ["Linux.log"]
    assert table["normal_form"].equals(normal_forms(table["content"]))
    assert table["has_header"].all()
    assert table["is_anomaly"].null_count() == 100


def test_no_moment_is_in_two_splits(linux, tmp_path):
    report = build("Linux", linux, tmp_path / "out", tables=("lines",), executor=HERE)
    parts = [read(report.folder, "lines", split) for split in SPLITS]
    # Three lines share each second: cuts at 80 and 90 go to the nearest second.
    assert [len(part) for part in parts] == [81, 9, 10]
    for before, after in pairwise(parts):
        assert before["timestamp"].max() < after["timestamp"].min()
    assert report.rows["lines"] == {"train": 81, "validation": 9, "test": 10}


def test_small_shards_small_runs_other_processes_same_rows(linux, tmp_path):
    def lines(name, run_rows, shard_bytes, executor):
        runs = tmp_path / name / "runs"
        runs.mkdir(parents=True)
        item = SourceItem(0, str(linux / "Linux.log"), "Linux.log", 2005)
        found = read_sources(ReadTask(0, "Linux", (item,), runs, run_rows=run_rows)).runs
        plan = plan_lines(found, shard_bytes=shard_bytes, slice_rows=run_rows)
        tasks = shard_tasks(plan, tmp_path / name / "lines", tmp_path / name / "prints", None)
        results = list(executor.map(write_lines, tasks))
        prints = {
            split: [tmp_path / name / "prints" / one.name for one in results if one.split == split]
            for split in SPLITS
        }
        return read(tmp_path / name, "lines").sort("line_id"), results, overlaps(prints, KINDS)

    whole, one, shared = lines("whole", 1 << 18, 1 << 30, HERE)
    with LocalExecutor(2) as executor:
        cut, many, shared_by_many = lines("cut", 6, 3000, executor)
    assert (len(one), len(many) > 6) == (3, True)
    assert whole.equals(cut)
    assert shared == shared_by_many


def test_lines_without_time(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    timed = linux_log(50)
    (folder / "Linux.log").write_text("\n".join(["first words", "of the log", *timed, "  and last"]) + "\n")
    (folder / "Linux_plain.log").write_text("".join(f"line {number} of a list\n" for number in range(30)))
    report = build("Linux", folder, tmp_path / "out", tables=("lines",), executor=HERE)
    table = read(report.folder, "lines").sort("line_id")
    log = table.filter(pl.col("source") == "Linux.log")
    assert log["line_number"].to_list() == list(range(1, 54))
    assert log["timestamp"].null_count() == 2
    assert log["timestamp"][-1] == log["timestamp"][-2]
    for split, size in zip(SPLITS, (24, 3, 3), strict=True):
        part = read(report.folder, "lines", split)
        plain = part["source"] == "Linux_plain.log"
        assert plain.sum() == size
        assert plain.is_sorted()  # behind all that have a time
    record = report.record["sources"][0]
    assert record["exceptions"]["without_header"] == {"count": 3, "first_lines": [1, 2, 53]}


def test_a_clock_that_goes_back_is_reported_and_sorted(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = lines_of("HPC")
    stamps = [1_100_000_000 + step for step in (0, 60, 30, 90, 10)]
    swapped = []
    for line, stamp in zip(log, stamps, strict=True):
        fields = line.split(" ")
        fields[4] = str(stamp)
        swapped.append(" ".join(fields))
    (folder / "HPC.log").write_text("\n".join(swapped) + "\n")
    report = build("HPC", folder, tmp_path / "out", tables=("lines",), executor=HERE)
    assert read(report.folder, "lines").sort("line_id")["line_number"].to_list() == [1, 5, 3, 2, 4]
    clock = report.record["sources"][0]["clock"]
    assert clock["lines_before_an_earlier_line"] == 2
    assert clock["first_lines"] == [3, 5]
    assert clock["largest_step_back_seconds"] == 80


def test_hadoop_as_published(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    hadoop_zip(folder)
    with LocalExecutor(2) as executor:
        report = build("Hadoop", folder, tmp_path / "out", executor=executor)
    assert report.lines == 10 * 2 * 5
    table = read(report.folder, "lines").sort("line_id")
    assert len(table) == 100
    assert table["timestamp"].is_sorted()
    first = table.row(0, named=True)
    assert first["source"].startswith("Hadoop.zip::application_1445087491445_0000/container_")
    assert (first["session_id"], first["is_anomaly"]) == ("application_1445087491445_0000", False)
    assert table["is_anomaly"].sum() == 50
    groups = read(report.folder, "windows")
    assert groups["group_id"].n_unique() == len(groups) == 10
    assert report.rows["windows"] == {"train": 8, "validation": 1, "test": 1}
    assert groups["line_ids"].list.len().to_list() == [10] * 10
    assert groups["is_anomaly"].sum() == 5
    assert {row["kind"]: row["shared"] for row in report.record["tables"]["windows"]["leakage"]["overlaps"]}[
        "group"
    ] == 0
    assert len(report.record["sources"]) == 21
    assert set(report.record["missing_tables"]) == {"templates"}
    archive = hashlib.sha256((folder / "Hadoop.zip").read_bytes()).hexdigest()
    assert report.record["files"] == {"Hadoop.zip": archive}
    assert {source["sha256"] for source in report.record["sources"]} == {archive}


def test_sessions_of_hdfs_with_labels(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    texts = lines_of("HDFS")
    blocks = [f"blk_{number}" for number in range(-5, 5)]
    log = [
        f"081109 20{n // 60:02}{n % 60:02}{texts[n % 5][13:].split('blk_')[0]}{blocks[n % 10]} end"
        for n in range(60)
    ]
    log.append(f"081109 230000 13 INFO dfs.FSNamesystem: BLOCK* ask to delete {blocks[0]} {blocks[9]}")
    (folder / "HDFS.log").write_text("\n".join(log) + "\n")
    labels = [f"{block},{'Anomaly' if n == 9 else 'Normal'}" for n, block in enumerate(blocks)]
    (folder / "anomaly_label.csv").write_text("\n".join(["BlockId,Label", *labels]) + "\n")
    report = build("HDFS", folder, tmp_path / "out", executor=HERE)
    groups = read(report.folder, "windows").sort(pl.col("line_ids").list.first())
    assert groups["group_id"].to_list() == blocks
    assert groups["line_ids"].list.last().to_list() == [60, *range(51, 59), 60]
    assert groups["label"].to_list() == ["Normal"] * 9 + ["Anomaly"]
    lines = read(report.folder, "lines").sort("line_id")
    assert lines["session_id"][60] == blocks[0]
    assert lines.filter("is_anomaly")["session_id"].unique().to_list() == [blocks[9]]
    for split in SPLITS:
        part = read(report.folder, "windows", split)
        for ids, contents in part.select("line_ids", "contents").iter_rows():
            assert lines["content"].gather(ids).to_list() == contents


@pytest.mark.parametrize("options", [{"window_lines": 7}, {"window_lines": 7, "stride_lines": 3}])
def test_windows_by_count_stay_in_their_split(linux, tmp_path, options):
    report = build("Linux", linux, tmp_path / "out", tables=("lines", "windows"), executor=HERE, **options)
    stride = options.get("stride_lines", 7)
    for split in SPLITS:
        ids = read(report.folder, "lines", split)["line_id"].to_list()
        starts = [at for at in range(0, len(ids), stride) if at == 0 or at - stride + 7 < len(ids)]
        found = read(report.folder, "windows", split)
        assert found["line_ids"].to_list() == [ids[at : at + 7] for at in starts]
        assert found["grouping"].unique().to_list() == [f"count:7/{stride}"]
    assert read(report.folder, "windows")["group_id"].is_unique().all()


@pytest.mark.parametrize(
    "options", [{"window_lines": 7, "stride_lines": 3}, {"window_seconds": 50, "stride_seconds": 20}]
)
def test_windows_do_not_depend_on_how_many_lines_are_grouped_at_a_time(linux, tmp_path, options, monkeypatch):
    whole = build("Linux", linux, tmp_path / "whole", tables=("windows",), executor=HERE, **options)
    monkeypatch.setattr(windows, "BUCKET_ROWS", 9)
    monkeypatch.setitem(parquet.ROW_GROUP_ROWS, "lines", 5)
    parts = build("Linux", linux, tmp_path / "parts", tables=("windows",), executor=HERE, **options)
    for split in SPLITS:
        assert read(whole.folder, "windows", split).equals(read(parts.folder, "windows", split))


def test_windows_by_time_hold_the_lines_of_their_time(linux, tmp_path):
    options = {"window_seconds": 60, "stride_seconds": 30}
    report = build("Linux", linux, tmp_path / "out", tables=("lines", "windows"), executor=HERE, **options)
    for split in SPLITS:
        lines = read(report.folder, "lines", split)
        seconds = dict(zip(lines["line_id"], lines["timestamp"].dt.epoch("s"), strict=True))
        begins = sorted(
            {begin for second in seconds.values() for begin in (second // 30 * 30, second // 30 * 30 - 30)}
        )
        wanted = [
            [line for line, second in seconds.items() if begin <= second < begin + 60] for begin in begins
        ]
        assert read(report.folder, "windows", split)["line_ids"].to_list() == wanted


def test_a_second_build_is_the_same_to_the_byte(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    hadoop_zip(folder, applications=40, containers=4)  # more sources than one task takes
    first = build("Hadoop", folder, tmp_path / "first", executor=HERE)
    with LocalExecutor(2) as executor:
        second = build("Hadoop", folder, tmp_path / "second", executor=executor)
        again = build("Hadoop", folder, tmp_path / "second", executor=executor)
    assert tree(first.folder) == tree(second.folder) == tree(again.folder)
    assert [path.name for path in (tmp_path / "second").iterdir()] == ["Hadoop"]


KILLED = """
import os, signal, sys
from biglog.data.tables.build import build
from biglog.data.executors import LocalExecutor
class Kills:
    def redact(self, texts):
        if texts.name == "host":
            os.kill(os.getpid(), signal.SIGKILL)
        return texts
build("Linux", sys.argv[1], sys.argv[2], executor=LocalExecutor(1), redactor=Kills())
"""


def test_a_killed_build_leaves_nothing_half(linux, tmp_path):
    out = tmp_path / "out"
    before = build("Linux", linux, out, tables=("lines",), executor=HERE, shard_bytes=2000)
    kept = tree(before.folder)
    done = subprocess.run([sys.executable, "-c", KILLED, str(linux), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert tree(before.folder) == kept
    assert (out / ".Linux.building").is_dir()
    after = build("Linux", linux, out, executor=HERE)
    fresh = build("Linux", linux, tmp_path / "fresh", executor=HERE)
    assert tree(after.folder) == tree(fresh.folder)
    assert [path.name for path in out.iterdir()] == ["Linux"]


def test_a_failing_build_leaves_what_was_there(linux, tmp_path):
    out = tmp_path / "out"
    kept = tree(build("Linux", linux, out, executor=HERE).folder)
    (linux / "Linux_b.log").write_bytes(b"\x7fELF" + b"\0" * 100)
    with pytest.raises(InputError, match=r"Linux_b\.log"):
        build("Linux", linux, out, executor=HERE)
    assert tree(out / "Linux") == kept
    assert [path.name for path in out.iterdir()] == ["Linux"]


def test_two_builds_of_a_domain_at_a_time(linux, tmp_path):
    with (tmp_path / ".Linux.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="already"):
            build("Linux", linux, tmp_path, executor=HERE)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tables": ("line",)}, "unknown table 'line'"),
        ({"tables": ("failures",)}, "no table of failures"),
        ({"window_lines": 5, "window_seconds": 5}, "more than one way"),
        ({"window_lines": 5, "stride_lines": 6}, "leave lines out"),
    ],
)
def test_what_cannot_be_built(linux, tmp_path, options, problem):
    with pytest.raises(InputError, match=problem):
        build("Linux", linux, tmp_path / "out", executor=HERE, **options)
    assert not (tmp_path / "out" / "Linux").exists()


class Hides:
    def redact(self, texts):
        return texts.str.replace_all("218.188.2.4", "10.0.0.1", literal=True)


def test_a_redactor_works_before_anything_is_written(linux, tmp_path):
    plain = build("Linux", linux, tmp_path / "plain", tables=("lines",), executor=HERE)
    hidden = build("Linux", linux, tmp_path / "hidden", tables=("lines",), executor=HERE, redactor=Hides())
    assert read(plain.folder, "lines")["content"].str.contains("218.188.2.4", literal=True).any()
    table = read(hidden.folder, "lines")
    assert not table["content"].str.contains("218.188.2.4", literal=True).any()
    assert table["content"].str.contains("10.0.0.1", literal=True).any()
    assert table["normal_form"].equals(read(plain.folder, "lines")["normal_form"])


def test_tables_row_group_by_row_group(linux):
    tables = list(iter_tables("Linux", linux, "lines", executor=HERE))
    assert [split for split, _ in tables] == list(SPLITS)
    assert sum(table.num_rows for _, table in tables) == 100
    assert all(table.schema.equals(SCHEMAS["lines"]) for _, table in tables)


def sized(error):
    raise error


def raises(text):
    raise InputError("bad", where=text, line=3, remedy="Mend it")


def dies(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_errors_come_back_from_processes_whole():
    with LocalExecutor(2) as executor:
        with pytest.raises(BigLogError) as caught:
            list(executor.map(raises, ["a.log", "b.log"]))
        assert str(caught.value) == "a.log:3: bad. Mend it"
        assert (caught.value.problem, caught.value.line) == ("bad", 3)
        with pytest.raises(OutputError, match="worker process died"):
            list(executor.map(dies, [1, 2]))
        assert list(executor.map(len, ["a", "bb"])) == [1, 2]


def samples_of(folder, source, domain):
    place = folder / domain
    place.mkdir()
    (place / f"{domain}_2k.log").symlink_to(source)
    return place


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_five_lines_of_every_domain(domain, tmp_path):
    folder = samples_of(tmp_path, LINES / f"{domain}.log", domain)
    report = build(domain, folder, tmp_path / "out", tables=("lines", "windows"), executor=HERE)
    assert report.lines == sum(report.rows["lines"].values()) == 5
    assert report.record["from_sample"]
    assert "evaluation data" in report.record["note"]
    table = read(report.folder, "lines").sort("line_id")
    assert table["timestamp"].is_sorted()
    assert table["timestamp"].null_count() == 0


@needs_data
@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_two_thousand_lines_of_every_domain(domain, tmp_path):
    sample = DATA / "loghub_2k" / domain / f"{domain}_2k.log"
    folder = samples_of(tmp_path, sample, domain)
    report = build(domain, folder, tmp_path / "out", tables=("lines",), executor=HERE)
    text = sample.read_bytes()
    assert sum(report.rows["lines"].values()) == text.count(b"\n") + (not text.endswith(b"\n")) == 2000
    assert report.record["sources"][0]["exceptions"] == {}


@needs_data
@pytest.mark.slow
def test_all_of_hdfs(tmp_path):
    report = build("HDFS", DATA, tmp_path)
    assert report.lines == 24_519
    assert sum(report.rows["windows"].values()) == 1_782
    groups = read(report.folder, "windows")
    labels = pl.read_csv(DATA / "anomaly/hdfs/HDFS_first20k.blocks.csv").rename({"block_id": "group_id"})
    both = groups.select("group_id", "is_anomaly").join(labels, on="group_id")
    assert len(both) == 1_782
    assert (both["is_anomaly"] == (both["label"] == 1)).all()
    # Blocks of the sample are whole there, and only there.
    whole = pl.read_csv(DATA / "anomaly/hdfs/HDFS_sample_4519.blocks.csv")["block_id"]
    lengths = groups.filter(pl.col("group_id").is_in(whole.to_list()))["line_ids"].list.len()
    assert (len(lengths), lengths.sum()) == (110, 4_519)
    found = report.record["tables"]["lines"]["leakage"]["sample_2k"]
    assert all(row["sample_lines"] == 2000 for row in found)


@needs_data
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_of_hadoop(tmp_path):
    report = build("Hadoop", DATA, tmp_path)
    lines = 0
    with zipfile.ZipFile(DATA / "anomaly/hadoop/Hadoop.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".log"):
                text = archive.read(name)
                lines += text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
    assert report.lines == sum(report.rows["lines"].values()) == lines
    assert sum(report.rows["windows"].values()) == 55
    labels = pl.read_csv(DATA / "anomaly/hadoop/labels.csv")
    groups = read(report.folder, "windows").join(labels, left_on="group_id", right_on="application_id")
    assert (groups["is_anomaly"] == (groups["label_right"] == 1)).all()
    record = json.loads((Path(report.folder) / "build.json").read_text())
    assert record == report.record


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("domain", sorted(set(DOMAINS) - {"Android", "Hadoop", "Spark"}))
def test_every_line_of_every_raw_log_is_a_row(domain, tmp_path):
    report = build(domain, DATA, tmp_path, tables=("lines",))
    table = read(report.folder, "lines")
    rows = dict(table.group_by("source").len().iter_rows())
    for name, count in rows.items():
        text = gzip.decompress((DATA / name).read_bytes())
        assert count == text.count(b"\n") + (not text.endswith(b"\n"))
    assert report.lines == len(table) == sum(rows.values())
    assert set(rows) == {source["name"] for source in report.record["sources"]}
    assert sorted(table["line_id"]) == list(range(len(table)))
