"""Scores of anomaly detection, as a metric of the `evaluate` library."""

from __future__ import annotations

from collections.abc import Sequence

import evaluate

from biglog.evaluation.metric_info import metric_info
from biglog.metrics.detection import auroc, average_precision, confusion

_DESCRIPTION = """Scores of a detector of anomalies: F1, precision, recall, rate of false alarms and Matthews
correlation of its alarms; and, where anomaly scores are given, average precision and area under the ROC
curve, which need no threshold."""

_INPUTS = """
Args:
    predictions: 1 where the detector raised an alarm, else 0, list of int.
    references: 1 for an anomaly, else 0, list of int.
    scores: Anomaly scores, higher is more anomalous, list of float; None leaves out what is made of them.

Returns:
    f1, precision, recall, false_alarm_rate, mcc; with scores also average_precision, auroc.

Example:
    >>> metric = evaluate.load("biglog_detection")
    >>> metric.compute(predictions=[0, 1], references=[0, 1], scores=[0.1, 0.9])["auroc"]
    1.0
"""


class BiglogDetection(evaluate.Metric):
    """Detection scores; everything is computed by `biglog.metrics.detection`."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(_DESCRIPTION, _INPUTS, "int64")

    def _compute(
        self,
        predictions: Sequence[int],
        references: Sequence[int],
        scores: Sequence[float] | None = None,
        **others: object,
    ) -> dict[str, float]:
        # What other metrics of a combination need is no concern of this one.
        alarms = confusion(references, predictions)
        found = {
            "f1": alarms.f1,
            "precision": alarms.precision,
            "recall": alarms.recall,
            "false_alarm_rate": alarms.false_alarm_rate,
            "mcc": alarms.mcc,
        }
        if scores is not None:
            found["average_precision"] = average_precision(references, scores)
            found["auroc"] = auroc(references, scores)
        return found
