"""Features of groups: finite, of equal weight, the same for other events where they say so, and saved."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from anomaly_samples import EVENTS, FORMS, ODD, encode, saved, sessions, views
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.tasks.anomaly.evidence import word_severity
from biglog.tasks.anomaly.features import BLOCKS, COLUMNS, MOST_EVENTS, PORTABLE, Features
from biglog.tasks.anomaly.view import View
from biglog.tasks.groups import Groups

TROUBLE = [EVENTS["5"], "writeBlock [NUM] received exception java.io.IOException", EVENTS["11"]]
LEARNT, SEEN = views([*sessions(40, 0), TROUBLE, TROUBLE], sessions(20, 1) + ODD)
groups = st.lists(st.lists(st.sampled_from(FORMS), min_size=1, max_size=8), min_size=1, max_size=10)


@pytest.mark.parametrize("block", BLOCKS)
@settings(max_examples=25)
@given(train=groups, tested=groups)
def test_all_numbers_are_finite_and_those_of_a_group_are_its_own(block, train, tested):
    learnt, asked = views(train, tested)
    features = Features([block]).fit(learnt)
    rows = features.transform(asked)
    assert rows.dtype == np.float32
    assert rows.shape == (len(tested), len(features.columns(learnt.groups.forms[: learnt.known])))
    assert np.isfinite(rows).all()
    alone = np.concatenate([features.transform(asked.take(np.array([row]))) for row in range(len(asked))])
    np.testing.assert_allclose(alone, rows, atol=1e-5)


@pytest.mark.parametrize("block", BLOCKS)
def test_columns_are_centred_and_blocks_weigh_the_same(block):
    rows = Features([block]).fit(LEARNT).transform(LEARNT).astype(float)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    weight = (rows**2).sum(axis=1).mean()
    # Of groups that are all known, nothing is far: such a block stays as it is.
    assert weight == pytest.approx(0.0 if block == "distances" else 1.0, abs=1e-4)


def test_blocks_stand_side_by_side_and_can_be_read_back():
    features = Features(tuple(BLOCKS)).fit(LEARNT)
    rows = features.transform(SEEN)
    apart = [Features([block]).fit(LEARNT).transform(SEEN) for block in BLOCKS]
    assert np.array_equal(rows, np.concatenate(apart, axis=1))
    plain = np.concatenate([BLOCKS[block](SEEN) for block in BLOCKS], axis=1)
    np.testing.assert_allclose(features.original(rows), plain, atol=1e-5)
    names = features.columns(LEARNT.groups.forms[: LEARNT.known])
    assert len(names) == rows.shape[1]
    assert [name.block for name in names] == [
        block for block, part in zip(BLOCKS, apart, strict=True) for _ in range(part.shape[1])
    ]
    for block, said in COLUMNS.items():
        assert tuple(name.name for name in names if name.block == block) == said


def test_the_columns_say_what_they_say():
    forms = SEEN.groups.forms.to_list()
    severity = dict(zip(forms, word_severity(SEEN.groups.forms)[0], strict=True))
    with_form = dict(zip(forms, LEARNT.groups_with, strict=False))
    rare = {form: 1 - np.log1p(with_form.get(form, 0)) / np.log1p(LEARNT.fitted) for form in forms}
    blocks = {name: block(SEEN) for name, block in BLOCKS.items()}
    for row in range(len(SEEN)):
        lines = [forms[code] for code in SEEN.groups.sequence(row)]
        counted = Counter(lines)
        unknown = [line for line in lines if line not in with_form]
        known = [np.log1p(counted[form]) for form in forms[: SEEN.known]]
        np.testing.assert_allclose(blocks["counts"][row], [*known, np.log1p(len(unknown))], rtol=1e-5)
        assert blocks["distances"][row][1] == pytest.approx(len(unknown) / len(lines))
        assert (blocks["distances"][row][0] > 0.01) == bool(unknown)
        words = [severity[line] for line in lines]
        worst = max((severity[line] for line in unknown), default=0.0)
        np.testing.assert_allclose(blocks["severity"][row], [max(words), np.mean(words), worst], atol=1e-6)
        rarity = [rare[line] for line in lines]
        np.testing.assert_allclose(blocks["rarity"][row], [max(rarity), np.mean(rarity)], atol=1e-6)
        np.testing.assert_allclose(blocks["trouble"][row], [max(words), max(rarity)], atol=1e-6)
    assert blocks["severity"].max() >= 0.6


def reordered(view: View, seed: int) -> View:
    """The same lines where the known forms have other codes."""
    order = np.random.default_rng(seed).permutation(view.known)
    every = np.concatenate([order, np.arange(view.known, len(view.groups.forms))])
    places = np.argsort(every)
    return View(
        view.groups.recoded(view.groups.forms.gather(every), places),
        view.known,
        view.vectors[every],
        view.distances[every],
        view.groups_with[order],
        view.fitted,
    )


@pytest.mark.parametrize("seed", range(3))
def test_portable_blocks_do_not_know_which_event_is_which(seed):
    learnt, seen = reordered(LEARNT, seed), reordered(SEEN, seed)
    for block in BLOCKS:
        same = np.allclose(
            Features([block]).fit(learnt).transform(seen),
            Features([block]).fit(LEARNT).transform(SEEN),
            atol=1e-5,
        )
        assert same == (block != "counts"), block
    assert "counts" not in PORTABLE
    # What is near to known forms depends on which forms those are.
    assert "distances" not in PORTABLE


def test_rarity_and_trouble_are_the_same_in_a_system_of_other_words():
    says = {0.0: "größe", 0.6: "denied"}
    severity = word_severity(LEARNT.groups.forms)[0].tolist()
    names = pl.Series([f"{says[worst]} {place}" for place, worst in enumerate(severity)])
    others = Groups(names, LEARNT.groups.codes, LEARNT.groups.offsets, LEARNT.groups.ids)
    vectors = encode(names)
    elsewhere = View(others, LEARNT.known, vectors, LEARNT.distances, LEARNT.groups_with, LEARNT.fitted)
    for block in set(PORTABLE) - {"embeddings"}:
        assert np.array_equal(BLOCKS[block](elsewhere), BLOCKS[block](LEARNT))


def test_of_too_many_events_the_rarest_share_a_column():
    events = [f"event {place}" for place in range(MOST_EVENTS + 100)]
    rare, common = events[:101], events[101:]
    assert len(common) == MOST_EVENTS - 1
    train = [events, common, common]
    made = Groups.of_forms([*train, [*rare, rare[0], rare[-1], common[0], "new"]])
    vectors = np.ones((len(made.forms), 2), dtype=np.float32)
    known = len(events)
    view = View(made, known, vectors, np.zeros(len(made.forms)))
    learnt = view.take(np.arange(3))
    features = Features(["counts"]).fit(learnt)
    names = [column.name for column in features.columns(made.forms[:known])]
    assert len(names) == MOST_EVENTS + 2
    assert names[-2:] == ["all rarer events", "unknown forms"]
    kept = names[:-2]
    assert kept == [rare[0], *common]
    lines = np.expm1(features.original(features.transform(view)))
    np.testing.assert_allclose(lines.sum(axis=1), made.sizes, rtol=1e-4)
    # Of the rare ones the first is kept: it comes twice in the last group.
    np.testing.assert_allclose(lines[3, -2:], [len(rare), 1], rtol=1e-4)
    np.testing.assert_allclose(lines[3, :3], [2, 1, 0], atol=1e-3)
    again = Features.from_state(saved(features.state()))
    assert np.array_equal(again.transform(view), features.transform(view))


def test_what_is_saved_describes_the_same_to_the_bit():
    features = Features(tuple(BLOCKS)).fit(LEARNT)
    again = Features.from_state(saved(features.state()))
    assert again.names == features.names
    assert np.array_equal(again.transform(SEEN), features.transform(SEEN))


def test_names_that_are_none_are_refused():
    with pytest.raises(InputError, match=r"'colour' is no block of features. Choose of counts, embeddings"):
        Features(["counts", "colour"])
    with pytest.raises(InputError, match=r"no features. Choose of counts"):
        Features([])
