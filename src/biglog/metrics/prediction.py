"""How well failures were foretold: of moments, of incidents ahead of time, of alarms a day (numpy only).

A predictor is asked at moments whether a failure of a component follows within `horizon_seconds` (the
prediction period of Salfner, Lenk and Malek, "A survey of online failure prediction methods", ACM Computing
Surveys 2010). Moments alone say little: an incident has many of them, and one alarm in time is enough. So
incidents are counted too, each found or not at a lead time (the least that is needed to act), and what
operators pay for it: alarms a day, of which so many are false. Moments are scored by Matthews' correlation
(Chicco and Jurman, BMC Genomics 2020) and by the area under the precision-recall curve (Davis and Goadrich,
ICML 2006), as in `biglog.metrics.detection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biglog.metrics.detection import DetectionScore, detection_score, same_length

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAD_TIMES_SECONDS: Final = (0.0, 60.0, 600.0, 3600.0)
"""Lead times at which recall is told."""

MERGE_SECONDS: Final = 3600.0
"""For so long nobody wants to hear of a component again."""

DAY_SECONDS: Final = 86_400.0

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """When and of whom predictions were asked, and what followed; one row a prediction, of one horizon.

    Attributes:
        times: Seconds since any fixed moment, finite, shape (n,).
        components: Component of each, numbers or texts, shape (n,).
        is_failure: Whether a failure of it follows within the horizon, shape (n,).
        seconds_to_failure: Seconds to the first that follows, NaN where none is known of, shape (n,).
    """

    times: Floats
    components: NDArray[Any]
    is_failure: Flags
    seconds_to_failure: Floats

    def __post_init__(self) -> None:
        same_length(**vars(self))
        if not np.isfinite(self.times).all():
            raise ValueError("times must be finite")
        if (self.seconds_to_failure < 0).any():
            raise ValueError("seconds_to_failure must not be negative")

    @classmethod
    def of(
        cls, times: ArrayLike, components: ArrayLike, is_failure: ArrayLike, seconds_to_failure: ArrayLike
    ) -> Moments:
        """Makes moments of columns of any kind.

        Raises:
            ValueError: Lengths differ, a time is not finite, or a time to a failure is negative.
        """
        return cls(
            np.asarray(times, dtype=np.float64),
            np.asarray(components),
            np.asarray(is_failure).astype(np.bool_),
            np.asarray(seconds_to_failure, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, eq=False)
class IncidentRecall:
    """Which incidents were foretold, and how long before.

    Attributes:
        lead_time_seconds: Seconds from the first alarm within the horizon to the failure, NaN where there was
            none, shape (incidents,).
        unseen: Incidents without a moment in the data, which are not counted; None if it is not known how
            many there were.
    """

    lead_time_seconds: Floats
    unseen: int | None = None

    def recall(self, lead_time_seconds: float = 0.0) -> float:
        """Returns the share of the incidents with an alarm at least so long before; 0 without incidents."""
        if not len(self.lead_time_seconds):
            return 0.0
        return float(np.mean(self.lead_time_seconds >= lead_time_seconds))

    def as_dict(self, lead_times: Sequence[float] = LEAD_TIMES_SECONDS) -> dict[str, Any]:
        """Returns the figures by name; recall is by seconds of lead time, as text, since JSON wants it so."""
        found = self.lead_time_seconds[~np.isnan(self.lead_time_seconds)]
        return {
            "incidents": len(self.lead_time_seconds),
            "incidents_unseen": self.unseen,
            "incident_recall": {f"{lead:g}": self.recall(lead) for lead in lead_times},
            "median_lead_time_seconds": float(np.median(found)) if len(found) else None,
        }


def incident_recall(
    moments: Moments,
    is_alarm: ArrayLike,
    horizon_seconds: float,
    incidents: tuple[ArrayLike, ArrayLike] | None = None,
) -> IncidentRecall:
    """Finds which incidents had an alarm between the horizon and the failure, and how long before.

    An incident is a failure of a component; the moments whose next failure it is are its own, so an alarm
    stands for one incident at most. An incident is counted as missed at a lead time even if it has no moment
    so early: recall falls as lead time grows, over the same incidents.

    Args:
        moments: The predictions asked for.
        is_alarm: Whether each said that a failure follows, shape (n,).
        horizon_seconds: How long before a failure an alarm is believed to mean it.
        incidents: Components and times (seconds, as of the moments) of all failures there were, each of
            shape (incidents,), to count those without a moment; None if they are not known.

    Raises:
        ValueError: Lengths differ, or an incident that the moments point to is not among those given.
    """
    alarms = _alarms(is_alarm, len(moments))
    near = moments.seconds_to_failure <= horizon_seconds
    names, components = np.unique(moments.components, return_inverse=True)
    ahead = moments.seconds_to_failure[near]
    # Both are whole microseconds, their sum in floats of this size may be one beside.
    failures = _microseconds(moments.times[near]) + _microseconds(ahead)
    keys = np.stack([components.reshape(-1)[near], failures], axis=1)
    seen, place = np.unique(keys, axis=0, return_inverse=True)
    lead = np.full(len(seen), -np.inf)
    np.maximum.at(lead, place.reshape(-1)[alarms[near]], ahead[alarms[near]])
    unseen = None if incidents is None else _unseen(incidents, {(str(names[c]), t) for c, t in seen.tolist()})
    return IncidentRecall(np.where(np.isinf(lead), np.nan, lead), unseen)


def _unseen(incidents: tuple[ArrayLike, ArrayLike], seen: set[tuple[str, int]]) -> int:
    """Counts the incidents that no moment points to."""
    components, times = (np.asarray(column) for column in incidents)
    same_length(components=components, times=times)
    given = set(zip(map(str, components.tolist()), _microseconds(times).tolist(), strict=True))
    strange = seen - given
    if strange:
        component, time = min(strange)
        raise ValueError(
            f"moments point to a failure of {component} at {time / _MICROSECONDS:.6f} s, "
            "which is not among the incidents"
        )
    return len(given - seen)


@dataclass(frozen=True)
class AlarmRate:
    """How many alarms there are a day.

    Attributes:
        alarms: Alarms, those of a component that are close to each other being one.
        false_alarms: Alarms that no failure follows, likewise.
        observed_seconds: Time in which they were raised, of all components together.
    """

    alarms: int
    false_alarms: int
    observed_seconds: float

    @property
    def alarms_per_day(self) -> float:
        """Alarms of a day."""
        return self.alarms * DAY_SECONDS / self.observed_seconds

    @property
    def false_alarms_per_day(self) -> float:
        """False alarms of a day."""
        return self.false_alarms * DAY_SECONDS / self.observed_seconds

    def as_dict(self) -> dict[str, float]:
        """Returns the figures by name."""
        return {
            "alarms": self.alarms,
            "false_alarms": self.false_alarms,
            "alarms_per_day": self.alarms_per_day,
            "false_alarms_per_day": self.false_alarms_per_day,
            "observed_days": self.observed_seconds / DAY_SECONDS,
        }


def alarms_per_day(
    moments: Moments,
    is_alarm: ArrayLike,
    merge_seconds: float = MERGE_SECONDS,
    observed_seconds: float | None = None,
) -> AlarmRate:
    """Counts alarms as operators hear them.

    An alarm silences its component for `merge_seconds`; one that goes on is raised again after that. Were
    silence to begin anew with every alarm, a predictor that never stops alarming would raise one in all.
    False ones are merged among themselves, so that a true one does not hide them. Both counts can only grow
    as a threshold falls.

    Args:
        moments: The predictions asked for.
        is_alarm: Whether each said that a failure follows, shape (n,).
        merge_seconds: Alarms of a component closer than this are one; 0 counts each.
        observed_seconds: Time in which predictions were asked for; None takes that between the first moment
            and the last.

    Raises:
        ValueError: Lengths differ, there is no time observed, or merge_seconds is negative.
    """
    alarms = _alarms(is_alarm, len(moments))
    observed = _observed(moments, observed_seconds)
    counter = _Merging.of(moments, merge_seconds)
    return AlarmRate(counter.count(alarms), counter.count(alarms & ~moments.is_failure), observed)


def at_budget(
    scores: ArrayLike,
    moments: Moments,
    false_alarms_per_day: float,
    merge_seconds: float = MERGE_SECONDS,
    observed_seconds: float | None = None,
) -> float:
    """Returns the lowest threshold that keeps to a budget of false alarms.

    It is to be chosen on validation data and used on others. It lies between two scores, so that it is all
    one whether alarms are what reaches it or what is above it.

    Args:
        scores: Score of each moment, higher is more likely a failure, finite, shape (n,).
        moments: The moments.
        false_alarms_per_day: The budget, of all components together.
        merge_seconds: As of `alarms_per_day`.
        observed_seconds: As of `alarms_per_day`.

    Returns:
        The middle between the highest score that must not raise an alarm and the next; just above the highest
        of all if none may raise one, just below the lowest if all may.

    Raises:
        ValueError: Lengths differ, there are no scores or one is not finite, there is no time observed, or
            the budget or merge_seconds is negative.
    """
    values = np.asarray(scores)
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    same_length(scores=values, moments=moments.times)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("finite scores are needed, one or more")
    if not false_alarms_per_day >= 0:
        raise ValueError(f"false_alarms_per_day cannot be {false_alarms_per_day}")
    most = false_alarms_per_day * _observed(moments, observed_seconds) / DAY_SECONDS
    counter = _Merging.of(moments, merge_seconds)
    distinct = np.unique(values)
    low, high = 0, len(distinct)
    while low < high:
        middle = (low + high) // 2
        if counter.count((values >= distinct[middle]) & ~moments.is_failure) <= most:
            high = middle
        else:
            low = middle + 1
    return _between(distinct, low)


def _between(distinct: NDArray[np.floating], place: int) -> float:
    """What parts the scores from `place` on from those before, in their own precision (float32 too)."""
    if place == 0:
        return float(np.nextafter(distinct[0], distinct.dtype.type(-np.inf)))
    below = distinct[place - 1]
    if place == len(distinct):
        return float(np.nextafter(below, distinct.dtype.type(np.inf)))
    middle = below + (distinct[place] - below) / 2
    return float(middle if middle > below else distinct[place])


@dataclass(frozen=True)
class PredictionScore:
    """Scores of a predictor of failures.

    Attributes:
        moments: Scores of the moments, as of a detector.
        incidents: Which incidents were foretold.
        alarms: Alarms of a day.
    """

    moments: DetectionScore
    incidents: IncidentRecall
    alarms: AlarmRate

    def as_dict(self, lead_times: Sequence[float] = LEAD_TIMES_SECONDS) -> dict[str, Any]:
        """Returns the figures by name; a detector's groups and anomalies are moments and failures here."""
        figures = self.moments.as_dict()
        figures["moments"], figures["failures"] = figures.pop("groups"), figures.pop("anomalies")
        return {**figures, **self.incidents.as_dict(lead_times), **self.alarms.as_dict()}


def prediction_score(
    scores: ArrayLike,
    is_alarm: ArrayLike,
    moments: Moments,
    horizon_seconds: float,
    *,
    merge_seconds: float = MERGE_SECONDS,
    observed_seconds: float | None = None,
    incidents: tuple[ArrayLike, ArrayLike] | None = None,
) -> PredictionScore:
    """Scores a predictor.

    Args:
        scores: Score of each moment, higher is more likely a failure, shape (n,).
        is_alarm: Whether each said that a failure follows, shape (n,).
        moments: The predictions asked for.
        horizon_seconds: How far labels reach.
        merge_seconds: As of `alarms_per_day`.
        observed_seconds: As of `alarms_per_day`.
        incidents: As of `incident_recall`.

    Raises:
        ValueError: As of `detection_score`, `incident_recall` and `alarms_per_day`.
    """
    return PredictionScore(
        detection_score(moments.is_failure, scores, is_alarm),
        incident_recall(moments, is_alarm, horizon_seconds, incidents),
        alarms_per_day(moments, is_alarm, merge_seconds, observed_seconds),
    )


@dataclass(frozen=True, eq=False)
class _Merging:
    """Moments by component and time, to count alarms among them.

    Attributes:
        order: Their positions in this order, shape (n,).
        components: Number of each one's component, as given, shape (n,).
        times: Microseconds, as given, shape (n,).
        merge: Microseconds that an alarm silences its component for.
    """

    order: NDArray[np.intp]
    components: NDArray[np.intp]
    times: Ints
    merge: int

    @classmethod
    def of(cls, moments: Moments, merge_seconds: float) -> _Merging:
        if not 0 <= merge_seconds < np.inf:
            raise ValueError(f"merge_seconds cannot be {merge_seconds}")
        components = np.unique(moments.components, return_inverse=True)[1].reshape(-1)
        times = _microseconds(moments.times)
        return cls(np.lexsort((times, components)), components, times, int(_microseconds(merge_seconds)))

    def count(self, alarms: Flags) -> int:
        """Counts alarms, each silencing what of its component is closer than `merge` to it."""
        raised = self.order[alarms[self.order]]
        number, component, until = 0, -1, 0
        for each, time in zip(self.components[raised].tolist(), self.times[raised].tolist(), strict=True):
            if each != component or time >= until:
                number, component, until = number + 1, each, time + self.merge
        return number


def _observed(moments: Moments, observed_seconds: float | None) -> float:
    if observed_seconds is None:
        observed_seconds = float(np.ptp(moments.times)) if len(moments) else 0.0
    if not observed_seconds > 0:
        raise ValueError("no time was observed: give observed_seconds")
    return observed_seconds


def _alarms(is_alarm: ArrayLike, moments: int) -> Flags:
    alarms = np.asarray(is_alarm).astype(bool)
    if alarms.shape != (moments,):
        raise ValueError(f"{moments} moments and alarms of shape {alarms.shape}")
    return alarms


def _microseconds(seconds: ArrayLike) -> Ints:
    return np.rint(np.asarray(seconds, dtype=np.float64) * _MICROSECONDS).astype(np.int64)
