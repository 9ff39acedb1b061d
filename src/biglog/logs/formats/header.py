"""Layouts of header lines: from Loghub's notation to columns.

A layout says in Loghub's own notation what stands before the message, `<Date> <Time> <Level> <Component>:
<Content>`. It compiles to one regex of the *header alone*, so that Rust's one-pass engine can run it (five
times faster than one that also captures the message); the message is what remains. A new format of another
kind (JSON lines, CSV) is a class with the methods of `Format`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, Protocol, Self

import numpy as np
import polars as pl

from biglog.errors import InputError
from biglog.logs.formats.columns import Flags, Stretches
from biglog.logs.formats.words import Plan, plan_words, read_words
from biglog.logs.timestamps import UTC_MICROSECONDS, Clock, Stamps, TimestampFormat, guess_format

HEADER_COLUMNS: Final = ("level", "component", "pid", "host", "label")

LEVELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("V", "T", "VERBOSE", "FINEST", "FINER", "TRC", "VRB"), "TRACE"),
        **dict.fromkeys(("D", "DBG", "FINE", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"), "DEBUG"),
        **dict.fromkeys(("I", "INF", "INFORMATION", "INFORMATIONAL", "CONFIG", "LOG"), "INFO"),
        **dict.fromkeys(("N", "NOTE"), "NOTICE"),
        **dict.fromkeys(("W", "WARN", "WRN"), "WARNING"),
        **dict.fromkeys(("E", "ERR", "SEVERE"), "ERROR"),
        **dict.fromkeys(("C", "CRIT"), "CRITICAL"),
        **dict.fromkeys(("F", "FAILURE", "FTL", "FATAL ERROR"), "FATAL"),
        **dict.fromkeys(("EMERG", "PANIC"), "EMERGENCY"),
    }
)
"""Synonyms of level names; a name that is not here stays as the header has it, in upper case."""

SYSLOG_LEVELS: Final = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""Severities of RFC 5424, section 6.2.1, by number (PRI modulo 8)."""

# Fields a notation may use, in lower case, and the column each fills unless a layout says otherwise.
_ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "level": "level",
        "severity": "level",
        "component": "component",
        "logger": "component",
        "program": "component",
        "pid": "pid",
        "processid": "pid",
        "host": "host",
        "hostname": "host",
        "node": "host",
        "label": "label",
    }
)
_TIME_FIELDS: Final = frozenset({"date", "time", "timestamp", "month", "day", "year", "datetime"})
_TEXTS: Final = ("timestamp", *HEADER_COLUMNS, "content")
_NO_TEXT: Final = pl.Series([None], dtype=pl.String)
_NO_TIME: Final = pl.Series([None], dtype=UTC_MICROSECONDS)
_FIELD = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


class Format(Protocol):
    """A way of reading records out of lines. No method ever raises, whatever the lines are."""

    @property
    def name(self) -> str:
        """Name under which it is reported and asked for."""

    def match(self, lines: pl.Series) -> float:
        """Share of the given lines (0..1) that it can read.

        Args:
            lines: Non-empty lines, taken evenly from the beginning of a source.
        """

    def learn(self, lines: pl.Series) -> Format:
        """The same format, adapted to one source.

        Args:
            lines: The source's first lines, all of them and in order.
        """

    def starts(self, lines: pl.Series) -> pl.Series | None:
        """Which lines begin a record; the lines up to the next one belong to it.

        Args:
            lines: Consecutive lines, of which the first always begins a record.

        Returns:
            A Boolean a line, or None, whatever the lines are, if each line is a record. What it says of a
            line depends on the lines before it alone, and not on those before the record it belongs to.
        """

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Header columns of every record.

        Args:
            lines: Records of one source, in order; the lines of a record are joined by a line feed.
            clock: What the source's timestamps need; it moves along.

        Returns:
            timestamp, level, component, pid, host, label, content, has_header and bad_timestamp (Boolean),
            one row a record. A record that it cannot read has nulls, itself as content, and `has_header`
            false.
        """


class Settled:
    """Part of a format that has nothing to learn of a source."""

    def learn(self, lines: pl.Series) -> Self:
        """Itself.

        Args:
            lines: Not looked at.
        """
        return self


class LineByLine:
    """Part of a format in which each line is a record."""

    def starts(self, lines: pl.Series) -> None:
        """None: each line is a record.

        Args:
            lines: Not looked at.
        """


@dataclass(frozen=True)
class Layout(LineByLine):
    """A header in Loghub's notation; it fulfils `Format`.

    Attributes:
        name: Name under which it is reported and asked for.
        notation: `<Field>` for a field, a space for one or more spaces, all else a Rust regex. Ends with
            `<Content>`.
        timestamp: How the `time` fields together are written; None where the header has no point in time.
        time: First and last field of the timestamp.
        fields: Regex of a field, by name; a field that is not named is a run of anything but spaces.
        columns: Column that a field fills (`level`, `component`, `pid`, `host`, `label`, "" for none)
            where its name does not say so.
        levels: What the level field holds: a name, or a syslog PRI number.
        signature: Regex that at least one line in fifty must contain for detection to choose this layout.
        zone: IANA zone of timestamps that name none.
    """

    name: str
    notation: str
    timestamp: TimestampFormat | None = None
    time: tuple[str, str] = ("Time", "Time")
    fields: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    levels: Literal["names", "pri"] = "names"
    signature: str | None = None
    zone: str = "UTC"

    @cached_property
    def pattern(self) -> str:
        """The Rust regex of the header, with a group `header` around it all and one a column."""
        return _compile(self)

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that begin with this header; 0 where the signature is missing.

        Args:
            lines: Non-empty lines.
        """
        if lines.is_empty():
            return 0.0
        if self.signature is not None and 50 * lines.str.contains(self.signature).sum() < len(lines):
            return 0.0
        return float(lines.str.contains(self.pattern).sum()) / len(lines)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Split every line into header columns and content.

        Args:
            lines: Lines of one file, in order.
            clock: What the file's timestamps need; it moves along.

        Returns:
            Columns timestamp, level, component, pid, host, label, content, has_header, bad_timestamp. A line
            that lacks the header has nulls, itself as content, and `has_header` false.
        """
        table, stamps = self._table(lines)
        content = table["content"]
        found = content.is_not_null() if content.null_count() else _same(True, lines)
        if stamps is None:
            stamps = self._stamps(table["timestamp"])
        timestamps = _NO_TIME.new_from_index(0, len(lines)) if stamps is None else stamps.times(clock)
        # Without a field for it, a missing time is no mistake.
        bad = found & timestamps.is_null() if timestamps.null_count() and self._timed else _same(False, lines)
        return pl.DataFrame(
            {
                "timestamp": timestamps,
                **{name: table[name] for name in HEADER_COLUMNS},
                "content": content.zip_with(found, lines) if content.null_count() else content,
                "has_header": found,
                "bad_timestamp": bad,
            }
        )

    def learn(self, lines: pl.Series) -> Layout:
        """The same layout with its timestamp format taken from sample lines, if it has none of its own.

        Args:
            lines: Lines of the file to be read.

        Returns:
            A layout whose timestamp is the first of the notation's time fields that is of a known format.
        """
        if self.timestamp is not None:
            return self
        for span in _time_spans(self.notation):
            layout = replace(self, time=span)
            texts = lines.str.extract_groups(layout.pattern).struct.field("timestamp")
            form = guess_format(texts)
            if form is not None:
                return replace(layout, timestamp=form)
        return self

    @cached_property
    def _timed(self) -> bool:
        return f"<{self.time[0]}>" in self.notation

    @cached_property
    def _plan(self) -> Plan | None:
        """The plain words the header begins with; a user's notation has fields that any text fits."""
        if _loose(self):
            return None
        head, taken = self.notation.removesuffix("<Content>"), set(HEADER_COLUMNS)
        return plan_words(head, lambda name: _meaning(self, name, taken), self.time, self.timestamp)

    @cached_property
    def _rest_pattern(self) -> str:
        """The Rust regex of what follows the plan's words in the header."""
        assert self._plan is not None
        free = set(HEADER_COLUMNS) - {word.column for word in self._plan.words}
        return f"^(?P<header>{_pieces(self, self._plan.rest, closing=True, groups=free)})"

    def _table(self, lines: pl.Series) -> tuple[Mapping[str, pl.Series], Stamps | None]:
        """Texts by column, `content` null where there is no header; the timestamps if they are at hand."""
        found = read_words(self._plan, lines) if self._plan is not None else None
        if found is None:
            return self._by_regex(lines, self.pattern), None
        if self._plan is not None and self._plan.rest:
            table = self._by_regex(found.rest.strings, self._rest_pattern)
            found.good[:] &= table["content"].is_not_null().to_numpy()
        else:
            empty = _NO_TEXT.new_from_index(0, len(lines))
            table = dict.fromkeys(_TEXTS, empty) | {"content": found.rest.stripped().strings}
        done = found.stamps is not None and bool(found.good.all())
        for name, place in found.fields.items():
            if not (done and name == "timestamp"):
                table[name] = self._strings(name, place)
        if found.good.all():
            return table, found.stamps
        others = self._by_regex(lines.filter(pl.Series(~found.good)), self.pattern)
        return _merged(table, others, found.good), None

    def _by_regex(self, lines: pl.Series, pattern: str) -> dict[str, pl.Series]:
        """Texts by column; all null where the pattern does not match."""
        groups = lines.str.extract_groups(pattern).struct.unnest()
        rest = pl.DataFrame({"line": lines, "header": groups["header"]}).select(
            pl.when(pl.col("header").is_not_null()).then(
                pl.col("line").str.strip_prefix(pl.col("header")).str.strip_chars_end()
            )
        )
        empty = _NO_TEXT.new_from_index(0, len(lines))
        table = {name: groups[name] if name in groups.columns else empty for name in _TEXTS}
        return table | {"content": rest.to_series(), "level": canonical_levels(table["level"], self.levels)}

    def _strings(self, column: str, field: Stretches) -> pl.Series:
        """A field as the column it fills."""
        if column != "level":
            return field.strings
        known = field.translated(_canonical) if self.levels == "names" else None
        return canonical_levels(field.strings, self.levels) if known is None else known

    def _stamps(self, texts: pl.Series) -> Stamps | None:
        if self.timestamp is None:
            return None
        if _loose(self):
            texts = texts.set(~texts.str.contains(f"^(?:{self.timestamp.pattern})$"), None)
        return Stamps.of(texts, self.timestamp)


@dataclass(frozen=True)
class Plain(Settled, LineByLine):
    """No header at all: every line is content; it fulfils `Format`."""

    name: str = "plain"

    def match(self, lines: pl.Series) -> float:
        """Every line is a plain line.

        Args:
            lines: Any lines.
        """
        return 1.0

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Layout.read`: all null but `content`.

        Args:
            lines: Any lines.
            clock: Not needed.
        """
        empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(lines))
        never = pl.Series([False]).new_from_index(0, len(lines))
        return pl.DataFrame(
            {
                "timestamp": empty.cast(UTC_MICROSECONDS),
                **dict.fromkeys(HEADER_COLUMNS, empty),
                "content": lines,
                "has_header": never,
                "bad_timestamp": never,
            }
        )


PLAIN: Final = Plain()


def layout_from_notation(notation: str) -> Layout:
    """A layout from a user's text in Loghub's notation, such as `<Date> <Time> <Component>: <Content>`.

    As in Loghub, a field is as short as what follows allows, and what stands between fields is a regular
    expression.

    Args:
        notation: Field names in angle brackets; the last one is `<Content>`. Time fields stand next to each
            other.

    Returns:
        The layout; its timestamp format is learnt from the file (`Layout.learn`).

    Raises:
        InputError: No field, no `<Content>` at the end, or not a regular expression.
    """
    example = "<Date> <Time> <Level> <Component>: <Content>"
    remedy = f"Write fields in angle brackets and end with <Content>, such as '{example}'"
    if not notation.endswith("<Content>"):
        raise InputError(f"layout {notation!r} does not end with <Content>", remedy=remedy)
    time = next(iter(_time_spans(notation)), ("Time", "Time"))
    layout = Layout(notation, notation, time=time, fields={"": ".*?"})
    try:
        pl.Series([""]).str.contains(layout.pattern)
    except pl.exceptions.ComputeError as error:
        raise InputError(f"layout {notation!r} is no regular expression ({error})", remedy=remedy) from error
    return layout


def _time_spans(notation: str) -> list[tuple[str, str]]:
    """First and last field of what may be the timestamp: neighbours together, then each alone."""
    names = _FIELD.findall(notation)
    together: list[list[str]] = [[]]
    for name in names:
        if name.lower() in _TIME_FIELDS:
            together[-1].append(name)
        elif together[-1]:
            together.append([])
    spans = [(span[0], span[-1]) for span in together if span]
    return list(dict.fromkeys([*spans, *((name, name) for span in together for name in span)]))


def canonical_levels(levels: pl.Series, kind: Literal["names", "pri"] = "names") -> pl.Series:
    """Level texts as upper-case canonical names.

    Args:
        levels: Names in any case and spelling, or syslog PRI numbers.
        kind: Which of the two they are.

    Returns:
        Names of `LEVELS` and `SYSLOG_LEVELS`; unknown names in upper case, null for the empty text.
    """
    if kind == "pri":
        severity = levels.cast(pl.Int32, strict=False) % 8
        names = pl.Series(SYSLOG_LEVELS, dtype=pl.String)
        return names.gather(severity).alias(levels.name)
    # A file has a handful of levels: translate those, not the lines.
    known = {text: _canonical(text) for text in levels.drop_nulls().unique()}
    return levels.replace_strict(known, default=None, return_dtype=pl.String) if known else levels


def _canonical(level: str) -> str | None:
    name = level.upper().strip()
    return LEVELS.get(name, name) or None


def _same(flag: bool, lines: pl.Series) -> pl.Series:
    """A Boolean column of one value, as long as `lines`."""
    return pl.Series([flag]).new_from_index(0, len(lines))


def _merged(
    good: Mapping[str, pl.Series], others: Mapping[str, pl.Series], is_good: Flags
) -> dict[str, pl.Series]:
    """Rows of `good` where they are good, and the rows of `others` in between."""
    kept = pl.Series(is_good)
    # Row of each line in what is put together below, good ones first.
    order = np.where(is_good, np.cumsum(is_good), int(is_good.sum()) + np.cumsum(~is_good)) - 1
    both = pl.concat([pl.DataFrame(good).filter(kept).select(_TEXTS), pl.DataFrame(others).select(_TEXTS)])
    return both[order].to_dict()


def _loose(layout: Layout) -> bool:
    """Whether fields are as short as possible (a user's notation) instead of runs without spaces."""
    return "" in layout.fields


def _compile(layout: Layout) -> str:
    """One Rust regex for a layout: a group for each column, and one for the timestamp's fields together."""
    head = layout.notation.removesuffix("<Content>")
    first, last = f"<{layout.time[0]}>", f"<{layout.time[1]}>"
    if first not in head:
        return f"^(?P<header>{_pieces(layout, head, closing=True, groups=set(HEADER_COLUMNS))})"
    start, end = head.index(first), head.index(last) + len(last)
    stamp = layout.timestamp.pattern if layout.timestamp and not _loose(layout) else None
    stamp = stamp or _pieces(layout, head[start:end], groups=set())
    free = set(HEADER_COLUMNS)
    before = _pieces(layout, head[:start], groups=free)
    after = _pieces(layout, head[end:], closing=True, groups=free)
    return f"^(?P<header>{before}(?P<timestamp>{stamp}){after})"


def _pieces(layout: Layout, text: str, *, groups: set[str], closing: bool = False) -> str:
    """Translate a stretch of notation.

    Args:
        layout: Where the notation comes from.
        text: The stretch.
        groups: Columns that may still be captured; each is taken out by the first field that fills it.
        closing: Whether the stretch ends the header: its last spaces may then be the end of the line.
    """
    parts = _FIELD.split(text)
    out = [
        _field(layout, part, groups)
        if index % 2
        else _literal(layout, part, closing=closing and index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]
    return "".join(out)


def _literal(layout: Layout, text: str, *, closing: bool) -> str:
    spaces = r"\s+" if _loose(layout) else " +"
    closing = closing and text.endswith(" ")
    body = re.sub(" +", lambda _: spaces, text.rstrip(" ") if closing else text)
    # Groups of the notation are for alternatives: capturing them would cost time and names.
    body = re.sub(r"(?<!\\)\((?!\?)", "(?:", body)
    return f"{body}(?:{spaces}|$)" if closing else body


def _field(layout: Layout, name: str, groups: set[str]) -> str:
    pattern, column = _meaning(layout, name, groups)
    return f"(?P<{column}>{pattern})" if column else f"(?:{pattern})"


def _meaning(layout: Layout, name: str, free: set[str]) -> tuple[str, str]:
    """Regex of a field and the column it fills, which is then taken; "" for none."""
    pattern = layout.fields.get(name, layout.fields.get("", "[^ ]+"))
    column = layout.columns.get(name, _ROLES.get(name.lower(), ""))
    if column not in free:
        return pattern, ""
    free.remove(column)
    return pattern, column
