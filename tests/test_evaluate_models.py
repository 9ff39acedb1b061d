"""Models measured on tasks: kept, gone on with, told beside others, measured anew."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from checkpoints import TINY
from command import failed, runner
from data_path import DATA, needs_data
from evaluation_samples import RESULTS, ROW, windows_task, write_bgl

from biglog.errors import CheckpointError, InputError
from biglog.evaluate_terminal import beside
from biglog.evaluated_models import model_subject
from biglog.evaluation import reproducing
from biglog.evaluation.baselines import BASELINES, baseline
from biglog.evaluation.evaluate import Run, code_checksum, evaluate
from biglog.evaluation.measuring.measured import Measured
from biglog.evaluation.measuring.parsing import measure_parsing
from biglog.evaluation.reproducing import compare, reproduce, told
from biglog.evaluation.results import Figure, ModelResults, read_results, write_results
from biglog.evaluation.tasks.reading import all_tasks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, windows_task(write_bgl(folder))


@pytest.fixture(scope="module")
def tiny():
    return model_subject(str(TINY))


# -- evaluating --


def test_an_encoder_is_measured_and_the_result_says_on_what(made, tiny, tmp_path):
    folder, task = made
    out = tmp_path / "tiny.json"
    results = evaluate(tiny, [task], Run(folder, out=out))
    assert read_results(out) == results
    (row,) = results.results
    assert row.comparable == (task.id, 1, task.split, task.protocol, task.ground_truth_version)
    assert row.data == task.files
    assert row.metrics["f1"] == Figure(1.0)
    assert row.seeds == [0], "nothing is drawn: one run"
    assert row.lines == 5400
    assert row.details["set"]["anomalies"] == 2
    assert row.exposure == "none"
    assert (results.kind, results.source) == ("encoder", str(TINY))
    assert results.parameters > 1000
    assert len(results.revision) == 64


def test_a_task_that_is_there_is_not_measured_again(made, tmp_path):
    folder, task = made
    out, said = tmp_path / "rule.json", []
    run = Run(folder, out=out, say=said.append)
    rule = baseline("new-event")
    first = evaluate(rule, [task], run)
    assert evaluate(rule, [task], run) == replace(first, hardware={}, versions={}, git=None, date="")
    assert said[-1].endswith("is there")
    again = evaluate(rule, [task], replace(run, again=True))
    assert not said[-1].endswith("is there")
    assert again.results[0].metrics == first.results[0].metrics
    for changed in (replace(task, version=2), replace(task, seeds=(3,))):
        evaluate(rule, [changed], run)
        assert not said[-1].endswith("is there")


def test_what_other_code_or_weights_measured_is_measured_again(made, tmp_path):
    folder, task = made
    out, said = tmp_path / "rule.json", []
    run = Run(folder, out=out, say=said.append)
    rule = baseline("new-event")
    first = evaluate(rule, [task], run)
    old = replace(first.results[0], details={"code": "old"})
    write_results(out, replace(first, results=(old, replace(old, task="anomaly/other"))))
    found = evaluate(rule, [task], run)
    assert [row.details["code"] for row in found.results] == [code_checksum(), "old"]
    other = model_subject("new-event")
    newer = evaluate(replace(other, revision="new"), [task], run)
    assert [row.task for row in newer.results] == [task.id], "figures of other weights are not kept"


def test_a_killed_run_goes_on(made, tmp_path):
    folder, task = made
    broken = replace(task, id="anomaly/broken", metrics=("auroc", "accuracy"), main_metric="auroc")
    out, rule = tmp_path / "rule.json", baseline("new-event")
    with pytest.raises(InputError, match="accuracy is undefined in 1 of 1 runs"):
        evaluate(rule, [task, broken], Run(folder, out=out))
    assert [row.task for row in read_results(out).results] == [task.id]


def test_what_is_drawn_has_a_run_a_seed(made):
    folder, task = made
    drawn, rule = baseline("isolation-forest"), baseline("new-event")
    assert drawn.seeds_of(task, [5, 6, 7]) == [5, 6, 7]
    assert rule.seeds_of(task, [5, 6, 7]) == [5]
    assert rule.seeds_of(replace(task, drawn=True), [5, 6, 7]) == [5, 6, 7]
    (row,) = evaluate(rule, [replace(task, drawn=True)], Run(folder)).results
    assert row.seeds == [0, 1]
    assert row.metrics["f1"] == Figure(row.metrics["f1"].mean, 0.0, 2)
    (row,) = evaluate(rule, [task], Run(folder, seeds=[3])).results
    assert row.seeds == [3]


def test_what_was_made_elsewhere_has_no_speed(made):
    folder, task = made
    said = []
    (row,) = evaluate(
        replace(baseline("new-event"), timed=False), [task], Run(folder, say=said.append)
    ).results
    assert row.wall_seconds == 0.0
    assert row.lines_per_second is None
    assert said[0].endswith("over 1)")


def test_progress_is_told_task_by_task(made):
    folder, task = made
    seen = []
    tasks = [task, replace(task, id="anomaly/again")]
    evaluate(
        baseline("new-event"), tasks, Run(folder, progress=lambda done, total: seen.append((done, total)))
    )
    assert seen == [(1, 2), (2, 2)]


def test_results_of_another_model_are_not_overwritten(made, tmp_path):
    folder, task = made
    write_results(tmp_path / "mine.json", RESULTS)
    with pytest.raises(InputError, match=r"mine.json: name is 'mine', and 'new-event' is measured"):
        evaluate(baseline("new-event"), [task], Run(folder, out=tmp_path / "mine.json"))
    (tmp_path / "old.json").write_text(json.dumps({"schema": "biglog.result/0"}))
    with pytest.raises(InputError, match=r"old.json: schema is 'biglog.result/0'"):
        evaluate(baseline("new-event"), [task], Run(folder, out=tmp_path / "old.json"))


def test_a_model_that_takes_no_task_is_told(made):
    folder, task = made
    with pytest.raises(InputError, match="drain3 takes none of these tasks"):
        evaluate(baseline("drain3"), [task], Run(folder))


def test_runs_are_averaged_and_an_undefined_figure_is_no_figure():
    measured = Measured([{"f1": 0.0}, {"f1": 1.0}], 3)
    assert measured.figures(["f1"]) == {"f1": Figure(0.5, 0.5, 2)}
    with pytest.raises(InputError, match="f1 is undefined in 1 of 2 runs"):
        Measured([{"f1": 0.0}, {"f1": float("nan")}], 3).figures(["f1"])


# -- who is measured --


@pytest.mark.parametrize("name", [n for n in BASELINES if n not in ("minilm-l6",) and "logparser3" not in n])
def test_every_baseline_is_made(name):
    made = baseline(name)
    assert made.name == name
    assert made.source
    assert any(made.takes_task(task) for task in all_tasks().values())


def test_a_baseline_that_is_none_is_told_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"there is no baseline 'drain'\. Did you mean drain3"):
        baseline("drain")
    with pytest.raises(InputError, match=r"t.json: no templates of logparser3's parsers. `make peers`"):
        baseline("logparser3-drain", tmp_path / "t.json")


def test_a_name_that_is_nothing_is_told_with_the_nearest_baseline():
    with pytest.raises(CheckpointError, match=r"tfidf-word: .*; nor a baseline\. Did you mean tfidf-words\?"):
        model_subject("tfidf-word")
    with pytest.raises(CheckpointError, match="the Hub cannot be reached"):
        model_subject("something-else")


def test_a_checkpoint_that_cannot_be_loaded_is_named(tmp_path):
    shutil.copytree(TINY, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="damaged: the checkpoint cannot be loaded"):
        model_subject(str(tmp_path / "damaged"))
    with pytest.raises(CheckpointError, match="no such folder"):
        model_subject(str(tmp_path / "nowhere"))


def test_any_model_in_a_folder_is_mean_pooled(tmp_path):
    subject = model_subject(f"mean-pooled:{TINY}")
    assert (subject.name, subject.kind) == (TINY.name, "encoder")
    encode = subject.encode("BGL", 0)
    vectors = encode(pl.Series(["cache parity error", "cache parity error", "torus [NUM]"]))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2])
    with pytest.raises(InputError, match=r"config\.json is missing"):
        model_subject(f"mean-pooled:{tmp_path}")


def test_folds_read_what_each_left_out(tmp_path):
    for fold, seed, names in ((0, 0, ["BGL"]), (1, 0, ["HDFS"]), (0, 1, ["BGL"]), (1, 1, ["HDFS"])):
        folder = tmp_path / f"fold{fold}-seed{seed}"
        shutil.copytree(TINY, folder / folder.name)
        (folder / "record.json").write_text(json.dumps({"name": folder.name, "held_out_domains": names}))
    subject = model_subject(str(tmp_path), called="folds")
    by_reader = subject.by_reader(["BGL", "HDFS"], [0, 1, 2])
    assert sorted(by_reader.values()) == [[0, 2], [0, 2], [1], [1]]
    assert sorted(domains for _, domains in by_reader) == [("BGL",), ("BGL",), ("HDFS",), ("HDFS",)]
    assert subject.exposure(all_tasks()["probes/contents"]) == "left_out"
    with pytest.raises(InputError, match="no fold of seed 0 left HPC out"):
        subject.encode("HPC", 0)
    for path in tmp_path.glob("*/record.json"):
        path.unlink()
    with pytest.raises(InputError, match="no fold of these has left a domain out"):
        model_subject(str(tmp_path))


def test_the_embedded_checkpoint_has_seen_the_tests_and_its_parser_is_taught_anew():
    subject, tasks = model_subject(), all_tasks()
    assert subject.name == "biglog-mini"
    assert subject.exposure(tasks["probes/contents"]) == "test"
    assert subject.exposure(tasks["parsing/loghub-2k"]) == "left_out"
    assert subject.seeds_of(tasks["parsing/loghub-2k"], [0, 1]) == [0, 1]
    assert subject.seeds_of(tasks["anomaly/bgl-windows-20"], [0, 1]) == [0]


# -- real tasks, in small --


@needs_data
def test_parsers_are_scored_on_domains():
    task = replace(all_tasks()["parsing/loghub-2k"], domains=("Apache", "HDFS"))
    measured = measure_parsing(task, DATA, baseline("rule"), [0])
    assert measured.lines == 4000
    domains = measured.details["domains"]
    assert set(domains) == {"Apache", "HDFS"}
    mean = (domains["Apache"]["GA"] + domains["HDFS"]["GA"]) / 2
    assert measured.figures(task.metrics)["GA"].mean == pytest.approx(mean)


@needs_data
def test_probes_are_measured_seed_by_seed(tiny):
    tasks = all_tasks()
    events = replace(tasks["probes/novel-keys"], domains=("Apache", "HDFS"))
    both = evaluate(tiny, [events, tasks["probes/unseen-alerts"]], Run(DATA, seeds=[0, 1])).results
    assert [row.metrics[row.main_metric].runs for row in both] == [2, 2]
    alone = evaluate(tiny, [events], Run(DATA, seeds=[1])).results[0]
    first = evaluate(tiny, [events], Run(DATA, seeds=[0])).results[0]
    mean = (alone.metrics["accuracy"].mean + first.metrics["accuracy"].mean) / 2
    assert both[0].metrics["accuracy"].mean == pytest.approx(mean)


# -- told beside others --


def test_others_stand_beside_a_row_if_it_was_measured_alike():
    def other(name, f1, **changed):
        row = replace(ROW, metrics={"f1": Figure(f1)}, **changed)
        return ModelResults(name, "baseline", (row,))

    others = [
        other("a", 0.1),
        other("b", 0.3),
        other("c", 0.2),
        other("d", 0.2),
        RESULTS,
        other("e", 0.9, protocol="supervised"),
        other("f", 0.9, task_version=2),
        other("g", 0.9, split="all"),
        other("h", 0.9, ground_truth_version="other"),
    ]
    assert beside(ROW, "mine", others) == [("b", 0.3), ("c", 0.2), ("d", 0.2)]


# -- measured anew --


def test_figures_are_compared_with_those_committed():
    for value, state in ((0.5, "equal"), (0.504, "near"), (0.496, "near"), (0.506, "differs")):
        new = replace(ROW, metrics=ROW.metrics | {"f1": Figure(value)})
        found = {one.metric: one.state for one in compare("mine", ROW, new)}
        assert found == {"f1": state, "average_precision": "equal"}


def test_committed_results_are_measured_anew(made, tmp_path, monkeypatch):
    folder, task = made
    task = replace(task, drawn=True)
    other = replace(task, id="anomaly/gone")
    monkeypatch.setattr(reproducing, "all_tasks", lambda: {task.id: task})
    committed, scratch = tmp_path / "committed", tmp_path / "scratch"
    for name in ("new-event", "event-set"):
        evaluate(baseline(name), [task, other], Run(folder, out=committed / f"{name}.json"))
    write_results(committed / "mine.json", replace(RESULTS, results=()))

    same = reproduce(committed, folder, scratch, model_subject)
    assert same["states"] == {"equal": 4, "near": 0, "differs": 0}
    assert same["stale"] == ["event-set, anomaly/gone", "new-event, anomaly/gone"]
    assert list(same["not_run"]) == ["mine"]
    assert same["spread"]["rows_over_seeds"] == 2
    assert "4 figures: 4 equal" in told(same)

    results = read_results(committed / "new-event.json")
    row = next(one for one in results.results if one.task == task.id)
    wrong = replace(row, metrics=row.metrics | {"f1": Figure(row.metrics["f1"].mean - 0.1)})
    write_results(committed / "new-event.json", replace(results, results=(wrong,)))
    found = reproduce(committed, folder, scratch, model_subject, go_on=True)
    (off,) = found["differing"]
    assert (off["model"], off["metric"], off["state"]) == ("new-event", "f1", "differs")
    assert off["found"] - off["committed"] == pytest.approx(0.1)
    assert "+0.1000" in told(found)


def test_without_committed_results_nothing_is_measured(tmp_path):
    with pytest.raises(InputError, match="no results here"):
        reproduce(tmp_path, tmp_path, tmp_path / "scratch", model_subject)


# -- the command --


@pytest.fixture
def biglog(capfd, monkeypatch):
    return runner(capfd, monkeypatch, "evaluate")


def test_the_command_lists_tasks_and_baselines(biglog):
    shown = biglog("--list")
    assert shown.code == 0
    for name in (*all_tasks(), "tfidf-words"):
        assert name in shown.out
    told_ = json.loads(biglog("--list", "--json").out)
    assert [task["id"] for task in told_["tasks"]] == list(all_tasks())
    assert told_["baselines"] == list(BASELINES)


@needs_data
def test_the_command_measures_and_shows_a_model_beside_others(biglog, tmp_path):
    words = ("--tasks", "anomaly/thunderbird-windows-100", "--data", DATA)
    first = biglog("--model", "new-event", *words, "--out", tmp_path / "new-event.json")
    assert first.code == 0
    second = biglog("--model", TINY, *words, "--out", tmp_path / "tiny.json", "--seeds", 0, 1)
    assert second.code == 0
    assert "new-event 0." in second.out
    assert "lines/s" in second.err
    row = read_results(Path(tmp_path / "tiny.json")).results[0]
    assert f"{row.metrics['f1'].mean:.4f}" in second.out
    as_json = biglog("--model", TINY, *words, "--out", tmp_path / "tiny.json", "--seeds", "0", "--json")
    assert json.loads(as_json.out)["results"][0]["task"] == row.task


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tasks", "anomaly/bgl-window-20"), "Did you mean anomaly/bgl-windows-20?"),
        (("--seeds", "0,b"), "--seeds is '0,b', and no integers"),
        (("--seeds", 0, "b"), "--seeds is '0 b', and no integers"),
        (("new-event",), "what is 'new-event'?"),
        (("--model", "new-event", "--data", "/nowhere"), "/nowhere: no such folder of data"),
        (("--model", "new-event", "--tasks", "parsing"), "new-event takes none of these tasks"),
        (("--model", "/nowhere/model"), "no such folder"),
    ],
)
def test_the_command_says_what_is_wrong(biglog, words, said):
    failed(biglog(*words), said)
