"""The layouts of the world's programs, a row each: what detection tries, the more specific before the less.

The sixteen domains and the formats that are no header come from rooms of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from biglog.logs.domains import DOMAINS, SYSLOG_HOST, SYSLOG_TAG
from biglog.logs.formats.blocks import BLOCKS
from biglog.logs.formats.header import PLAIN, Format, Layout
from biglog.logs.formats.structured import STRUCTURED
from biglog.logs.timestamps import FORMATS, TimestampFormat

_UPPER_LEVELS: Final = (
    "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|ALERT|EMERGENCY|AUDIT|CONFIG|FINE|FINER"
    "|FINEST|VERBOSE|INFORMATION|ERR|CRIT|EMERG|PANIC|LOG|DDEBUG|SUBDEBUG|STATEMENT|HINT|DETAIL"
    "|INF|WRN|DBG|FTL|TRC|VRB"
)
_UPPER_LEVEL: Final = f"(?:{_UPPER_LEVELS})"
_LEVEL: Final = (
    f"(?:{_UPPER_LEVELS}|Trace|Debug|Info|Notice|Warn|Warning|Error|Severe|Fatal|Critical|Verbose|Information"
    "|trace|debug|info|notice|warn|warning|error|severe|fatal|critical|alert|emergency|err|crit|emerg|panic)"
)
_LOGGER: Final = r"[A-Za-z_$][A-Za-z0-9_.$/-]*"
_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Level": _LEVEL,
        "Upper": _UPPER_LEVEL,
        "Logger": _LOGGER,
        "Thread": r"[^\]]*",
        "Pid": "[0-9]+",
        "Tid": "[0-9]+",
        "Host": SYSLOG_HOST,
    }
)
_SYSLOG: Final = {"Host": SYSLOG_HOST, "Component": SYSLOG_TAG, "Pid": "[0-9]+", "Pri": "[0-9]{1,3}"}


_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK: Final = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
# Times of one program each: as bare timestamps they would tell nothing.
_TIMES: Final = {
    form.name: form
    for form in (
        TimestampFormat(
            "tomcat", rf"[0-9]{{2}}-{_MONTH}-[0-9]{{4}} {_CLOCK}\.[0-9]{{3}}", "%d-%b-%Y %H:%M:%S%.f"
        ),
        TimestampFormat(
            "redis", rf"[0-9]{{2}} {_MONTH} [0-9]{{4}} {_CLOCK}\.[0-9]{{3}}", "%d %b %Y %H:%M:%S%.f"
        ),
        TimestampFormat("php", rf"[0-9]{{2}}-{_MONTH}-[0-9]{{4}} {_CLOCK}", "%d-%b-%Y %H:%M:%S"),
        TimestampFormat("glog", rf"[0-9]{{8}} {_CLOCK}\.[0-9]{{6}}", "%Y%m%d %H:%M:%S%.f"),
    )
}


def _row(name: str, notation: str, time: str | None = None, **extra: str) -> Layout:
    form = None if time is None else _TIMES.get(time) or FORMATS[time]
    return Layout(name, notation, form, fields={**_FIELDS, **extra}, columns={"Upper": "level"})


# Collectors keep the length of each message that syslog over TCP puts before it (octet counting).
_STANDARD = (
    Layout(
        "rfc5424",
        r"([0-9]+ )?\x3C<Pri>\x3E1 <Time> <Host> <Component> <Pid> <Msgid> <Data> (\x{FEFF})?<Content>",
        FORMATS["iso"],
        fields={"Pri": "[0-9]{1,3}", "Data": r'(?:-|(?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+)'},
        columns={"Pri": "level"},
        levels="pri",
    ),
    Layout(
        "rfc3164-priority",
        r"([0-9]+ )?\x3C<Pri>\x3E<Time> <Host> (<Component>(\[<Pid>\])?: )?<Content>",
        FORMATS["rfc3164"],
        fields=_SYSLOG,
        columns={"Pri": "level"},
        levels="pri",
    ),
    Layout(
        "rfc3164", r"<Time> <Host> (<Component>(\[<Pid>\])?: )?<Content>", FORMATS["rfc3164"], fields=_SYSLOG
    ),
    Layout(
        "klog",
        r"<Level><Time> <Pid> <Component>\] <Content>",
        FORMATS["klog"],
        fields={"Level": "[IWEFDV]", "Pid": "[0-9]+", "Component": r"[^ \]]+"},
    ),
    _row(
        "access-vhost",
        r"<Vhost> <Host> <Ident> <User> \[<Time>\] <Content>",
        "clf",
        Vhost="[^ ]+:[0-9]+",
        User=r"[^\[]+?",
    ),
    Layout(
        "access", r"<Host> <Ident> <User> \[<Time>\] <Content>", FORMATS["clf"], fields={"User": r"[^\[]+?"}
    ),
    Layout("nginx-error", r"<Time> \[<Level>\] <Pid>#<Tid>: <Content>", FORMATS["slashes"], fields=_FIELDS),
    Layout(
        "apple-wifi",
        r"[A-Z][a-z]{2} <Time> (\[<Component>\]/)?<Content>",
        FORMATS["rfc3164-fraction"],
        fields={"Component": r"[^\]]+"},
    ),
    _row(
        "rfc3164/fraction",
        r"<Time> <Host> (<Component>(\[<Pid>\])?: )?<Content>",
        "rfc3164-fraction",
        **_SYSLOG,
    ),
    Layout("dmesg", r"\[ *[0-9]+\.[0-9]{6}\] <Content>"),
    Layout("python-basic", "<Level>:<Logger>:<Content>", fields={"Level": _UPPER_LEVEL, "Logger": _LOGGER}),
    _row("level-timestamp", r"\[?<Level>\]?:? \[?<Time>\]?:? (- )?<Content>", "iso", Level=_UPPER_LEVEL),
    Layout("level-only", r"\[?<Level>(\]|:| -) <Content>", fields={"Level": _UPPER_LEVEL}),
)

# Known by one sign or another; the signs of those at the end are weak.
_NAMED: Final = (
    _row("audit", r"type=<Component> msg=audit\(<Time>:[0-9]+\): <Content>", "epoch"),
    _row("tomcat", r"<Time> <Level> \[<Thread>\] <Logger> <Content>", "tomcat"),
    _row("redis", "<Pid>:<Role> <Time> <Mark> <Content>", "redis", Role="[A-Z]", Mark="[.*#-]"),
    Layout(
        "kafka",
        r"\[<Time>\] <Level> <Content>",
        FORMATS["iso"],
        fields=_FIELDS,
        signature=r"\((?:kafka|org\.apache\.kafka)\.",
    ),
    _row(
        "mysql",
        r"<Time> <Tid> \[<Level>\] (\[MY-[0-9]+\] \[<Component>\] )?<Content>",
        "iso",
        Level="(?:System|Error|Warning|Note)",
        Component=r"[^\]]+",
    ),
    _row(
        "zap",
        r"<Time>\t<Level>\t(<Logger>\t)?(<Caller>\t)?<Content>",
        "iso",
        Level=f"(?:{_LEVEL}|DPANIC|dpanic)",
        Logger="[A-Za-z][A-Za-z0-9_-]*(?:[.][A-Za-z0-9_-]+)*",
        Caller=r"[A-Za-z0-9_./@-]+\.go:[0-9]+",
    ),
    _row("celery", r"\[<Time>: <Level>/<Process>\] <Content>", "iso", Process=r"[^\]]+"),
    _row("gunicorn", r"\[<Time>\] \[<Pid>\] \[<Level>\] <Content>", "iso"),
    _row("scrapy", r"<Time> \[<Logger>\] <Level>: <Content>", "iso"),
    _row(
        "rhsm",
        r"<Time> \[<Level>\] <Component>:<Pid>:<Thread> @<File> - <Content>",
        "iso",
        Component="[^ :]+",
        Thread="[^ ]+",
    ),
    _row("elasticsearch", r"\[<Time>\]\[<Level> *\]\[<Logger> *\] (\[[^\]]*\] )?<Content>", "iso"),
    _row("mongodb", r"<Time> <Level>[1-5]? <Component> \[<Thread>\] <Content>", "iso", Level="[FEWID]"),
    _row(
        "glog", r"<Level><Time> <Pid> <Component>\] <Content>", "glog", Level="[IWEF]", Component=r"[^ \]]+"
    ),
    _row("ruby", r"[A-Z], \[<Time> #<Pid>\] <Level> -- (<Program>)?: <Content>", "iso", Program="[^:]+"),
    _row(
        "logcat",
        r"<Time> <Pid> <Tid> <Level> <Component> *: <Content>",
        "iso",
        Level="[VDIWEFA]",
        Component=".*?",
    ),
    _row(
        "logcat-brief", r"<Level>/<Component>\( *<Pid>\): <Content>", Level="[VDIWEFA]", Component=r"[^(]*?"
    ),
    _row(
        "squid",
        "<Time> <Elapsed> <Host> <Code>/<Status> <Content>",
        "epoch",
        Elapsed="[0-9]+",
        Code="[A-Z_]+",
    ),
    _row("nlog", r"<Time>\|<Level>\|<Logger>\|<Content>", "iso"),
    _row(
        "cassandra", r"<Level> +\[<Thread>\] <Time> <Component> - <Content>", "iso", Component=r"[^ ]+:[0-9]+"
    ),
    _row("env-logger", r"\[<Time> <Level> <Logger>\] <Content>", "iso", Logger="[A-Za-z_][A-Za-z0-9_:.-]*"),
    _row(
        "tracing",
        "<Time> <Level> <Logger>: <Content>",
        "iso",
        Logger="[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)+",
    ),
    _row(
        "php",
        r"\[<Time>( <Zone>)?\] (PHP )?(<Level>: )?<Content>",
        "php",
        Zone="[A-Za-z_]+(?:/[A-Za-z_]+)*",
        Level=f"(?:{_LEVEL}|Parse error|Fatal error|Deprecated)",
    ),
    # Times of day alone are no points in time.
    _row("logback", rf"{_CLOCK}[.,][0-9]{{3}} \[<Thread>\] <Level> <Logger> - <Content>"),
    _row("serilog", rf"\[{_CLOCK} <Level>\] <Content>", Level="(?:INF|WRN|ERR|DBG|FTL|VRB)"),
    _row("zerolog", "[0-9]{1,2}:[0-9]{2}[AP]M <Level> <Content>", Level="(?:INF|WRN|ERR|DBG|FTL|TRC|PNC)"),
    _row("log4j-ttcc", r"[0-9]+ \[<Thread>\] <Level> <Logger> ([^ ]+ )?- <Content>"),
)

# What follows the timestamp in logs of programs, most telling first.
_TAILS: Final = (
    ("spring", r"<Level> (\[[^\]]*\] )?<Pid> --- (\[[^\]]*\] )*<Logger> *: <Content>"),
    ("postgres", r"[A-Z]{3,4} \[<Pid>\]:? (\[[0-9-]+\] )?([^ ]+ )?<Level>: <Content>"),
    ("oslo", r"<Pid> <Level> <Logger> (\[(-|req-[^\]]*)\] )?<Content>"),
    ("loguru", r"\| <Level> *\| <Logger>[^ ]* - <Content>"),
    ("python", "- <Logger> - <Level> - <Content>"),
    ("level-thread-logger", r"\[?<Level> *\]? +\[<Thread>\] <Logger>:? (- )?<Content>"),
    ("thread-level-logger", r"\[<Thread>\] \[?<Level> *\]? +<Logger>( [(\[][^)\]]*[)\]])?( -|:) <Content>"),
    ("level-logger", r"(- )?\[?<Level>\]?:? +<Logger>( -|:) <Content>"),
    ("thread-level", r"\[<Thread>\] (- )?\[?<Level>\]?:? (- )?<Content>"),
    ("level", r"([-|] )?\[?<Level> *\]?:?( [-|])? <Content>"),
    ("logger-level", r"<Logger> \[?<Upper>\]?:?( -)? <Content>"),
)
_PROGRAM_TIMES: Final = ("iso", "slashes")
_BARE_TIMES: Final = tuple(
    name for name in FORMATS if name not in ("compact", "android", "proxifier", "klog")
)


def _name(kind: str, time: str) -> str:
    return kind if time == "iso" else f"{kind}/{time}"


_PROGRAMS = tuple(
    _row(_name(kind, time), rf"\[?<Time>\]? {tail}", time) for kind, tail in _TAILS for time in _PROGRAM_TIMES
)
# Programs come first: `INFO com.acme.App: text` would pass for a host and its tag.
_SYSLOG_ISO = (
    Layout(
        "syslog-iso",
        r"<Time> <Host> <Component>(\[<Pid>\])?: <Content>",
        FORMATS["iso"],
        fields={**_SYSLOG, "Component": r"[^ :\[\]]+"},
    ),
    # macOS: names of programs have spaces, and its zone of two digits is rare elsewhere.
    Layout(
        "install",
        r"<Time> <Host> <Component>\[<Pid>\]( \(<Address>\))?: <Content>",
        replace(FORMATS["iso"], pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}"),
        fields={**_SYSLOG, "Component": r"[^:\[\]]+", "Address": r"[^)]*"},
    ),
)
_BARE = tuple(
    _row(
        _name("timestamp", time),
        r"\[?<Time>\]?:? (\[?<Level>\]?:?( [-|])? )?<Content>",
        time,
        Level=_UPPER_LEVEL,
    )
    for time in _BARE_TIMES
)
BARE: Final = frozenset(row.name for row in _BARE)
"""Names of layouts that are a timestamp, and not much more."""

_DOMAIN_LAYOUTS = tuple(domain.layout for domain in DOMAINS.values())

_ROWS: Final[tuple[Format, ...]] = (
    *_DOMAIN_LAYOUTS,
    *BLOCKS,
    _NAMED[0],
    *STRUCTURED,
    *_STANDARD[:-1],
    *_NAMED[1:],
    _STANDARD[-1],
    *_PROGRAMS,
    *_SYSLOG_ISO,
    *_BARE,
    PLAIN,
)

LAYOUTS: Final[Mapping[str, Format]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every layout by name, the more specific before the less specific."""
