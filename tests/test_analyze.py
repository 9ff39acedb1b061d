"""The main job: every line counted, what is odd found and explained, in bounded memory."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from checkpoints import tiny_encoder
from data_path import DATA, LINES, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st

import biglog
from biglog.errors import CheckpointError, InputError
from biglog.inference.analysis import Analysis
from biglog.inference.analyze import analyze
from biglog.inference.census import Census
from biglog.inference.events import Events
from biglog.inference.evidence import weigh
from biglog.logs.masking import normal_form, normal_forms, spans
from biglog.logs.record import read_logs

RHSM = Path(__file__).parent / "data" / "rhsm.log"


def run(source: object, **options: object) -> Analysis:
    return analyze(source, encoder=tiny_encoder(), **options)  # type: ignore[arg-type]


def log(lines: list[str]) -> io.BytesIO:
    return io.BytesIO("".join(line + "\n" for line in lines).encode())


def stamped(second: int, rest: str) -> str:
    return f"2024-05-01 10:{second // 60 % 60:02}:{second % 60:02} {rest}"


def counted(source: object, **options: int) -> Census:
    reading = {k: v for k, v in options.items() if k in ("batch_bytes", "max_line_bytes")}
    census = Census(**{k: v for k, v in options.items() if k not in reading})
    for batch in read_logs(source, **reading):  # type: ignore[arg-type]
        census.add(batch)
    return census


def test_a_real_log_is_accounted_for_to_the_line() -> None:
    analysis = run(RHSM)
    assert analysis.lines == 120
    assert sum(event.count for event in analysis.events) == analysis.lines
    assert sum(analysis.level_counts.values()) == analysis.lines
    assert sum(map(sum, analysis.levels.values())) == analysis.lines
    assert all(sum(event.timeline) == event.count for event in analysis.events)
    assert len({event.event_id for event in analysis.events}) == len(analysis.events)
    assert [event.count for event in analysis.events] == sorted(
        (e.count for e in analysis.events), reverse=True
    )
    assert "Errno" in analysis.odd_lines[0].line or "Traceback" in analysis.odd_lines[0].line


def test_an_odd_line_points_to_the_line() -> None:
    lines = RHSM.read_text().splitlines()
    for odd in run(RHSM).odd_lines:
        assert lines[odd.line_number - 1] == odd.line
        assert [line.line_number for line in odd.before] == list(
            range(max(1, odd.line_number - 3), odd.line_number)
        )
        assert all(lines[line.line_number - 1] == line.line for line in (*odd.before, *odd.after))
        assert odd.reasons
        assert 0.5 <= odd.anomaly_score <= 1.0
        assert [(s.start, s.end, s.token) for s in spans(odd.content)] == list(odd.spans)


def test_all_layouts_of_the_sixteen_domains_are_accounted_for() -> None:
    paths = sorted(map(str, LINES.glob("*.log")))
    analysis = run(paths)
    assert len(analysis.sources) == len(paths) == 16
    assert (
        sum(event.count for event in analysis.events)
        == analysis.lines
        == sum(s.lines for s in analysis.sources)
    )


def test_a_fatal_error_that_repeats_is_not_normal() -> None:
    lines = [stamped(i, f"INFO Served request {i} in {i % 7} ms") for i in range(600)]
    lines += [stamped(i, "FATAL Lost the storage backend") for i in range(300)]
    analysis = run(log(lines))
    top = analysis.odd_lines[0]
    assert "Lost the storage backend" in top.line
    assert top.count == 300
    assert "FATAL" in top.reasons[0]
    assert not any("Served" in odd.line for odd in analysis.odd_lines)


def test_errors_that_did_not_happen_are_not_errors() -> None:
    lines = [stamped(i, f"check {i} finished with 0 errors") for i in range(50)]
    lines += [stamped(i, "link came back without error") for i in range(50)]
    assert all(event.severity == 0.0 for event in run(log(lines)).events)


def test_an_event_without_words_is_no_comparison() -> None:
    lines = [stamped(i, f"INFO Served request {i} in {i % 7} ms") for i in range(100)]
    lines += [stamped(i, text) for i in range(100) for text in ("INFO .", "INFO 17", "INFO")]
    lines += [stamped(101, "INFO ,")]
    events = Events(counted(log(lines)))
    said = dict(zip(events.templates, events.worded.tolist(), strict=True))
    assert said["Served request [NUM] in [NUM] ms"]
    assert sum(said.values()) == 1
    evidence = weigh(events, tiny_encoder())
    compared = {events.templates[other] for other in evidence.neighbour if other >= 0}
    assert compared == {"Served request [NUM] in [NUM] ms"}


def test_a_baseline_makes_what_it_lacks_new(tmp_path: Path) -> None:
    known = [stamped(i, f"INFO Served request {i}") for i in range(200)]
    (tmp_path / "normal.log").write_text("\n".join(known) + "\n")
    now = known[:150] + [stamped(151, "INFO Rebalancing shard 7")] * 40
    without, against = run(log(now)), run(log(now), baseline=str(tmp_path / "normal.log"))
    assert {event.is_new for event in without.events} == {None}
    new = {event.template: event.is_new for event in against.events}
    assert new == {"Served request [NUM]": False, "Rebalancing shard [NUM]": True}
    assert "not in the baseline" in against.odd_lines[0].reasons
    assert against.odd_lines[0].line_number == 151


def test_parameters_are_counted_exactly() -> None:
    contents = [f"user u{i % 3} read {i % 5} blocks from 10.0.0.{i % 4}" for i in range(100)]
    analysis = run(log(contents))
    (event,) = analysis.events
    assert event.template == "user <*> read [NUM] blocks from [IP]"
    assert event.count == 100
    found = {p.token: dict(p.top) for p in event.parameters}
    words = [content.split(" ") for content in contents]
    assert found["<*>"] == Counter(row[1] for row in words)
    assert found["[NUM]"] == Counter(row[3] for row in words)
    assert found["[IP]"] == Counter(row[6] for row in words)


def test_events_are_those_of_the_parser() -> None:
    contents = [f"user u{i % 3} read {i % 5} blocks from 10.0.0.{i % 4}" for i in range(40)] + [
        "",
        "shut down",
    ]
    table = biglog.LogParser.from_pretrained().events(contents)
    analysis = run(log(contents))
    assert {event.event_id: event.count for event in analysis.events} == dict(
        table.select("event_id", "lines").iter_rows()
    )


def test_a_checkpoints_own_parser_is_taken(tmp_path: Path) -> None:
    (tmp_path / "parser_config.json").write_text('{"schema": "another"}')
    (tmp_path / "parser.safetensors").touch()
    with pytest.raises(CheckpointError, match="schema is 'another'"):
        analyze(log(["a line"]), encoder=tmp_path)


def test_too_many_normal_forms_are_grouped_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biglog.inference.events.MOST_PARSED", 2)
    analysis = run(log(["link up", "link down", "shut down", "link up"]))
    assert sum(event.count for event in analysis.events) == 4
    assert any("too many to parse" in note for note in analysis.notes)


def test_names_that_keep_changing_are_parameters() -> None:
    names = ["anna", "bert", "carl", "dora", "emil", "frida"]
    analysis = run(log([f"session opened for user {name}" for name in names * 3]))
    (event,) = analysis.events
    assert event.template == "session opened for user <*>"
    assert event.parameters[0].distinct == 6
    assert dict(event.parameters[0].top) == dict.fromkeys(sorted(names)[:5], 3)


def test_a_burst_is_more_than_the_pace_of_the_log() -> None:
    steady = [stamped(i, f"INFO tick {i}") for i in range(0, 1800)]
    calm = run(log(steady))
    assert [event.burst for event in calm.events] == [None]
    burst = [stamped(900, "INFO cache miss for key") for _ in range(200)]
    loud = run(log(steady[:900] + burst + steady[900:]))
    (event,) = (event for event in loud.events if "cache" in event.template)
    assert event.burst is not None
    assert event.burst.count == 200
    assert event.burst.start.minute == 15


def test_no_timestamps_no_timeline() -> None:
    analysis = run(log(["only words here"] * 3))
    assert analysis.bins == ()
    assert analysis.bin_seconds is None
    assert analysis.start is None
    assert analysis.events[0].timeline == ()


def test_one_line_and_blank_lines() -> None:
    assert run(log(["a single line"])).events[0].count == 1
    analysis = run(log(["", "x y", "", ""]))
    assert {event.template: event.count for event in analysis.events} == {"(blank line)": 3, "x y": 1}


def test_far_off_times_do_not_flatten_the_timeline() -> None:
    lines = [stamped(i, f"INFO tick {i}") for i in range(3000)]
    lines[1500] = "1970-01-01 00:00:00 INFO tick 1500"
    analysis = run(log(lines))
    assert analysis.bin_seconds is not None
    assert analysis.bin_seconds <= 300
    assert sum(map(sum, analysis.levels.values())) == 3000
    assert any("far from all others" in note for note in analysis.notes)


def test_damaged_lines_are_kept_counted_and_named() -> None:
    analysis = run(io.BytesIO(b"all is well\nbad \xff\xfe byte\nall is well\n"))
    assert analysis.lines == 3
    assert sum(event.count for event in analysis.events) == 3
    assert any("1 lines hold bytes that are no text (lines 2)" in note for note in analysis.notes)


def tables(census: Census) -> dict[str, list[tuple[object, ...]]]:
    form = pl.Series(census.forms, dtype=pl.String)
    named = {}
    for name in ("seen", "heads", "times", "levels", "values"):
        table = census.table(name)
        if "code" in table.columns:
            table = table.with_columns(
                pl.Series("code", [form[code] for code in table["code"]], dtype=pl.String)
            )
        named[name] = sorted(table.rows(), key=str)
    return named


def test_batches_of_any_size_count_the_same() -> None:
    large, small = counted(str(RHSM)), counted(str(RHSM), batch_bytes=300)
    assert tables(large) == tables(small)
    assert large.forms == small.forms
    assert large.firsts == small.firsts


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=30), st.integers(20, 200))
def test_any_bytes_are_counted_line_by_line(pieces: list[bytes], batch_bytes: int) -> None:
    data = b"\n".join(pieces)
    try:
        census = counted(io.BytesIO(data), batch_bytes=batch_bytes)
    except InputError:
        return  # empty, or really binary: it says so
    expected = read_logs(io.BytesIO(data)).read()
    assert census.lines == len(expected)
    assert census.table("seen")["count"].sum() == len(expected)
    assert set(census.forms) == set(normal_forms(expected["content"]))


def test_too_many_forms_are_folded_and_none_is_lost() -> None:
    letters = "abcdefghij"
    lines = [f"word{a}x{b} {a}{b}{c} done" for a in letters for b in letters for c in letters]
    census = counted(log(lines), max_forms=100)
    assert len(census.forms) <= 126
    assert census.folded_forms > 0
    assert census.table("seen")["count"].sum() == 1000


def test_folded_tables_keep_their_sums() -> None:
    lines = [stamped(37 * i, f"INFO block blk_{i} stored on node{i % 50} by user{i}") for i in range(3000)]
    census = counted(log(lines), max_rows=500, batch_bytes=4000)
    assert census.table("times")["count"].sum() == 3000
    assert census.table("seen")["count"].sum() == 3000
    assert census.bin_seconds > 1
    assert census.folded_values
    assert len(census.table("values")) <= 500


def test_events_of_a_census_cover_its_lines() -> None:
    events = Events(counted(str(RHSM)))
    assert events.counts.sum() == 120
    assert (
        np.array([len(events.timeline_of(i)) for i in range(len(events))]) == len(events.timeline.starts)
    ).all()


@needs_data
@pytest.mark.slow
def test_a_hundred_thousand_lines_are_accounted_for() -> None:
    path = DATA / "anomaly" / "bgl" / "BGL_100k.log.gz"
    analysis = run(str(path))
    assert analysis.lines == 100_000
    assert sum(event.count for event in analysis.events) == 100_000
    assert sum(map(sum, analysis.levels.values())) == 100_000
    contents = read_logs(str(path)).read()["content"]
    assert analysis.normal_forms == len({normal_form(content) for content in contents.unique()})
