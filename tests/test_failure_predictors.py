"""Predictors: they learn what precedes failures, are saved whole, and refuse what cannot be."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from checkpoints import tiny_encoder
from failure_logs import OMEN, lines_and_failures
from hypothesis import given
from hypothesis import strategies as st

from biglog.errors import CheckpointError, InputError
from biglog.inference.encoder import LogEncoder
from biglog.inference.predictor import FailurePredictor
from biglog.logs.masking import normal_forms
from biglog.metrics.detection import average_precision, confusion
from biglog.tasks.failure.alerts import best_threshold, split_by_time, threshold_of
from biglog.tasks.failure.causes import components, precursors
from biglog.tasks.failure.histories import histories
from biglog.tasks.failure.moments import moments, read_failures, read_lines
from biglog.tasks.failure.predictors import METHODS, Predictor

LEARNT = ("reduced", "shrunk", "linear", "trees", "boosting", "tfidf", "temporal")
OMEN_FORM = normal_forms(pl.Series([OMEN]))[0]


@pytest.fixture(scope="module")
def table():
    lines, failures = lines_and_failures()
    return moments(read_lines(lines), read_failures(failures), history_seconds=3300, horizon_seconds=3600)


@pytest.fixture(scope="module")
def seen(table):
    return histories(table, encode=tiny_encoder().encode_normal_forms)


def predictor(method="reduced", **options):
    return FailurePredictor(tiny_encoder(), method, history_seconds=3300, horizon_seconds=3600, **options)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_and_is_the_same_again(method, seen, table):
    labels = table["is_failure"].to_numpy()
    one, other = (Predictor(method).fit(seen, labels) for _ in range(2))
    proba = one.predict_proba(seen)
    assert proba.shape == (len(seen), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba, other.predict_proba(seen))
    for row in (0, len(seen) - 1):
        alone = one.predict_proba(seen.take(np.array([row])))[0]
        np.testing.assert_allclose(alone, proba[row], atol=1e-5 if method == "temporal" else 1e-12)
    if method in LEARNT:
        assert average_precision(labels, proba[:, 1]) > 0.9
        assert -1 <= one.score(seen, labels) <= 1


def test_more_classes_than_two(seen, table):
    labels = np.where(table["is_failure"], "fails", table["group_id"].to_numpy().astype(str))
    for method in ("linear", "trees", "temporal"):
        fitted = Predictor(method).fit(seen, labels)
        assert fitted.classes_.tolist() == ["fails", "node-0", "node-1", "node-2"]
        assert set(fitted.predict(seen)) <= set(labels)


def test_labels_that_cannot_be(seen, table):
    labels = table["is_failure"].to_numpy()
    with pytest.raises(InputError, match=r"labels for .* histories"):
        Predictor().fit(seen, labels[:-1])
    with pytest.raises(InputError, match=r"all .* histories have the label False"):
        Predictor().fit(seen, np.zeros_like(labels))
    with pytest.raises(InputError, match="no method 'oracle'"):
        Predictor("oracle")
    with pytest.raises(InputError, match="one label a history"):
        predictor().fit(table, [True])
    with pytest.raises(InputError, match="too few"):
        predictor().fit(table.with_columns(is_failure=pl.lit(False)))
    with pytest.raises(InputError, match="not fitted"):
        predictor().predict(table)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=40).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_no_threshold_has_a_better_correlation(rows):
    labels, risks = np.array([a for a, _ in rows]), np.array([b / 10 for _, b in rows])
    best = confusion(labels, risks >= best_threshold(labels, risks)).mcc
    assert best == pytest.approx(max(confusion(labels, risks >= risk).mcc for risk in set(risks)))


def test_a_threshold_is_chosen_after_what_was_learnt(table):
    first, second = split_by_time(table)
    ends = table.select(pl.col("time") + pl.duration(seconds=3600))["time"]
    assert ends[first].max() < table["time"][second].min()
    assert table["is_failure"][first].any()
    assert table["is_failure"][second].any()


def test_a_budget_of_false_alarms_is_kept(table):
    risks = np.random.default_rng(0).random(len(table))
    days = (table["time"].max() - table["time"].min()).total_seconds() / 86_400
    threshold = threshold_of(table, risks, 0.5)
    false = int(((risks >= threshold) & ~table["is_failure"].to_numpy()).sum())
    assert 0 < false <= 0.5 * days
    with pytest.raises(InputError, match="budget"):
        threshold_of(table, risks, -1)


def test_fitted_on_lines_or_on_their_histories(table):
    lines, failures = lines_and_failures()
    by_lines, by_table = predictor().fit(lines, failures), predictor().fit(table, failures)
    np.testing.assert_array_equal(by_lines.predict_proba(table), by_table.predict_proba(table))
    assert by_lines.score(table) > 0.5
    # Within the hour before a failure the omen is there, days before it is not.
    calm = by_lines.risks(lines.filter(pl.col("time") < pl.datetime(2024, 1, 5, time_zone="UTC")))
    assert not calm["is_alert"].any()
    soon = lines.filter(pl.col("time") < pl.datetime(2024, 2, 3, 11, 45, time_zone="UTC"))
    told = by_lines.risks(soon)
    omened = soon.filter(
        pl.col("content") == OMEN, pl.col("time") > pl.datetime(2024, 2, 3, time_zone="UTC")
    )["component"].to_list()
    assert told.filter("is_alert")["group_id"].to_list() == omened != []


def test_a_threshold_by_validation_that_is_given(table):
    half = len(table) // 2
    fitted = predictor().fit(table[:half], validation=table[half:])
    assert fitted.score(table[half:]) == 1.0
    maintained = table[half:].with_columns(maintenance=pl.col("is_failure"))
    with pytest.raises(InputError, match="no threshold can be chosen"):
        predictor().fit(table[:half], validation=maintained)
    with pytest.raises(InputError, match="no column is_failure"):
        predictor().fit(table[:half], validation=table[half:].drop("is_failure"))


def test_causes_and_reasons(seen, table):
    events = precursors(seen, table)
    assert events["normal_form"][0] == OMEN_FORM
    assert events["share"][0] == 1.0
    assert events["z"][0] > 3 > events["z"][1]
    by_node = components(seen, table)
    assert (
        by_node["failures"].sum()
        == table.filter("is_failure")
        .select("group_id", pl.col("time") + pl.duration(seconds=pl.col("seconds_to_failure").cast(pl.Int64)))
        .n_unique()
    )
    fitted = predictor().fit(table)
    failing = table.filter("is_failure", pl.col("normal_forms").list.contains(OMEN_FORM)).head(5)
    reasons = fitted.reasons(failing)
    assert reasons["history"].unique().sort().to_list() == list(range(5))
    first = reasons.group_by("history", maintain_order=True).first()
    assert set(first["normal_form"]) == {OMEN_FORM}
    assert (first["risk_change"] > 0).all()
    assert (first["last_seconds"] <= 3300).all()
    assert fitted.causes(3)["events"]["normal_form"][0] == OMEN_FORM


@pytest.mark.parametrize("method", LEARNT)
def test_saved_and_loaded_it_says_the_same(method, table, tmp_path):
    lines, failures = lines_and_failures()
    fitted = predictor(method).fit(lines, failures)
    fitted.save_pretrained(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".pkl", ".pt", ".joblib")]
    loaded = FailurePredictor.from_pretrained(tmp_path, tiny_encoder())
    np.testing.assert_array_equal(fitted.predict_proba(table), loaded.predict_proba(table))
    assert loaded.threshold == fitted.threshold
    assert loaded.get_params()["method"] == method
    assert loaded.causes()["events"].equals(fitted.causes()["events"])


def test_another_encoder_and_damaged_files_are_refused(table, tmp_path):
    predictor().fit(table).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="another encoder"):
        FailurePredictor.from_pretrained(tmp_path, LogEncoder.from_pretrained())
    config = tmp_path / "predictor_config.json"
    told = json.loads(config.read_text())
    del told["predictor"]["method"]
    config.write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        FailurePredictor.from_pretrained(tmp_path, tiny_encoder())
    config.write_text("{}")
    with pytest.raises(CheckpointError, match="schema"):
        FailurePredictor.from_pretrained(tmp_path, tiny_encoder())
    with pytest.raises(CheckpointError, match="there is no such folder"):
        FailurePredictor.from_pretrained(tmp_path / "nowhere", tiny_encoder())
