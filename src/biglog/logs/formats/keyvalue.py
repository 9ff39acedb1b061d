"""Lines of `key=value` pairs: logfmt, as Go programs, Heroku and many others write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import polars as pl

from biglog.logs.formats.fields import header_frame, level_names
from biglog.logs.formats.header import LineByLine, Settled
from biglog.logs.timestamps import Clock

KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "timestamp": ("time", "ts", "timestamp", "t", "@timestamp", "at_time", "datetime", "date"),
        "level": ("level", "lvl", "severity", "loglevel", "log.level", "at"),
        "content": ("msg", "message", "event"),
        "component": (
            "logger",
            "log.logger",
            "component",
            "module",
            "name",
            "service",
            "app",
            "caller",
            "source",
        ),
        "pid": ("pid", "process.pid", "process"),
        "host": ("host", "hostname", "host.name", "node", "dyno"),
    }
)
"""Keys by the column they fill, most telling first; in lines they may be written in any case."""

_KEY: Final = r'[A-Za-z_@][^\s="]*'
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PAIR: Final = rf'{_KEY}=(?:{_QUOTED}|[^\s"]\S*)?'
# Bare keys are few: up to two in a row, so that prose with pairs in it is none.
_LINE: Final = rf"^\s*{_PAIR}(?:\s+(?:{_KEY}\s+){{0,2}}{_PAIR})+(?:\s+{_KEY}){{0,2}}\s*$"
_NAMES: Final = "|".join(sorted({key.replace(".", r"\.") for names in KEYS.values() for key in names}))
_NAMED_PAIR: Final = rf"(?i)(?:^|\s)(?:{_NAMES})="
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\/": "/"}
# Detection looks at the beginnings of lines: one as long as this may be cut within a quoted value.
_CUT: Final = 4096


@dataclass(frozen=True)
class KeyValue(Settled, LineByLine):
    """Lines that are nothing but pairs; it fulfils `Format`.

    Attributes:
        name: Name under which it is reported and asked for.
    """

    name: str = "logfmt"

    def match(self, lines: pl.Series) -> float:
        """Share of lines (0..1) that are pairs, of which one is a level, a message or another of `KEYS`.

        Args:
            lines: Non-empty lines; those of 4096 characters and more may be cut.
        """
        if lines.is_empty():
            return 0.0
        beginning = lines.str.extract(rf"^(\s*{_PAIR}(?:\s+{_PAIR})+)\s")
        whole = beginning.zip_with(lines.str.len_chars() >= _CUT, lines)
        return float((_readable(whole) & whole.str.contains(_NAMED_PAIR)).sum()) / len(lines)

    def read(self, lines: pl.Series, clock: Clock) -> pl.DataFrame:
        """Columns as of `Format.read`.

        Args:
            lines: Records.
            clock: What the source's timestamps need; it moves along.
        """
        found = _readable(lines)
        values = _values(lines, found)
        columns = {name: _first(values, keys) for name, keys in KEYS.items()}
        columns["timestamp"] = _with_date(columns["timestamp"], values)
        columns["level"] = level_names(columns["level"])
        return header_frame(lines, found, columns, clock)


def _readable(lines: pl.Series) -> pl.Series:
    return lines.str.contains(_LINE).fill_null(False)


def _values(lines: pl.Series, found: pl.Series) -> pl.DataFrame:
    """Values of known keys: a row a line, a column a key in lower case; the first of equal keys counts."""
    known = [key for keys in KEYS.values() for key in keys]
    pairs = (
        pl.DataFrame({"row": pl.int_range(len(lines), eager=True), "line": lines})
        .filter(found)
        .select("row", pl.col("line").str.extract_all(_PAIR).alias("pair"))
        .explode("pair")
        .select("row", pl.col("pair").str.splitn("=", 2).struct.rename_fields(["key", "value"]))
    )
    wanted = (
        pairs.unnest("pair").with_columns(pl.col("key").str.to_lowercase()).filter(pl.col("key").is_in(known))
    )
    rows = pl.DataFrame({"row": pl.int_range(len(lines), eager=True)})
    columns: dict[str, pl.Series] = {}
    for (key,), part in wanted.group_by("key"):
        part = part.unique("row", keep="first", maintain_order=True)
        placed = rows.join(part, on="row", how="left", maintain_order="left")
        columns[str(key)] = _plain(placed["value"])
    return rows.with_columns(**columns)


def _first(values: pl.DataFrame, keys: tuple[str, ...]) -> pl.Series:
    present = [pl.when(pl.col(key) != "").then(pl.col(key)) for key in keys if key in values.columns]
    if not present:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    return values.select(pl.coalesce(present).alias("value"))["value"]


def _with_date(times: pl.Series, values: pl.DataFrame) -> pl.Series:
    """Times of day behind their date, where date and time are two keys."""
    if "date" not in values.columns:
        return times
    split = times.str.contains("^[0-9]{2}:[0-9]{2}:[0-9]{2}") & values["date"].is_not_null()
    return (values["date"] + " " + times).zip_with(split.fill_null(False), times)


def _plain(values: pl.Series) -> pl.Series:
    """Values without quotes and escapes."""
    quoted = values.str.starts_with('"').fill_null(False)
    if not quoted.any():
        return values
    inner = values.str.slice(1, values.str.len_chars() - 2)
    escaped = inner.str.contains("\\", literal=True)
    if escaped.any():
        inner = inner.str.replace_many(_ESCAPES)
    return inner.zip_with(quoted, values)
