"""Calibration: laws of scores, thresholds and how sure they are."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from biglog.errors import InputError
from biglog.tasks.anomaly.calibration import Calibration

scores = st.floats(-1e6, 1e6, allow_subnormal=False)
normal = st.lists(st.one_of(scores, st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=60)
budgets = st.floats(0, 0.999)


def of(held_out, budget=0.01):
    return Calibration.of(np.array(held_out), budget)


@given(normal, budgets, st.lists(scores, min_size=2, max_size=20))
def test_scores_keep_the_order_and_are_shares(held_out, budget, raw):
    found = of(held_out, budget).scores(np.sort(raw + held_out))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(normal, budgets)
def test_no_more_than_the_budget_is_spent_on_what_was_held_out(held_out, budget):
    calibration = of(held_out, budget)
    alarms = (np.array(held_out) > calibration.raw_threshold).sum()
    # A share of those that were held out and of the group to come.
    assert alarms <= budget * (len(held_out) + 1)


@given(st.integers(1, 300), budgets)
def test_of_scores_without_ties_the_whole_budget_is_spent(count, budget):
    calibration = of(np.arange(count), budget)
    alarms = (np.arange(count) > calibration.raw_threshold).sum()
    assert alarms == min(count - 1, np.floor(budget * (count + 1)))


@given(normal, budgets, st.lists(scores, max_size=20))
def test_an_alarm_is_a_score_above_the_threshold_and_nothing_else(held_out, budget, raw):
    calibration = of(held_out, budget)
    every = np.array(raw + held_out)
    every = np.concatenate([every, np.nextafter(every, np.inf), np.nextafter(every, -np.inf)])
    alarms = calibration.scores(every) > calibration.threshold
    assert np.array_equal(every > calibration.raw_threshold, alarms)


@given(normal, st.floats(1e-3, 1e3), st.floats(1.01, 10))
def test_beyond_all_that_was_held_out_what_is_odder_stays_odder(held_out, beyond, times):
    calibration = of(held_out)
    scale = max(np.std(held_out), abs(max(held_out)), 1e-9)
    raw = max(held_out) + scale * np.array([0.0, beyond, beyond * times])
    assume((np.diff(raw) > 0).all())
    assert (np.diff(calibration.scores(raw)) > 0).all()


def test_a_score_is_one_less_the_share_of_normal_groups_that_are_as_odd():
    calibration = of([1.0, 2.0, 2.0, 4.0], 0.25)
    raw = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0])
    shares = [5 / 5, 5 / 5, 4 / 5, 4 / 5, 2 / 5, 2 / 5, 1 / 5 / 2]
    np.testing.assert_allclose(calibration.scores(raw), 1 - np.array(shares))
    assert calibration.raw_threshold == 2.0
    assert calibration.scores(np.array([np.inf])) == 1


@given(normal, st.floats(0, 0.5), st.lists(scores, min_size=1, max_size=20))
def test_how_sure_a_verdict_is_is_a_share_and_grows_with_the_distance(held_out, budget, raw):
    calibration, ordered = of(held_out, budget), np.sort(raw)
    sure = calibration.confidence(ordered)
    assert ((sure >= 0) & (sure <= 1)).all()
    alarms = ordered > calibration.raw_threshold
    assert (np.diff(sure[alarms]) >= 0).all()
    assert (np.diff(sure[~alarms]) <= 0).all()


def test_the_more_was_held_out_the_surer_an_alarm_is():
    sure = [of(np.zeros(count), 0.01).confidence(np.array([1.0]))[0] for count in (10, 100, 1000, 10_000)]
    assert sure == sorted(sure)
    assert sure[-1] > 0.9999
    # Uniform prior: the share of normal groups above has the posterior Beta(1, n + 1).
    assert sure[0] == pytest.approx(1 - 0.99**11)
    half = of(np.arange(100), 0.05)
    assert half.confidence(np.array([97.0]))[0] == pytest.approx(binom.sf(3, 101, 0.05))


@pytest.mark.parametrize("budget", [-0.1, 1.0, float("nan")])
def test_a_budget_is_a_share(budget):
    with pytest.raises(InputError, match=r"is no share. Give 0 <= budget < 1"):
        of([1.0], budget)


@pytest.mark.parametrize("held_out", [[], [1.0, np.nan], [np.inf]])
def test_scores_are_needed(held_out):
    with pytest.raises(InputError, match="no scores of normal groups to calibrate with"):
        of(held_out)
