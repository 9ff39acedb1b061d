"""The record of a run: everything a model card says, and everything that is needed to do the run again."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass

RECORD_SCHEMA = "biglog-pretraining/1"


@dataclass
class Clock:
    """Time that a run has used, kept up across interruptions.

    Attributes:
        wall_seconds: Elapsed time.
        cpu_seconds: CPU time of this process and of the children it has waited for.
        tokens: Tokens trained on, padding left out.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    tokens: int = 0

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def read(self) -> dict[str, float | int]:
        """Returns the totals up to now."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        self.wall_seconds += wall - self._wall
        self.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu = wall, cpu
        return asdict(self)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
