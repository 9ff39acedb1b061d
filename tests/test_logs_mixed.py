"""Several formats in one file: every record is read by its own."""

import io
import random

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st
from test_logs_formats_data import EXPECTED

from biglog.logs.record import read_logs


def read(data, **options):
    """Frame and report row of bytes read as a stream."""
    reader = read_logs(io.BytesIO(data), **options)
    return reader.read().drop("source"), reader.report.sources[0]


def sample(name):
    data = (DATA / "formats" / name).read_bytes()
    return data if data.endswith(b"\n") else data + b"\n"


SYSLOG = b"Jun 14 15:16:%02d combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0\n"
ISO = b"2015-10-18T18:01:%02dZ combo cron[7]: job %d done\n"
JSON = b'{"time": "2024-05-01T10:00:%02dZ", "level": "warn", "msg": "slow", "n": %d}\n'
JOURNAL = b"__REALTIME_TIMESTAMP=16811636730%02d286\nMESSAGE=up %d\n_PID=1\n\n"
ROWS = (SYSLOG, ISO, JSON, JOURNAL)


def fill(row, number):
    return row % ((number % 60, number) if row.count(b"%") > 1 else number % 60)


@pytest.mark.parametrize("seed", range(3))
def test_formats_that_take_turns(seed):
    turns = random.Random(seed).choices(range(4), k=400)
    data = b"".join(fill(ROWS[turn], number) for number, turn in enumerate(turns))
    frame, report = read(data)
    names = ("Linux", "syslog-iso", "json", "journald-export")
    assert frame["layout"].to_list() == [names[turn] for turn in turns]
    assert frame["has_header"].all()
    assert frame["timestamp"].null_count() == 0
    assert (report.confidence, report.without_header) == (1.0, 0)
    assert set(report.layout.split("+")) == set(report.layouts)
    assert sum(report.layouts.values()) == report.records == 400
    assert "\n".join(frame["line"]).encode() == data.removesuffix(b"\n")


def test_years_are_inferred_for_each_format_alone():
    old = b"Dec 31 23:59:59 combo a[1]: x\nJan  1 00:00:01 combo a[1]: x\n"
    frame, _ = read((old + ISO % (1, 1)) * 10, year=2005)
    years = frame.filter(pl.col("layout") != "syslog-iso")["timestamp"].dt.year().unique().to_list()
    assert years[:2] == [2005, 2006]
    assert frame.filter(pl.col("layout") == "syslog-iso")["timestamp"].dt.year().unique().to_list() == [2015]


def test_a_few_odd_lines_are_no_format():
    frame, report = read(b"".join(SYSLOG % (n % 60) for n in range(500)) + ISO % (1, 1) * 4)
    assert "+" not in report.layout
    assert frame["layout"].to_list()[-4:] == ["plain"] * 4


TRACE = b"""java.io.IOException: gone 2015-10-18
\tat a.b.C.d(C.java:1)
Caused by: java.lang.Error
2015 was long ago
    1: {"a": 1}
"""


def test_traces_are_no_format():
    record = b"2015-10-18 18:01:47,978 ERROR [main] org.apache.hadoop.Foo: failed\n"
    _, report = read((record + TRACE) * 50)
    assert report.layout == "Hadoop"
    assert report.layouts == {"Hadoop": 50, "plain": 250}


def test_a_layout_that_was_asked_for_is_the_only_one():
    frame, report = read(SYSLOG % 1 + ISO % (1, 1) * 20, layout="rfc3164")
    assert report.layout == "rfc3164"
    assert frame["has_header"].sum() == 1


@needs_data
def test_install_log_of_macos():
    reader = read_logs(DATA / "raw/Mac/macos11_install_first60k.log.gz", join=True)
    frame = reader.read()
    report = reader.report.sources[0]
    assert report.layouts == {"Mac": 39463, "install": 9277}
    assert (report.layout, report.without_header) == ("Mac+install", 11260)
    assert frame["timestamp"].null_count() == 0
    assert frame["component"].null_count() < 0.01 * len(frame)
    assert frame.filter(pl.col("layout") == "install")["timestamp"].dt.year().min() == 2018


CONCATENATIONS = [
    ("rfc3164_syslog.log", "klog_kubelet.log"),
    ("journald_export.txt", "rfc5424_syslog.log", "klog_kubelet.log"),
    ("windows_event_xml.log", "access_combined_apache.log", "journald_export.txt"),
    ("docker_json_file.jsonl", "java_stacktrace_hadoop.log", "windows_event_xml.log"),
    ("klog_kubelet.log", "csv_header_healthapp.csv"),
    ("journald.jsonl", "python_traceback_openstack.log", "rfc3164_syslog.log", "access_combined_apache.log"),
]


@needs_data
@pytest.mark.parametrize("names", CONCATENATIONS, ids="+".join)
def test_concatenations(names):
    frame, report = read(b"".join(map(sample, names)))
    expected = {}
    for name in names:
        layout, records, headless = EXPECTED[name]
        expected[layout] = records - headless
    found = {name: count for name, count in report.layouts.items() if name != "plain"}
    assert found == expected
    assert frame["line_count"].sum() == report.lines


LINES = [fill(row, 3) for row in ROWS] + [
    TRACE,
    b"\n",
    b"MESSAGE\n",
    b"\xff\n",
    b"<Event>\n",
    b"x" * 99 + b"\n",
]


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.sampled_from(LINES), min_size=1, max_size=60).map(b"".join),
    st.booleans(),
    st.sampled_from([1, 30, 1000]),
    st.sampled_from([1, 3, 1000]),
    st.sampled_from([64, 1 << 20]),
)
def test_records_do_not_depend_on_batches(data, join, batch_bytes, batch_lines, max_line_bytes):
    options = {"join": join, "max_line_bytes": max_line_bytes}
    whole, report = read(data, **options)
    frame, small = read(data, batch_bytes=batch_bytes, batch_lines=batch_lines, **options)
    assert frame.equals(whole)
    assert small == report
    assert whole["line_count"].sum() == report.lines
