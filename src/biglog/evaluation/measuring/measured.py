"""What a measure gives: figures of every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from biglog.errors import InputError
from biglog.evaluation.results import Figure
from biglog.evaluation.subjects import Subject
from biglog.evaluation.tasks.reading import Task


@dataclass(frozen=True)
class Measured:
    """What a subject does on a task.

    Attributes:
        runs: Figures by name, one dictionary a run.
        lines: Lines that were tested in one run.
        details: More that is worth keeping.
    """

    runs: Sequence[Mapping[str, float]]
    lines: int
    details: dict[str, Any] = field(default_factory=dict)

    def figures(self, names: Sequence[str]) -> dict[str, Figure]:
        """Averages the figures that a task asks for over runs.

        Raises:
            InputError: A run has not one of them.
        """
        return {name: _figure(name, [run.get(name) for run in self.runs]) for name in names}


Measure = Callable[[Task, Path, Subject, Sequence[int]], Measured]
"""Task, data, subject and seeds to what was measured."""


def _figure(name: str, values: Sequence[float | None]) -> Figure:
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known or len(known) < len(values):
        raise InputError(f"{name} is undefined in {len(values) - len(known)} of {len(values)} runs")
    return Figure(float(np.mean(known)), float(np.std(known)), len(known))
