"""Labelled groups as published, in small; and detectors where log statements were reworded since training."""

import numpy as np
import pytest
from anomaly_samples import EVENTS, ODD, encode, sessions
from anomaly_views import encoder
from data_path import DATA, needs_data
from sklearn.metrics import f1_score

from biglog import AnomalyDetector
from biglog.data.rewording import reword_share
from biglog.errors import InputError
from biglog.evaluation.anomaly import sets
from biglog.evaluation.anomaly.hdfs import reworded
from biglog.evaluation.anomaly.sets import Labelled
from biglog.evaluation.anomaly.systems import NEVER, System, averaged, characters, fitted, scored, words
from biglog.tasks.anomaly.detector import Settings
from biglog.tasks.groups import Groups

TESTED = Labelled(
    Groups.of_forms(sessions(20, 1) + ODD), np.array([0] * 20 + [1] * 3), np.array(["-"] * 20 + ["odd"] * 3)
)


def test_labels_go_with_their_groups():
    some = TESTED.take(np.array([22, 0, 0]))
    assert some.labels.tolist() == [1, 0, 0]
    assert some.kinds.tolist() == ["odd", "-", "-"]
    assert len(TESTED.normal) == 20
    both = sets.with_more(some, TESTED)
    assert len(both.groups) == 26
    assert both.labels.tolist() == [1, 0, 0, *TESTED.labels]
    assert both.groups.identities()[3:].equals(TESTED.groups.identities())
    assert sets.counted(some) == {"groups": 3, "anomalies": 1, "distinct_normal": 1, "distinct_anomalies": 1}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"BGL_100k.log.gz: this file of labelled logs is not there. Set BIG"
    ):
        sets.path_of(tmp_path, "BGL")


def test_a_share_of_the_forms_is_reworded_wherever_they_come():
    before, other = TESTED.groups, reworded(TESTED, 0.5, 3)
    wording = reword_share(before.forms.to_list(), 0.5, 3)
    assert len(wording) == round(len(before.forms) / 2)
    for was, now in zip(before.forms, other.groups.forms, strict=True):
        assert now == wording.get(was, was)
    assert np.array_equal(other.groups.codes, before.codes)
    assert np.array_equal(other.labels, TESTED.labels)
    assert reworded(TESTED, 0.0, 3).groups.forms.equals(before.forms)
    assert reworded(TESTED, 1.0, 3).groups.forms.is_in(before.forms.implode()).sum() == 0


@pytest.mark.parametrize("embed", [encode, words, characters])
def test_a_system_is_fitted_and_scored(embed):
    system = System("rule", Settings("event_set", match_threshold=NEVER))
    detector = fitted(system, 0, Groups.of_forms(sessions(60, 0)), embed)
    told = scored(detector, TESTED, embed)
    assert told["method"] == "event_set"
    assert told["f1"] == 1.0
    assert detector.settings.seed == 0
    assert fitted(system, 5, TESTED.normal, embed).settings.seed == 5


def test_embeddings_of_baselines_tell_forms_apart():
    forms = Groups.of_forms([list(EVENTS.values())]).forms
    for embed in (words, characters):
        vectors = embed(forms)
        assert vectors.dtype == np.float32
        assert len(np.unique(vectors, axis=0)) == len(forms)


def test_runs_are_averaged():
    runs = [{"f1": 0.5, "inner": {"auc": value}, "method": "knn", "groups": 3} for value in (0.0, 1.0)]
    found = averaged(runs)
    assert found["f1"] == {"mean": 0.5, "sd": 0.0, "runs": 2}
    assert found["inner"]["auc"] == {"mean": 0.5, "sd": 0.5, "runs": 2}
    assert (found["method"], found["groups"]) == ("knn", 3)


# -- real sets --


@needs_data
def test_sessions_of_hdfs_are_those_that_were_published():
    train, valid, abnormal = sets.hdfs_train(DATA), sets.hdfs_valid(DATA), sets.hdfs_abnormal(DATA)
    assert len(train) == 4855
    assert sets.counted(valid)["groups"] == 2000
    assert valid.labels.sum() == 1000
    assert set(valid.kinds) == {"normal block", "abnormal block"}
    assert len(abnormal.groups) == 16838
    assert abnormal.labels.all()
    assert len(train.forms) == 14
    assert train.forms.str.contains(r"\[CODE\]").all()
    assert not valid.groups.forms.str.contains("unknown event").any()
    first = (DATA / sets.FILES["hdfs_train"]).read_text().split("\n", 1)[0].split()
    assert train.sizes[0] == len(first)
    assert len(set(train.sequence(0).tolist())) == len(set(first))


@needs_data
def test_the_first_sessions_of_hdfs_are_in_order_of_time():
    parts = sets.hdfs_100k(DATA)
    assert set(parts) == {"train", "test"}
    for part in parts.values():
        assert len(part.groups) == len(part.labels) == len(part.kinds)
        assert 0 < part.labels.mean() < 0.2
        assert part.groups.ids.str.starts_with("blk_").all()
    assert not set(parts["train"].groups.ids) & set(parts["test"].groups.ids)


@needs_data
def test_windows_of_thunderbird_are_called_by_their_first_alert():
    lines = sets.labelled_lines(DATA, "Thunderbird")
    windows = lines.windows(20, 100, 900)
    assert len(windows.groups) == 40
    forms, alerts = lines.forms.to_list(), lines.alerts
    for row in range(40):
        own = slice(100 + 20 * row, 120 + 20 * row)
        found = [windows.groups.forms[int(code)] for code in windows.groups.sequence(row)]
        assert found == forms[own]
        first = next((alert for alert in alerts[own] if alert != "-"), "-")
        assert windows.kinds[row] == first
        assert windows.labels[row] == (first != "-")
    assert lines.windows(20, 100, 130).groups.sizes.tolist() == [20, 10]


@needs_data
def test_sessions_are_told_apart_when_log_statements_were_reworded_since_training():
    """Rewordings of a fifth of the statements, ten draws; what the shipped encoder reads as what it was."""
    train, valid = sets.hdfs_train(DATA), sets.hdfs_valid(DATA)

    def f1(threshold):
        detector = AnomalyDetector(encoder(), match_threshold=threshold).fit(train)
        assert detector.chosen_method == "invariants"
        every = [valid, *(reworded(valid, 0.2, seed) for seed in range(10))]
        return np.array([f1_score(each.labels, detector.predict(each.groups) == -1) for each in every])

    ours, identity = f1(Settings().match_threshold), f1(NEVER)
    assert ours[0] == identity[0] > 0.995
    # All is alarmed where a statement that all sessions have is new: F1 of two thirds.
    assert (identity[1:] < 0.95).all()
    assert (ours >= identity).all()
    assert np.median(ours[1:]) > 0.995
    assert (ours[1:] >= 0.95).sum() >= 6
