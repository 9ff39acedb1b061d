"""Which layout a log has: generic layouts beside the sixteen domains, and the choice on its first lines."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.blocks import BLOCKS
from biglog.logs.domains import DOMAINS, SYSLOG_HOST, SYSLOG_TAG
from biglog.logs.formats import PLAIN, Format, Layout, layout_from_notation
from biglog.logs.framing import unread
from biglog.logs.patterns import is_pattern, layout_from_pattern
from biglog.logs.structured import STRUCTURED
from biglog.logs.timestamps import FORMATS

SAMPLE_LINES: Final = 1000
_SAMPLE_CHARACTERS: Final = 4096
# Less than this share of lines with a header is chance, not a layout (stack traces can be most of a log).
_ENOUGH: Final = 0.1
# Layouts this close to the best count as equal, and the more specific one wins.
_TIE: Final = 0.005
# A timestamp alone says less about a log: it has to read a twentieth more of the lines to win.
_BARE_HANDICAP: Final = 0.05

# Less than this share of unread lines, or fewer of them, is no other format.
_UNREAD: Final = 0.02
_UNREAD_LINES: Final = 5
_MOST: Final = 0.5
_MOST_FORMATS: Final = 4
# How lines begin that go on with the one before: indented, a closing bracket, a trace.
_CONTINUATION: Final = r"^(?:\s|[)\]}]|at |Caused by: |Traceback |\.\.\. )"

_UPPER_LEVELS: Final = (
    "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|ALERT|EMERGENCY|AUDIT|CONFIG|FINE|FINER"
    "|FINEST|VERBOSE|INFORMATION|ERR|CRIT|EMERG|PANIC|LOG|DDEBUG|SUBDEBUG|STATEMENT|HINT|DETAIL"
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
        "Logger": _LOGGER,
        "Thread": r"[^\]]*",
        "Pid": "[0-9]+",
        "Tid": "[0-9]+",
        "Host": SYSLOG_HOST,
    }
)
_SYSLOG: Final = {"Host": SYSLOG_HOST, "Component": SYSLOG_TAG, "Pid": "[0-9]+", "Pri": "[0-9]{1,3}"}


def _row(name: str, notation: str, time: str, **extra: str) -> Layout:
    return Layout(name, notation, FORMATS[time], fields={**_FIELDS, **extra})


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
    Layout("dmesg", r"\[ *[0-9]+\.[0-9]{6}\] <Content>"),
    Layout("python-basic", "<Level>:<Logger>:<Content>", fields={"Level": _UPPER_LEVEL, "Logger": _LOGGER}),
    _row("level-timestamp", r"\[?<Level>\]?:? \[?<Time>\]?:? (- )?<Content>", "iso", Level=_UPPER_LEVEL),
    Layout("level-only", r"\[?<Level>(\]|:| -) <Content>", fields={"Level": _UPPER_LEVEL}),
)

# What follows the timestamp in logs of programs, most telling first.
_TAILS: Final = (
    ("spring", r"<Level> <Pid> --- (\[[^\]]*\] )*<Logger> *: <Content>"),
    ("postgres", r"[A-Z]{3,4} \[<Pid>\] ([^ ]+ )?<Level>: <Content>"),
    ("oslo", r"<Pid> <Level> <Logger> (\[(-|req-[^\]]*)\] )?<Content>"),
    ("loguru", r"\| <Level> *\| <Logger>[^ ]* - <Content>"),
    ("python", "- <Logger> - <Level> - <Content>"),
    ("level-thread-logger", r"\[?<Level>\]? +\[<Thread>\] <Logger>:? (- )?<Content>"),
    ("thread-level-logger", r"\[<Thread>\] \[?<Level>\]? +<Logger>( -|:) <Content>"),
    ("level-logger", r"(- )?\[?<Level>\]?:? +<Logger>( -|:) <Content>"),
    ("thread-level", r"\[<Thread>\] (- )?\[?<Level>\]?:? (- )?<Content>"),
    ("level", r"([-|] )?\[?<Level>\]?:?( [-|])? <Content>"),
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
_BARE_NAMES = frozenset(row.name for row in _BARE)
_VAGUE_NAMES = _BARE_NAMES | {"csv", "tsv", "logfmt"}
_DOMAIN_LAYOUTS = tuple(domain.layout for domain in DOMAINS.values())

_ROWS: Final[tuple[Format, ...]] = (
    *_DOMAIN_LAYOUTS,
    *BLOCKS,
    *STRUCTURED,
    *_STANDARD,
    *_PROGRAMS,
    *_SYSLOG_ISO,
    *_BARE,
    PLAIN,
)

LAYOUTS: Final[Mapping[str, Format]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every layout by name, the more specific before the less specific."""


@dataclass(frozen=True)
class Choice:
    """A format for a source.

    Attributes:
        format: What reads its records.
        confidence: Share of the looked at lines that it and the others can read, 0..1.
        others: What reads the lines that it cannot, one after the other.
    """

    format: Format
    confidence: float
    others: tuple[Format, ...] = ()

    @property
    def formats(self) -> tuple[Format, ...]:
        """All of them, in the order in which they are tried."""
        return (self.format, *self.others)

    @property
    def name(self) -> str:
        """Their names, joined by `+`."""
        return "+".join(form.name for form in self.formats)


def choose(lines: pl.Series) -> Choice:
    """Recognise a layout on lines of a log.

    Args:
        lines: The first lines of a source, all of them and in order; a thousand of them, evenly spread, are
            looked at.

    Returns:
        The most specific of the layouts that read most lines, or `plain` if none reads a tenth of them. Where
        it leaves a considerable part that other layouts read, these too.
    """
    first, share = _best(_sample(lines), lines)
    if first is PLAIN or share < _ENOUGH:
        return Choice(PLAIN, 1.0 - share)
    if share > 1 - _UNREAD:
        return Choice(first, share)
    # Lines between the read ones may be of another format, or of none: stack traces, lists, blank lines.
    written = int((lines.str.strip_chars() != "").sum())
    left, others = unread(first, lines), list[Format]()
    while len(others) < _MOST_FORMATS - 1 and _considerable(len(left), written):
        found = _next(left, written)
        if found is None:
            break
        others.append(found)
        left = unread(found, left)
    return Choice(first, 1 - len(left) / max(1, written), tuple(others))


def chosen(form: Format, lines: pl.Series) -> Choice:
    """A format that the caller chose, adapted to the first lines of a source."""
    return Choice(form.learn(lines.head(SAMPLE_LINES)), 1.0)


def _best(sample: pl.Series, lines: pl.Series) -> tuple[Format, float]:
    """What reads a log best.

    Args:
        sample: Some of its lines.
        lines: Its first lines.

    Returns:
        The most specific of the formats that read most of the sample, adapted to the lines, and its share; or
        `plain` and 0.
    """
    shares: dict[str, float] = {}
    scores: dict[str, float] = {}
    for row in _ROWS:
        share = 0.0 if row is PLAIN else row.match(sample)
        if share:
            shares[row.name] = share
            scores[row.name] = share - _BARE_HANDICAP * (row.name in _BARE_NAMES)
            if scores[row.name] >= 1 - _TIE:
                # Less specific ones can at best tie.
                break
    while scores:
        best = max(scores.values())
        name = next(name for name, score in scores.items() if score >= best - _TIE)
        try:
            return LAYOUTS[name].learn(lines.head(SAMPLE_LINES)), shares[name]
        except InputError:
            # What looked like a table is none.
            del scores[name]
    return PLAIN, 0.0


def _considerable(part: int, whole: int) -> bool:
    return part >= max(_UNREAD_LINES, _UNREAD * whole)


def _next(left: pl.Series, whole: int) -> Format | None:
    """What reads a considerable part of the lines that are left, if they are a format's.

    Messages go on in lines that happen to look like something: only formats that tell a time, or name their
    fields, are taken at their word, and the vague ones only where they read most of what is left.
    """
    margin = left.filter(~left.str.contains(_CONTINUATION))
    found, share = _best(_sample(margin), left)
    timed = not isinstance(found, Layout) or found.timestamp is not None
    enough = _MOST if found.name in _VAGUE_NAMES else _ENOUGH
    if found is PLAIN or not timed or share < enough or not _considerable(int(share * len(margin)), whole):
        return None
    return found


def named(text: str) -> Format:
    """The format of a name, of a notation in Loghub's style, or of a regex with named groups.

    Raises:
        InputError: No such name (the nearest ones are suggested), or a notation or regex that makes no sense.
    """
    if is_pattern(text):
        return layout_from_pattern(text)
    if "<" in text:
        return layout_from_notation(text)
    by_lower = {name.lower(): row for name, row in LAYOUTS.items()}
    found = by_lower.get(text.strip().lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(text.lower(), by_lower, n=3, cutoff=0.5)
    names = ", ".join(by_lower[name].name for name in near) if near else ", ".join(DOMAINS)
    raise InputError(
        f"unknown layout {text!r}", remedy=f"Known are for instance {names}; or write '<Time> <Content>'"
    )


def _sample(lines: pl.Series) -> pl.Series:
    step = max(1, len(lines) // SAMPLE_LINES)
    spread = lines.gather_every(step).str.head(_SAMPLE_CHARACTERS)
    return spread.filter(spread.str.strip_chars() != "")
