"""The evaluation of failure prediction: what it reads, how it parts applications, what its figures say."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from checkpoints import tiny_encoder
from data_path import DATA, needs_data
from failure_logs import lines_and_failures

from biglog.errors import InputError
from biglog.evaluation.failure.classes import NOTHING, experiments, read_experiments
from biglog.evaluation.failure.in_time import Split, run_predictor
from biglog.evaluation.failure.running import evaluate_failure
from biglog.evaluation.failure.systems import IN_TIME, OF_CLASSES, OF_PREFIXES, means
from biglog.evaluation.figures.failure import failure, failure_in_short
from biglog.tasks.failure.histories import histories
from biglog.tasks.failure.moments import moments, read_failures, read_lines
from biglog.tasks.failure.predictors import Predictor


def encode(forms):
    return tiny_encoder().encode_normal_forms(forms)


def test_a_run_on_moments_of_a_log():
    lines, failures = lines_and_failures()
    table = moments(
        read_lines(lines), read_failures(failures), history_seconds=3300, horizon_seconds=3600
    ).with_columns(pl.lit(False).alias("maintenance"))
    half = len(table) // 2
    splits = [Split(part, histories(part, encode=encode)) for part in (table[:half], table[half:])]
    fitted = Predictor("reduced").fit(splits[0].seen, splits[0].labels)
    listed = read_failures(failures)
    incidents = (listed["group_id"].to_numpy(), listed["time"].to_numpy() / 1e6)
    found = run_predictor(fitted, splits[0], splits[1], 3600, incidents)
    assert found["mcc"] == found["average_precision"] == found["auroc"] == 1.0
    assert found["incident_recall"]["0"] == 1.0
    assert found["incidents"] + found["incidents_unseen"] == len(failures)
    assert found["false_alarms_per_day"] == 0.0
    assert found["distinct"]["anomalies"] < found["failures"]


def test_experiments_are_lines_without_order(tmp_path):
    counts = pl.DataFrame({"nova_GET_200": [2, 0], "nova_GET_500": [1, 0]})
    seen = experiments(counts, encode)
    assert seen.groups.ids.to_list() == ["0", "1"]
    lines = seen.groups.forms.gather(seen.groups.sequence(0)).to_list()
    assert sorted(lines) == ["nova_GET_200", "nova_GET_200", "nova_GET_500"]
    assert seen.groups.forms.gather(seen.groups.sequence(1)).to_list() == [NOTHING]
    assert len(np.unique(seen.vectors, axis=0)) == 3, "status codes are not masked"
    with pytest.raises(InputError, match=r"SEQ\.tsv"):
        read_experiments(tmp_path)
    counts.write_csv(tmp_path / "SEQ.tsv", separator="\t")
    (tmp_path / "Failure_Labels.txt").write_text("1\n")
    with pytest.raises(InputError, match="1 labels for 2 experiments"):
        read_experiments(tmp_path)


def test_means_of_runs():
    runs = [{"a": 1.0, "in": {"b": 2}, "none": None}, {"a": 3.0, "in": {"b": 2}, "none": None}]
    assert means(runs) == {"a": {"mean": 2.0, "sd": 1.0}, "in": {"b": {"mean": 2.0, "sd": 0.0}}}


def test_missing_data(tmp_path):
    with pytest.raises(InputError, match=r"HPC\.log\.gz is missing"):
        evaluate_failure(tmp_path, lambda domain, seed: encode, [0])


def value(mean):
    return {"mean": mean, "sd": 0.0}


def test_a_null_gain_is_called_one():
    def systems(ours):
        return {
            "counts, LR": {"means": {"macro_f1": value(0.9)}},
            "BigLog, trees": {"means": {"macro_f1": value(ours)}},
        }

    result = {
        "seeds": [0],
        "OpenStack": {"NET": {"systems": systems(0.9)}, "STO": {"systems": systems(0.95)}},
    }
    told = failure_in_short(result)
    assert "NET: macro-F1 0.900 (BigLog, trees) beside 0.900 (counts, LR): no gain" in told
    assert "STO: macro-F1 0.950 (BigLog, trees) beside 0.900 (counts, LR): a gain of 0.050" in told


def test_every_set_of_systems_has_trivial_ones_and_ours():
    for systems in (IN_TIME, OF_CLASSES, OF_PREFIXES):
        names = [system.name for system in systems]
        assert len(set(names)) == len(names)
        assert any(name.startswith("BigLog") for name in names)
        assert systems[0].settings == (("base_rate", None),)


@needs_data
def test_bgl_as_a_whole_and_its_figures(tmp_path):
    result = evaluate_failure(DATA, lambda domain, seed: encode, [0], ["BGL"])
    found = result["BGL"]
    assert found["rows"]["test"]["failures"] == 3
    assert found["episodes_in_all"] == 18
    rate = found["systems"]["base rate"]["means"]
    assert rate["auroc"]["mean"] == 0.5
    assert rate["episodes_foretold"]["mean"] == 0
    text = failure(json.loads(json.dumps(result)))
    assert "18 episodes" in text
    assert "| base rate | 0.00 | 2.00 |" in text
