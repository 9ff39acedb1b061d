"""All methods by name: the laws that every one of them keeps, whatever it learns."""

import numpy as np
import pytest
from anomaly_samples import ODD, encode, saved, sessions, views
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.tasks.anomaly import outliers
from biglog.tasks.anomaly.classifiers import CLASSIFIERS, ClassifierMethod, two_classes
from biglog.tasks.anomaly.methods import (
    METHODS,
    NOVELTY_FEATURES,
    RULES,
    SEQUENCES,
    SUPERVISED,
    make_method,
    restore_method,
)
from biglog.tasks.anomaly.outliers import OUTLIERS, OutlierMethod
from biglog.tasks.groups import Groups

# Methods that foretell lines have tests of their own: they are slow to learn.
NAMES = [name for name in METHODS if name not in SEQUENCES]
TRAIN, TESTED = sessions(40, 0), sessions(20, 1) + ODD
LEARNT, SEEN = views(TRAIN, TESTED)
TAUGHT, ASKED = views(TRAIN + ODD * 4, TESTED)
LABELS = np.array([0] * len(TRAIN) + [1] * len(ODD) * 4)

_fitted = {}


def fitted(name):
    """Each method fitted once: nothing changes it."""
    if name not in _fitted:
        method = make_method(name)
        _fitted[name] = method.fit(TAUGHT, LABELS) if name in SUPERVISED else method.fit(LEARNT)
    return _fitted[name]


def seen(name):
    return ASKED if name in SUPERVISED else SEEN


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_scores_the_same_to_the_bit(name):
    method, view = fitted(name), seen(name)
    again = restore_method(name, saved(method.state()))
    assert type(again) is type(method)
    assert np.array_equal(again.score(view), method.score(view))
    twice = restore_method(name, saved(again.state()))
    assert np.array_equal(twice.score(view), method.score(view))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_scores(name):
    method = make_method(name, seed=0)
    again = method.fit(TAUGHT, LABELS) if name in SUPERVISED else method.fit(LEARNT)
    assert again is method
    assert np.array_equal(again.score(seen(name)), fitted(name).score(seen(name)))


@pytest.mark.parametrize("name", ["isolation_forest", "autoencoder", "forest", "window_classifier"])
def test_another_seed_gives_others(name):
    method = make_method(name, seed=1)
    method.fit(TAUGHT, LABELS) if name in SUPERVISED else method.fit(LEARNT)
    assert not np.array_equal(method.score(seen(name)), fitted(name).score(seen(name)))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_odd_scores_higher(name):
    scores = fitted(name).score(seen(name))
    assert scores.dtype == np.float64
    assert scores.shape == (len(TESTED),)
    assert np.isfinite(scores).all()
    normal, odd = scores[: -len(ODD)], scores[-len(ODD) :]
    # Of unknown lines all make much, but isolation forests: they split nothing where training had but zeros.
    if name == "isolation_forest":
        assert odd.max() > np.median(normal)
    else:
        assert odd[0] > normal.max()
    if name in ("event_set", "count_range", "knn", "lof", "one_class_svm", *SUPERVISED):
        assert odd.min() > normal.max()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12)
@given(rows=st.lists(st.integers(0, len(TESTED) - 1), min_size=1, max_size=8))
def test_a_group_scores_the_same_whatever_it_is_scored_with(name, rows):
    whole = fitted(name).score(seen(name))
    some = fitted(name).score(seen(name).take(np.array(rows)))
    np.testing.assert_allclose(some, whole[rows], atol=1e-6)
    assert len({(row, score) for row, score in zip(rows, some, strict=True)}) == len(set(rows))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "window_classifier"])
def test_the_order_of_lines_is_no_matter_where_a_method_says_so(name):
    assert not fitted(name).ordered
    train = TRAIN + ODD * 4 if name in SUPERVISED else TRAIN
    _, turned = views(train, [group[::-1] for group in TESTED])
    np.testing.assert_allclose(fitted(name).score(turned), fitted(name).score(seen(name)), atol=1e-6)


# -- outlier detectors --


@pytest.mark.parametrize("name", OUTLIERS)
def test_groups_that_are_known_score_the_same_to_the_bit_however_many_there_are(name):
    """More events than a search tree takes: distances are then sums that differ in their last digits."""
    generator = np.random.default_rng(0)
    train = [[f"form {event} of many" for event in generator.integers(0, 60, 40)] for _ in range(60)]
    (learnt,) = views(train)
    method = OutlierMethod(name).fit(learnt)
    whole = method.score(learnt)
    alone = [method.score(learnt.take(np.array([row])))[0] for row in range(len(train))]
    assert whole.tolist() == alone
    if name == "knn":
        assert not whole.any()


@pytest.mark.parametrize("name", OUTLIERS)
@pytest.mark.parametrize("train", [[["a"]], [["a", "b"]] * 30, [["a"], ["b"]]])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
def test_groups_that_hardly_differ_are_learnt_from(name, train):
    learnt, asked = views(train, [train[0], ["kernel panic", "b"], ["a"] * 50])
    method = OutlierMethod(name).fit(learnt)
    scores = method.score(asked)
    assert np.isfinite(scores).all()
    if name in ("knn", "one_class_svm"):
        assert scores[1:].min() > scores[0]
    assert np.array_equal(OutlierMethod.from_state(saved(method.state())).score(asked), scores)


def test_of_many_groups_a_sample_is_learnt_from(monkeypatch):
    monkeypatch.setattr(outliers, "MOST_FITTED", 3)
    method = OutlierMethod("knn", seed=3).fit(LEARNT)
    assert method.state().estimators["estimator"].n_samples_fit_ == 3
    again = OutlierMethod("knn", seed=3).fit(LEARNT)
    assert np.array_equal(again.score(SEEN), method.score(SEEN))
    assert method.score(LEARNT).any()


def test_novelty_is_a_neighbour_of_how_far_and_how_bad_lines_are():
    plain = OutlierMethod("knn", NOVELTY_FEATURES).fit(LEARNT)
    assert np.array_equal(fitted("novelty").score(SEEN), plain.score(SEEN))


# -- classifiers --


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (None, "labels are needed. Give one label a group"),
        (np.zeros(52, int), "all 52 groups are labelled normal. Give both kinds"),
        (np.ones(52, int), "all 52 groups are labelled anomalous"),
        (np.array([0, 1]), "2 labels for 52 groups. Give one label a group"),
        (np.array(1), "1 labels for 52 groups"),
        (np.array([0, 2] * 26), r"labels are \[0, 2\], not 0 and 1"),
        (np.array([0.1, 0.9] * 26), r"labels are \[0.1, 0.9\], not 0 and 1"),
        (np.array(["a", "b"] * 26), "labels are .*, not 0 and 1"),
    ],
)
def test_labels_that_are_none_are_refused(name, labels, problem):
    assert len(TAUGHT) == 52
    with pytest.raises(InputError, match=problem):
        make_method(name).fit(TAUGHT, labels)


def test_labels_are_of_any_type_of_number():
    for kind in (bool, float, np.int8):
        assert two_classes(LABELS.astype(kind), len(LABELS)).tolist() == LABELS.tolist()


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("anomalies", [1, 2])
def test_a_single_anomaly_can_be_learnt_from(name, anomalies):
    (learnt,) = views(TRAIN + ODD[:1] * anomalies)
    method = ClassifierMethod(name).fit(learnt, np.array([0] * len(TRAIN) + [1] * anomalies))
    scores = method.score(learnt)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.array_equal(ClassifierMethod.from_state(saved(method.state())).score(learnt), scores)


# -- names --


def test_names_are_told_apart():
    assert len(set(METHODS)) == len(METHODS)
    assert set(RULES) | set(SEQUENCES) | set(SUPERVISED) | {"novelty"} | set(OUTLIERS) == set(METHODS)
    for name in METHODS:
        method = make_method(name)
        assert method.supervised == (name in SUPERVISED)
        assert method.ordered == (name in (*SEQUENCES, "window_classifier"))
    with pytest.raises(InputError, match=r"no method 'isolationforest'. Did you mean isolation_forest"):
        make_method("isolationforest")
    with pytest.raises(InputError, match=r"no method 'zzz'. Choose of .*\bknn, lof\b"):
        make_method("zzz")


def test_features_are_for_methods_that_take_them():
    for name in (*OUTLIERS, *CLASSIFIERS):
        method = make_method(name, ["severity", "rarity"], seed=5)
        assert method.state().config["features"]["names"] == ["severity", "rarity"]
        assert method.state().config["seed"] == 5
    for name in ("event_set", "novelty", "next_event", "window_classifier"):
        with pytest.raises(InputError, match=rf"the method '{name}' takes no features. knn, .*forest.* do"):
            make_method(name, ["severity"])
    with pytest.raises(InputError, match="'zzz' is no block of features"):
        make_method("knn", ["zzz"])


def test_the_groups_of_these_tests_are_what_they_should_be():
    assert len(Groups.of_forms(TRAIN).distinct()[0]) > 20
    assert encode(Groups.of_forms(ODD).forms).shape[1] == SEEN.vectors.shape[1]
