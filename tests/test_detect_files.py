"""Whole logs: what is learnt from, what is judged, which lines are told, and input that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from checkpoints import tiny_encoder
from detect_samples import contents, knowing, lines, log

from biglog import AnomalyDetector, normal_forms, read_logs
from biglog.errors import CheckpointError, InputError
from biglog.inference.detection import folder as detect_folder
from biglog.inference.detection import telling as detect_telling
from biglog.inference.detection.alerts import ROWS
from biglog.inference.detection.files import Detection, detect_files, fit_files, read_labels
from biglog.inference.detection.folder import accept, remember, remembered, save_grouping, saved_grouping
from biglog.inference.detection.groups import Grouping
from biglog.inference.detection.store import LineStore
from biglog.inference.detection.telling import judge
from biglog.tasks.groups import Groups

SESSIONS = Grouping.of(session="HDFS")
ODD = (55, 60, 70)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """80 sessions; three of the second half are odd."""
    path = tmp_path / "HDFS.log"
    path.write_text(log(80, ODD))
    return path


def unfitted(method: str = "knn", **more) -> AnomalyDetector:
    return AnomalyDetector(tiny_encoder(), method, **more)


def block(number: int) -> str:
    return f"blk_-{38_865_049 + number}"


# -- what is learnt, judged and told --


def test_the_first_half_is_learnt_and_the_rest_is_judged(path: Path) -> None:
    done = detect_files(path, unfitted(), SESSIONS)
    assert (done.fitted, done.groups, done.fitted_lines, done.lines) == (40, 40, 240, 243)
    assert done.scores["group_id"].to_list() == [block(number) for number in range(40, 80)]
    assert done.rows["group_id"].to_list() == [block(number) for number in ODD]
    assert done.rows.schema == ROWS
    assert done.rows["alert_id"].n_unique() == 1
    assert [alert.alike for alert in done.alerts] == [3]
    assert any("only 40 groups" in note for note in done.notes)


def test_an_alert_tells_the_line_that_says_why(path: Path) -> None:
    done = detect_files(path, unfitted(), SESSIONS)
    raw = path.read_text().splitlines()
    for row, number in zip(done.rows.iter_rows(named=True), ODD, strict=True):
        own = [place for place, line in enumerate(raw, start=1) if block(number) in line]
        assert (row["first_line"], row["last_line"], row["lines"]) == (own[0], own[-1], 7)
        assert row["anomaly_score"] > row["threshold"]
        assert row["source"] == str(path)
        told = row["shown_lines"][0]
        assert raw[told["line_number"] - 1] == told["line"]
        assert "received exception" in told["line"]
        assert "exception" in told["why"]
        assert row["reasons"]
    alert = done.alerts[0]
    assert [line.line for line in alert.context if line.is_odd] == [alert.shown[0].line]
    assert all(block(55) in line.line for line in alert.context), "a session's lines are its context"
    assert alert.shown[0].line[alert.shown[0].header :] == contents(38_865_049 + 55, odd=True)[4]
    assert alert.forms == tuple(normal_forms(pl.Series(contents(38_865_049 + 55, odd=True))))


def test_windows_are_told_with_the_lines_of_the_log_around_them(path: Path) -> None:
    done = detect_files(path, unfitted("novelty"), Grouping.of(window_lines=4))
    raw = path.read_text().splitlines()
    assert len(done.rows) == 3
    for alert in done.alerts:
        numbers = [line.line_number for line in alert.context]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert [line.line for line in alert.context] == [raw[number - 1] for number in numbers]
        assert len(numbers) == 11
        assert numbers[5] == alert.shown[0].line_number


def test_logs_of_normal_operation_are_learnt_from(path: Path, tmp_path: Path) -> None:
    normal = tmp_path / "normal.log"
    normal.write_text(log(120, first=1000))
    done = detect_files(path, unfitted(), SESSIONS, train=normal)
    assert (done.fitted, done.groups) == (120, 80)
    assert done.rows["group_id"].to_list() == [block(number) for number in ODD]
    assert done.notes == ()


def test_verdicts_are_the_detectors(path: Path, monkeypatch) -> None:
    records = read_logs(path).read()
    groups = Groups.of_rows(normal_forms(records["content"]), SESSIONS.table(records))
    expected = knowing().detect(groups)
    for most in (10, 4_000_000):
        monkeypatch.setattr(detect_telling, "_JUDGED_LINES", most)
        done = detect_files(path, knowing(), SESSIONS)
        assert done.fitted == 0
        assert done.scores["group_id"].to_list() == expected["group_id"].to_list()
        assert np.allclose(done.scores["anomaly_score"], expected["anomaly_score"], atol=1e-9)
        odd = expected.filter("is_anomaly")
        for name in ("group_id", "alert_id", "lines", "confidence"):
            assert done.rows[name].to_list() == pytest.approx(odd[name].to_list())


def test_groups_of_several_logs_are_in_order_of_time(tmp_path: Path) -> None:
    late, early = tmp_path / "a.log", tmp_path / "b.log"
    late.write_text(log(30, (15,), first=40))
    early.write_text(log(40))
    done = detect_files([late, early], unfitted(), SESSIONS)
    assert done.fitted == 35
    assert done.scores["start"].is_sorted()
    assert done.scores["group_id"][0] == block(35)


def test_as_json(path: Path) -> None:
    told = detect_files(path, unfitted(), SESSIONS).to_dict()
    again = json.loads(json.dumps(told, default=str))
    assert again["schema"] == "biglog.detection/1"
    assert (again["groups"], again["anomalies"], len(again["alerts"])) == (40, 3, 1)
    assert again["alerts"][0]["alike"] == 3
    assert "received exception" in again["alerts"][0]["shown_lines"][0]["line"]


def test_explanations_are_bounded(path: Path, tmp_path: Path) -> None:
    text = path.read_text().splitlines()
    # Each of the odd ones in its own way.
    text += [f"081109 010000 1 WARN x: {w} failed for {block(79 - n)}" for n, w in enumerate(("a", "b", "c"))]
    path.write_text("\n".join(text))
    done = detect_files(path, unfitted(), SESSIONS, explained_alerts=1)
    assert len(done.alerts) == 1
    assert done.rows["alert_id"].n_unique() > 1
    assert any("reasons are told of 1 of" in note for note in done.notes)
    bare = done.rows.filter(pl.col("alert_id") != done.alerts[0].alert_id)
    assert bare["shown_lines"].list.len().max() == 0


# -- clocks, sessions, sizes --


def detected(tmp_path: Path, text: str, grouping: Grouping) -> Detection:
    (tmp_path / "one.log").write_text(text)
    return detect_files(tmp_path / "one.log", knowing(), grouping)


def test_a_clock_that_goes_back_is_grouped_by_time(tmp_path: Path) -> None:
    text = lines(12)
    shuffled = text[30:] + text[:30]
    done = detected(tmp_path, "\n".join(shuffled), Grouping.of(window_seconds=6))
    ordered = detected(tmp_path, "\n".join(text), Grouping.of(window_seconds=6))
    columns = ("group_id", "lines")
    assert done.scores.sort("group_id").select(columns).equals(ordered.scores.select(columns))
    assert done.lines == len(text)


def test_lines_without_time_are_carried_over(tmp_path: Path) -> None:
    text = lines(12)
    bare = [line.split(": ", 1)[1] if number % 5 == 4 else line for number, line in enumerate(text)]
    (tmp_path / "two.log").write_text("\n".join(bare))
    grouping = Grouping.of(window_seconds=6)
    done = detect_files(tmp_path / "two.log", knowing(), grouping, layout="HDFS")
    assert done.lines == len(text)


def test_windows_by_time_need_times(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row has a timestamp"):
        detected(tmp_path, "one\ntwo\n", Grouping.of(window_seconds=6))


def test_lines_without_session_are_said(tmp_path: Path) -> None:
    done = detected(tmp_path, log(20) + "081109 020000 1 INFO x: no block\n" * 3, SESSIONS)
    assert done.lines == 120
    assert any(note.startswith("3 lines (2.4%) have no session") for note in done.notes)
    with pytest.raises(InputError, match="none of 2 lines has a session"):
        detected(tmp_path, "one\ntwo\n", SESSIONS)


def test_one_group_is_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("one\ntwo\n")
    with pytest.raises(InputError, match="one group alone"):
        detect_files(tmp_path / "one.log", unfitted(), Grouping.of())


def test_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "one.log").touch()
    with pytest.raises(InputError, match="empty"):
        detect_files(tmp_path / "one.log", unfitted(), Grouping.of())


def test_a_group_of_a_million_lines() -> None:
    count = 250_000
    store = LineStore(Grouping.of(session="host"))
    for start in range(0, 4 * count, count):
        frame = pl.DataFrame({"content": [contents(1)[0]] * count, "host": ["one"] * count})
        times = pl.Series("timestamp", [None] * count, dtype=ROWS["start"])
        store.add(frame.with_columns(times, line_number=pl.int_range(start, start + count)), "log")
    grouped = store.grouped()
    assert grouped.groups.sizes.tolist() == [4 * count]
    assert grouped.groups.codes.nbytes == 4 * 4 * count
    told = judge(knowing(), grouped.groups)
    assert len(told.scores) == 1
    assert told.is_anomaly.tolist() == [True]


# -- labels --


def test_labels_are_learnt_from(path: Path, tmp_path: Path) -> None:
    odd = {block(number) for number in ODD}
    rows = [f"{block(n)},{'Anomaly' if block(n) in odd else 'Normal'}" for n in range(80)]
    (tmp_path / "labels.csv").write_text("BlockId,Label\n" + "\n".join(rows[::-1]))
    detector = unfitted("tree")
    groups = fit_files(path, detector, SESSIONS, labels=tmp_path / "labels.csv")
    assert len(groups) == 80
    assert detector.predict(groups).tolist() == [-1 if n in ODD else 1 for n in range(80)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group_id,label\na,0\n", "1 of 2 groups have no label, such as 'b'"),
        ("group_id,label\na,0\nb,maybe\n", ":3: 'maybe' is no label"),
        ("group_id,truth\na,0\n", "no column 'label'"),
        ("label\n0\n", "no column 'label' beside one of groups"),
        ("", "no column 'label'"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path / "labels.csv", pl.Series(["a", "b"]))


def test_labels_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "nowhere.csv", pl.Series(["a"]))
    (tmp_path / "bytes.csv").write_bytes(b"label,\xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "bytes.csv", pl.Series(["a"]))


# -- a detector's folder --


@pytest.fixture
def folder(path: Path, tmp_path: Path) -> Path:
    """A detector that learnt from normal sessions, and remembers the alerts of a log."""
    folder = tmp_path / "model"
    (tmp_path / "normal.log").write_text(log(60, first=500))
    detector = unfitted()
    fit_files(tmp_path / "normal.log", detector, SESSIONS)
    detector.save_pretrained(folder)
    save_grouping(folder, SESSIONS)
    remember(folder, detect_files(path, detector, SESSIONS).alerts)
    return folder


def loaded(folder: Path) -> AnomalyDetector:
    return AnomalyDetector.from_pretrained(folder, tiny_encoder())


def test_an_alert_that_was_accepted_is_none(folder: Path, path: Path) -> None:
    known = remembered(folder)
    assert [each.seen for each in known.values()] == [3]
    (alert_id,) = known
    accepted = accept(loaded(folder), folder, [alert_id[:6]])
    assert [each.group_id for each in accepted] == [block(55)]
    assert len(detect_files(path, loaded(folder), SESSIONS).rows) == 0
    assert remembered(folder) == {}
    with pytest.raises(InputError, match="there is no alert"):
        accept(loaded(folder), folder, [alert_id])


def test_an_alert_that_is_not_remembered(folder: Path) -> None:
    (alert_id,) = remembered(folder)
    for wrong in ("0", "", "x" * 12):
        with pytest.raises(InputError, match=f"there is no alert '{wrong}'.*{alert_id}"):
            accept(loaded(folder), folder, [wrong])


def test_alerts_that_are_remembered_are_bounded(folder: Path, path: Path, monkeypatch) -> None:
    (first,) = remembered(folder)
    monkeypatch.setattr(detect_folder, "MOST_REMEMBERED", 2)
    alert = detect_files(path, loaded(folder), SESSIONS).alerts[0]
    from dataclasses import replace

    remember(folder, [replace(alert, alert_id="b"), replace(alert, alert_id="c", forms=())])
    assert list(remembered(folder)) == ["b", "c"]
    assert first not in remembered(folder)
    with pytest.raises(InputError, match="more than 10,000 lines"):
        accept(loaded(folder), folder, ["c"])


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "biglog-alerts/1"}'])
def test_alerts_that_cannot_be_read(folder: Path, text: str) -> None:
    (folder / "alerts.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"alerts\.json"):
        remembered(folder)


def test_how_groups_are_made_is_kept(folder: Path) -> None:
    assert Grouping.of(**saved_grouping(folder)) == SESSIONS
    assert saved_grouping(folder.parent) == {}
    for text in ("", "[]", "{}", '{"schema": "biglog-grouping/1", "color": 1}'):
        (folder / "grouping.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"grouping\.json"):
            saved_grouping(folder)
