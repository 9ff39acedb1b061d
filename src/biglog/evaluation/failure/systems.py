"""What is compared: trivial rules, what a user would take, and ours, each with settings to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from biglog.tasks.failure.features import EMBEDDED
from biglog.tasks.failure.histories import Encode

Encoders = Callable[[str, int], Encode]
"""The encoder of a domain and a seed, which must not have seen the domain."""

Say = Callable[[str], None]
Setting = tuple[str, tuple[str, ...] | None]
"""A method and its blocks of features; None are its own."""


@dataclass(frozen=True)
class System:
    """A row of a result.

    Attributes:
        name: What it is called.
        settings: Of which the best on validation data is taken; without such data the first is.
    """

    name: str
    settings: tuple[Setting, ...]

    @property
    def drawn(self) -> bool:
        """Whether a seed, of the method or of the encoder, makes a difference."""
        return any(
            method in ("boosting", "trees", "temporal") or EMBEDDED & set(blocks or ())
            for method, blocks in self.settings
        )


TRIVIAL: Final = (
    System("base rate", (("base_rate", None),)),
    System("rate of warnings", (("warning_rate", None),)),
    System("last event", (("last_event", None),)),
)
SINCE: Final = System("time since the last failure", (("since_failure", None),))

IN_TIME: Final = (
    *TRIVIAL,
    SINCE,
    System(
        "counts, LR",
        (
            ("shrunk", ("counts",)),
            ("shrunk", ("counts", "warnings")),
            ("shrunk", ("counts", "severity", "since_failure")),
            ("reduced", ("counts", "severity", "since_failure")),
        ),
    ),
    System(
        "counts, boosting",
        (
            ("boosting", ("counts",)),
            ("boosting", ("severity", "timing", "since_failure")),
        ),
    ),
    System("TF-IDF, LR", (("tfidf", None),)),
    System(
        "BigLog, embeddings, LR",
        (
            ("reduced", ("distinct", "severity", "since_failure")),
            ("reduced", ("distinct", "severity", "timing", "since_failure")),
            ("shrunk", ("summed", "warnings", "since_failure")),
            ("shrunk", ("counts", "summed", "warnings")),
        ),
    ),
    System(
        "BigLog, embeddings, boosting", (("boosting", ("distinct", "severity", "timing", "since_failure")),)
    ),
    System("BigLog, temporal", (("temporal", None),)),
)
"""For failures that follow in time."""

OF_CLASSES: Final = (
    System("majority class", (("base_rate", None),)),
    System("counts, LR", (("linear", ("counts",)),)),
    System("counts, boosting", (("boosting", ("counts",)),)),
    System("counts, trees", (("trees", ("counts",)),)),
    System("BigLog, embeddings, LR", (("linear", ("distinct",)),)),
    System("BigLog, embeddings, trees", (("trees", ("distinct",)),)),
    System("BigLog, counts and embeddings, LR", (("linear", ("counts", "distinct")),)),
    System("BigLog, counts and embeddings, trees", (("trees", ("counts", "distinct")),)),
)
"""For kinds of failure; nothing is chosen."""

OF_PREFIXES: Final = (
    OF_CLASSES[0],
    System("rate of warnings", (("warning_rate", None),)),
    *OF_CLASSES[1:4],
    System("counts, warnings and times, trees", (("trees", ("counts", "severity", "timing")),)),
    System("TF-IDF, LR", (("tfidf", None),)),
    *OF_CLASSES[4:],
    System(
        "BigLog, all features, trees", (("trees", ("counts", "distinct", "recent", "severity", "timing")),)
    ),
    System("BigLog, temporal", (("temporal", None),)),
)


def means(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Averages the numbers of runs, nested as they are: `mean` and `sd` over runs."""
    found: dict[str, Any] = {}
    for name, value in runs[0].items():
        values = [run[name] for run in runs]
        if isinstance(value, dict):
            found[name] = means(values)
        elif all(isinstance(each, int | float) for each in values):
            found[name] = {"mean": float(np.mean(values)), "sd": float(np.std(values))}
    return found
