"""Ranks: only comparable rows meet, ties share, and a difference within the deviation is said to be none."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaderboard_samples import HOSTILE, detection, models, renamed

from biglog.errors import InputError
from biglog.evaluation.leaderboard import Entry, tables
from biglog.evaluation.leaderboard.words import cell, is_best, rank_words
from biglog.evaluation.results import METRICS, Figure, ModelResults, TaskResult

SHARES = st.integers(0, 12).map(lambda n: n / 2000 + 0.7)


@st.composite
def rows(draw: st.DrawFn) -> TaskResult:
    metric = draw(st.sampled_from(["f1", "bits_per_byte", "false_alarms_per_day"]))
    named = {metric: Figure(draw(SHARES), draw(st.sampled_from([0.0, 0.0004, 0.003])), 2)}
    return TaskResult(
        task=draw(st.sampled_from(["anomaly/a", "anomaly/b"])),
        task_version=draw(st.integers(1, 2)),
        split=draw(st.sampled_from(["test", "validation"])),
        protocol=draw(st.sampled_from(["zero-shot", "zero shot"])),
        ground_truth_version=draw(st.sampled_from(["1", "2"])),
        data=draw(st.sampled_from([{}, {"file": "one"}, {"file": "two"}])),
        metrics=named,
        main_metric=metric,
    )


@st.composite
def boards(draw: st.DrawFn) -> list[Entry]:
    lists = draw(st.lists(st.lists(rows(), max_size=4, unique_by=lambda row: row.comparable), max_size=8))
    return [Entry(ModelResults(f"m{at}", "encoder", tuple(some))) for at, some in enumerate(lists)]


@settings(max_examples=40)
@given(boards())
def test_rows_of_a_table_are_comparable_and_none_is_lost(entries: list[Entry]) -> None:
    found = tables(entries)
    for table in found:
        assert {row.result.comparable for row in table.rows} == {table.key}
    assert len({table.key for table in found}) == len(found)
    assert len({table.slug for table in found}) == len(found)
    shown = sorted((row.model.name, row.result.comparable) for table in found for row in table.rows)
    assert shown == sorted((e.results.name, row.comparable) for e in entries for row in e.results.results)


@settings(max_examples=40)
@given(boards(), st.randoms(use_true_random=False))
def test_ranks_do_not_hang_on_the_order_of_files(entries: list[Entry], chance: random.Random) -> None:
    mixed = list(entries)
    chance.shuffle(mixed)
    assert tables(mixed) == tables(entries)


@settings(max_examples=40)
@given(boards())
def test_a_rank_is_one_more_than_the_rows_above(entries: list[Entry]) -> None:
    for table in tables(entries):
        sign = -1 if METRICS[table.main_metric].higher_is_better else 1
        ranked = [row for row in table.rows if row.rank]
        assert [row.rank for row in table.rows[len(ranked) :]] == [None] * (len(table.rows) - len(ranked))
        printed = [sign * float(cell(row, table.main_metric).partition(" ")[0]) for row in ranked]
        assert [row.rank for row in ranked] == [1 + sum(o < p for o in printed) for p in printed]
        assert printed == sorted(printed)


@settings(max_examples=40)
@given(boards())
def test_level_rows_differ_by_no_more_than_their_deviation(entries: list[Entry]) -> None:
    for table in tables(entries):
        ranked = [row for row in table.rows if row.rank]
        for row in ranked:
            own = row.result.metrics[table.main_metric]
            others = {o.rank: o.result.metrics[table.main_metric] for o in ranked if o.rank < row.rank}
            alike = {
                o.rank
                for o in ranked
                if o.rank < row.rank
                and abs(o.result.metrics[table.main_metric].mean - own.mean)
                <= math.hypot(o.result.metrics[table.main_metric].sd, own.sd)
            }
            assert row.level == min(alike | {row.rank})
            assert row.level == row.rank or row.level in others


def test_ties_share_a_rank_and_deviations_level_it() -> None:
    (table, *_) = tables([Entry(one) for one in models()])
    assert [(row.model.name, rank_words(row)) for row in table.rows] == [
        ("biglog-mini", "1"),
        ("biglog-base", "2 ≈ 1"),
        ("TF-IDF + isolation forest", "2 ≈ 1"),
        ("counts of events", "4"),
        (HOSTILE, "–"),
    ]
    best = {
        metric: [r.model.name for r in table.rows if is_best(table, r, metric)] for metric in table.metrics
    }
    assert best == {"average_precision": ["biglog-mini"], "f1": ["biglog-base"]}


def test_other_data_and_other_metrics_are_not_ranked() -> None:
    entries = [Entry(one) for one in models()]
    alone = ModelResults("by F1", "system", (replace(detection(0.9, 0.0, 0.99), main_metric="f1"),))
    without = {"f1": Figure(0.999)}
    lacking = ModelResults("lacks", "system", (replace(detection(0.9), metrics=without, main_metric="f1"),))
    (table, *_) = tables([*entries, Entry(alone), Entry(lacking)])
    told = {row.model.name: (row.rank, row.unranked) for row in table.rows}
    assert table.main_metric == "average_precision"
    assert told[HOSTILE] == (None, "measured on other data: a checksum differs")
    assert told["by F1"] == (4, "")
    assert told["lacks"] == (None, "has no figure of the metric that ranks here")
    assert table.best("f1") == "0.990"


def test_two_models_of_one_name_are_refused() -> None:
    entries = [Entry(models()[0], url="first"), Entry(renamed(models()[1], "biglog-mini"), url="second")]
    with pytest.raises(InputError, match=r"second: name is 'biglog-mini', as in first"):
        tables(entries)
