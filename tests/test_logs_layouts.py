"""Layouts of the world's programs: one real-looking line each, and what its header says."""

from datetime import UTC, datetime

import polars as pl
import pytest

from biglog.logs.detection import choose
from biglog.logs.timestamps import Clock

WRITTEN = datetime(2026, 6, 1, tzinfo=UTC)

# Layout, level, component, pid, host, beginning of the content, line.
LINES = [
    (
        *("tomcat", "INFO", "org.apache.catalina.startup.Version.log", None, None, "Server version"),
        "03-May-2024 10:00:00.123 INFO [main] org.apache.catalina.startup.Version.log Server version name",
    ),
    ("redis", None, None, "12345", None, "Ready", "12345:M 01 Jan 2024 10:00:00.123 * Ready to accept"),
    (
        *("mysql", "NOTICE", "Server", None, None, "mysqld starting"),
        "2024-05-01T10:00:00.123456Z 0 [Note] [MY-010116] [Server] mysqld starting",
    ),
    (
        *("zap", "INFO", "controller", None, None, "started"),
        "2024-05-01T10:00:00.123Z\tINFO\tcontroller\tsetup/setup.go:12\tstarted",
    ),
    ("level", "INFO", None, None, None, "Started", "2024-05-01 10:00:00.123 +00:00 [INF] Started"),
    ("serilog", "INFO", None, None, None, "Started", "[10:00:00 INF] Started"),
    ("zerolog", "INFO", None, None, None, "msg key=1", "10:00AM INF msg key=1"),
    ("logback", "INFO", "com.foo.Bar", None, None, "msg", "10:00:00.123 [main] INFO  com.foo.Bar - msg"),
    ("log4j-ttcc", "INFO", "org.foo.Bar", None, None, "msg", "0 [main] INFO  org.foo.Bar  - msg"),
    (
        *("celery", "INFO", None, None, None, "celery@host ready."),
        "[2024-05-01 10:00:00,123: INFO/MainProcess] celery@host ready.",
    ),
    (
        *("gunicorn", "INFO", None, "123", None, "Starting gunicorn"),
        "[2024-05-01 10:00:00 +0000] [123] [INFO] Starting gunicorn 20.0",
    ),
    (
        *("scrapy", "INFO", "scrapy.core.engine", None, None, "Spider opened"),
        "2024-05-01 10:00:00 [scrapy.core.engine] INFO: Spider opened",
    ),
    (
        *("rhsm", "INFO", "rhsm-service", "2395", None, "Facts have been"),
        "2023-05-07 00:22:07,080 [INFO] rhsm-service:2395:MainThread @factlib.py:99 - Facts have been.",
    ),
    (
        *("logger-level", "WARNING", "urllib3.pool", None, None, "Retry"),
        "2024-05-01 10:00:00,123 urllib3.pool WARNING Retry",
    ),
    (
        *("spring", "INFO", "c.f.Bar", "1", None, "msg"),
        "2024-05-01 10:00:00.123  INFO [app,traceid,spanid] 1 --- [main] c.f.Bar : msg",
    ),
    (
        *("level-thread-logger", "INFO", "c.f.Bar", None, None, "msg"),
        "2024-05-01 10:00:00,123 [INFO ] [main] c.f.Bar - msg",
    ),
    (
        *("thread-level-logger", "INFO", "NHibernate.Cfg", None, None, "msg"),
        "2024-05-01 10:00:00,123 [1] INFO  NHibernate.Cfg (null) - msg",
    ),
    (
        *("elasticsearch", "INFO", "o.e.n.Node", None, None, "started"),
        "[2024-05-01T10:00:00,123][INFO ][o.e.n.Node               ] [node-1] started",
    ),
    (
        *("kafka", "INFO", None, None, None, "[KafkaServer id=0] started"),
        "[2024-05-01 10:00:00,123] INFO [KafkaServer id=0] started (kafka.server.KafkaServer)",
    ),
    (
        *("mongodb", "INFO", "NETWORK", None, None, "connection accepted"),
        "2024-05-01T10:00:00.123+0000 I NETWORK  [listener] connection accepted from 127.0.0.1:1",
    ),
    ("glog", "INFO", "main.cc:12", "123", None, "msg", "I20240501 10:00:00.123456 123 main.cc:12] msg"),
    (
        *("php", "WARNING", None, None, None, "Undefined variable"),
        "[01-May-2024 10:00:00 Europe/Berlin] PHP Warning:  Undefined variable",
    ),
    ("php", "NOTICE", None, None, None, "fpm is", "[01-May-2024 10:00:00] NOTICE: fpm is running, pid 1"),
    ("rfc3164/fraction", None, "app", "1", "host", "msg", "May  1 10:00:00.123 host app[1]: msg"),
    (
        *("access-vhost", None, None, None, "10.0.0.1", '"GET / HTTP/1.1"'),
        'www.example.com:80 10.0.0.1 - - [01/May/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl"',
    ),
    ("ruby", "ERROR", None, "123", None, "boom", "E, [2024-05-01T10:00:00.123456 #123] ERROR -- : boom"),
    ("ruby", "INFO", "rails", "123", None, "hi", "I, [2024-05-01T10:00:00.123456 #123]  INFO -- rails: hi"),
    ("logcat", "DEBUG", "Tag", "1702", None, "x", "2024-05-01 10:00:00.123  1702  2395 D Tag     : x"),
    ("logcat-brief", "DEBUG", "Tag", "1702", None, "x", "D/Tag( 1702): x"),
    (
        *("audit", None, "SYSCALL", None, None, "arch=c000003e"),
        "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e",
    ),
    (
        *("squid", None, None, None, "10.0.0.1", "1234 GET http://x/"),
        "1714557600.123    456 10.0.0.1 TCP_MISS/200 1234 GET http://x/ - DIRECT/1.2.3.4 text/html",
    ),
    ("nlog", "INFO", "NLog.Test", None, None, "msg", "2024-05-01 10:00:00.1234|INFO|NLog.Test|msg"),
    (
        *("tracing", "INFO", "my_crate::module", None, None, "msg"),
        "2024-05-01T10:00:00.000000Z  INFO my_crate::module: msg",
    ),
    ("env-logger", "INFO", "a::b", None, None, "msg", "[2024-05-01T10:00:00Z INFO  a::b] msg"),
    (
        *("cassandra", "INFO", "Foo.java:12", None, None, "msg"),
        "INFO  [main] 2024-05-01 10:00:00,123 Foo.java:12 - msg",
    ),
    (
        *("postgres", "INFO", None, "99", None, "connection"),
        "2024-05-01 10:00:00 GMT [99]: [1-1] user=u,db=d LOG:  connection",
    ),
    (
        *("install", None, "Installer Progress", "70", "Mac-168", "Status"),
        "2018-08-09 08:12:28-07 Mac-168 Installer Progress[70]: Status is 6",
    ),
]
TIMELESS = {"serilog", "zerolog", "logback", "log4j-ttcc", "logcat-brief"}


@pytest.mark.parametrize("row", LINES, ids=[f"{row[0]}-{number}" for number, row in enumerate(LINES)])
def test_line(row):
    layout, level, component, pid, host, content, line = row
    lines = pl.Series([line])
    form = choose(lines).format
    found = form.read(lines, Clock(written=WRITTEN)).row(0, named=True)
    names = ("level", "component", "pid", "host")
    assert (form.name, *(found[name] for name in names)) == (layout, level, component, pid, host)
    assert found["content"].startswith(content)
    assert (found["timestamp"] is None) == (layout in TIMELESS)
    assert not found["bad_timestamp"]
