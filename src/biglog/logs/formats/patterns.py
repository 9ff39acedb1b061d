"""Layouts that a user writes as a regex with named groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.formats.fields import header_frame, level_names
from biglog.logs.formats.header import LineByLine, Settled
from biglog.logs.timestamps import Clock

_EXAMPLE: Final = r"^(?P<time>\S+ \S+) (?P<level>[A-Z]+) (?P<content>.*)"
_REMEDY: Final = (
    f"Name a group 'content', and others time, level, component, pid, host or label: '{_EXAMPLE}'"
)
_GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("time", "timestamp", "datetime", "date"), "timestamp"),
        **dict.fromkeys(("level", "severity"), "level"),
        **dict.fromkeys(("component", "logger", "program", "name"), "component"),
        **dict.fromkeys(("pid", "processid"), "pid"),
        **dict.fromkeys(("host", "hostname", "node"), "host"),
        "label": "label",
        **dict.fromkeys(("content", "message", "msg"), "content"),
    }
)


@dataclass(frozen=True)
class Pattern(Settled, LineByLine):
    """A record is what a regex matches, its columns are named groups; it fulfils `Format`.

    Attributes:
        name: The regex, in Rust's dialect. It is tried at the beginning of a line.
        columns: Group by the column it fills.
    """

    name: str
    columns: Mapping[str, str]

    @property
    def regex(self) -> str:
        """The regex, tied to the beginning of the line."""
        return f"^(?:{self.name})"

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that the regex matches.

        Args:
            lines: Any lines.
        """
        return float(lines.str.contains(self.regex).sum()) / max(1, len(lines))

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Lines of one source, in order.
            clock: What the source's timestamps need; it moves along.
        """
        found = lines.str.contains(self.regex)
        groups = lines.str.extract_groups(self.regex)
        columns = {column: groups.struct.field(group) for column, group in self.columns.items()}
        if "level" in columns:
            columns["level"] = level_names(columns["level"])
        content = columns["content"].fill_null("").str.strip_chars_end()
        # An empty text is one: it is no text that is missing.
        return header_frame(lines, found, columns, clock).with_columns(content=content.zip_with(found, lines))


def is_pattern(text: str) -> bool:
    """Whether a layout is given as a regex with named groups."""
    return re.search(r"\(\?P?<[A-Za-z_]", text) is not None


def layout_from_pattern(text: str) -> Pattern:
    """A layout from a user's regex with named groups, such as `(?P<time>\\S+) (?P<content>.*)`.

    Args:
        text: A Rust regex. Groups: time (or timestamp), level, component (or logger), pid, host, label, and
            content (or message), which must be there.

    Raises:
        InputError: It is no regex, or has no group for the content.
    """
    try:
        groups = pl.Series([""]).str.extract_groups(f"^(?:{text})").struct.fields
    except pl.exceptions.ComputeError as error:
        raise InputError(f"layout {text!r} is no regular expression ({error})", remedy=_REMEDY) from error
    columns: dict[str, str] = {}
    for group in groups:
        column = _GROUPS.get(group.lower())
        if column is not None:
            columns.setdefault(column, group)
    if "content" not in columns:
        raise InputError(f"layout {text!r} has no group 'content'", remedy=_REMEDY)
    return Pattern(text, MappingProxyType(columns))
