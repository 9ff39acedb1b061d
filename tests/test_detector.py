"""AnomalyDetector: scikit-learn's verbs and signs, learning on, another system, and its files."""

import json
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import skops.io
from anomaly_samples import EVENTS, ODD, UNRELATED, sessions
from checkpoints import TINY, tiny_encoder
from hub_checkpoints import make_checkpoint
from hub_server import HubServer
from hub_wire import User
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from biglog import AnomalyDetector
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.inference.detector import SCHEMA
from biglog.inference.encoder import LogEncoder
from biglog.tasks.anomaly.methods import METHODS, SEQUENCES, SUPERVISED
from biglog.tasks.anomaly.saving import ARRAYS, CONFIG, ESTIMATORS
from biglog.tasks.groups import Groups

TRAIN, TESTED = Groups.of_forms(sessions(60, 0)), Groups.of_forms(sessions(20, 1) + ODD)
BOTH = Groups.of_forms(sessions(60, 0) + ODD * 4)
LABELS = np.array([0] * 60 + [1] * 12)
NAMES = ("auto", *(name for name in METHODS if name not in SEQUENCES))
TESTED_TEXT = sessions(1, 1)[0]
NOVEL = [EVENTS["22"], EVENTS["5"], UNRELATED]

_fitted = {}


def fit(name="auto", **settings):
    detector = AnomalyDetector(tiny_encoder(), name, **settings)
    return detector.fit(BOTH, LABELS) if name in SUPERVISED else detector.fit(TRAIN)


def fitted(name="auto"):
    """Each detector fitted once: nothing changes it."""
    if name not in _fitted:
        _fitted[name] = fit(name)
    return _fitted[name]


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
    reason="fitted again it scores on another scale, and the threshold stays: one group, and all are alarmed"
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


@pytest.mark.xfail(reason="what was accepted once stays so, whatever is said of it later")
def test_what_was_accepted_can_be_taken_back():
    detector = fit("count_range").partial_fit([ODD[2]])
    assert detector.predict([ODD[2]]).tolist() == [1]
    detector.partial_fit([ODD[2], TESTED_TEXT], [1, 0])
    assert detector.predict([ODD[2]]).tolist() == [-1]


@pytest.mark.xfail(reason="a classifier that learns on asks for normal groups", raises=InputError)
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


# -- files --


@pytest.fixture
def folder(tmp_path):
    fitted("knn").save_pretrained(tmp_path)
    return tmp_path


def load(folder):
    return AnomalyDetector.from_pretrained(folder, tiny_encoder())


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_comes_back_as_it_was(name, tmp_path):
    detector = fitted(name)
    detector.save_pretrained(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files - {ESTIMATORS} == {CONFIG, ARRAYS, "README.md"}
    for path in tmp_path.iterdir():
        assert b"\x80\x04\x95" not in path.read_bytes()  # how a pickle begins
    back = load(tmp_path)
    assert back.detect(TESTED).equals(detector.detect(TESTED))
    assert back.chosen_method == detector.chosen_method
    # It goes on learning as the other one does.
    more, labels = [NOVEL, *sessions(3, 9)], [1, 0, 0, 0] if name in SUPERVISED else None
    ours, theirs = fit(name).partial_fit(more, labels), back.partial_fit(more, labels)
    assert theirs.detect(TESTED).equals(ours.detect(TESTED))
    theirs.save_pretrained(tmp_path)
    assert load(tmp_path).detect([NOVEL]).equals(ours.detect([NOVEL]))


def test_a_method_without_estimators_leaves_none_behind(folder):
    assert (folder / ESTIMATORS).exists()
    fitted("event_set").save_pretrained(folder)
    assert not (folder / ESTIMATORS).exists()
    assert load(folder).chosen_method == "event_set"


def test_settings_come_back(tmp_path):
    detector = AnomalyDetector(
        tiny_encoder(), "lof", features=["rarity"], false_alarm_budget=0.2, match_threshold=0.9, seed=7
    ).fit(TRAIN)
    detector.save_pretrained(tmp_path)
    back = AnomalyDetector.from_pretrained(tmp_path)
    expected = detector.get_params() | {"features": ("rarity",)}
    assert {**back.get_params(), "encoder": None} == {**expected, "encoder": None}
    assert back.encoder.name == str(TINY)


def test_another_encoder_is_refused(folder, tmp_path_factory):
    other = LogEncoder.from_pretrained(make_checkpoint(tmp_path_factory.mktemp("other")))
    assert other.hidden_size == tiny_encoder().hidden_size
    for encoder in (other, LogEncoder.from_pretrained()):
        with pytest.raises(CheckpointError, match=r"another encoder \(.*tiny-biglog\), not with .*Give that"):
            AnomalyDetector.from_pretrained(folder, encoder)


@pytest.mark.parametrize("name", [CONFIG, ARRAYS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing. Fit it") as caught:
        load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"\x00" * 9, b"PK\x03\x04" + b"\x00" * 60, None])
@pytest.mark.parametrize("name", [CONFIG, ARRAYS, ESTIMATORS])
def test_a_damaged_file_is_named(folder, name, content):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(CheckpointError, match=f"{name}: .*cannot be loaded.*Fetch or save it again"):
        load(folder)


def test_a_byte_that_turned_over_among_estimators_is_noticed(folder):
    whole = bytearray((folder / ESTIMATORS).read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    (folder / ESTIMATORS).write_bytes(whole)
    with pytest.raises(CheckpointError, match=ESTIMATORS):
        load(folder)


@pytest.mark.parametrize("name", ["schema", "masking_version"])
def test_another_version_is_named(folder, name):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {name: "of tomorrow"}))
    with pytest.raises(CheckpointError, match=rf"{CONFIG}: {name} is 'of tomorrow'.*Fit it again"):
        load(folder)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"a"', "{}"])
def test_json_that_is_no_config_is_an_error(folder, text):
    (folder / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=f"{CONFIG}: schema is None"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["settings", "method", "forms", "kept_forms", "fitted", "accepted", "budget"]
)
@pytest.mark.parametrize("value", [..., None, 7.5, ["x"]])
def test_a_config_without_its_parts_is_an_error(folder, name, value):
    config = json.loads((folder / CONFIG).read_text())
    if (name, value) == ("accepted", ["x"]) or (name, value) == ("budget", 7.5):
        return
    config.pop(name) if value is ... else config.update({name: value})
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="the detector cannot be loaded") as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_features_and_methods_of_another_version_are_an_error(folder):
    config = json.loads((folder / CONFIG).read_text())
    method = config["method"] | {"features": {"names": ["colour"], "scale": {"colour": 1.0}}}
    for change in ({"method": method}, {"settings": config["settings"] | {"more": 1}}):
        (folder / CONFIG).write_text(json.dumps(config | change))
        with pytest.raises(CheckpointError, match="the detector cannot be loaded"):
            load(folder)


@pytest.mark.parametrize("cut", [False, True])
def test_arrays_that_do_not_belong_together_are_an_error(folder, cut):
    arrays = load_file(folder / ARRAYS)
    names = [name for name in arrays if name.startswith(("kept.", "known.", "calibration."))]
    assert len(names) == 7
    for name in names:
        others = {key: array for key, array in arrays.items() if key != name}
        if cut and name == "calibration.normal":
            continue
        save_file(others | ({name: arrays[name][:-1].copy()} if cut else {}), folder / ARRAYS)
        with pytest.raises(CheckpointError, match="the detector cannot be loaded"):
            load(folder)


class Foreign:
    """What no detector has."""


def test_foreign_objects_are_not_loaded(folder):
    skops.io.dump({"estimator": Foreign()}, folder / ESTIMATORS)
    with pytest.raises(CheckpointError, match=rf"{ESTIMATORS}: it holds objects of .*Foreign.*you trust"):
        load(folder)


def test_what_is_no_detector(tmp_path):
    for name in (tmp_path / "nowhere", str(tmp_path / "nowhere"), "./nowhere", "nowhere"):
        with pytest.raises(CheckpointError, match="there is no such folder"):
            AnomalyDetector.from_pretrained(name)
    with pytest.raises(CheckpointError, match=rf"{CONFIG} is missing"):
        AnomalyDetector.from_pretrained(TINY)


UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo("acme/bare")
for folder in sys.argv[1:]:
    name = "acme/" + folder.split("/")[-1]
    HfApi().create_repo(name)
    HfApi().upload_folder(repo_id=name, folder_path=folder)
"""

FETCH = """
import json, sys
import polars as pl
from biglog import AnomalyDetector
from biglog.errors import CheckpointError
table, said = pl.DataFrame({"normal_forms": json.loads(sys.argv[1])}), {}
for name in ("acme/knn", "acme/event_set", "acme/none", "acme/bare"):
    try:
        detector = AnomalyDetector.from_pretrained(name, revision="main")
        said[name] = [detector.chosen_method, detector.detect(table)["anomaly_score"].to_list()]
    except CheckpointError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_a_hub_id_is_a_detector(tmp_path):
    # Rules have no estimators: that file need not be there.
    names = ("knn", "event_set")
    for name in names:
        fitted(name).save_pretrained(tmp_path / name)
    (tmp_path / "empty").mkdir()

    def run(code, *words, token=None):
        env, command = (
            server.client_environment(tmp_path / "home", token),
            [sys.executable, "-c", code, *words],
        )
        done = subprocess.run(command, env=env, cwd=tmp_path / "empty", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with HubServer({"hf_writer": User("acme")}) as server:
        run(UPLOAD, *(str(tmp_path / name) for name in names), token="hf_writer")
        said = json.loads(run(FETCH, json.dumps(ODD)).splitlines()[-1])
    for name in names:
        expected = fitted(name).detect(pl.DataFrame({"normal_forms": ODD}))["anomaly_score"].to_list()
        assert said[f"acme/{name}"] == [name, pytest.approx(expected, abs=1e-6)]
    assert "no such model on the Hub" in said["acme/none"]
    assert "acme/bare: this repository holds no detector. Give the id" in said["acme/bare"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="the detector cannot be written"):
        fitted("event_set").save_pretrained(tmp_path / "file")


def test_a_copied_folder_is_the_same_detector(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(folder, other)
    assert load(other).detect(TESTED).equals(fitted("knn").detect(TESTED))
