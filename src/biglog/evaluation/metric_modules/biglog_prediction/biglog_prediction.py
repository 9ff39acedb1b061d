"""Scores of failure prediction, as a metric of the `evaluate` library."""

from __future__ import annotations

from collections.abc import Sequence

import evaluate

from biglog.evaluation.metric_info import metric_info
from biglog.metrics.prediction import Moments, alarms_per_day, incident_recall

_DESCRIPTION = """Scores of a predictor of failures: the share of incidents that were foretold, at each lead
time that is asked for, and how many false alarms a day that took."""

_INPUTS = """
Args:
    predictions: 1 where the predictor said that a failure follows, else 0, list of int.
    references: 1 where one did, list of int.
    times: Moments of the predictions, Unix seconds, list of float.
    components: Components that they are of, list of str.
    seconds_to_failure: Seconds to the component's next failure, NaN where none is known, list of float.
    horizon_seconds: How far labels reach.
    lead_times: Seconds before a failure at which recall is told.

Returns:
    incidents, alarms_per_day, false_alarms_per_day, and recall_at_<seconds> for each lead time.

Example:
    >>> metric = evaluate.load("biglog_prediction")
    >>> told = metric.compute(predictions=[0, 1], references=[0, 1], times=[0.0, 600.0],
    ...     components=["a", "a"], seconds_to_failure=[float("nan"), 900.0], horizon_seconds=1800)
    >>> told["recall_at_600"]
    1.0
"""


class BiglogPrediction(evaluate.Metric):
    """Prediction scores; everything is computed by `biglog.metrics.prediction`."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(_DESCRIPTION, _INPUTS, "int64")

    def _compute(
        self,
        predictions: Sequence[int],
        references: Sequence[int],
        times: Sequence[float],
        components: Sequence[str],
        seconds_to_failure: Sequence[float],
        horizon_seconds: float = 3600.0,
        lead_times: Sequence[float] = (0.0, 600.0),
        **others: object,
    ) -> dict[str, float]:
        # What other metrics of a combination need is no concern of this one.
        moments = Moments.of(times, components, references, seconds_to_failure)
        recall = incident_recall(moments, predictions, horizon_seconds)
        rate = alarms_per_day(moments, predictions)
        found = {
            "incidents": float(len(recall.lead_time_seconds)),
            "alarms_per_day": rate.alarms_per_day,
            "false_alarms_per_day": rate.false_alarms_per_day,
        }
        return found | {f"recall_at_{lead:g}": recall.recall(lead) for lead in lead_times}
