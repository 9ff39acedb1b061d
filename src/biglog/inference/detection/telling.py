"""Verdicts of whole logs, and what is told of alerts: reasons, lines, and what stands around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.inference.detection.alerts import (
    MOST_LINES,
    Alert,
    AlertLine,
    Told,
    rows_of,
    told_of,
)
from biglog.inference.detection.groups import moment_of
from biglog.inference.detection.store import Grouped, Kept, LineStore, Rows
from biglog.inference.detector import AnomalyDetector
from biglog.tasks.groups import Floats, Groups

MOST_TOLD: Final = 20_000
"""Alerts of a log whose lines are told."""

CONTEXT_LINES: Final = 5
"""Lines before and after the line that says most."""

_JUDGED_LINES: Final = 4_000_000
_ROWS: Final = 1_000


@dataclass(frozen=True, eq=False)
class Scores:
    """Verdicts of groups.

    Attributes:
        scores: 0 to 1, shape (groups,).
        is_anomaly: Whether each is above the threshold, shape (groups,).
        confidence: How sure that is, shape (groups,).
        alert_ids: Of anomalies; "" of others.
        threshold: The threshold.
    """

    scores: Floats
    is_anomaly: NDArray[np.bool_]
    confidence: Floats
    alert_ids: list[str]
    threshold: float


def judge(detector: AnomalyDetector, groups: Groups) -> Scores:
    """Judges groups, so many lines at a time that memory is bounded.

    Args:
        detector: Fitted.
        groups: The groups.
    """
    parts: list[tuple[Floats, NDArray[np.bool_], Floats]] = []
    ids: list[str] = []
    for chosen in _portions(groups):
        told = detector.verdicts(groups.take(chosen))
        parts.append((told.scores, told.is_anomaly, told.confidence))
        odd = np.unique(told.place[told.is_anomaly])
        names = np.full(len(told.distinct), "", dtype=object)
        if len(odd):
            names[odd] = told.distinct.take(odd).identities().to_list()
        ids += names[told.place].tolist()
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Scores(columns[0], columns[1].astype(bool), columns[2], ids, detector.threshold)


def _portions(groups: Groups) -> Iterator[Rows]:
    ends = groups.offsets[1:]
    start = 0
    while start < len(groups):
        most = int(groups.offsets[start]) + _JUDGED_LINES
        end = max(start + 1, int(np.searchsorted(ends, most, side="right")))
        yield np.arange(start, end)
        start = end


class Teller:
    """Makes alerts of verdicts: reasons, lines, and what stands around them."""

    def __init__(self, detector: AnomalyDetector, store: LineStore, judged: Grouped, told: Scores) -> None:
        self._detector, self._store, self._judged, self._scores = detector, store, judged, told
        self._told: dict[str, Told] = {}
        self._texts: dict[int, Kept] = {}

    def tell(self, most: int) -> tuple[tuple[Alert, ...], pl.DataFrame]:
        """Returns distinct alerts, of which so many are explained, and all of them as rows."""
        odd = np.flatnonzero(self._scores.is_anomaly).tolist()
        alike: dict[str, list[int]] = {}
        for group in odd:
            alike.setdefault(self._scores.alert_ids[group], []).append(group)
        first = [groups[0] for groups in alike.values()]
        ranked = sorted(first, key=lambda group: -self._scores.scores[group])[:most]
        if ranked:
            told = told_of(self._detector, self._judged.groups.take(np.array(ranked)))
            self._told = {
                self._scores.alert_ids[group]: each for group, each in zip(ranked, told, strict=True)
            }
        with_lines = [group for group in odd if self._scores.alert_ids[group] in self._told][:MOST_TOLD]
        self._texts = self._store.texts(self._wanted(odd, with_lines, ranked))
        rows = self._rows(odd, frozenset(with_lines))
        distinct = (self._whole(group, len(alike[self._scores.alert_ids[group]])) for group in ranked)
        return tuple(distinct), rows

    def _rows(self, odd: list[int], with_lines: frozenset[int]) -> pl.DataFrame:
        """All alerts as rows, made so many at a time: a row takes less than an alert."""
        parts = [
            rows_of(self._alert(group, group in with_lines) for group in odd[start : start + _ROWS])
            for start in range(0, len(odd), _ROWS)
        ]
        return pl.concat(parts) if parts else rows_of(())

    def _wanted(self, odd: list[int], with_lines: list[int], ranked: list[int]) -> Rows:
        rows: list[list[int]] = []
        for group in odd:
            own = self._judged.rows_of(group)
            rows.append([int(own[0]), int(own[-1])])
        for group in with_lines:
            own = self._judged.rows_of(group)
            rows.append([int(own[place]) for place, _, _ in self._told[self._scores.alert_ids[group]].places])
        rows += [self._around(group) for group in ranked]
        return np.unique(np.fromiter(chain.from_iterable(rows), dtype=np.int64))

    def _around(self, group: int) -> list[int]:
        """Rows before and behind the line that says most: of its session, or, in windows, of the log."""
        own = self._judged.rows_of(group)
        places = self._told[self._scores.alert_ids[group]].places
        place = places[0][0] if places else 0
        if self._store.grouping.session is not None:
            near: list[int] = own[max(0, place - CONTEXT_LINES) : place + CONTEXT_LINES + 1].tolist()
            return near
        row = int(own[place])
        return list(range(max(0, row - CONTEXT_LINES), min(self._store.lines, row + CONTEXT_LINES + 1)))

    def _alert(self, group: int, with_lines: bool) -> Alert:
        scores, own = self._scores, self._judged.rows_of(group)
        (source, first, *_), (_, last, *_) = self._texts[int(own[0])], self._texts[int(own[-1])]
        start, end = self._judged.ends_of(group)
        told = self._told.get(scores.alert_ids[group], Told((), (), ()))
        places = told.places if with_lines else ()
        return Alert(
            self._judged.groups.ids[group],
            scores.alert_ids[group],
            source,
            first,
            last,
            moment_of(start),
            moment_of(end),
            len(own),
            float(scores.scores[group]),
            scores.threshold,
            float(scores.confidence[group]),
            told.reasons,
            tuple(self._line(int(own[place]), why, True) for place, _, why in places),
            normal=told.normal,
        )

    def _line(self, row: int, why: str, is_odd: bool) -> AlertLine:
        _, number, text, header = self._texts[row]
        return AlertLine(number, text, why, is_odd, header)

    def _whole(self, group: int, times: int) -> Alert:
        """An alert with what stands around its first line, and its normal forms."""
        alert, own = self._alert(group, True), self._judged.rows_of(group)
        places = self._told[alert.alert_id].places
        groups = self._judged.groups
        whys = {int(own[place]): why for place, _, why in places}
        alike = np.isin(groups.sequence(group), [groups.sequence(group)[place] for place, _, _ in places])
        odd = frozenset(own[alike].tolist())
        rows = [row for row in self._around(group) if self._texts[row][0] == alert.source]
        context = tuple(self._line(row, whys.get(row, ""), row in odd) for row in rows)
        codes = groups.sequence(group) if alert.lines <= MOST_LINES else groups.codes[:0]
        forms = tuple(groups.forms.gather(codes).to_list())
        return replace(alert, context=context, alike=times, forms=forms)
