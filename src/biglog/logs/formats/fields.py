"""Values of named fields to header columns: times of any kind, levels by name or number.

Formats that name their fields (JSON, CSV, key=value) differ in how a value is found, and not in what it then
means. What it means is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from biglog.logs.formats.header import HEADER_COLUMNS, SYSLOG_LEVELS, canonical_levels
from biglog.logs.timestamps import FORMATS, UTC_MICROSECONDS, Clock, TimestampFormat, parse_timestamps

Scale = Mapping[int, str]
"""Names of numeric levels; a number between two of them has the name of the lower one."""

_SYSLOG: Final = dict(enumerate(SYSLOG_LEVELS))
SYSLOG_SCALE: Final[Scale] = MappingProxyType({**_SYSLOG, 8: ""})
"""Severities 0..7 of RFC 5424."""
GENERAL_SCALE: Final[Scale] = MappingProxyType(
    {
        **_SYSLOG,
        **{8: "", 10: "TRACE", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "FATAL", 70: ""},
        **{5000: "TRACE", 10_000: "DEBUG", 20_000: "INFO", 30_000: "WARNING", 40_000: "ERROR", 50_000: ""},
    }
)
"""Syslog's 0..7 (GELF), bunyan's and pino's 10..60 and logback's thousands: they don't overlap."""
PYTHON_SCALE: Final[Scale] = MappingProxyType(
    {1: "TRACE", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL", 60: ""}
)
"""Numbers of Python's `logging`, which are a step off bunyan's."""
OTEL_SCALE: Final[Scale] = MappingProxyType(
    {1: "TRACE", 5: "DEBUG", 9: "INFO", 13: "WARNING", 17: "ERROR", 21: "FATAL", 25: ""}
)
"""SeverityNumber of OpenTelemetry."""

# Values under names like `level` that grade something else, and spellings that formats.LEVELS does not have.
_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"D{number}": "DEBUG" for number in range(1, 6)},
        **{"eror": "ERROR", "dbug": "DEBUG"},
        **dict.fromkeys(("Metadata", "Request", "RequestResponse", "-", "none", "None"), ""),
    }
)

_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK: Final = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
# Not in timestamps.FORMATS: there, each one would become a layout of its own.
_FORMATS: Final = (
    *FORMATS.values(),
    TimestampFormat(
        "day-month",
        rf"[0-9]{{1,2}} {_MONTH} [0-9]{{4}} {_CLOCK}(?:\.[0-9]{{1,9}})?(?: ?Z| ?[+-][0-9]{{2}}:?[0-9]{{2}})?",
        "%d %b %Y %H:%M:%S%.f",
        zoned=True,
    ),
    TimestampFormat(
        "twelve-hours",
        "[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AP]M",
        "%m/%d/%Y %I:%M:%S %p",
    ),
    TimestampFormat("dotted", f"[0-9]{{4}}\\.[0-9]{{2}}\\.[0-9]{{2}} {_CLOCK}", "%Y.%m.%d %H:%M:%S"),
)
# Ways to write a known format differently: weekdays, names of UTC, Go's monotonic clock, seconds left out.
_TIDYING: Final = (
    (r"^[\s\[]+|[\s\],]+$", ""),
    (r" m=[+-][0-9.]+$", ""),
    (r"([+-][0-9]{4}) \(?[A-Z]{3,5}\)?$", "$1"),
    (r" ?(?:UTC|GMT|z)$", "Z"),
    (r"^[A-Z][a-z]{2,8}, ", ""),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[t,_] ?", "${1}T"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})", "$1-$2-${3}T$4:$5:$6"),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2})(Z|[+-][0-9:]+)?$", "$1:00$2"),
    (r"([.,][0-9]{9})[0-9]+", "$1"),
    (r"^([0-9]{12,19})\.[0-9]+$", "$1"),
)
_SAMPLE: Final = 64
# Each round takes out the texts of one format.
_ROUNDS: Final = 2 * len(_FORMATS)


def time_format(texts: pl.Series) -> TimestampFormat | None:
    """The format most of a sample of texts have, if at least half of them have it.

    Args:
        texts: String column.
    """
    sample = _spread(texts.drop_nulls())
    form, hits = _best(_tidied(sample))
    return form if 2 * hits >= max(1, len(sample)) else None


def parse_times(texts: pl.Series, clock: Clock) -> pl.Series:
    """Read a column of times, each in whatever known format it has.

    Args:
        texts: String column in file order; null where a record has no time.
        clock: What the file's timestamps need; it moves along.

    Returns:
        `Datetime("us", "UTC")` of the same length; null where there is no time, or none that is understood.
    """
    rest = pl.DataFrame({"text": texts.alias("text")}).with_row_index("row").drop_nulls()
    parts: list[pl.DataFrame] = []
    tidy = False
    for _ in range(_ROUNDS):
        form, hits = _best(_spread(rest["text"]))
        if form is not None and hits:
            fits = rest["text"].str.contains(f"^(?:{form.pattern})$")
            found = rest.filter(fits)
            parts.append(found.select("row", time=parse_timestamps(found["text"], form, clock)))
            rest = rest.filter(~fits)
        elif tidy:
            break
        else:
            rest, tidy = rest.with_columns(text=_tidied(rest["text"])), True
        if rest.is_empty():
            break
    if len(parts) == 1 and len(parts[0]) == len(texts):
        return parts[0]["time"]
    return _placed(parts, len(texts))


def level_names(texts: pl.Series, scale: Scale = GENERAL_SCALE) -> pl.Series:
    """Levels by name or by number as canonical names.

    Args:
        texts: Names in any spelling, or integers.
        scale: What numbers mean.

    Returns:
        Names as of `formats.canonical_levels`; a number that the scale does not have stays a number.
    """
    values = texts.drop_nulls().unique().to_list()
    known = {text: _SPELLINGS.get(text, _level_of_number(text, scale)) for text in values}
    changed = {text: name for text, name in known.items() if name is not None}
    return canonical_levels(texts.replace(changed) if changed else texts)


def header_frame(
    lines: pl.Series, found: pl.Series, columns: Mapping[str, pl.Series], clock: Clock
) -> pl.DataFrame:
    """The frame that `Format.read` returns.

    Args:
        lines: Records.
        found: Which of them the format can read (Boolean).
        columns: Texts by column name: `timestamp` as written, the header columns, `content`. Empty texts
            count as missing, and so do all columns of records that were not found.
        clock: What the file's timestamps need; it moves along.

    Returns:
        Columns as of `Format.read`; a record without content has its whole text as content.
    """
    names = ("timestamp", *HEADER_COLUMNS, "content")
    frame = pl.DataFrame(
        {"line": lines, "found": found, **{n: columns[n].alias(n) for n in names if n in columns}}
    )
    missing = [pl.lit(None, pl.String).alias(name) for name in names if name not in columns]
    stripped = [pl.col(name).str.strip_chars_end() for name in names if name in columns]
    frame = frame.with_columns(*stripped).with_columns(*missing)
    frame = frame.with_columns(
        pl.when(pl.col("found") & (pl.col(name) != "")).then(pl.col(name)).alias(name) for name in names
    )
    times = parse_times(frame["timestamp"], clock)
    return frame.select(
        times.alias("timestamp"),
        *HEADER_COLUMNS,
        pl.coalesce("content", "line").alias("content"),
        pl.col("found").alias("has_header"),
        (pl.col("timestamp").is_not_null() & times.is_null()).alias("bad_timestamp"),
    )


def _spread(texts: pl.Series) -> pl.Series:
    return texts.gather_every(max(1, len(texts) // _SAMPLE)).head(2 * _SAMPLE)


def _best(sample: pl.Series) -> tuple[TimestampFormat | None, int]:
    """The format that most texts of a sample have, and how many have it."""
    fits = {form: pl.col("text").str.contains(f"^(?:{form.pattern})$").sum() for form in _FORMATS}
    hits = (
        sample.alias("text").to_frame().select(count.alias(form.name) for form, count in fits.items()).row(0)
    )
    most = max(hits) or 0
    return (_FORMATS[hits.index(most)], most) if most else (None, 0)


def _tidied(texts: pl.Series) -> pl.Series:
    for pattern, replacement in _TIDYING:
        texts = texts.str.replace_all(pattern, replacement)
    return texts


def _placed(parts: list[pl.DataFrame], height: int) -> pl.Series:
    """Times at their rows, null elsewhere."""
    if not parts:
        return pl.Series("time", [None], dtype=UTC_MICROSECONDS).new_from_index(0, height)
    rows = pl.DataFrame({"row": pl.int_range(height, dtype=pl.get_index_type(), eager=True)})
    return rows.join(pl.concat(parts), on="row", how="left", maintain_order="left")["time"]


def _level_of_number(text: str, scale: Scale) -> str | None:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        return None
    at = max((number for number in scale if number <= int(text)), default=None)
    return (scale[at] or None) if at is not None else None
