"""The metrics of failure prediction: incidents by lead time, alarms of a day, thresholds of a budget."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biglog.metrics.detection import detection_score
from biglog.metrics.prediction import (
    DAY_SECONDS,
    Moments,
    alarms_per_day,
    at_budget,
    incident_recall,
    prediction_score,
)

NEVER = float("nan")


def moments_of(rows: list[tuple[float, str, float]], horizon: float = 3600) -> Moments:
    """Rows of time, component and seconds to failure."""
    times, components, ahead = zip(*rows, strict=True)
    return Moments.of(times, components, np.array(ahead) <= horizon, ahead)


# node-1 fails at 7200, node-2 at 7200 and again at 10800, node-3 never.
ROWS = [
    (0, "node-1", 7200),
    (3600, "node-1", 3600),
    (6600, "node-1", 600),
    (7190, "node-1", 10),
    (3600, "node-2", 3600),
    (7140, "node-2", 60),
    (9000, "node-2", 1800),
    (3600, "node-3", NEVER),
]
INCIDENTS = (["node-1", "node-2", "node-2"], [7200, 7200, 10800])


def test_incidents_of_a_worked_example() -> None:
    # Alarms for node-1 (one too early to mean it), a late one for node-2's first failure, none for its next.
    found = incident_recall(moments_of(ROWS), [1, 0, 1, 1, 0, 1, 0, 1], horizon_seconds=3600)
    assert found.lead_time_seconds.tolist()[:2] == [600, 60]
    assert np.isnan(found.lead_time_seconds[2])
    leads = (0, 60, 61, 600, 601, 3600)
    assert [found.recall(lead) for lead in leads] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3, 0, 0])
    assert found.as_dict() == {
        "incidents": 3,
        "incidents_unseen": None,
        "incident_recall": pytest.approx({"0": 2 / 3, "60": 2 / 3, "600": 1 / 3, "3600": 0}),
        "median_lead_time_seconds": 330,
    }


def test_the_horizon_is_within_it() -> None:
    moments, alarms = moments_of(ROWS), [0, 1, 0, 0, 0, 0, 0, 0]
    assert incident_recall(moments, alarms, 3600).recall(3600) == pytest.approx(1 / 3)
    # Seen from nearer there is no such moment, and from 5 seconds no incident at all.
    assert incident_recall(moments, alarms, 3599).recall() == 0
    nothing = incident_recall(moments, alarms, 5)
    assert (nothing.recall(), nothing.as_dict()["incidents"]) == (0.0, 0)


def test_incidents_without_a_moment_are_said() -> None:
    moments = moments_of(ROWS)
    everything = np.ones(len(ROWS))
    assert incident_recall(moments, everything, 3600, INCIDENTS).unseen == 0
    more = (["node-1", *INCIDENTS[0], "node-4"], [9000, *INCIDENTS[1], 7200])
    found = incident_recall(moments, everything, 3600, more)
    assert (len(found.lead_time_seconds), found.unseen) == (3, 2)
    with pytest.raises(ValueError, match=r"failure of node-2 at 10800\.000000 s, which is not among"):
        incident_recall(moments, everything, 3600, (INCIDENTS[0][:2], INCIDENTS[1][:2]))


def test_times_of_today_to_the_microsecond() -> None:
    failure = 1_102_987_654.123457
    times = failure - np.array([0.1, 333.333333, 600.000001])
    moments = Moments.of(times, ["a"] * 3, [1, 1, 1], failure - times)
    found = incident_recall(moments, [1, 1, 1], 3600, (["a"], [failure]))
    assert (len(found.lead_time_seconds), found.unseen) == (1, 0)


def test_alarms_of_a_worked_example() -> None:
    # Every 600 s over a day and 20 minutes, an alarm that never stops: one an hour.
    times = np.arange(0, DAY_SECONDS + 1201, 600)
    still = np.full(len(times), NEVER)
    moments = Moments.of(times, ["a"] * len(times), still < 0, still)
    always = np.ones(len(times))
    found = alarms_per_day(moments, always, merge_seconds=3600, observed_seconds=DAY_SECONDS)
    assert (found.alarms, found.false_alarms, found.alarms_per_day) == (25, 25, 25)
    assert alarms_per_day(moments, always, 0).alarms == len(times)
    # Without a time given it is that of the moments.
    rate = alarms_per_day(moments, always, 3600)
    assert rate.observed_seconds == DAY_SECONDS + 1200
    assert rate.alarms_per_day == pytest.approx(25 / (1 + 1200 / DAY_SECONDS))


def test_alarms_of_components_are_apart_and_true_ones_hide_no_false_ones() -> None:
    rows = [(0, "a", NEVER), (100, "a", 50), (200, "b", NEVER), (90, "b", NEVER), (1000, "a", NEVER)]
    moments = moments_of(rows)
    found = alarms_per_day(moments, np.ones(5), merge_seconds=900, observed_seconds=2 * DAY_SECONDS)
    # Of a the alarms at 0 and 1000, of b that at 90; none of them is followed by a failure.
    assert (found.alarms, found.false_alarms) == (3, 3)
    assert found.as_dict() == {
        "alarms": 3,
        "false_alarms": 3,
        "alarms_per_day": 1.5,
        "false_alarms_per_day": 1.5,
        "observed_days": 2,
    }
    only_true = alarms_per_day(moments, [0, 1, 0, 0, 0], 900, DAY_SECONDS)
    assert (only_true.alarms, only_true.false_alarms) == (1, 0)


def test_a_threshold_of_a_budget() -> None:
    rows = [(0, "a", NEVER), (0, "b", NEVER), (DAY_SECONDS, "a", 60), (DAY_SECONDS, "b", NEVER)]
    moments, scores = moments_of(rows), [0.2, 0.8, 0.5, 0.6]
    thresholds = [at_budget(scores, moments, budget, merge_seconds=60) for budget in (0, 1, 2, 2.9, 3)]
    # Without a false alarm nothing may be said: the highest score is a false one.
    assert thresholds[0] == pytest.approx(0.8)
    assert thresholds[0] > 0.8
    assert thresholds[1:4] == pytest.approx([0.7, 0.35, 0.35])
    assert 0.19 < thresholds[4] < 0.2


def test_a_threshold_of_scores_of_single_precision() -> None:
    scores = np.array([0.1, 0.7], dtype=np.float32)
    moments = moments_of([(0, "a", NEVER), (1, "b", NEVER)])
    assert (scores > at_budget(scores, moments, 1e9)).all()
    assert not (scores >= at_budget(scores, moments, 0)).any()
    # Neighbours have no middle.
    close = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(1))], dtype=np.float32)
    assert (close >= at_budget(close, moments, DAY_SECONDS)).tolist() == [False, True]


def test_a_predictor_is_scored() -> None:
    moments, alarms = moments_of(ROWS), np.array([1, 0, 1, 1, 0, 1, 0, 1])
    scores = alarms + np.arange(len(ROWS)) / 100
    found = prediction_score(scores, alarms, moments, 3600, merge_seconds=600, incidents=INCIDENTS)
    told = json.loads(json.dumps(found.as_dict()))
    alone = detection_score(moments.is_failure, scores, alarms).as_dict()
    assert (told["moments"], told["failures"]) == (alone.pop("groups"), alone.pop("anomalies")) == (8, 6)
    assert {name: told[name] for name in alone} == alone
    assert (told["incidents"], told["incidents_unseen"], told["alarms"], told["false_alarms"]) == (3, 0, 4, 2)


grids = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.integers(-2, 3), st.booleans()),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
)
"""Moments of three components on a grid of 100 s, with scores and alarms."""
FAILURES = {"a": [450, 1730], "b": [2990], "c": []}


def on_grid(rows: list[tuple[int, str, int, bool]]) -> tuple[Moments, np.ndarray, np.ndarray]:
    ahead = [min((f - 100 * t for f in FAILURES[c] if f > 100 * t), default=NEVER) for t, c, _, _ in rows]
    moments = moments_of([(100 * row[0], row[1], s) for row, s in zip(rows, ahead, strict=True)], 1000)
    return moments, np.array([row[2] for row in rows]), np.array([row[3] for row in rows])


def naive_alarms(moments: Moments, alarms: np.ndarray, merge: float) -> int:
    number = 0
    for component in set(moments.components.tolist()):
        last = -np.inf
        for time in sorted(moments.times[alarms & (moments.components == component)]):
            if time - last >= merge:
                number, last = number + 1, time
    return number


@given(grids)
def test_incidents_are_those_of_a_naive_search(rows: list[tuple[int, str, int, bool]]) -> None:
    moments, _, alarms = on_grid(rows)
    known = [(c, f) for c, times in FAILURES.items() for f in times]
    found = incident_recall(moments, alarms, 1000, tuple(zip(*known, strict=True)))
    leads = []
    for component, failure in known:
        earlier = max((f for f in FAILURES[component] if f < failure), default=-1)
        own = [
            (failure - 100 * t, alarm)
            for t, c, _, alarm in rows
            if c == component and earlier <= 100 * t < failure and failure - 100 * t <= 1000
        ]
        if own:
            leads.append(max((lead for lead, alarm in own if alarm), default=None))
    assert found.unseen == len(known) - len(leads)
    assert [None if np.isnan(x) else x for x in found.lead_time_seconds.tolist()] == leads
    recalls = [found.recall(lead) for lead in range(0, 1100, 50)]
    assert recalls == sorted(recalls, reverse=True)


@given(grids, st.sampled_from([0, 100, 101, 350, 5000]), st.randoms(use_true_random=False))
def test_alarms_are_those_of_a_naive_count(rows, merge: float, random) -> None:
    moments, _, alarms = on_grid(rows)
    found = alarms_per_day(moments, alarms, merge, DAY_SECONDS)
    false = alarms & ~moments.is_failure
    assert found.alarms == found.alarms_per_day == naive_alarms(moments, alarms, merge)
    assert found.false_alarms == found.false_alarms_per_day == naive_alarms(moments, false, merge)
    shuffled, _, again = on_grid(random.sample(rows, len(rows)))
    assert alarms_per_day(shuffled, again, merge, DAY_SECONDS) == found
    # More alarms never make fewer.
    more = alarms | np.array([random.random() < 0.5 for _ in rows])
    assert alarms_per_day(moments, more, merge, DAY_SECONDS).alarms >= found.alarms


@given(grids, st.floats(0, 12), st.sampled_from([0, 150, 1000]))
def test_a_budget_is_kept_and_used(rows, budget: float, merge: float) -> None:
    moments, scores, _ = on_grid(rows)
    threshold = at_budget(scores, moments, budget, merge, DAY_SECONDS)

    def cost(is_alarm: np.ndarray) -> float:
        return alarms_per_day(moments, is_alarm, merge, DAY_SECONDS).false_alarms_per_day

    assert cost(scores > threshold) <= budget
    assert ((scores > threshold) == (scores >= threshold)).all()
    silent = scores[scores <= threshold]
    assert not len(silent) or cost(scores >= silent.max()) > budget
    # Scores are only compared.
    other = at_budget(np.exp(scores), moments, budget, merge, DAY_SECONDS)
    assert ((np.exp(scores) > other) == (scores > threshold)).all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0.0], ["a", "b"], [0], [NEVER]), "lengths differ: 1 times, 2 components"),
        (([np.nan], ["a"], [0], [NEVER]), "times must be finite"),
        (([0.0], ["a"], [1], [-1.0]), "must not be negative"),
    ],
)
def test_moments_that_cannot_be(columns, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Moments.of(*columns)


def test_what_cannot_be_counted() -> None:
    moments = moments_of([(0, "a", NEVER)])
    with pytest.raises(ValueError, match="no time was observed"):
        alarms_per_day(moments, [1])
    with pytest.raises(ValueError, match="merge_seconds cannot be -1"):
        alarms_per_day(moments, [1], -1, 1)
    with pytest.raises(ValueError, match=r"1 moments and alarms of shape \(2,\)"):
        incident_recall(moments, [1, 0], 60)
    with pytest.raises(ValueError, match="finite scores are needed"):
        at_budget([np.inf], moments, 1, 60, 60)
    with pytest.raises(ValueError, match="false_alarms_per_day cannot be -1"):
        at_budget([1], moments, -1, 60, 60)
    with pytest.raises(ValueError, match="2 scores, 1 moments"):
        at_budget([1, 2], moments, 1, 60, 60)
