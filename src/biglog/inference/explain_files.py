"""Alerts of whole logs explained: the lines that say why, as they stand in the files, their words weighed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.errors import InputError
from biglog.inference.detection.files import Sources
from biglog.inference.detection.groups import Grouping
from biglog.inference.detection.store import Grouped, LineStore
from biglog.inference.detector import AnomalyDetector
from biglog.inference.explain import Explanation, explain
from biglog.inference.parse_files import content_starts
from biglog.inference.token_weights import TokenWeight, token_weights
from biglog.logs.record import read_logs

MOST_LINES: Final = 5
"""Lines of a group that are shown."""

MOST_GROUPS: Final = 10
"""Alerts that are explained where none is named."""

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ShownLine:
    """A line that makes its group odd.

    Attributes:
        source: Where it is from.
        line_number: Its number there.
        line: Its text.
        content_start: Where its content begins in it; -1 where it is not in it as it stands.
        place: Of its normal form in the explanation's `lines`, from 0.
        words: What makes it unlike its nearest known form, offsets in `line`; none of a line whose form is
            known, or without `content_start`.
    """

    source: str
    line_number: int
    line: str
    content_start: int
    place: int
    words: tuple[TokenWeight, ...]


@dataclass(frozen=True)
class ExplainedGroup:
    """A group of a log, explained.

    Attributes:
        explanation: Why it has its score.
        shown: Its lines, the one that makes it most odd first.
        alike: How many groups have equal normal forms, itself included.
    """

    explanation: Explanation
    shown: tuple[ShownLine, ...]
    alike: int

    def as_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        lines = [asdict(line) for line in self.shown]
        return self.explanation.as_dict() | {"shown": lines, "alike": self.alike}


def explain_files(
    sources: Sources,
    detector: AnomalyDetector,
    grouping: Grouping,
    *,
    group: str | None = None,
    alert: str | None = None,
    most: int = MOST_GROUPS,
    method: str = "occlusion",
    layout: str | None = None,
    year: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ExplainedGroup]:
    """Explains groups of logs.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        detector: Fitted.
        grouping: Which lines are judged together.
        group: `group_id` of the groups to explain, whether they are anomalies or not.
        alert: `alert_id` of those, or its beginning.
        most: Without either, so many distinct alerts, those with the highest scores.
        method: How words are weighed, of `biglog.inference.token_weights.METHODS`.
        layout: Header layout; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        progress: Called with the lines and bytes read so far.

    Returns:
        The explained groups, the highest score first; equal ones once.

    Raises:
        InputError: A source cannot be read, there are no groups, or none is the one that was asked for.
    """
    with tempfile.TemporaryDirectory(prefix="biglog-") as folder:
        store = LineStore(grouping, folder=Path(folder))
        contents = _Contents()
        reader = read_logs(sources, layout=layout, year=year)
        for batch in reader:
            store.add(batch.frame, batch.source)
            contents.add(batch.frame)
            if progress is not None:
                progress(reader.report.lines, reader.report.bytes)
        if not store.lines:
            raise InputError("there are no lines to explain", remedy="Give a log with lines")
        grouped = store.grouped()
        rows, alike = _chosen(detector, grouped, group, alert, most)
        told = explain(detector, grouped.groups.take(rows), range(len(rows))) if len(rows) else []
        shown = _shown(detector, store, contents, grouped, rows, told, method)
    return [ExplainedGroup(*parts) for parts in zip(told, shown, alike, strict=True)]


class _Contents:
    """Where the content of every line is in it: 8 bytes a line."""

    def __init__(self) -> None:
        self._starts: list[NDArray[np.int32]] = []
        self._lengths: list[NDArray[np.int32]] = []

    def add(self, frame: pl.DataFrame) -> None:
        self._starts.append(content_starts(frame).cast(pl.Int32).to_numpy())
        self._lengths.append(frame["content"].str.len_chars().cast(pl.Int32).to_numpy())

    def spans(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Starts, -1 where it is not in it, and lengths, each of shape (lines,)."""
        return np.concatenate(self._starts), np.concatenate(self._lengths)


def _chosen(
    detector: AnomalyDetector, grouped: Grouped, group: str | None, alert: str | None, most: int
) -> tuple[_Rows, list[int]]:
    """The groups to explain, and how many groups are equal to each."""
    told = detector.verdicts(grouped.groups)
    wanted = np.flatnonzero(told.is_anomaly)
    if group is not None:
        wanted = np.flatnonzero((grouped.groups.ids == group).to_numpy())
        if not len(wanted):
            some = ", ".join(grouped.groups.ids.head(3).to_list())
            raise InputError(f"there is no group {group!r}", remedy=f"Groups are called such as {some}")
    elif alert is not None:
        identities = (
            grouped.groups.take(wanted).identities() if len(wanted) else pl.Series([], dtype=pl.String)
        )
        found = identities.str.starts_with(alert).to_numpy()
        if not found.any():
            some = ", ".join(identities.unique(maintain_order=True).head(3).to_list()) or "none"
            raise InputError(f"no alert begins with {alert!r}", remedy=f"Alerts of this log are {some}")
        wanted = wanted[found]
    _, first, equal = np.unique(told.place[wanted], return_index=True, return_counts=True)
    order = np.lexsort((first, -told.raw[wanted[first]]))
    order = order if group is not None or alert is not None else order[:most]
    return wanted[first[order]].astype(np.int64), equal[order].tolist()


def _shown(
    detector: AnomalyDetector,
    store: LineStore,
    contents: _Contents,
    grouped: Grouped,
    rows: _Rows,
    told: list[Explanation],
    method: str,
) -> list[tuple[ShownLine, ...]]:
    """The lines of the forms that make each group most odd, as they stand in the log."""
    starts, lengths = contents.spans()
    places = [
        [(place, int(grouped.rows_of(int(row))[line.position])) for place, line in enumerate(one.lines)]
        for row, one in zip(rows, told, strict=True)
    ]
    wanted = np.array(sorted({row for one in places for _, row in one[:MOST_LINES]}), dtype=np.int64)
    texts = store.texts(wanted)
    weighed: dict[tuple[str, str], tuple[TokenWeight, ...]] = {}

    def shown(one: Explanation, place: int, row: int) -> ShownLine:
        source, number, text = texts[row][:3]
        start, end = int(starts[row]), int(starts[row] + lengths[row])
        start = start if end <= len(text) else -1
        near = one.lines[place].nearest_form
        if near is None or start < 0:
            return ShownLine(source, number, text, start, place, ())
        key = (text[start:end], near)
        if key not in weighed:
            assert detector.encoder is not None  # it has judged the groups
            weighed[key] = tuple(token_weights(detector.encoder, *key, method))
        words = tuple(_moved(word, start) for word in weighed[key])
        return ShownLine(source, number, text, start, place, words)

    return [
        tuple(shown(one, place, row) for place, row in lines[:MOST_LINES])
        for one, lines in zip(told, places, strict=True)
    ]


def _moved(word: TokenWeight, start: int) -> TokenWeight:
    """A word of a content as a word of its line."""
    return TokenWeight(word.start + start, word.end + start, word.text, word.weight)
