"""Lines of key=value pairs: which they are, and what their columns are."""

from datetime import UTC, datetime

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st
from texts import trimmed

from biglog.logs.formats.keyvalue import KeyValue
from biglog.logs.timestamps import Clock

LOGFMT = KeyValue()


def read(*lines):
    return LOGFMT.read(pl.Series(lines, dtype=pl.String), Clock())


@pytest.mark.parametrize(
    ("line", "time", "level", "component", "pid", "host", "content"),
    [
        (
            'time="2025-03-13T14:01:02+02:00" level=error msg="user \\"x\\" not found" method=POST',
            *(datetime(2025, 3, 13, 12, 1, 2, tzinfo=UTC), "ERROR", None, None, None, 'user "x" not found'),
        ),
        (
            "ts=2022-02-14T13:47:54.123456789Z caller=main.go:12 level=warn component=tsdb msg=done pid=7",
            *(datetime(2022, 2, 14, 13, 47, 54, 123456, tzinfo=UTC), "WARNING", "tsdb", "7", None, "done"),
        ),
        (
            "logger=sqlstore t=2023-01-10T10:00:00.5+0100 lvl=eror msg=a\\b",
            *(datetime(2023, 1, 10, 9, 0, 0, 500000, tzinfo=UTC), "ERROR", "sqlstore", None, None, "a\\b"),
        ),
        (
            'at=info method=GET path="/search?q=a b" host=my.herokuapp.com dyno=web.1 connect=1ms status=200',
            *(None, "INFO", None, None, "my.herokuapp.com"),
            'at=info method=GET path="/search?q=a b" host=my.herokuapp.com dyno=web.1 connect=1ms status=200',
        ),
        (
            'date=2019-05-10 time=11:37:47 level="notice" msg="level=debug is no level" empty= flag',
            *(datetime(2019, 5, 10, 11, 37, 47, tzinfo=UTC), "NOTICE", None, None, None),
            "level=debug is no level",
        ),
        (
            'LEVEL=info ts=1714557600.25 message="tab\\tline\\nslash\\\\n" level=error url=/x?a=b',
            *(datetime(2024, 5, 1, 10, 0, 0, 250000, tzinfo=UTC), "INFO", None, None, None),
            "tab\tline\nslash\\n",
        ),
    ],
)
def test_real_kinds_of_lines(line, time, level, component, pid, host, content):
    row = read(line).row(0, named=True)
    assert row["timestamp"] == time
    found = tuple(row[name] for name in ("level", "component", "pid", "host", "content"))
    assert found == (level, component, pid, host, content)
    assert row["has_header"]
    assert LOGFMT.match(pl.Series([line])) == 1


@pytest.mark.parametrize(
    "line",
    [
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4",
        "2024-05-01 10:00:00 level=info msg=hi",
        "msg=alone",
        'level=info msg="open',
        "uid=0 euid=0 prose with many words tty=ssh level=info",
        "",
        "=a =b level=info",
    ],
)
def test_no_pairs_no_header(line):
    row = read("level=info msg=x", line).row(1, named=True)
    assert (row["has_header"], row["content"], row["level"]) == (False, line, None)


def test_pairs_without_a_known_key_do_not_make_a_format():
    lines = pl.Series(["SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TOS=0x00 DF PROTO=TCP"] * 3)
    assert LOGFMT.match(lines) == 0
    assert LOGFMT.read(lines, Clock())["has_header"].all()


def test_a_line_cut_for_detection_still_counts():
    line = 'level=info msg="' + "x" * 5000 + '"'
    assert LOGFMT.match(pl.Series(["level=info a=b " + line[:4090]])) == 1


@needs_data
def test_real_file():
    lines = pl.Series((DATA / "formats" / "logfmt.log").read_text().splitlines())
    frame = LOGFMT.read(lines, Clock())
    pairs = lines.str.contains("^(time|t|logger|level)=")
    assert frame["has_header"].to_list() == pairs.to_list()
    assert frame.filter("has_header")["timestamp"].null_count() == 0
    assert frame.filter("has_header")["level"].null_count() == 0
    assert LOGFMT.match(lines) == pytest.approx(pairs.mean())


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\\r\n'), max_size=12)


@given(st.dictionaries(st.sampled_from(["level", "msg", "pid", "x", "host"]), VALUES, min_size=2))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(pairs):
    line = " ".join(f'{key}="{value}"' for key, value in pairs.items())
    row = read(line).row(0, named=True)
    assert row["has_header"]
    for key, column in (("pid", "pid"), ("host", "host"), ("msg", "content")):
        if trimmed(pairs.get(key, "")):
            assert row[column] == trimmed(pairs[key])


@given(st.lists(st.text() | st.from_regex(r"[a-z]+=[a-z\"\\ ]* [a-z]+=[0-9\"]*"), max_size=8))
@settings(max_examples=60, deadline=None)
@example(['level="a\\" x=1', 'level="\\\\" msg=""', "a=b\x00 level=\x00 c=d", " level=i  msg= "])
def test_any_text_gives_a_row_and_loses_nothing(texts):
    lines = pl.Series("line", texts, dtype=pl.String)
    assert 0 <= LOGFMT.match(lines) <= 1
    frame = LOGFMT.learn(lines).read(lines, Clock())
    assert len(frame) == len(lines)
    assert frame["content"].null_count() == 0
    headless = ~frame["has_header"]
    assert frame["content"].filter(headless).to_list() == lines.filter(headless).to_list()
