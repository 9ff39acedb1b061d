"""Results as JSON: what is written is read, and what is wrong is named."""

import copy
import json
import math

import pytest
from evaluation_samples import RESULTS, ROW
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.evaluation.results import (
    EXPOSURES,
    KINDS,
    METRICS,
    SCHEMA,
    Figure,
    ModelResults,
    TaskResult,
    parse_results,
    read_all,
    read_results,
    write_results,
)

WORDS = st.text(min_size=1).filter(str.strip)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda one: st.lists(one))


@st.composite
def figures(draw, name):
    low, high, _, _ = METRICS[name]
    mean = draw(st.floats(low, min(high, 1e6), allow_nan=False))
    return Figure(mean, draw(st.floats(0, 1e3)), draw(st.integers(1, 99)))


@st.composite
def rows(draw, name):
    metrics = draw(st.lists(st.sampled_from(sorted(METRICS)), min_size=1, unique=True))
    return TaskResult(
        task=f"anomaly/{name}",
        task_version=draw(st.integers(1, 9)),
        split=draw(WORDS),
        protocol=draw(WORDS),
        ground_truth_version=draw(WORDS),
        data=draw(st.dictionaries(st.text(), st.text(), max_size=2)),
        metrics={one: draw(figures(one)) for one in metrics},
        main_metric=metrics[0],
        seeds=draw(st.lists(st.integers(0, 9), min_size=1, max_size=3)),
        exposure=draw(st.sampled_from(EXPOSURES)),
        lines=draw(st.integers(0, 10**9)),
        wall_seconds=draw(st.floats(0, 1e6)),
        details=draw(st.dictionaries(st.text(), JSON, max_size=2)),
    )


@st.composite
def models(draw):
    names = draw(st.lists(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True), max_size=3, unique=True))
    return ModelResults(
        draw(WORDS),
        draw(st.sampled_from(KINDS)),
        tuple(draw(rows(name)) for name in names),
        source=draw(st.text()),
        parameters=draw(st.none() | st.integers(0, 10**12)),
        versions=draw(st.dictionaries(st.text(), st.text(), max_size=2)),
    )


@given(models())
def test_what_is_written_is_read(results):
    told = json.loads(json.dumps(results.to_dict()))
    assert parse_results(told) == results


def test_a_file_is_read_as_it_was_written(tmp_path):
    write_results(tmp_path / "mine.json", RESULTS)
    assert read_results(tmp_path / "mine.json") == RESULTS
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_all_models_of_a_folder_are_read_and_other_json_is_not(tmp_path):
    write_results(tmp_path / "mine.json", RESULTS)
    (tmp_path / "other.json").write_text('{"schema": "biglog-anomaly/1"}')
    assert read_all(tmp_path) == [RESULTS]
    assert read_all(tmp_path / "nowhere") == []


def changed(path, value):
    told = copy.deepcopy(RESULTS.to_dict())
    told["results"] = list(told["results"])
    place = told
    for step in path[:-1]:
        place = place[step]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return told


FIRST = ("results", 0)
WRONG = [
    (("schema",), "biglog.result/0", "schema is 'biglog.result/0'"),
    (("schema",), KeyError, "schema is None"),
    (("name",), " ", "name is ' ', and no text"),
    (("kind",), "toy", "kind is 'toy', and none of encoder, baseline, system"),
    (("colour",), "red", "colour is no field"),
    (("name",), KeyError, "name is missing"),
    (("parameters",), -1, "parameters is -1, and no count"),
    (("parameters",), "many", "parameters is 'many', and no count"),
    (("results",), {}, "results is no list"),
    (FIRST, 3, r"results\[0\] is no object"),
    ((*FIRST, "task"), "BGL", r"results\[0\].task is 'BGL'"),
    ((*FIRST, "task"), KeyError, r"results\[0\].task is missing"),
    (("source",), 3, "source is 3, and no text"),
    (("versions",), "1.0", "versions is '1.0', and no object"),
    ((*FIRST, "task_version"), "1", r"results\[0\].task_version is '1', and no count"),
    ((*FIRST, "lines"), -5, r"results\[0\].lines is -5, and no count"),
    ((*FIRST, "wall_seconds"), "long", r"results\[0\].wall_seconds is 'long', and no number"),
    ((*FIRST, "data"), [], r"results\[0\].data is \[\], and no object of checksums"),
    ((*FIRST, "details"), 1, r"results\[0\].details is 1, and no object"),
    ((*FIRST, "seeds"), 0, r"results\[0\].seeds is 0, and no list of integers"),
    ((*FIRST, "seeds"), [0, "a"], r"results\[0\].seeds\[1\] is 'a', and no count"),
    ((*FIRST, "split"), None, r"results\[0\].split is None, and no text"),
    ((*FIRST, "protocol"), "", r"results\[0\].protocol"),
    ((*FIRST, "ground_truth_version"), 2, r"results\[0\].ground_truth_version"),
    ((*FIRST, "exposure"), "some", r"results\[0\].exposure is 'some'"),
    ((*FIRST, "extra"), 1, r"results\[0\].extra is no field"),
    ((*FIRST, "metrics"), {}, r"results\[0\].metrics has no metric"),
    ((*FIRST, "main_metric"), "auroc", r"results\[0\].main_metric is 'auroc'"),
    ((*FIRST, "metrics", "beauty"), {"mean": 1.0}, r"results\[0\].metrics.beauty is 'beauty'"),
    ((*FIRST, "metrics", "f1"), 0.5, r"results\[0\].metrics.f1 is no object"),
    ((*FIRST, "metrics", "f1", "mean"), 1.5, r"results\[0\].metrics.f1.mean is 1.5, out of 0 to 1"),
    ((*FIRST, "metrics", "f1", "mean"), -0.1, r"results\[0\].metrics.f1.mean is -0.1, out of 0 to 1"),
    ((*FIRST, "metrics", "f1", "mean"), math.nan, r"results\[0\].metrics.f1.mean is nan, and no number"),
    ((*FIRST, "metrics", "f1", "mean"), True, r"results\[0\].metrics.f1.mean is True, and no number"),
    ((*FIRST, "metrics", "f1", "mean"), KeyError, r"results\[0\].metrics.f1.mean is missing"),
    ((*FIRST, "metrics", "f1", "sd"), -1.0, r"results\[0\].metrics.f1 has a negative deviation"),
    ((*FIRST, "metrics", "f1", "runs"), 0, r"results\[0\].metrics.f1 has"),
    ((*FIRST, "metrics", "f1", "low"), 0.1, r"results\[0\].metrics.f1.low is no field"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG)
def test_what_is_wrong_is_named(path, value, said):
    with pytest.raises(InputError, match=said):
        parse_results(changed(path, value), "mine.json")


def test_a_task_stands_once():
    told = RESULTS.to_dict()
    told["results"] = [*told["results"], told["results"][0]]
    with pytest.raises(InputError, match=r"results\[1\] repeats the task 'anomaly/bgl-windows-20'"):
        parse_results(told)


def test_what_is_wrong_is_not_written(tmp_path):
    wrong = ModelResults("mine", "toy", ())
    with pytest.raises(InputError, match="kind is 'toy'"):
        write_results(tmp_path / "mine.json", wrong)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(InputError, match=r"mine.json: this record cannot be read"):
        read_results(tmp_path / "mine.json")


def test_speed_is_of_all_runs_and_rows_compare_by_what_they_are_of():
    assert ROW.lines_per_second == 100 * 3 / 2.0
    assert TaskResult(**(vars(ROW) | {"wall_seconds": 0.0})).lines_per_second is None
    assert ROW.comparable == ("anomaly/bgl-windows-20", 1, "the rest", "unsupervised", "alert column")


def test_results_of_here_say_where_and_when():
    here = RESULTS.here()
    assert here.results == RESULTS.results
    assert here.hardware["cores"] >= 1
    assert here.versions["biglog"]
    assert here.to_dict()["schema"] == SCHEMA
