"""Metrics as modules of the `evaluate` library, loaded from a folder without a network."""

from pathlib import Path

import evaluate
import pytest

from biglog.metrics.detection import auroc, average_precision
from biglog.metrics.parsing import Parse, parsing_score

MODULES = Path(__file__).parents[1] / "src" / "biglog" / "evaluation" / "metric_modules"

TOLD = {"predictions": [0, 1, 1, 0], "references": [0, 1, 0, 1]}
SCORES = [0.1, 0.9, 0.8, 0.7]
MOMENTS = {
    "times": [0.0, 600.0, 1200.0, 5000.0],
    "components": ["a", "a", "b", "b"],
    "seconds_to_failure": [float("nan"), 900.0, float("nan"), 60.0],
    "horizon_seconds": 1800.0,
}


def load(name):
    return evaluate.load(str(MODULES / name))


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    # One folder for all: what is imported from it stays a package of this process.
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", folder / "modules")
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", str(folder / "metrics"))
        yield


def test_every_module_is_a_folder_of_its_name():
    assert {path.name for path in MODULES.iterdir() if path.is_dir() and path.name[0] != "_"} == {
        "biglog_parsing",
        "biglog_detection",
        "biglog_prediction",
    }
    for path in MODULES.glob("biglog_*"):
        assert (path / f"{path.name}.py").is_file()


def test_parsing_is_scored_as_the_library_does():
    truth, parsed = ["up <*>", "up <*>", "down"], ["up <*>", "up <*>", "<*>"]
    found = load("biglog_parsing").compute(predictions=parsed, references=truth)
    assert found == parsing_score(Parse.of(truth), Parse.of(parsed)).as_dict()
    assert found["GA"] == 1.0
    assert found["PA"] == pytest.approx(2 / 3)


def test_detection_is_scored_with_scores_and_without():
    metric = load("biglog_detection")
    alarms = metric.compute(**TOLD)
    assert alarms == {"f1": 0.5, "precision": 0.5, "recall": 0.5, "false_alarm_rate": 0.5, "mcc": 0.0}
    both = metric.compute(**TOLD, scores=SCORES)
    assert both == alarms | {
        "average_precision": average_precision(TOLD["references"], SCORES),
        "auroc": auroc(TOLD["references"], SCORES),
    }


def test_prediction_is_scored_by_lead_time():
    found = load("biglog_prediction").compute(**TOLD, **MOMENTS, lead_times=(0.0, 600.0, 1000.0))
    assert found["incidents"] == 2
    assert (found["recall_at_0"], found["recall_at_600"], found["recall_at_1000"]) == (0.5, 0.5, 0.0)
    assert found["false_alarms_per_day"] > 0


def test_modules_take_one_batch_after_the_other():
    metric = load("biglog_parsing")
    for text in ("up <*>", "down"):
        metric.add_batch(predictions=[text], references=[text])
    assert metric.compute()["FTA"] == 1.0


def test_modules_are_combined():
    combined = evaluate.combine([load("biglog_detection"), load("biglog_prediction")])
    found = combined.compute(**TOLD, **MOMENTS, scores=SCORES)
    assert found["f1"] == 0.5
    assert found["recall_at_600"] == 0.5
    assert found["auroc"] == auroc(TOLD["references"], SCORES)
