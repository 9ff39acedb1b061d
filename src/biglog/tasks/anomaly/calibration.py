"""From a method's scores to scores in [0, 1], a threshold, and how sure both are.

Scores are compared with those of normal groups that the method was not fitted on. ``anomaly_score`` is 1 less
the conformal p-value (Laxhammar and Falkman, "Conformal prediction for distribution-independent anomaly
detection in streaming vessel data", 2010): the share of normal groups that score at least as high. The
threshold is where a stated budget of false alarms on those groups is spent; test data have no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from biglog.errors import InputError
from biglog.tasks.groups import Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of normal groups that were held out, and what follows from them.

    Attributes:
        normal: Their scores, ascending, shape (n,).
        budget: Share of normal groups that may be alarmed.
    """

    normal: Floats
    budget: float

    @classmethod
    def of(cls, normal: Floats, budget: float) -> Self:
        """Calibrates.

        Args:
            normal: Scores of held-out normal groups, shape (n,), n > 0.
            budget: See the class.

        Raises:
            InputError: The budget is no share, or a score is no number.
        """
        if not 0.0 <= budget < 1.0:
            raise InputError(f"a false-alarm budget of {budget} is no share", remedy="Give 0 <= budget < 1")
        if not len(normal) or not np.isfinite(normal).all():
            raise InputError("no scores of normal groups to calibrate with", remedy="Give more groups")
        return cls(np.sort(normal), float(budget))

    @property
    def raw_threshold(self) -> float:
        """A score above it is an alarm: at most `budget` of the held-out normal groups are above it."""
        allowed = int(np.floor(self.budget * (len(self.normal) + 1)))
        return float(self.normal[max(0, len(self.normal) - 1 - allowed)])

    @property
    def threshold(self) -> float:
        """The same for the scores in [0, 1]."""
        return float(self.scores(np.array([self.raw_threshold]))[0])

    def scores(self, raw: Floats) -> Floats:
        """Returns scores in [0, 1], in the order of the raw ones.

        Above all held-out scores the p-value cannot fall any more; there it goes on falling with the raw
        score, so that what is odder stays so.

        Args:
            raw: A method's scores, shape (n,).
        """
        count = len(self.normal)
        most = self.normal[-1]
        p = (1.0 + self._as_high(raw)) / (count + 1.0)
        scale = max(float(self.normal.std()), abs(float(most)), 1e-9)
        beyond = np.maximum(raw - most, 0.0) / scale
        return np.asarray(1.0 - p / (1.0 + beyond))

    def confidence(self, raw: Floats) -> Floats:
        """How sure the verdict is, given how few or many normal groups were seen: 0.5 to 1 mostly.

        Of an alarm it is the probability that not more than `budget` of normal groups score so high, of
        another group that more do, both by the posterior of that share (Beta, uniform prior).

        Args:
            raw: A method's scores, shape (n,).
        """
        higher = self._as_high(raw)
        within = beta.cdf(self.budget, higher + 1.0, len(self.normal) - higher + 1.0)
        return np.asarray(np.where(raw > self.raw_threshold, within, 1.0 - within))

    def _as_high(self, raw: Floats) -> NDArray[np.float64]:
        return (len(self.normal) - np.searchsorted(self.normal, raw, side="left")).astype(np.float64)
