"""Which groups of a log that nobody has called normal are not learnt from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biglog.tasks.anomaly.suspects import LEAST_LEFT, suspects, taken_for_normal
from biglog.tasks.groups import Groups

CALM, NOISE, PANIC = "session opened", "error: no such file", "rts panic! - stopping execution"

groups_of_lines = st.lists(
    st.lists(st.sampled_from([CALM, NOISE, PANIC, "0 errors"]), min_size=1, max_size=4),
    min_size=1,
    max_size=30,
)


def test_trouble_that_few_groups_have_is_suspect_and_what_most_have_is_noise():
    groups = Groups.of_forms([[CALM, NOISE]] * 6 + [[CALM, PANIC], [PANIC]] + [["0 errors", CALM]] * 2)
    assert np.flatnonzero(suspects(groups)).tolist() == [6, 7]
    learnt, odd = taken_for_normal(groups, "novelty")
    assert odd.tolist() == [6, 7]
    assert [learnt.forms[int(code)] for code in learnt.codes[:2]] == [CALM, NOISE]
    assert len(learnt) == 8
    for method in ("invariants", "knn", "auto"):
        learnt, odd = taken_for_normal(groups, method)
        assert (len(learnt), len(odd)) == (10, 0)


def test_none_is_left_out_where_hardly_any_would_be_left():
    texts = [[CALM, f"error of kind {kind}"] for kind in "abcdefgh"] + [[CALM]]
    assert not suspects(Groups.of_forms(texts)).any()
    assert suspects(Groups.of_forms([*texts, [CALM], [CALM]])).sum() == 8


@given(groups_of_lines)
def test_the_learnt_and_the_suspect_are_all_and_a_calm_group_is_never_suspect(lists):
    groups = Groups.of_forms(lists)
    learnt, odd = taken_for_normal(groups, "novelty")
    assert len(learnt) + len(odd) == len(lists)
    assert len(learnt) >= max(1, LEAST_LEFT * len(lists))
    for row in odd:
        assert {NOISE, PANIC} & set(lists[row])
