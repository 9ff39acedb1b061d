"""The metrics of log parsing: worked examples, laws, and a plain implementation beside the fast one."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from biglog.metrics import parsing
from biglog.metrics.corrections import RULES, correct
from biglog.metrics.parsing import Parse, edit_distance, parsing_score

TRUTH = ["open <*>", "open <*>", "open <*>", "shut", "shut", "a <*> b", "a <*> b", "end"]


def score(true: list[str], parsed: list[str]) -> dict[str, float]:
    return parsing_score(Parse.of(true), Parse.of(parsed)).as_dict()


def test_a_worked_example() -> None:
    # "open" is grouped right and written wrong; "shut" and "end" are thrown together under the text of one
    # of them; "a" is split, and one half has the right text.
    parsed = ["<*> <*>", "<*> <*>", "<*> <*>", "shut", "shut", "a <*> b", "a 1 b", "shut"]
    found = parsing_score(Parse.of(TRUTH), Parse.of(parsed))
    assert (found.true_templates, found.parsed_templates, found.lines) == (4, 4, 8)
    assert found.grouping_accuracy == 3 / 8  # the lines of "open"
    assert found.parsing_accuracy == 3 / 8  # both "shut", one "a <*> b"
    assert (found.grouping.precision, found.grouping.recall, found.grouping.f1) == (1 / 4, 1 / 4, 1 / 4)
    # "a <*> b" has only lines of that template; "shut" has one of another, so it is wrong.
    assert (found.template.precision, found.template.recall, found.template.f1) == (1 / 4, 1 / 4, 1 / 4)
    # "open <*>" to "<*> <*>": four letters for three, of eight; "end" to "shut": 4 of 4; "a 1 b": 3 of 7.
    assert found.edit_similarity == pytest.approx(1 - (3 * 4 / 8 + 4 / 4 + 3 / 7) / 8)


def test_precision_and_recall_differ_where_templates_are_split() -> None:
    found = parsing_score(Parse.of(["a"] * 4 + ["b"]), Parse.of(["a1", "a2", "a3", "a4", "b"]))
    assert (found.grouping.precision, found.grouping.recall) == (1 / 5, 1 / 2)
    assert found.grouping.f1 == pytest.approx(2 * 0.2 * 0.5 / 0.7)


def test_templates_of_equal_text_are_one() -> None:
    codes = np.array([0, 1, 2, 2])
    same = parsing_score(Parse(codes, ["x <*>", "x <*>", "y"]), Parse.of(["x <*>", "x <*>", "y", "y"]))
    assert same.as_dict() == dict.fromkeys(same.as_dict(), 1.0)
    assert same.true_templates == 2


def test_templates_without_lines_do_not_count() -> None:
    found = parsing_score(Parse(np.array([1, 1]), ["none", "a", "nor this"]), Parse.of(["a", "a"]))
    assert (found.true_templates, found.template.recall) == (1, 1.0)


def plainly(true: list[str], parsed: list[str]) -> dict[str, float]:
    """The definitions, one by one, with sets of lines."""
    groups: list[dict[str, set[int]]] = [defaultdict(set), defaultdict(set)]
    for number, pair in enumerate(zip(true, parsed, strict=True)):
        for side, text in enumerate(pair):
            groups[side][text].add(number)
    theirs = [frozenset(lines) for lines in groups[0].values()]
    right_groups = [lines for lines in groups[1].values() if frozenset(lines) in theirs]
    right_templates = [t for t, lines in groups[1].items() if {true[line] for line in lines} == {t}]
    lines, p, t = len(true), len(groups[1]), len(groups[0])
    names = {"G": len(right_groups), "T": len(right_templates)}
    figures = {f"P{k}A": right / p for k, right in names.items()}
    figures |= {f"R{k}A": right / t for k, right in names.items()}
    for k in names:
        both = figures[f"P{k}A"] + figures[f"R{k}A"]
        figures[f"F{k}A"] = 2 * figures[f"P{k}A"] * figures[f"R{k}A"] / both if both else 0.0
    figures["GA"] = sum(map(len, right_groups)) / lines
    figures["PA"] = sum(a == b for a, b in zip(true, parsed, strict=True)) / lines
    return figures


templates = st.sampled_from(["a <*>", "a", "b <*> c", "<*>", "", "c"])
parses = st.lists(st.tuples(templates, templates), min_size=1, max_size=40)


@given(parses)
def test_scores_are_what_the_definitions_say(lines: list[tuple[str, str]]) -> None:
    true, parsed = [a for a, _ in lines], [b for _, b in lines]
    found = score(true, parsed)
    for name, value in plainly(true, parsed).items():
        assert found[name] == pytest.approx(value), name


@given(parses)
def test_laws(lines: list[tuple[str, str]]) -> None:
    true, parsed = [a for a, _ in lines], [b for _, b in lines]
    found = score(true, parsed)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["PA"] <= found["NED"] + 1e-12
    assert score(true, true) == dict.fromkeys(found, 1.0)
    # Neither order of lines nor their number in proportion matters.
    assert score(true[::-1], parsed[::-1]) == pytest.approx(found)
    assert score(true * 3, parsed * 3) == pytest.approx(found)
    # Groups know nothing of texts.
    renamed = score(true, [f"{text}!" for text in parsed])
    assert all(renamed[name] == found[name] for name in ("GA", "FGA", "PGA", "RGA"))
    assert renamed["PA"] == renamed["FTA"] == 0
    # Truth and parse change places: so do precision and recall of groups.
    turned = score(parsed, true)
    assert (turned["PGA"], turned["RGA"]) == (found["RGA"], found["PGA"])


@given(parses)
def test_a_table_and_a_sort_count_the_same(lines: list[tuple[str, str]]) -> None:
    true, parsed = [a for a, _ in lines], [b for _, b in lines]
    by_table = score(true, parsed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_TABLE_CELLS", 0)
        assert score(true, parsed) == by_table


def test_a_million_lines_are_counted_by_their_pairs() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 500, 1_000_000)
    texts = [f"event {i} <*>" for i in range(500)]
    merged = Parse(codes // 2, [f"event {2 * i} <*>" for i in range(250)])
    found = parsing_score(Parse(codes, texts), merged)
    assert found.grouping_accuracy == 0
    assert found.parsing_accuracy == float((codes % 2 == 0).mean())


@pytest.mark.parametrize(
    ("truth", "parse", "message"),
    [
        (Parse.of([]), Parse.of([]), "no line"),
        (Parse.of(["a"]), Parse.of(["a", "b"]), "1 true lines and 2"),
    ],
)
def test_what_cannot_be_scored(truth: Parse, parse: Parse, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsing_score(truth, parse)


@pytest.mark.parametrize("codes", [np.array([0, 2]), np.array([-1]), np.array([0.5]), np.array([[0]])])
def test_codes_must_be_of_templates(codes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="codes must"):
        Parse(codes, ["a", "b"])


def slowly(one: str, other: str) -> int:
    rows = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        last, rows[0] = rows[0], i
        for j, b in enumerate(other, start=1):
            last, rows[j] = rows[j], min(last + (a != b), rows[j] + 1, rows[j - 1] + 1)
    return rows[-1]


@given(st.text(alphabet="ab<*> ", max_size=12), st.text(alphabet="ab<*> ", max_size=12))
@example("kitten", "sitting")
@example("", "abc")
def test_edit_distance(one: str, other: str) -> None:
    assert edit_distance(one, other) == slowly(one, other) == edit_distance(other, one)


@pytest.mark.parametrize(
    ("rule", "template", "corrected"),
    [
        ("double-space", "  a   b\t<*> ", "a b <*>"),
        ("path", "read /var/log/messages: ok", "read <*>: ok"),
        ("path", "a/b is no path", "a/b is no path"),
        ("boolean", "ready=true, FALSE alarm, truely", "ready=<*>, <*> alarm, truely"),
        ("user-string", "user root, rootless null", "user <*>, rootless <*>"),
        ("digits", "port 80, v2, 1.5", "port <*>, v2, <*>.<*>"),
        ("word-with-variable", "blk_<*> of <*>MB and <*>/<*>", "<*> of <*> and <*>/<*>"),
        ("variables-with-dots", "<*>.<*>.<*> to <*>", "<*> to <*>"),
        ("consecutive-variables", "<*><*><*> and <*>", "<*> and <*>"),
    ],
)
def test_rules_of_correction(rule: str, template: str, corrected: str) -> None:
    assert correct(template, [rule]) == corrected
    assert correct(template, []) == template


def test_rules_work_on_what_others_leave() -> None:
    assert correct("blk_<*>.<*> at  10.0.0.1") == "<*> at <*>"


@given(st.text(alphabet="a1/.<*> -=:", max_size=30), st.sets(st.sampled_from(list(RULES))))
def test_correcting_twice_changes_nothing(template: str, rules: set[str]) -> None:
    once = correct(template, sorted(rules))
    assert correct(once, sorted(rules)) == once


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(ValueError, match="no rule is called tidy: double-space, path"):
        correct("a", ["tidy"])
