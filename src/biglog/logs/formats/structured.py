"""Formats whose lines say themselves what their fields are: JSON, CSV, key=value.

What the loggers of the world call a time, a level or a message is the table below: a new dialect is a few
more key paths in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import polars as pl

from biglog.logs.formats.delimited import Delimited
from biglog.logs.formats.fields import (
    GENERAL_SCALE,
    OTEL_SCALE,
    PYTHON_SCALE,
    SYSLOG_SCALE,
    Scale,
    header_frame,
    level_names,
)
from biglog.logs.formats.header import Format, Settled
from biglog.logs.formats.keyvalue import KeyValue
from biglog.logs.formats.objects import read_objects
from biglog.logs.timestamps import Clock

Paths = Mapping[str, tuple[str, ...]]
"""Key paths by the column they fill, most telling first; `a+b` are seconds and nanoseconds."""

# ECS, OpenTelemetry, bunyan, pino, zap, zerolog, logrus, slog, serilog, NLog, .NET console, structlog,
# loguru, python-json-logger, log4j2 and logback layouts, GELF, Rust's tracing, MongoDB, Google Cloud,
# CloudWatch, audit events of Kubernetes, what fluentd and rsyslog make of lines.
JSON_PATHS: Final[Paths] = MappingProxyType(
    {
        "timestamp": (
            *("@timestamp", "timestamp", "time", "ts", "@t", "Timestamp", "t.$date", "datetime", "asctime"),
            *("timeUnixNano", "observedTimeUnixNano", "instant.epochSecond+instant.nanoOfSecond"),
            *("timestamp.seconds+timestamp.nanos", "timestampSeconds+timestampNanos", "timeMillis"),
            *("requestReceivedTimestamp", "stageTimestamp", "eventTime", "record.time.timestamp"),
            *("time_iso8601", "time_local", "timegenerated", "TimeGenerated", "date", "created", "t"),
        ),
        "level": (
            *("log.level", "level", "levelname", "severity", "severityText", "SeverityText", "@l", "Level"),
            *("LogLevel", "lvl", "loglevel", "log_level", "level_name", "record.level.name"),
            *("severityNumber", "SeverityNumber", "levelno", "PRIORITY", "s"),
        ),
        "content": (
            *("message", "msg", "@m", "@mt", "event", "body.stringValue", "Body.stringValue", "body", "Body"),
            *("textPayload", "jsonPayload.message", "jsonPayload.msg", "fields.message", "record.message"),
            *("RenderedMessage", "MessageTemplate", "Message", "MESSAGE", "short_message", "event.original"),
            *("text", "log"),
        ),
        "component": (
            *(
                "log.logger",
                "logger",
                "logger_name",
                "loggerName",
                "SourceContext",
                "Properties.SourceContext",
            ),
            *("record.name", "name", "component", "target", "Category", "c", "service.name", "service"),
            *("resource.service.name", "resource.attributes.service.name", "Resource.service.name"),
            *("programname", "program", "module", "caller", "app", "logName", "logStreamName", "logStream"),
        ),
        "pid": ("process.pid", "pid", "process", "record.process.id", "process_id", "processId", "procid"),
        "host": (
            *("host.name", "host.hostname", "hostname", "host", "resource.host.name", "HOSTNAME"),
            *("resource.attributes.host.name", "Resource.host.name", "kubernetes.host", "MachineName"),
        ),
    }
)
JOURNAL_PATHS: Final[Paths] = MappingProxyType(
    {
        "timestamp": ("__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"),
        "level": ("PRIORITY",),
        "content": ("MESSAGE",),
        "component": ("SYSLOG_IDENTIFIER", "_COMM"),
        "pid": ("_PID", "SYSLOG_PID"),
        "host": ("_HOSTNAME",),
    }
)
# What numbers under a path mean; GENERAL_SCALE elsewhere.
_SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "severityNumber": OTEL_SCALE,
        "SeverityNumber": OTEL_SCALE,
        "levelno": PYTHON_SCALE,
        "PRIORITY": SYSLOG_SCALE,
    }
)
# Content that may be an object or a list; under other names they are no message.
_ANY_CONTENT: Final = frozenset({"message", "msg", "body", "Body", "MESSAGE"})
# Serilog leaves out the level of what is information: (path that is there, level).
_IMPLIED_LEVEL: Final = ("@t", "INFO")

_NESTED: Final = r'^(?:\{["}]|\[(?:["{]|\]$))'
# Detection looks at the beginnings of lines: one as long as this may be cut, and then it is no JSON.
_CUT: Final = 4096
_PIECE: Final = (
    r'^\s*(?:[\[\]{}]+,?|"(?:[^"\\]|\\.)*"\s*:\s*\S.*|(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null),?)'
    r"\s*$"
)
_KEY_PIECE: Final = r'^\s+"(?:[^"\\]|\\.)*"\s*:\s*\S'


@dataclass(frozen=True)
class JsonLines:
    """A JSON object a record, on one line or pretty-printed over several; it fulfils `Format`.

    Attributes:
        name: Name under which it is reported and asked for.
        paths: Where the columns come from.
        signature: Keys that a record must have.
        byte_key: Key whose value is a list of bytes where it is no text; empty if there is none.
        indent: What stands before the braces of a pretty-printed record; None where records are lines.
    """

    name: str
    paths: Paths
    signature: tuple[str, ...] = ()
    byte_key: str = ""
    indent: str | None = None

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are such an object, or a piece of a pretty-printed one.

        Args:
            lines: Non-empty lines; those of 4096 characters and more may be cut.
        """
        return _share(lines, self.signature)

    def learn(self, lines: pl.Series) -> JsonLines:
        """The same format; it knows whether objects are pretty-printed.

        Args:
            lines: The source's first lines, in order.
        """
        opening = lines.str.extract(r"^(\s*)\{\s*$").drop_nulls()
        return self if opening.is_empty() else replace(self, indent=opening[0])

    def starts(self, lines: pl.Series) -> pl.Series | None:
        """Every line begins a record, but those inside a pretty-printed object.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        if self.indent is None:
            return None
        return _outside(lines, self.indent)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        paths = [part for group in self.paths.values() for path in group for part in path.split("+")]
        found, values = read_objects(lines, [*paths, *self.signature])
        found = _having(found, values, self.signature)
        if self.byte_key in values:
            values[self.byte_key] = _with_bytes(lines, self.byte_key, values[self.byte_key])
        return header_frame(lines, found, _columns(self.paths, values), clock)


@dataclass(frozen=True)
class DockerLines(Settled):
    """Docker's json-file: `{"log": "...\\n", "stream": ..., "time": ...}`; it fulfils `Format`.

    Docker cuts what a container prints into pieces of 16 KB; a record ends with the piece that ends a line.

    Attributes:
        name: Name under which it is reported and asked for.
    """

    name: str = "docker"

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that Docker wrote.

        Args:
            lines: Non-empty lines; those of 4096 characters and more may be cut.
        """
        return _share(lines, _DOCKER_KEYS)

    def starts(self, lines: pl.Series) -> pl.Series:
        """Where the line before has its log's end, or is of another stream.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        goes_on = lines.str.contains(_DOCKER_LOG) & ~lines.str.contains(_DOCKER_END)
        if not goes_on.any():
            return pl.Series([True]).new_from_index(0, len(lines))
        stream = lines.str.extract(r'"stream": ?"([a-z]+)"')
        same = (stream == stream.shift(1)).fill_null(False)
        return ~(goes_on.shift(1, fill_value=False) & same)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`; the content is what was printed, without the end of its line.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        parts = pl.DataFrame({"text": lines.str.split("\n")}).with_row_index("row").explode("text")
        found, values = read_objects(parts["text"], _DOCKER_KEYS)
        empty = {key: pl.lit(None, pl.String) for key in _DOCKER_KEYS if key not in values}
        parts = parts.with_columns(found=_having(found, values, ("log",)), **values, **empty)
        if len(parts) > len(lines):
            parts = parts.group_by("row", maintain_order=True).agg(
                pl.col("log").str.join(""), pl.col("time").first(), pl.col("found").all()
            )
        columns = {
            "timestamp": parts["time"].replace("", None),
            "content": parts["log"].str.strip_chars_end("\r\n"),
        }
        return header_frame(lines, parts["found"], columns, clock)


_DOCKER_KEYS: Final = ("log", "stream", "time")
_DOCKER_LOG: Final = r'^\s*\{"log": ?"'
_DOCKER_END: Final = r'^\s*\{"log": ?"(?:[^"\\]|\\.)*\\n"'


def _share(lines: pl.Series, keys: tuple[str, ...]) -> float:
    """Share of lines (0..1) that are objects with these keys, or pieces of such objects."""
    if lines.is_empty():
        return 0.0
    found, values = read_objects(lines, keys)
    found = _having(found, values, keys)
    cut = ~found & lines.str.contains(r'^\s*\{\s*"') & (lines.str.len_chars() >= _CUT)
    for key in keys:
        cut = cut & lines.str.contains(f'"{key}"', literal=True)
    return max(float((found | cut).sum()) / len(lines), _pretty_share(lines, keys))


def _having(found: pl.Series, values: Mapping[str, pl.Series], keys: tuple[str, ...]) -> pl.Series:
    """Which of the objects have all of these keys."""
    for key in keys:
        found = found & (values[key].is_not_null() if key in values else False)
    return found


def _pretty_share(lines: pl.Series, keys: tuple[str, ...]) -> float:
    """Share of lines (0..1) that pretty-printed objects with these keys consist of."""
    fields = lines.str.contains(_KEY_PIECE)
    if 4 * fields.sum() < len(lines) or not lines.str.contains(r"^\s*\{\s*$").any():
        return 0.0
    for key in keys:
        if 100 * lines.str.contains(rf'^\s+"{key}"\s*:').sum() < len(lines):
            return 0.0
    return float(lines.str.contains(_PIECE).sum()) / len(lines)


def _outside(lines: pl.Series, indent: str) -> pl.Series:
    """Which lines are not inside an object whose braces stand alone behind `indent`."""
    text = pl.col("text")
    opens = text == indent + "{"
    closes = text.is_in([indent + "}", indent + "},"])
    inside = pl.when(opens).then(True).when(closes).then(False).forward_fill().shift(1).fill_null(False)
    starts = ~inside | text.str.starts_with(indent + "{")
    return lines.str.strip_chars_end().alias("text").to_frame().select(starts).to_series()


def _columns(paths: Paths, values: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Our columns: of each record, the first path that it has."""
    for path in paths["level"]:
        if path in values:
            values[path] = level_names(values[path], _SCALES.get(path, GENERAL_SCALE))
    choices = {
        column: [text for path in group if (text := _text(path, values)) is not None]
        for column, group in paths.items()
    }
    if _IMPLIED_LEVEL[0] in values:
        choices["level"].append(
            pl.when(pl.col(_IMPLIED_LEVEL[0]).is_not_null()).then(pl.lit(_IMPLIED_LEVEL[1]))
        )
    texts = [pl.coalesce(texts).alias(column) for column, texts in choices.items() if texts]
    frame = pl.DataFrame(values).select(texts)
    return {column.name: column for column in frame}


def _text(path: str, values: Mapping[str, pl.Series]) -> pl.Expr | None:
    """Values of a path: texts that are not empty, and objects only where a message may be one."""
    seconds, _, nanoseconds = path.partition("+")
    if seconds not in values:
        return None
    text = pl.col(seconds)
    if nanoseconds:
        fraction = pl.col(nanoseconds).fill_null("0") if nanoseconds in values else pl.lit("0")
        return text + "." + fraction.str.zfill(9)
    if path in _ANY_CONTENT:
        return pl.when(text != "").then(text)
    return pl.when((text != "") & ~text.str.contains(_NESTED)).then(text)


def _with_bytes(lines: pl.Series, key: str, values: pl.Series) -> pl.Series:
    """Values with lists of bytes, `[104, 105]`, as the text they are."""
    listed = lines.str.contains(rf'"{key}"\s*:\s*\[') & values.str.contains(r"^\[[0-9, ]*\]$")
    if not listed.fill_null(False).any():
        return values
    numbers = values.filter(listed).str.strip_chars("[]").str.split(",")
    codes = numbers.list.eval(pl.element().str.strip_chars().cast(pl.UInt8, strict=False).drop_nulls())
    texts = pl.Series([bytes(row).decode("utf-8", "replace") for row in codes], dtype=pl.String)
    return texts.gather((listed.cum_sum().cast(pl.Int64) - 1).set(~listed, None)).zip_with(listed, values)


STRUCTURED: Final[tuple[Format, ...]] = (
    JsonLines("journald", JOURNAL_PATHS, signature=("__REALTIME_TIMESTAMP",), byte_key="MESSAGE"),
    DockerLines(),
    JsonLines("json", JSON_PATHS),
    KeyValue(),
    Delimited("csv", separators=(",", ";", "|")),
    Delimited("tsv", separators=("\t",)),
)
"""Formats of named fields, most telling first."""
