"""What the `evaluate` library is told of a metric of ours."""

from __future__ import annotations

import datasets
import evaluate


def metric_info(description: str, inputs: str, kind: str) -> evaluate.MetricInfo:
    """Returns what a metric says of itself.

    Args:
        description: What it scores.
        inputs: Its arguments, what it returns, and an example.
        kind: Type of predictions and references, such as ``int64``.
    """
    features = {name: datasets.Value(kind) for name in ("predictions", "references")}
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=inputs,
        features=datasets.Features(features),
    )
