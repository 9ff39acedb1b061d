"""Known forms and other wordings of them: what is read as what, in each group for itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from anomaly_samples import EVENTS, NEVER, REWORDED, UNRELATED, encode, sessions
from anomaly_views import encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.rewording import reword_share
from biglog.tasks.anomaly.known import KnownForms, unit
from biglog.tasks.anomaly.matching import CANDIDATES, READ_ANEW, Matching, candidates, nearest_known
from biglog.tasks.groups import Groups

KNOWN = list(EVENTS.values())
TRAIN = Groups.of_forms(sessions(30, 0))
OTHERS = [
    *(new for seed in range(3) for new in reword_share(KNOWN, 1.0, seed).values()),
    REWORDED,
    UNRELATED,
    f"{EVENTS['9']} failed",
    "größe überschritten: [NUM] Bytes",
    "",
]
LINES = KNOWN + OTHERS
ALWAYS = Matching(threshold=0.0)

groups_of_lines = st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=8), min_size=1, max_size=8)


def mini(forms):
    """Embeddings of the shipped encoder: it reads some rewordings as what they were, and others not."""
    return encoder().encode_normal_forms(forms)


@pytest.fixture(scope="module")
def known():
    return KnownForms.of(TRAIN, mini)


def read(view):
    """Each group's lines as they were read."""
    forms = view.groups.forms.to_list()
    return [[forms[code] for code in view.groups.sequence(row)] for row in range(len(view))]


def one(known, group):
    return read(known.view(Groups.of_forms([group]), mini))[0]


# -- what is known --


def test_forms_are_those_that_groups_have_and_counted_by_group():
    texts = sessions(30, 0)
    used = Groups.of_forms([[UNRELATED], *texts]).take(np.arange(1, 31))
    known = KnownForms.of(used, encode)
    counted = Counter(form for group in texts for form in set(group))
    assert dict(zip(known.forms, known.groups_with, strict=True)) == counted
    assert known.forms.to_list() == list(dict.fromkeys(form for group in texts for form in group))
    assert (known.fitted, len(known)) == (30, len(counted))
    np.testing.assert_allclose(np.linalg.norm(known.vectors, axis=1), 1.0, rtol=1e-5)
    assert not unit(np.zeros((2, 3))).any()


def test_forms_that_come_later_stand_behind_and_equal_groups_count_as_often_as_they_came(known):
    joined = Groups.of_forms([*sessions(30, 0)[:2], [UNRELATED, KNOWN[0]], [KNOWN[0], UNRELATED]])
    grown = known.grown(joined, np.array([5, 1, 3, 2]), mini)
    assert grown.forms[: len(known)].equals(known.forms)
    assert grown.forms[len(known) :].to_list() == [UNRELATED]
    assert np.array_equal(grown.vectors[: len(known)], known.vectors)
    assert grown.fitted == 11
    with_form = dict(zip(grown.forms, grown.groups_with, strict=True))
    assert with_form[UNRELATED] == 5
    texts = sessions(30, 0)[:2]
    for form in known.forms:
        expected = 5 * (form in texts[0]) + (form in texts[1]) + 5 * (form == KNOWN[0])
        assert with_form[form] == expected
    again = known.grown(TRAIN, np.ones(30, dtype=np.int64), mini)
    assert again.forms.equals(known.forms)
    assert np.array_equal(again.groups_with, known.groups_with)


# -- what is read --


@settings(max_examples=60)
@given(groups_of_lines)
def test_a_group_is_read_alone_as_it_is_among_others(known, lists):
    together = known.view(Groups.of_forms(lists), mini)
    for row, group in enumerate(lists):
        alone = known.view(Groups.of_forms([group]), mini)
        assert read(alone)[0] == read(together)[row]
        np.testing.assert_allclose(alone.farthest[0], together.farthest[row], atol=1e-5)
        assert alone.unknown_lines[0] == together.unknown_lines[row]
        np.testing.assert_allclose(alone.mean_vectors[0], together.mean_vectors[row], atol=1e-5)
        assert np.array_equal(alone.counts.toarray()[0], together.counts.toarray()[row])


@settings(max_examples=60)
@given(groups_of_lines)
def test_known_forms_stay_and_new_ones_are_read_only_as_what_is_missing(known, lists):
    given_as = Groups.of_forms(lists)
    codes = given_as.codes.copy()
    view = known.view(given_as, mini)
    assert np.array_equal(given_as.codes, codes)
    assert view.groups.forms[: view.known].equals(known.forms)
    assert np.array_equal(view.groups.offsets, given_as.offsets)
    for group, lines in zip(lists, read(view), strict=True):
        replaced: dict[str, set[str]] = {}
        for was, now in zip(group, lines, strict=True):
            if was in KNOWN:
                assert now == was
            elif now != was:
                assert now in KNOWN
                assert now not in group
                replaced.setdefault(now, set()).add(was)
        assert all(len(wordings) == 1 for wordings in replaced.values())


@given(groups_of_lines)
def test_a_threshold_above_one_is_never_reached(known, lists):
    view = replace(known, matching=NEVER).view(Groups.of_forms(lists), mini)
    assert read(view) == lists
    unknown = [sum(line not in KNOWN for line in group) for group in lists]
    assert view.unknown_lines.tolist() == unknown
    assert (view.farthest[np.array(unknown) == 0] == 0).all()


def test_a_rewording_is_read_as_what_it_was_where_that_is_missing(known):
    session = sessions(1, 1)[0]
    reworded = [REWORDED if line == EVENTS["26"] else line for line in session]
    assert reworded != session
    assert one(known, reworded) == session
    beside = [*session, REWORDED]
    assert one(known, beside) == beside
    # The group beside it has no say.
    assert read(known.view(Groups.of_forms([reworded, session]), mini))[0] == session


def test_of_two_wordings_of_one_form_the_nearer_is_read():
    known = KnownForms.of(Groups.of_forms([[KNOWN[0]]]), mini, ALWAYS)
    new = [REWORDED, "Verification succeeded for the [NUM]", "increasing memory of bank [NUM]"]
    cosines = unit(mini(pl.Series(new))) @ known.vectors[0]
    assert cosines.argmax() == 1
    assert one(known, [new[0], new[1], new[2], new[1]]) == [new[0], KNOWN[0], new[2], KNOWN[0]]
    assert one(known, [new[0]]) == [KNOWN[0]]


def test_what_speaks_of_trouble_is_no_wording_of_what_does_not():
    calm, trouble = EVENTS["9"], f"{EVENTS['9']} failed"
    for form, other in ((calm, trouble), (trouble, calm)):
        known = KnownForms.of(Groups.of_forms([[form]]), mini, ALWAYS)
        assert one(known, [other]) == [other]
        assert one(known, [f"{other} (id=[NUM])"]) == [f"{other} (id=[NUM])"]
        assert one(known, [f"{form} (id=[NUM])"]) == [form]


# -- the rule --

numbers = st.floats(0, 1)


@given(numbers, numbers, numbers, numbers, numbers)
def test_likeness_is_a_share_and_grows_with_all_that_speaks_for_it(cosine, margin, overlap, share, more):
    evidence = np.array([[cosine, margin, overlap]])
    likeness = READ_ANEW.likeness(evidence, np.array([share]))[0]
    assert 0 <= likeness <= 1
    for column in range(3):
        grown = evidence.copy()
        grown[0, column] += more
        assert READ_ANEW.likeness(grown, np.array([share]))[0] >= likeness
    assert READ_ANEW.likeness(evidence, np.array([max(share, more)]))[0] >= likeness
    assert READ_ANEW.likeness(evidence)[0] == pytest.approx(READ_ANEW.likeness(evidence, np.zeros(1))[0])


def test_candidates_are_those_of_a_plain_search():
    new, old = pl.Series(OTHERS), pl.Series(KNOWN)
    vectors, others = unit(mini(new)), unit(mini(old))
    found = candidates(new, vectors, old, others)
    assert found.index.shape == found.cosine.shape == (len(OTHERS), min(CANDIDATES, len(KNOWN)))
    for row, form in enumerate(OTHERS):
        products = others @ vectors[row]
        ranked = np.sort(products)[::-1]
        np.testing.assert_allclose(products[found.index[row]], ranked[:CANDIDATES], atol=1e-6)
        np.testing.assert_allclose(found.cosine[row], ranked[:CANDIDATES], atol=1e-6)
        assert found.rest[row] == pytest.approx(max(ranked[CANDIDATES], 0), abs=1e-6)
        assert set(found.alike_in_trouble[row]) == {form not in (UNRELATED, f"{EVENTS['9']} failed")}
    index, cosine = nearest_known(vectors, others)
    assert np.array_equal(index, found.index[:, 0])
    assert np.array_equal(cosine, found.cosine[:, 0])


def test_a_candidate_is_weighed_against_those_that_are_not_out_of_the_question():
    old = unit(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))
    found = candidates(pl.Series(["a B [IP]"]), old[:1], pl.Series(["b x y z", "a b", "c"]), old)
    expected = [[1.0, 0.2, 1 / 3], [0.8, -0.2, 1.0], [0.0, -1.0, 0.0]]
    np.testing.assert_allclose(found.evidence()[0], expected, atol=1e-6)
    without = found.evidence(np.array([[True, False, False]]))[0]
    np.testing.assert_allclose(without[1:], [[0.8, 0.0, 1.0], [0.0, -0.8, 0.0]], atol=1e-6)
    np.testing.assert_allclose(found.evidence(np.array([[False, True, True]]))[0, 0], expected[0], atol=1e-6)
    alone = candidates(pl.Series(["a B [IP]"]), old[:1], pl.Series(["b x y z"]), old[:1])
    np.testing.assert_allclose(alone.evidence()[0], [[1.0, 1.0, 1 / 3]], atol=1e-6)


def test_a_form_that_most_groups_have_is_found_missing_before_a_nearer_one_that_few_have():
    often = "[CODE] Receiving block [CODE] src: [CODE] dest: [CODE]"
    seldom = "[CODE] Received block [CODE] src: [CODE] dest: [CODE] of size [CODE]"
    training = [[often, KNOWN[0]]] * 99 + [[often, seldom, KNOWN[0]]]
    known = KnownForms.of(Groups.of_forms(training), mini)
    new = "[CODE] Getting block [CODE] src: [CODE] dest: [CODE] at this time"
    cosines = dict(zip(known.forms, known.vectors @ unit(mini(pl.Series([new])))[0], strict=True))
    assert cosines[seldom] > cosines[often]
    assert one(known, [new, KNOWN[0]]) == [often, KNOWN[0]]
    assert one(known, [new, often, KNOWN[0]]) == [new, often, KNOWN[0]]
    assert one(known, [new, often, seldom]) == [new, often, seldom]
