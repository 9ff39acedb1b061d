"""The card of a failure predictor, from what its files say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import ModelCardData


def predictor_card(config: Mapping[str, Any]) -> str:
    """Returns the card.

    Args:
        config: As `predictor_config.json` has it.
    """
    metadata = ModelCardData(
        library_name="biglog",
        base_model=str(config.get("encoder")),
        tags=["biglog", "log-analysis", "failure-prediction"],
    )
    settings = config.get("settings") or {}
    told = [
        ("method", str(settings.get("method"))),
        ("history", _seconds(config.get("history_seconds"))),
        ("horizon", _seconds(config.get("horizon_seconds"))),
        ("alert from a risk of", f"{config['threshold']:.3f}"),
        ("failures it was fitted with", f"{len(config.get('known_failures') or ()):,}"),
        ("encoder", f"`{config.get('encoder')}`"),
    ]
    rows = "\n".join(f"| {name} | {value} |" for name, value in told)
    return f"""---
{metadata.to_yaml()}
---

# A predictor of failures

It says how likely a component fails within the horizon, by the log lines before, and which lines speak for
it.

```python
import biglog

predictor = biglog.FailurePredictor.from_pretrained("<owner>/<name>")
predictor.risks(lines)                                  # one row a component
```

| | |
| --- | --- |
{rows}

A risk is of this predictor's own scale: it was learnt with failures and other moments weighing the same, and
is no share of moments. It names its encoder and does not hold it. No pickle: JSON, safetensors, and skops for
scikit-learn's estimators. Normal forms of the logs it was fitted on are part of it.
"""


def _seconds(value: Any) -> str:
    return "as given" if value is None else f"{float(value):,.0f} s"
