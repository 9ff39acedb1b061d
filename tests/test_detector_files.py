"""A detector in files: it comes back as it was, from a folder or a Hub, and what is damaged is told."""

import json
import shutil
import subprocess
import sys

import polars as pl
import pytest
import skops.io
from anomaly_samples import ODD, sessions
from checkpoints import TINY, tiny_encoder
from fitted_detectors import NAMES, NOVEL, TESTED, TRAIN, fit, fitted
from hub_checkpoints import make_checkpoint
from hub_server import HubServer
from hub_wire import User
from safetensors.numpy import load_file, save_file

from biglog import AnomalyDetector
from biglog.errors import CheckpointError, OutputError
from biglog.inference.encoder import LogEncoder
from biglog.tasks.anomaly.methods import SUPERVISED
from biglog.tasks.anomaly.saving import ARRAYS, CONFIG, ESTIMATORS


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
