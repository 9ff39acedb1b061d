"""`biglog parse`: what it prints and writes, and what it says of input that cannot be."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from command import Outcome, failed, runner

from biglog import LogParser
from biglog.inference.parse_files import parse_files
from biglog.tasks.parsing.template import Template, event_id

DATA = Path(__file__).parent / "data"
# 120 lines of a Red Hat subscription manager's log (see data/ORIGIN.md).
RHSM = DATA / "rhsm.log"
APP = [
    line
    for n, name in enumerate(["ann", "bob", "eve", "kim"] * 5)
    for line in (
        f"2024-05-01 10:00:{n:02} INFO auth: session opened for user {name} by (uid={n})",
        f"2024-05-01 10:01:{n:02} WARN disk: größe took {n * 13} ms  for 10.0.0.{n}   ",
        f"2024-05-01 10:02:{n:02} INFO auth: connection reset by peer",
    )
]


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs the command in this process."""
    return runner(capfd, monkeypatch, "parse")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "app.log"
    path.write_text("\n".join(APP) + "\n", encoding="utf-8")
    return path


def elsewhere(*words: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "biglog.cli", "parse", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=False, **options)


def found(outcome: Outcome) -> dict:
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    return result


def templates(result: dict) -> dict[str, int]:
    return {event["template"]: event["lines"] for event in result["found"]}


# -- what it prints --


def test_events_are_a_table(run, log: Path) -> None:
    outcome = run(log)
    assert outcome.code == 0
    assert outcome.err == "", "no progress bar where there is no terminal"
    assert "\x1b[" not in outcome.out, "no colours in a pipe"
    assert "connection reset by peer" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("60 lines, ")
    assert event_id("connection reset by peer") in outcome.out


def test_no_more_events_are_shown_than_asked_for(run, log: Path) -> None:
    outcome = run(log, "--top", 1)
    assert "and 2 more events (--top)" in outcome.out
    assert len(found(run(log, "--json", "--top", 1))["found"]) == 3, "machines get all"


def test_json_has_every_line(run) -> None:
    result = found(run(RHSM, "--json"))
    assert result["lines"] == 120 == sum(event["lines"] for event in result["found"])
    assert result["events"] == len(result["found"])
    assert result["aliases"] == {}
    for event in result["found"]:
        assert event["event_id"] == event_id(event["template"])


def test_events_are_searched(run, log: Path) -> None:
    result = found(run(log, "--json", "--search", "SESSION", "--search", "user"))
    assert [event["lines"] for event in result["found"]] == [20]
    assert result["lines"] == 60
    assert found(run(log, "--json", "--search", "nowhere"))["found"] == []


# -- what it writes --


def rows_of(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    return [row | {"parameters": json.loads(row["parameters"])} for row in read]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_rows_are_the_lines(run, log: Path, tmp_path: Path, suffix: str) -> None:
    outcome = run(log, "--out", tmp_path / f"rows.{suffix}")
    assert outcome.code == 0, outcome.err
    assert f"Rows: {tmp_path}" in outcome.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", f"rows.{suffix}"]
    rows = rows_of(tmp_path / f"rows.{suffix}")
    assert [int(row["line_number"]) for row in rows] == list(range(1, 61))
    spans_are_in_the_lines(rows, APP)
    assert {row["source"] for row in rows} == {str(log)}
    assert {row["level"] for row in rows} == {"INFO", "WARNING"}


def spans_are_in_the_lines(rows: list[dict], lines: list[str]) -> None:
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        values = [parameter["value"] for parameter in row["parameters"]]
        assert Template(row["template"]).format(values) == row["content"]
        assert row["content"] in line
        for parameter in row["parameters"]:
            assert line[int(parameter["start"]) : int(parameter["end"])] == parameter["value"]


@pytest.mark.parametrize("name", sorted(path.name for path in (DATA / "loghub").iterdir()))
def test_spans_are_in_the_lines_of_real_logs(run, tmp_path: Path, name: str) -> None:
    path = DATA / "loghub" / name
    assert run(path, "--out", tmp_path / "rows.jsonl").code == 0
    spans_are_in_the_lines(rows_of(tmp_path / "rows.jsonl"), path.read_bytes().decode().splitlines())


def test_spans_are_null_where_the_line_spells_its_content_otherwise(run, tmp_path: Path) -> None:
    lines = [
        json.dumps({"time": "2024-05-01T10:00:00Z", "level": "info", "msg": f'user "u{n}" in {n + 7} s'})
        for n in range(20)
    ]
    lines += [
        json.dumps({"time": "2024-05-01T10:00:00Z", "level": "info", "msg": f"größe {n}"}, ensure_ascii=False)
        for n in range(20)
    ]
    (tmp_path / "app.json").write_text("\n".join(lines), encoding="utf-8")
    assert run(tmp_path / "app.json", "--out", tmp_path / "rows.jsonl").code == 0
    rows = rows_of(tmp_path / "rows.jsonl")
    spans_are_in_the_lines(rows[20:], lines[20:])
    assert any(row["parameters"] for row in rows[20:])
    for row in rows[:20]:
        assert row["content"].startswith('user "u')
        assert row["parameters"]
        assert {each[edge] for each in row["parameters"] for edge in ("start", "end")} == {None}


def test_rows_go_to_standard_output(run, log: Path) -> None:
    outcome = run(log, "--out", "-")
    assert outcome.code == 0
    spans_are_in_the_lines([json.loads(line) for line in outcome.out.splitlines()], APP)


def test_a_real_process_reads_a_pipe() -> None:
    with RHSM.open("rb") as log:
        done = elsewhere("-", "--out", "-", stdin=log)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 120


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "long.log").write_text("".join(f"user u{n} logged in from {n}\n" for n in range(30_000)))
    (tmp_path / "tmp").mkdir()
    words = f"{sys.executable} -m biglog.cli parse {tmp_path}/long.log --out - | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", words],
        capture_output=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--out", "rows.jsonl"]])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, log: Path, words: list[str]) -> None:
    limit = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
    (tmp_path / "tmp").mkdir()
    code = (
        f"{limit} sys.argv = {['biglog', 'parse', str(log), *words]!r}; from biglog.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"biglog: {tmp_path / 'tmp'}: ")
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_more_forms_than_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biglog.logs.record.BATCH_BYTES", 2_000)
    words = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "prst"]
    lines = [f"{word} was {word[::-1]} at {n}" for n, word in enumerate(words * 4)]
    (tmp_path / "many.log").write_text("\n".join(lines) + "\n")
    stream = LogParser.from_pretrained().keep(*words).stream(max_forms=20)
    done = parse_files(tmp_path / "many.log", tmp_path / "rows.jsonl", stream)
    rows = rows_of(tmp_path / "rows.jsonl")
    assert [row["line_number"] for row in rows] == list(range(1, len(lines) + 1))
    spans_are_in_the_lines(rows, lines)
    assert done.lines == len(lines) == int(done.events["lines"].sum()) + stream.folded_lines
    assert done.normal_forms <= 20
    assert stream.folded_events > 0


# -- what it is told --


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("known.txt", "session opened for <*>\r\n\r\nconnection <*> peer\n"),
        ("known.csv", 'EventId,EventTemplate\nE1,session opened for <*>\nE2,"connection <*> peer"\n'),
        ("known.jsonl", '{"template": "session opened for <*>"}\n\n{"template": "connection <*> peer"}\n'),
    ],
)
def test_templates_are_asked_first(run, log: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    told = templates(found(run(log, "--json", "--templates", tmp_path / name)))
    assert told["session opened for <*>"] == told["connection <*> peer"] == 20


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("known.txt", "fine\n <*> <*>\n", ":2: ' <*> <*>' has no constant text"),
        ("known.txt", "\n\n", "no template in it"),
        ("known.txt", b"caf\xe9 <*>", "no UTF-8 text"),
        ("known.csv", "event,text\n1,a\n", ":2: there is no text under 'template'"),
        ("known.jsonl", '{"template": "a"}\n{"template"\n', ":2: this is no JSON"),
        ("known.jsonl", '["a"]\n', ":1: this is no JSON object"),
        ("known.jsonl", '{"template": 7}\n', ":1: there is no text under 'template'"),
    ],
)
def test_templates_that_are_none(run, log: Path, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    failed(run(log, "--templates", tmp_path / name), name, said)


def test_proposals_are_labels(run, tmp_path: Path) -> None:
    odd = ["a b\x0cc", "x\u2028y 7", 'say "hi", 5', "<*> is up", "", "17 18", "a\u2003b 12", "z" * 200_000]
    (tmp_path / "odd.log").write_text("\n".join([*odd, *odd]) + "\n", encoding="utf-8")
    outcome = run(tmp_path / "odd.log", "--propose", 99)
    assert outcome.code == 0, outcome.err
    rows = list(csv.reader(io.StringIO(outcome.out, newline="")))
    assert rows[0] == ["content", "template"]
    assert len(rows) > 4
    for content, template in rows[1:]:
        assert not template or Template(template).spans(content) is not None
    (tmp_path / "labels.csv").write_text(outcome.out, encoding="utf-8", newline="")
    told = found(run(tmp_path / "odd.log", "--json", "--labels", tmp_path / "labels.csv"))
    assert sum(event["lines"] for event in told["found"]) == told["lines"]
    assert len(list(csv.reader(io.StringIO(run(tmp_path / "odd.log", "--propose", 2).out)))) == 3


def test_labels_are_asked_first(run, log: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    label = {"content": "session opened for user ann by (uid=0)", "template": "session opened for <*> by <*>"}
    labels.write_text(json.dumps(label) + "\n" + json.dumps({"content": "x", "template": ""}) + "\n")
    told = templates(found(run(log, "--json", "--labels", labels)))
    assert told["session opened for <*> by <*>"] == 20


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.csv", "content,template\na b,a <*>\nx,y <*>\n", ":3: 'y <*>' does not fit 'x'"),
        ("labels.csv", "content,template\na b,a <*>\na b,<*>\n", ":3: '<*>' has no constant text"),
        ("labels.csv", "content,template\na b,a <*>\na b,<*> b\n", "has two templates"),
        ("labels.csv", "content\na b\n", "'template'"),
        ("labels.txt", "a b\n", "labels are rows"),
    ],
)
def test_labels_that_are_none(run, log: Path, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    failed(run(log, "--labels", tmp_path / name), said)


def test_tokens_are_kept_and_masked(run, log: Path) -> None:
    told = templates(found(run(log, "--json", "--keep", "ann", "--mask", "k.m")))
    assert any(" ann " in template for template in told)
    assert not any(" kim " in template for template in told)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mask", "(a"), "no regular expression"),
        (("--keep", "17"), "cannot be kept"),
        (("--templates", "nowhere.txt"), "nowhere.txt"),
        (("--labels", "nowhere.csv"), "nowhere.csv"),
        (("--out", "rows.xlsx"), "rows.xlsx"),
        (("--out", "no/such/rows.csv"), "does not exist"),
        (("--state", "no/such/state.json"), "does not exist"),
        (("--model", "./nowhere"), "no such folder"),
        (("--follow", "--out", "rows.jsonl"), "standard output"),
    ],
)
def test_what_cannot_be_told(run, log: Path, words: tuple[str, ...], said: str) -> None:
    failed(run(log, *words), said)


def test_numbers_are_above_nothing(run, log: Path) -> None:
    for words in (("--top", "0"), ("--propose", "0"), ("--propose", "many")):
        outcome = run(log, *words)
        assert outcome.code == 2
        assert "Traceback" not in outcome.err


# -- logs that are none --


def test_a_missing_file_and_an_empty_one(run, tmp_path: Path) -> None:
    failed(run(tmp_path / "nowhere.log"), "nowhere.log", "no such file")
    (tmp_path / "empty.log").touch()
    failed(run(tmp_path / "empty.log", "--out", tmp_path / "rows.parquet"), "empty.log")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.log"]


def test_blank_lines_are_an_event(run, tmp_path: Path) -> None:
    (tmp_path / "blank.log").write_text("\n\n \n")
    outcome = run(tmp_path / "blank.log", "--out", tmp_path / "rows.csv")
    assert outcome.code == 0
    assert "(blank line)" in outcome.out
    assert [row["event_id"] for row in rows_of(tmp_path / "rows.csv")] == [event_id("")] * 3


@pytest.mark.parametrize("words", [("a.log", "b.log"), ("-",)])
def test_one_file_is_followed(run, words: tuple[str, ...]) -> None:
    failed(run(*words, "--follow"), "one file")


def test_a_file_to_follow_is_there(run, tmp_path: Path) -> None:
    failed(run(tmp_path / "nowhere.log", "--follow"), "nowhere.log", "cannot be read")
    failed(run(tmp_path, "--follow"), "cannot be read")


# -- what it remembers --


def test_two_runs_are_one_log(run, log: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    first = found(run(log, "--json", "--state", state))
    second = found(run(log, "--json", "--state", state))
    assert second["lines"] == 60
    ids = [{event["event_id"]: event["lines"] for event in run["found"]} for run in (first, second)]
    assert ids[1] == {identity: 2 * lines for identity, lines in ids[0].items()}
    (tmp_path / "b.log").write_text("2024-05-02 10:00:00 INFO auth: something else entirely\n")
    third = found(run(tmp_path / "b.log", "--json", "--state", state))
    assert {event["event_id"] for event in third["found"]} >= ids[0].keys()
    assert sum(event["lines"] for event in third["found"]) == 121
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.log", "in", "state.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"schema": "biglog-parse-state/1"}', '{"schema": 1}'])
def test_a_state_that_is_none(run, log: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    failed(run(log, "--state", tmp_path / "state.json"), "state.json")
    assert (tmp_path / "state.json").read_text() == text


# -- a growing file --


def test_a_file_is_followed_until_it_is_interrupted(log: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "biglog.cli", "parse", log, "--follow", "--state", tmp_path / "state.json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in APP]
        with log.open("a", encoding="utf-8") as file:
            file.write(APP[0] + "\n")
        rows.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate()
    assert process.returncode == 0, said
    assert rest == b""
    spans_are_in_the_lines(rows, [*APP, APP[0]])
    assert rows[-1]["line_number"] == 61
    assert rows[-1]["event_id"] == rows[0]["event_id"]
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["lines"] == 61


def test_a_follower_whose_reader_leaves_ends(log: Path) -> None:
    words = [sys.executable, "-m", "biglog.cli", "parse", log, "--follow"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in APP))
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0
    assert said == b""


def test_shares_are_of_all_lines_of_a_state(run, log: Path, tmp_path: Path) -> None:
    first = run(log, "--state", tmp_path / "state.json").out
    second = run(log, "--state", tmp_path / "state.json").out
    for said in (first, second):
        shares = [float(share) for share in re.findall(r"([0-9.]+)%", said)]
        assert 0 < sum(shares) <= 101
    assert "with those of earlier runs" in second
    assert "earlier" not in first
