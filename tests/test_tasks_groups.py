"""Groups of lines as numbers: the same whatever they come in, and what follows is what a plain loop says."""

import tracemalloc
from collections import Counter

import datasets
import numpy as np
import polars as pl
import pytest
from anomaly_samples import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.errors import InputError
from biglog.logs.grouping import by_count
from biglog.tasks.groups import Groups

CONTENTS = [
    "Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106 dest: /10.250.19.102:50010",
    "Receiving block blk_7503483334202473044 src: /10.251.215.16:55695 dest: /10.251.215.16:50010",
    "PacketResponder 1 for block blk_38865049064139660 terminating",
    "größe überschritten: 12 Bytes",
    "数据块 12 已删除",
    "",
]
forms = st.lists(st.lists(st.sampled_from(FORMS), min_size=1, max_size=6), min_size=1, max_size=12)
contents = st.lists(st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=5), min_size=1, max_size=6)


def told(groups):
    """Groups as lists of texts."""
    every = groups.forms.to_list()
    return [[every[code] for code in groups.sequence(group)] for group in range(len(groups))]


@settings(max_examples=25)
@given(contents)
def test_groups_are_the_same_whatever_they_come_in(lists):
    names = [f"group {place}" for place in range(len(lists))]
    table = {"contents": lists, "group_id": names}
    frame = pl.DataFrame(table, schema={"contents": pl.List(pl.String), "group_id": pl.String})
    expected = Groups.of(lists)
    masked = frame.select("group_id", normal_forms=pl.Series(told(expected)))
    for given_as in (
        frame,
        masked,
        frame.to_arrow(),
        datasets.Dataset.from_dict(table),
        datasets.Dataset.from_dict(table).with_format("numpy"),
    ):
        groups = Groups.of(given_as)
        assert told(groups) == told(expected)
        assert groups.ids.to_list() == names
    assert expected.ids.to_list() == [str(place) for place in range(len(lists))]
    assert Groups.of(expected) is expected
    assert told(Groups.of(tuple(map(tuple, lists)))) == told(Groups.of(map(iter, lists))) == told(expected)


def test_values_are_masked_in_contents_and_not_in_forms():
    groups = Groups.of([CONTENTS[:3], CONTENTS[2:4]])
    assert len(groups.forms) == 3
    assert "[NUM]" in groups.forms[1]
    assert Groups.of_forms([["copied 12 files", "copied 13 files"]]).forms.len() == 2


@given(forms)
def test_distinct_groups_are_those_of_a_dict(lists):
    groups = Groups.of_forms(lists)
    distinct, place, times = groups.distinct()
    counted = Counter(map(tuple, lists))
    assert told(distinct) == [list(group) for group in counted]
    assert times.tolist() == list(counted.values())
    order = {group: row for row, group in enumerate(counted)}
    assert place.tolist() == [order[tuple(group)] for group in lists]


@pytest.mark.parametrize("lines", [512, 1024, 4096])
def test_long_groups_that_polynomials_cannot_tell_apart_are_distinct(lines):
    # The sequence of Thue and Morse and its opposite: equal modulo 2**64 by a polynomial of any base.
    one = [bin(line).count("1") % 2 for line in range(lines)]
    groups = Groups.of_forms([[FORMS[bit] for bit in one], [FORMS[1 - bit] for bit in one]])
    assert len(groups.distinct()[0]) == 2


@given(forms, st.data())
def test_some_groups_are_taken_in_the_order_wanted(lists, data):
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), min_size=1, max_size=20))
    taken = Groups.of_forms(lists, [f"id {place}" for place in range(len(lists))]).take(np.array(rows))
    assert told(taken) == [lists[row] for row in rows]
    assert taken.ids.to_list() == [f"id {row}" for row in rows]
    assert taken.offsets[-1] == len(taken.codes)


@given(forms)
def test_counts_are_counted_and_change_nothing(lists):
    groups = Groups.of_forms(lists)
    codes, offsets = groups.codes.copy(), groups.offsets.copy()
    table = groups.counts
    assert table.has_sorted_indices
    for group, row in zip(lists, table.toarray(), strict=True):
        assert {groups.forms[form]: count for form, count in enumerate(row) if count} == Counter(group)
    assert np.array_equal(groups.codes, codes)
    assert np.array_equal(groups.offsets, offsets)
    assert groups.sizes.tolist() == [len(group) for group in lists]
    assert groups.owners.tolist() == [place for place, group in enumerate(lists) for _ in group]


@given(forms, st.randoms(use_true_random=False))
def test_identities_are_those_of_forms_whatever_their_codes(lists, random):
    groups = Groups.of_forms(lists)
    order = random.sample(range(len(groups.forms)), len(groups.forms))
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(len(order))
    others = groups.recoded(groups.forms.gather(order), places)
    assert told(others) == lists
    assert others.ids.equals(groups.ids)
    identities = groups.identities()
    assert others.identities().equals(identities)
    assert identities.str.contains("^[0-9a-f]{12}$").all()
    assert len(set(identities)) == len(set(map(tuple, lists)))


def test_lines_in_order_are_cut_by_a_table():
    lines = pl.Series([FORMS[place % 3] for place in range(10)])
    groups = Groups.of_rows(lines, by_count(lines.rename("form").to_frame(), window_lines=4))
    assert [line for group in told(groups) for line in group] == lines.to_list()
    assert groups.sizes.tolist() == [4, 4, 2]


@pytest.mark.parametrize(
    ("given_as", "problem"),
    [
        ([], "there are no groups. Give at least one"),
        ([["a"], []], r"group '1' \(number 1\) has no lines. Leave groups without lines out"),
        (pl.DataFrame({"contents": [["a"], None], "group_id": ["x", "y"]}), "group 'y'.*has no lines"),
        (pl.DataFrame(schema={"contents": pl.List(pl.String)}), "there are no groups"),
        (pl.DataFrame({"contents": ["a"]}), "no list column 'normal_forms' or 'contents'. It has contents"),
        ("a line", "groups of lines are needed, not a str. Give a list of lists"),
        (None, "groups of lines are needed, not a NoneType"),
        (7, "groups of lines are needed, not a int"),
        (["a line"], "a group is a list of contents, not a str.*Put its contents into a list"),
        ([["a"], 7], r"not a int \(number 1\)"),
        ([["a", 7]], "a line of a group is no text. Give the contents"),
        (
            datasets.DatasetDict(train=datasets.Dataset.from_dict({"contents": [["a"]]})),
            "not a DatasetDict. Take one of its splits",
        ),
    ],
)
def test_what_is_no_groups_is_said_to_be_none(given_as, problem):
    with pytest.raises(InputError, match=problem):
        Groups.of(given_as)


def test_a_line_that_is_null_is_empty():
    assert told(Groups.of(pl.DataFrame({"contents": [["a", None]]}))) == [["a", ""]]


def test_a_group_of_a_million_lines_takes_little_room():
    lines = [CONTENTS[place % 4] for place in range(1_000_000)]
    tracemalloc.start()
    groups = Groups.of([lines, lines[:3]])
    distinct, _, _ = groups.distinct()
    assert groups.counts.sum() == 1_000_003
    assert len(set(distinct.identities())) == 2
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 * 2**20
