"""Logs in pieces: the same events as in one piece, identities that keep their meaning, counts that add up."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog import LogParser
from biglog.errors import InputError
from biglog.tasks.parsing.columns import Node, features
from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.learning import Judges
from biglog.tasks.parsing.lexicon import Lexicon
from biglog.tasks.parsing.parser import ZeroShotParser
from biglog.tasks.parsing.partition import Judge
from biglog.tasks.parsing.rules import Rules
from biglog.tasks.parsing.state import state_of, stream_of
from biglog.tasks.parsing.stream import ParseStream
from biglog.tasks.parsing.template import Template, event_id

NAMES = ("ann", "bob", "eve", "kim", "joe", "sue", "max", "zoe", "lea", "tim")


def made(lines: int, seed: int) -> pl.Series:
    """A log of a dozen events in which values, and words in places of words, come later than the events."""
    rng = random.Random(seed)
    found = []
    for n in range(lines):
        late = n > 0.6 * lines
        verb = rng.choice(["opened", "closed"] if not late else ["opened", "closed", "lost"])
        found.append(
            rng.choice(
                [
                    f"session {verb} for user {rng.choice(NAMES)} by (uid={rng.randrange(9) if late else 0})",
                    f"Accepted password for {rng.choice(NAMES)} from 10.0.0.{rng.randrange(9)} port {n} ssh2",
                    f"worker {rng.randrange(20)} of {rng.choice([16, 32]) if late else 12} done",
                    f"timeout=30 retries={rng.randrange(4)} host=db{rng.randrange(12)}.local",
                    f"wrote /var/log/{rng.choice(NAMES)}.log, {rng.randrange(10**6)} bytes",
                    rng.choice(["shutting down", "restarting", "", "disk full on sda"]),
                ]
            )
        )
    return pl.Series(found, dtype=pl.String)


@pytest.fixture(scope="module")
def parser() -> LogParser:
    return LogParser.from_pretrained()


LOG = made(300, seed=0)


@pytest.fixture(scope="module")
def whole(parser: LogParser) -> ParseStream:
    stream = parser.stream()
    stream.parse_whole(LOG)
    return stream


def streamed(stream: ParseStream, log: pl.Series, cuts: list[int]) -> list[pl.DataFrame]:
    return [stream.parse(log[a:b]) for a, b in pairwise([0, *sorted(cuts), len(log)])]


def adds_up(stream: ParseStream) -> None:
    events = stream.events()
    assert int(events["lines"].sum()) + stream.folded_lines == stream.lines
    assert events["event_id"].n_unique() == len(events)
    assert (events["lines"] > 0).all()
    for identity, template in events.select("event_id", "template").iter_rows():
        assert identity == event_id(template)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 300), max_size=8))
def test_a_log_in_pieces_has_the_events_of_the_whole(
    parser: LogParser, whole: ParseStream, cuts: list[int]
) -> None:
    stream = parser.stream()
    frames = streamed(stream, LOG, cuts)
    stream.settle()
    assert stream.event_of == whole.event_of
    assert stream.written == whole.written
    adds_up(stream)
    rows = pl.concat(frames)
    assert rows["line_id"].to_list() == list(range(300))
    for content, row in zip(LOG, rows.to_dicts(), strict=True):
        values = [each["value"] for each in row["parameters"]]
        assert Template(row["template"]).format(values) == content


def test_line_by_line_is_no_other_case(parser: LogParser, whole: ParseStream) -> None:
    stream = parser.stream()
    streamed(stream, LOG, list(range(1, 300)))
    stream.settle()
    assert stream.event_of == whole.event_of
    adds_up(stream)


def test_an_identity_never_changes_its_meaning(parser: LogParser) -> None:
    stream, shown = parser.stream(), defaultdict[str, set[str]](set)
    given_out: set[str] = set()
    for start in range(0, 300, 20):
        given_out.update(stream.parse(LOG[start : start + 20])["event_id"])
        for identity, template in stream.events().select("event_id", "template").iter_rows():
            shown[identity].add(template)
    assert all(len(templates) == 1 for templates in shown.values())
    # What was given out is an event still, or it is said what became of it.
    known = set(stream.events()["event_id"])
    for identity in given_out - known:
        assert identity in stream.aliases
        assert set(stream.aliases[identity]) <= known | stream.aliases.keys()


def judging(divides: float) -> ZeroShotParser:
    """A parser that divides by every column or by none, and takes what stands alone for a constant."""

    def judges(chance: float) -> Judge:
        return lambda rows: np.full(len(rows), chance)

    return ZeroShotParser(Lexicon(), Judges(judges(divides), judges(0.0)))


def test_an_event_that_becomes_part_of_another_is_an_alias() -> None:
    stream = ParseStream(judging(0.0))
    first = stream.parse(pl.Series(["link up on eth", "link up on eth", "shut down"]))
    stream.count(pl.Series(["link up on lan"]))
    aliases = stream.settle()
    old, new = event_id("link up on eth"), event_id("link up on <*>")
    assert first["event_id"].to_list()[0] == old
    assert [(alias.old, alias.new) for alias in aliases] == [(old, (new,))]
    assert stream.resolve(old) == new
    assert dict(stream.events().select("template", "lines").iter_rows()) == {
        "link up on <*>": 2,
        "shut down": 1,
    }
    stream.emit(pl.Series(["link up on lan"]), np.array([2]))
    assert stream.events().row(0, named=True)["lines"] == 3
    assert stream.aliases == {old: (new,)}


def test_a_line_gets_no_event_that_is_an_alias() -> None:
    stream = ParseStream(judging(0.0))
    stream.parse_whole(pl.Series([f"user {n} logged in" for n in range(1, 40)]))
    assert stream.event_of == ["user <*> logged in"]
    stream.count(pl.Series(["guest 5 logged in"]))
    stream.settle()
    assert stream.aliases == {event_id("user <*> logged in"): (event_id("<*> <*> logged in"),)}
    given_out = stream.parse(pl.Series(["user x-5 logged in"]))["event_id"][0]
    assert given_out == event_id("<*> <*> logged in")


def test_a_number_that_changes_late_is_a_value() -> None:
    """The judge takes every lone value for a constant; the log says otherwise."""
    lines = [f"port 80 of {name * n} is open" for n in (1, 2, 3) for name in NAMES]
    late = [f"port {n} of {name} is open" for n, name in enumerate(NAMES, start=1)]
    log = pl.Series([*lines, *late, "version 2 of it"])
    stream = ParseStream(judging(0.0))
    rows = stream.parse_whole(log)
    assert rows["template"].unique().sort().to_list() == ["port <*> of <*> is open", "version 2 of it"]
    pieces = ParseStream(judging(0.0))
    streamed(pieces, log, [10, 20, 35])
    pieces.settle()
    assert pieces.event_of == stream.event_of
    adds_up(pieces)


def texts_under_masks() -> int:
    """Which number of `features` counts the texts under a mask."""
    rows = []
    for count in (3, 5):
        forms = Forms.of(pl.Series([f"port {n} up" for n in range(1, count + 1)]))
        rows.append(features(forms, Lexicon(), Node.of(forms, [0]), 1))
    (place,) = (n for n, pair in enumerate(zip(*rows, strict=True)) if pair == (3, 5))
    return place


def test_a_form_is_not_to_blame_for_what_an_early_template_did_not_fit() -> None:
    """It came to an event with a number that was constant so far."""
    lines = [f"open port 80 of {name} version 2 now" for name in NAMES]
    lines += ["open port 80 of x-7 version 2 now", "open port 443 of x-7 version 2 now"]
    place = texts_under_masks()

    def changes(rows: list[list[float]]) -> np.ndarray:
        return np.array([float(row[place] > 1) for row in rows])

    parser = ZeroShotParser(Lexicon(), Judges(lambda rows: np.zeros(len(rows)), changes))
    whole, pieces = ParseStream(parser), ParseStream(parser)
    whole.parse_whole(pl.Series(lines))
    streamed(pieces, pl.Series(lines), [10, 11])
    assert pieces.misfits
    pieces.settle()
    assert set(pieces.event_of) == {"open port <*> of <*> version 2 now"} == set(whole.event_of)


@pytest.mark.parametrize("max_forms", [1, 2, 5, 20])
def test_lines_of_what_is_forgotten_are_still_counted(parser: LogParser, max_forms: int) -> None:
    stream = parser.stream(max_forms=max_forms)
    for start in range(0, 300, 30):
        rows = stream.parse(LOG[start : start + 30])
        adds_up(stream)
        lengths = {len(stream.event_of), len(stream.seen), len(stream.written), len(stream.doubts)}
        assert lengths == {len(stream.census.texts)}
        assert len(stream.census.texts) <= max_forms
        assert len(stream.totals) <= max(2 * max_forms, len(stream.census.texts) + max_forms)
        for content, row in zip(LOG[start : start + 30], rows.to_dicts(), strict=True):
            values = [each["value"] for each in row["parameters"]]
            assert Template(row["template"]).format(values) == content
    assert stream.lines == 300


def test_events_without_number_are_counted_together() -> None:
    stream = ParseStream(judging(1.0), max_forms=4)
    for n in range(40):
        stream.parse(pl.Series([f"{chr(97 + n % 26)}{chr(97 + n // 26)} was here"]))
        adds_up(stream)
    assert len(stream.totals) <= 8
    assert stream.folded_lines == stream.folded_events > 0
    assert int(stream.events()["lines"].sum()) == 40 - stream.folded_lines


def test_a_state_in_the_middle_changes_nothing(parser: LogParser) -> None:
    told = parser.stream()
    told.library = LogParser(parser._head).add_templates(["worker <*> of <*> done"]).stream().library
    told.rules = told.census.rules = Rules.of(["ann"], ["db[0-9]+[.]local"])
    told.parse(LOG[:100])
    told.parse(LOG[100:150])
    state = json.loads(json.dumps(state_of(told), ensure_ascii=False))
    back = stream_of(state, parser._head)
    assert state_of(back) == state_of(told)
    for start in (150, 200, 250):
        assert back.parse(LOG[start : start + 50]).equals(told.parse(LOG[start : start + 50]))
    assert back.settle() == told.settle()
    assert back.events().equals(told.events())
    assert back.aliases == told.aliases


def test_a_state_can_be_taken_where_nothing_was_parsed(parser: LogParser) -> None:
    stream = parser.stream()
    assert stream_of(state_of(stream), parser._head).parse(LOG[:3])["line_id"].to_list() == [0, 1, 2]
    stream.count(LOG[:50])  # counted, and not given an event yet
    back = stream_of(json.loads(json.dumps(state_of(stream))), parser._head)
    assert back.parse(LOG[50:60])["line_id"].to_list() == list(range(10))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "biglog-parse-state/0"}, "biglog-parse-state/0"),
        ({"masking_version": "0"}, "masking_version"),
        ({"forms": [{"form": "a"}]}, "damaged"),
        ({"forms": 3}, "damaged"),
        ({"events": [["a"]]}, "damaged"),
        ({"lines": "many"}, "damaged"),
        ({"aliases": []}, "damaged"),
        ({"mask": ["("]}, "no regular expression"),
    ],
)
def test_a_state_that_is_none_is_an_error(parser: LogParser, change: dict[str, object], said: str) -> None:
    stream = parser.stream()
    stream.parse(LOG[:20])
    with pytest.raises(InputError, match=said):
        stream_of(state_of(stream) | change, parser._head)


@pytest.mark.parametrize(
    "field", ["form", "lines", "contents", "event", "written", "doubt", "seen", "misfits"]
)
def test_a_form_of_a_state_lacks_nothing(parser: LogParser, field: str) -> None:
    stream = parser.stream()
    stream.parse(LOG[:20])
    state = state_of(stream)
    del state["forms"][0][field]
    with pytest.raises(InputError, match="damaged"):
        stream_of(state, parser._head)
    state = state_of(stream)
    state["forms"][0]["contents"] = []
    with pytest.raises(InputError, match="damaged"):
        stream_of(state, parser._head)


SIMPLE = [
    line
    for n, name in enumerate(NAMES * 4)
    for line in (
        f"user {name} logged in from 10.0.0.{n}",
        f"user {name} logged out after {n + 7} seconds",
        "connection lost",
        f"wrote {n * 512} bytes to /tmp/{name}.txt",
    )
]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_of_lines_says_nothing(parser: LogParser, rng: random.Random) -> None:
    shuffled = list(SIMPLE)
    rng.shuffle(shuffled)
    expected = dict(zip(SIMPLE, parser.parse(SIMPLE)["template"], strict=True))
    assert dict(zip(shuffled, parser.parse(shuffled)["template"], strict=True)) == expected


def test_events_are_found_by_words_in_any_case(parser: LogParser) -> None:
    stream = parser.stream()
    stream.parse(pl.Series(SIMPLE))
    found = stream.search(["USER", "out"])
    assert found["lines"].to_list() == [40]
    assert "logged out" in found["template"][0]
    assert stream.search(["user", "bytes"]).is_empty()


def test_what_is_worth_a_label_can_be_a_label(parser: LogParser) -> None:
    stream = parser.stream()
    stream.parse(pl.concat([LOG, pl.Series(["x1", "<*>", "   ", "a  b\t7 8 9", "17 18"])]))
    proposed = stream.proposals(99)
    assert [content for content, _ in proposed] == stream.propose(99)
    for content, template in proposed:
        if template:
            assert Template(template).spans(content) is not None
    labels = [(content, template) for content, template in proposed if template]
    assert labels
    LogParser(parser._head).fit(*zip(*labels, strict=True))


def test_a_log_of_more_forms_than_are_remembered_is_parsed_to_its_end(
    parser: LogParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biglog.tasks.parsing.stream.PIECE_LINES", 40)
    few = parser.stream(max_forms=8)
    table = few.parse_whole(LOG)
    assert table["line_id"].to_list() == list(range(len(LOG)))
    assert len(few.census.texts) <= 8
    adds_up(few)
    pieces = parser.stream()
    assert pieces.parse_whole(LOG).equals(parser.parse(LOG))
    assert len(parser.parse([])) == 0
