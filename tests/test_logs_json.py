"""JSON of many loggers: one real line of each beside the columns it must give."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from data_path import DATA, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.logs.formats.fields import level_names, parse_times
from biglog.logs.formats.objects import read_objects
from biglog.logs.formats.structured import STRUCTURED
from biglog.logs.timestamps import Clock

FORMATS = {form.name: form for form in STRUCTURED}
COLUMNS = ("level", "component", "pid", "host", "content")


def read(lines, name="json"):
    """The frame of some records by a format that has learnt from them."""
    lines = pl.Series(lines, dtype=pl.String)
    return FORMATS[name].learn(lines).read(lines, Clock())


def records(lines, name="json"):
    """Physical lines as records, by what the format says of their starts."""
    lines = pl.Series(lines, dtype=pl.String)
    starts = FORMATS[name].learn(lines).starts(lines)
    if starts is None:
        return lines.to_list()
    frame = pl.DataFrame({"line": lines, "record": starts.cum_sum()})
    return frame.group_by("record", maintain_order=True).agg(pl.col("line").str.join("\n"))["line"].to_list()


def at(*parts, **rest):
    return datetime(*parts, tzinfo=UTC, **rest)


DIALECTS = {
    "ecs": (
        '{"@timestamp":"2024-05-01T10:00:00.123Z","log.level":"warn","message":"slow","process.pid":42,'
        '"log.logger":"app.db","host":{"name":"web1","ip":["10.0.0.1"]}}',
        at(2024, 5, 1, 10, 0, 0, 123000),
        ("WARNING", "app.db", "42", "web1", "slow"),
    ),
    "ecs nested": (
        '{"@timestamp":"2024-05-01T10:00:00.123+02:00","log":{"level":"ERROR","logger":"a.B"},'
        '"process":{"pid":7},"host":{"hostname":"h1"},"service":{"name":"shop"},'
        '"message":"say \\"hi\\" {x}"}',
        at(2024, 5, 1, 8, 0, 0, 123000),
        ("ERROR", "a.B", "7", "h1", 'say "hi" {x}'),
    ),
    "opentelemetry": (
        '{"timeUnixNano":"1714557600123456789","severityNumber":13,"body":{"stringValue":"disk full"},'
        '"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},'
        '{"key":"host.name","value":{"stringValue":"n1"}}]}}',
        at(2024, 5, 1, 10, 0, 0, 123456),
        ("WARNING", "cart", None, "n1", "disk full"),
    ),
    "opentelemetry data model": (
        '{"Timestamp":"1586960586000000000","SeverityText":"INFO","SeverityNumber":9,"Body":"started",'
        '"Resource":{"service.name":"donut_shop","host.name":"h9"},"Attributes":{"http.status_code":500}}',
        at(2020, 4, 15, 14, 23, 6),
        ("INFO", "donut_shop", None, "h9", "started"),
    ),
    "bunyan": (
        '{"name":"myapp","hostname":"banana.local","pid":40161,"level":30,"msg":"hi",'
        '"time":"2013-01-04T18:46:23.851Z","v":0}',
        at(2013, 1, 4, 18, 46, 23, 851000),
        ("INFO", "myapp", "40161", "banana.local", "hi"),
    ),
    "pino": (
        '{"level":50,"time":1531171074631,"pid":657,"hostname":"Davids-MBP-3.fritz.box","msg":"hello world"}',
        at(2018, 7, 9, 21, 17, 54, 631000),
        ("ERROR", None, "657", "Davids-MBP-3.fritz.box", "hello world"),
    ),
    "zap": (
        '{"level":"info","ts":1646861401.0841577,"logger":"http.log","caller":"a/b.go:12","msg":"handled"}',
        at(2022, 3, 9, 21, 30, 1, 84157),
        ("INFO", "http.log", None, None, "handled"),
    ),
    "serilog compact": (
        '{"@t":"2016-06-07T03:44:57.8532799Z","@mt":"Hello, {User}","User":"nblumhardt",'
        '"SourceContext":"App.Main"}',
        at(2016, 6, 7, 3, 44, 57, 853279),
        ("INFO", "App.Main", None, None, "Hello, {User}"),
    ),
    "logrus": (
        '{"animal":"walrus","level":"fatal","msg":"The ice breaks!","number":100,'
        '"time":"2014-03-10 19:57:38.562543128 -0400 EDT"}',
        at(2014, 3, 10, 23, 57, 38, 562543),
        ("FATAL", None, None, None, "The ice breaks!"),
    ),
    "structlog": (
        '{"event":"invalid_login","level":"info","logger":"authentik.flows.stage","pid":290146,'
        '"timestamp":"2023-10-17T17:31:29.487016","user":{"pk":7},"host":"foo.example"}',
        at(2023, 10, 17, 17, 31, 29, 487016),
        ("INFO", "authentik.flows.stage", "290146", "foo.example", "invalid_login"),
    ),
    "zerolog": (
        '{"level":"debug","time":1516134303,"message":"hello world"}',
        at(2018, 1, 16, 20, 25, 3),
        ("DEBUG", None, None, None, "hello world"),
    ),
    "python-json-logger": (
        '{"asctime":"2024-05-01 10:00:00,123","levelname":"WARNING","name":"root","process":99,'
        '"message":"x"}',
        at(2024, 5, 1, 10, 0, 0, 123000),
        ("WARNING", "root", "99", None, "x"),
    ),
    "log4j2": (
        '{"instant":{"epochSecond":1493121664,"nanoOfSecond":118000000},"thread":"main","level":"INFO",'
        '"loggerName":"HelloWorld","message":"Hello, world!","endOfBatch":false,"threadId":1}',
        at(2017, 4, 25, 12, 1, 4, 118000),
        ("INFO", "HelloWorld", None, None, "Hello, world!"),
    ),
    "logstash logback": (
        '{"@timestamp":"2019-11-03T10:15:30.123+01:00","@version":"1","message":"My message",'
        '"logger_name":"org.acme.A","thread_name":"main","level":"INFO","level_value":20000}',
        at(2019, 11, 3, 9, 15, 30, 123000),
        ("INFO", "org.acme.A", None, None, "My message"),
    ),
    "google cloud": (
        '{"insertId":"1","jsonPayload":{"message":"took 3 s\\u001b[0m","latency":3},"severity":"NOTICE",'
        '"timestamp":"2024-05-01T10:00:00.5Z","logName":"projects/p/logs/run"}',
        at(2024, 5, 1, 10, 0, 0, 500000),
        ("NOTICE", "projects/p/logs/run", None, None, "took 3 s\x1b[0m"),
    ),
    "google cloud text": (
        '{"textPayload":"GET /","severity":"DEFAULT","timestamp":"2024-05-01T10:00:00Z"}',
        at(2024, 5, 1, 10),
        ("DEFAULT", None, None, None, "GET /"),
    ),
    "cloudwatch": (
        '{"timestamp":1432826855000,"message":"[main] started","logStreamName":"i-1"}',
        at(2015, 5, 28, 15, 27, 35),
        (None, "i-1", None, None, "[main] started"),
    ),
    "mongodb": (
        '{"t":{"$date":"2022-02-09T11:41:21.254+01:00"},"s":"I","c":"ACCESS","id":20436,"ctx":"conn1",'
        '"msg":"Checking authorization failed","attr":{"error":{"code":13}}}',
        at(2022, 2, 9, 10, 41, 21, 254000),
        ("INFO", "ACCESS", None, None, "Checking authorization failed"),
    ),
    "gelf": (
        '{"version":"1.1","host":"example.org","short_message":"A short message",'
        '"timestamp":1385053862.3072,"level":1,"_user_id":9001}',
        at(2013, 11, 21, 17, 11, 2, 307200),
        ("ALERT", None, None, "example.org", "A short message"),
    ),
    "tracing": (
        '{"timestamp":"2022-02-15T18:47:10.821315Z","level":"INFO","fields":{"message":"preparing to shave"},'
        '"target":"fmt_json"}',
        at(2022, 2, 15, 18, 47, 10, 821315),
        ("INFO", "fmt_json", None, None, "preparing to shave"),
    ),
    "net console": (
        '{"EventId":0,"LogLevel":"Information","Category":"App.Worker","Message":"running",'
        '"Timestamp":"2024-05-01T10:00:00Z"}',
        at(2024, 5, 1, 10),
        ("INFO", "App.Worker", None, None, "running"),
    ),
    "loguru": (
        '{"text":"x\\n","record":{"level":{"name":"SUCCESS","no":25},"message":"done","name":"app.main",'
        '"process":{"id":5},"time":{"repr":"2024-05-01 10:00:00+00:00","timestamp":1714557600.25}}}',
        at(2024, 5, 1, 10, 0, 0, 250000),
        ("SUCCESS", "app.main", "5", None, "done"),
    ),
}


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_dialect(dialect):
    line, time, columns = DIALECTS[dialect]
    row = read([line]).row(0, named=True)
    assert row["timestamp"] == time
    assert tuple(row[name] for name in COLUMNS) == columns
    assert (row["has_header"], row["bad_timestamp"]) == (True, False)


def test_all_dialects_in_one_file_as_in_one_line_each():
    lines = [line for line, _, _ in DIALECTS.values()]
    together, alone = read(lines), pl.concat([read([line]) for line in lines])
    assert together.equals(alone)
    many = read(lines * 40)
    assert many.tail(len(lines)).equals(alone)


def test_audit_event_without_message_is_its_own_content():
    line = (
        '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete",'
        '"requestURI":"/api","requestReceivedTimestamp":"2021-07-14T10:10:19.552353Z"}'
    )
    row = read([line]).row(0, named=True)
    assert (row["content"], row["level"]) == (line, None)
    assert row["timestamp"] == at(2021, 7, 14, 10, 10, 19, 552353)


@pytest.mark.parametrize(
    "line",
    [
        *('{"level":"info"', "{'level': 'info'}", '{"a":1} trailing', "[1, 2]", "null", "3", '"text"', ""),
        *("{", "}", "{}{}", '{"a":NaN}', '{"a":"b\tc"}', "plain text {x}", '{"a":' * 3000 + "1" + "}" * 3000),
    ],
)
def test_what_is_no_object_is_content(line):
    frame = read(['{"msg":"before"}', line, '{"msg":"after"}'])
    assert frame["content"].to_list() == ["before", line, "after"]
    assert frame["has_header"].to_list() == [True, False, True]


def test_same_key_twice_escapes_and_odd_types():
    frame = read(
        [
            '{"msg":"a\\u00e9\\ud83d\\ude00\\n\\"}","level":"info"}',
            '{"level":30,"msg":{"a":[1,"b"]}}',
            '{"level":"x","level":"y","msg":true}',
            '{"level":null,"msg":"","event":"third choice"}',
            '{"time":"yesterday","msg":"  lead "}',
            '{"l\\u0065vel":"error","m\\u0073g":"hidden"}',
        ]
    )
    assert frame["content"].to_list() == [
        'aé😀\n"}',
        '{"a": [1, "b"]}',
        "true",
        "third choice",
        "  lead",
        "hidden",
    ]
    assert frame["level"].to_list() == ["INFO", "INFO", "X", None, None, "ERROR"]
    assert frame["bad_timestamp"].to_list() == [False, False, False, False, True, False]


def test_a_broken_line_changes_nothing_about_its_neighbours():
    lines = ['{"msg":"half \\ud800"}', '{"msg":"pair \\ud83d\\ude00"}', '{"msg":"plain"}']
    alone = read(lines)
    assert alone["has_header"].to_list() == [False, True, True]
    assert read([*lines, '{"msg":broken}', '{"msg":1e999}']).head(3).equals(alone)


def test_keys_with_escapes_are_found_in_long_files_too():
    lines = ['{"msg":"plain"}'] * 300 + ['{"m\\u0073g":"hidden","l\\/evel":1}']
    assert read(lines)["content"][-1] == "hidden"


def test_lines_of_an_array():
    lines = ["[", '{"msg":"a"},', '  {"msg":"b"},', '{"msg":"c"}', "]", '[{"msg":"d"}]']
    frame = read(lines)
    assert frame["content"].to_list() == ["[", "a", "b", "c", "]", "d"]
    assert frame["has_header"].to_list() == [False, True, True, True, False, True]


@pytest.mark.parametrize("indent", [0, 2])
def test_pretty_printed_objects(indent):
    data = [{"level": "info", "msg": f"m{n}", "inner": {"list": [{"a": 1}, {"b": "}"}]}} for n in range(3)]
    text = json.dumps(data, indent=2) if indent else "\n".join(json.dumps(row, indent=2) for row in data)
    lines = text.split("\n")
    assert FORMATS["json"].match(pl.Series(lines)) > 0.9
    found = records(lines)
    frame = FORMATS["json"].read(pl.Series(found), Clock()).filter("has_header")
    assert frame["content"].to_list() == ["m0", "m1", "m2"]
    assert frame["level"].to_list() == ["INFO"] * 3
    assert "\n".join(found) == text


def test_text_between_pretty_printed_objects_stays_out_of_them():
    lines = ["{", '  "msg": "a"', "}", "plain", '{"msg":"b"}', "{", '  "msg": "c"', "}"]
    assert records(lines) == ["\n".join(lines[:3]), "plain", '{"msg":"b"}', "\n".join(lines[5:])]


def test_journal_fields():
    base = '"__REALTIME_TIMESTAMP":"1681160451790695","_HOSTNAME":"drano","PRIORITY":"4","_COMM":"sshd"'
    frame = read(
        [
            f'{{{base},"SYSLOG_IDENTIFIER":"PackageKit","_PID":"2048","MESSAGE":"uid 1000"}}',
            f'{{{base},"SYSLOG_PID":"7","MESSAGE":[27,91,51,109,104,195,169,255]}}',
            f'{{{base},"MESSAGE":"[1, 2]"}}',
            f'{{{base},"MESSAGE":null}}',
            '{"MESSAGE":"without a time it is no journal"}',
        ],
        "journald",
    )
    assert frame["content"].to_list()[:3] == ["uid 1000", "\x1b[3mhé�", "[1, 2]"]
    assert frame["content"][3].startswith('{"__REALTIME')
    assert frame["component"].to_list()[:2] == ["PackageKit", "sshd"]
    assert frame["pid"].to_list()[:3] == ["2048", "7", None]
    assert frame["level"].to_list()[:2] == ["WARNING"] * 2
    assert frame["host"][0] == "drano"
    assert frame["timestamp"][0] == at(2023, 4, 10, 21, 0, 51, 790695)
    assert frame["has_header"].to_list() == [True] * 4 + [False]


def docker(text, stream="stdout", second=0):
    time = f"2024-05-01T10:00:{second:02d}.123456789Z"
    return json.dumps({"log": text, "stream": stream, "time": time}, separators=(",", ":"))


def test_partial_lines_of_docker_are_one_record():
    lines = [
        docker("one\n"),
        docker("two, ", second=1),
        docker("still two, ", second=2),
        docker("end \\n", second=3),
        docker("of two\r\n", second=4),
        docker("cut", second=5),
        docker("other stream\n", "stderr", second=6),
    ]
    found = records(lines, "docker")
    assert found == [lines[0], "\n".join(lines[1:5]), lines[5], lines[6]]
    frame = read(found, "docker")
    assert frame["content"].to_list() == ["one", "two, still two, end \\nof two", "cut", "other stream"]
    assert frame["timestamp"].dt.second().to_list() == [0, 1, 5, 6]
    broken = read([lines[1] + "\n" + '{"log":', lines[0]], "docker")
    assert broken["has_header"].to_list() == [False, True]
    assert broken["content"][0] == lines[1] + '\n{"log":'


def test_levels_by_number():
    names = level_names(pl.Series(["0", "7", "10", "35", "60", "20000", "99", "warn", None]))
    assert names.to_list() == [
        *("EMERGENCY", "DEBUG", "TRACE", "INFO", "FATAL", "INFO", "99", "WARNING", None),
    ]


def test_times_of_many_kinds_in_one_column():
    texts = [
        *("2024-05-01T10:00:00Z", "1714557600", "1714557600000", "1714557600000000", "1714557600000000000"),
        *("Wed, 01 May 2024 10:00:00 GMT", "01 May 2024 12:00:00 +0200", "5/1/2024 10:00:00 AM"),
        *("2024-05-01 10:00:00.000000000 +0000 UTC m=+0.012", "2024-05-01T10:00Z", "20240501T100000Z"),
        *(
            "01/May/2024:10:00:00 +0000",
            "[2024-05-01 10:00:00,000]",
            "1714557600000.0",
            "2024.05.01 10:00:00",
        ),
        *("2024-05-01, 10:00:00", "never", None),
    ]
    found = parse_times(pl.Series(texts), Clock()).to_list()
    assert found == [at(2024, 5, 1, 10)] * (len(texts) - 2) + [None, None]


def test_rare_kinds_of_time_are_found_behind_many_others():
    texts = ["2024-05-01T10:00:00Z"] * 5000 + ["1714557601"] + ["soon"] * 3 + ["2024-05-01T10:00:02Z"] * 5000
    found = parse_times(pl.Series(texts), Clock())
    assert found[5000] == at(2024, 5, 1, 10) + timedelta(seconds=1)
    assert found.null_count() == 3


@needs_data
@pytest.mark.parametrize(
    ("file", "name", "share", "timed"),
    [
        ("json_lines.jsonl", "json", 0.98, 61),
        ("journald.jsonl", "journald", 1, 300),
        ("docker_json_file.jsonl", "docker", 1, 303),
    ],
)
def test_real_files(file, name, share, timed):
    lines = pl.Series((DATA / "formats" / file).read_text().removesuffix("\n").split("\n"))
    matches = {form.name: form.match(lines.filter(lines != "")) for form in STRUCTURED}
    best = next(form for form in matches if matches[form] == max(matches.values()))
    assert (best, matches[best] >= share) == (name, True)
    frame = read(lines, name)
    assert frame["timestamp"].is_not_null().sum() == timed
    assert not frame["bad_timestamp"].any()
    headless = ~frame["has_header"]
    assert frame["content"].filter(headless).to_list() == lines.filter(headless).to_list()


@needs_data
def test_no_format_of_named_fields_takes_another_log_for_its_own():
    others = (
        "access",
        "apache",
        "cri",
        "java",
        "klog",
        "nginx",
        "python",
        "rfc",
        "windows",
        "journald_export",
    )
    paths = [path for path in (DATA / "formats").iterdir() if path.name.startswith(others)]
    paths += sorted(DATA.glob("loghub_2k/*/*_2k.log"))
    assert len(paths) >= 28
    for path in paths:
        lines = pl.Series(path.read_bytes().decode("utf-8", "replace").splitlines())
        lines = lines.filter(lines.str.strip_chars() != "")
        taken = {form.name: share for form in STRUCTURED if (share := form.match(lines)) > 0.01}
        assert not taken, path.name


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["message", "msg", "level", "time", "log", "host", "name", "t", "body", "process", "pid"]
)
OBJECTS = st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=6)
TEXTS = OBJECTS.map(json.dumps) | OBJECTS.map(lambda row: json.dumps(row, ensure_ascii=False)) | st.text()


@given(st.lists(TEXTS, max_size=8), st.sampled_from(["json", "journald", "docker"]))
@settings(max_examples=60, deadline=None)
@example(['{"\\ud800":"\\udfff"}', '{"a":1e999}', "{\x00}", '{"":{"":[]}}'], "json")
def test_any_text_gives_a_row_and_loses_nothing(texts, name):
    lines = pl.Series("line", texts, dtype=pl.String)
    form = FORMATS[name]
    assert 0 <= form.match(lines) <= 1
    frame = form.learn(lines).read(lines, Clock())
    assert len(frame) == len(lines)
    assert frame["content"].null_count() == 0
    headless = ~frame["has_header"]
    assert frame["content"].filter(headless).to_list() == lines.filter(headless).to_list()
    starts = form.learn(lines).starts(lines)
    assert starts is None or len(starts) == len(lines)


@given(st.lists(OBJECTS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_the_standard_library(rows):
    paths = ["message", "log", "log.level", "host.name", "host.a.b"]
    valid, values = read_objects(pl.Series([json.dumps(row) for row in rows]), paths)
    for at_row, row in enumerate(rows):
        assert valid[at_row]
        for path in paths:
            first, _, rest = path.partition(".")
            expected = row.get(path)
            if expected is None and rest and isinstance(row.get(first), dict):
                expected = row[first].get(rest)
            if isinstance(expected, str) and max(expected, default="") < "\ud800":
                assert values[path][at_row] == expected
            elif isinstance(expected, int) and not isinstance(expected, bool):
                assert values[path][at_row] == str(expected)
            elif expected is None and path != "host.a.b":
                assert path not in values or values[path][at_row] is None
