"""Parsing as learnt: tokens, partition by a judge, what is written, and what labelled logs teach."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biglog.logs.masking import normal_form
from biglog.tasks.parsing.columns import Node, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import Judges, learn, lessons, locate, teach
from biglog.tasks.parsing.lexicon import FEATURES, Lexicon
from biglog.tasks.parsing.library import TemplateLibrary
from biglog.tasks.parsing.merging import merge_lists, take_in
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.partition import events_of, partition
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.stream import ParseStream
from biglog.tasks.parsing.template import Template
from biglog.tasks.parsing.tokens import ANY_MARK, MARKS, STATUS, read_tokens
from biglog.tasks.parsing.writing import write

NUM, IP, TIME = MARKS["[NUM]"], MARKS["[IP]"], MARKS["[TIMESTAMP]"]
LEXICON = Lexicon.of(["user <*> logged in", "user <*> logged out", "lost connection to <*>: <*>"])


def words(form: str) -> list[str]:
    return [token.text for token in read_tokens(form)]


def parsed(contents: list[str], divides: object, is_value: object) -> list[str]:
    forms = Forms.of(pl.Series(contents, dtype=pl.String))
    templates = [""] * len(forms.texts)
    for event in events_of(forms, LEXICON, divides, is_value):  # type: ignore[arg-type]
        assert 0 <= event.doubt <= 1
        for form in event.forms:
            templates[form] = write(forms, form, event.is_value)
    return [templates[form] for form in forms.of_line.tolist()]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("lost node-[NUM] at [TIMESTAMP].", ["lost", f"node-{NUM}", "at", TIME, "."]),
        ("[IP]:[NUM] closed", [IP, ":", NUM, "closed"]),
        ('"GET [FILE]" 4xx [NUM]', ['"', "GET", MARKS["[FILE]"], '"', STATUS, NUM]),
        ("a.b.c(x=1, y=)", ["a.b.c", "(", "x", "=", "1", ",", "y", "=", "", ")"]),
        ("done() for ''", ["done", "(", "", ")", "for", "'", "", "'"]),
        ("user= uid=", ["user", "=", "", "uid", "=", ""]),
        ("wait...", ["wait", ".", ".", "."]),
        ("...", [".", ".", "."]),
        ("", []),
        ("\ue001 is no number", ["\ufffd", "is", "no", "number"]),
    ],
)
def test_tokens(form: str, expected: list[str]) -> None:
    assert words(form) == expected


contents = st.text(alphabet="ab1 .:=()[]\"'-/\t\ue001", max_size=30) | st.text(max_size=20)


@given(contents)
def test_tokens_and_blanks_are_the_whole_form(content: str) -> None:
    form = normal_form(content)
    rest, at = "", 0
    for token in read_tokens(form):
        assert at <= token.start <= token.end
        assert token.has_mark == bool(ANY_MARK & set(token.text))
        rest += form[at : token.start]
        at = token.end
    assert not (rest + form[at:]).strip()


def test_forms_count_lines_and_what_is_under_their_masks() -> None:
    lines = ["port 80 of 10.0.0.1:8080", "port 443 of 10.0.0.2:8080", "port 80 of 10.0.0.1:8080", "shut"]
    forms = Forms.of(pl.Series([*lines, None], dtype=pl.String))
    assert forms.texts == ["port [NUM] of [IP]:[NUM]", "shut", ""]
    assert forms.lines.tolist() == [3, 1, 1]
    assert forms.of_line.tolist() == [0, 0, 0, 1, 2]
    assert forms.raw[0][1] == Counter({"80": 1, "443": 1})  # of distinct contents
    assert forms.raw[0][5] == Counter({"8080": 2})
    assert forms.frequency["port"] == 1


def test_lexicon_knows_where_values_stand() -> None:
    row = LEXICON.features("alice", "user", "logged")
    assert len(row) == FEATURES
    assert row[0] == 0  # never a constant word
    assert row[3] > LEXICON.features("alice", "connection", "logged")[3]
    assert LEXICON.features("logged", "x", "in")[0] > 0
    assert LEXICON.features("--", "x", "y")[0] == -1


def test_a_column_is_described_alike_whatever_the_order_and_the_words() -> None:
    one = Forms.of(pl.Series(["user ann logged in", "user bob logged in", "user ann logged out"]))
    other = Forms.of(pl.Series(["user kim logged out", "user kim logged in", "user joe logged in"]))
    rows = [
        features(forms, LEXICON, Node.of(forms, [0, 1, 2]), column)
        for forms in (one, other)
        for column in range(4)
    ]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert np.isfinite(rows).all()
    assert rows[0] == pytest.approx(rows[4])
    assert rows[1] == pytest.approx(rows[5])


def test_a_judge_decides_what_divides() -> None:
    lines = ["link up on eth", "link up on lan", "link down on eth", "reboot"]
    by_first = parsed(lines, lambda rows: np.zeros(len(rows)), lambda rows: np.zeros(len(rows)))
    assert by_first == ["link <*> on <*>"] * 3 + ["reboot"]
    whole = parsed(lines, lambda rows: np.ones(len(rows)), lambda rows: np.zeros(len(rows)))
    assert whole == lines
    values = parsed(lines, lambda rows: np.ones(len(rows)), lambda rows: np.ones(len(rows)))
    assert values == ["<*> <*> <*> <*>"] * 3 + ["<*>"]


def test_empty_lines_are_an_event() -> None:
    def never(rows: list[list[float]]) -> np.ndarray:
        return np.zeros(len(rows))

    assert parsed(["", "", "a"], never, never) == ["", "", "a"]


def test_parts_of_a_node_are_its_forms() -> None:
    forms = Forms.of(pl.Series(["a x", "b x", "a y"]))
    node = Node.of(forms, [0, 1, 2])
    assert node.varied == [0, 1]
    assert node.divided(0) == [[0, 2], [1]]
    assert node.divided(1, together={0, 1}) == [[0, 1, 2]]
    assert node.apart.tolist() == [[0, 1, 1], [1, 0, 2], [1, 2, 0]]


def test_known_templates_part_their_forms_and_stay_whole() -> None:
    forms = Forms.of(pl.Series(["link up on a", "link up on b", "link down on a", "link slow on c"]))

    def never(rows: list[list[float]]) -> np.ndarray:
        return np.zeros(len(rows))

    def always(rows: list[list[float]]) -> np.ndarray:
        return np.ones(len(rows))

    up, down = "link up on <*>", "link down on <*>"
    parted = [node.forms for node, _ in partition(forms, LEXICON, never, [up, up, down, None])]
    assert sorted(parted) == [(0, 1), (2,), (3,)]
    whole = [node.forms for node, _ in partition(forms, LEXICON, always, [up, up, None, None])]
    assert (0, 1) in whole


def test_a_labels_constant_divides_the_forms_that_have_another_word_there() -> None:
    def never(rows: list[list[float]]) -> np.ndarray:
        return np.zeros(len(rows))

    lines = ["up on ee0 by ann", "up on alt by bob", "up on low by eve"]
    stream = ParseStream(ZeroShotParser(LEXICON, Judges(never, never)), TemplateLibrary(["up on ee0 by <*>"]))
    found = stream.parse_whole(pl.Series(lines))["template"].to_list()
    assert found == ["up on ee0 by <*>", "up on <*> by <*>", "up on <*> by <*>"]


def test_an_event_without_a_word_is_divided_by_words_that_come_again() -> None:
    lines = ["normal"] * 5 + ["warning"] * 5
    assert parsed(lines, lambda rows: np.full(len(rows), 0.1), lambda rows: np.zeros(len(rows))) == lines
    names = ["ann", "bob", "eve"]
    once = parsed(names, lambda rows: np.full(len(rows), 0.1), lambda rows: np.zeros(len(rows)))
    assert once == ["<*>"] * 3


def test_a_users_rules_go_before_the_judges() -> None:
    def never(rows: list[list[float]]) -> np.ndarray:
        return np.zeros(len(rows))

    def always(rows: list[list[float]]) -> np.ndarray:
        return np.ones(len(rows))

    def run(judge: object, rules: Rules) -> list[str]:
        stream = ParseStream(ZeroShotParser(LEXICON, Judges(judge, judge)), rules=rules)  # type: ignore[arg-type]
        return stream.parse_whole(pl.Series(["GET a on eth0", "PUT a on lan", "HEAD a on eth17"]))[
            "template"
        ].to_list()

    assert run(never, Rules()) == ["<*> a on <*>"] * 3
    assert run(never, Rules.of(["GET"])) == ["GET a on eth0", "<*> a on <*>", "<*> a on <*>"]
    assert run(never, Rules.of((), ["eth[0-9]+"]))[0] == "<*> a on <*>"
    assert run(always, Rules.of(["a", "on"], ["eth[0-9]+", "lan"])) == ["<*> a on <*>"] * 3


@pytest.mark.parametrize(
    ("content", "value", "expected"),
    [
        ("at 10:00:01.5 up", {1}, "at <*>:<*>:<*> up"),
        ("at 2024-05-01 10:00:01 up", {1}, "at <*>-<*>-<*> <*>:<*>:<*> up"),
        ("at Mon Jun 20 03:40:59 2005", {1}, "at <*>:<*>:<*>"),
        ("at 10:00:01", set(), "at 10:00:01"),
        ("node-17 up", set(), "node-<*> up"),
        ("node-17 up", {0}, "<*> up"),
        ("a.17.b_3 x", set(), "a.<*>.b_3 x"),
        ("cut......0", set(), "cut......0"),
        ('"GET / " 404 -', set(), '"GET / " <*> -'),
        ("by (uid=0)", {4}, "by (uid=<*>)"),
        ("user= x", {2}, "user=<*> x"),
    ],
)
def test_what_is_written(content: str, value: set[int], expected: str) -> None:
    forms = Forms.of(pl.Series([content]))
    flags = [column in value for column in range(len(forms.tokens[0]))]
    assert write(forms, 0, flags) == expected


def test_lists_of_any_length_are_one_template() -> None:
    templates = ["free <*> <*>", "free <*>", "free <*>, <*> | <*>", "free <*> of <*>"]
    assert merge_lists(templates, [1, 5, 2, 1]) == ["free <*>"] * 3 + ["free <*> of <*>"]
    long = ["of <*> <*> <*> <*> <*>", "of <*> <*>", "to <*> <*> <*> <*> <*>"]
    assert merge_lists(long, [5, 1, 1]) == ["of <*>", "of <*>", long[2]]
    assert (
        merge_lists(["sent <*> bytes (<*> KB) now", "sent <*> bytes now"], [1, 2])
        == ["sent <*> bytes now"] * 2
    )


def test_a_template_takes_in_what_spells_a_value_in_more_tokens() -> None:
    templates = [
        "clock set to <*>",
        "clock set to LOCAL(<*>)",
        "clock set to a b",
        "<*> set",
        "clock set to x",
    ]
    contents = [
        "clock set to 10.0.0.1",
        "clock set to LOCAL(0)",
        "clock set to a b",
        "7 set",
        "clock set to x",
    ]
    taken = take_in(templates, [9, 1, 1, 1, 9], contents)
    assert taken == {"clock set to LOCAL(<*>)": "clock set to <*>"}
    assert take_in(templates, [9, 1, 1, 1, 1], contents, frozenset({"x"})).get("clock set to x") is None


@pytest.mark.parametrize(
    ("template", "content", "found"),
    [
        ("open <*> of <*>", "open 7 of  nine", ["7", "nine"]),
        ("a.<*>", "a.b", ["b"]),
        ("a.<*>", "axb", None),
        ("(<*>) <*>", "() x\ny", ["", "x\ny"]),
        ("none", "none ", []),
    ],
)
def test_values_are_found_by_the_template(template: str, content: str, found: list[str] | None) -> None:
    spans = Template(template).spans(content)
    assert (None if spans is None else [content[a:b] for a, b in spans]) == found


def test_tokens_are_found_in_the_content() -> None:
    content = "lost  node-17 at 10:00:01,\x1b[0m  uid= (404)"
    form = normal_form(content)
    assert form == "lost node-[NUM] at [TIMESTAMP], uid= ([NUM])"
    places = locate(read_tokens(form), ["17", "10:00:01", "404"], content)
    assert places is not None
    found = [content[a:b] for a, b in places]
    assert found == ["lost", "node-17", "at", "10:00:01", ",", "uid", "=", "", "(", "404", ")"]
    assert locate(read_tokens("a b c d"), [], "a b") is None


def log(rng: np.random.Generator, verbs: list[str]) -> tuple[list[str], list[str]]:
    """Lines of events that differ in a verb, with names for values that have no number in them."""
    lines, templates = [], []
    for verb in verbs:
        for _ in range(12):
            name = "".join(rng.choice(list("abcdefghij"), size=6))
            lines.append(f"{verb} session of user {name} on port {rng.integers(1000)}")
            templates.append(f"{verb} session of user <*> on port <*>")
    return lines, templates


def test_what_logs_teach_holds_on_another() -> None:
    rng = np.random.default_rng(0)
    verbs = ["opened", "closed", "lost", "began", "ended", "kept", "dropped", "moved", "froze"]
    logs = [log(rng, [str(verb) for verb in rng.choice(verbs, size=4, replace=False)]) for _ in range(30)]
    taught = [lessons(pl.Series(lines), templates, LEXICON) for lines, templates in logs]
    widths = {len(row) for one in taught for row in (*one.dividing, *one.standing)}
    assert len(widths) == 1
    assert any(taught[0].divides)
    assert not all(taught[0].divides)
    judges = learn([(one, 1.0) for one in taught], trees=20)
    lines, templates = log(rng, ["woke", "slept", "died"])
    assert parsed(lines, judges.divides, judges.is_value) == templates
    # Labels of a log outweigh what others taught where they are sure.
    blind = Judges(lambda rows: np.full(len(rows), 0.39), lambda rows: np.full(len(rows), 0.49))
    own = lessons(pl.Series(lines), templates, LEXICON)
    told = teach(blind, own)
    assert parsed(lines, told.divides, told.is_value) == templates
    assert teach(blind, own.dividing_alone()).is_value is blind.is_value


def test_lines_worth_a_label_are_of_doubtful_and_frequent_events() -> None:
    def unsure(rows: list[list[float]]) -> np.ndarray:
        return np.full(len(rows), 0.3)

    parser = ZeroShotParser(LEXICON, Judges(unsure, unsure))
    contents = pl.Series(["a b c", "x", "link up", "x", "link down", "link up", "x"])
    stream = ParseStream(parser)
    stream.count(contents)
    # Both columns of `link` and one of `x` can be wrong, three of `a b c`.
    assert stream.propose(9) == ["link up", "a b c", "x"]
    assert stream.propose(1) == ["link up"]
    known = ParseStream(parser, TemplateLibrary(["link up"]))
    known.count(contents)
    assert set(known.propose(9)) == {"a b c", "link down", "x"}  # no form that is labelled


def test_a_template_that_does_not_fit_teaches_groups_alone() -> None:
    lines = ["up alpha", "up beta", "down alpha"]
    one = lessons(pl.Series(lines), ["going <*>", "going <*>", "shut"], LEXICON)
    assert one.dividing
    assert not one.standing
    assert not re.search("nan", str(one.dividing))
