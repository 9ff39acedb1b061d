"""Pairs of lines of one event, and the values that statements are filled with."""

import re

import numpy as np
import polars as pl
import pytest
from data_path import LINES
from hypothesis import given
from hypothesis import strategies as st

from biglog.data.corpus import build_corpus
from biglog.data.pairs import EventPairs, StatementPairs
from biglog.data.values import Values, words_of
from biglog.errors import InputError
from biglog.training.events import grouped_events

STATEMENTS = pl.DataFrame(
    {
        "template": [
            "Lost <*> after <*> ms",
            "Opened device <*>",
            "<*>",
            "Shutting down",
            "Region <*> created",
        ],
        "project": ["a", "b", "b", "b", "c"],
    }
)
VALUES = Values(words_of(["Lost connection to broker", "Opened the device"]))
seeds = st.integers(0, 2**32 - 1)


def matches(template, text):
    return re.fullmatch(".*".join(map(re.escape, template.split("<*>"))), text) is not None


@given(seeds)
def test_a_filled_statement_keeps_its_constants(seed):
    source = StatementPairs(STATEMENTS, twins=0.5)
    for pair in source.draw(np.random.default_rng(seed), 20):
        if pair.statement >= 0:
            template = source.templates[pair.statement]
            assert matches(template, pair.first)
            assert matches(template, pair.second)


@given(seeds)
def test_a_twin_is_another_event(seed):
    source = StatementPairs(STATEMENTS)
    for template in source.templates:
        twin = source.twin(template, np.random.default_rng(seed))
        assert twin != template


def test_a_template_without_constant_words_has_no_twin():
    assert StatementPairs(STATEMENTS).twin("<*>", np.random.default_rng(0)) is None


@given(seeds, st.integers(1, 60))
def test_as_many_are_drawn_as_asked_and_the_same_again(seed, count):
    source = StatementPairs(STATEMENTS, twins=0.3)
    drawn = source.draw(np.random.default_rng(seed), count)
    assert len(drawn) == count
    assert drawn == source.draw(np.random.default_rng(seed), count)


@given(seeds)
def test_values_are_normal_forms_of_values(seed):
    rng = np.random.default_rng(seed)
    for kind in range(len(VALUES.shares)):
        value = VALUES.draw(kind, rng)
        # Digits stand masked, but for a lone 0 and the classes of HTTP statuses, which no mask hides.
        assert not re.search(r"[0-9]{2,}", value)
        assert value == value.strip()


def test_shares_of_values_are_a_distribution():
    assert VALUES.shares.sum() == pytest.approx(1)
    assert (VALUES.shares > 0).all()


@given(seeds, st.integers(1, 12))
def test_events_of_one_batch_are_distinct_and_of_one_domain(seed, count):
    events = {"A": [["a one", "a two"], ["b"], ["c x", "c y", "c z"]], "B": [["d"], ["e 1", "e 2"]]}
    drawn = EventPairs(events).draw(np.random.default_rng(seed), count)
    owner = {
        form: (domain, i) for domain, groups in events.items() for i, g in enumerate(groups) for form in g
    }
    assert all(owner[pair.first] == owner[pair.second] for pair in drawn)
    assert all(pair.first != pair.second for pair in drawn if pair.first not in ("b", "d"))
    found = [owner[pair.first] for pair in drawn]
    assert len(set(found)) == len(found)
    assert len({domain for domain, _ in found}) == 1


def test_nothing_to_draw_from_is_said():
    with pytest.raises(InputError, match="no log statement"):
        StatementPairs(STATEMENTS.head(0))
    with pytest.raises(InputError, match="no events"):
        EventPairs({"A": [["one event alone"]]})


def test_the_rule_groups_only_training_lines():
    train = build_corpus([f"{LINES}/*.log"], held_out_share=0.2).train
    events = grouped_events(train)
    known = set(zip(train["domain"], train["normal_form"], strict=True))
    assert all((name, form) in known for name, groups in events.items() for group in groups for form in group)
    assert any(len(group) > 1 for groups in events.values() for group in groups)
