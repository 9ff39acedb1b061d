"""Lines of whole logs as codes of their normal forms, grouped, while their texts wait on disk.

Of a line its code (4 bytes) and its time (8 bytes) are kept; with what grouping takes for a moment, about 40
bytes a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError, OutputError
from biglog.inference.detection.groups import Grouping
from biglog.logs.known_forms import KnownForms
from biglog.tasks.groups import Groups

NO_TIME: Final = np.iinfo(np.int64).max
"""Stands for the time of a line that has none."""

_TEXT_CHARACTERS: Final = 4_000

Rows = NDArray[np.int64]
Kept = tuple[str, int, str, int]


class LineStore:
    """Lines of logs as codes of their normal forms, and how they are grouped.

    Args:
        grouping: Which lines are judged together.
        known: Computes normal forms; stores may share it.
        folder: Where texts wait; None keeps none.
    """

    def __init__(
        self, grouping: Grouping, known: KnownForms | None = None, folder: Path | None = None
    ) -> None:
        self.grouping, self.lines, self.lines_without_session = grouping, 0, 0
        self._known = known or KnownForms()
        self._folder = folder
        self._forms: dict[str, int] = {}
        self._codes: list[NDArray[np.int32]] = []
        self._times: list[Rows] = []
        self._sessions: list[pl.DataFrame] = []
        self._starts: list[int] = []
        self._sources: dict[str, None] = {}

    def add(self, frame: pl.DataFrame, source: str) -> None:
        """Adds records.

        Args:
            frame: Columns as `read_logs` gives them.
            source: Name of their source.

        Raises:
            InputError: A column that sessions need is missing.
            OutputError: Their texts cannot be kept.
        """
        numbers, forms = self._known.numbers(frame["content"])
        places = np.array([self._forms.setdefault(form, len(self._forms)) for form in forms], dtype=np.int32)
        self._codes.append(places[numbers.to_numpy()])
        times = frame["timestamp"].cast(pl.Datetime("us")).cast(pl.Int64).fill_null(NO_TIME)
        self._times.append(times.to_numpy())
        if self.grouping.session is not None:
            self._add_sessions(frame, source)
        if self._folder is not None:
            self._keep(frame, source)
        self._starts.append(self.lines)
        self._sources[source] = None
        self.lines += len(frame)

    def _add_sessions(self, frame: pl.DataFrame, source: str) -> None:
        table = self.grouping.table(frame.with_columns(source=pl.lit(source)))
        rows = table.explode("rows").with_columns(pl.col("rows").cast(pl.Int64))
        self.lines_without_session += len(frame) - rows["rows"].n_unique()
        self._sessions.append(rows.with_columns(pl.col("rows") + self.lines))

    def _keep(self, frame: pl.DataFrame, source: str) -> None:
        line, content = pl.col("line").str.strip_chars_end(), pl.col("content")
        header = line.str.len_chars().cast(pl.Int64) - content.str.len_chars()
        texts = frame.select(
            "line_number",
            pl.col("line").str.head(_TEXT_CHARACTERS),
            source=pl.lit(source),
            header=pl.when(line.str.ends_with(content)).then(header).otherwise(0),
        )
        try:
            texts.write_ipc(self._path(len(self._starts)), compression="lz4")
        except OSError as error:
            raise OutputError(
                f"lines cannot be kept here while they are judged ({error.strerror or error})",
                where=self._folder,
                remedy="Free space, or name another folder in TMPDIR",
            ) from error

    def _path(self, batch: int) -> Path:
        assert self._folder is not None  # asked for texts that were kept
        return self._folder / f"{batch}.arrow"

    def grouped(self) -> Grouped:
        """Groups all lines.

        Returns:
            The groups, in order of time: of one source that of the file, of several that of their starts.

        Raises:
            InputError: There is no group: no line has a session, or a timestamp where windows are by time.
        """
        times = np.concatenate(self._times)
        rows, sizes, ids = self._table(times)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        starts = np.minimum.reduceat(times[rows], offsets[:-1])
        codes = np.concatenate(self._codes)[rows]
        groups = Groups(pl.Series("form", list(self._forms), dtype=pl.String), codes, offsets, ids)
        grouped = Grouped(groups, rows, starts, times)
        if len(self._sources) > 1 and (starts != NO_TIME).all():
            return grouped.take(np.argsort(starts, kind="stable"))
        return grouped

    def _table(self, times: Rows) -> tuple[Rows, Rows, pl.Series]:
        """Rows of each group one after the other, sizes and ids."""
        if self.grouping.session is None:
            present = pl.Series("timestamp", times).set(pl.Series(times == NO_TIME), None)
            table = self.grouping.table(present.cast(pl.Datetime("us", "UTC")).to_frame())
        else:
            lines = pl.concat(self._sessions)
            if not len(lines):
                raise InputError(
                    f"none of {self.lines:,} lines has a session ({self.grouping.session})",
                    remedy="Give another column or pattern, or group by --window-lines",
                )
            table = lines.group_by("group_id", maintain_order=True).agg("rows")
        rows = table["rows"].explode(empty_as_null=False).cast(pl.Int64).to_numpy()
        return rows, table["rows"].list.len().cast(pl.Int64).to_numpy(), table["group_id"]

    def texts(self, rows: Rows) -> dict[int, Kept]:
        """Returns source, number, text and characters of the header of lines by their row.

        Args:
            rows: Ascending.
        """
        found: dict[int, Kept] = {}
        batches = np.searchsorted(self._starts, rows, side="right") - 1
        for batch in np.unique(batches).tolist():
            wanted = rows[batches == batch]
            frame = pl.read_ipc(self._path(batch))[wanted - self._starts[batch]]
            told = frame.select("source", "line_number", "line", "header").iter_rows()
            found |= dict(zip(wanted.tolist(), told, strict=True))
        return found


@dataclass(frozen=True, eq=False)
class Grouped:
    """Groups, and which lines are in them.

    Attributes:
        groups: The groups.
        rows: Row of each of their lines, shape (lines of groups,).
        starts: Their earliest times, microseconds since 1970, or the largest integer, shape (groups,).
        times: Time of every row.
    """

    groups: Groups
    rows: Rows
    starts: Rows
    times: Rows

    def take(self, chosen: NDArray[np.integer]) -> Grouped:
        """Returns some of the groups."""
        offsets, sizes = self.groups.offsets, self.groups.sizes[chosen]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        rows = self.rows[np.repeat(offsets[:-1][chosen], sizes) + within]
        return Grouped(self.groups.take(chosen), rows, self.starts[chosen], self.times)

    def rows_of(self, group: int) -> Rows:
        """Returns the rows of a group."""
        return self.rows[self.groups.offsets[group] : self.groups.offsets[group + 1]]

    def ends_of(self, group: int) -> tuple[int | None, int | None]:
        """Returns the earliest and the latest time of a group."""
        times = self.times[self.rows_of(group)]
        times = times[times != NO_TIME]
        return (int(times.min()), int(times.max())) if len(times) else (None, None)
