"""Are explanations right? Named lines against labelled ones, and scores without named lines (deletion test).

An explanation names the line of an alert that makes it most odd. Two questions are asked of true alerts. Is
it a labelled line? And does the score fall more without it than without another one? The second is the
deletion test; leaving out each form in turn is how lines are ranked, so it can hardly be failed, and says how
far the score hangs on one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from biglog.evaluation.anomaly.sets import TRAIN_LINES, labelled_lines
from biglog.tasks.anomaly.detector import Detector, Settings
from biglog.tasks.anomaly.known import Encode
from biglog.tasks.anomaly.leave_out import LineReason, RankedLines, rank_lines
from biglog.tasks.groups import Floats, Groups

SCHEMA: Final = "biglog-explanations/1"

WINDOW_LINES: Final = (20, 100)
"""Lines of a window."""

VALIDATION_END: Final = {"BGL": 60_000}
"""Line before which windows were looked at when it was chosen how lines of equal falls are ranked."""

DRAWS: Final = 10
"""Random lines of an alert."""

Flags = NDArray[np.bool_]
_Rank = Callable[[LineReason], tuple[float, ...]]
_Values = Mapping[str, float | int | None]


def named(ranked: RankedLines) -> LineReason:
    """Returns the line that an explanation names."""
    return ranked.lines[0]


def _rankings(detector: Detector) -> dict[str, _Rank]:
    """Other ways to name a line, the one with the smallest key: what explanations are measured beside."""
    seen = dict(zip(detector.known.forms.to_list(), detector.known.groups_with.tolist(), strict=True))
    return {
        "largest_fall": lambda line: (-line.weight, line.position),
        "evidence": lambda line: (-line.evidence, line.position),
        "rarest_form": lambda line: (seen.get(line.form, 0), line.position),
        "word_severity": lambda line: (-line.severity, line.position),
    }


@dataclass(frozen=True, eq=False)
class TrueAlerts:
    """Alerts of groups that are anomalous, explained.

    Attributes:
        groups: Those groups.
        rows: Which of all groups they are, shape (alerts,).
        ranked: Their lines, ranked.
        by: The line that each ranking names, by its name, each of length alerts.
    """

    groups: Groups
    rows: NDArray[np.intp]
    ranked: Sequence[RankedLines]
    by: Mapping[str, Sequence[LineReason]]

    @classmethod
    def of(
        cls, detector: Detector, groups: Groups, labels: NDArray[np.integer], encode: Encode
    ) -> TrueAlerts | None:
        """Explains the alerts of anomalous groups; None where there is none.

        Args:
            detector: Fitted.
            groups: The groups.
            labels: 1 for anomalous ones, shape (groups,).
            encode: Embeds normal forms.
        """
        rows = np.flatnonzero(detector.verdicts(groups, encode).is_anomaly & (np.asarray(labels) == 1))
        if not len(rows):
            return None
        alerts = groups.take(rows)
        ranked = rank_lines(detector, alerts, encode)
        by = {"explanation": [named(one) for one in ranked]}
        for name, key in _rankings(detector).items():
            by[name] = [min(one.lines, key=key) for one in ranked]
        return cls(alerts, rows, ranked, by)


# -- the named line is a labelled one --


def top_line_is_labelled(
    detector: Detector, windows: Groups, labelled: Flags, encode: Encode
) -> dict[str, float | int | None]:
    """Tells how often the named line of a true alert is one that the source labels.

    Args:
        detector: Fitted.
        windows: Windows; one is anomalous if a line of it is labelled.
        labelled: Whether each of their lines is, shape (lines,).
        encode: Embeds normal forms.

    Returns:
        `alerts`, and the share of them by the explanation, by other rankings, and by a random line (its
        expectation); None without true alerts.
    """
    anomalous = np.maximum.reduceat(labelled.astype(np.int64), windows.offsets[:-1])
    alerts = TrueAlerts.of(detector, windows, anomalous, encode)
    return _labelled_shares(alerts, windows, labelled)


def _labelled_shares(
    alerts: TrueAlerts | None, windows: Groups, labelled: Flags, part: NDArray[np.integer] | None = None
) -> dict[str, float | int | None]:
    if alerts is None or (part is not None and not len(part)):
        return {"alerts": 0, "explanation": None}
    kept = np.arange(len(alerts.rows)) if part is None else part
    starts = windows.offsets[:-1][alerts.rows]
    found: dict[str, float | int | None] = {"alerts": len(kept)}
    for name, lines in alerts.by.items():
        hits = labelled[starts + np.array([line.position for line in lines])]
        found[name] = float(hits[kept].mean())
    ends = windows.offsets[1:][alerts.rows]
    random = [labelled[start:end].mean() for start, end in zip(starts, ends, strict=True)]
    found["random_line"] = float(np.array(random)[kept].mean())
    return found


# -- the deletion test --


def deletion_test(
    detector: Detector, groups: Groups, labels: NDArray[np.integer], encode: Encode, seed: int = 0
) -> dict[str, Any]:
    """Compares how much scores of true alerts fall without the named line and without a random one.

    A line goes with all lines of its form, the random one too.

    Args:
        detector: Fitted.
        groups: The groups.
        labels: 1 for anomalous ones, shape (groups,).
        encode: Embeds normal forms.
        seed: Of the random lines, `DRAWS` an alert.

    Returns:
        `alerts`; of each ranking and of a random line the mean fall of the method's score (`raw`) and of the
        score in [0, 1] (`score`), and the share of alerts that are none without it (`silenced`); the share of
        alerts where the explanation's falls further than the mean of the random ones (`more_than_random`),
        and the same where alerts have more than one form (`more_than_random_of_several_forms`).
    """
    return _deletion(detector, TrueAlerts.of(detector, groups, labels, encode), seed)


def _deletion(detector: Detector, alerts: TrueAlerts | None, seed: int) -> dict[str, Any]:
    if alerts is None:
        return {"alerts": 0}
    raw = np.array([one.raw for one in alerts.ranked])
    found: dict[str, Any] = {"alerts": len(raw)}
    for name, lines in alerts.by.items():
        found[name] = _falls(detector, raw, np.array([line.weight for line in lines]))
    drawn = _random_falls(alerts, seed)
    found["random_line"] = _falls(detector, np.repeat(raw, DRAWS), drawn.ravel())
    own = np.array([line.weight for line in alerts.by["explanation"]])
    more = own > drawn.mean(axis=1) + 1e-9
    several = np.array([one.forms > 1 for one in alerts.ranked])
    found["more_than_random"] = float(more.mean())
    found["of_several_forms"] = int(several.sum())
    found["more_than_random_of_several_forms"] = float(more[several].mean()) if several.any() else None
    return found


def _falls(detector: Detector, raw: Floats, falls: Floats) -> dict[str, float]:
    """Means of falls of the method's scores and of those in [0, 1], and how many alerts they silence."""
    without = raw - falls
    calibration = detector.calibration
    scores = (raw, without) if calibration is None else map(calibration.scores, (raw, without))
    before, after = scores
    limit = 0.5 if calibration is None else calibration.raw_threshold
    return {
        "raw": float(falls.mean()),
        "score": float((before - after).mean()),
        "silenced": float((without <= limit).mean()),
    }


def _random_falls(alerts: TrueAlerts, seed: int) -> Floats:
    """Falls without random lines, shape (alerts, draws); of a form that was not left out it is 0."""
    draw = np.random.default_rng(seed)
    found = np.zeros((len(alerts.ranked), DRAWS))
    forms = alerts.groups.forms
    for row, ranked in enumerate(alerts.ranked):
        weights = {line.form: line.weight for line in ranked.lines}
        codes = draw.choice(alerts.groups.sequence(row), DRAWS)
        found[row] = [weights.get(forms[int(code)], 0.0) for code in codes]
    return found


# -- on labelled logs --


def explanations(
    folder: Path,
    encoders: Mapping[str, Mapping[str, Encode]],
    *,
    window_lines: Sequence[int] = WINDOW_LINES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures explanations on windows of BGL_100k and Thunderbird_19k.

    A detector with method "auto" learns from the normal windows among the first lines
    (`biglog.evaluation.anomaly.sets.TRAIN_LINES`); all other windows are judged.

    Args:
        folder: The data.
        encoders: For each domain, encoders by name that have not seen it.
        window_lines: Sizes of windows.
        seed: Of random lines.

    Returns:
        For each domain and size of windows, the results of each encoder and their means: `labelled` as
        `top_line_is_labelled`, of all judged windows, of equal ones once (`distinct`), and of those before
        (`validation`) and behind (`test`) `VALIDATION_END`; and `deletion` as `deletion_test`.
    """
    found: dict[str, Any] = {"schema": SCHEMA, "train_lines": TRAIN_LINES, "validation_end": VALIDATION_END}
    for domain, named_encoders in encoders.items():
        found[domain] = {}
        for size in window_lines:
            results = {
                name: _measured(folder, domain, size, encode, seed) for name, encode in named_encoders.items()
            }
            found[domain][f"windows_{size}"] = {"encoders": results, "mean": _mean(list(results.values()))}
    return found


def _measured(folder: Path, domain: str, size: int, encode: Encode, seed: int) -> dict[str, Any]:
    lines, begin = labelled_lines(folder, domain), TRAIN_LINES[domain]
    detector = Detector.fit(Settings(), lines.windows(size, 0, begin).normal, encode)
    judged = lines.windows(size, begin, len(lines.forms))
    labelled = lines.alerts[begin:] != "-"
    verdicts = detector.verdicts(judged.groups, encode)
    alerts = TrueAlerts.of(detector, judged.groups, judged.labels, encode)
    told: dict[str, Any] = {
        "method": detector.settings.method,
        "anomalous_windows": int(judged.labels.sum()),
        "alarms": int(verdicts.is_anomaly.sum()),
        "labelled": {"all": _labelled_shares(alerts, judged.groups, labelled)},
        "deletion": _deletion(detector, alerts, seed),
    }
    if alerts is not None:
        _, first = np.unique(alerts.groups.distinct()[1], return_index=True)
        told["labelled"]["distinct"] = _labelled_shares(alerts, judged.groups, labelled, first)
    end = VALIDATION_END.get(domain)
    if end is not None and alerts is not None:
        before = judged.groups.offsets[:-1][alerts.rows] + begin < end
        for name, part in (("validation", before), ("test", ~before)):
            rows = np.flatnonzero(part)
            told["labelled"][name] = _labelled_shares(alerts, judged.groups, labelled, rows)
    return told


def _mean(results: Sequence[Any]) -> Any:
    """Means of numbers that have the same place in all results; what is no number must be the same."""
    first = results[0]
    if isinstance(first, Mapping):
        return {name: _mean([result[name] for result in results]) for name in first}
    if isinstance(first, str) or any(result is None for result in results):
        return first if all(result == first for result in results) else None
    return float(np.mean(results))
