"""Rules beside the same in plain Python: sets, counters, and loops."""

from collections import Counter
from itertools import combinations
from math import log1p

import numpy as np
import pytest
from anomaly_samples import EVENTS, FORMS, ODD, encode, saved, sessions, views
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.tasks.anomaly import rules
from biglog.tasks.anomaly.rules import CountRange, EventSet, Invariants, NewEvent

KNOWN = FORMS[:6]
RULES = (NewEvent, EventSet, CountRange, Invariants)

train_groups = st.lists(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=8), min_size=1, max_size=12)
groups = st.lists(st.lists(st.sampled_from(FORMS), min_size=1, max_size=8), min_size=1, max_size=12)


def farthest(train, group):
    """Cosine distance of the line that is farthest from all known ones, if one is not known."""
    known = list({form for each in train for form in each})
    vectors = encode(known)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    new = [form for form in group if form not in known]
    if not new:
        return 0.0
    others = encode(new)
    others = others / np.linalg.norm(others, axis=1, keepdims=True)
    return max(1e-6, 1 - (others @ vectors.T).max(axis=1).min())


def jaccard(train, group):
    """Distance to the nearest set."""
    own = set(group)
    return min(1 - len(own & set(other)) / len(own | set(other)) for other in train)


def out_of_range(train, group):
    """Orders of e by which counts are above the most or below the least."""
    counted, own = [Counter(each) for each in train], Counter(group)
    events = set().union(*counted)
    score = log1p(sum(count for form, count in own.items() if form not in events))
    for form in events:
        least, most = min(each[form] for each in counted), max(each[form] for each in counted)
        score += max(0.0, log1p(own[form]) - log1p(most), log1p(least) - log1p(own[form]))
    return score


def broken(train, group, least_groups=5, kept=0.999):
    """Share of pairs of events of which one comes more often, of those that always came equally often."""
    counted, own = [Counter(each) for each in train], Counter(group)
    asked = kept_ones = 0
    for one, other in combinations(sorted(set().union(*counted)), 2):
        both = [each for each in counted if each[one] and each[other]]
        equal = sum(each[one] == each[other] for each in both)
        if len(both) >= least_groups and equal >= kept * len(both) and own[one] and own[other]:
            asked += 1
            kept_ones += own[one] == own[other]
    return max(jaccard(train, group), 1 - kept_ones / asked if asked else 0.0)


PLAIN = dict(zip(RULES, (farthest, jaccard, out_of_range, broken), strict=True))


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=50)
@given(train=train_groups, tested=groups)
def test_scores_are_those_of_plain_python(rule, train, tested):
    learnt, asked = views(train, tested)
    found = rule().fit(learnt).score(asked)
    np.testing.assert_allclose(found, [PLAIN[rule](train, group) for group in tested], atol=1e-5)


@given(st.lists(st.sampled_from(["ab", "aabb", "abc", "bbc"]), min_size=1, max_size=14), st.data())
def test_pairs_that_come_equally_often_are_learnt_and_asked_for(kinds, data):
    letters = dict(zip("abc", KNOWN, strict=False))
    train = [[letters[letter] for letter in kind] for kind in kinds]
    tested = [[letters[letter] for letter in data.draw(st.text("abc", min_size=1, max_size=6))]]
    learnt, asked = views(train, tested)
    method = Invariants().fit(learnt)
    np.testing.assert_allclose(method.score(asked), [broken(train, tested[0])], atol=1e-6)
    loose, least = Invariants(least_groups=2, kept=0.5).fit(learnt), [broken(train, tested[0], 2, 0.5)]
    np.testing.assert_allclose(loose.score(asked), least, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@given(train=train_groups)
def test_what_was_learnt_from_is_not_odd(rule, train):
    (learnt,) = views(train)
    assert (rule().fit(learnt).score(learnt) == 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_what_is_saved_scores_the_same_to_the_bit(rule):
    learnt, asked = views(sessions(30, 0), sessions(30, 1) + ODD)
    method = rule().fit(learnt)
    again = rule.from_state(saved(method.state()))
    assert np.array_equal(again.score(asked), method.score(asked))
    assert method.score(asked).any()
    more = again.state()
    assert more.config == method.state().config
    for name, array in method.state().arrays.items():
        assert np.array_equal(more.arrays[name], array)


def test_a_new_form_that_is_embedded_like_a_known_one_is_odd():
    learnt, asked = views([["a"]], [["a"], ["a", "b"]])
    asked.distances[:] = 0.0
    assert NewEvent().fit(learnt).score(asked).tolist() == [0.0, 1e-6]


def test_a_share_of_groups_in_which_a_pair_holds_may_be_less_than_all():
    one, other = KNOWN[:2]
    train = [[one, other]] * 9 + [[one, one, other]]
    learnt, asked = views(train, [[one, one, other]])
    assert Invariants().fit(learnt).score(asked) == 0
    assert Invariants(kept=0.9).fit(learnt).score(asked) == 1


@pytest.mark.parametrize("rule", [EventSet, Invariants])
def test_large_tables_are_looked_at_in_parts(rule, monkeypatch):
    learnt, asked = views(sessions(40, 0), sessions(40, 1) + ODD)
    whole = rule().fit(learnt).score(asked)
    monkeypatch.setattr(rules, "_MOST_NUMBERS", 20)
    assert np.array_equal(rule().fit(learnt).score(asked), whole)


def test_many_counts_of_many_events_are_no_matter():
    """A pair of each of 200 events, and a line that comes another number of times in each of 400 groups."""
    events = [f"event {place}" for place in range(200)]
    train = [events + [EVENTS["2"]] * times for times in range(1, 401)]
    asked = [events + [EVENTS["2"]] * 3, [*events, events[0], EVENTS["2"]], events[:150]]
    learnt, seen = views(train, asked)
    method = Invariants().fit(learnt)
    assert len(method.state().arrays["pairs"]) == 200 * 199 // 2
    np.testing.assert_allclose(method.score(seen), [0, 199 / (200 * 199 / 2), 51 / 201], atol=1e-6)
