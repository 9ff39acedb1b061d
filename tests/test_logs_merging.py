"""Logs merged in order of time: every row once, stable, in memory and as a stream."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.merging import ClockOrder, Gap, clock_order, merge, merge_batches
from biglog.logs.record import RecordBatch, read_logs
from biglog.logs.timestamps import UTC_MICROSECONDS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = {"line_number": pl.Int64, "timestamp": UTC_MICROSECONDS, "has_header": pl.Boolean}


def log(seconds, name="log", following=()):
    """One row a second given; None is a row without timestamp, `following` are rows without header."""
    times = [None if at is None else EPOCH + timedelta(seconds=at) for at in seconds]
    numbers = range(1, len(times) + 1)
    headers = [at not in following for at in range(len(times))]
    frame = pl.DataFrame({"line_number": numbers, "timestamp": times, "has_header": headers}, schema=SCHEMA)
    return frame.select(pl.lit(name).alias("source"), pl.all())


def rows(frame):
    return list(zip(frame["source"], frame["line_number"], strict=True))


def begins(frame):
    """Whether each row has a timestamp of its own."""
    return frame["timestamp"].is_not_null() & frame["has_header"]


def batches(frame, cuts):
    """The frame of one log as batches that begin at the cuts."""
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(frame)), len(frame)]
    name = frame["source"][0] if len(frame) else "log"
    parts = [frame.drop("source").slice(start, end - start) for start, end in pairwise(edges)]
    return [RecordBatch(name, "test", part) for part in parts]


def streamed(frames, cuts, look_ahead):
    merged = merge_batches([batches(frame, cuts) for frame in frames], look_ahead=look_ahead)
    return [row for frame in merged for row in rows(frame)], merged.report


def naive(frames):
    """Every row with its effective time, sorted by Python."""
    keyed = []
    for order, frame in enumerate(frames):
        own = frame["timestamp"].set(~begins(frame), None).to_list()
        last = next((at for at in own if at is not None), EPOCH - timedelta(days=1))
        for at, row in zip(own, rows(frame), strict=True):
            last = last if at is None else at
            keyed.append((last, order, row[1], row))
    return [row for *_, row in sorted(keyed, key=lambda key: key[:3])]


SECONDS = st.lists(st.none() | st.integers(0, 12), max_size=14)
LOGS = st.lists(st.tuples(SECONDS, st.sets(st.integers(0, 13), max_size=4)), min_size=1, max_size=4).map(
    lambda drawn: [log(seconds, f"log{n}", following) for n, (seconds, following) in enumerate(drawn)]
)
CUTS = st.lists(st.integers(0, 14), max_size=5)


# In memory.


def test_ties_keep_the_order_of_logs_and_rows():
    merged = merge([log([1, 2, 2], "b"), log([2, 1, 3], "a")])
    assert rows(merged) == [("b", 1), ("a", 2), ("b", 2), ("b", 3), ("a", 1), ("a", 3)]


def test_rows_without_timestamp_stay_behind_their_row_when_the_clock_goes_back():
    merged = merge([log([5, None, 3, None, 5]), log([4, None, None], "other")])
    expected = [("log", 3), ("log", 4), ("other", 1), ("other", 2), ("other", 3), ("log", 1), ("log", 2)]
    assert rows(merged) == [*expected, ("log", 5)]


def test_rows_before_the_first_timestamp_stand_at_it():
    merged = merge([log([None, 7]), log([3, 9], "other"), log([None], "never")])
    assert rows(merged) == [("never", 1), ("other", 1), ("log", 1), ("log", 2), ("other", 2)]


@given(LOGS)
def test_merging_is_a_stable_sort(frames):
    assert rows(merge(frames)) == naive(frames)


# As a stream.


@settings(max_examples=60)
@given(LOGS, CUTS)
def test_a_stream_with_enough_look_ahead_equals_the_merge_in_memory(frames, cuts):
    merged, report = streamed(frames, cuts, look_ahead=14)
    assert merged == rows(merge(frames))
    assert report.late == [0] * len(frames)


@settings(max_examples=60)
@given(LOGS, CUTS, st.integers(0, 6))
def test_a_stream_does_not_depend_on_its_batches(frames, cuts, look_ahead):
    merged, report = streamed(frames, cuts, look_ahead)
    whole, whole_report = streamed(frames, [], look_ahead)
    assert merged == whole
    assert report == whole_report
    assert sorted(merged) == sorted(row for frame in frames for row in rows(frame))


@settings(max_examples=60)
@given(LOGS, CUTS, st.integers(0, 6))
def test_a_stream_is_in_order_unless_it_says_what_was_late(frames, cuts, look_ahead):
    merged, report = streamed(frames, cuts, look_ahead)
    leading = [len(frame) - begins(frame).cum_max().sum() for frame in frames]
    if not any(report.late) and max(leading) <= look_ahead:
        assert merged == naive(frames)
    for late, first in zip(report.late, report.first_late, strict=True):
        assert len(first) == min(late, 5)


@settings(max_examples=60)
@given(LOGS, CUTS, st.integers(0, 6))
def test_rows_that_go_on_are_right_behind_in_a_stream_too(frames, cuts, look_ahead):
    merged, _ = streamed(frames, cuts, look_ahead)
    for frame in frames:
        for row, alone in list(zip(rows(frame), begins(frame), strict=True))[1:]:
            if not alone:
                assert merged[merged.index(row) - 1] == (row[0], row[1] - 1)


def test_what_is_later_than_the_look_ahead_is_passed_on_and_reported():
    merged, report = streamed([log([1, 5, 6, 7, 2, 8]), log([4, 9], "other")], [], look_ahead=2)
    in_order = [("log", 1), ("other", 1), ("log", 2)]
    assert merged == [*in_order, ("log", 5), ("log", 3), ("log", 4), ("log", 6), ("other", 2)]
    assert report.late == [1, 0]
    assert report.first_late == [(5,), ()]


def test_one_leap_into_the_future_makes_nothing_late():
    seconds = [0, 10**9, *range(1, 60)]
    merged, report = streamed([log(seconds), log(range(60), "other")], range(60), look_ahead=3)
    assert report.late == [0, 0]
    assert merged[-1] == ("log", 2)


def test_a_log_is_read_no_further_than_it_must_be():
    read = {"early": 0, "late": 0}

    def source(name, seconds):
        for batch in batches(log(seconds, name), range(0, 1000, 10)):
            read[name] += len(batch.frame)
            yield batch

    sources = [source("early", range(1000)), source("late", range(500, 1500))]
    merged = iter(merge_batches(sources, look_ahead=20))
    given_out = 0
    for frame in merged:
        given_out += len(frame)
        assert read["early"] + read["late"] - given_out <= 2 * (20 + 10)
        if given_out < 400:
            assert read["late"] <= 30
    assert given_out == 2000


def test_empty_batches_and_logs_change_nothing():
    nothing = RecordBatch("log", "test", log([]).drop("source"))
    merged = merge_batches([[], [nothing], [nothing, *batches(log([2, 1]), [1]), nothing], []])
    assert [row for frame in merged for row in rows(frame)] == [("log", 2), ("log", 1)]
    assert [clock.lines for clock in merged.report.clocks] == [0, 0, 2, 0]


# Clocks.


def test_the_order_of_a_clock():
    order = clock_order(log([None, 10, 20, 15, None, 12, 50, 50, 49], following={5}), "boot.log")
    assert order == ClockOrder(
        source="boot.log",
        lines=6,
        inversions=2,
        largest_step_back=5.0,
        first_inverted=(4, 9),
        steps_back=2,
        earliest=EPOCH + timedelta(seconds=10),
        latest=EPOCH + timedelta(seconds=50),
        gaps=(Gap(7, 30.0), Gap(3, 10.0)),
        _rows=9,
        _last_time=49_000_000,
    )


@given(SECONDS, CUTS)
def test_the_order_of_a_clock_does_not_depend_on_batches(seconds, cuts):
    frame = log(seconds)
    whole, parts, numberless = clock_order(frame), ClockOrder(), ClockOrder()
    for batch in batches(frame, cuts):
        parts.add(batch.frame)
        numberless.add(batch.frame.drop("line_number"))
    assert whole == parts == numberless
    known = [at for at in seconds if at is not None]
    steps = [at - max(known[:n]) for n, at in enumerate(known) if n]
    assert whole.inversions == sum(step < 0 for step in steps)
    assert whole.steps_back == sum(later < earlier for earlier, later in pairwise(known))
    assert whole.largest_step_back == max([-step for step in steps if step < 0], default=0)
    assert [gap.seconds for gap in whole.gaps] == sorted((s for s in steps if s > 0), reverse=True)[:5]


# Real logs.


@needs_data
def test_the_log_of_a_cluster_is_put_in_order():
    reader = read_logs(DATA / "raw" / "HPC" / "HPC.log.gz", layout="HPC")
    frame = reader.read()
    order = clock_order(frame, reader.report.sources[0].name)
    times = frame.filter(pl.col("has_header"))["timestamp"]
    assert order.inversions == (times < times.cum_max()).sum() > 0
    merged = merge([frame])
    assert merged["timestamp"].drop_nulls().is_sorted()
    assert merged["line_number"].sort().equals(frame["line_number"])
    # Every other line of it steps back, by months: no look-ahead puts that right, and the report says so.
    parts = frame.drop("source").iter_slices(50_000)
    stream = merge_batches([[RecordBatch(order.source, "HPC", part) for part in parts]])
    numbers = pl.concat([part["line_number"] for part in stream])
    assert stream.report.clocks == [order]
    assert stream.report.late[0] > 100_000
    assert order.steps_back > 0.5 * len(frame)
    assert numbers.sort().equals(frame["line_number"])


@needs_data
def test_the_logs_of_eleven_services_become_one():
    paths = sorted((DATA / "raw" / "OpenStack").glob("*.log.gz"))
    frames = [read_logs(path).read() for path in paths]
    merged = merge(frames)
    assert len(paths) == 11
    assert merged["timestamp"].drop_nulls().is_sorted()
    assert merged.height == sum(frame.height for frame in frames)
    assert merged["timestamp"].null_count() < 0.01 * merged.height
    stream = merge_batches([read_logs(path, batch_bytes=100_000) for path in paths])
    assert pl.concat(stream).equals(merged)
    assert stream.report.clocks == [clock_order(f, n) for f, n in zip(frames, map(str, paths), strict=True)]


# Bad input.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: merge([]), "nothing to merge"),
        (lambda: merge([log([1]), log([1]).drop("source")]), "frames 1 and 2 differ in columns: source"),
        (lambda: merge([log([1]).drop("timestamp")]), "no column 'timestamp'"),
        (lambda: merge([log([1]).with_columns(timestamp=1)]), "not points in time"),
        (lambda: merge_batches([], look_ahead=-1), "look_ahead is negative"),
    ],
)
def test_wrong_arguments_say_what_to_do(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
