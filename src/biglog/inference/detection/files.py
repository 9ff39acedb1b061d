"""Anomalies in whole logs: learn what is normal, judge groups, tell the lines that say why."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from biglog._version import __version__
from biglog.errors import InputError
from biglog.inference.detection.alerts import ROWS, Alert
from biglog.inference.detection.groups import Grouping
from biglog.inference.detection.store import NO_TIME, Grouped, LineStore
from biglog.inference.detection.telling import MOST_TOLD, Scores, Teller, judge
from biglog.inference.detector import AnomalyDetector
from biglog.logs.known_forms import KnownForms
from biglog.logs.record import ReadReport, read_logs
from biglog.logs.sources.expand import SourceLike
from biglog.tasks.anomaly.suspects import taken_for_normal
from biglog.tasks.groups import Groups

SCHEMA: Final = "biglog.detection/1"

TRAIN_SHARE: Final = 0.5
"""Share of a log, the first groups in time, that is learnt from where nothing else is given."""

FEW_GROUPS: Final = 100
"""Of fewer groups it is said that they are few to learn from."""

MOST_EXPLAINED: Final = 1_000
"""Distinct alerts of a log that are explained, those with the highest scores."""

_ANOMALOUS: Final = {"1": 1, "anomaly": 1, "anomalous": 1, "abnormal": 1, "true": 1}
_NORMAL: Final = {"0": 0, "normal": 0, "-": 0, "false": 0}

Progress = Callable[[int, int], None]
Sources = SourceLike | Iterable[SourceLike]


@dataclass(frozen=True, eq=False)
class Detection:
    """What was found in logs.

    Attributes:
        version: Version of the package.
        encoder: Name of the encoder.
        method: Name of the method.
        grouping: What a group is, in words.
        budget: Share of normal groups that may be alarmed.
        threshold: Of scores.
        fitted: Groups that were learnt from in this run; 0 with a detector that was fitted before.
        fitted_lines: Lines of them.
        lines: Lines of the groups that were judged.
        alerts: Distinct alerts, the highest score first, of equal ones the first in time.
        rows: All alerts, a row a group, columns of `ROWS`.
        scores: All groups that were judged: group_id, start, first_row, lines, anomaly_score, is_anomaly.
        notes: What a reader has to know, in words.
        report: What was read of each source.
        seconds: Time spent on reading, fitting, judging and explaining.
    """

    version: str
    encoder: str
    method: str
    grouping: str
    budget: float
    threshold: float
    fitted: int
    fitted_lines: int
    lines: int
    alerts: tuple[Alert, ...]
    rows: pl.DataFrame
    scores: pl.DataFrame
    notes: tuple[str, ...]
    report: ReadReport
    seconds: dict[str, float]

    @property
    def groups(self) -> int:
        """How many groups were judged."""
        return len(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it; `alerts` are distinct, `alike` is how many groups raised each."""
        told = ("version", "encoder", "method", "grouping", "budget", "threshold", "fitted", "fitted_lines")
        counts = {"groups": self.groups, "lines": self.lines, "anomalies": len(self.rows)}
        alerts = [alert.row() | {"alike": alert.alike} for alert in self.alerts]
        sources = [{"name": source.name, "lines": source.lines} for source in self.report.sources]
        more = {"alerts": alerts, "notes": self.notes, "sources": sources, "seconds": self.seconds}
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in told}, **counts, **more}


def detect_files(
    sources: Sources,
    detector: AnomalyDetector,
    grouping: Grouping,
    *,
    train: Sources | None = None,
    layout: str | None = None,
    year: int | None = None,
    explained_alerts: int = MOST_EXPLAINED,
    progress: Progress | None = None,
) -> Detection:
    """Judges the groups of logs.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        detector: One that was fitted; or one that was not, which is fitted on `train` or else on the first
            half of the groups, but for suspect ones (`biglog.tasks.anomaly.suspects`), and judges the others.
        grouping: Which lines are judged together.
        train: Logs of normal operation.
        layout: Header layout; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        explained_alerts: How many distinct alerts are explained, and told with their lines.
        progress: Called with the lines and bytes read so far.

    Raises:
        InputError: A source cannot be read, or there are no groups to learn from.
        OutputError: Texts cannot be kept while they wait.
    """
    began, seconds = time.perf_counter(), {}
    known, read = KnownForms(), _Read(layout, year, progress)
    with tempfile.TemporaryDirectory(prefix="biglog-") as folder:
        learnt = None if train is None else _stored(train, LineStore(grouping, known), read)
        store = LineStore(grouping, known, Path(folder))
        _stored(sources, store, read)
        seconds["read"] = time.perf_counter() - began
        grouped = store.grouped()
        judged, fitted, suspect = _learnt(detector, grouped, learnt)
        seconds["learn"] = time.perf_counter() - began - sum(seconds.values())
        told = judge(detector, judged.groups)
        seconds["judge"] = time.perf_counter() - began - sum(seconds.values())
        alerts, rows = Teller(detector, store, judged, told).tell(explained_alerts)
        seconds["explain"] = time.perf_counter() - began - sum(seconds.values())
    assert detector.encoder is not None  # it has judged
    return Detection(
        __version__,
        detector.encoder.name,
        detector.chosen_method,
        grouping.words,
        detector.detector_.settings.budget,
        told.threshold,
        0 if fitted is None else len(fitted),
        0 if fitted is None else len(fitted.codes),
        int(judged.groups.offsets[-1]),
        alerts,
        rows,
        _scores(judged, told),
        tuple(_notes(store, fitted, suspect, rows, alerts)),
        read.report,
        seconds,
    )


def fit_files(
    sources: Sources,
    detector: AnomalyDetector,
    grouping: Grouping,
    *,
    labels: Path | None = None,
    layout: str | None = None,
    year: int | None = None,
    progress: Progress | None = None,
) -> Groups:
    """Fits a detector on all groups of logs.

    Args:
        sources: What :func:`biglog.read_logs` takes.
        detector: The detector.
        grouping: Which lines are judged together.
        labels: CSV file with a label for every group, see `read_labels`.
        layout: Header layout; None recognises it.
        year: Year of the first timestamp where timestamps have none.
        progress: Called with the lines and bytes read so far.

    Returns:
        The groups.

    Raises:
        InputError: A source or the labels cannot be read, or there are no groups.
    """
    store = _stored(sources, LineStore(grouping), _Read(layout, year, progress))
    groups = store.grouped().groups
    detector.fit(groups, None if labels is None else read_labels(labels, groups.ids))
    return groups


def read_labels(path: Path, ids: pl.Series) -> list[int]:
    """Reads labels of groups: a CSV file with a column `label`, and before it the groups' identifiers.

    Labels are 0 or 1, or Normal or Anomaly (as HDFS has them).

    Args:
        path: The file.
        ids: The groups whose labels are wanted.

    Returns:
        0 or 1 a group.

    Raises:
        InputError: The file cannot be read, has no such column, another label, or a group has none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            label = next((name for name in names if name.strip().lower() == "label"), None)
            key = next((name for name in names if name != label), None)
            if label is None or key is None:
                raise InputError(
                    "there is no column 'label' beside one of groups",
                    where=path,
                    remedy=f"Write group_id,label; its columns are {', '.join(names) or 'none'}",
                )
            told = {row[key]: _label(row[label], path, reader.line_num) for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"these labels cannot be read ({error})", where=path, remedy="Give a CSV file"
        ) from error
    missing = [name for name in ids.to_list() if name not in told]
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(ids):,} groups have no label, such as {missing[0]!r}",
            where=path,
            remedy="Give one row a group, with its group_id",
        )
    return [told[name] for name in ids.to_list()]


def _label(text: str | None, path: Path, line: int) -> int:
    found = (_NORMAL | _ANOMALOUS).get((text or "").strip().lower())
    if found is None:
        raise InputError(f"{text!r} is no label", where=path, line=line, remedy="Write 0 or 1")
    return found


class _Read:
    """Reads logs one after the other, and says how far it is."""

    def __init__(self, layout: str | None, year: int | None, progress: Progress | None) -> None:
        self._layout, self._year, self._progress = layout, year, progress
        self.report = ReadReport()
        self._lines, self._bytes = 0, 0

    def __call__(self, sources: Sources) -> Iterator[tuple[str, pl.DataFrame]]:
        reader = read_logs(sources, layout=self._layout, year=self._year)
        for batch in reader:
            yield batch.source, batch.frame
            if self._progress is not None:
                self._progress(self._lines + reader.report.lines, self._bytes + reader.report.bytes)
        self.report = reader.report
        self._lines, self._bytes = self._lines + reader.report.lines, self._bytes + reader.report.bytes


def _stored(sources: Sources, store: LineStore, read: _Read) -> LineStore:
    for source, frame in read(sources):
        store.add(frame, source)
    return store


def _learnt(
    detector: AnomalyDetector, grouped: Grouped, learnt: LineStore | None
) -> tuple[Grouped, Groups | None, int]:
    """Fits a detector that is not.

    Returns:
        The groups to be judged, those learnt from, and how many are suspect.
    """
    if learnt is not None:
        groups = learnt.grouped().groups
        detector.fit(groups)
        return grouped, groups, 0
    if hasattr(detector, "detector_"):
        return grouped, None, 0
    count = len(grouped.groups)
    cut = int(count * TRAIN_SHARE)
    if cut < 1:
        raise InputError(
            "there is one group alone, and nothing to compare it with",
            remedy="Give normal logs by --train, a fitted detector by --model, or smaller groups",
        )
    groups, odd = taken_for_normal(grouped.groups.take(np.arange(cut)), detector.method)
    detector.fit(groups)
    return grouped.take(np.concatenate([odd, np.arange(cut, count)])), groups, len(odd)


def _scores(judged: Grouped, told: Scores) -> pl.DataFrame:
    starts = pl.Series("start", judged.starts).set(pl.Series(judged.starts == NO_TIME), None)
    return pl.DataFrame(
        {
            "group_id": judged.groups.ids,
            "start": starts.cast(ROWS["start"]),
            "first_row": judged.rows[judged.groups.offsets[:-1]],
            "lines": judged.groups.sizes,
            "anomaly_score": told.scores,
            "is_anomaly": told.is_anomaly,
        }
    )


def _notes(
    store: LineStore, fitted: Groups | None, suspect: int, rows: pl.DataFrame, alerts: Sequence[Alert]
) -> Iterator[str]:
    if store.lines_without_session:
        share = store.lines_without_session / store.lines
        yield f"{store.lines_without_session:,} lines ({share:.1%}) have no session and were not judged"
    if suspect:
        yield (
            f"{suspect:,} groups of the first half speak of trouble in lines that most groups do without: "
            "they were judged, not learnt from (--train takes a log that is normal)"
        )
    if fitted is not None and len(fitted) < FEW_GROUPS:
        yield f"only {len(fitted):,} groups were learnt from: what is normal is hardly known"
    if len(rows) > MOST_TOLD:
        yield f"lines are told of the first {MOST_TOLD:,} alerts"
    distinct = rows["alert_id"].n_unique()
    if distinct > len(alerts):
        yield f"reasons are told of {len(alerts):,} of {distinct:,} different alerts, the highest scores"
