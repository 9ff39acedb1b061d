"""Rules for "the same event?": laws of evidence, threshold and joining, by hand and by chance."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from biglog.evaluation.studies.pairs import (
    Domain,
    Rule,
    best_threshold,
    evidence,
    joined,
    pair_f1,
    pairs_of,
    scored,
)

LINES = pl.DataFrame(
    {
        "domain": ["a"] * 6 + ["b"],
        "normal_form": ["x", "x", "x", "y", "y", "z", "w"],
        "event": [0, 0, 1, 1, 1, 2, 3],
    }
)


def test_a_domain_has_each_form_once_with_the_event_of_most_of_its_lines() -> None:
    domain = Domain.of("a", LINES)
    assert domain.forms == ["x", "y", "z"]
    assert domain.events.tolist() == [0, 1, 2]
    assert domain.line_forms.tolist() == [0, 0, 0, 1, 1, 2]
    assert domain.line_events.tolist() == [0, 0, 1, 1, 1, 2]
    assert not domain.same.any()


def test_evidence_of_pairs_by_hand() -> None:
    found = evidence(np.array([[1, 0], [1, 0], [0, 2], [-1, 0]], np.float32))
    left, right = pairs_of(4)
    assert list(zip(left, right, strict=True))[:3] == [(0, 1), (0, 2), (0, 3)]
    assert found[:, 0] == pytest.approx([1, 0, -1, 0, -1, 0], abs=1e-6)
    # 0 and 1 are each other's nearest; nothing is nearer to 2 than any other.
    assert found[0, 2] == 0
    assert found[2, 2] == pytest.approx(np.log1p(2) + np.log1p(1))


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_dense_and_sparse_vectors_give_one_evidence_whatever_their_length(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    dense = evidence(vectors)
    assert dense.shape == (count * (count - 1) // 2, 3)
    assert evidence(sparse.csr_matrix(vectors))[:, :2] == pytest.approx(dense[:, :2], abs=1e-4)
    longer = vectors * rng.uniform(0.5, 2, (count, 1)).astype(np.float32)
    assert evidence(longer)[:, :2] == pytest.approx(dense[:, :2], abs=1e-4)


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=40))
def test_no_threshold_has_a_better_f1_than_the_best(rows: list[tuple[bool, int]]) -> None:
    same = np.array([one for one, _ in rows])
    odds = np.array([float(value) for _, value in rows])
    if not same.any():
        same[0] = True
    found = pair_f1(same, odds > best_threshold(same, odds))
    others = [pair_f1(same, odds > threshold - 0.5) for threshold in np.unique(odds)]
    assert found == pytest.approx(max(others))


def test_f1_of_pairs_where_there_is_nothing_to_find() -> None:
    nothing, one = np.zeros(3, bool), np.array([True, False, False])
    assert pair_f1(nothing, nothing) == 1
    assert pair_f1(nothing, one) == 0
    assert pair_f1(one, nothing) == 0
    assert pair_f1(one, one) == 1


def test_a_rule_learns_to_tell_pairs_apart_and_never_says_yes_without_an_example() -> None:
    rows = np.array([[0.9, 0.8, 0.0], [0.8, 0.9, 0.0], [0.1, 0.0, 2.0], [0.0, 0.1, 3.0]])
    same = np.array([True, True, False, False])
    rule = Rule.learnt(rows, same)
    assert ((rule.odds(rows) > 0) == same).all()
    assert (Rule.learnt(rows, np.zeros(4, bool)).odds(rows) < 0).all()


def test_forms_are_joined_by_the_mean_of_their_pairs() -> None:
    # 0-1 surely; 2 is like 1 but more unlike 0.
    assert len(set(joined(np.array([5.0, -4.0, 1.0]), 3)[:2])) == 1
    assert len(set(joined(np.array([5.0, -4.0, 1.0]), 3))) == 2
    assert len(set(joined(np.array([5.0, -0.5, 1.0]), 3))) == 1
    assert len(set(joined(np.array([-1.0, -1.0, -1.0]), 3))) == 3
    assert joined(np.array([]), 1).tolist() == [0]


def test_scores_of_an_answer_that_is_right() -> None:
    lines = LINES.with_columns(event=pl.Series([0, 0, 0, 0, 0, 2, 3]))
    domain = Domain.of("a", lines)
    told = scored(domain, np.where(domain.same, 1.0, -1.0))
    assert told == {"f1": 1.0, "average_precision": 1.0, "GA": 1.0}
    never = scored(domain, np.full(3, -1.0))
    assert (never["f1"], never["GA"]) == (0.0, pytest.approx(1 / 6))
