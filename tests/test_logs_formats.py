"""Layouts: what is header and what is content, on real lines of many programs."""

from datetime import UTC, datetime

import polars as pl
import pytest
from data_path import LINES

from biglog import errors
from biglog.logs.detection import LAYOUTS, choose, named
from biglog.logs.domains import DOMAINS
from biglog.logs.formats.header import canonical_levels, layout_from_notation
from biglog.logs.record import read_logs
from biglog.logs.timestamps import FORMATS, Clock


def read_one(line, layout=None):
    """The header of one line by a layout, recognised if none is given, as a dictionary."""
    lines = pl.Series([line])
    form = choose(lines).format if layout is None else LAYOUTS[layout]
    clock = Clock(written=datetime(2026, 6, 1, tzinfo=UTC))
    return {"layout": form.name, **form.read(lines, clock).row(0, named=True)}


FIRST_LINES = {
    "Android": ("DEBUG", "WindowManager", "1702", None, None, "printFreezingDisplayLogsopening app wtoken"),
    "Apache": ("NOTICE", None, None, None, None, "workerEnv.init() ok /etc/httpd/conf/workers2.properties"),
    "BGL": ("INFO", "KERNEL", None, "R02-M1-N0-C:J12-U11", "-", "instruction cache parity error corrected"),
    "HDFS": (
        "INFO",
        "dfs.DataNode$PacketResponder",
        "148",
        None,
        None,
        "PacketResponder 1 for block blk_3886",
    ),
    "HPC": (None, "unix.hw", None, "node-246", None, "Component State Change: Component \\042SCSI-WWID"),
    "Hadoop": (
        "INFO",
        "org.apache.hadoop.mapreduce.v2.app.MRAppMaster",
        None,
        None,
        None,
        "Created MRAppMaster",
    ),
    "HealthApp": (None, "Step_LSC", "30002312", None, None, "onStandStepChanged 3579"),
    "Linux": (None, "sshd(pam_unix)", "19939", "combo", None, "authentication failure; logname= uid=0"),
    "Mac": (None, "kernel", "0", "calvisitor-10-105-160-95", None, "IOThunderboltSwitch<0>(0x0)::listenerC"),
    "OpenSSH": (None, "sshd", "24200", "LabSZ", None, "reverse mapping checking getaddrinfo for ns.marryald"),
    "OpenStack": (
        "INFO",
        "nova.osapi_compute.wsgi.server",
        "25746",
        None,
        None,
        '10.11.10.1 "GET /v2/54fadb4',
    ),
    "Proxifier": (None, "chrome.exe", None, None, None, "proxy.cse.cuhk.edu.hk:5070 open through proxy"),
    "Spark": (
        "INFO",
        "executor.CoarseGrainedExecutorBackend",
        None,
        None,
        None,
        "Registered signal handlers",
    ),
    "Thunderbird": (None, "crond(pam_unix)", "2915", "dn228", "-", "session closed for user root"),
    "Windows": ("INFO", "CBS", None, None, None, "Loaded Servicing Stack v6.1.7601.23505 with Core: C:\\Win"),
    "Zookeeper": ("INFO", "FastLeaderElection", None, None, None, "Notification time out: 3200"),
}
TIMES = {
    "Apache": datetime(2005, 12, 4, 4, 47, 44, tzinfo=UTC),
    "BGL": datetime(2005, 6, 3, 22, 42, 50, 675872, tzinfo=UTC),
    "HDFS": datetime(2008, 11, 9, 20, 36, 15, tzinfo=UTC),
    "HPC": datetime(2004, 2, 26, 14, 12, 22, tzinfo=UTC),
    "Hadoop": datetime(2015, 10, 18, 18, 1, 47, 978000, tzinfo=UTC),
    "HealthApp": datetime(2017, 12, 23, 22, 15, 29, 606000, tzinfo=UTC),
    "Linux": datetime(2005, 6, 14, 15, 16, 1, tzinfo=UTC),
    "Thunderbird": datetime(2005, 11, 9, 20, 1, 1, tzinfo=UTC),
    "Zookeeper": datetime(2015, 7, 29, 17, 41, 44, 747000, tzinfo=UTC),
}


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_five_lines_of_each_domain(domain):
    reader = read_logs(LINES / f"{domain}.log", year=2005)
    frame = reader.read()
    report = reader.report.sources[0]
    assert (report.layout, report.confidence, report.lines) == (domain, 1.0, 5)
    assert (report.without_header, report.bad_timestamps) == (0, 0)
    assert frame["has_header"].all()
    assert frame["timestamp"].null_count() == 0
    first = frame.row(0, named=True)
    *columns, content = FIRST_LINES[domain]
    assert [first[name] for name in ("level", "component", "pid", "host", "label")] == columns
    assert first["content"].startswith(content)
    assert first["line"].endswith(first["content"]) or first["line"].rstrip().endswith(first["content"])
    if domain in TIMES:
        assert first["timestamp"] == TIMES[domain]


@pytest.mark.parametrize(
    ("line", "layout", "level", "component", "pid", "content"),
    [
        (
            "<134>1 2025-11-06T11:32:42.868451+00:00 firewall.lan filterlog 92653 - - 7,,,1000000102",
            *("rfc5424", "INFO", "filterlog", "92653", "7,,,1000000102"),
        ),
        (
            '<165>1 2003-10-11T22:14:15.003Z host evntslog 8 ID47 [a@1 iut="3" x="\\]"][b@2 c="d"] event',
            *("rfc5424", "NOTICE", "evntslog", "8", "event"),
        ),
        (
            "<34>Oct 11 22:14:15 mymachine su[77]: failed",
            "rfc3164-priority",
            "CRITICAL",
            "su",
            "77",
            "failed",
        ),
        ("Jun 19 04:09:11 combo syslogd 1.4.1: restart.", "rfc3164", None, "syslogd 1.4.1", None, "restart."),
        (
            "Oct 25 10:06:52 combo last message repeated 14 times",
            "rfc3164",
            None,
            None,
            None,
            "last message repea",
        ),
        ("2025-01-01T00:00:00.123456+00:00 web1 cron[12]: job", "syslog-iso", None, "cron", "12", "job"),
        (
            'I0120 11:42:11.676451    4787 flags.go:59] FLAG: --address="0.0.0.0"',
            *("klog", "INFO", "flags.go:59", "4787", "FLAG: --address"),
        ),
        ("2022-01-28T16:04:05.413656027Z stdout F GET /", "cri", None, None, None, "GET /"),
        (
            '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 203023',
            *("access", None, None, None, '"GET / HTTP/1.1" 200 203023'),
        ),
        (
            "[Mon Oct 10 23:56:29.204401 2022] [core:notice] [pid 11709:tid 140582486756] AH00094: Command",
            *("Apache", "NOTICE", "core", "11709", "AH00094: Command"),
        ),
        (
            '2020/03/06 06:30:43 [error] 411#411: *2035 open() "/opt" failed',
            *("nginx-error", "ERROR", None, "411", '*2035 open() "/opt" failed'),
        ),
        (
            "2014-04-17 13:57:36.560 2992 AUDIT cinder.service [-] Starting cinder-volume node",
            *("oslo", "AUDIT", "cinder.service", "2992", "Starting cinder-volume node"),
        ),
        (
            "2024-05-01 10:00:00.123  INFO 4242 --- [main] o.s.b.App  : Started App",
            *("spring", "INFO", "o.s.b.App", "4242", "Started App"),
        ),
        (
            "2024-05-01 10:00:00,123 - urllib3.pool - WARNING - Retrying",
            *("python", "WARNING", "urllib3.pool", None, "Retrying"),
        ),
        (
            "2024-05-01 10:00:00.123 | SUCCESS  | app.main:run:12 - done",
            *("timestamp", None, None, None, "| SUCCESS  | app.main:run:12 - done"),
        ),
        (
            "2024-05-01 10:00:00.123 | WARNING  | app.main:run:12 - done",
            *("loguru", "WARNING", "app.main", None, "done"),
        ),
        (
            "2024-05-01 10:00:00,123 [main] WARN  com.acme.Server - slow",
            *("thread-level-logger", "WARNING", "com.acme.Server", None, "slow"),
        ),
        (
            "2024-05-01 10:00:00,123 ERROR [http-1] com.acme.Server: slow",
            *("level-thread-logger", "ERROR", "com.acme.Server", None, "slow"),
        ),
        (
            "2024-05-01 10:00:00.123 UTC [99] FATAL:  the database system is starting up",
            *("postgres", "FATAL", None, "99", "the database system is starting up"),
        ),
        ("2024-05-01T10:00:00Z info request served", "level", "INFO", None, None, "request served"),
        ("[2024-05-01 10:00:00] [ERROR] boom", "level", "ERROR", None, None, "boom"),
        ("2024/05/01 10:00:00 listening on :80", "timestamp/slashes", None, None, None, "listening on :80"),
        ("1714557600.25 sensor ready", "timestamp/epoch", None, None, None, "sensor ready"),
        ("WARNING:root:low disk", "python-basic", "WARNING", "root", None, "low disk"),
        ("[INFO] BUILD SUCCESS", "level-only", "INFO", None, None, "BUILD SUCCESS"),
        ("[    1.234567] usb 1-1: new device", "dmesg", None, None, None, "usb 1-1: new device"),
        ("nothing here looks like a header", "plain", None, None, None, "nothing here looks like a header"),
    ],
)
def test_generic_layouts(line, layout, level, component, pid, content):
    found = read_one(line)
    assert (found["layout"], found["level"], found["component"], found["pid"]) == (
        layout,
        level,
        component,
        pid,
    )
    assert found["content"].startswith(content)
    assert found["has_header"] == (layout != "plain")


def test_the_fuller_layout_wins_over_a_bare_timestamp():
    lines = pl.Series(["[Sun Aug 05 16:32:01 2001] [error] x"] * 30 + ["Sun Aug 05 16:32:02 2001] [error] y"])
    choice = choose(lines)
    assert choice.format.name == "Apache"
    assert choice.confidence == pytest.approx(30 / 31)


def test_stack_traces_do_not_hide_the_layout():
    trace = ["\tat org.apache.hadoop.hdfs.DFSClient.run(DFSClient.java:1)"] * 4
    record = "2015-10-18 18:01:47,978 ERROR [main] org.apache.hadoop.Foo: java.io.IOException"
    choice = choose(pl.Series([record, *trace] * 20))
    assert choice.format.name == "Hadoop"
    assert choice.confidence == pytest.approx(0.2)


def test_a_domain_needs_its_signature():
    assert read_one("Jun 14 15:16:01 web1 nginx[12]: started")["layout"] == "rfc3164"
    assert read_one("2015-10-18 18:01:47,978 INFO [main] com.acme.Foo: hi")["layout"] == "level-thread-logger"


def test_blank_and_odd_samples_are_plain():
    assert choose(pl.Series([""])).format.name == "plain"
    assert choose(pl.Series(["", "   ", "\t"])).format.name == "plain"


def test_levels_get_one_name_each():
    found = canonical_levels(
        pl.Series(["W", "warn", "WARNING", "E", "SEVERE", "F", "V", "notice", "AUDIT", "", None])
    )
    assert found.to_list() == [
        *["WARNING"] * 3,
        *["ERROR"] * 2,
        "FATAL",
        "TRACE",
        "NOTICE",
        "AUDIT",
        None,
        None,
    ]
    assert canonical_levels(pl.Series(["0", "13", "191", "x", None]), "pri").to_list() == [
        "EMERGENCY",
        "NOTICE",
        "DEBUG",
        None,
        None,
    ]


def test_notation_of_a_user(tmp_path):
    log = tmp_path / "own.log"
    log.write_text("2024-05-01 10:00:00 | web 1 | W | disk is 91 % full\nbroken\n")
    frame = read_logs(log, layout=r"<Date> <Time> \| <Component> \| <Level> \| <Content>").read()
    assert frame["component"].to_list() == ["web 1", None]
    assert frame["level"].to_list() == ["WARNING", None]
    assert frame["content"].to_list() == ["disk is 91 % full", "broken"]
    assert frame["timestamp"].to_list() == [datetime(2024, 5, 1, 10, tzinfo=UTC)] * 2


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_loghub_notation_given_by_hand_finds_the_same_content(domain):
    layout = DOMAINS[domain].layout
    notation = read_logs(LINES / f"{domain}.log", layout=layout.notation, year=2005).read()
    known = read_logs(LINES / f"{domain}.log", layout=domain, year=2005).read()
    if domain not in ("Linux", "Mac", "Thunderbird", "Proxifier", "OpenStack", "Apache", "Zookeeper"):
        # Without field patterns an optional part is left out, so those with one need their row.
        assert notation["content"].to_list() == known["content"].to_list()
    assert notation["has_header"].all()
    assert notation["timestamp"].null_count() == 0


def test_timestamp_fields_of_a_user_that_do_not_stand_together():
    layout = layout_from_notation("<Label> <Timestamp> <Date> <Node> <Time> <Content>")
    line = "- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675872 R02 RAS"
    learnt = layout.learn(pl.Series([line]))
    assert learnt.timestamp is FORMATS["bluegene"]
    assert learnt.read(pl.Series([line]), Clock())["content"].to_list() == ["R02 RAS"]
    other = layout_from_notation("<Timestamp> <Date> <Node> <Content>").learn(
        pl.Series(["1117838570 2005.06.03 R02 x"])
    )
    assert other.timestamp is FORMATS["epoch"]


def test_header_with_an_impossible_time_is_counted(tmp_path):
    log = tmp_path / "bad.log"
    log.write_text("2024-13-45 10:00:00 INFO a.b: x\n2024-05-01 10:00:00 INFO a.b: y\n  more\n")
    reader = read_logs(log)
    frame = reader.read()
    assert frame["timestamp"].to_list() == [None, *[datetime(2024, 5, 1, 10, tzinfo=UTC)] * 2]
    assert frame["has_header"].to_list() == [True, True, False]
    assert frame["level"].to_list() == ["INFO", "INFO", None]
    assert (reader.report.sources[0].bad_timestamps, reader.report.sources[0].without_header) == (1, 1)


def test_names_are_forgiving_and_mistakes_get_suggestions():
    assert named("bgl") is LAYOUTS["BGL"]
    with pytest.raises(errors.InputError, match="Thunderbird"):
        named("Thunderbrid")
    with pytest.raises(errors.InputError, match="Android"):
        named("zzzzzz")


@pytest.mark.parametrize("notation", ["<Time> <Message>", "<Content> <Time>", "<Time> [<Level> <Content>"])
def test_notation_that_makes_no_sense(notation):
    with pytest.raises(errors.InputError, match="<Date> <Time> <Level> <Component>: <Content>"):
        named(notation)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_reads_every_domain_without_error(name):
    lines = pl.Series(
        [line for path in sorted(LINES.glob("*.log")) for line in path.read_text().splitlines()]
    )
    for texts in (lines, lines.clear(), pl.Series(["", "{}", "=", "<Event>", '"', "\n"])):
        form = LAYOUTS[name]
        frame = form.read(texts, Clock())
        assert len(frame) == len(texts)
        headless = frame.filter(~pl.col("has_header"))
        assert headless["content"].to_list() == texts.filter(~frame["has_header"]).to_list()
        assert 0 <= form.match(texts) <= 1
        starts = form.starts(texts)
        assert starts is None or len(starts) == len(texts)


def test_regex_of_a_user(tmp_path):
    log = tmp_path / "own.log"
    log.write_text("10:00 2024-05-01T10:00:00Z|web 1|W|disk is full \nbroken\n")
    regex = r"[0-9:]+ (?P<time>[^|]+)\|(?P<logger>[^|]+)\|(?P<level>[A-Z])\|(?P<message>.*)"
    reader = read_logs(log, layout=regex)
    first, second = reader.read().rows(named=True)
    assert first["timestamp"] == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert [first[name] for name in ("component", "level", "content")] == ["web 1", "WARNING", "disk is full"]
    assert (second["has_header"], second["content"]) == (False, "broken")
    assert reader.report.sources[0].layouts == {regex: 1, "plain": 1}


@pytest.mark.parametrize(
    "regex", ["(?P<time>.*", "(?P<time>.*) (?P<text>.*)", "(?P<content>.*)(?P<content>.*)"]
)
def test_regex_that_makes_no_sense(regex):
    with pytest.raises(errors.InputError, match="group 'content'"):
        named(regex)


def test_octet_counted_syslog():
    assert read_one("126 <34>1 2003-10-11T22:14:15.003Z host su 7 ID47 - failed")["layout"] == "rfc5424"
    found = read_one("48 <34>Oct 11 22:14:15 mymachine su[77]: failed")
    assert (found["layout"], found["component"], found["content"]) == ("rfc3164-priority", "su", "failed")
