"""One pass over a log in bounded memory: how often each normal form came, when, with which values.

Everything is counted by normal form, in columns, batch by batch; what grows with the log is folded when it
grows too far, and the census says what it folded.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from biglog.inference.analysis import ContextLine
from biglog.logs import masking
from biglog.logs.record import RecordBatch
from biglog.tasks.parsing.forms import Samples

MAX_FORMS = 100_000
"""Distinct normal forms that are told apart; later new ones are folded into their words, then into one."""

CONTEXT_LINES = 3
SHOWN_CHARACTERS = 2_000
"""Neighbours of a line are kept for display, cut to this many characters."""

TOLD_APART_CHARACTERS = 4_000
"""Lines are told apart by so many characters; the encoder reads fewer."""

MAX_ROWS = 400_000
"""Rows of a table of counts before it is folded."""

MAX_VALUES = 100
"""Values of one place (a parameter, a level, a component) that survive a folding."""

BIN_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 604800, 2419200)
"""Widths that a time bin can have; each divides the next."""

EVERYTHING_ELSE = "<*>"
_UNSTEADY = re.compile(r"\S*[^A-Za-z\s]\S*")
_KEYS = {
    "seen": ["code"],
    "heads": ["code", "level", "component"],
    "times": ["code", "bin"],
    "levels": ["level", "bin"],
    "values": ["code", "position", "token", "value"],
}


@dataclass
class First:
    """Where a normal form was first seen.

    Attributes:
        source: Name of the source.
        line_number: 1-based number in the source.
        line: Raw text.
        content: The message after the header.
        timestamp: Time of the line, if its header has one.
        component: Component of the line, if its header has one.
        before: Lines before it, oldest first.
        after: Lines after it.
    """

    source: str
    line_number: int
    line: str
    content: str
    timestamp: datetime | None
    component: str | None
    before: list[ContextLine]
    after: list[ContextLine] = field(default_factory=list)


class Census:
    """Counts the normal forms of a log as its records come in.

    Attributes:
        forms: Distinct normal forms, in order of first appearance; their indices are the codes in the tables.
        firsts: For each of them, where it was first seen.
        samples: For each of them, some contents.
        lines: Lines counted.
        folded_forms: Lines whose normal form came after too many others and was folded.
        folded_values: Whether counts of values are lower bounds somewhere.
        bin_seconds: Width of the time bins.
        mask_seconds: Time spent on masking.
    """

    def __init__(
        self, *, max_forms: int = MAX_FORMS, max_rows: int = MAX_ROWS, with_values: bool = True
    ) -> None:
        self.forms: list[str] = []
        self.firsts: list[First] = []
        self.lines = 0
        self.folded_forms = 0
        self.folded_values = False
        self.bin_seconds = BIN_SECONDS[0]
        self.mask_seconds = 0.0
        self.samples = Samples()
        self._codes: dict[str, int] = {}
        self._max_forms, self._max_rows, self._with_values = max_forms, max_rows, with_values
        self._tables: dict[str, list[pl.DataFrame]] = {name: [] for name in _KEYS}
        self._tail: tuple[str, list[ContextLine]] = ("", [])
        self._waiting: list[First] = []

    def add(self, batch: RecordBatch) -> None:
        """Counts one batch of records."""
        started = time.perf_counter()
        contents = batch.frame["content"].str.slice(0, TOLD_APART_CHARACTERS)
        forms = masking.normal_forms(contents)
        self.mask_seconds += time.perf_counter() - started
        self._finish_contexts(batch)
        codes = self._encode(forms, batch)
        self.samples.add(contents.fill_null(""), codes.cast(pl.Int64), self.forms)
        self._keep_tail(batch)
        self.lines += len(codes)
        self._count(batch.frame.select("timestamp", "level", "component").with_columns(code=codes))
        if self._with_values:
            self._count_values(contents, codes)

    def table(self, name: str) -> pl.DataFrame:
        """Returns a table of counts, folded to one row a key.

        Args:
            name: ``seen`` (code, first, last), ``heads`` (code, level, component), ``times`` (code, bin),
                ``levels`` (level, bin) or ``values`` (code, position, token, value); all with ``count``.
        """
        parts = self._tables[name]
        if len(parts) > 1:
            self._tables[name] = parts = [_summed(pl.concat(parts), _KEYS[name])]
        return parts[0] if parts else pl.DataFrame(schema=_SCHEMAS[name])

    # -- normal forms, and where they were first seen --

    def _encode(self, forms: pl.Series, batch: RecordBatch) -> pl.Series:
        """Gives each line the code of its normal form; new forms get codes while there is room."""
        frame = forms.to_frame("form").with_row_index("row")
        found = (pl.col("row").first(), pl.len().alias("count"))
        distinct = frame.group_by("form", maintain_order=True).agg(found)
        neighbours = _lines(batch.frame)
        codes: list[int] = []
        for form, row, count in distinct.iter_rows():
            code = self._codes.get(form)
            if code is None:
                code = self._new_code(self._room_for(form, count))
                if code == len(self.firsts):
                    self.firsts.append(self._first(row, batch, neighbours))
            codes.append(code)
        lookup = distinct.select("form", code=pl.Series(codes, dtype=pl.Int32))
        return frame.join(lookup, on="form", how="left", maintain_order="left")["code"]

    def _room_for(self, form: str, count: int) -> str:
        """The form itself while there is room, then its steady words, then one form for everything else."""
        if len(self.forms) < self._max_forms:
            return form
        self.folded_forms += count
        return _UNSTEADY.sub("<*>", form) if len(self.forms) < 1.25 * self._max_forms else EVERYTHING_ELSE

    def _new_code(self, form: str) -> int:
        code = self._codes.setdefault(form, len(self.forms))
        if code == len(self.forms):
            self.forms.append(form)
        return code

    def _first(self, row: int, batch: RecordBatch, lines: list[ContextLine]) -> First:
        before = lines[max(0, row - CONTEXT_LINES) : row]
        if row < CONTEXT_LINES and self._tail[0] == batch.source:
            before = (self._tail[1] + before)[-CONTEXT_LINES:]
        after = lines[row + 1 : row + 1 + CONTEXT_LINES]
        content, at, component = batch.frame.select("content", "timestamp", "component").row(row)
        number, line = lines[row].line_number, lines[row].line
        first = First(batch.source, number, line, _cut(content), at, component, before, after)
        if len(after) < CONTEXT_LINES:
            self._waiting.append(first)
        return first

    def _finish_contexts(self, batch: RecordBatch) -> None:
        """Lines first seen at the end of a batch get the lines after them from this one."""
        head = _lines(batch.frame.head(CONTEXT_LINES))
        waiting, self._waiting = self._waiting, []
        for first in waiting:
            if first.source == batch.source:
                first.after = (first.after + head)[:CONTEXT_LINES]
                if len(first.after) < CONTEXT_LINES:
                    self._waiting.append(first)

    def _keep_tail(self, batch: RecordBatch) -> None:
        before = self._tail[1] if self._tail[0] == batch.source else []
        self._tail = (batch.source, (before + _lines(batch.frame.tail(CONTEXT_LINES)))[-CONTEXT_LINES:])

    # -- counts --

    def _count(self, frame: pl.DataFrame) -> None:
        frame = frame.with_columns(bin=self._bins(pl.col("timestamp").to_physical()))
        seen = frame.group_by("code").agg(
            pl.len().alias("count"),
            pl.col("timestamp").min().alias("first"),
            pl.col("timestamp").max().alias("last"),
        )
        timed = frame.filter(pl.col("bin").is_not_null())
        self._add("seen", seen)
        self._add("heads", frame.group_by(_KEYS["heads"]).agg(pl.len().alias("count")))
        self._add("times", timed.group_by(_KEYS["times"]).agg(pl.len().alias("count")))
        self._add("levels", timed.group_by(_KEYS["levels"]).agg(pl.len().alias("count")))

    def _count_values(self, contents: pl.Series, codes: pl.Series) -> None:
        found = masking.values(contents).with_columns(pl.col("value").str.slice(0, 120))
        owners = codes.to_frame("code").with_row_index("row")
        counted = found.join(owners, on="row").group_by(_KEYS["values"]).agg(pl.len().alias("count"))
        self._add("values", counted)

    def _add(self, name: str, part: pl.DataFrame) -> None:
        """Takes in a batch's counts, and folds the table when it has grown too large."""
        parts = self._tables[name]
        parts.append(part.select(_SCHEMAS[name].names()).cast(_SCHEMAS[name]))
        if sum(map(len, parts)) <= self._max_rows:
            return
        table = self.table(name)
        if len(table) <= self._max_rows // 2:
            return
        if name in ("times", "levels"):
            self._widen_bins()
        elif name == "values":
            kept = _most_frequent(table, ["code", "position"], MAX_VALUES)
            self._tables[name] = [kept.head(self._max_rows // 2)]
            self.folded_values = True
        elif name == "heads":
            kept = _most_frequent(table, ["code"], MAX_VALUES).head(self._max_rows // 4)
            rest = table.join(kept, on=_KEYS[name], how="anti", nulls_equal=True)
            unnamed = rest.with_columns(component=pl.lit(None, dtype=pl.String))
            self._tables[name] = [_summed(pl.concat([kept, unnamed]), _KEYS[name])]

    def _widen_bins(self) -> None:
        wider = [width for width in BIN_SECONDS if width > self.bin_seconds]
        self.bin_seconds = wider[0] if wider else 2 * self.bin_seconds
        for name in ("times", "levels"):
            table = self.table(name).with_columns(bin=self._bins(pl.col("bin")))
            self._tables[name] = [_summed(table, _KEYS[name])]

    def _bins(self, microseconds: pl.Expr) -> pl.Expr:
        """Start of the bin that a time falls in, in microseconds since the epoch."""
        width = int(self.bin_seconds * 1_000_000)
        return microseconds - microseconds.mod(width)


_TIME, _TEXT, _CODE, _COUNT = pl.Datetime("us", "UTC"), pl.String(), pl.Int32(), pl.Int64()
_SCHEMAS = {
    "seen": pl.Schema({"code": _CODE, "count": _COUNT, "first": _TIME, "last": _TIME}),
    "heads": pl.Schema({"code": _CODE, "level": _TEXT, "component": _TEXT, "count": _COUNT}),
    "times": pl.Schema({"code": _CODE, "bin": _COUNT, "count": _COUNT}),
    "levels": pl.Schema({"level": _TEXT, "bin": _COUNT, "count": _COUNT}),
    "values": pl.Schema({"code": _CODE, "position": _COUNT, "token": _TEXT, "value": _TEXT, "count": _COUNT}),
}


def _most_frequent(table: pl.DataFrame, keys: list[str], most: int) -> pl.DataFrame:
    """The rows with the highest counts for each key, highest first."""
    ranked = table.sort("count", *table.columns[:-1], descending=[True] + [False] * (table.width - 1))
    return ranked.filter(pl.int_range(pl.len()).over(keys) < most)


def _summed(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    aggregates = [pl.col("count").sum()]
    if "first" in table.columns:
        aggregates += [pl.col("first").min(), pl.col("last").max()]
    return table.group_by(keys).agg(aggregates).select(table.columns)


def _lines(frame: pl.DataFrame) -> list[ContextLine]:
    return [
        ContextLine(number, _cut(line)) for number, line in frame.select("line_number", "line").iter_rows()
    ]


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "\u2026"
