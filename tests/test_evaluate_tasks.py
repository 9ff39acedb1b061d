"""Tasks as their files describe them, and what a model's pretraining saw of them."""

import copy
from pathlib import Path

import pytest
import yaml
from data_path import DATA, needs_data
from evaluation_samples import BGL, windows_task, write_bgl
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.evaluation.baselines import BASELINES
from biglog.evaluation.exposure import _without, exposure, read_record
from biglog.evaluation.measuring.registry import MEASURES
from biglog.evaluation.tasks import reading
from biglog.evaluation.tasks.reading import KINDS, all_tasks, check_data, parse_task, read_task, select
from biglog.training.folds import folds

FOLDER = Path(reading.__file__).parent
WINDOWS = FOLDER / "anomaly-bgl-windows-20.yaml"


def test_the_tasks_of_the_package_name_what_is_there():
    tasks = all_tasks()
    assert {task.kind for task in tasks.values()} == set(KINDS)
    for task in tasks.values():
        assert task.measure in MEASURES
        assert set(task.baselines) <= set(BASELINES)
        if "folds" in task.options:
            assert task.options["folds"] == [list(fold) for fold in folds()]


def test_every_baseline_takes_part_somewhere():
    assert {name for task in all_tasks().values() for name in task.baselines} == set(BASELINES)


@needs_data
def test_data_of_a_task_are_those_that_its_file_names():
    check_data(select(["anomaly/thunderbird-windows-20", "probes/unseen-alerts"]), DATA)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("schema", "biglog.task/0", "schema is 'biglog.task/0'"),
        ("colour", "red", "colour is no field"),
        ("split", KeyError, "split is missing"),
        ("version", "1", "version is '1', and no integer"),
        ("version", True, "version is True, and no integer"),
        ("version", 0, "version is less than 1"),
        ("id", "anomaly/BGL", "id is not such as"),
        ("id", "anomaly/bgl-windows-21", "id does not go with the file's name"),
        ("kind", "probes", "kind is 'probes', and not what its id begins with"),
        ("scale", "huge", "scale is 'huge', and none of small, large"),
        ("main_metric", "accuracy", "main_metric is 'accuracy', not one of metrics"),
        ("metrics", ["f1", "beauty"], "metrics has 'beauty'"),
        ("seeds", [], "seeds names none"),
        ("seeds", ["a"], "seeds has what is no integer"),
        ("files", {}, "files names none"),
        ("files", {"a.log": "123"}, "files.a.log is '123', and no SHA-256"),
        ("domains", ["BGLL"], "BGLL"),
    ],
)
def test_what_is_wrong_in_a_task_is_named(field, value, said):
    told = yaml.safe_load(WINDOWS.read_text())
    if value is KeyError:
        del told[field]
    else:
        told[field] = value
    with pytest.raises(InputError, match=said):
        parse_task(copy.deepcopy(told), WINDOWS)


def test_a_file_that_is_no_task_is_named(tmp_path):
    for text in ("- 1\n", "a: [", "\x00"):
        (tmp_path / "task.yaml").write_text(text)
        with pytest.raises(InputError, match=r"task\.yaml: this task"):
            read_task(tmp_path / "task.yaml")


def test_tasks_are_chosen_by_id_kind_and_scale():
    every = list(all_tasks())
    assert [task.id for task in select([])] == every
    assert [task.id for task in select(["small", "large"])] == every
    assert {task.kind for task in select(["probes"])} == {"probes"}
    assert [task.id for task in select(["probes", "probes/contents"])] == [
        task.id for task in select(["probes"])
    ]
    with pytest.raises(InputError, match=r"there is no task 'probes/content'\. Did you mean probes/contents"):
        select(["parsing", "probes/content"])


# -- data --


def test_data_that_are_others_are_named(tmp_path):
    task = windows_task(write_bgl(tmp_path))
    seen = []
    check_data([task], tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]
    with (tmp_path / BGL).open("ab") as opened:
        opened.write(b"more")
    with pytest.raises(InputError, match=rf"{BGL}: its checksum is [0-9a-f]{{64}}, and {task.id} needs"):
        check_data([task], tmp_path)
    (tmp_path / BGL).unlink()
    with pytest.raises(InputError, match=rf"{BGL}: this file of {task.id} is missing"):
        check_data([task], tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder of data"):
        check_data([task], tmp_path / "nowhere")


# -- exposure --


def record(train=(), exclude=(), held_out=()):
    return {"held_out_domains": list(held_out), "arguments": {"train_data": train, "exclude": exclude}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, "none"),
        (record(), "none"),
        (record([f"BGL={BGL}"]), "test"),
        (record([f"BGL={BGL}"], [f"rest={BGL}#14601-"]), "seen"),
        (record([f"BGL={BGL}"], [f"rest={BGL}#60001-"]), "test"),
        (record([f"BGL={BGL}#1-14600"]), "seen"),
        (record([f"BGL={BGL}#1-14601"]), "test"),
        (record(["BGL=anomaly/bgl/*.gz"]), "test"),
        (record(["BGL=raw/other.log"]), "seen"),
        (record(["HDFS=raw/other.log"]), "none"),
        (record([f"BGL={BGL}"], held_out=["BGL", "HDFS"]), "left_out"),
        (record([f"BGL={BGL}"], held_out=["HDFS"]), "test"),
    ],
)
def test_what_was_seen_is_told_by_the_record(told, expected):
    assert exposure(told, windows_task({BGL: "0" * 64})) == expected


def test_the_embedded_checkpoint_has_seen_lines_of_the_samples():
    kept = read_record_of_results()
    tasks = all_tasks()
    assert exposure(kept, tasks["probes/contents"]) == "test"
    assert exposure(kept, tasks["anomaly/bgl-windows-20"]) == "test"
    assert exposure(kept, tasks["failure/openstack"]) == "seen"


def read_record_of_results():
    path = Path(__file__).parents[1] / "results" / "pretrain_biglog-mini.json"
    return yaml.safe_load(path.read_text())


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=4))
def test_ranges_without_others_are_what_is_in_none_of_them(cuts):
    left = _without([(1, 40)], cuts)
    lines = {line for first, last in left for line in range(first, int(last) + 1)}
    assert lines == {n for n in range(1, 41) if not any(first <= n <= last for first, last in cuts)}


def test_a_record_is_that_of_the_checkpoint(tmp_path):
    (tmp_path / "mini").mkdir()
    assert read_record(tmp_path / "mini") is None
    (tmp_path / "record.json").write_text('{"name": "other"}')
    assert read_record(tmp_path / "mini") is None
    (tmp_path / "record.json").write_text('{"name": "mini", "at": 1}')
    assert read_record(tmp_path / "mini") == {"name": "mini", "at": 1}
    (tmp_path / "mini" / "record.json").write_text('{"name": "mine"}')
    assert read_record(tmp_path / "mini") == {"name": "mine"}


def test_an_entry_that_names_no_log_is_told():
    with pytest.raises(InputError, match="'#1-2' names no log"):
        exposure(record(["#1-2"]), windows_task({BGL: "0" * 64}))
