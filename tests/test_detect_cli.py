"""`biglog detect`: what it prints and writes, what it remembers, and what it says of input that cannot be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from checkpoints import TINY
from command import failed, runner
from detect_samples import lines, log
from rich.console import Console

from biglog.detect_terminal import print_detection
from biglog.inference.detection import follow as detect_follow
from biglog.inference.detection.files import detect_files
from biglog.inference.detection.folder import remembered
from biglog.inference.detection.groups import Grouping

ODD = (55, 60, 70)
# Few sessions: the threshold is that of the oddest of them, or a twentieth of them may alarm.
QUICK = ("--encoder", TINY, "--method", "knn")


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs the command in this process."""
    return runner(capfd, monkeypatch, "detect")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """80 sessions; three of the second half are odd."""
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "HDFS.log"
    path.write_text(log(80, ODD))
    return path


@pytest.fixture
def model(run, tmp_path: Path) -> Path:
    """A detector that learnt from normal sessions."""
    (tmp_path / "normal.log").write_text(log(60, first=500))
    done = run(tmp_path / "normal.log", "--fit", tmp_path / "model", "--session", "HDFS", *QUICK)
    assert done.code == 0, done.err
    assert "60 groups, 360 lines" in done.out
    return tmp_path / "model"


# -- judging --


def test_a_log_and_nothing_else(run, path: Path) -> None:
    done = run(path, "--encoder", TINY)
    assert done.code == 0, done.err
    assert done.err == ""
    assert "13 windows of 20 lines" in done.out
    assert "Learnt from 12 groups (240 lines)" in done.out


def test_alerts_are_told_with_line_score_threshold_and_reason(run, path: Path) -> None:
    done = run(path, "--session", "HDFS", *QUICK)
    assert done.code == 0, done.err
    assert done.out.startswith("3 alerts, 1 different, in 40 sessions by HDFS\n")
    number = next(n for n, line in enumerate(path.read_text().splitlines(), start=1) if "exception" in line)
    words = " ".join(done.out.split())
    assert f"{number} writeBlock blk_-38865104 received exception java.io.IOException" in words
    assert "says “exception”" in words
    assert " > " in words
    assert "→" in words
    assert "3 times" in words
    assert "\x1b" not in done.out, "a pipe has no colours"


def test_exit_code_for_ci(run, path: Path, tmp_path: Path) -> None:
    assert run(path, "--session", "HDFS", *QUICK, "--fail-on-alert").code == 1
    (tmp_path / "calm.log").write_text(log(80))
    calm = run(tmp_path / "calm.log", "--session", "HDFS", *QUICK, "--fail-on-alert")
    assert calm.code == 0
    assert calm.out.startswith("No alert in 40 sessions")


def test_one_object_for_machines(run, path: Path) -> None:
    told = json.loads(run(path, "--session", "HDFS", *QUICK, "--json").out)
    assert (told["groups"], told["anomalies"], told["alerts"][0]["alike"]) == (40, 3, 3)
    assert told["grouping"] == "sessions by HDFS"
    assert told["sources"] == [{"name": str(path), "lines": 483}]


@pytest.mark.parametrize("name", ["alerts.parquet", "alerts.csv", "alerts.jsonl"])
def test_alerts_as_rows(run, path: Path, tmp_path: Path, name: str) -> None:
    done = run(path, "--session", "HDFS", *QUICK, "--out", tmp_path / name)
    assert done.code == 0, done.err
    assert f"Alerts: {tmp_path / name}" in done.out
    read = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}[
        (tmp_path / name).suffix
    ]
    rows = read(tmp_path / name)
    assert rows["group_id"].to_list() == [f"blk_-{38_865_049 + number}" for number in ODD]
    shown = rows["shown_lines"][0]
    first = json.loads(shown)[0] if isinstance(shown, str) else shown[0]
    assert first["line_number"] == 336
    assert "received exception" in first["line"]


def test_alerts_as_json_lines_and_none(run, path: Path, tmp_path: Path) -> None:
    done = run(path, "--session", "HDFS", *QUICK, "--out", "-")
    assert [json.loads(row)["lines"] for row in done.out.splitlines()] == [7, 7, 7]
    (tmp_path / "calm.log").write_text(log(80))
    assert run(tmp_path / "calm.log", "--session", "HDFS", *QUICK, "--out", "-").out == ""
    run(tmp_path / "calm.log", "--session", "HDFS", *QUICK, "--out", tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().startswith("group_id,alert_id,source")


def test_logs_of_normal_operation(run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "normal.log").write_text(log(200, first=500))
    done = run(
        path, "--train", tmp_path / "normal.log", "--session", "HDFS", *QUICK, "--report", tmp_path / "r.html"
    )
    assert done.code == 0, done.err
    assert "3 alerts, 1 different, in 80 sessions" in done.out
    assert "Learnt from 200 groups" in done.out
    assert (tmp_path / "r.html").stat().st_size > 1_000_000


def test_windows_by_time_and_stride(run, path: Path) -> None:
    words = ("--window-seconds", "30", "--stride-seconds", "10", "--encoder", TINY, "--json")
    assert json.loads(run(path, *words).out)["grouping"] == "windows of 30 seconds, one every 10"
    words = ("--window-lines", "10", "--stride-lines", "5", "--encoder", TINY, "--json")
    assert json.loads(run(path, *words).out)["grouping"] == "windows of 10 lines, one every 5"


@pytest.mark.parametrize(("width", "encoding"), [(60, "utf-8"), (200, "ascii")])
def test_it_fits_a_terminal(path: Path, tmp_path: Path, width: int, encoding: str) -> None:
    from checkpoints import tiny_encoder

    from biglog import AnomalyDetector

    hostile = "081109 002000 1 WARN x: \x1b[31mred\u202e [bold]failed[/bold] blk_-38865124"
    path.write_text(path.read_text() + hostile + "\n")
    done = detect_files(path, AnomalyDetector(tiny_encoder(), "knn"), Grouping.of(session="HDFS"))
    with (tmp_path / "out.txt").open("w", encoding=encoding) as file:
        print_detection(done, 10, Console(file=file, width=width))
    said = (tmp_path / "out.txt").read_text(encoding=encoding)
    assert encoding == "ascii" or all(len(line) <= width for line in said.splitlines())
    assert "[bold]failed[/bold]" in said.replace("\n", "")
    assert "\x1b" not in said
    assert "\u202e" not in said


# -- a detector that is kept --


def test_it_is_fitted_once_and_judges_others(run, model: Path, path: Path) -> None:
    assert {file.name for file in model.iterdir()} >= {
        "detector_config.json",
        "detector.safetensors",
        "grouping.json",
    }
    told = json.loads(run(path, "--model", model, "--json").out)
    assert told["grouping"] == "sessions by HDFS", "as it was fitted"
    assert (told["fitted"], told["groups"], told["anomalies"]) == (0, 80, 3)
    again = json.loads(run(path, "--model", model, "--json", "--window-lines", 6).out)
    assert again["grouping"] == "windows of 6 lines"


def test_an_alert_is_accepted(run, model: Path, path: Path) -> None:
    (alert,) = json.loads(run(path, "--model", model, "--json").out)["alerts"]
    done = run("--accept", alert["alert_id"], "--model", model)
    assert done.code == 0, done.err
    assert "7 lines like these are normal from now on" in done.out
    assert json.loads(run(path, "--model", model, "--json").out)["anomalies"] == 0
    failed(
        run("--accept", alert["alert_id"], "--model", model),
        "there is no alert",
        "Run detect with this --model",
    )


def test_labels_of_groups(run, path: Path, tmp_path: Path) -> None:
    rows = [f"blk_-{38_865_049 + n},{int(n in ODD)}" for n in range(80)]
    (tmp_path / "labels.csv").write_text("group_id,label\n" + "\n".join(rows))
    words = ("--fit", tmp_path / "model", "--labels", tmp_path / "labels.csv", "--session", "HDFS")
    told = run(path, *words, "--encoder", TINY, "--method", "tree", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["method"] == "tree"
    judged = json.loads(run(path, "--model", tmp_path / "model", "--json").out)
    assert judged["anomalies"] == 3
    (tmp_path / "labels.csv").write_text("group_id,label\n" + "\n".join(rows[:-1]))
    failed(
        run(path, *words, "--encoder", TINY, "--method", "tree"),
        "1 of 80 groups have no label",
        "blk_-38865128",
    )


def test_a_detector_of_another_encoder(run, model: Path, path: Path) -> None:
    failed(run(path, "--model", model, "--encoder", "biglog-mini"), "saved with another encoder")


# -- what cannot be --


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--window-lines", "0"), "not positive"),
        (("--window-lines", "5", "--session", "host"), "by session or by window_lines"),
        (("--session", "hots"), "Did you mean host"),
        (("--method", "magic"), "magic"),
        (("--budget", "7", "--method", "knn", "--encoder", str(TINY)), "budget"),
        (("--labels", "x.csv"), "--labels is for --fit"),
        (("--model", "nowhere"), "no such folder"),
        (("--model", "x", "--method", "knn"), "was fitted before"),
        (("--accept", "abc"), "needs a detector in a folder"),
        (("--out", "rows.txt"), "rows.txt"),
        (("--report", "no/such/report.html"), "does not exist"),
        (("--follow", "--out", "rows.jsonl"), "standard output"),
        (("--train", "nowhere.log"), "no such file"),
        (("--layout", "nolayout"), "nolayout"),
    ],
)
def test_what_cannot_be_told(run, path: Path, words: tuple[str, ...], said: str) -> None:
    failed(run(path, *words), said)


def test_no_log_and_an_empty_one(run, tmp_path: Path) -> None:
    failed(run(), "no log to judge")
    failed(run(tmp_path / "nowhere.log", "--encoder", TINY), "no such file")
    (tmp_path / "empty.log").touch()
    failed(run(tmp_path / "empty.log", "--encoder", TINY), "empty")
    failed(run(tmp_path / "empty.log", tmp_path / "b.log", "--encoder", TINY, "--follow"), "one file")


# -- a growing file --


@pytest.fixture
def steps(monkeypatch) -> Iterator[list[Callable[[], object]]]:
    """What is done where nothing new is in the file, in turn; then the user interrupts."""
    todo: list[Callable[[], object]] = []

    def wait() -> bool:
        if not todo:
            raise KeyboardInterrupt
        todo.pop(0)()
        return True

    monkeypatch.setattr(detect_follow, "wait_a_moment", wait)
    before = signal.getsignal(signal.SIGTERM)
    yield todo
    signal.signal(signal.SIGTERM, before)


def append(path: Path, text: str) -> Callable[[], object]:
    def step() -> None:
        with path.open("a") as file:
            file.write(text)

    return step


def test_what_a_file_has_is_learnt_from_and_what_comes_is_judged(run, steps, tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    path.write_text(log(60))
    steps += [append(path, log(4, (901,), first=900)), lambda: None, append(path, log(9, first=904))]
    done = run(path, "--follow", "--session", "HDFS", "--idle-lines", "9", *QUICK)
    assert done.code == 0, done.err
    assert "learnt from what the file has (60 groups, 360 lines)" in done.err
    assert "blk_-38865950" in done.out
    assert "received exception" in done.out
    assert "79 lines, 13 groups, 0 lines without session" in done.err
    assert done.out.count("blk_-38865950: lines") == 1


def test_trouble_in_what_a_file_has_at_first_is_not_learnt_from_and_said(run, steps, tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    calm, panic = "".join(f"session {n} opened\n" for n in range(60)), "rts panic! - stopping execution\n" * 4
    path.write_text(calm + panic + calm)
    steps.append(append(path, panic))
    words = ("--window-lines", "4", "--encoder", TINY)
    followed = run(path, "--follow", *words)
    assert "learnt from what the file has (30 groups, 120 lines)" in followed.err
    assert "1 more groups speak of trouble" in followed.err
    assert "panic" in followed.out
    path.write_text(panic + calm + calm)
    whole = run(path, *words, "--json")
    told = json.loads(whole.out)
    assert (told["fitted"], told["groups"], told["anomalies"]) == (14, 17, 1)
    assert any("1 groups of the first half speak of trouble" in note for note in told["notes"])


def test_what_is_open_at_the_end_is_judged(run, steps, tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    path.write_text(log(60))
    steps.append(append(path, log(1, (900,), first=900)))
    rows = run(path, "--follow", "--session", "HDFS", *QUICK, "--out", "-", "--fail-on-alert")
    assert rows.code == 1
    assert [json.loads(row)["group_id"] for row in rows.out.splitlines()] == ["blk_-38865949"]


def test_normal_logs_come_first(run, steps, path: Path, tmp_path: Path) -> None:
    (tmp_path / "normal.log").write_text(log(60, first=500))
    words = ("--train", tmp_path / "normal.log", "--session", "HDFS", *QUICK)
    told = run(path, "--follow", *words, "--json")
    assert len(told.out.splitlines()) == 3
    assert "learnt" not in told.err


def test_late_lines_are_said(run, steps, tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    path.write_text(log(60))
    late = [append(path, log(30, first=600)), append(path, log(2, first=500))]
    steps += late
    done = run(path, "--follow", "--window-seconds", "10", "--encoder", TINY)
    assert done.code == 0, done.err
    assert "12 late lines" in done.err


def test_a_file_to_follow_is_there(run, steps, tmp_path: Path) -> None:
    failed(run(tmp_path / "nowhere.log", "--follow", "--encoder", TINY), "nowhere.log", "cannot be read")


def test_a_state_needs_a_detector_that_stays(run, steps, tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    path.write_text(log(60))
    done = run(path, "--follow", "--state", tmp_path / "state.json", "--session", "HDFS", *QUICK)
    failed(done, "--state goes on with a detector", "--model FOLDER")
    assert not (tmp_path / "state.json").exists()


def test_state_is_kept_when_a_service_is_ended(run, steps, model: Path, tmp_path: Path) -> None:
    path, state = tmp_path / "now.log", tmp_path / "state.json"
    text = lines(12, (3,))
    path.write_text("".join(f"{line}\n" for line in text[:40]))
    words = ("--model", model, "--state", state, "--idle-lines", 10, "--json")
    command = [sys.executable, "-m", "biglog.cli", "detect", path, "--follow", *words]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert first["group_id"] == "blk_-38865052"
    assert "received exception" in first["shown_lines"][0]["line"]
    assert b"40 lines" in said
    assert list(remembered(model)) == [first["alert_id"]]
    append(path, "".join(f"{line}\n" for line in text[40:]) + log(9, (104,), first=100))()
    second = run(path, "--follow", *words)
    assert [json.loads(row)["group_id"] for row in second.out.splitlines()] == ["blk_-38865153"]
    assert f"{len(text) + 9 * 6 + 1} lines" in second.err
