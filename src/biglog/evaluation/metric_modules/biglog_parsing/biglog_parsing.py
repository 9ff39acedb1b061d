"""GA, PA, FGA and FTA of log parsing, as a metric of the `evaluate` library."""

from __future__ import annotations

from collections.abc import Sequence

import evaluate

from biglog.evaluation.metric_info import metric_info
from biglog.metrics.parsing import Parse, parsing_score

_DESCRIPTION = """Scores of a log parser against annotated templates: grouping accuracy (GA), parsing accuracy
(PA), F1 of grouping (FGA) and F1 of templates (FTA), with precision and recall of both, and edit similarity.
Which version of the ground truth the references are of must be said with the figures."""

_INPUTS = """
Args:
    predictions: The template that the parser gave each line, list of str.
    references: The true template of each line, list of str.

Returns:
    GA, PA, FGA, PGA, RGA, FTA, PTA, RTA, NED: floats in 0..1.

Example:
    >>> metric = evaluate.load("biglog_parsing")
    >>> metric.compute(predictions=["up <*>", "up <*>"], references=["up <*>", "up <*>"])["GA"]
    1.0
"""


class BiglogParsing(evaluate.Metric):
    """Parsing scores; everything is computed by `biglog.metrics.parsing`."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(_DESCRIPTION, _INPUTS, "string")

    def _compute(
        self, predictions: Sequence[str], references: Sequence[str], **others: object
    ) -> dict[str, float]:
        # What other metrics of a combination need is no concern of this one.
        return parsing_score(Parse.of(references), Parse.of(predictions)).as_dict()
