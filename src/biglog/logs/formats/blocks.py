r"""Formats whose records are blocks of lines: journald's export, Windows events, containers, two-line logs.

Each says where its records start, so that a `Framer` can put them together, and reads the whole block. XML is
taken apart by regexes, not parsed: an event cut short still gives what it has, and there are no entities to
expand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from biglog.logs.formats.fields import SYSLOG_SCALE, header_frame, level_names
from biglog.logs.formats.header import HEADER_COLUMNS, Format, Settled
from biglog.logs.timestamps import FORMATS, Clock, TimestampFormat, parse_timestamps

_KEY: Final = "[A-Z_][A-Z0-9_]*"
# A binary value stands behind its key, a line feed and its length: 8 bytes, little-endian, mostly zeros.
_BINARY_VALUE: Final = re.compile(r"[\s\S]{0,4}?\x00{4,8}([\s\S]*?)(?=\n" + _KEY + r"[=\n]|\Z)")
_LENGTH_BYTES: Final = 8

_CRI: Final = rf"{FORMATS['iso'].pattern} (?:stdout|stderr) [FP](?::[^ \n]*)?(?: |$)"

_TAGS: Final = (
    "Events?|System|Provider|EventID|Version|Level|Task|Opcode|Keywords|TimeCreated|EventRecordID|Correlation"
    "|Execution|Channel|Computer|Security|EventData|UserData|Data|Binary|RenderingInfo|Message"
)
# Trees copied from a browser or Event Viewer have a dash before what can be folded.
_EVENT: Final = r"^\s*(?:-\s*)?<Event[\s>]"
_EVENT_LEVELS: Final = {0: "INFO", 1: "CRITICAL", 2: "ERROR", 3: "WARNING", 4: "INFO", 5: "TRACE", 6: ""}
_VALUES: Final = (
    (r"([>\s])-\s*<([^/])", "$1<$2"),
    (r"""<Data\s+Name=["']([^"']*)["'][^>]*>""", " $1="),
    ("<Data>", " "),
    (r"<([A-Za-z_][\w.:-]*)(?:\s[^>]*)?>([^<>]+)</", " $1=$2</"),
    (r"<[^>]*>", " "),
    (r"\s+", " "),
)
_ENTITIES: Final = {
    **{"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"},
    **{
        "&#13;": "\r",
        "&#10;": "\n",
        "&#9;": "\t",
        "&#xD;": "\r",
        "&#xA;": "\n",
        "&#xd;": "\r",
        "&#xa;": "\n",
    },
}


@dataclass(frozen=True)
class JournalExport:
    """`journalctl -o export`: a field a line, a blank line after each record; it fulfils `Format`.

    Binary values may hold blank lines too. The fields that journalctl puts first tell where a record begins.

    Attributes:
        name: Name under which it is reported and asked for.
        addressed: Whether records begin with an address field, such as `__CURSOR=`.
    """

    name: str = "journald-export"
    addressed: bool = False

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are fields; 0 where journald's own are missing.

        Args:
            lines: Non-empty lines.
        """
        own = lines.str.contains(r"^__(?:CURSOR|REALTIME_TIMESTAMP)=").sum()
        return _share(lines, rf"^{_KEY}=") if own and 200 * own >= len(lines) else 0.0

    def learn(self, lines: pl.Series) -> JournalExport:
        """The same format; it knows whether records begin with an address field.

        Args:
            lines: The source's first lines, in order.
        """
        return replace(self, addressed=bool(lines.str.contains(r"^__[A-Z_]+=").any()))

    def starts(self, lines: pl.Series) -> pl.Series:
        """After a blank line that is not of a binary value; lines that are no field stand alone.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        text = pl.col("text")
        field, key, blank = text.str.contains(rf"^{_KEY}="), text.str.contains(rf"^{_KEY}$"), text == ""
        length = key.shift(1, fill_value=False) & (blank | text.str.contains(r"\x00{4}"))
        binary = pl.when(length).then(pl.lit(value=True)).when(field).then(pl.lit(value=False)).forward_fill()
        frame = lines.alias("text").to_frame()
        frame = frame.select(
            "text", field.alias("field"), key.alias("key"), binary.fill_null(value=False).alias("binary")
        )
        foreign = ~pl.col("binary") & ~pl.col("field") & ~pl.col("key") & ~blank
        certain = text.str.contains("^__[A-Z_]+=") if self.addressed else pl.col("field")
        after_blank = blank.shift(1, fill_value=True) & ~blank
        begins = after_blank & (certain | ~pl.col("binary").shift(1, fill_value=False))
        return frame.select(begins | foreign | foreign.shift(1, fill_value=False)).to_series()

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        found = lines.str.contains(rf"^{_KEY}[=\n]") & lines.str.contains(
            r"(?m)^(?:__REALTIME_TIMESTAMP=|__CURSOR=|MESSAGE=|MESSAGE$)"
        )
        columns = {
            "timestamp": _first_of(lines, "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"),
            "level": level_names(_first_of(lines, "PRIORITY"), SYSLOG_SCALE),
            "component": _first_of(lines, "SYSLOG_IDENTIFIER", "_COMM"),
            "pid": _first_of(lines, "_PID", "SYSLOG_PID"),
            "host": _first_of(lines, "_HOSTNAME"),
            "content": _messages(lines),
        }
        return header_frame(lines, found, columns, clock)


@dataclass(frozen=True)
class WindowsEvents(Settled):
    """Windows events as XML, an event on one line or on many; it fulfils `Format`.

    The content is the rendered message, or else the event's id with its data, `Event 4625: name=value ...`.
    Of several events on one line the first gives the columns.

    Attributes:
        name: Name under which it is reported and asked for.
    """

    name: str = "windows-xml"

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that begin with a tag of events; 0 where no event begins.

        Args:
            lines: Non-empty lines.
        """
        begun = lines.str.contains(_EVENT).sum()
        return _share(lines, rf"^\s*(?:-\s*)?</?(?:{_TAGS})[\s/>]") if begun else 0.0

    def starts(self, lines: pl.Series) -> pl.Series:
        """Where an event begins, and every line that is not of one.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        begins, text = lines.str.contains(_EVENT), pl.col("text")
        closed = text.str.contains("</Event>", literal=True)
        inside = (
            pl.when(closed).then(pl.lit(value=False)).when(begins).then(pl.lit(value=True)).forward_fill()
        )
        open_before = inside.shift(1).fill_null(value=False)
        return lines.alias("text").to_frame().select(begins | ~open_before).to_series()

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Records.
            clock: Where the source's timestamps stand; events name their time in UTC.
        """
        number = lines.str.extract(r"<EventID[^>]*>\s*([0-9]+)\s*</EventID>")
        time = lines.str.extract(r"""<TimeCreated\s[^>]*?SystemTime=["']([^"']*)["']""")
        found = lines.str.contains(_EVENT) & (number.is_not_null() | time.is_not_null())
        message = lines.str.extract(r"<Message>\s*([^<]*[^<\s])\s*</Message>")
        content = (
            message
            if message.null_count() == 0
            else message.zip_with(
                message.is_not_null(), "Event " + number.fill_null("?") + ":" + _event_data(lines)
            )
        )
        component = lines.str.extract(r"""<Provider\s(?:[^>]*\s)?Name=["']([^"']*)["']""")
        host = lines.str.extract(r"<Computer>\s*([^<]*[^<\s])\s*</Computer>")
        columns = {
            "timestamp": time.str.replace(r"^([0-9-]+[T ][0-9:.]+)$", "${1}Z"),
            "level": level_names(lines.str.extract(r"<Level>\s*([0-9]+)\s*</Level>"), _EVENT_LEVELS),
            "component": component.str.replace_many(_ENTITIES),
            "pid": lines.str.extract(r"""<Execution\s[^>]*?ProcessID=["']([0-9]+)["']"""),
            "host": host.str.replace_many(_ENTITIES),
            "content": content.str.replace_many(_ENTITIES),
        }
        return header_frame(lines, found, columns, clock)


@dataclass(frozen=True)
class ContainerLines(Settled):
    """Kubernetes' CRI logs, `TIME STREAM TAG TEXT`; it fulfils `Format`.

    A text that was too long for one line (tag `P`) and the lines of the same stream that directly follow it,
    up to its end (tag `F`), are one record.

    Attributes:
        name: Name under which it is reported and asked for.
    """

    name: str = "cri"

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that a container runtime wrote.

        Args:
            lines: Non-empty lines.
        """
        return _share(lines, f"^{_CRI}")

    def starts(self, lines: pl.Series) -> pl.Series:
        """Every line, but those that go on with a text of the same stream.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        parts = lines.str.extract_groups(rf"^{FORMATS['iso'].pattern} (?P<stream>std[a-z]+) (?P<tag>[FP])")
        stream, tag = parts.struct.field("stream"), parts.struct.field("tag")
        goes_on = (tag == "P").shift(1) & (stream == stream.shift(1))
        return ~goes_on.fill_null(value=False)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`; the content is the whole text, without the headers of its parts.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        found = lines.str.contains(f"^{_CRI}")
        columns = {"timestamp": lines.str.extract(f"^({FORMATS['iso'].pattern})")}
        text = lines.str.replace_all(rf"\n{_CRI}", "").str.replace(f"^{_CRI}", "").str.strip_chars_end()
        # An empty text is one: it is no text that is missing.
        return header_frame(lines, found, columns, clock).with_columns(content=text.zip_with(found, lines))


@dataclass(frozen=True)
class HeadedLines(Settled):
    """A line that is all header, and lines with the message under it; it fulfils `Format`.

    Attributes:
        name: Name under which it is reported and asked for.
        head: Regex of the header's line, with groups named as the columns they fill.
        body: Regex of the beginning of the lines under it, likewise.
        indent: What is taken off the beginning of each line of the message.
        timestamp: How the time is written, if there is one.
    """

    name: str
    head: str
    body: str
    indent: str = ""
    timestamp: TimestampFormat | None = None

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are such headers or stand under one.

        Args:
            lines: Non-empty lines, taken evenly from a source: what stands under a header may be missing.
        """
        heads = float(lines.str.contains(f"^{self.head}$").sum())
        bodies = float(lines.str.contains(f"^{self.body}").sum())
        return (heads + bodies) / max(1, len(lines)) if bodies and 10 * heads >= bodies else 0.0

    def starts(self, lines: pl.Series) -> pl.Series:
        """Every line but those of a message directly under a header.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        head = pl.col("text").str.contains(f"^{self.head}$")
        body = pl.col("text").str.contains(f"^{self.body}")
        under = pl.when(head).then(pl.lit(value=True)).when(~body).then(pl.lit(value=False)).forward_fill()
        goes_on = body & ~head & under.shift(1).fill_null(value=False)
        return lines.alias("text").to_frame().select(~goes_on).to_series()

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        regex = rf"^{self.head}\n{self.body}(?P<content>(?s:.*))$"
        groups = lines.str.extract_groups(regex).struct.unnest()
        found = groups["content"].is_not_null()
        columns = {name: groups[name] for name in groups.columns if name in HEADER_COLUMNS}
        if "level" in columns:
            columns["level"] = level_names(columns["level"].replace(_CONSOLE_LEVELS))
        content = groups["content"].str.replace_all(f"(?m)^{self.indent}", "").str.strip_chars_end()
        frame = header_frame(lines, found, columns, clock).with_columns(
            content=content.zip_with(found, lines)
        )
        if self.timestamp is None:
            return frame
        times = parse_timestamps(groups["timestamp"].str.replace("\u202f", " "), self.timestamp, clock)
        return frame.with_columns(timestamp=times, bad_timestamp=found & times.is_null())


# What .NET's console calls levels.
_CONSOLE_LEVELS: Final = {"trce": "TRACE", "dbug": "DEBUG", "fail": "ERROR"}
_JAVA_TIME: Final = TimestampFormat(
    "java",
    "[A-Z][a-z]{2} [0-9]{1,2}, [0-9]{4},? [0-9]{1,2}:[0-9]{2}:[0-9]{2}[ \u202f][AP]M",
    "%b %d %Y %I:%M:%S %p",
    replace=((",", ""),),
)
_HEADED: Final = (
    HeadedLines(
        "java-logging",
        rf"(?P<timestamp>{_JAVA_TIME.pattern}) (?P<component>[^ \n]+) [^ \n]+",
        "(?P<level>SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): ",
        timestamp=_JAVA_TIME,
    ),
    HeadedLines(
        "dotnet",
        r"(?P<level>trce|dbug|info|warn|fail|crit): (?P<component>[^\[\n]+)\[[0-9]+\]",
        " {6}",
        indent=" {6}",
    ),
)

BLOCKS: Final[tuple[Format, ...]] = (WindowsEvents(), JournalExport(), ContainerLines(), *_HEADED)
"""Formats of records that span lines, most telling first."""


def _share(lines: pl.Series, pattern: str) -> float:
    return float(lines.str.contains(pattern).sum()) / max(1, len(lines))


def _first_of(lines: pl.Series, *keys: str) -> pl.Series:
    """The value of the first of the fields that a record has."""
    values = lines.str.extract(rf"(?m)^{keys[0]}=(.*)$")
    for key in keys[1:]:
        if values.null_count():
            values = values.zip_with(values.is_not_null(), lines.str.extract(rf"(?m)^{key}=(.*)$"))
    return values


def _messages(lines: pl.Series) -> pl.Series:
    """Messages of journal records; those of several lines are binary values."""
    texts = lines.str.extract(r"(?m)^MESSAGE=(.*)$")
    binary = texts.is_null() & lines.str.contains(r"(?m)^MESSAGE$")
    if not binary.any():
        return texts
    values = pl.Series([_binary_message(record) for record in lines.filter(binary)], dtype=pl.String)
    index = (binary.cum_sum().cast(pl.Int64) - 1).set(~binary, None)
    return values.gather(index).zip_with(binary, texts)


def _binary_message(record: str) -> str:
    rest = f"\n{record}".partition("\nMESSAGE\n")[2]
    prefix = rest[:_LENGTH_BYTES]
    if prefix.isascii():
        size = int.from_bytes(prefix.encode(), "little")
        value = rest[_LENGTH_BYTES:].encode()
        if size <= len(value) and value[size : size + 1] in (b"\n", b""):
            return value[:size].decode("utf-8", "replace")
    # Bytes that are no text, or line ends that are no more what they were: the length does not fit.
    match = _BINARY_VALUE.match(rest.rstrip("\n"))
    return match[1] if match else rest


def _event_data(lines: pl.Series) -> pl.Series:
    """Names and values of an event's data, in order: ` name=value name=value`."""
    data = lines.str.extract(r"(?s)<(?:EventData|UserData)(?:\s[^>]*)?>(.*)</(?:EventData|UserData)>")
    for pattern, replacement in _VALUES:
        data = data.str.replace_all(pattern, replacement)
    return (" " + data.str.strip_chars()).fill_null("")
