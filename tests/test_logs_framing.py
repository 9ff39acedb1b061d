"""Lines that belong together become one record, however the log comes in."""

import io

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.framing import MAX_RECORD_LINES
from biglog.logs.record import read_logs

HEADER = b"2015-10-18 18:01:47,978 ERROR [main] org.apache.hadoop.Foo: java.io.IOException: gone  \n"
TRACE = b"\tat org.apache.hadoop.Foo.run(Foo.java:1)\nCaused by: java.lang.Error\n\n"


def read(data, **options):
    """Frame and report row of bytes read as a stream."""
    reader = read_logs(io.BytesIO(data), **options)
    return reader.read().drop("source"), reader.report.sources[0]


def text_of(frame):
    """The text that the records came from: pieces of a line stand next to each other."""
    parts = []
    for line, count in frame.select("line", "line_count").iter_rows():
        parts.append(line if count == 0 or not parts else "\n" + line)
    return "".join(parts)


# --- join ---


def test_a_stack_trace_is_joined_to_its_record():
    frame, report = read((HEADER + TRACE) * 2 + HEADER, join=True)
    assert frame["line_number"].to_list() == [1, 5, 9]
    assert frame["line_count"].to_list() == [4, 4, 1]
    first = frame.row(0, named=True)
    assert first["content"] == "java.io.IOException: gone\n" + TRACE.decode().removesuffix("\n")
    assert first["line"] == (HEADER + TRACE).decode().removesuffix("\n")
    assert frame["has_header"].all()
    assert (report.lines, report.records, report.without_header) == (9, 3, 6)
    assert report.layouts == {"Hadoop": 3}


def test_without_join_every_line_is_a_record():
    frame, report = read(HEADER + TRACE)
    assert frame["line_count"].to_list() == [1] * 4
    assert frame["layout"].to_list() == ["Hadoop", "plain", "plain", "plain"]
    assert (report.records, report.layouts) == (4, {"Hadoop": 1, "plain": 3})


def test_leading_lines_without_header_stay_alone():
    frame, _ = read(b"started\nby hand\n" + HEADER + TRACE, join=True)
    assert frame["line_count"].to_list() == [1, 1, 4]
    assert frame["has_header"].to_list() == [False, False, True]


def test_a_plain_text_is_not_joined():
    assert read(b"one\ntwo\nthree\n", join=True)[0]["line_count"].to_list() == [1, 1, 1]


def test_damaged_bytes_of_a_joined_record_are_those_of_all_its_lines():
    frame, report = read(HEADER + b"\tat caf\xe9\nend\n" + HEADER, join=True)
    assert frame["raw_bytes"].to_list() == [HEADER + b"\tat caf\xe9\nend", None]
    assert (report.damaged, report.first_damaged) == (1, (2,))


def test_damaged_utf16_is_joined_as_utf16():
    data = HEADER.decode().encode("utf-16-le") + b"\x00\xd8c\x00\n\x00"
    frame, _ = read(b"\xff\xfe" + data, join=True)
    assert frame["raw_bytes"].to_list() == [data.removesuffix(b"\n\x00")]


def test_a_record_has_at_most_so_many_lines():
    frame, _ = read(HEADER + b"\tat x\n" * (2 * MAX_RECORD_LINES) + HEADER, join=True, layout="Hadoop")
    assert frame["line_count"].to_list() == [MAX_RECORD_LINES, MAX_RECORD_LINES, 1, 1]
    assert frame["has_header"].to_list() == [True, False, False, True]
    assert frame["line_number"].to_list() == [1, MAX_RECORD_LINES + 1, 2 * MAX_RECORD_LINES + 1, 20002]
    assert frame["timestamp"].n_unique() == 1


def test_a_record_has_at_most_so_many_bytes():
    options = {"join": True, "layout": "Hadoop", "max_line_bytes": len(HEADER) + 11}
    frame, report = read(HEADER + b"\tat x\n" * 100, **options)
    assert frame["line"].str.len_bytes().max() == len(HEADER) + 11
    assert frame["line_count"].sum() == report.lines == 101
    assert text_of(frame) == (HEADER + b"\tat x\n" * 100).decode().removesuffix("\n")


def test_a_record_over_the_bound_leaves_the_next_one_whole():
    frame, _ = read((HEADER + b"\tat x\n" * 5) + HEADER + b"\tat y\n", join=True, max_line_bytes=105)
    assert frame["line_count"].to_list() == [4, 2, 2]
    assert frame["has_header"].to_list() == [True, False, True]


def test_pieces_of_a_line_are_joined_to_nothing():
    frame, _ = read(HEADER + b"x" * 250 + b"\nmore\nand more\n" + HEADER, join=True, max_line_bytes=100)
    pieces = frame.filter(pl.col("line_number") == 2)
    assert pieces["line_count"].to_list() == [1, 0, 0]
    assert frame["line"].to_list()[-2:] == ["more\nand more", HEADER.decode().removesuffix("\n")]


@needs_data
@pytest.mark.parametrize(
    ("name", "records", "longest"),
    [("java_stacktrace_hadoop.log", 160, 132), ("python_traceback.log", 371, 31)],
)
def test_real_traces(name, records, longest):
    data = (DATA / "formats" / name).read_text()
    reader = read_logs(DATA / "formats" / name, join=True)
    frame = reader.read()
    assert (len(frame), frame["line_count"].max()) == (records, longest)
    assert frame["has_header"].all()
    assert text_of(frame) == data.removesuffix("\n")


# --- laws ---

LINES = [
    HEADER,
    b"\tat a.b.C.d(C.java:1)\n",
    b"\n",
    b"Caused by: \xff\r\n",
    b"x" * 90 + b"\n",
    b"2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.Foo: b\n",
]
LOGS = st.lists(st.sampled_from(LINES), min_size=1, max_size=40).map(b"".join)
SIZES = st.sampled_from([1, 7, 64, 1000, 1 << 22])


@settings(deadline=None, max_examples=40)
@given(LOGS, SIZES, st.sampled_from([1, 2, 5, 1000]), st.sampled_from([40, 120, 1 << 20]))
@example(HEADER + b"x" * 90 + b"\n\n\n" + HEADER, 7, 1, 40)
def test_joined_records_do_not_depend_on_batches(data, batch_bytes, batch_lines, max_line_bytes):
    options = {"layout": "Hadoop", "join": True, "max_line_bytes": max_line_bytes}
    whole, report = read(data, **options)
    frame, small = read(data, batch_bytes=batch_bytes, batch_lines=batch_lines, **options)
    assert frame.equals(whole)
    assert small == report
    assert frame["line_count"].sum() == report.lines
    text = data.replace(b"\r\n", b"\n").decode(errors="replace").removesuffix("\n")
    assert text_of(frame) == text


@settings(deadline=None, max_examples=40)
@given(st.binary(min_size=1, max_size=300), SIZES, st.booleans(), st.sampled_from([16, 60, 1 << 20]))
def test_any_bytes_joined_or_not(data, batch_bytes, join, max_line_bytes):
    try:
        frame, report = read(data, batch_bytes=batch_bytes, join=join, max_line_bytes=max_line_bytes)
    except InputError:
        return
    assert frame["line_count"].sum() == report.lines
    assert report.records == len(frame) == sum(report.layouts.values())
    assert report.bytes == len(data)
