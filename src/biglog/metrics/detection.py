"""How well anomalies were found: at a threshold, over all thresholds, and over distinct groups (numpy only).

At a threshold there are precision, recall, F1, the share of normal groups that raise an alarm, and Matthews'
correlation, which needs all four cells to be right (Chicco and Jurman, "The advantages of the Matthews
correlation coefficient (MCC) over F1 score and accuracy in binary classification evaluation", BMC Genomics
2020). Over all thresholds there are average precision, which is the area under the precision-recall curve
without the interpolation that Davis and Goadrich ("The relationship between precision-recall and ROC curves",
ICML 2006) show to be wrong, and the area under the ROC curve. Where anomalies are rare, the second is high
for detectors of little use: read the first.

Logs repeat themselves, and a detector that tells the commonest few sequences right scores well on all groups.
So the same figures are given with every distinct sequence counted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

NORMAL_LABEL: Final = "-"
"""What Loghub calls a line that is no alert."""


@dataclass(frozen=True)
class Confusion:
    """How many groups were told right and wrong; of weighted groups, how much they weigh.

    Every figure made of them is 0 where it is undefined.

    Attributes:
        true_positives: Anomalies that raised an alarm.
        false_positives: Normal groups that did.
        false_negatives: Anomalies that did not.
        true_negatives: Normal groups that did not.
    """

    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float

    @property
    def precision(self) -> float:
        """Share of the alarms that are anomalies."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the anomalies that raised an alarm."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the normal groups that raised an alarm."""
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)

    @property
    def mcc(self) -> float:
        """Matthews' correlation of truth and alarm, -1 to 1; 0 is chance (Chicco and Jurman 2020)."""
        tp, fp, fn, tn = self.true_positives, self.false_positives, self.false_negatives, self.true_negatives
        return _ratio(tp * tn - fp * fn, sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def confusion(
    is_anomaly_true: ArrayLike, is_anomaly: ArrayLike, weights: ArrayLike | None = None
) -> Confusion:
    """Counts groups that were told right and wrong.

    Args:
        is_anomaly_true: The truth, bool or 0 and 1, shape (n,).
        is_anomaly: What was told, likewise.
        weights: How often each group counts, 0 or more, shape (n,); None is once.

    Raises:
        ValueError: Lengths differ, labels are not 0 and 1, or a weight is negative.
    """
    truth, told = _flags(is_anomaly_true, "is_anomaly_true"), _flags(is_anomaly, "is_anomaly")
    same_length(is_anomaly_true=truth, is_anomaly=told)
    counted = _weights(weights, len(truth))
    cells = [counted[(truth == a) & (told == b)].sum().item() for a, b in ((1, 1), (0, 1), (1, 0), (0, 0))]
    return Confusion(*cells)


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the average precision: the sum over thresholds of precision times the recall that it adds.

    Groups of equal score pass a threshold together.

    Args:
        labels: Whether each group is an anomaly, bool or 0 and 1, shape (n,).
        scores: Anomaly scores, higher is more anomalous, shape (n,).
        weights: How often each group counts, 0 or more, shape (n,); None is once.

    Raises:
        ValueError: Lengths differ, labels are of one class, a score is NaN, or a weight is negative.
    """
    curve = _Curve.of(labels, scores, weights)
    precision = curve.true / (curve.true + curve.false)
    return float(np.sum(precision * np.diff(curve.true, prepend=0.0)) / curve.true[-1])


def auroc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the area under the ROC curve: how often an anomaly scores higher than a normal group.

    Equal scores count half (Mann and Whitney 1947).

    Args:
        labels: Whether each group is an anomaly, bool or 0 and 1, shape (n,).
        scores: Anomaly scores, higher is more anomalous, shape (n,).
        weights: How often each group counts, 0 or more, shape (n,); None is once.

    Raises:
        ValueError: Lengths differ, labels are of one class, a score is NaN, or a weight is negative.
    """
    curve = _Curve.of(labels, scores, weights)
    higher = curve.true - np.diff(curve.true, prepend=0.0) / 2
    return float(np.sum(higher * np.diff(curve.false, prepend=0.0)) / curve.true[-1] / curve.false[-1])


def best_f1(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Returns the F1 at the best of all thresholds: an upper bound, chosen on the data that it is told of.

    No detector without labels of the test data reaches it but by luck. Where it is reported, it is reported
    as such.

    Args:
        labels: Whether each group is an anomaly, bool or 0 and 1, shape (n,).
        scores: Anomaly scores, higher is more anomalous, shape (n,).
        weights: How often each group counts, 0 or more, shape (n,); None is once.

    Raises:
        ValueError: Lengths differ, labels are of one class, a score is NaN, or a weight is negative.
    """
    curve = _Curve.of(labels, scores, weights)
    return float(np.max(2 * curve.true / (curve.true + curve.false + curve.true[-1])))


@dataclass(frozen=True)
class DetectionScore:
    """Scores of a detector.

    Attributes:
        groups: Groups compared.
        anomalies: How many of them are anomalies.
        confusion: Groups told right and wrong at the detector's threshold.
        average_precision: Area under the precision-recall curve.
        auroc: Area under the ROC curve.
        distinct: The same over distinct pairs of sequence and label, if sequences were given.
    """

    groups: int
    anomalies: int
    confusion: Confusion
    average_precision: float
    auroc: float
    distinct: DetectionScore | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the figures by name; those over distinct sequences, if any, are under `distinct`."""
        told = self.confusion
        figures: dict[str, Any] = {
            "f1": told.f1,
            "precision": told.precision,
            "recall": told.recall,
            "false_alarm_rate": told.false_alarm_rate,
            "mcc": told.mcc,
            "average_precision": self.average_precision,
            "auroc": self.auroc,
            "groups": self.groups,
            "anomalies": self.anomalies,
        }
        return figures if self.distinct is None else {**figures, "distinct": self.distinct.as_dict()}


def detection_score(
    labels: ArrayLike, scores: ArrayLike, is_anomaly: ArrayLike, sequence_ids: ArrayLike | None = None
) -> DetectionScore:
    """Scores a detector.

    Args:
        labels: Whether each group is an anomaly, bool or 0 and 1, shape (n,).
        scores: Anomaly scores, higher is more anomalous, shape (n,).
        is_anomaly: Whether each group raised an alarm, shape (n,).
        sequence_ids: Identity of each group's content, numbers or texts, shape (n,). Each pair of sequence
            and label counts once, with the highest score of its groups and an alarm if any of them raised
            one: a detector that reads contents alone tells them all the same.

    Raises:
        ValueError: Lengths differ, labels are of one class, or a score is NaN.
    """
    truth, told, values = _flags(labels, "labels"), _flags(is_anomaly, "is_anomaly"), _scores(scores)
    same_length(labels=truth, scores=values, is_anomaly=told)
    distinct = None
    if sequence_ids is not None:
        sequences = np.asarray(sequence_ids)
        same_length(labels=truth, sequence_ids=sequences)
        distinct = detection_score(*_distinct(truth, values, told, sequences))
    return DetectionScore(
        groups=len(truth),
        anomalies=int(truth.sum()),
        confusion=confusion(truth, told),
        average_precision=average_precision(truth, values),
        auroc=auroc(truth, values),
        distinct=distinct,
    )


def _distinct(
    truth: Flags, scores: Floats, told: Flags, sequences: NDArray[Any]
) -> tuple[Flags, Floats, Flags]:
    """Labels, scores and alarms of the distinct pairs of sequence and label."""
    _, codes = np.unique(sequences, return_inverse=True)
    pairs, place = np.unique(codes.reshape(-1) * 2 + truth, return_inverse=True)
    highest = np.full(len(pairs), -np.inf)
    np.maximum.at(highest, place, scores)
    return pairs % 2 == 1, highest, np.bincount(place, weights=told) > 0


def macro_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Returns the mean F1 of the classes that truth or prediction have, each weighing the same.

    Args:
        truth: True classes, numbers or texts, shape (n,).
        predicted: Predicted classes, shape (n,).

    Raises:
        ValueError: Lengths differ, or there is nothing to score.
    """
    true, told = np.asarray(truth), np.asarray(predicted)
    same_length(truth=true, predicted=told)
    if not len(true):
        raise ValueError("nothing to score")
    classes = np.union1d(true, told)
    return float(np.mean([confusion(true == name, told == name).f1 for name in classes]))


@dataclass(frozen=True)
class LabelRecall:
    """How many of the anomalies of one label raised an alarm.

    Attributes:
        groups: Anomalies of the label.
        found: How many of them raised an alarm.
    """

    groups: int
    found: int

    @property
    def recall(self) -> float:
        """Share of them that raised an alarm."""
        return self.found / self.groups


def recall_by_label(
    labels: ArrayLike, is_anomaly: ArrayLike, normal_label: str = NORMAL_LABEL
) -> dict[str, LabelRecall]:
    """Counts found anomalies by the label (alert category) that the log gives them.

    Args:
        labels: Labels, texts, shape (n,); a group of several labels is given once for each of them.
        is_anomaly: Whether the group raised an alarm, shape (n,).
        normal_label: The label of what is no anomaly, left out.

    Returns:
        The counts by label, the most frequent label first.

    Raises:
        ValueError: Lengths differ.
    """
    names, told = np.asarray(labels, dtype=str), _flags(is_anomaly, "is_anomaly")
    same_length(labels=names, is_anomaly=told)
    distinct, codes = np.unique(names, return_inverse=True)
    groups, found = np.bincount(codes), np.bincount(codes, weights=told)
    order = np.argsort(-groups, kind="stable")
    counted = {str(distinct[at]): LabelRecall(int(groups[at]), int(found[at])) for at in order}
    return {label: recall for label, recall in counted.items() if label != normal_label}


@dataclass(frozen=True)
class _Curve:
    """What passes each threshold, from the highest to the lowest.

    Attributes:
        true: Weight of the anomalies that score at least so much, shape (thresholds,).
        false: Weight of the normal groups that do.
    """

    true: Floats
    false: Floats

    @classmethod
    def of(cls, labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None) -> _Curve:
        truth, values = _flags(labels, "labels"), _scores(scores)
        same_length(labels=truth, scores=values)
        counted = _weights(weights, len(truth)).astype(np.float64)
        kept = counted > 0
        truth, values, counted = truth[kept], values[kept], counted[kept]
        if truth.all() or not truth.any():
            named = "no groups at all" if not len(truth) else f"{len(truth)} {_CLASSES[bool(truth[0])]} only"
            raise ValueError(f"anomalies and normal groups are needed to compare scores; here are {named}")
        order = np.argsort(-values, kind="stable")
        truth, values, counted = truth[order], values[order], counted[order]
        last = np.append(values[1:] != values[:-1], True)
        return cls(np.cumsum(counted * truth)[last], np.cumsum(counted * ~truth)[last])


_CLASSES: Final = {True: "anomalies", False: "normal groups"}


def _flags(labels: ArrayLike, name: str) -> Flags:
    values = np.asarray(labels)
    if values.dtype != np.bool_ and not np.isin(values, (0, 1)).all():
        raise ValueError(f"{name} must be bool, or 0 and 1")
    return values.astype(np.bool_)


def _scores(scores: ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    missing = int(np.isnan(values).sum())
    if missing:
        raise ValueError(f"{missing} of {values.size} scores are NaN")
    return values


def _weights(weights: ArrayLike | None, groups: int) -> Floats | Ints:
    if weights is None:
        return np.ones(groups, dtype=np.int64)
    values = np.asarray(weights)
    if values.shape != (groups,):
        raise ValueError(f"{groups} groups and weights of shape {values.shape}")
    if not np.issubdtype(values.dtype, np.number) or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError("weights must be numbers of 0 or more")
    return values


def same_length(**columns: NDArray[Any]) -> None:
    """Checks columns of a table.

    Raises:
        ValueError: One is no column, or lengths differ.
    """
    for name, column in columns.items():
        if column.ndim != 1:
            raise ValueError(f"{name} must be one value a row, not of shape {column.shape}")
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{len(column)} {name}" for name, column in columns.items())
        raise ValueError(f"lengths differ: {sizes}")
