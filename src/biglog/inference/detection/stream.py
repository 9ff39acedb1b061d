"""Anomalies on a stream, line by line in bounded memory; the verdicts are those of whole logs."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import polars as pl

from biglog.data.kept_files import write_whole
from biglog.errors import CheckpointError, InputError
from biglog.inference.detection.forms import MOST_FORMS, LineForms
from biglog.inference.detection.groups import (
    Grouping,
    Line,
    OpenGroup,
    key_finder,
    keys_of_rows,
    moment_of,
    open_groups,
)
from biglog.inference.detector import AnomalyDetector
from biglog.logs.grouping import timestamps
from biglog.logs.masking import MASKING_VERSION
from biglog.tasks.groups import Groups

SCHEMA: Final = "biglog-detect-state/1"

MOST_VERDICTS: Final = 20_000
"""Sequences of which a stream remembers the verdict; beyond, it begins anew."""

_LONG_SEQUENCE = 1_000


@dataclass(frozen=True)
class Judged:
    """A group that is over, and what the detector says of it.

    Attributes:
        group_id: Its identifier.
        alert_id: The same for groups with equal normal forms.
        source: Source of its first line.
        first_line: Number of its first line.
        last_line: Number of its last line.
        start: Its earliest time.
        end: Its latest time.
        lines: How many lines it has.
        anomaly_score: 0 to 1, higher is odder.
        threshold: A score above it is an anomaly.
        is_anomaly: Whether it is.
        confidence: How sure that is.
        forms: Normal forms of its lines in order; of an anomaly alone.
        kept: Form, number and text of the first line of each of its first normal forms; of an anomaly alone.
    """

    group_id: str
    alert_id: str
    source: str
    first_line: int
    last_line: int
    start: datetime | None
    end: datetime | None
    lines: int
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    confidence: float
    forms: tuple[str, ...] = ()
    kept: tuple[tuple[str, int, str], ...] = ()


_Verdict = tuple[str, float, bool, float]


class DetectStream:
    """Judges the groups of a stream when they are over.

    A group has the verdict that `AnomalyDetector.detect` gives it, however the stream is cut into batches.
    Memory is bounded by the groups that are open: 4 bytes a line, and a text for some of their normal forms.

    Args:
        detector: A fitted detector.
        grouping: Which lines are judged together.
    """

    def __init__(self, detector: AnomalyDetector, grouping: Grouping) -> None:
        self.detector, self.grouping = detector, grouping
        self.lines, self.groups = 0, 0
        self._open = open_groups(grouping)
        self._find = key_finder(grouping)
        self._lines = LineForms()
        self._met = 0
        self._knows: tuple[object, frozenset[str]] = (None, frozenset())
        self._verdicts: dict[bytes, _Verdict] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Lines and groups by now, and what became of lines that are in none, such as `late_lines`."""
        return {"lines": self.lines, "groups": self.groups, **self._open.counts}

    @property
    def forms(self) -> list[str]:
        """Normal forms that are remembered, in order of appearance."""
        return self._lines.forms

    # -- lines --

    def add(self, lines: pl.DataFrame | Sequence[str] | str, *, source: str = "") -> list[Judged]:
        """Adds lines.

        Args:
            lines: Records in order, columns as `read_logs` gives them, of which `content` is needed, and what
                the groups are made by; or contents.
            source: Name of their source, where the records have no column of that name.

        Returns:
            The groups that are over now, with their verdicts.

        Raises:
            InputError: A column is missing, or no line has a timestamp where windows are by time.
        """
        over: list[OpenGroup] = []
        for line in self._read(_frame(lines, source)):
            over += self._open.add(line)
            self.lines += 1
        self._met = len(self.forms)
        return self._judged(over)

    def add_line(
        self,
        content: str,
        *,
        timestamp: datetime | float | None = None,
        line_number: int | None = None,
        line: str | None = None,
        source: str = "",
        **columns: Any,
    ) -> list[Judged]:
        """Adds one line, without the cost of a frame.

        Args:
            content: What follows its header.
            timestamp: Its time; or seconds since 1970; None and NaN: it has none.
            line_number: Its number; None counts on.
            line: The whole of it; None is the content.
            source: Name of its source.
            columns: What else the record has, such as `host`.

        Returns:
            The groups that are over now, with their verdicts.
        """
        self.lines += 1
        number = self.lines if line_number is None else line_number
        keys = self._keys(content, source, columns) if self.grouping.session is not None else ()
        text = content if line is None else line
        code = self._lines.code(content)
        if len(self.forms) > self._met:
            self._embed()
        added = Line(code, number, _microseconds(timestamp), source, text, keys)
        over = self._open.add(added)
        return self._judged(over) if over else []

    def flush(self) -> list[Judged]:
        """Closes the groups that are open, as if the stream were at its end, and judges them."""
        return self._judged(self._open.close())

    def _embed(self) -> None:
        """Embeds a new form when its line comes: else the last line of a group would pay for all of them."""
        if self._knows[0] is not self.detector.detector_:
            self._knows = self.detector.detector_, frozenset(self.detector.detector_.known.forms.to_list())
        new = [form for form in self.forms[self._met :] if form not in self._knows[1]]
        if new and self.detector.encoder is not None:
            self.detector.encoder.encode_normal_forms(new)
        self._met = len(self.forms)

    def _read(self, frame: pl.DataFrame) -> Iterable[Line]:
        if self.grouping.session is not None and self._find is not None:
            keys = [self._find(content) for content in frame["content"].to_list()]
        else:
            keys = keys_of_rows(self.grouping, frame)
        if "line_number" in frame.columns:
            numbers = frame["line_number"].to_list()
        else:
            numbers = list(range(self.lines + 1, self.lines + 1 + len(frame)))
        timed = "timestamp" in frame.columns or self.grouping.window_seconds is not None
        times = timestamps(frame).to_list() if timed else [None] * len(frame)
        texts = frame["line" if "line" in frame.columns else "content"].to_list()
        codes = self._lines.codes(frame["content"])
        return map(Line, codes, numbers, times, frame["source"].to_list(), texts, keys)

    def _keys(self, content: str, source: str, columns: Mapping[str, Any]) -> tuple[str, ...]:
        if self._find is not None:
            return self._find(content)
        column, pattern = self.grouping.key
        if pattern is None and column is not None and column in columns:
            return () if columns[column] in (None, "") else (str(columns[column]),)
        row = {"content": content, "source": source, **columns}
        return keys_of_rows(self.grouping, pl.DataFrame([row]))[0]

    def _forget(self) -> None:
        """Leaves out the forms that no open group has."""
        place = self._lines.keep(code for group in self._open.groups() for code in group.codes)
        for group in self._open.groups():
            group.codes = array("i", [place[code] for code in group.codes])
            group.kept = {place[code]: line for code, line in group.kept.items()}
        self._verdicts.clear()
        self._met = len(self.forms)

    # -- verdicts --

    def _judged(self, over: Sequence[OpenGroup]) -> list[Judged]:
        keys = [_key(group) for group in over]
        found = [self._verdicts.get(key) if key else None for key in keys]
        missing = [place for place, verdict in enumerate(found) if verdict is None]
        if missing:
            if len(self._verdicts) + len(missing) > MOST_VERDICTS:
                self._verdicts.clear()
            for place, verdict in zip(missing, self._ask([over[i] for i in missing]), strict=True):
                found[place] = verdict
                if keys[place]:
                    self._verdicts[keys[place]] = verdict
        self.groups += len(over)
        threshold = self.detector.threshold if over else 0.0
        told = [
            self._told(group, verdict, threshold)
            for group, verdict in zip(over, found, strict=True)
            if verdict is not None
        ]
        if len(self._lines.forms) > MOST_FORMS:
            self._forget()
        return told

    def _ask(self, over: Sequence[OpenGroup]) -> list[_Verdict]:
        groups = self._as_groups(over)
        told = self.detector.verdicts(groups)
        ids = told.distinct.identities().gather(told.place).to_list()
        rows = zip(ids, told.scores.tolist(), told.is_anomaly.tolist(), told.confidence.tolist(), strict=True)
        return list(rows)

    def _as_groups(self, over: Sequence[OpenGroup]) -> Groups:
        codes = np.concatenate([np.frombuffer(group.codes, dtype=np.int32) for group in over])
        # What is not in these groups is not to be embedded again.
        used, codes = np.unique(codes, return_inverse=True)
        forms = pl.Series("form", [self._lines.forms[code] for code in used.tolist()], dtype=pl.String)
        offsets = np.cumsum([0, *(len(group.codes) for group in over)], dtype=np.int64)
        ids = pl.Series("group_id", [group.group_id for group in over], dtype=pl.String)
        return Groups(forms, codes.astype(np.int32), offsets, ids)

    def _told(self, group: OpenGroup, verdict: _Verdict, threshold: float) -> Judged:
        alert_id, score, is_anomaly, confidence = verdict
        forms: tuple[str, ...] = ()
        kept: tuple[tuple[str, int, str], ...] = ()
        if is_anomaly:
            forms = tuple(map(self._lines.forms.__getitem__, group.codes))
            kept = tuple((self._lines.forms[code], *line) for code, line in group.kept.items())
        return Judged(
            group.group_id,
            alert_id,
            group.source,
            group.first_line,
            group.last_line,
            moment_of(group.start),
            moment_of(group.end),
            len(group.codes),
            score,
            threshold,
            is_anomaly,
            confidence,
            forms,
            kept,
        )

    # -- files --

    def save(self, path: Path, more: Mapping[str, Any] | None = None) -> None:
        """Writes the groups that are open, and what was counted, as JSON.

        Args:
            path: File to write.
            more: Kept with it, such as how far a file has been read.

        Raises:
            OutputError: It cannot be written.
        """
        self._forget()
        state = {
            "schema": SCHEMA,
            "masking_version": MASKING_VERSION,
            "grouping": self.grouping.to_dict(),
            "lines": self.lines,
            "groups": self.groups,
            "forms": self._lines.forms,
            "open": self._open.to_dict(),
            "more": dict(more or {}),
        }
        text = json.dumps(state, ensure_ascii=False)
        write_whole(path, lambda to: to.write_text(text, encoding="utf-8"))

    @classmethod
    def resume(cls, path: Path, detector: AnomalyDetector, grouping: Grouping) -> tuple[Self, dict[str, Any]]:
        """Goes on where a stream was saved.

        Args:
            path: What `save` wrote.
            detector: A fitted detector; it may have learnt meanwhile.
            grouping: As it was.

        Returns:
            The stream, and what was kept with it.

        Raises:
            CheckpointError: The file is damaged, of another version, or of other groups.
        """
        state = _state(path, grouping)
        stream = cls(detector, grouping)
        try:
            stream.lines, stream.groups = state["lines"], state["groups"]
            stream._lines.restore(state["forms"])
            stream._open.restore(state["open"])
            more = dict(state["more"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _damaged(path) from error
        if any(not 0 <= code < len(stream.forms) for group in stream._open.groups() for code in group.codes):
            raise _damaged(path)
        return stream, more


def _state(path: Path, grouping: Grouping) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"it cannot be read ({error.strerror or error})", where=path, remedy="Check the path"
        ) from error
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise CheckpointError("this is no state of biglog detect", where=path, remedy="Name another file")
    if state.get("masking_version") != MASKING_VERSION:
        raise CheckpointError("its normal forms are of another version", where=path, remedy="Begin anew")
    if state.get("grouping") != grouping.to_dict():
        raise CheckpointError(
            f"its groups are other ones than {grouping.words}",
            where=path,
            remedy="Group alike, or begin anew",
        )
    return state


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError("this state is damaged", where=path, remedy="Remove it, and begin anew")


def _frame(lines: pl.DataFrame | Sequence[str] | str, source: str) -> pl.DataFrame:
    if not isinstance(lines, pl.DataFrame):
        contents = [lines] if isinstance(lines, str) else list(lines)
        lines = pl.DataFrame({"content": pl.Series(contents, dtype=pl.String)})
    if "content" not in lines.columns:
        raise InputError(
            "the records have no column 'content'", remedy=f"They have {', '.join(lines.columns)}"
        )
    return lines if "source" in lines.columns else lines.with_columns(source=pl.lit(source))


def _microseconds(timestamp: datetime | float | None) -> int | None:
    if timestamp is None:
        return None
    seconds = timestamp.timestamp() if isinstance(timestamp, datetime) else float(timestamp)
    return round(seconds * 1e6) if math.isfinite(seconds) else None


def _key(group: OpenGroup) -> bytes:
    """What tells a sequence from others; nothing for long ones, which hardly come again."""
    return group.codes.tobytes() if len(group.codes) <= _LONG_SEQUENCE else b""
