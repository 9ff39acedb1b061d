"""BigLog: one pretrained encoder for system logs.

Importing this package is cheap (no torch, transformers, Polars or NumPy) and makes transformers and PEFT know
the models of type `biglog`, whichever is imported first. The names below load what they need on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import modeling_biglog  # noqa: F401  # registers the models with transformers and PEFT

from ._version import __version__
from .errors import BigLogError

if TYPE_CHECKING:
    from .data.loading import load_loghub
    from .inference.analyze import analyze
    from .inference.detector import AnomalyDetector
    from .inference.encoder import LogEncoder
    from .inference.parser import LogParser
    from .inference.predictor import FailurePredictor
    from .logs.masking import normal_forms
    from .logs.record import read_logs
    from .tasks.parsing.template import Template

__all__ = [
    "AnomalyDetector",
    "BigLogError",
    "FailurePredictor",
    "LogEncoder",
    "LogParser",
    "Template",
    "__version__",
    "analyze",
    "load_loghub",
    "normal_forms",
    "read_logs",
]

_HOMES = {
    "AnomalyDetector": "inference.detector",
    "FailurePredictor": "inference.predictor",
    "LogEncoder": "inference.encoder",
    "LogParser": "inference.parser",
    "Template": "tasks.parsing.template",
    "analyze": "inference.analyze",
    "load_loghub": "data.loading",
    "normal_forms": "logs.masking",
    "read_logs": "logs.record",
}


def __getattr__(name: str) -> Any:
    """Loads a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
