"""AnomalyDetector: scikit-learn's verbs and signs, few labels, learning on, another system."""

import numpy as np
import pytest
from anomaly_samples import EVENTS, ODD, UNRELATED, sessions
from checkpoints import tiny_encoder
from fitted_detectors import BOTH, LABELS, NAMES, NOVEL, SEEN_ONCE, TESTED, TRAIN, fit, fitted
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from biglog import AnomalyDetector
from biglog.errors import InputError
from biglog.inference.detector import SCHEMA
from biglog.tasks.groups import Groups

# -- judging --


@pytest.mark.parametrize("name", NAMES)
def test_signs_are_those_of_scikit_learn_and_scores_are_ours(name):
    detector = fitted(name)
    table = detector.detect(TESTED)
    assert table.schema == SCHEMA
    assert table["group_id"].equals(TESTED.ids)
    assert table["lines"].to_list() == TESTED.sizes.tolist()
    scores, alarms = table["anomaly_score"].to_numpy(), table["is_anomaly"].to_numpy()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert table["confidence"].is_between(0, 1).all()
    assert (table["threshold"] == detector.threshold).all()
    assert np.array_equal(alarms, scores > detector.threshold)
    # An isolation forest does not see that lines are unknown.
    assert alarms[-len(ODD)] or name == "isolation_forest"
    np.testing.assert_allclose(detector.score_samples(TESTED), 1 - scores)
    margin = detector.decision_function(TESTED)
    assert np.array_equal(margin < 0, alarms)
    np.testing.assert_allclose(np.abs(margin), np.abs(scores - detector.threshold))
    assert np.array_equal(detector.predict(TESTED), np.where(alarms, -1, 1))


@pytest.mark.parametrize("name", ["auto", "knn", "pca", "novelty", "gradient_boosting"])
@settings(max_examples=15)
@given(rows=st.lists(st.integers(0, len(TESTED) - 1), min_size=1, max_size=6))
def test_a_group_is_judged_alone_as_it_is_among_others(name, rows):
    whole = fitted(name).detect(TESTED)
    some = fitted(name).detect(TESTED.take(np.array(rows)))
    for column in ("alert_id", "is_anomaly", "lines"):
        assert some[column].to_list() == whole[column].gather(rows).to_list()
    for column in ("anomaly_score", "confidence"):
        np.testing.assert_allclose(some[column], whole[column].gather(rows), atol=1e-6)


def test_most_of_what_is_normal_is_none_and_what_is_odd_is():
    detector = fitted()
    assert detector.chosen_method == "invariants"
    later = detector.predict(Groups.of_forms(sessions(100, 5)))
    assert (later == -1).mean() <= 0.02
    assert (detector.predict(ODD) == -1).all()


def test_where_sets_of_events_hardly_come_again_novelty_is_chosen():
    generator = np.random.default_rng(0)
    windows = [[f"line {kind} of many" for kind in generator.integers(0, 40, 8)] for _ in range(60)]
    assert AnomalyDetector(tiny_encoder()).fit(Groups.of_forms(windows)).chosen_method == "novelty"


def test_alerts_of_equal_groups_are_one():
    table = fitted().detect([*ODD, ODD[0], ODD[1]])
    ids = table["alert_id"].to_list()
    assert ids[3:] == ids[:2]
    assert len(set(ids)) == 3
    again = fitted("knn").detect(ODD[::-1])["alert_id"].to_list()
    assert again == ids[:3][::-1]


def test_the_whole_budget_can_be_given():
    alarms = [(fit("knn", false_alarm_budget=budget).predict(TESTED) == -1).sum() for budget in (0, 0.3, 0.9)]
    assert alarms == sorted(alarms)
    assert fit("forest").threshold == 0.5
    assert fit("forest", false_alarm_budget=0.05).threshold != 0.5
    with pytest.raises(InputError, match=r"a false-alarm budget of 1.5 is no share"):
        fit("knn", false_alarm_budget=1.5)


def test_forms_are_known_by_identity_alone_where_it_is_asked_for():
    other = [line.replace("Receiving", "Now receiving") for line in sessions(1, 0)[0]]
    strict = fit("new_event", match_threshold=2.0)
    assert strict.predict([sessions(1, 0)[0], other]).tolist() == [1, -1]
    assert fit("new_event", match_threshold=0.0).predict([other]).tolist() == [1]


# -- an estimator of scikit-learn --


def test_it_is_an_estimator_of_scikit_learn():
    detector = AnomalyDetector(
        None, "knn", features=["counts", "rarity"], false_alarm_budget=0.1, match_threshold=0.7, seed=3
    )
    again = clone(detector)
    expected = {
        "encoder": None,
        "method": "knn",
        "features": ["counts", "rarity"],
        "false_alarm_budget": 0.1,
        "match_threshold": 0.7,
        "seed": 3,
    }
    assert again.get_params() == expected
    assert not hasattr(again, "detector_")
    assert detector.set_params(method="lof", seed=4).method == "lof"
    assert np.array_equal(fit("knn").fit_predict(TRAIN), fitted("knn").predict(TRAIN))
    copied = clone(fitted("knn")).fit(TRAIN)
    assert copied.detect(TESTED).equals(fitted("knn").detect(TESTED))


def test_anomalous_groups_are_left_out_of_what_is_normal():
    mixed = AnomalyDetector(tiny_encoder(), "knn").fit(BOTH, LABELS.tolist())
    assert mixed.detect(TESTED).equals(fitted("knn").detect(TESTED))


@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("knn", [0, 1], "2 labels for 60 groups.*Give one label a group"),
        ("knn", [1] * 60, "all 60 groups are labelled anomalous. Give normal groups"),
        ("knn", [0, 2] * 30, "not 0 and 1"),
        ("tree", None, "labels are needed"),
        ("tree", [0] * 60, "all 60 groups are labelled normal"),
        ("tree", [0, -1] * 30, "groups are labelled normal"),
        ("zzz", None, "there is no method 'zzz'. Choose of auto, new_event"),
    ],
)
def test_labels_and_names_that_are_none_are_refused(name, labels, problem):
    with pytest.raises(InputError, match=problem):
        AnomalyDetector(tiny_encoder(), name).fit(TRAIN, labels)


def test_what_is_not_fitted_says_so():
    detector = AnomalyDetector(tiny_encoder())
    for ask in (detector.detect, detector.predict, detector.score_samples, detector.transfer):
        with pytest.raises(InputError, match=r"this detector is not fitted. Call fit first"):
            ask(TESTED)
    with pytest.raises(InputError, match="not fitted"):
        detector.save_pretrained("nowhere")
    with pytest.raises(InputError, match="there are no groups"):
        detector.fit([])
    with pytest.raises(InputError, match="has no lines"):
        fitted().detect([["a"], []])


def test_a_single_group_can_be_learnt_from():
    detector = AnomalyDetector(tiny_encoder(), "event_set").fit([["a line"]])
    assert detector.predict([["a line"], ["another: failed"]]).tolist() == [1, -1]


# -- few labels --


def test_groups_without_label_count_as_the_nearest_labelled_one():
    few = np.full(len(LABELS), -1)
    few[[0, 1, 2, 3, 4, 60, 61, 62]] = LABELS[[0, 1, 2, 3, 4, 60, 61, 62]]
    detector = AnomalyDetector(tiny_encoder(), "tree").fit(BOTH, few)
    assert detector.predict(ODD).tolist() == [-1, -1, -1]
    assert np.array_equal(detector.detector_.labels, fitted("tree").detector_.labels)


def test_groups_that_stand_for_others_are_proposed():
    detector = AnomalyDetector(tiny_encoder())
    for count in (1, 4, 500):
        places = detector.propose(BOTH, count)
        assert len(places) <= count
        assert (np.diff(places) > 0).all()
        assert ((places >= 0) & (places < len(BOTH))).all()
        assert np.array_equal(places, detector.propose(BOTH, count))
    assert LABELS[detector.propose(BOTH, 6)].any()
    with pytest.raises(InputError, match=r"0 groups cannot be proposed. Give 1 or more"):
        detector.propose(BOTH, 0)


# -- learning on --


SCALED_ANEW = pytest.mark.xfail(
    reason="fitted again it scores on another scale; its threshold is set anew, here on a dozen groups"
)


@pytest.mark.parametrize(
    "name",
    [
        *("auto", "new_event", "event_set", "count_range", "invariants", "novelty", "knn", "autoencoder"),
        pytest.param("pca", marks=SCALED_ANEW),
        pytest.param("lof", marks=SCALED_ANEW),
        pytest.param("one_class_svm", marks=SCALED_ANEW),
    ],
)
def test_what_is_accepted_is_quiet_from_then_on_and_the_rest_stays(name):
    detector = fit(name)
    before, threshold = detector.detect(TESTED), detector.threshold
    asked = detector.detect([NOVEL])
    assert asked["is_anomaly"].to_list() == [True]
    detector.partial_fit([NOVEL])
    after = detector.detect([NOVEL])
    assert after["is_anomaly"].to_list() == [False]
    assert after["alert_id"].equals(asked["alert_id"])
    assert detector.threshold == threshold
    assert NOVEL[-1] in detector.detector_.known.forms.to_list()
    others = detector.detect(TESTED)
    assert others["alert_id"].equals(before["alert_id"])
    # One of the odd groups had the line that is known from now on.
    changed = others["is_anomaly"] != before["is_anomaly"]
    assert not changed[: -len(ODD)].any()
    assert changed.sum() <= 1


@pytest.mark.parametrize("name", ["pca", "lof", "one_class_svm"])
def test_one_accepted_group_does_not_alarm_most_others_where_the_scale_moves(name):
    detector = fit(name)
    before = detector.detect(TESTED)["is_anomaly"]
    after = detector.partial_fit([NOVEL]).detect(TESTED)["is_anomaly"]
    assert (before != after)[: -len(ODD)].mean() < 0.5


def test_what_was_accepted_can_be_taken_back():
    detector = fit("count_range").partial_fit([ODD[2]])
    assert detector.predict([ODD[2]]).tolist() == [1]
    detector.partial_fit([ODD[2], SEEN_ONCE], [1, 0])
    assert detector.predict([ODD[2]]).tolist() == [-1]


def test_a_classifier_learns_on_from_anomalies_alone():
    group = sessions(1, 7)[0] + [EVENTS["2"]] * 9
    assert fit("tree").partial_fit([group] * 5, [1] * 5).predict([group]).tolist() == [-1]


def test_many_are_accepted_at_once():
    detector = fit("pca")
    odd = [[f"unit {place} failed to start"] * (place + 1) for place in range(40)]
    assert (detector.predict(odd) == -1).all()
    detector.partial_fit(odd)
    assert (detector.predict(odd) == 1).all()
    assert (detector.predict([group[::-1] for group in odd]) == 1).all()
    assert int(detector.detector_.times.sum()) == 100


def test_what_comes_again_counts_as_often_as_it_came():
    detector = fit("knn").partial_fit(sessions(60, 0)).partial_fit([NOVEL])
    times, kept = detector.detector_.times, detector.detector_.kept
    assert len(kept) == len(TRAIN.distinct()[0]) + 1
    assert times.sum() == 121
    assert detector.detector_.known.fitted == 121


def test_what_was_never_fitted_is_fitted():
    detector = AnomalyDetector(tiny_encoder(), "knn").partial_fit(TRAIN)
    assert detector.detect(TESTED).equals(fitted("knn").detect(TESTED))


def test_a_classifier_learns_on_from_labels():
    detector = fit("tree")
    group = sessions(1, 7)[0] + [EVENTS["2"]] * 9
    assert detector.predict([group]).tolist() == [1]
    detector.partial_fit([group] * 5 + sessions(5, 8), [1] * 5 + [0] * 5)
    assert detector.predict([group]).tolist() == [-1]
    assert (detector.predict(ODD) == -1).all()


# -- another system --


def elsewhere(groups):
    """The same sessions in a system whose events have other words, trouble apart."""
    return [[f"unit {sorted(EVENTS.values()).index(line)} says so" for line in group] for group in groups]


def test_what_is_learnt_of_words_and_rarity_goes_with_a_detector():
    train = sessions(60, 0) + [[*group, UNRELATED] for group in sessions(12, 2)]
    detector = AnomalyDetector(tiny_encoder(), "logistic_regression", features=("severity", "rarity"))
    detector.fit(Groups.of_forms(train), LABELS)
    moved = detector.transfer(elsewhere(sessions(60, 0)))
    normal = elsewhere(sessions(20, 3))
    odd = [[*normal[0], "kernel panic: uncorrectable error"]]
    assert (moved.predict(normal) == 1).mean() > 0.9
    assert moved.predict(odd).tolist() == [-1]
    # Where it was fitted all of these lines are new.
    assert detector.verdicts(normal).raw.min() > 10 * moved.verdicts(normal).raw.max()
    assert moved.threshold == detector.threshold
    assert moved.get_params() == detector.get_params()


@pytest.mark.parametrize(
    ("name", "features"),
    [("tree", None), ("tree", ("severity", "distances")), ("knn", ("severity",)), ("event_set", None)],
)
def test_what_is_of_one_systems_events_stays_there(name, features):
    detector = fit(name, features=features)
    with pytest.raises(InputError, match=rf"{name} with features .* stays with its system.*among embeddings"):
        detector.transfer(TRAIN)
