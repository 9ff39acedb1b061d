"""Cuts between splits: laws on any keys, and the shares on real ones."""

import numpy as np
import polars as pl
from data_path import LINES
from hypothesis import given
from hypothesis import strategies as st

from biglog.data.tables.splits import cut, histogram, shares, split_of, time_cuts
from biglog.logs.record import read_logs

# Few distinct keys make ties; far apart and negative ones make histograms narrow down.
KEYS = st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**61), 2**61)), min_size=1, max_size=60)


def chunks(keys, size=7):
    parts = [np.array(keys[at : at + size], dtype=np.int64) for at in range(0, len(keys), size)]
    return lambda low, high: iter(parts)


def naive_cut(keys, rank):
    """All moments between rows, and the one with the number of rows before it nearest to the rank."""
    moments = [(sum(key < moment for key in keys), moment) for moment in sorted(set(keys))[1:]]
    moments.append((len(keys), max(keys) + 1))
    return min(abs(rows - rank) for rows, _ in moments)


@given(KEYS, st.integers(2, 50), st.data())
def test_the_nearest_moment_is_found_exactly(keys, bins, data):
    rank = data.draw(st.integers(0, len(keys) - 1))
    found = cut(chunks(keys), min(keys), max(keys), rank, bins)
    assert found.rows == sum(key < found.key for key in keys) > 0
    assert abs(found.rows - rank) == naive_cut(keys, rank)


@given(KEYS, st.integers(2, 50))
def test_splits_keep_order_and_ties(keys, bins):
    first, second = time_cuts(chunks(keys), min(keys), max(keys), len(keys), bins)
    assert first.key <= second.key
    assert 0 < first.rows <= second.rows <= len(keys)
    widest = max(keys.count(key) for key in keys)
    for found, rank in zip((first, second), shares(len(keys))[1:3], strict=True):
        assert abs(found.rows - rank) <= widest


@given(KEYS, st.integers(1, 50))
def test_a_histogram_counts_every_key_once(keys, bins):
    counted = histogram(chunks(keys), min(keys), max(keys), bins)
    assert counted.counts.sum() == len(keys)
    assert len(counted.counts) <= bins
    for number, count in enumerate(counted.counts):
        assert count == sum(counted.key(number) <= key < counted.key(number + 1) for key in keys)


def test_real_times_are_cut_between_seconds():
    times = pl.concat([batch.frame["timestamp"] for batch in read_logs(LINES / "Linux.log")])
    keys = times.to_physical().to_list()
    assert len(set(keys)) < len(keys)  # lines of one second
    first, second = time_cuts(chunks(keys), min(keys), max(keys), len(keys))
    assert {first.rows, second.rows} <= {sum(k < moment for k in keys) for moment in {*keys, max(keys) + 1}}


@given(st.integers(1, 10_000))
def test_groups_are_shared_out(count):
    bounds = shares(count)
    assert bounds[0] == 0
    assert bounds[-1] == count
    assert list(bounds) == sorted(bounds)
    numbers = {0, bounds[1], max(0, bounds[1] - 1), bounds[2], count - 1}
    for number in numbers & set(range(count)):
        index = ["train", "validation", "test"].index(split_of(number, count))
        assert bounds[index] <= number < bounds[index + 1]


def test_shares_of_a_hundred():
    assert shares(100) == (0, 80, 90, 100)
