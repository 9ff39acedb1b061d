"""A stream: verdicts are those of the whole log, whatever the cut; memory is bounded, nothing is silent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from detect_samples import assert_same, contents, knowing, log, scores_by_id
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog import normal_forms, read_logs
from biglog.errors import CheckpointError, InputError
from biglog.inference.detection import groups as detect_groups
from biglog.inference.detection import stream as detect_stream
from biglog.inference.detection.forms import LineForms
from biglog.inference.detection.groups import Grouping, key_finder, keys_of_rows, window_id
from biglog.inference.detection.stream import DetectStream, Judged
from biglog.logs.domains import DOMAINS
from biglog.logs.grouping import by_time
from biglog.tasks.groups import Groups

REAL = Path(__file__).parent / "data" / "loghub"
GROUPINGS = (
    Grouping.of(window_lines=7),
    Grouping.of(window_lines=7, stride_lines=3),
    Grouping.of(window_lines=6, stride_lines=1),
    Grouping.of(window_seconds=10, grace_seconds=30.0),
    Grouping.of(window_seconds=10, stride_seconds=2.5, grace_seconds=30.0),
    Grouping.of(session="HDFS"),
    Grouping.of(session=r"(?i)(blk_-?\d+)"),
    Grouping.of(session="pid"),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Records of 25 sessions, two of them odd; clocks a bit apart, and some lines without time."""
    path = tmp_path_factory.mktemp("log") / "HDFS.log"
    path.write_text(log(25, odd=(11, 20)))
    records = read_logs(path).read()
    number = pl.int_range(pl.len())
    apart = pl.col("timestamp") + pl.duration(seconds=(number * 7) % 5)
    return records.with_columns(timestamp=pl.when(number % 9 != 0).then(apart))


def verdicts(judged: list[Judged]) -> dict[str, tuple[float, bool, int]]:
    assert len({each.group_id for each in judged}) == len(judged)
    return {each.group_id: (each.anomaly_score, each.is_anomaly, each.lines) for each in judged}


def of_batch(frame: pl.DataFrame, grouping: Grouping, method: str) -> dict[str, tuple[float, bool, int]]:
    groups = Groups.of_rows(normal_forms(frame["content"]), grouping.table(frame))
    return scores_by_id(knowing(method), groups)


def fed(stream: DetectStream, frame: pl.DataFrame, cuts: list[int]) -> list[Judged]:
    """Adds rows in pieces; every other one line by line."""
    judged = []
    edges = [0, *sorted(min(cut, len(frame)) for cut in cuts), len(frame)]
    for turn, (start, end) in enumerate(pairwise(edges)):
        part = frame.slice(start, end - start)
        if turn % 2:
            judged += stream.add(part)
        else:
            for row in part.iter_rows(named=True):
                more = {"timestamp": row["timestamp"], "line_number": row["line_number"], "pid": row["pid"]}
                judged += stream.add_line(row["content"], line=row["line"], source=row["source"], **more)
    return judged


# -- equal to the batch --


@pytest.mark.parametrize("method", ["knn", "novelty"])
@pytest.mark.parametrize("grouping", GROUPINGS, ids=lambda grouping: grouping.words)
@settings(max_examples=5)
@given(cuts=st.lists(st.integers(0, 160), max_size=6))
def test_verdicts_are_those_of_the_batch(frame, grouping: Grouping, method: str, cuts: list[int]) -> None:
    stream = DetectStream(knowing(method), grouping)
    judged = fed(stream, frame, cuts) + stream.flush()
    expected = of_batch(frame, grouping, method)
    assert_same(verdicts(judged), expected)
    assert any(odd for _, odd, _ in expected.values())
    assert stream.counts["lines"] == len(frame)
    assert stream.counts["groups"] == len(judged)


@settings(max_examples=10)
@given(cut=st.integers(0, 152), which=st.sampled_from(GROUPINGS))
def test_it_goes_on_where_it_was_saved(frame, tmp_path_factory, cut: int, which: Grouping) -> None:
    path = tmp_path_factory.mktemp("state") / "state.json"
    first = DetectStream(knowing(), which)
    judged = first.add(frame.head(cut)) if cut else []
    first.save(path, {"offset": 7})
    second, more = DetectStream.resume(path, knowing(), which)
    judged += second.add(frame.slice(cut)) + second.flush()
    assert_same(verdicts(judged), of_batch(frame, which, "knn"))
    assert more == {"offset": 7}
    assert second.counts["lines"] == len(frame)


def test_what_an_alert_says(frame) -> None:
    stream = DetectStream(knowing(), Grouping.of(session="HDFS"))
    alerts = [each for each in stream.add(frame) + stream.flush() if each.is_anomaly]
    assert [each.group_id for each in alerts] == ["blk_-38865060", "blk_-38865069"]
    for alert in alerts:
        own = frame.filter(pl.col("content").str.contains(alert.group_id, literal=True))
        assert (alert.first_line, alert.last_line) == (own["line_number"].min(), own["line_number"].max())
        assert (alert.start, alert.end) == (own["timestamp"].min(), own["timestamp"].max())
        assert list(alert.forms) == normal_forms(own["content"]).to_list()
        assert alert.anomaly_score > alert.threshold
        for form, number, line in alert.kept:
            row = frame.row(by_predicate=pl.col("line_number") == number, named=True)
            assert row["line"] == line
            assert normal_forms(pl.Series([row["content"]]))[0] == form
    told = knowing().detect(Groups.of_contents([contents(38_865_060, odd=True)]))
    assert alerts[0].alert_id == told["alert_id"][0]


def test_contents_alone_are_lines() -> None:
    stream = DetectStream(knowing(), Grouping.of(window_lines=3))
    judged = stream.add(contents(1)) + stream.add("no such message was ever seen: kernel panic")
    assert [(each.group_id, each.first_line, each.last_line) for each in judged] == [("0", 1, 3), ("1", 4, 6)]
    last = stream.flush()
    assert [(each.group_id, each.lines, each.is_anomaly) for each in last] == [("2", 1, True)]
    assert stream.flush() == []
    assert [each.group_id for each in stream.add(contents(2))] == ["3", "4"]


# -- clocks --


def timed(seconds: list[float | None], **sizes: float) -> tuple[list[Judged], DetectStream]:
    stream = DetectStream(knowing(), Grouping.of(**sizes))
    judged = []
    for second in seconds:
        judged += stream.add_line(contents(1)[0], timestamp=second)
    return judged, stream


def test_a_late_line_is_counted() -> None:
    judged, stream = timed([0, 5, 11, 12, 3, 21, 9], window_seconds=10, grace_seconds=0.0)
    assert [(each.group_id, each.lines) for each in judged] == [
        ("1970-01-01T00:00:00Z", 2),
        ("1970-01-01T00:00:10Z", 2),
    ]
    assert stream.counts["late_lines"] == 2
    patient, waited = timed([0, 5, 11, 12, 3, 21, 9], window_seconds=10, grace_seconds=12.0)
    assert waited.counts["late_lines"] == 0
    assert [each.lines for each in patient + waited.flush()] == [4, 2, 1]


def test_a_line_late_for_one_of_its_windows_is_in_the_others() -> None:
    judged, stream = timed([0, 4, 11, 7], window_seconds=10, stride_seconds=5, grace_seconds=0.0)
    assert stream.counts["late_lines"] == 1
    assert [(each.group_id[-4:], each.lines) for each in judged + stream.flush()] == [
        (":55Z", 2),
        (":00Z", 2),
        (":05Z", 2),
        (":10Z", 1),
    ]


def test_a_clock_that_goes_back_is_followed() -> None:
    late = detect_groups.LATE_IN_A_ROW
    back = [1000.0 + n for n in range(late + 20)]
    judged, stream = timed([5000.0, *back], window_seconds=10, grace_seconds=0.0)
    assert stream.counts["clocks_set_back"] == 1
    assert stream.counts["late_lines"] == late
    assert sum(each.lines for each in judged + stream.flush()) == 1 + 20
    assert stream.counts["lines"] == 1 + len(back)


@pytest.mark.parametrize("none", [None, float("nan"), float("inf")])
def test_a_line_without_time_takes_that_before_it(none: float | None) -> None:
    judged, stream = timed([none, none, 3.0, none, 14.0, none], window_seconds=10)
    assert [each.lines for each in judged + stream.flush()] == [4, 2]


def test_no_line_has_a_time() -> None:
    _, stream = timed([float("nan")] * 3, window_seconds=10)
    with pytest.raises(InputError, match="none of 3 lines has a timestamp"):
        stream.flush()
    with pytest.raises(InputError, match="no column 'timestamp'"):
        DetectStream(knowing(), Grouping.of(window_seconds=10)).add(["a line"])


def test_waiting_for_a_time_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(detect_groups, "MOST_WAITING", 5)
    with pytest.raises(InputError, match="none of 6 lines has a timestamp"):
        timed([None] * 6, window_seconds=10)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))
def test_windows_are_named_alike(when: datetime) -> None:
    frame = pl.DataFrame({"timestamp": [when]}, schema={"timestamp": pl.Datetime("us")})
    start = (when.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert window_id(start) == by_time(frame, window_seconds=1e-6)["group_id"][0]


# -- sessions --


def test_a_silent_session_is_over() -> None:
    stream = DetectStream(knowing(), Grouping.of(session="host", idle_lines=3, idle_seconds=60))
    assert stream.add_line("a", host="one", timestamp=0.0) == []
    for second in (1.0, 2.0, 3.0):
        assert stream.add_line("a", host="two", timestamp=second) == []
    assert [each.group_id for each in stream.add_line("a", host="two", timestamp=4.0)] == ["one"]
    assert stream.add_line("b", host="three", timestamp=5.0) == []
    assert [each.group_id for each in stream.add_line("a", host="three", timestamp=65.0)] == ["two"]
    assert [each.lines for each in stream.flush()] == [2]


def test_lines_without_session_are_counted() -> None:
    stream = DetectStream(knowing(), Grouping.of(session="HDFS"))
    stream.add([*contents(1), "no block in it", "nor here"])
    stream.add_line("nor in this one")
    assert stream.counts["lines_without_session"] == 3
    assert [each.lines for each in stream.flush()] == [6]


def test_open_sessions_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(detect_groups, "MOST_OPEN", 2)
    stream = DetectStream(knowing(), Grouping.of(session="host"))
    judged = []
    for host in ("a", "b", "a", "c", "a"):
        judged += stream.add_line("text", host=host)
    assert [each.group_id for each in judged] == ["b"]
    assert stream.counts["sessions_closed_early"] == 1


def test_a_session_of_more_than_a_million_lines_is_bounded() -> None:
    stream = DetectStream(knowing(), Grouping.of(session="host"))
    part = pl.DataFrame({"content": [contents(1)[0]] * 202_000, "host": ["one"] * 202_000})
    judged = [each for _ in range(5) for each in stream.add(part)]
    assert [each.lines for each in judged] == [detect_groups.MOST_LINES]
    assert judged[0].last_line == detect_groups.MOST_LINES
    assert len(judged[0].kept) <= 1
    assert [each.lines for each in stream.flush()] == [10_000]
    assert stream.counts["sessions_closed_early"] == 1


def test_forms_of_no_open_group_are_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(detect_stream, "MOST_FORMS", 10)
    stream = DetectStream(knowing(), Grouping.of(window_lines=2))
    words = [f"{a}{b} happened" for a in "abcdefgh" for b in "xyzuvw"]
    judged = stream.add(words[:1]) + stream.add(words[1:]) + stream.flush()
    expected = knowing().detect([words[i : i + 2] for i in range(0, len(words), 2)])
    assert [each.anomaly_score for each in judged] == expected["anomaly_score"].to_list()
    assert len(stream.forms) <= 10


# -- keys and forms --


@pytest.mark.parametrize("name", [name for name, row in DOMAINS.items() if row.session_pattern])
def test_identifiers_are_found_alike(name: str) -> None:
    records = read_logs(REAL / f"{name}.log").read()
    grouping = Grouping.of(session=name)
    find = key_finder(grouping)
    assert find is not None
    twice = records.with_columns(
        content=pl.col("content") + " and " + pl.col("content").shift().fill_null("")
    )
    for frame in (records, twice):
        rows = zip(frame["content"], keys_of_rows(grouping, frame), strict=True)
        assert all(sorted(find(content)) == sorted(keys) for content, keys in rows)


@pytest.mark.parametrize("pattern", [r"(\d+)", "(a$)", "(?i)(x)", r"(\bx)", "([[:alpha:]]+)", "([a&&b])"])
def test_patterns_that_are_not_read_alike_are_left_to_polars(pattern: str) -> None:
    assert key_finder(Grouping.of(session=pattern)) is None


def test_forms_line_by_line_are_those_of_columns() -> None:
    texts = [
        text for path in sorted(REAL.glob("*.log")) for text in read_logs(path).read()["content"].to_list()
    ]
    lines = LineForms()
    for turn in range(12):
        # Other numbers each time, so that patterns are learnt and tried.
        contents = [re.sub("[1-9]", lambda m, t=turn: str(1 + (int(m[0]) + t) % 9), text) for text in texts]
        found = [lines.forms[lines.code(content)] for content in contents]
        assert found == normal_forms(pl.Series(contents)).to_list()
    assert len(lines._learnt) > 10, "patterns were learnt, so what they say was tried"


# -- what is asked for --


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"window_lines": 0}, "not positive"),
        ({"window_seconds": float("nan")}, "not positive"),
        ({"window_lines": 3, "stride_lines": 4}, "left out"),
        ({"window_lines": 3, "window_seconds": 4.0}, "by window_lines or by window_seconds"),
        ({"session": "HDFS", "stride_lines": 4}, "stride_lines is for window_lines"),
        ({"stride_seconds": 4.0}, "window_seconds"),
        ({"session": "hots"}, "Did you mean host"),
        ({"session": "(unclosed"}, "no regular expression"),
        ({"session": "(a)(b)"}, "2 groups"),
    ],
)
def test_groupings_that_are_none(given_: dict, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        Grouping.of(**given_)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "biglog-detect-state/1"}'])
def test_a_state_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        DetectStream.resume(path, knowing(), Grouping.of())


def test_a_state_of_other_groups_or_cut_short(tmp_path: Path) -> None:
    path, grouping = tmp_path / "state.json", Grouping.of(window_lines=50)
    stream = DetectStream(knowing(), grouping)
    stream.add(contents(1))
    stream.save(path)
    with pytest.raises(CheckpointError, match="its groups are other ones than windows of 20 lines"):
        DetectStream.resume(path, knowing(), Grouping.of())
    state = json.loads(path.read_text())
    for damage in ({"forms": []}, {"open": {}}, {"open": {"seen": 1, "covered": 0, "open": [3]}}):
        path.write_text(json.dumps(state | damage))
        with pytest.raises(CheckpointError, match="damaged"):
            DetectStream.resume(path, knowing(), grouping)
    with pytest.raises(CheckpointError, match="cannot be read"):
        DetectStream.resume(tmp_path / "nowhere.json", knowing(), grouping)


def test_records_without_content() -> None:
    with pytest.raises(InputError, match="no column 'content'"):
        DetectStream(knowing(), Grouping.of()).add(pl.DataFrame({"text": ["a"]}))
