"""Tables as text: CSV and TSV, with a header or without.

The first lines say how a table is written (`Table`): separator, quotes, header, and which columns are the
time, the level, the message. A row then is one regex with a group for each column that is wanted.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal

import polars as pl

from biglog.errors import InputError
from biglog.logs.formats.fields import header_frame, level_names, time_format
from biglog.logs.formats.header import LEVELS, SYSLOG_LEVELS
from biglog.logs.timestamps import Clock

NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "timestamp": (
            *("timestamp", "timestamps", "datetime", "dateandtime", "datetimeutc", "timegenerated"),
            *("timecreated", "eventtime", "logtime", "createdat", "isodate", "ts", "epoch", "unixtime"),
        ),
        "level": (
            *("level", "loglevel", "levelname", "leveldisplayname", "lvl", "severity", "severitytext"),
            *("priority", "entrytype", "type"),
        ),
        "content": (
            *("content", "message", "msg", "logmessage", "eventmessage", "details", "detail", "description"),
            *("text", "body", "textpayload", "rawmessage", "log"),
        ),
        "component": (
            *("component", "logger", "loggername", "program", "programname", "process", "processname"),
            *("source", "eventsource", "provider", "providername", "module", "service", "servicename"),
            *("application", "app", "appname", "class", "category", "action", "tag"),
        ),
        "pid": ("pid", "processid", "procid", "id"),
        "host": (
            *("host", "hostname", "computer", "computername", "machine", "machinename", "node", "server"),
            *("servername", "device", "devicename"),
        ),
        "label": ("label",),
    }
)
"""Names of columns, in lower case without punctuation, by the column they fill; most telling first."""

_TIME_PARTS: Final = frozenset({"year", "month", "day", "date", "time"})
_LEVEL_NAMES: Final = frozenset({*LEVELS, *LEVELS.values(), *SYSLOG_LEVELS, "AUDIT", "SUCCESS"})
_NAME: Final = re.compile(r"[A-Za-z_@#%$][^\"\n]{0,63}")
_KNOWN: Final = frozenset(
    {*_TIME_PARTS, *(name for names in NAMES.values() for name in names)} - {"id", "text"}
)
# Rows of several lines are fewer than lines; below this share it is no table.
_ENOUGH: Final = 0.3
# Rows looked at for widths and values.
_ROWS: Final = 300
# A quote that stays open this many lines was none.
_OPEN_LINES: Final = 500

Quotes = Literal["doubled", "escaped", "none"]
_QUOTES: Final[tuple[Quotes, ...]] = ("doubled", "escaped", "none")


@dataclass(frozen=True)
class Table:
    """How a table is written.

    Attributes:
        separator: Between two cells.
        quotes: How a quote in a quoted cell is written, or that quotes mean nothing.
        spaced: Whether spaces may follow a separator.
        width: Number of columns.
        header: The line with the columns' names, if there is one.
        roles: Positions of the columns that fill ours; several are joined by a space.
        time: Regex of the time's text, where the time is one column of one known format.
    """

    separator: str
    quotes: Quotes = "doubled"
    spaced: bool = False
    width: int = 0
    header: str | None = None
    roles: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    time: str | None = None

    @property
    def cell(self) -> str:
        """Regex of a cell; never two ways to match, so that Rust can take its fastest engine."""
        separator = re.escape(self.separator)
        if self.quotes == "none":
            return f"[^{separator}]*"
        quoted = r'"(?:[^"\\]|\\.)*"' if self.quotes == "escaped" else r'"[^"]*"(?:"[^"]*")*'
        space = r"\s" if self.spaced else ""
        return rf'(?:(?s:{quoted})|[^{separator}"\n{space}][^{separator}\n]*)?'

    @property
    def between(self) -> str:
        """Regex between two cells."""
        return re.escape(self.separator) + (" *" if self.spaced else "")

    def pattern(self, columns: frozenset[int]) -> str:
        """Rust regex of a row, with a group `c<n>` for each of some columns."""
        cells = (f"(?P<c{n}>{self.cell})" if n in columns else self.cell for n in range(self.width))
        return f"^{self.between.join(cells)}$"

    def cells(self, lines: pl.Series, columns: frozenset[int]) -> pl.DataFrame:
        """Cells of some columns, without their quotes; all null where a line is no row.

        Args:
            lines: Records.
            columns: Positions of the columns; at least one.

        Returns:
            String columns `c<n>`.
        """
        groups = lines.str.extract_groups(self.pattern(columns)).struct.unnest()
        return groups.select(self._plain(groups[name]) for name in groups.columns)

    def share(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are rows, or begin one in whose quotes the line ends."""
        rows = lines.str.contains(self.pattern(frozenset()))
        if self.quotes != "none":
            rows = rows | lines.str.contains(self.open_row)
        return float(rows.sum()) / len(lines)

    @property
    def open_row(self) -> str:
        """Rust regex of a line that ends within quotes."""
        inside = r"(?:[^\"\\]|\\.)*" if self.quotes == "escaped" else '[^"]*(?:""[^"]*)*'
        return f'^(?:{self.cell}{self.between})*"{inside}$'

    def names(self, line: str) -> list[str]:
        """Cells of one line, whatever their number."""
        parts = [match[1] for match in re.finditer(f"(?:^|{self.between})({self.cell})", line)]
        return self._plain(pl.Series(parts, dtype=pl.String)).str.strip_chars().to_list()

    def role(self, cells: pl.DataFrame, name: str) -> pl.Series:
        """Values of one of our columns; null where no column fills it."""
        columns = [f"c{at}" for at in self.roles.get(name, ())]
        if not columns:
            return pl.Series(name, [None], dtype=pl.String).new_from_index(0, len(cells))
        return cells.select(pl.concat_str(columns, separator=" ").alias(name))[name]

    def _plain(self, texts: pl.Series) -> pl.Series:
        quoted = texts.str.starts_with('"').fill_null(False)
        if self.quotes == "none" or not quoted.any():
            return texts
        inner = texts.str.slice(1, texts.str.len_chars() - 2)
        inner = inner.str.replace_all(
            '""' if self.quotes == "doubled" else r"\\(.)", '"' if self.quotes == "doubled" else "$1"
        )
        return inner.zip_with(quoted, texts)


@dataclass(frozen=True)
class Delimited:
    """A table with a row a record; it fulfils `Format`.

    Attributes:
        name: Name under which it is reported and asked for.
        separators: Those it may have.
        table: How the table at hand is written, once it is learnt.
    """

    name: str
    separators: tuple[str, ...]
    table: Table | None = None

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are rows of a table of log records; 0 where nothing says it is one.

        A header must name the time, the level or the like; without a header the values must show both and a
        message, in every row.

        Args:
            lines: Non-empty lines, the first of them the source's first.
        """
        shapes = [shape for shape, _ in (_shape(lines, mark) for mark in self.separators) if shape.width > 1]
        # The lines may be neighbours, or picked from far apart.
        both = [(shape, rows) for shape in shapes for rows in (lines, _records(lines, shape))]
        shares = [shape.share(rows) for shape, rows in both if _with_roles(shape, rows, certain=True)]
        return max((share for share in shares if share >= _ENOUGH), default=0.0)

    def learn(self, lines: pl.Series) -> Delimited:
        """The same format for the table at hand.

        Args:
            lines: The source's first lines, in order.

        Raises:
            InputError: The lines are no table, or none of its columns is a message.
        """
        lines = lines.filter(lines.str.strip_chars() != "")
        if lines.is_empty():
            return self
        shapes = [_shape(lines, separator) for separator in self.separators]
        shape, _ = max(shapes, key=lambda pair: (pair[0].width > 1, pair[1], pair[0].width))
        if shape.width < 2:
            raise InputError(
                f"not a {self.name} table: the first line is one cell, {lines[0][:60]!r}",
                line=1,
                remedy="Leave the format out to have it recognised, or choose another one",
            )
        records = _records(lines, shape)
        table = _with_roles(shape, records, certain=True) or _with_roles(shape, records, certain=False)
        if table is None:
            names = ", ".join(repr(name) for name in shape.names(lines[0]))
            raise InputError(
                f"no column of this {self.name} table holds the message; the columns are {names}",
                line=1,
                remedy=f"Name the column one of {', '.join(NAMES['content'][:6])}",
            )
        return replace(self, table=table)

    def starts(self, lines: pl.Series) -> pl.Series | None:
        """Every line but those inside of a quoted cell.

        Args:
            lines: Consecutive lines, of which the first begins a record.
        """
        if self.table is None or self.table.quotes == "none":
            return None
        return _outside_quotes(lines, self.table)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`; the header, and rows of another width, are no header and all content.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        table = self.table
        if table is None:
            return header_frame(lines, pl.Series([False]).new_from_index(0, len(lines)), {}, clock)
        positions = frozenset(at for columns in table.roles.values() for at in columns)
        cells = table.cells(lines, positions)
        found = cells[:, 0].is_not_null() & (lines != (table.header or ""))
        columns = {name: table.role(cells, name) for name in table.roles}
        if "level" in columns:
            columns["level"] = level_names(columns["level"])
        return header_frame(lines, found, columns, clock)


def _shape(lines: pl.Series, separator: str) -> tuple[Table, float]:
    """The way of writing that most lines share with the first one, and their share; roles are still open."""
    if lines.is_empty() or separator not in lines[0]:
        return Table(separator), 0.0
    sample = lines.head(_ROWS)
    best, most = Table(separator), 0.0
    for quotes in _QUOTES:
        for spaced in (False, True):
            table = Table(separator, quotes, spaced)
            table = replace(table, width=len(table.names(lines[0])))
            share = table.share(sample)
            if share > most:
                best, most = table, share
    return best, most


def _records(lines: pl.Series, shape: Table) -> pl.Series:
    """Lines that are neighbours as records."""
    starts = _outside_quotes(lines, shape) if shape.quotes != "none" else None
    if starts is None:
        return lines
    numbered = pl.DataFrame({"line": lines, "record": starts.cum_sum()})
    return numbered.group_by("record", maintain_order=True).agg(pl.col("line").str.join("\n"))["line"]


def _with_roles(shape: Table, lines: pl.Series, *, certain: bool) -> Table | None:
    """The table with the roles of its columns, or None if no column is a message.

    Args:
        shape: How the table is written.
        lines: Its first lines.
        certain: Whether nothing but a table of log records will do.
    """
    names = shape.names(lines[0])
    plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in names]
    known = sum(name in _KNOWN for name in plain)
    titled = len(set(plain)) == len(plain) and all(_NAME.fullmatch(name) for name in names)
    titled = titled and (known >= 2 or not certain)
    sample = shape.cells(lines.slice(int(titled), _ROWS), frozenset(range(shape.width))).drop_nulls("c0")
    if sample.is_empty() and certain:
        return None
    if titled:
        roles = _roles_by_name(plain, sample)
    else:
        roles = _roles_by_value(sample)
        if certain and not ({"timestamp", "level"} <= roles.keys() and shape.width > 2):
            return None
    roles = roles if "content" in roles else {**roles, **_widest(sample, roles, certain=certain)}
    if "content" not in roles:
        return None
    return replace(shape, header=lines[0] if titled else None, roles=roles, time=_time_pattern(sample, roles))


def _roles_by_name(names: list[str], sample: pl.DataFrame) -> dict[str, tuple[int, ...]]:
    roles: dict[str, tuple[int, ...]] = {}
    for role, known in NAMES.items():
        at = next((names.index(name) for name in known if name in names), None)
        if at is not None and _plausible(role, names[at], sample[f"c{at}"]):
            roles[role] = (at,)
    roles.pop("timestamp", None)
    times = _time_columns(names, sample)
    return {"timestamp": times, **roles} if times else roles


def _plausible(role: str, name: str, values: pl.Series) -> bool:
    """Whether a column's values are what its name says."""
    values = values.filter(values != "")
    if values.is_empty():
        return True
    if role == "level":
        known = values.str.strip_chars().str.to_uppercase().is_in(list(_LEVEL_NAMES))
        return bool(2 * (known | values.str.contains("^[0-9]{1,2}$")).sum() >= len(values))
    if name == "id":
        # Numbers that come again are those of processes, others count rows.
        return values.n_unique() < len(values) and bool(values.str.contains("^[0-9]+$").all())
    return True


def _time_columns(names: list[str], sample: pl.DataFrame) -> tuple[int, ...]:
    """The first candidate whose values are times: by name, neighbours that make one up, any column."""
    named = [(names.index(name),) for name in NAMES["timestamp"] if name in names]
    parts = [at for at, name in enumerate(names) if name in _TIME_PARTS]
    runs: list[tuple[int, ...]] = []
    for at in parts:
        runs = [*runs[:-1], (*runs[-1], at)] if runs and runs[-1][-1] == at - 1 else [*runs, (at,)]
    runs = [run for run in runs if len(run) > 1]
    split = [(names.index("date"), names.index("time"))] if {"date", "time"} <= set(names) else []
    single = [(at,) for at in sorted(parts, key=lambda at: names[at] != "time")]
    other = [(at,) for at in range(len(names)) if at not in parts]
    for columns in [*named, *runs, *split, *single, *other]:
        joined = sample.select(pl.concat_str([f"c{at}" for at in columns], separator=" ").alias("time"))[
            "time"
        ]
        if time_format(joined.filter(joined != "")) is not None:
            return columns
    return named[0] if named else ()


def _roles_by_value(sample: pl.DataFrame) -> dict[str, tuple[int, ...]]:
    """Time and level where every value is one."""
    roles: dict[str, tuple[int, ...]] = {}
    for at in range(sample.width):
        values = sample[f"c{at}"]
        if values.is_empty() or (values.str.strip_chars() != values).any():
            continue
        form = time_format(values)
        if "timestamp" not in roles and form and values.str.contains(f"^(?:{form.pattern})$").all():
            roles["timestamp"] = (at,)
        elif "level" not in roles and values.str.to_uppercase().is_in(list(_LEVEL_NAMES)).all():
            roles["level"] = (at,)
    return roles


def _widest(
    sample: pl.DataFrame, roles: Mapping[str, tuple[int, ...]], *, certain: bool
) -> dict[str, tuple[int, ...]]:
    """The column of the longest texts as content, if a third (some, where not certain) are several words."""
    taken = {at for columns in roles.values() for at in columns}
    lengths = {}
    for at in set(range(sample.width)) - taken:
        values = sample[f"c{at}"]
        if (3 if certain else len(values)) * values.str.contains(r"\pL+\s+\S").sum() >= max(1, len(values)):
            lengths[at] = values.str.len_chars().sum()
    return {"content": (max(lengths, key=lengths.__getitem__),)} if lengths else {}


def _time_pattern(sample: pl.DataFrame, roles: Mapping[str, tuple[int, ...]]) -> str | None:
    columns = roles.get("timestamp", ())
    form = time_format(sample[f"c{columns[0]}"]) if len(columns) == 1 else None
    return form.pattern if form else None


def _outside_quotes(lines: pl.Series, table: Table) -> pl.Series | None:
    """Which lines begin outside of quotes, or None if all do.

    An open quote ends with the next odd number of quotes, and before that at a line that begins as a row does
    (with its time in its place), and after `_OPEN_LINES` lines: a stray quote costs little.
    """
    counted = lines.str.replace_all(r"\\.", "") if table.quotes == "escaped" else lines
    odd = counted.str.count_matches('"', literal=True) % 2 == 1
    if not odd.any():
        return None
    opening = odd & lines.str.contains(table.open_row)
    rows: list[int] = []
    if table.time is not None:
        before = f"(?:{table.cell}{table.between}){{{table.roles['timestamp'][0]}}}"
        after = f'"?(?:{table.between}|$)'
        rows = lines.str.contains(f'^{before}"?(?:{table.time}){after}').arg_true().to_list()
    return _state(odd.arg_true().to_list(), set(opening.arg_true().to_list()), rows, len(lines))


def _state(odd: list[int], opening: set[int], rows: list[int], height: int) -> pl.Series:
    """Which lines begin outside of quotes.

    Args:
        odd: Lines with an odd number of quotes, in order.
        opening: Those of them that may open a quoted cell.
        rows: Lines that begin as a row does, in order.
        height: Number of lines.
    """
    inside: list[int] = []
    closed = 0
    for place, line in enumerate(odd):
        if line < closed or line not in opening:
            continue
        following = bisect_right(rows, line)
        end = min(
            odd[place + 1] + 1 if place + 1 < len(odd) else height,
            rows[following] if following < len(rows) else height,
            line + _OPEN_LINES,
        )
        inside.extend(range(line + 1, end))
        closed = end
    return pl.Series([True]).new_from_index(0, height).scatter(inside, False)
