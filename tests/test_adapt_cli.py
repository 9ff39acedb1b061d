"""`biglog adapt`, as a pipe sees it."""

import json

import pytest
import yaml
from adapt_samples import lines
from checkpoints import TINY
from command import failed, runner


@pytest.fixture
def run(capfd, monkeypatch):
    return runner(capfd, monkeypatch, "adapt")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "lines.csv"
    lines().rename({"label": "severity"}).write_csv(path)
    return path


def test_a_table_becomes_a_model(run, table, tmp_path):
    out = tmp_path / "out"
    done = run(
        table, "--head", "sequence", "--mode", "frozen", "--label", "severity", "--out", out, "--model", TINY
    )
    assert done.code == 0
    assert done.err == ""
    first, second, third, last = done.out.splitlines()
    assert first.startswith("sequence, frozen: ")
    assert "parameters learnt" in first
    assert "rows" in second
    assert "lines/s" in second
    assert third.startswith("held out, ")
    assert "most frequent class" in third
    assert last == f"-> {out} (card README.md, record adaptation.json)"
    assert (out / "config.json").is_file()


def test_a_yaml_file_says_the_rest_and_flags_win(run, table, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        yaml.safe_dump(
            {"data": str(table), "model": str(TINY), "label": "severity", "mode": "lora", "epochs": 1}
        )
    )
    done = run("--config", config, "--mode", "ia3", "--out", tmp_path / "out", "--json", "--use-cpu")
    assert done.code == 0
    record = json.loads(done.out)
    assert record["mode"] == "ia3"
    assert record["arguments"]["epochs"] == 1.0
    assert record["schema"] == "biglog-adaptation/1"


def test_help_names_every_argument_and_an_example(run):
    done = run("--help")
    assert "Example: biglog adapt" in done.out
    assert "target_modules:" in done.out
    assert run().out == done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--label", "level"], "no column level"),
        (["--label", "severity", "--haed", "token"], "Did you mean 'head'"),
        (["--label", "severity", "--model", "nowhere/at/all"], "no such folder"),
        (["--label", "severity", "--class-weights", "x=2"], "class_weights names 'x'"),
        (["--label", "severity", "--classes", "hadoop,hpc"], "label 'unix' is unknown to the head"),
    ],
)
def test_what_is_wrong_is_one_line(run, table, tmp_path, words, said):
    given = [] if "--model" in words else ["--model", TINY]
    failed(run(table, "--mode", "frozen", "--out", tmp_path / "out", *given, *words), said)
    assert not (tmp_path / "out" / "adaptation.json").exists()


def test_no_table_is_one_line(run, tmp_path):
    failed(run(tmp_path / "none.csv", "--out", tmp_path / "out"), "there is no such table")
