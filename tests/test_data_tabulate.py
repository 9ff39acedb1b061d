"""Any log as a file of rows: what is in the file is what was read, in every format, whole or not at all."""

import csv
import json
import subprocess
import sys

import polars as pl
import pytest
from data_path import LINES

from biglog.data.tabulate import tabulate
from biglog.errors import InputError, OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import SCHEMA, read_logs

SSH, HADOOP = LINES / "OpenSSH.log", LINES / "Hadoop.log"
COLUMNS = ["source", *SCHEMA.names(), "normal_form"]


def test_parquet_has_the_rows_of_the_reader(tmp_path):
    out = tmp_path / "lines.parquet"
    done = tabulate([str(SSH), str(HADOOP)], out, year=2016)
    expected = read_logs([SSH, HADOOP], year=2016).read()
    expected = expected.with_columns(normal_forms(expected["content"]).alias("normal_form"))
    assert pl.read_parquet(out).equals(expected)
    assert done.rows == len(expected) == sum(source.lines for source in done.sources)
    assert list(tmp_path.iterdir()) == [out]


def test_text_formats_hold_the_same_values(tmp_path):
    tabulate([str(HADOOP)], tmp_path / "lines.csv")
    tabulate([str(HADOOP)], tmp_path / "lines.jsonl")
    with (tmp_path / "lines.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    objects = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [list(row) for row in objects] == [COLUMNS] * len(rows)
    assert [row["line"] for row in rows] == HADOOP.read_text().splitlines()
    assert [row["line"] for row in rows] == [row["line"] for row in objects]
    assert rows[0]["timestamp"] == objects[0]["timestamp"]
    assert rows[0]["timestamp"].startswith("2015-10-18T18:01:47.978")


def test_bytes_that_are_no_text_survive(tmp_path):
    log = tmp_path / "damaged.log"
    log.write_bytes(b"2015-10-18 18:01:47,978 INFO a: caf\xe9 \xff\xfe \x80 open\n" + HADOOP.read_bytes())
    tabulate([str(log)], tmp_path / "lines.parquet")
    raw = pl.read_parquet(tmp_path / "lines.parquet")["raw_bytes"]
    assert raw[0] == log.read_bytes().splitlines()[0]
    assert raw.null_count() == len(raw) - 1


def test_merged_logs_are_in_one_order_of_time(tmp_path):
    early, late = tmp_path / "a.log", tmp_path / "b.log"
    early.write_text("2024-01-01 10:00:00 INFO one\n2024-01-01 10:00:02 INFO three\n")
    late.write_text("2024-01-01 10:00:01 INFO two\n2024-01-01 10:00:00 INFO zero\n")
    done = tabulate([str(early), str(late)], tmp_path / "lines.parquet", merge=True)
    rows = pl.read_parquet(tmp_path / "lines.parquet")
    assert rows["content"].to_list() == ["one", "zero", "two", "three"]
    assert done.merged is not None
    assert [clock.inversions for clock in done.merged.clocks] == [0, 1]


def test_stack_traces_join_on_request(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("2024-01-01 10:00:00 ERROR boom\nTraceback:\n  here\n2024-01-01 10:00:01 INFO on\n" * 3)
    assert tabulate([str(log)], tmp_path / "lines.parquet", join=True).rows == 6
    content = pl.read_parquet(tmp_path / "lines.parquet")["content"]
    assert content[0] == "boom\nTraceback:\n  here"


def test_redaction_comes_before_anything_is_written(tmp_path):
    from biglog.logs.redaction import Redactor

    redactor = Redactor("a key of sixteen or more", kinds=["ip"])
    tabulate([str(SSH)], tmp_path / "lines.jsonl", redactor=redactor)
    text = (tmp_path / "lines.jsonl").read_text()
    addresses = list(redactor.mapping.values())
    assert addresses
    assert not any(address in text for address in addresses)


@pytest.mark.parametrize("name", ["lines.txt", "lines"])
def test_a_suffix_that_says_nothing_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"\.parquet"):
        tabulate([str(SSH)], tmp_path / name)


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(OutputError):
        tabulate([str(SSH)], tmp_path / "nowhere" / "lines.csv")
    empty = tmp_path / "empty.log"
    empty.touch()
    with pytest.raises(InputError, match="empty"):
        tabulate([str(empty)], tmp_path / "lines.csv")
    assert list(tmp_path.iterdir()) == [empty]


def run(*arguments, text=None):
    command = [sys.executable, "-m", "biglog.cli", "read", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=text, timeout=120, check=False)


def test_the_command_tells_what_a_log_is():
    done = run(SSH)
    assert done.returncode == 0, done.stderr
    assert "OpenSSH" in done.stdout
    assert "100%" in done.stdout
    report = json.loads(run(SSH, "--json").stdout)
    assert report["sources"][0]["layout"] == "OpenSSH"
    assert report["rows"] == report["sources"][0]["lines"] == len(SSH.read_text().splitlines())


def test_the_command_works_in_a_pipe():
    done = run("-", "--out", "-", "--layout", "<Date> <Time> <Level> <Content>", text=HADOOP.read_text())
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["line"] for row in rows] == HADOOP.read_text().splitlines()


def test_standard_input_merges_with_files(tmp_path):
    out = tmp_path / "lines.parquet"
    done = run("-", SSH, "--merge", "--out", out, text=HADOOP.read_text())
    assert done.returncode == 0, done.stderr
    lines = [*HADOOP.read_text().splitlines(), *SSH.read_text().splitlines()]
    assert sorted(pl.read_parquet(out)["line"]) == sorted(lines)


def test_a_reader_that_goes_away_hears_no_complaint():
    script = f"{sys.executable} -m biglog.cli read {HADOOP} --out - | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "lines.txt"], ".parquet"),
        (["--format", "jsonn"], "json"),
        (["--zone", "Mars/Base"], "Mars/Base"),
        (["--redact", "all"], "BIGLOG_REDACTION_KEY"),
        (["--mapping", "m.json"], "--redact"),
    ],
)
def test_bad_options_are_told_in_one_line(arguments, words):
    done = run(SSH, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_redacts_and_the_mapping_turns_it_back(tmp_path):
    from biglog.logs.redaction import load_mapping, restore

    (tmp_path / "key").write_text("correct horse battery staple\n")
    out, mapping = tmp_path / "lines.parquet", tmp_path / "mapping.json"
    key = ["--key-file", tmp_path / "key"]
    done = run(SSH, "--out", out, "--redact", "ip,user", *key, "--mapping", mapping)
    assert done.returncode == 0, done.stderr
    lines = pl.read_parquet(out)["line"]
    assert not lines.equals(pl.Series("line", SSH.read_text().splitlines()))
    assert restore(lines, load_mapping(mapping)).to_list() == SSH.read_text().splitlines()
    assert mapping.stat().st_mode & 0o777 == 0o600


def test_control_characters_are_shown_on_request(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("2024-01-01 10:00:00 INFO \x1b[31mred\x1b[0m alert\x07 here\n" * 3)
    done = run(log, "--clean", "--out", tmp_path / "lines.parquet")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "lines.parquet")["content"].unique().to_list() == ["red alert␇ here"]
