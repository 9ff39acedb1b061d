"""Explanations of groups: which lines, what is missing, normal examples, and reasons."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from data_path import DATA, needs_data
from explained_groups import CALM, ODD, PANIC, calm, classifier, detector
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.evaluation.explanations import TrueAlerts, deletion_test, explanations, top_line_is_labelled
from biglog.inference.explain import explain
from biglog.logs.masking import normal_forms
from biglog.tasks.anomaly import leave_out
from biglog.tasks.anomaly.classifiers import CLASSIFIERS
from biglog.tasks.anomaly.features import Features
from biglog.tasks.anomaly.leave_out import rank_lines
from biglog.tasks.anomaly.outliers import OUTLIERS
from biglog.tasks.anomaly.view import State
from biglog.tasks.groups import Groups

RULES = ("new_event", "event_set", "count_range", "invariants")
LINES = st.lists(st.sampled_from([*CALM, ODD, PANIC]), min_size=1, max_size=12)


def form_of(content):
    return normal_forms(pl.Series([content]))[0]


def told(explanation):
    """What must not depend on how a group was scored: everything but the last digits."""
    return [(line.position, line.form, line.lines, round(line.weight, 4)) for line in explanation.lines]


@pytest.mark.parametrize("method", [*RULES, "novelty", *OUTLIERS])
def test_the_one_odd_line_comes_first(method):
    window = [*CALM[:3], ODD, *CALM[2:]]
    [one] = explain(detector(method), [window], [0])
    first = one.lines[0]
    assert (first.position, first.form, first.lines) == (3, form_of(ODD), 1)
    # A forest never splits on a column that was constant: it does not see unknown forms, evidence does.
    assert first.weight > 0 or method == "isolation_forest"
    assert first.is_new
    assert first.nearest_form in {form_of(line) for line in CALM}
    assert first.trouble_word == "failed"
    assert one.forms == one.considered == 6
    assert one.reasons
    json.dumps(one.as_dict())


@pytest.mark.parametrize("method", CLASSIFIERS)
def test_classifiers_say_why(method):
    window = [*CALM, *CALM[:2], ODD]
    [one] = explain(classifier(method), [window], [0])
    assert one.lines[0].form == form_of(ODD)
    assert one.reasons
    assert all(reason.text for reason in one.reasons)


def test_a_weight_is_the_fall_of_the_score():
    window = [*CALM, ODD, PANIC]
    one = explain(detector(), [window], [0])[0]
    for line in one.lines:
        rest = [content for content in window if form_of(content) != line.form]
        without = detector().verdicts([rest]).raw[0]
        assert line.weight == pytest.approx(one.raw - without, abs=1e-5)


@settings(max_examples=15)
@given(st.lists(LINES, min_size=1, max_size=5))
def test_a_batch_explains_as_each_group_alone(groups):
    together = explain(detector(), groups, range(len(groups)))
    for group, one in zip(groups, together, strict=True):
        [alone] = explain(detector(), [group], [0])
        assert told(alone) == told(one)
        assert [reason.text for reason in alone.reasons] == [reason.text for reason in one.reasons]


@settings(max_examples=15)
@given(st.lists(LINES, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_groups_does_not_matter(groups, random):
    order = list(range(len(groups)))
    random.shuffle(order)
    straight = explain(detector("invariants"), groups, range(len(groups)))
    shuffled = explain(detector("invariants"), [groups[row] for row in order], range(len(groups)))
    for place, row in enumerate(order):
        assert told(shuffled[place]) == told(straight[row])


@settings(max_examples=15)
@given(LINES)
def test_every_form_is_told_once(group):
    [one] = explain(detector(), [group], [0])
    forms = normal_forms(pl.Series(group)).to_list()
    assert sorted(line.form for line in one.lines) == sorted(set(forms))
    for line in one.lines:
        assert forms[line.position] == line.form
        assert line.lines == forms.count(line.form)


def test_by_default_anomalies_are_explained():
    groups = [*calm(3), [*CALM, ODD], [PANIC] * 4]
    found = explain(detector(), groups)
    assert [one.group_id for one in found] == ["3", "4"]
    assert all(one.is_anomaly for one in found)
    assert explain(detector(), calm(3)) == []


class Stuttering:
    """A method that minds the order of lines: how often a line follows one of its own form."""

    supervised, ordered = False, True

    def score(self, view):
        groups = view.groups
        again = np.zeros(len(groups.codes))
        again[1:] = (groups.codes[1:] == groups.codes[:-1]) & (groups.owners[1:] == groups.owners[:-1])
        return np.add.reduceat(again, groups.offsets[:-1])

    def state(self):
        return State()


def test_where_order_matters_the_line_itself_is_told():
    fitted = replace(detector().detector_, method=Stuttering())
    groups = Groups.of([[CALM[0], CALM[1], CALM[0], CALM[0], CALM[2]], [CALM[3]]])
    [one, other] = rank_lines(fitted, groups, detector().encoder.encode_normal_forms)
    assert (one.lines[0].form, one.lines[0].position, one.lines[0].weight) == (form_of(CALM[0]), 2, 1.0)
    assert other.considered == 1


def test_what_a_group_lacks():
    one = explain(detector("event_set"), [[CALM[0]] * 3 + [CALM[1]] * 5], [0])[0]
    assert {change.form for change in one.missing} == {form_of(line) for line in CALM[2:]}
    assert all(change.normal_lines and not change.lines for change in one.missing)
    nearest = one.examples[0]
    assert nearest.similarity == pytest.approx(2 / 5)
    assert not nearest.added
    assert any("is not here" in reason.text for reason in one.reasons)


def test_the_nearest_normal_group_has_the_same_events():
    examples = explain(detector(), [calm(1)[0]], [0])[0].examples
    assert examples[0].similarity == 1.0
    assert (examples[0].added, examples[0].missing, examples[0].counts) == ((), (), ())
    assert examples[0].excerpt
    similar = [example.similarity for example in examples]
    assert similar == sorted(similar, reverse=True)


def test_counts_out_of_range_are_told_with_the_range():
    one = explain(detector("count_range"), [[CALM[0]] * 40], [0])[0]
    texts = [reason.text for reason in one.reasons]
    assert any(text.startswith("40 lines of") and "where normal groups have 1 to" in text for text in texts)


def test_pairs_that_come_equally_often():
    pairs = [[CALM[0], CALM[1], *extra] for extra in ([], [CALM[2]], [CALM[3]])] * 10
    fitted = type(detector())(detector().encoder, "invariants").fit(pairs)
    [one] = explain(fitted, [[CALM[0], CALM[0], CALM[1]]])
    assert "2 lines of" in one.reasons[0].text
    assert "equally often" in one.reasons[0].text


def test_the_path_of_a_tree_is_the_one_it_takes():
    trained = type(detector())(detector().encoder, "tree", features=["counts"])
    odd = [[*window[:-1], ODD] for window in calm(20)]
    trained.fit(calm(60) + odd, [0] * 60 + [1] * 20)
    [one] = explain(trained, [[*CALM, ODD]])
    assert len(one.reasons) == 1
    assert one.reasons[0].name == form_of(ODD)
    assert one.reasons[0].value == 1.0
    assert 0 < one.reasons[0].limit[0] < 1
    assert "1 line of" in one.reasons[0].text


def test_columns_have_names():
    view = detector().detector_.known.view(Groups.of(calm(5)), detector().encoder.encode_normal_forms)
    features = Features(["counts", "distances", "severity", "rarity", "embeddings"]).fit(view)
    columns = features.columns(detector().detector_.known.forms)
    rows = features.transform(view)
    assert len(columns) == rows.shape[1]
    place = [column.name for column in columns].index(form_of(CALM[0]))
    counted = np.expm1(features.original(rows)[:, place])
    assert counted == pytest.approx([window.count(CALM[0]) for window in calm(5)], abs=1e-3)


def test_of_many_forms_those_with_evidence_are_considered():
    many = [f"unheard-of words {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]} came" for n in range(100)]
    [one] = explain(detector(), [[*CALM, *many]], [0], most_forms=7)
    assert (one.considered, one.forms) == (7, 105)
    assert all(line.is_new for line in one.lines)


def test_a_group_of_a_million_lines(monkeypatch):
    monkeypatch.setattr(leave_out, "_MOST_LINES", 3_000_000)
    forms = pl.Series([form_of(line) for line in [*CALM, ODD]])
    codes = np.arange(1_000_000, dtype=np.int32) % 5
    codes[777_777] = 5
    groups = Groups(forms, codes, np.array([0, 1_000_000]), pl.Series(["all"]))
    [one] = rank_lines(detector().detector_, groups, detector().encoder.encode_normal_forms)
    assert (one.lines[0].position, one.lines[0].form) == (777_777, forms[5])
    assert (one.considered, one.forms) == (3, 6)


def test_a_group_of_one_form_falls_to_the_normal():
    [one] = explain(detector("new_event"), [[ODD] * 3], [0])
    assert one.lines[0].weight == pytest.approx(one.raw)


def test_a_detector_without_groups_of_its_system_has_no_examples():
    source = type(detector())(detector().encoder, "logistic_regression", features=["severity", "rarity"])
    source.fit(calm(30) + [[*CALM, ODD]] * 5, [0] * 30 + [1] * 5)
    moved = source.transfer([["Accepted publickey for root from 10.0.0.1", "session closed"]] * 5)
    [one] = explain(moved, [["fatal: no such identity", "session closed"]], [0])
    assert one.examples == one.missing == ()
    assert one.lines


def test_a_row_that_is_not_there():
    with pytest.raises(InputError, match="no group number 3"):
        explain(detector(), calm(3), [3])


def test_the_deletion_test_and_labelled_lines():
    windows = [*calm(10), *[[*window[:4], PANIC, *window[4:]] for window in calm(6)]]
    groups = Groups.of(windows)
    labelled = (groups.forms == form_of(PANIC)).to_numpy()[groups.codes]
    labels = np.array([0] * 10 + [1] * 6)
    fitted, encode = detector().detector_, detector().encoder.encode_normal_forms
    shares = top_line_is_labelled(fitted, groups, labelled, encode)
    assert (shares["alerts"], shares["explanation"], shares["word_severity"]) == (6, 1.0, 1.0)
    assert shares["random_line"] == pytest.approx(1 / 9)
    falls = deletion_test(fitted, groups, labels, encode)
    assert falls["explanation"]["raw"] > falls["random_line"]["raw"]
    assert falls["more_than_random"] == falls["explanation"]["silenced"] == 1.0
    assert deletion_test(fitted, groups, labels, encode) == falls
    assert TrueAlerts.of(fitted, groups, np.zeros(16, dtype=int), encode) is None


@needs_data
def test_alerts_of_bgl_name_a_labelled_line():
    encode = detector().encoder.encode_normal_forms
    found = explanations(DATA, {"BGL": {"tiny": encode}}, window_lines=(20,))
    mean = found["BGL"]["windows_20"]["mean"]
    assert mean["labelled"]["all"]["explanation"] >= 0.9
    assert mean["deletion"]["explanation"]["raw"] > mean["deletion"]["random_line"]["raw"]
    json.dumps(found)
