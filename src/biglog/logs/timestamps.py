"""Timestamp text to UTC microseconds, a column at a time.

A `TimestampFormat` is one row: the pattern its text has, and how Polars reads it. Formats without a year (RFC
3164 and kin) take it from a `Clock`, which follows one file from its first line to its last: the first
timestamp gets the latest year that does not put it after the file was written, and every step from December
back to January adds one.
"""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

from biglog.errors import InputError
from biglog.logs.formats.columns import Flags, Stretches
from biglog.logs.formats.repeats import Repeats, find_repeats, find_repeats_in

UTC_MICROSECONDS = pl.Datetime("us", "UTC")

_CLOCK = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_FRACTION = "(?:[.,][0-9]{1,9})?"
_ZONE = "(?: ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?))?"
# After a time of day, so that a date's own dashes are no offset.
_OFFSET = "[0-9] ?(?P<zone>Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)$"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_EPOCH_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# Year-less text is read in a leap year first, so that February 29 is a date.
_LEAP_YEAR = 2000


@dataclass(frozen=True)
class TimestampFormat:
    """One way to write a point in time.

    Attributes:
        name: What detection and messages call it.
        pattern: Rust regex of the whole text, without capture groups and without look-around.
        strptime: chrono format of the text after `replace`; empty for counts since 1970.
        unit: Unit of a count since 1970 UTC (fractions allowed), or None for civil time.
        replace: Literal replacements made first, in order.
        zoned: Whether the text may end in `Z` or a zone offset.
        millis_after: Separator of unpadded milliseconds at the end (`15:29:6` is 6 ms), or None.
        fraction_at: Position of the first digit of a fraction of a second, or None if it varies.
    """

    name: str
    pattern: str
    strptime: str = ""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    replace: tuple[tuple[str, str], ...] = ()
    zoned: bool = False
    millis_after: str | None = None
    fraction_at: int | None = None

    @property
    def yearless(self) -> bool:
        """Whether the text lacks a year."""
        return self.unit is None and not any(mark in self.strptime for mark in ("%Y", "%y"))


_DOT = ((",", "."),)

FORMATS: dict[str, TimestampFormat] = {
    row.name: row
    for row in (
        TimestampFormat(
            "iso",
            f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_CLOCK}{_FRACTION}{_ZONE}",
            "%Y-%m-%d %H:%M:%S%.f",
            replace=(("T", " "), *_DOT),
            zoned=True,
            fraction_at=20,
        ),
        TimestampFormat(
            "slashes",
            f"[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}} {_CLOCK}{_FRACTION}{_ZONE}",
            "%Y/%m/%d %H:%M:%S%.f",
            replace=_DOT,
            zoned=True,
            fraction_at=20,
        ),
        TimestampFormat("short-slashes", f"[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}} {_CLOCK}", "%y/%m/%d %H:%M:%S"),
        TimestampFormat("compact", "[0-9]{6} [0-9]{6}", "%y%m%d %H%M%S"),
        TimestampFormat("rfc3164", f"{_MONTH} {{1,2}}[0-9]{{1,2}} {_CLOCK}", "%b %d %H:%M:%S"),
        TimestampFormat(
            "asctime", f"{_MONTH} {{1,2}}[0-9]{{1,2}} {_CLOCK}{_FRACTION} [0-9]{{4}}", "%b %d %H:%M:%S%.f %Y"
        ),
        TimestampFormat(
            "weekday",
            f"[A-Z][a-z]{{2}} {_MONTH} {{1,2}}[0-9]{{1,2}} {_CLOCK}{_FRACTION} [0-9]{{4}}",
            "%a %b %d %H:%M:%S%.f %Y",
        ),
        TimestampFormat(
            "rfc3164-fraction",
            f"{_MONTH} {{1,2}}[0-9]{{1,2}} {_CLOCK}[.,][0-9]{{1,9}}",
            "%b %d %H:%M:%S%.f",
            replace=_DOT,
        ),
        TimestampFormat(
            "clf", f"[0-9]{{2}}/{_MONTH}/[0-9]{{4}}:{_CLOCK} [+-][0-9]{{4}}", "%d/%b/%Y:%H:%M:%S", zoned=True
        ),
        TimestampFormat("android", rf"[0-9]{{2}}-[0-9]{{2}} {_CLOCK}\.[0-9]{{3}}", "%m-%d %H:%M:%S%.f"),
        TimestampFormat("proxifier", rf"[0-9]{{2}}\.[0-9]{{2}} {_CLOCK}", "%m.%d %H:%M:%S"),
        TimestampFormat("klog", rf"[0-9]{{4}} {_CLOCK}\.[0-9]{{6}}", "%m%d %H:%M:%S%.f"),
        TimestampFormat(
            "bluegene",
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{6}",
            "%Y-%m-%d-%H.%M.%S.%6f",
            fraction_at=20,
        ),
        TimestampFormat(
            "healthapp",
            "[0-9]{8}-[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,3}",
            "%Y%m%d-%H:%M:%S",
            millis_after=":",
        ),
        TimestampFormat("epoch", r"[0-9]{9,10}(?:\.[0-9]{1,9})?", unit="s"),
        TimestampFormat("epoch-ms", "[0-9]{12,13}", unit="ms"),
        TimestampFormat("epoch-us", "[0-9]{15,16}", unit="us"),
        TimestampFormat("epoch-ns", "[0-9]{18,19}", unit="ns"),
    )
}


@dataclass
class Clock:
    """What one file's timestamps need beside their text; it goes along with the file, batch after batch.

    Attributes:
        zone: IANA zone of timestamps that name none.
        written: When the file was last written (UTC); infers missing years.
        year: Year of the first timestamp if the caller knows it, else None.
    """

    zone: str = "UTC"
    written: datetime = field(default_factory=lambda: datetime.now(UTC))
    year: int | None = None
    _current_year: int | None = None
    _last_date: datetime | None = None

    def add_years(self, dates: pl.Series) -> pl.Series:
        """Give dates of the year 2000 their own year.

        Args:
            dates: Naive datetimes in the year 2000, in file order; null where the text is no date.

        Returns:
            The same points in their inferred years; null also for February 29 of a year that has none.
        """
        known = dates.drop_nulls()
        if known.is_empty():
            return dates
        turns = self._turns(known).cum_sum()
        if self._current_year is None:
            self._current_year = self.year or self._first_year(known, turns)
        years = (turns + self._current_year).cast(pl.Int32)
        self._current_year, self._last_date = int(years[-1]), known[-1]
        frame = pl.DataFrame({"date": known, "year": years})
        # dt.replace refuses a February 29 that the year lacks: those become null beforehand.
        leap = ((pl.col("year") % 4 == 0) & (pl.col("year") % 100 != 0)) | (pl.col("year") % 400 == 0)
        missing = (pl.col("date").dt.month() == 2) & (pl.col("date").dt.day() == 29) & ~leap
        moved = frame.select(
            pl.when(~missing).then(pl.col("date")).dt.replace(year=pl.col("year"))
        ).to_series()
        return _scatter(moved, dates)

    def _turns(self, known: pl.Series) -> pl.Series:
        """+1 at each step back from the end of a year to its beginning, -1 at a late line of the old year."""
        before = known.shift(1, fill_value=self._last_date or known[0])
        step = (known - before).rename("step").to_frame()
        forward, back = timedelta(days=350), timedelta(days=-180)
        turn = pl.when(pl.col("step") < back).then(1).when(pl.col("step") > forward).then(-1).otherwise(0)
        return step.select(turn.cast(pl.Int32)).to_series()

    def _first_year(self, known: pl.Series, turns: pl.Series) -> int:
        """The latest year in which the first date is not after `written` (one day's grace for zones).

        A February 29 among the dates moves the answer back to where that day existed.
        """
        latest = self.written.replace(tzinfo=None) + timedelta(days=1)
        first: datetime = known[0]
        year = latest.year if (first.month, first.day) <= (latest.month, latest.day) else latest.year - 1
        leap_days = turns.filter((known.dt.month() == 2) & (known.dt.day() == 29))
        if leap_days.is_empty():
            return year
        later = int(leap_days[0])
        return next(back for back in range(year, year - 9, -1) if isleap(back + later))


@dataclass(frozen=True)
class Stamps:
    """A column of timestamp texts; neighbours that say the same are looked at once.

    Attributes:
        repeats: The texts.
        form: How they are written.
    """

    repeats: Repeats
    form: TimestampFormat

    @classmethod
    def of(cls, texts: pl.Series, form: TimestampFormat) -> Stamps:
        """The stamps of a String column; null where a line has no timestamp."""
        return cls(find_repeats(texts, form.fraction_at), form)

    @classmethod
    def at(cls, texts: Stretches, form: TimestampFormat) -> Stamps:
        """The stamps that stand in a buffer."""
        return cls(find_repeats_in(texts, form.fraction_at), form)

    def matches(self) -> Flags:
        """Whether each text is written as the format says, be it a point in time or not; shape (rows,)."""
        fits = self.repeats.first_texts.str.contains(f"^(?:{self.form.pattern})$")
        return self.repeats.spread_flags(fits.fill_null(value=False))

    def times(self, clock: Clock) -> pl.Series:
        """The points in time, as `parse_timestamps` returns them."""
        return self.repeats.spread_times(_parse(self.repeats.first_texts, self.form, clock))


def parse_timestamps(text: pl.Series, form: TimestampFormat, clock: Clock) -> pl.Series:
    """Read a column of timestamp texts.

    Args:
        text: String column; null where a line has no timestamp.
        form: How the texts are written.
        clock: Zone and year of the file they come from; it remembers where the file got to.

    Returns:
        `Datetime("us", "UTC")` of the same length; null where the text is null or no valid point in time.
    """
    return Stamps.of(text, form).times(clock)


def _parse(text: pl.Series, form: TimestampFormat, clock: Clock) -> pl.Series:
    """`parse_timestamps`, each text by itself."""
    if form.unit is not None:
        scale = 1_000_000 / _EPOCH_PER_SECOND[form.unit]
        return _epoch(text, scale).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    column, offset = _split_zone(text) if form.zoned else (text, None)
    for old, new in form.replace:
        column = column.str.replace_all(old, new, literal=True)
    civil = _civil(column, form)
    if form.yearless:
        civil = clock.add_years(civil)
    utc = _to_utc(civil, clock.zone)
    if offset is None:
        return utc
    zoned = civil.dt.replace_time_zone("UTC") - offset
    return zoned.zip_with(offset.is_not_null(), utc)


def known_zone(zone: str) -> str:
    """The name itself, if the IANA database has such a zone.

    Raises:
        InputError: No such zone.
    """
    try:
        pl.Series([datetime(2000, 1, 1)]).dt.replace_time_zone(zone)
    except pl.exceptions.ComputeError as error:
        remedy = "Give an IANA name such as 'UTC', 'Europe/Berlin' or 'America/Los_Angeles'"
        raise InputError(f"unknown time zone {zone!r}", remedy=remedy) from error
    return zone


def guess_format(texts: pl.Series) -> TimestampFormat | None:
    """The format most of the given texts have, or None if none fits half of them."""
    texts = texts.drop_nulls()
    if texts.is_empty():
        return None
    hits = {name: texts.str.contains(f"^(?:{form.pattern})$").sum() for name, form in FORMATS.items()}
    best = max(hits, key=hits.__getitem__)
    return FORMATS[best] if 2 * hits[best] >= len(texts) else None


def _epoch(text: pl.Series, scale: float) -> pl.Series:
    """Counts since 1970 as Int64 microseconds; the fraction goes its own way, a float would lose it."""
    frame = text.rename("text").to_frame()
    parts = pl.col("text").str.splitn(".", 2)
    whole = parts.struct.field("field_0").cast(pl.Int64, strict=False)
    fraction = parts.struct.field("field_1").str.pad_end(6, "0").str.head(6).cast(pl.Int64, strict=False)
    micros = whole * int(scale) if scale >= 1 else whole // int(1 / scale)
    return frame.select(micros + fraction.fill_null(0)).to_series()


def _civil(text: pl.Series, form: TimestampFormat) -> pl.Series:
    """Naive datetimes; in the year 2000 where the text has no year."""
    millis = None
    if form.millis_after is not None:
        parts = text.str.extract_groups(
            f"^(?P<base>.*){form.millis_after}(?P<millis>[0-9]+)$"
        ).struct.unnest()
        text, millis = parts["base"], parts["millis"].cast(pl.Int64, strict=False)
    pattern = form.strptime
    if form.yearless:
        text, pattern = f"{_LEAP_YEAR} " + text, f"%Y {pattern}"
    civil = text.str.to_datetime(pattern, strict=False, time_unit="us", exact=True)
    return civil if millis is None else civil + (millis * 1000).cast(pl.Duration("us"))


def _split_zone(text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """The text without its zone, and the zone's offset from UTC (None if no text has one)."""
    parts = text.str.extract_groups(_OFFSET).struct.unnest()
    if parts["zone"].null_count() == len(parts):
        return text, None
    minutes = parts["hours"].cast(pl.Int64) * 60 + parts["minutes"].cast(pl.Int64).fill_null(0)
    signed = minutes.zip_with(parts["sign"] == "+", -minutes).fill_null(0)
    offset = signed.set(parts["zone"].is_null(), None) * 60_000_000
    base = parts.select(text.alias("text").str.strip_suffix(parts["zone"].fill_null(""))).to_series()
    return base.str.strip_chars_end(), offset.cast(pl.Duration("us"))


def _to_utc(civil: pl.Series, zone: str) -> pl.Series:
    if zone == "UTC":
        return civil.cast(UTC_MICROSECONDS)
    local = pl.first().dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return civil.to_frame().select(local.dt.convert_time_zone("UTC")).to_series()


def _scatter(values: pl.Series, like: pl.Series) -> pl.Series:
    """Put values back where `like` is not null."""
    if not like.null_count():
        return values
    where = like.is_not_null()
    index = (where.cum_sum().cast(pl.Int64) - 1).clip(0)
    return values.gather(index).set(~where, None)
