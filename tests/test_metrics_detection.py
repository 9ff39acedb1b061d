"""The metrics of detection: worked examples, scikit-learn beside ours, and what must not change them."""

from __future__ import annotations

import json
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from biglog.metrics.detection import (
    Confusion,
    LabelRecall,
    auroc,
    average_precision,
    best_f1,
    confusion,
    detection_score,
    macro_f1,
    recall_by_label,
)


def test_a_worked_example() -> None:
    # Three anomalies of eight; the alarm at 0.5 and above finds two of them and disturbs one normal group.
    labels = [1, 1, 0, 0, 1, 0, 0, 0]
    scores = [0.9, 0.5, 0.5, 0.4, 0.3, 0.3, 0.1, 0.0]
    found = detection_score(labels, scores, np.array(scores) >= 0.5)
    assert found.confusion == Confusion(2, 1, 1, 4)
    # 0.9 adds a third of recall at precision 1, 0.5 a third at 2/3, 0.3 a third at 3/6.
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    # Of the five normal groups 0.9 beats five; 0.5 beats four, 0.3 beats two, and each ties with one.
    assert found.auroc == pytest.approx((5 + 4.5 + 2.5) / 15)
    assert found.as_dict() == pytest.approx(
        {
            "f1": 2 / 3,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "false_alarm_rate": 1 / 5,
            "mcc": (2 * 4 - 1) / sqrt(3 * 3 * 5 * 5),
            "average_precision": found.average_precision,
            "auroc": found.auroc,
            "groups": 8,
            "anomalies": 3,
        }
    )
    # Thresholds 0.9 and 0.5 give 2/4 and 4/6, 0.3 gives 6/9.
    assert best_f1(labels, scores) == pytest.approx(2 / 3)


def test_distinct_sequences_count_once() -> None:
    # An anomaly that repeats and is found, one that is not; a sequence that is both normal and an anomaly.
    labels = [1, 1, 1, 1, 0, 0, 0, 1]
    sequences = ["a", "a", "a", "b", "c", "c", "d", "d"]
    scores = [0.9, 0.9, 0.9, 0.1, 0.2, 0.2, 0.3, 0.3]
    found = detection_score(labels, scores, np.array(scores) > 0.5, sequences)
    assert found.distinct is not None
    assert (found.confusion, found.distinct.confusion) == (Confusion(3, 0, 2, 3), Confusion(1, 0, 2, 2))
    assert found.distinct == detection_score([1, 1, 0, 0, 1], [0.9, 0.1, 0.2, 0.3, 0.3], [1, 0, 0, 0, 0])
    told = json.loads(json.dumps(found.as_dict()))
    assert (told["groups"], told["anomalies"], told["recall"]) == (8, 5, 3 / 5)
    assert (told["distinct"]["groups"], told["distinct"]["anomalies"]) == (5, 3)
    assert "distinct" not in told["distinct"]


def test_equal_sequences_told_apart_count_by_their_highest_score() -> None:
    found = detection_score([1, 1, 0], [0.1, 0.7, 0.2], [0, 1, 0], [5, 5, 6])
    assert found.distinct == detection_score([1, 0], [0.7, 0.2], [1, 0])


def test_what_is_undefined_is_nought() -> None:
    nothing = confusion([], [])
    assert nothing == Confusion(0, 0, 0, 0)
    quiet = confusion([1, 0], [0, 0])
    for told in (nothing, quiet):
        figures = (told.precision, told.recall, told.f1, told.false_alarm_rate, told.mcc)
        assert figures == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_all_right_and_all_wrong() -> None:
    labels = np.array([True, False, True])
    assert confusion(labels, labels).mcc == 1.0
    assert confusion(labels, ~labels).mcc == -1.0
    assert (auroc(labels, labels), average_precision(labels, labels), best_f1(labels, labels)) == (1, 1, 1)


labels_and_scores = (
    st.lists(
        st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 4), st.booleans()),
        min_size=2,
        max_size=40,
    )
    .map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))
    .filter(lambda columns: len(set(columns[0][columns[2] > 0])) == 2)
)
"""Labels, scores with ties, weights of which some are 0, alarms."""


@given(labels_and_scores, st.sampled_from([1, 0.5, 0.3]))
def test_scores_are_those_of_scikit_learn(rows: tuple[np.ndarray, ...], unit: float) -> None:
    labels, scores, weights, _ = rows
    weights = weights if unit == 1 else weights * unit
    assert auroc(labels, scores, weights) == pytest.approx(
        theirs.roc_auc_score(labels, scores, sample_weight=weights)
    )
    assert average_precision(labels, scores, weights) == pytest.approx(
        theirs.average_precision_score(labels, scores, sample_weight=weights)
    )
    assert auroc(labels, scores) == pytest.approx(theirs.roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(theirs.average_precision_score(labels, scores))


@given(labels_and_scores, st.sampled_from([1, 0.5, 0.3]))
def test_a_confusion_is_that_of_scikit_learn(rows: tuple[np.ndarray, ...], unit: float) -> None:
    labels, _, weights, alarms = rows
    weights = weights if unit == 1 else weights * unit
    found = confusion(labels, alarms, weights)
    options = {"sample_weight": weights, "labels": [False, True]}
    (tn, fp), (fn, tp) = theirs.confusion_matrix(labels, alarms, **options)
    assert list(vars(found).values()) == pytest.approx([tp, fp, fn, tn])
    precision, recall, f1, _ = theirs.precision_recall_fscore_support(
        labels, alarms, average="binary", sample_weight=weights, zero_division=0
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx((precision, recall, f1))
    assert found.mcc == pytest.approx(
        theirs.matthews_corrcoef(labels, alarms, sample_weight=weights), abs=1e-9
    )


@given(labels_and_scores)
def test_the_best_f1_is_that_of_a_search(rows: tuple[np.ndarray, ...]) -> None:
    labels, scores, weights, alarms = rows
    for counted in (None, weights):
        best = max(confusion(labels, scores >= threshold, counted).f1 for threshold in scores)
        assert best_f1(labels, scores, counted) == pytest.approx(best)
    assert best_f1(labels, alarms) >= confusion(labels, alarms).f1 - 1e-12


@given(labels_and_scores, st.randoms(use_true_random=False))
def test_what_changes_nothing(rows: tuple[np.ndarray, ...], random) -> None:
    labels, scores, weights, alarms = rows
    sequences = scores // 2
    found = detection_score(labels, scores, alarms, sequences).as_dict()
    order = np.array(random.sample(range(len(labels)), len(labels)))
    shuffled = detection_score(labels[order], scores[order], alarms[order], sequences[order])
    assert shuffled.as_dict() == found
    # Only the order of scores matters, and sequences are but names.
    renamed = detection_score(labels, np.exp(scores), alarms, np.char.mod("s%d", -sequences))
    assert renamed.as_dict() == found
    # A weight of k is k rows; none is no row.
    repeated = np.repeat(np.arange(len(labels)), weights)
    for metric in (auroc, average_precision, best_f1):
        assert metric(labels, scores, weights) == pytest.approx(metric(labels[repeated], scores[repeated]))
    assert confusion(labels, alarms, weights) == confusion(labels[repeated], alarms[repeated])
    # Turned round, an anomaly that beat a normal group loses to it.
    assert auroc(labels, -scores) == pytest.approx(1 - auroc(labels, scores))


@given(labels_and_scores)
def test_repeated_sequences_change_no_distinct_score(rows: tuple[np.ndarray, ...]) -> None:
    labels, scores, _, _ = rows
    found = detection_score(labels, scores, scores > 0, scores).distinct
    once = np.array(sorted(set(zip(labels.tolist(), scores.tolist(), strict=True))))
    assert found == detection_score(once[:, 0], once[:, 1], once[:, 1] > 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_macro_f1_is_that_of_scikit_learn(rows: list[tuple[str, str]]) -> None:
    truth, predicted = [a for a, _ in rows], [b for _, b in rows]
    expected = theirs.f1_score(truth, predicted, average="macro", zero_division=0)
    assert macro_f1(truth, predicted) == pytest.approx(expected)


def test_macro_f1_of_a_worked_example() -> None:
    # info 2/3 (one found, one taken for a warning), error 1, warning 0.
    truth, predicted = ["info", "info", "error"], ["info", "warning", "error"]
    assert macro_f1(truth, predicted) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_recall_by_label() -> None:
    labels = ["-", "KERNDTLB", "KERNDTLB", "APPREAD", "-", "KERNSTOR", "APPREAD", "KERNDTLB"]
    found = recall_by_label(labels, [1, 1, 1, 0, 0, 1, 1, 0])
    assert found == {
        "KERNDTLB": LabelRecall(3, 2),
        "APPREAD": LabelRecall(2, 1),
        "KERNSTOR": LabelRecall(1, 1),
    }
    assert list(found) == ["KERNDTLB", "APPREAD", "KERNSTOR"]
    assert [one.recall for one in found.values()] == [2 / 3, 1 / 2, 1.0]
    assert recall_by_label([], []) == recall_by_label(["ok"], [1], normal_label="ok") == {}


@pytest.mark.parametrize("metric", [auroc, average_precision, best_f1])
@pytest.mark.parametrize(
    ("labels", "scores", "weights", "message"),
    [
        ([1, 0], [0.5], None, "lengths differ: 2 labels, 1 scores"),
        ([1, 1], [0.5, 0.1], None, "here are 2 anomalies only"),
        ([0, 0, 0], [1, 2, 3], None, "here are 3 normal groups only"),
        ([0, 1], [1, 2], [1, 0], "here are 1 normal groups only"),
        ([], [], None, "here are no groups at all"),
        ([1, 0, 0], [np.nan, 1, np.nan], None, "2 of 3 scores are NaN"),
        ([1, 2], [1, 2], None, "labels must be bool, or 0 and 1"),
        ([[1, 0]], [1], None, "labels must be one value a row"),
        ([1, 0], [1, 2], [1], "2 groups and weights of shape"),
        ([1, 0], [1, 2], [1, -1], "weights must be numbers of 0 or more"),
        ([1, 0], [1, 2], [1, np.nan], "weights must be numbers of 0 or more"),
    ],
)
def test_what_cannot_be_scored(metric, labels, scores, weights, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(labels, scores, weights)


def test_columns_of_different_length() -> None:
    with pytest.raises(ValueError, match="3 is_anomaly"):
        detection_score([1, 0], [1, 2], [1, 0, 1])
    with pytest.raises(ValueError, match="1 sequence_ids"):
        detection_score([1, 0], [1, 2], [1, 0], ["a"])
    with pytest.raises(ValueError, match="2 truth, 1 predicted"):
        macro_f1(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="nothing to score"):
        macro_f1([], [])
    with pytest.raises(ValueError, match="1 labels, 2 is_anomaly"):
        recall_by_label(["a"], [1, 0])


def test_infinite_scores_are_ranked() -> None:
    assert auroc([1, 1, 0, 0], [np.inf, 0.0, 0.0, -np.inf]) == pytest.approx(3.5 / 4)


def test_a_million_groups() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 1000, 1_000_000)
    labels = rng.random(1_000_000) < scores / 4000
    found = detection_score(labels, scores, scores > 900, scores)
    assert found.auroc == pytest.approx(theirs.roc_auc_score(labels, scores))
    assert found.average_precision == pytest.approx(theirs.average_precision_score(labels, scores))
    assert found.distinct is not None
    assert found.distinct.groups == len(np.unique(scores * 2 + labels))


@example(counts=[0, 0, 0, 1])
@given(counts=st.lists(st.integers(0, 10**9), min_size=4, max_size=4))
def test_figures_are_in_their_ranges(counts: list[int]) -> None:
    found = Confusion(*counts)
    for value in (found.precision, found.recall, found.f1, found.false_alarm_rate):
        assert 0 <= value <= 1
    assert -1 <= found.mcc <= 1 + 1e-12
    assert min(found.precision, found.recall) <= found.f1 + 1e-12
    assert found.f1 <= max(found.precision, found.recall) + 1e-12


def test_metrics_need_numpy_alone() -> None:
    heavy = "{'sklearn', 'scipy', 'polars', 'torch'} & set(sys.modules)"
    code = f"import sys, biglog.metrics.detection, biglog.metrics.prediction; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
