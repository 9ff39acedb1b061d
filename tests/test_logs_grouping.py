"""Groups of rows: sessions hold the rows of an identifier, windows cover all rows, by count and by time."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from itertools import chain

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.grouping import GROUPS, by_count, by_session, by_time, gather, session_ids
from biglog.logs.record import read_logs
from biglog.logs.timestamps import UTC_MICROSECONDS

BLOCK = DOMAINS["HDFS"].session_pattern
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def contents(*texts):
    return pl.DataFrame({"content": texts}, schema={"content": pl.String})


def timed(seconds):
    """A frame with timestamps so many seconds after 1970; None is a row without."""
    times = [None if at is None else EPOCH + timedelta(seconds=at) for at in seconds]
    return pl.DataFrame({"timestamp": times}, schema={"timestamp": UTC_MICROSECONDS})


def as_dict(groups):
    assert groups.schema == GROUPS
    assert groups["group_id"].is_unique().all()
    return dict(zip(groups["group_id"], groups["rows"].to_list(), strict=True))


# Sessions.


def test_a_line_with_several_blocks_belongs_to_each_of_them_once():
    frame = contents(
        "BLOCK* ask 10.250.14.38:50010 to delete  blk_-1 blk_2 blk_-1",
        "Verification succeeded for blk_2",
        "no block here",
        "Receiving block blk_3 src: /10.250.14.38:50010",
    )
    assert as_dict(by_session(frame, pattern=BLOCK)) == {"blk_-1": [0], "blk_2": [0, 1], "blk_3": [3]}


def test_the_group_is_the_identifier_and_not_the_match():
    frame = contents(
        "[instance: b9000564-fe1a-409b-b8cc-1e88b294cd1d] Creating image", "[instance: none] Claim"
    )
    groups = by_session(frame, pattern=DOMAINS["OpenStack"].session_pattern)
    assert as_dict(groups) == {"b9000564-fe1a-409b-b8cc-1e88b294cd1d": [0]}


def test_edges_of_a_pattern_are_seen_in_their_line():
    frame = contents("xid=1 id=2", "id=3,id=4", None)
    assert as_dict(by_session(frame, pattern=r"\bid=(\d+)\b")) == {"2": [0], "3": [1], "4": [1]}
    assert as_dict(by_session(frame, pattern=r"\Bid=(\d+)")) == {"1": [0]}


@pytest.mark.parametrize("pattern", ["(a)b", "(a)|(?:b)", "(?:x)?(a)", "((?i)a)", "([(])", "(?P<id>a)"])
def test_groups_of_many_shapes(pattern):
    texts = ["aab", "ba", "b", "A(", "xa"]
    found = {}
    rust_inline = pattern.replace("((?i)a)", "([aA])")
    for row, text in enumerate(texts):
        for name in dict.fromkeys(re.findall(rust_inline, text)):
            if name:
                found.setdefault(name, []).append(row)
    assert as_dict(by_session(contents(*texts), pattern=pattern)) == found


def test_a_column_is_a_key_of_any_type():
    frame = pl.DataFrame({"pid": [7, 8, None, 7], "host": ["b", "", "a", "b"]})
    assert as_dict(by_session(frame, column="pid")) == {"7": [0, 3], "8": [1]}
    assert as_dict(by_session(frame, column="host")) == {"b": [0, 3], "a": [2]}


def test_a_pattern_can_search_another_column():
    frame = pl.DataFrame({"line": ["n1 up", "n2 up"], "content": ["up", "up"]})
    assert as_dict(by_session(frame, column="line", pattern=r"(n\d)")) == {"n1": [0], "n2": [1]}


WORDS = st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "\ufdd0", "\ufdd1a1", "a", " "]), max_size=6)


@given(
    st.lists(st.none() | WORDS.map("".join), max_size=12),
    st.sampled_from([r"(a\d)", r"a(\d)", r"\b(a)\d", "a([^ab])"]),
)
def test_sessions_hold_exactly_the_rows_with_their_identifier(texts, pattern):
    expected: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for name in dict.fromkeys(re.findall(pattern, text or "")):
            expected.setdefault(name, []).append(row)
    groups = as_dict(by_session(contents(*texts), pattern=pattern))
    assert groups == expected
    assert list(groups) == list(expected)


# Windows by count.


def naive_counts(height, window, stride):
    """What `by_count` promises, one window after the other."""
    windows, at = [], 0
    while at + window <= height:
        windows.append(list(range(at, at + window)))
        at += stride
    if at - stride + window < height if windows else height:
        windows.append(list(range(at, height)))
    return windows


def test_the_last_window_is_kept_if_it_holds_new_rows():
    frame = contents(*"abcde")
    assert as_dict(by_count(frame, window_lines=2)) == {"0": [0, 1], "1": [2, 3], "2": [4]}
    assert as_dict(by_count(frame, window_lines=4, stride_lines=1)) == {"0": [0, 1, 2, 3], "1": [1, 2, 3, 4]}
    assert as_dict(by_count(frame, window_lines=4, stride_lines=3)) == {"0": [0, 1, 2, 3], "1": [3, 4]}
    assert as_dict(by_count(contents(), window_lines=4)) == {}


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 12))
def test_windows_by_count_equal_a_loop(height, window, stride):
    stride = min(stride, window)
    frame = pl.DataFrame({"line": [""] * height}, schema={"line": pl.String})
    windows = list(as_dict(by_count(frame, window_lines=window, stride_lines=stride)).values())
    assert windows == naive_counts(height, window, stride)
    times_seen = [sum(row in rows for rows in windows) for row in range(height)]
    assert all(1 <= seen <= math.ceil(window / stride) for seen in times_seen)
    if stride == window:
        assert list(chain.from_iterable(windows)) == list(range(height))


# Windows by time.


def naive_times(seconds, window, stride):
    """Beginning in seconds -> rows, as `by_time` promises; all in whole seconds."""
    known = [at for at in seconds if at is not None]
    last, windows = known[0], {}
    for row, at in enumerate(seconds):
        last = last if at is None else at
        begin = last // stride * stride
        while begin > last - window:
            windows.setdefault(begin, []).append(row)
            begin -= stride
    return dict(sorted(windows.items(), key=lambda item: (item[1][0], item[0])))


def test_fixed_windows_do_not_depend_on_where_a_log_begins():
    frame = timed([59, 61, 130, 119, None])
    assert as_dict(by_time(frame, window_seconds=60)) == {
        "1970-01-01T00:00:00Z": [0],
        "1970-01-01T00:01:00Z": [1, 3, 4],
        "1970-01-01T00:02:00Z": [2],
    }
    assert as_dict(by_time(frame.tail(4), window_seconds=60))["1970-01-01T00:01:00Z"] == [0, 2, 3]


def test_rows_before_any_timestamp_belong_to_the_first_window():
    frame = timed([None, None, 100.25, None])
    assert as_dict(by_time(frame, window_seconds=0.5)) == {"1970-01-01T00:01:40Z": [0, 1, 2, 3]}


def test_beginnings_with_fractions_are_written_out():
    assert by_time(timed([0.7]), window_seconds=0.25)["group_id"].to_list() == ["1970-01-01T00:00:00.500Z"]


SECONDS = st.lists(st.none() | st.integers(-30, 60), min_size=1, max_size=25).filter(
    lambda seconds: any(at is not None for at in seconds)
)


@given(SECONDS, st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_windows_by_time_equal_a_loop(seconds, window, stride, in_order):
    stride = min(stride, window)
    if in_order:
        seconds = sorted((at for at in seconds if at is not None), key=int)
    groups = as_dict(by_time(timed(seconds), window_seconds=window, stride_seconds=stride))
    begins = [int((datetime.fromisoformat(name) - EPOCH).total_seconds()) for name in groups]
    assert list(zip(begins, groups.values(), strict=True)) == list(
        naive_times(seconds, window, stride).items()
    )
    times_seen = [sum(row in rows for rows in groups.values()) for row in range(len(seconds))]
    assert all(1 <= seen <= math.ceil(window / stride) for seen in times_seen)


def test_other_units_and_zones_give_the_same_windows():
    frame = timed([0, 59, 60, 3600])
    wanted = as_dict(by_time(frame, window_seconds=60))
    for dtype in (pl.Datetime("ms", "UTC"), pl.Datetime("ns", "Asia/Tokyo"), pl.Datetime("us")):
        column = pl.col("timestamp").cast(pl.Datetime(dtype.time_unit, "UTC"))
        if dtype.time_zone != "UTC":
            column = (
                column.dt.convert_time_zone(dtype.time_zone)
                if dtype.time_zone
                else column.dt.replace_time_zone(None)
            )
        assert as_dict(by_time(frame.with_columns(column), window_seconds=60)) == wanted


# Values of groups.


def test_values_of_groups_come_as_lists():
    frame = pl.DataFrame(
        {"content": ["x", None, "z"], "timestamp": timed([1, 2, None])["timestamp"], "n": [1, 2, 3]}
    )
    groups = pl.DataFrame({"group_id": ["p", "q", "r"], "rows": [[2, 0], [], [1]]}, schema=GROUPS)
    lists = gather(frame, groups, ["content", "timestamp"])
    assert lists.columns == ["group_id", "content", "timestamp"]
    assert lists["content"].to_list() == [["z", "x"], [], [None]]
    assert lists.schema["timestamp"] == pl.List(UTC_MICROSECONDS)
    assert gather(frame, groups.clear(), ["n"]).schema == {"group_id": pl.String, "n": pl.List(pl.Int64)}


@given(st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))
def test_gathered_row_numbers_are_the_rows(height, window, stride):
    frame = pl.DataFrame({"row": range(height)}, schema={"row": pl.UInt32})
    groups = by_count(frame, window_lines=window, stride_lines=min(window, stride))
    assert gather(frame, groups, ["row"])["row"].to_list() == groups["rows"].to_list()


# Real lines.


def test_every_domain_gives_its_sessions():
    for name, domain in DOMAINS.items():
        frame = read_logs(LINES / f"{name}.log", layout=name).read()
        ids = session_ids(frame, domain)
        assert (ids.name, ids.dtype, len(ids)) == ("session_id", pl.String, len(frame))
        if domain.session_pattern is not None:
            found = [re.search(domain.session_pattern, content) for content in frame["content"]]
            wanted = [match and match[1] for match in found]
        elif domain.session_column is not None:
            wanted = [key or None for key in frame[domain.session_column]]
        else:
            wanted = [None] * len(frame)
        assert ids.to_list() == wanted, name
    frame = read_logs(LINES / "HDFS.log", layout="HDFS").read()
    assert session_ids(frame, DOMAINS["HDFS"])[0] == "blk_38865049064139660"


@needs_data
def test_blocks_of_a_real_log_are_those_of_its_labels():
    folder = DATA / "anomaly" / "hdfs"
    frame = read_logs(folder / "HDFS_first20k.log.gz", layout="HDFS").read()
    groups = by_session(frame, pattern=BLOCK)
    labelled = pl.read_csv(folder / "HDFS_first20k.blocks.csv")
    assert set(groups["group_id"]) == set(labelled[labelled.columns[0]])
    memberships = sum(len(set(re.findall(BLOCK, content))) for content in frame["content"])
    assert groups["rows"].list.len().sum() == memberships > 0


# Bad input.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: by_count(f, window_lines=0), "window_lines is not positive"),
        (lambda f: by_count(f, window_lines=5, stride_lines=-1), "stride_lines is not positive"),
        (lambda f: by_count(f, window_lines=5, stride_lines=6), "left out"),
        (lambda f: by_time(f, window_seconds=0), "window_seconds is not positive"),
        (lambda f: by_time(f, window_seconds=math.nan), "window_seconds is not positive"),
        (lambda f: by_time(f, window_seconds=1, stride_seconds=2), "left out"),
        (lambda f: by_time(f.drop("timestamp"), window_seconds=1), "no column 'timestamp'"),
        (lambda f: by_time(f.head(1), window_seconds=1), "no row has a timestamp"),
        (lambda f: by_time(f.with_columns(timestamp=pl.lit("x")), window_seconds=1), "not points in time"),
        (lambda f: by_session(f), "sessions need a key"),
        (lambda f: by_session(f, column="hosst"), "Did you mean 'host'"),
        (lambda f: by_session(f, pattern="(a"), "no regular expression"),
        (lambda f: by_session(f, pattern=r"a(?=b)"), "Look-around"),
        (lambda f: by_session(f, pattern="a"), "0 groups"),
        (lambda f: by_session(f, pattern="(a)(b)"), "2 groups"),
        (lambda f: gather(f, GROUPS.to_frame(), ["contents"]), "Did you mean 'content'"),
    ],
)
def test_wrong_arguments_say_what_to_do(call, message):
    frame = timed([None, 1]).with_columns(content=pl.lit("a"), host=pl.lit("h"))
    with pytest.raises(InputError, match=re.escape(message)):
        call(frame)
