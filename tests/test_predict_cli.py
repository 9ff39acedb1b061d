"""`biglog predict`: learnt from a log and a list of failures, then the risk of each component now."""

from __future__ import annotations

import json

import pytest
from checkpoints import TINY
from command import failed
from failure_logs import OMEN, lines_and_failures
from typer.testing import CliRunner

from biglog.errors import InputError
from biglog.inference.predict_files import read_failures_file, read_history, seconds
from biglog.predict_cli import app


def write_log(path, lines):
    """An RFC 3339 log with a host and a program."""
    rows = lines.select("time", "component", "content").iter_rows()
    texts = (f"{t:%Y-%m-%dT%H:%M:%S}+00:00 {node} kernel: {content}" for t, node, content in rows)
    path.write_text("\n".join(texts) + "\n")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    lines, failures = lines_and_failures()
    write_log(folder / "all.log", lines)
    failures.write_csv(folder / "failures.csv")
    omens = lines.with_row_index().filter(lines["content"] == OMEN)
    last = int(omens["index"][-1])
    write_log(folder / "today.log", lines[last - 200 : last + 1])
    return folder, omens["component"][-1]


@pytest.fixture
def biglog(capfd):
    """What runs `biglog predict`; an error of ours is told as `biglog` tells it."""
    from biglog.errors import BigLogError

    def run(*words):
        from command import Outcome

        code, err = 0, ""
        try:
            app([str(word) for word in words], standalone_mode=False)
        except BigLogError as error:
            code, err = 2, f"biglog: {error}\n"
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err + err)

    return run


def fit(biglog, folder, out, *more):
    return biglog(
        "fit", folder / "all.log", "--failures", folder / "failures.csv", "--history", "55m",
        "--horizon", "1h", "--out", out, "--encoder", TINY, *more,
    )  # fmt: skip


def test_fit_and_score(logs, tmp_path, biglog):
    folder, omened = logs
    told = fit(biglog, folder, tmp_path / "model")
    assert told.code == 0, told.err
    assert "unavailable state" in told.out
    assert "100.0%" in told.out
    scored = biglog("score", folder / "today.log", "--model", tmp_path / "model", "--json")
    rows = json.loads(scored.out)
    assert [row["component"] for row in rows if row["is_alert"]] == [omened]
    first = rows[0]
    assert first["component"] == omened
    assert "unavailable state" in first["reasons"][0]["normal_form"]
    assert first["reasons"][0]["risk_change"] > 0
    shown = biglog("score", folder / "today.log", "--model", tmp_path / "model")
    assert shown.out.count("ALERT") == 1
    assert omened in shown.out
    early = f"{first['time'][:10]}T01:30:00"
    earlier = biglog("score", folder / "today.log", "--model", tmp_path / "model", "--json", "--now", early)
    assert not any(row["is_alert"] for row in json.loads(earlier.out))


def test_fit_as_json_within_a_budget(logs, tmp_path, biglog):
    told = fit(biglog, logs[0], tmp_path / "model", "--false-alarms-per-day", "0.5", "--json")
    found = json.loads(told.out)
    assert found["lines"] == 40 * 24 * 3 + 24
    assert found["events"][0]["share"] == 1.0
    assert 0 <= found["threshold"] <= 1


def test_what_cannot_be(logs, tmp_path, biglog):
    folder, _ = logs
    model = tmp_path / "model"
    failed(fit(biglog, folder, model, "--history", "soon"), "'soon' is no span of time")
    failed(fit(biglog, folder, model, "--by", "colour"), "cannot be told by 'colour'")
    failed(fit(biglog, folder, model, "--by", "component"), "no line is of a component that failed")
    failed(fit(biglog, folder, model, "--method", "oracle"), "no method 'oracle'")
    failed(biglog("score", folder / "today.log", "--model", model), "there is no such folder")
    failed(biglog("score", folder / "today.log", "--model", model, "--now", "noon"), "'noon'")
    nothing = tmp_path / "none.csv"
    nothing.write_text("when,component\n1,a\n")
    failed(fit(biglog, folder, model, "--failures", nothing), "no column time")
    nothing.write_text("time,component\n")
    failed(fit(biglog, folder, model, "--failures", nothing), "lists no failure")
    nothing.write_text("time,component\n,node-1\n2024-01-05,node-2\n")
    failed(fit(biglog, folder, model, "--failures", nothing), "time of a failure are missing")
    assert not model.exists()


def test_help_shows_an_example():
    told = CliRunner().invoke(app, ["fit", "--help"])
    assert "Example: biglog predict fit" in told.output


def test_lines_without_a_time_have_that_of_the_line_before(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("2024-01-01T00:00:00Z a x: one\n  at two\n2024-01-01T00:00:05Z a x: three\n")
    lines = read_history(log, by="system")
    assert lines["group_id"].unique().to_list() == ["system"]
    assert [time.second for time in lines["time"]] == [0, 0, 5]
    log.write_text("no time\nnor here\n")
    with pytest.raises(InputError, match="no line has a timestamp"):
        read_history(log, by="system")


def test_spans_of_time_and_lists_of_failures(tmp_path):
    assert [seconds(text) for text in ("90", "90s", "1.5m", "24h", "7d", "2w")] == [
        90, 90, 90, 86_400, 604_800, 1_209_600,
    ]  # fmt: skip
    for text in ("", "h", "-1h", "0s"):
        with pytest.raises(InputError, match="no span of time"):
            seconds(text)
    (tmp_path / "f.jsonl").write_text('{"time": "2024-01-01T00:00:00Z", "component": "a"}\n')
    assert read_failures_file(tmp_path / "f.jsonl")["component"].to_list() == ["a"]
    with pytest.raises(InputError, match="cannot be read"):
        read_failures_file(tmp_path / "nowhere.csv")
