"""The command line on logs good and bad: exit codes, one clear line on stderr, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from checkpoints import TINY
from command import Outcome, failed, runner

RHSM = Path(__file__).parent / "data" / "rhsm.log"


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs the command in this process: one start of torch serves all tests."""

    return runner(capfd, monkeypatch)


@pytest.fixture
def analyze(run):
    return lambda *words: run("analyze", "--model", TINY, *words)


def counted(outcome: Outcome) -> dict:
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert sum(event["count"] for event in result["events"]) == result["lines"]
    return result


def test_a_log_is_summed_up_on_the_terminal(analyze) -> None:
    outcome = analyze(RHSM)
    assert outcome.code == 0
    assert "120 lines" in outcome.out
    assert "Odd lines" in outcome.out
    assert "\x1b[" not in outcome.out, "no colours in a pipe"
    assert outcome.err == "", "no progress bar where there is no terminal"


def test_json_has_every_line_and_the_time_split(analyze) -> None:
    result = counted(analyze(RHSM, "--json"))
    assert result["lines"] == 120
    assert set(result["seconds"]) == {"start", "read", "mask", "encode", "score", "report"}
    assert result["odd_lines"][0]["reasons"]


def test_the_report_is_written_beside_the_summary(analyze, tmp_path: Path) -> None:
    outcome = analyze(RHSM, "--report", tmp_path / "report.html")
    assert outcome.code == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_globs_gzip_and_a_baseline(analyze, tmp_path: Path) -> None:
    lines = RHSM.read_bytes().splitlines(keepends=True)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"".join(lines[:60])))
    (tmp_path / "b.log").write_bytes(b"".join(lines[60:]))
    result = counted(analyze(f"{tmp_path}/*.log*", "--baseline", tmp_path / "a.log.gz", "--json"))
    assert [source["lines"] for source in result["sources"]] == [60, 60]
    assert {event["is_new"] for event in result["events"]} == {True, False}


def test_a_real_process_reads_standard_input() -> None:
    command = [sys.executable, "-m", "biglog.cli", "analyze", "-", "--json"]
    with RHSM.open("rb") as log:
        done = subprocess.run(command, stdin=log, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert json.loads(done.stdout)["model"] == "biglog-mini"
    assert json.loads(done.stdout)["lines"] == 120


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m biglog.cli analyze --model {TINY} --json {RHSM} | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


def test_every_command_helps_with_an_example(run) -> None:
    names = re.findall(r"^  (\w+) ", run("--help").out, flags=re.M)
    assert {"analyze", "encode", "save", "publish", "pretrain"} <= set(names)
    for name in ("analyze", "encode", "save", "publish", "pretrain"):
        outcome = run(name, "--help")
        assert outcome.code == 0
        assert f"Example: biglog {name} " in " ".join(outcome.out.split())


def test_help_and_version_do_not_load_torch() -> None:
    code = "import sys; sys.argv = ['biglog', '--version']; from biglog.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'transformers', 'polars', 'plotly'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_encode_writes_a_vector_for_each_line(run, tmp_path: Path) -> None:
    out = tmp_path / "vectors.parquet"
    outcome = run("encode", "--model", TINY, RHSM, "--out", out, "--json")
    table = pl.read_parquet(out)
    assert json.loads(outcome.out)["lines"] == len(table) == 120
    assert table["line_number"].to_list() == list(range(1, 121))
    first = table.group_by("normal_form").agg(pl.col("embedding").n_unique())
    assert (first["embedding"] == 1).all()


def test_save_makes_a_folder_that_auto_classes_load(run, tmp_path: Path) -> None:
    assert run("save", tmp_path / "biglog", "--checkpoint", TINY).code == 0
    from transformers import AutoModel

    assert AutoModel.from_pretrained(tmp_path / "biglog").config.model_type == "biglog"


# -- bad input --


def test_a_missing_file(analyze, tmp_path: Path) -> None:
    failed(analyze(tmp_path / "nowhere.log"), "nowhere.log", "no such file")


def test_a_pattern_without_files(analyze, tmp_path: Path) -> None:
    failed(analyze(f"{tmp_path}/*.log"), "*.log")


def test_an_empty_file(analyze, tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    failed(analyze(tmp_path / "empty.log"), "empty.log", "empty")


def test_a_folder_without_files(analyze, tmp_path: Path) -> None:
    failed(analyze(tmp_path), str(tmp_path), "no file in this folder")


def test_a_binary_file(analyze) -> None:
    failed(analyze(sys.executable), Path(sys.executable).name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(analyze, tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_text("a line\n")
    (tmp_path / "secret.log").chmod(0)
    failed(analyze(tmp_path / "secret.log"), "secret.log")


def test_a_file_that_vanishes(analyze, tmp_path: Path, monkeypatch) -> None:
    from biglog.inference import analyze as module

    (tmp_path / "gone.log").write_text("a line\n")
    load = module.LogEncoder.from_pretrained

    def load_and_remove(name):
        (tmp_path / "gone.log").unlink()
        return load(name)

    monkeypatch.setattr(module.LogEncoder, "from_pretrained", load_and_remove)
    failed(analyze(tmp_path / "gone.log"), "gone.log")


def test_undecodable_bytes_are_counted(analyze, tmp_path: Path) -> None:
    (tmp_path / "bad.log").write_bytes(b"fine\nbad \xff\xfe\xfd byte\nfine\n" * 5)
    result = counted(analyze(tmp_path / "bad.log", "--json"))
    assert result["lines"] == 15
    assert "5 lines hold bytes that are no text" in result["notes"][0]


def test_utf16_is_read(analyze, tmp_path: Path) -> None:
    (tmp_path / "wide.log").write_bytes("Gerät gestartet\nGerät gestoppt\n".encode("utf-16"))
    result = counted(analyze(tmp_path / "wide.log", "--json"))
    (event,) = result["events"]
    assert event["template"] == "Gerät <*>"
    assert {value for value, _ in event["parameters"][0]["top"]} == {"gestartet", "gestoppt"}


def test_nul_bytes_are_kept_and_told(analyze, tmp_path: Path) -> None:
    (tmp_path / "nul.log").write_bytes(b"one line\nwith a \x00 byte\n" + b"one line\n" * 50)
    result = counted(analyze(tmp_path / "nul.log", "--json"))
    assert result["lines"] == 52
    assert any("control characters" in note for note in result["notes"])


def test_one_line_of_ten_megabytes(analyze, tmp_path: Path) -> None:
    (tmp_path / "long.log").write_bytes(b"short\n" + b"word 17 " * 1_310_720 + b"\nshort\n")
    result = counted(analyze(tmp_path / "long.log", "--json", "--report", tmp_path / "report.html"))
    assert result["lines"] == 3
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_a_log_of_one_line_without_timestamp(analyze, tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("only this")
    result = counted(analyze(tmp_path / "one.log", "--json"))
    assert result["lines"] == 1
    assert result["bins"] == []


def test_a_corrupt_checkpoint(run, tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x00" * 100)
    failed(run("analyze", RHSM, "--model", tmp_path / "cut"), "cut", "cannot be loaded")


def test_a_checkpoint_of_another_type(run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    failed(run("analyze", RHSM, "--model", tmp_path), "gpt2")


def test_a_full_disk(analyze) -> None:
    failed(analyze(RHSM, "--report", "/dev/full"), "/dev/full")


@pytest.mark.parametrize("command", ["analyze", "encode"])
def test_a_result_that_cannot_be_written_fails_first(run, tmp_path: Path, command: str) -> None:
    option = "--report" if command == "analyze" else "--out"
    failed(run(command, RHSM, option, tmp_path / "no" / "such"), "does not exist")
    failed(run(command, RHSM, option, tmp_path), "folder")


def test_a_full_disk_leaves_no_half_written_vectors(tmp_path: Path) -> None:
    limit = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
    words = ["biglog", "encode", "--model", str(TINY), str(RHSM), "--out", str(tmp_path / "v.parquet")]
    code = f"{limit} sys.argv = {words!r}; from biglog.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("biglog: ")
    assert list(tmp_path.iterdir()) == []


def test_wrong_options(run, analyze) -> None:
    assert run("analyze").code == 2
    assert run("frobnicate").code == 2
    failed(analyze(RHSM, "--layout", "Hadoob"), "Hadoop")
    failed(run("pretrain", "--config", "/nowhere.yaml"), "/nowhere.yaml")
    failed(run("pretrain", "--hiden_size", "3"), "hidden_size")
    failed(run("publish", TINY, "biglog", "--dry-run"), "<owner>")
