"""Records that are blocks of lines: journald's export, Windows event XML, container logs."""

import io
from datetime import UTC, datetime

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import trimmed

from biglog.logs.formats.blocks import BLOCKS
from biglog.logs.record import read_logs

MESSAGE = b"Traceback:\n  File x\n\nPRIORITY=0 is no field"
JOURNAL = (
    b"__CURSOR=s=1;i=1\n__REALTIME_TIMESTAMP=1681163673010286\nPRIORITY=3\n_HOSTNAME=web 1\n_COMM=python3\n"
    b"SYSLOG_PID=12\nMESSAGE\n" + len(MESSAGE).to_bytes(8, "little") + MESSAGE + b"\n_UID=0\n\n"
)
PLAIN_JOURNAL = (
    b"__REALTIME_TIMESTAMP=1681163673010287\nMESSAGE=up  \nSYSLOG_IDENTIFIER=init\n_COMM=systemd\n_PID=1\n\n"
)
EVENT = """- <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
- <System>
  <Provider Name="Service &amp; Co" Guid="{1}" />
  <EventID Qualifiers="0">7036</EventID>
  <Level>2</Level>
  <TimeCreated SystemTime="2022-04-28T16:09:28.9443547Z" />
  <Execution ProcessID="712" ThreadID="9" />
  <Computer>pc-1</Computer>
  </System>
- <EventData>
  <Data Name="param1">a &lt;b&gt; &amp;amp; c</Data>
  <Data Name="empty" />
  <Data>x - </Data>
  </EventData>
  </Event>
"""
RENDERED = EVENT.replace(
    "  </Event>", "<RenderingInfo Culture='en'><Message>It\nstopped.</Message></RenderingInfo></Event>"
)


def read(data, **options):
    """Frame and report row of bytes read as a stream."""
    reader = read_logs(io.BytesIO(data), **options)
    return reader.read().drop("source"), reader.report.sources[0]


def columns(row):
    return [row[name] for name in ("level", "component", "pid", "host", "content")]


# --- journald ---


def test_journal_records_with_a_message_of_many_lines():
    frame, report = read(JOURNAL + PLAIN_JOURNAL + JOURNAL)
    assert (report.layout, report.records, report.without_header) == ("journald-export", 3, 0)
    assert frame["line_count"].to_list() == [13, 6, 13]
    first, second, _ = frame.rows(named=True)
    assert columns(first) == ["ERROR", "python3", "12", "web 1", MESSAGE.decode()]
    assert columns(second) == [None, "init", "1", None, "up"]
    assert first["timestamp"] == datetime(2023, 4, 10, 21, 54, 33, 10286, UTC)
    assert "\n".join(frame["line"]).encode() == (JOURNAL + PLAIN_JOURNAL + JOURNAL).removesuffix(b"\n")


@pytest.mark.parametrize("size", [0, 10, 127, 128, 200, 10_000, 70_000])
def test_messages_of_any_length(size):
    message = (b"line of text\n" * (size // 13 + 1))[:size]
    record = JOURNAL.replace(
        len(MESSAGE).to_bytes(8, "little") + MESSAGE, size.to_bytes(8, "little") + message
    )
    frame, report = read(PLAIN_JOURNAL + record + PLAIN_JOURNAL, layout="journald-export")
    assert report.records == 3
    content = frame["content"][1]
    assert content == trimmed(message.decode()) if size else content == frame["line"][1]
    assert frame["pid"].to_list() == ["1", "12", "1"]


def test_journal_without_address_fields():
    data = PLAIN_JOURNAL.removeprefix(b"__REALTIME_TIMESTAMP=1681163673010287\n") * 3
    frame, _ = read(data, layout="journald-export")
    assert frame["content"].to_list() == ["up"] * 3


# --- Windows ---


@pytest.mark.parametrize("text", [EVENT, EVENT.replace("\n", " ") + "\n", EVENT.replace("\n", "\r\n")])
def test_an_event_on_many_lines_or_one(text):
    frame, report = read(text.encode() * 4)
    assert (report.layout, report.records) == ("windows-xml", 4)
    first = frame.row(0, named=True)
    assert columns(first) == [
        *("ERROR", "Service & Co", "712", "pc-1"),
        "Event 7036: param1=a <b> &amp; c empty= x -",
    ]
    assert first["timestamp"] == datetime(2022, 4, 28, 16, 9, 28, 944354, UTC)


def test_a_rendered_message_is_the_content():
    frame, _ = read((RENDERED + EVENT).encode() * 3)
    assert frame["content"].to_list()[:2] == [
        "It\nstopped.",
        "Event 7036: param1=a <b> &amp; c empty= x -",
    ]


def test_what_stands_around_events_is_kept():
    text = f"<?xml version='1.0'?>\n<Events>\n{EVENT}\n{EVENT}</Events>\n"
    frame, report = read(text.encode())
    assert frame["has_header"].to_list() == [False, False, True, False, True, False]
    assert "\n".join(frame["line"]) == text.removesuffix("\n")
    assert report.layouts == {"windows-xml": 2, "plain": 4}


def test_entities_are_not_expanded():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n' + EVENT.replace(
        "pc-1", "&b;"
    )
    frame, _ = read(bomb.encode())
    assert frame["host"].to_list() == [None, "&b;"]


def test_an_event_that_is_cut_short():
    frame, _ = read((EVENT * 2 + EVENT[:300]).encode())
    last = frame.row(-1, named=True)
    assert columns(last) == ["ERROR", "Service & Co", "712", None, "Event 7036:"]


# --- containers ---


def cri(stream, tag, text):
    return f"2024-05-01T10:00:00.123456789Z {stream} {tag} {text}\n"


def test_parts_of_a_text_are_one_record():
    text = (
        cri("stdout", "P", "one, ")
        + cri("stdout", "P", "two, ")
        + cri("stdout", "F", "three")
        + cri("stderr", "P", "cut off by ")
        + cri("stdout", "F", "another stream")
        + cri("stderr", "F", "")
    )
    frame, report = read(text.encode())
    assert frame["content"].to_list() == ["one, two, three", "cut off by", "another stream", ""]
    assert frame["line_count"].to_list() == [3, 1, 1, 1]
    assert (report.layout, report.without_header) == ("cri", 0)
    assert "\n".join(frame["line"]) == text.removesuffix("\n")


# --- a header on a line of its own ---

JAVA = """Nov 03, 2023 9:00:00 PM org.apache.catalina.core.StandardEngine startInternal
INFO: Starting Servlet engine: [Tomcat]
Nov 03, 2023 9:00:01\u202fPM a.B c
SEVERE: failed
java.lang.Error: x
\tat a.B.c(B.java:1)
"""
DOTNET = """info: Microsoft.Hosting.Lifetime[14]
      Now listening on: http://localhost:5000
fail: App.Db[0]
      It failed:
        twice
"""


@pytest.mark.parametrize(("join", "records"), [(False, 8), (True, 4)])
def test_two_lines_of_java_logging(join, records):
    frame, report = read(JAVA.encode() * 2, join=join)
    assert (report.layout, report.records) == ("java-logging", records)
    first, second = frame.rows(named=True)[:2]
    engine = "org.apache.catalina.core.StandardEngine"
    assert columns(first) == ["INFO", engine, None, None, "Starting Servlet engine: [Tomcat]"]
    assert first["timestamp"] == datetime(2023, 11, 3, 21, tzinfo=UTC)
    assert columns(second)[:2] == ["ERROR", "a.B"]
    assert second["content"] == ("failed\njava.lang.Error: x\n\tat a.B.c(B.java:1)" if join else "failed")
    assert "\n".join(frame["line"]) == (JAVA * 2).removesuffix("\n")


def test_lines_of_dotnet():
    frame, report = read(DOTNET.encode())
    assert (report.layout, report.without_header) == ("dotnet", 0)
    assert [columns(row) for row in frame.rows(named=True)] == [
        ["INFO", "Microsoft.Hosting.Lifetime", None, None, "Now listening on: http://localhost:5000"],
        ["ERROR", "App.Db", None, None, "It failed:\n  twice"],
    ]


# --- laws ---

TEXTS = [JOURNAL, PLAIN_JOURNAL, EVENT.encode(), RENDERED.encode(), b"\n", b"MESSAGE\n", b"<Event>\n"]
TEXTS += [
    cri("stdout", "P", "x").encode(),
    cri("stdout", "F", "y").encode(),
    b"text \xff\n",
    b"z" * 99 + b"\n",
]
LOGS = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12).map(b"".join)


@settings(deadline=None, max_examples=25)
@given(
    LOGS,
    st.sampled_from([*(form.name for form in BLOCKS), "docker", None]),
    st.booleans(),
    st.sampled_from([1, 30, 1000]),
    st.sampled_from([1, 3, 1000]),
    st.sampled_from([64, 400, 1 << 20]),
)
def test_records_do_not_depend_on_batches(data, layout, join, batch_bytes, batch_lines, max_line_bytes):
    options = {"layout": layout, "join": join, "max_line_bytes": max_line_bytes}
    whole, report = read(data, **options)
    frame, small = read(data, batch_bytes=batch_bytes, batch_lines=batch_lines, **options)
    assert frame.equals(whole)
    assert small == report
    assert whole["line_count"].sum() == report.lines
    pieces = whole["line_count"] == 0
    text = "".join(
        line if piece or not row else "\n" + line
        for row, (line, piece) in enumerate(zip(whole["line"], pieces, strict=True))
    )
    assert text == data.decode(errors="replace").replace("\r\n", "\n").removesuffix("\n")
    damaged = whole.filter(pl.col("raw_bytes").is_not_null())
    assert [raw.decode(errors="replace") for raw in damaged["raw_bytes"]] == damaged["line"].to_list()


@needs_data
@pytest.mark.parametrize("batch_bytes", [1000, 20_000])
def test_real_journal_in_small_batches(batch_bytes):
    path = DATA / "formats" / "journald_export.txt"
    small = read_logs(path, batch_bytes=batch_bytes, batch_lines=7)
    assert small.read().equals(read_logs(path).read())
    assert small.report.sources[0].records == 60
