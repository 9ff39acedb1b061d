"""Tables: how they are written, which column is what, and what is no table at all."""

import csv
import io
from datetime import UTC, datetime

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from texts import trimmed

from biglog.errors import InputError
from biglog.logs.formats.structured import STRUCTURED
from biglog.logs.record import read_logs
from biglog.logs.timestamps import Clock

FORMATS = {form.name: form for form in STRUCTURED}


def records(lines, name="csv"):
    """What a format that has learnt from physical lines makes of them: its frame, and the records."""
    lines = pl.Series(lines, dtype=pl.String)
    form = FORMATS[name].learn(lines.head(1000))
    starts = form.starts(lines)
    texts = lines
    if starts is not None:
        grouped = pl.DataFrame({"line": lines, "record": starts.cum_sum()}).group_by(
            "record", maintain_order=True
        )
        texts = grouped.agg(pl.col("line").str.join("\n"))["line"]
    return form.read(texts, Clock()), texts


def at(*parts, **rest):
    return datetime(*parts, tzinfo=UTC, **rest)


TABLES = {
    "health app": (
        [
            "Timestamps,Action,ID,Details",
            "20171223-22:15:29:606,Step_LSC,30002312,onStandStepChanged 3579",
            "20171223-22:15:29:615,Step_LSC,30002312,x",
        ],
        (at(2017, 12, 23, 22, 15, 29, 606000), None, "Step_LSC", "30002312", None, "onStandStepChanged 3579"),
    ),
    "loghub": (
        [
            "LineId,Date,Time,Pid,Level,Component,Content,EventId,EventTemplate",
            '1,081109,203615,148,INFO,dfs.DataNode,"Receiving ""a, b""",E5,"Receiving <*>, <*>"',
        ],
        (at(2008, 11, 9, 20, 36, 15), "INFO", "dfs.DataNode", "148", None, 'Receiving "a, b"'),
    ),
    "loghub with a month": (
        [
            "LineId,Month,Date,Time,Level,Component,PID,Content,EventId,EventTemplate",
            "1,Jun,9,06:06:20,combo,syslogd 1.4.1,,restart.,E1,restart.",
        ],
        (at(2026, 6, 9, 6, 6, 20), None, "syslogd 1.4.1", None, None, "restart."),
    ),
    "windows events": (
        [
            '"Level";"Date and Time";"Source";"Event ID";"Computer";"Message"',
            '"Information";"5/1/2024 10:00:00 AM";"Service Control Manager";"7036";"PC1";"service; stopped"',
        ],
        (at(2024, 5, 1, 10), "INFO", "Service Control Manager", None, "PC1", "service; stopped"),
    ),
    "pipes": (
        ["time|severity|logger|message", "2024-05-01T10:00:00.5Z|WARN|app|a, b; c"],
        (at(2024, 5, 1, 10, 0, 0, 500000), "WARNING", "app", None, None, "a, b; c"),
    ),
    "no names": (
        ["2024-05-01 10:00:00,INFO,17,server is up", '2024-05-01 10:00:01,ERROR,17,"no, it is not"'],
        (at(2024, 5, 1, 10), "INFO", None, None, None, "server is up"),
    ),
    "spaces and escapes": (
        ['"ts", "level", "text"', '1714557600.5, "error", "say \\"hi\\", then go"'],
        (at(2024, 5, 1, 10, 0, 0, 500000), "ERROR", None, None, None, 'say "hi", then go'),
    ),
    "content by its length": (
        ["ts,severity,what", "1714557600,4,the disk is nearly full", "1714557601,3,the disk is full"],
        (at(2024, 5, 1, 10), "WARNING", None, None, None, "the disk is nearly full"),
    ),
}


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_table(kind):
    lines, expected = TABLES[kind]
    assert FORMATS["csv"].match(pl.Series(lines)) == 1
    assert FORMATS["tsv"].match(pl.Series(lines)) == 0
    clock = Clock(written=at(2026, 12, 1))
    frame = FORMATS["csv"].learn(pl.Series(lines)).read(pl.Series(lines), clock)
    row = frame.filter("has_header").row(0, named=True)
    names = ("timestamp", "level", "component", "pid", "host", "content")
    assert tuple(row[name] for name in names) == expected
    headed = kind != "no names"
    assert frame["has_header"].to_list() == [not headed] + [True] * (len(lines) - 1)
    assert frame["content"][0] == (lines[0] if headed else expected[-1])


def test_tabs_take_quotes_literally_where_they_are_loose():
    lines = ["time\tlevel\tmessage", '2024-05-01 10:00:00\tINFO\ta 3" disk', "2024-05-01 10:00:01\tWARN\tb"]
    frame, texts = records(lines, "tsv")
    assert frame["content"].to_list() == [lines[0], 'a 3" disk', "b"]
    assert len(texts) == 3


def test_rows_of_another_width_are_content():
    lines = ["time,level,message"] + ["2024-05-01 10:00:00,INFO,fine"] * 4
    odd = ["2024-05-01 10:00:00,INFO,too,many", "too few", "", '2024-05-01 10:00:00,INFO,"open', lines[0]]
    frame = FORMATS["csv"].learn(pl.Series(lines)).read(pl.Series(lines + odd), Clock())
    assert frame["has_header"].to_list() == [False] + [True] * 4 + [False] * 5
    assert frame["content"].to_list()[5:] == odd


def test_quoted_line_feeds():
    rows = [["time", "level", "message"]]
    rows += [[f"2024-05-01 10:00:{n:02d}", "ERROR", f'failed "{n}"\n  at a,b\n\n  at c'] for n in range(9)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    lines = out.getvalue().removesuffix("\n").split("\n")
    assert FORMATS["csv"].match(pl.Series([line for line in lines if line])) == 1
    frame, texts = records(lines)
    assert "\n".join(texts) == out.getvalue().removesuffix("\n")
    assert frame["content"].to_list()[1:] == [row[2] for row in rows[1:]]
    assert frame["timestamp"].is_not_null().sum() == 9


@pytest.mark.parametrize("timed", [True, False])
def test_a_stray_quote_does_not_swallow_the_rest(timed):
    first = "2024-05-01 10:00:00" if timed else "x"
    header = "time,message" if timed else "host,message"
    lines = [header, f'{first},"never closed'] + [f"{first},row {n}" for n in range(2000)]
    frame, texts = records(lines)
    assert "\n".join(texts) == "\n".join(lines)
    assert frame["has_header"].sum() >= (2000 if timed else 1500)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b", "1,2", "3,4"], "the columns are 'a', 'b'.*content, message, msg"),
        (["time,level,host", "2024-05-01 10:00:00,INFO,web1"], "'time', 'level', 'host'"),
        (["just text", "more text"], "not a csv table"),
    ],
)
def test_a_table_that_was_asked_for_lacks_its_message(lines, message):
    with pytest.raises(InputError, match=message):
        FORMATS["csv"].learn(pl.Series(lines))
    assert FORMATS["csv"].match(pl.Series(lines)) == 0


def test_the_error_names_the_file(tmp_path):
    log = tmp_path / "own.csv"
    log.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(InputError, match=r"own\.csv:1: no column of this csv table holds the message"):
        read_logs(log, layout="csv").read()


def test_a_table_that_was_asked_for_may_have_any_names():
    frame, _ = records(["was,wo", "die Platte ist voll,hier", "die Platte ist leer,da"])
    assert frame["content"].to_list() == ["was,wo", "die Platte ist voll", "die Platte ist leer"]


@pytest.mark.parametrize(
    "lines",
    [
        [
            "2015-07-29 17:41:44,747 - INFO  [main:QuorumPeer@1] - a, b",
            "2015-07-29 17:41:45,747 - WARN [x:y@1] - c",
        ],
        [
            "2024-05-01 10:00:00.123 | INFO     | app:run:1 - x",
            "2024-05-01 10:00:01.123 | INFO     | app:run:1 - y",
        ],
        ["20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579"] * 3,
        ["Error, message: no such file", "Error, message: none"],
        ["a,b,c", "1,2,3"],
        ["time,message"],
        ["EventId,EventTemplate,Occurrences", "E1,a <*> b,12"],
    ],
)
def test_what_is_no_table_of_records(lines):
    assert FORMATS["csv"].match(pl.Series(lines)) == 0
    assert FORMATS["tsv"].match(pl.Series(lines)) == 0


def test_logs_of_the_domains_are_no_tables():
    for path in LINES.glob("*.log"):
        lines = pl.Series(path.read_text().splitlines())
        assert (FORMATS["csv"].match(lines), FORMATS["tsv"].match(lines)) == (0, 0), path.name


@needs_data
@pytest.mark.parametrize(
    "path", sorted(DATA.glob("loghub_2k/*/*_2k.log_structured.csv")), ids=lambda path: path.stem
)
def test_structured_tables_of_loghub(path):
    text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert FORMATS["csv"].match(pl.Series(text.split("\n"))) == 1
    frame, texts = records(text.split("\n"))
    assert len(texts) == len(rows) + 1
    assert frame["content"].to_list()[1:] == [row["Content"].rstrip() for row in rows]
    assert frame["timestamp"].null_count() == 1
    if "Component" in rows[0]:
        assert frame["component"].to_list()[1:] == [row["Component"].rstrip() or None for row in rows]


@needs_data
@pytest.mark.parametrize(
    ("file", "name"), [("csv_header_healthapp.csv", "csv"), ("tsv_healthapp.tsv", "tsv")]
)
def test_real_files(file, name):
    lines = (DATA / "formats" / file).read_text().splitlines()
    assert {n: form.match(pl.Series(lines)) for n, form in FORMATS.items()} == {
        **dict.fromkeys(FORMATS, 0),
        name: 1,
    }
    frame, _ = records(lines, name)
    assert frame["has_header"].sum() == frame["timestamp"].is_not_null().sum() == frame["pid"].count() == 299


CELLS = st.text('ab é0 ,;|"\n\t', max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",;|"))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(cells, separator):
    rows = [("time", "host", "message"), *(("2024-05-01 10:00:00", host, text) for host, text in cells)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", delimiter=separator).writerows(rows)
    text = out.getvalue().removesuffix("\n")
    lines = pl.Series(text.split("\n"), dtype=pl.String)
    # Most lines must be rows of their own for the separator and the quotes to be learnt.
    assume(4 * sum("\n" in part for pair in cells for part in pair) < len(cells))
    frame, texts = records(lines)
    assert "\n".join(texts) == text
    found = frame.filter("has_header")
    assert len(found) == len(cells)
    assert found["host"].to_list() == [trimmed(host) or None for host, _ in cells]
    for record, (_, message) in zip(found["content"], cells, strict=True):
        assert not trimmed(message) or record == trimmed(message)


TEXTS = st.text() | st.from_regex(r'[a-c",;|\t\\ ]*', fullmatch=True)


@given(st.lists(TEXTS, max_size=8), st.sampled_from(["csv", "tsv"]))
@settings(max_examples=100, deadline=None)
@example(["time,message", '"', "a,b"], "csv")
@example(["message,time,level", "\x00,\x00,\x00"], "csv")
@example([","], "csv")
def test_any_text_gives_a_row_and_loses_nothing(texts, name):
    lines = pl.Series("line", texts, dtype=pl.String)
    form = FORMATS[name]
    share = form.match(lines.filter(lines.str.strip_chars() != ""))
    assert 0 <= share <= 1
    try:
        form = form.learn(lines)
    except InputError:
        assert share == 0
    starts = form.starts(lines)
    assert starts is None or (len(starts) == len(lines) and bool(starts[0]))
    frame = form.read(lines, Clock())
    assert len(frame) == len(lines)
    assert frame["content"].null_count() == 0
    headless = ~frame["has_header"]
    assert frame["content"].filter(headless).to_list() == lines.filter(headless).to_list()


@given(st.lists(st.from_regex(r'[a-b",]{0,6}', fullmatch=True), min_size=2, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_where_records_start_depends_on_their_own_lines_alone(tail, data):
    form = FORMATS["csv"].learn(pl.Series(["time,message", "2024-05-01 10:00:00,x y"]))
    lines = pl.Series(tail, dtype=pl.String)
    starts = form.starts(lines)
    if starts is not None:
        cut = data.draw(st.sampled_from(starts.arg_true().to_list()))
        rest = form.starts(lines.slice(cut))
        assert (rest is None and starts.slice(cut).all()) or rest.to_list() == starts.slice(cut).to_list()
