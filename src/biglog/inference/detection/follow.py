"""A growing file, judged as lines come: its alerts, each explained once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from biglog.inference.detection.alerts import MOST_LINES, Alert, AlertLine, Told, told_of
from biglog.inference.detection.store import LineStore
from biglog.inference.detection.stream import DetectStream, Judged
from biglog.inference.detector import AnomalyDetector
from biglog.inference.follow import Place, follow_records, wait_a_moment
from biglog.tasks.anomaly.suspects import taken_for_normal
from biglog.tasks.groups import Groups

_MOST_TOLD = 1_000


def follow_alerts(
    path: Path,
    stream: DetectStream,
    *,
    layout: str | None = None,
    wait: Callable[[], bool] | None = None,
    place: Place | None = None,
    learnt: Callable[[Groups, int], None] | None = None,
    between: Callable[[], None] | None = None,
) -> Iterator[list[Alert]]:
    """Judges what is appended to a file.

    A detector that is not fitted learns from what the file has at first, and judges what comes then; one that
    is fitted judges both.

    Args:
        path: The file, not compressed.
        stream: What judges.
        layout: Header layout; None recognises it on what the file has at first.
        wait: Called where there is nothing new; returns whether to go on. None waits a moment.
        place: Where to begin, see `biglog.inference.follow.follow_records`.
        learnt: Called with the groups that were learnt from, once they were, and how many were suspect and
            not learnt from (`biglog.tasks.anomaly.suspects`); nor are these judged.
        between: As of `follow_records`.

    Yields:
        For every batch of lines its alerts, often none; at the end those of the groups that were open.

    Raises:
        InputError: The file cannot be read, or what it has at first is nothing to learn from.
    """
    learning = _Learning(stream, wait or wait_a_moment, learnt)
    teller = _Teller(stream.detector)
    for frame in follow_records(path, layout=layout, wait=learning.wait, place=place, between=between):
        if learning.fitted:
            yield [
                teller.alert(judged) for judged in stream.add(frame, source=str(path)) if judged.is_anomaly
            ]
        else:
            learning.add(frame, str(path))


def last_alerts(stream: DetectStream) -> list[Alert]:
    """Closes the groups of a stream that are open, and returns those that are anomalies."""
    teller = _Teller(stream.detector)
    return [teller.alert(judged) for judged in stream.flush() if judged.is_anomaly]


class _Learning:
    """Has a detector learn from what a file has when it is waited for the first time."""

    def __init__(
        self, stream: DetectStream, wait: Callable[[], bool], learnt: Callable[[Groups, int], None] | None
    ) -> None:
        self._detector, self._wait, self._learnt = stream.detector, wait, learnt
        self._store = LineStore(stream.grouping)

    @property
    def fitted(self) -> bool:
        return hasattr(self._detector, "detector_")

    def add(self, frame: pl.DataFrame, source: str) -> None:
        self._store.add(frame, source)

    def wait(self) -> bool:
        if not self.fitted and self._store.lines:
            groups, suspect = taken_for_normal(self._store.grouped().groups, self._detector.method)
            self._detector.fit(groups)
            if self._learnt is not None:
                self._learnt(groups, len(suspect))
        return self._wait()


class _Teller:
    """Makes alerts of verdicts of a stream; what was explained is remembered."""

    def __init__(self, detector: AnomalyDetector) -> None:
        self._detector = detector
        self._told: dict[str, Told] = {}

    def alert(self, judged: Judged) -> Alert:
        told = self._told.get(judged.alert_id)
        if told is None:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            told = told_of(self._detector, Groups.of_forms([judged.forms], [judged.group_id]))[0]
            self._told[judged.alert_id] = told
        kept = {form: (number, text) for form, number, text in judged.kept}
        shown = [AlertLine(*kept[form], why, True) for _, form, why in told.places if form in kept]
        return Alert(
            judged.group_id,
            judged.alert_id,
            judged.source,
            judged.first_line,
            judged.last_line,
            judged.start,
            judged.end,
            judged.lines,
            judged.anomaly_score,
            judged.threshold,
            judged.confidence,
            told.reasons,
            tuple(shown),
            normal=told.normal,
            forms=judged.forms if judged.lines <= MOST_LINES else (),
        )
