"""`biglog datasets` on folders good and bad: what it prints, what it writes, how it fails."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import Outcome, failed, runner
from data_path import DATA, needs_data
from file_server import Answer, FileServer
from loghub_archives import archive_bytes, lines_of, write_archive, write_unpacked
from rich.console import Console

from biglog import datasets_cli
from biglog.data.archives.catalog import ARCHIVES, NOTICE
from biglog.datasets_terminal import size_words
from biglog.logs.domains import DOMAINS

COMMANDS = ("list", "show", "download", "verify", "build", "deduplicate", "publish", "statements")


@pytest.fixture
def run(capfd, monkeypatch):
    """Runs `biglog datasets` in this process, as a pipe sees it."""
    monkeypatch.delenv("BIGLOG_LOGHUB_URL", raising=False)

    return runner(capfd, monkeypatch, "datasets")


@pytest.fixture
def server(monkeypatch):
    with FileServer() as server:
        server.files = {archive.name: archive_bytes(name) for name, archive in ARCHIVES.items()}
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A collection: an archive, unpacked files, a log of another machine, a sample."""
    write_archive("Hadoop", tmp_path)
    write_unpacked("HDFS", tmp_path / "HDFS")
    for name, file in (("Mac", "raw/Mac/macos11_system.log"), ("Spark", "loghub_2k/Spark/Spark_2k.log")):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_bytes(lines_of(name))
    return tmp_path


def parsed(outcome: Outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_every_command_helps_with_an_example(run) -> None:
    listed = re.findall(r"^  (\w+)  ", run("--help").out, flags=re.M)
    assert set(COMMANDS) == set(listed)
    for name in COMMANDS:
        outcome = run(name, "--help")
        assert outcome.code == 0
        words = " ".join(outcome.out.split())
        assert f"Example: biglog datasets {name}" in words
        assert "--json" in words


def test_help_loads_neither_torch_nor_polars() -> None:
    code = "import sys; sys.argv = ['biglog', 'datasets', '--help']; from biglog.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'transformers', 'polars', 'httpx2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# -- list --


def test_list_has_a_line_a_domain(run, data: Path) -> None:
    outcome = run("list", "--data", data)
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:17]] == list(DOMAINS)
    rows = {line.split()[0]: line.rstrip() for line in lines[1:17]}
    assert re.search(r"11,175,629 +1\.47 GiB +38\.7 h +session +block +1 log, ", rows["HDFS"])
    assert re.search(r"archive, [0-9.]+ (KiB|bytes)$", rows["Hadoop"])
    assert "1 other log" in rows["Mac"]
    assert rows["Spark"].endswith("sample")
    assert rows["Windows"].endswith("-")
    assert lines[-1] == f"16 domains, 378,774,979 lines as published; 4 here, in {data}"
    assert "\x1b" not in outcome.out + outcome.err


def test_list_as_json(run, data: Path) -> None:
    rows = {row["domain"]: row for row in parsed(run("list", "--data", data, "--json"))}
    assert list(rows) == list(DOMAINS)
    assert rows["HDFS"]["local"]["labels"] == ["HDFS/preprocessed/anomaly_label.csv"]
    assert rows["Hadoop"]["local"]["archive"] is True
    assert len(rows["Hadoop"]["local"]["logs"]) == 6
    assert rows["Mac"]["local"]["logs"][0] == {
        "name": "raw/Mac/macos11_system.log",
        "origin": "jtmoon79/super-speedy-syslog-searcher, MacOS11",
        "year": 2023,
        "shares_lines_with": [],
    }
    assert rows["Windows"]["local"] is None


def test_list_without_any_folder(run, tmp_path: Path) -> None:
    assert "0 here" in run("list", "--data", tmp_path / "nowhere").out


def test_the_default_folder_is_biglog_data(run, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_DATA", str(data))
    assert "4 here" in run("list").out


@pytest.mark.parametrize("width", [80, 100, 160])
def test_tables_fit_the_terminal(run, data: Path, width: int, monkeypatch) -> None:
    def terminal() -> Console:
        return Console(width=width, force_terminal=True, color_system=None, highlight=False)

    monkeypatch.setattr(datasets_cli, "_console", terminal)
    out = (
        run("list", "--data", data).out.splitlines()[:-1]
        + run("show", "HDFS", "--data", data).out.splitlines()
    )
    assert max(map(len, out)) <= width
    assert len(run("list", "--data", data).out.splitlines()) == 19, "no line is wrapped"


# -- show --


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_show_tells_all(run, data: Path, name: str) -> None:
    outcome = run("show", name.lower(), "--data", data)
    assert outcome.code == 0
    words = " ".join(outcome.out.split())
    row, archive = DOMAINS[name], ARCHIVES[name]
    for fact in (name, f"{archive.lines:,}", archive.url, row.layout.notation, row.label_rule, *row.quirks):
        assert " ".join(fact.split()) in words
    assert " ".join(NOTICE.split())[-60:] in words
    assert "\x1b" not in outcome.out


def test_show_names_local_files(run, data: Path) -> None:
    words = run("show", "HDFS", "--data", data).out
    assert "HDFS/HDFS.log" in words
    assert "HDFS/preprocessed/anomaly_label.csv" in words
    assert "6 inside" in run("show", "Hadoop", "--data", data).out
    assert "nothing" in run("show", "Windows", "--data", data).out


def test_show_as_json_holds_what_cards_need(run, tmp_path: Path) -> None:
    row = parsed(run("show", "BGL", "--data", tmp_path, "--json"))
    assert row["normal_label"] == "-"
    assert row["zone"] == "America/Los_Angeles"
    assert row["notice"] == NOTICE
    assert row["citation"].startswith("@inproceedings{Loghub,")


@pytest.mark.parametrize("command", [("show",), ("download",), ("verify",), ("build", "--out", "tables")])
def test_an_unknown_domain_names_the_nearest(run, command) -> None:
    failed(run(*command, "Hadop"), "unknown domain 'Hadop'", "Did you mean Hadoop?")


# -- download --


def test_download_then_verify(run, server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
    server.script = [Answer(cut=100)]
    outcome = run("download", "hdfs", "Linux", "HDFS", "--to", tmp_path / "new")
    digest = hashlib.sha256(archive_bytes("HDFS")).hexdigest()
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert [line.split()[0] for line in outcome.out.splitlines()] == [
        str(tmp_path / "new" / name) for name in ("HDFS_v1.zip", "Linux.tar.gz")
    ]
    assert digest in outcome.out
    checked = run("verify", "HDFS", "Linux", "--data", tmp_path / "new", "--lines")
    assert checked.code == 0
    assert checked.out.count("as downloaded") == 2
    assert "5 of 11,175,629 published lines: 0.0 %" in checked.out


def test_download_as_json(run, server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
    (row,) = parsed(run("download", "BGL", "--to", tmp_path, "--json"))
    assert row["path"] == str(tmp_path / "BGL.zip")
    assert row["sha256"] == hashlib.sha256(archive_bytes("BGL")).hexdigest()


def test_all_sixteen(run, server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
    assert len(parsed(run("download", "all", "--to", tmp_path, "--json"))) == 16
    assert "16 here" in run("list", "--data", tmp_path).out


def test_a_download_that_fails_says_why(run, server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
    server.script = [Answer(status=404)]
    failed(run("download", "HDFS", "--to", tmp_path), "404 Not Found", ARCHIVES["HDFS"].url, "BIGLOG_DATA")
    assert list(tmp_path.glob("HDFS*")) in ([], [tmp_path / "HDFS_v1.zip.part"])


def test_a_bar_on_a_terminal_only(server, tmp_path: Path) -> None:
    """A real process on a real terminal: the bar is drawn on stderr, and taken away at the end."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "biglog.cli", "datasets", "download", "HDFS", "--to", str(tmp_path)]
    environment = os.environ | {"BIGLOG_LOGHUB_URL": server.record, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, env=environment, check=False)
    os.close(follower)
    drawn = os.read(leader, 100_000).decode()
    os.close(leader)
    assert done.returncode == 0
    assert "HDFS" in drawn
    assert "━" in drawn
    assert b"\x1b" not in done.stdout


# -- verify --


def test_verify_fails_where_a_file_has_changed(run, server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
    run("download", "HDFS", "--to", tmp_path)
    with (tmp_path / "HDFS_v1.zip").open("ab") as stream:
        stream.write(b"\0")
    outcome = run("verify", "HDFS", "--data", tmp_path)
    failed(outcome, "HDFS_v1.zip: wrong checksum")
    assert "CHANGED" in outcome.out
    assert json.loads(run("verify", "HDFS", "--data", tmp_path, "--json").out)[0]["ok"] is False


def test_verify_without_logs(run, tmp_path: Path) -> None:
    failed(run("verify", "HDFS", "--data", tmp_path), "no logs of HDFS", "biglog datasets download HDFS")
    failed(run("verify", "HDFS", "--data", tmp_path / "nowhere"), "no such folder")


def test_verify_counts_the_lines_of_a_sample_too(run, data: Path) -> None:
    (report,) = parsed(run("verify", "Hadoop", "--data", data, "--lines", "--json"))
    assert (report["lines"], report["logs"], report["complete"]) == (30, 6, False)


# -- build and publish --


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    """Ten lines of BGL, two of them alerts, in their archive."""
    folder = tmp_path_factory.mktemp("bgl")
    (folder / "BGL.log").write_bytes(lines_of("BGL") + lines_of("BGL").replace(b"- 11", b"KERNDTLB 11", 2))
    return folder


def test_build_writes_tables_and_says_what(run, collection: Path, tmp_path: Path) -> None:
    outcome = run(
        "build", "bgl", "--data", collection, "--out", tmp_path, "--num-proc", 1, "--window-lines", 2
    )
    assert outcome.code == 0, outcome.err
    (lines,) = (line for line in outcome.out.splitlines() if line.startswith("BGL "))
    counts = re.findall(r"\d+", lines)[:4]
    assert [sum(map(int, counts[:3])), int(counts[3])] == [10, 2], "rows of the splits, anomalies"
    assert outcome.out.splitlines()[-1] == f"10 lines -> {tmp_path / 'BGL'}"
    assert sorted(path.name for path in (tmp_path / "BGL" / "lines").iterdir()) == [
        f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")
    ]


def test_build_as_json(run, collection: Path, tmp_path: Path) -> None:
    words = ("build", "BGL", "--data", collection, "--out", tmp_path, "--table", "lines", "--num-proc", 1)
    (report,) = parsed(run(*words, "--json"))
    assert sum(report["rows"]["lines"].values()) == report["lines"] == 10
    assert [path.name for path in (tmp_path / "BGL").iterdir() if path.is_dir()] == ["lines"]


def test_build_with_options_that_cannot_be(run, collection: Path, tmp_path: Path) -> None:
    words = ("build", "BGL", "--data", collection, "--out", tmp_path)
    failed(run(*words, "--table", "nothing"), "unknown table 'nothing'")
    failed(run(*words, "--ray", "auto", "--num-proc", 2), "--num-proc and --ray contradict")
    failed(run("build", "BGL", "--data", tmp_path, "--out", tmp_path), "no logs of BGL")
    assert list(tmp_path.glob("BGL*")) == []


def test_publish_checks_before_it_sends(run, collection: Path, tmp_path: Path) -> None:
    failed(run("publish", tmp_path, "owner/loghub", "--dry-run"), str(tmp_path))
    run("build", "BGL", "--data", collection, "--out", tmp_path, "--num-proc", 1)
    outcome = run("publish", tmp_path, "owner/loghub", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert "data/BGL/lines/train-00000-of-00001.parquet" in outcome.out
    assert re.search(r"\n\d+ files would be published to http\S+owner/loghub\n$", outcome.out)
    result = parsed(run("publish", tmp_path, "owner/loghub", "--dry-run", "--json"))
    assert result["dry_run"] is True
    assert "README.md" in {file["path"] for file in result["files"]}


def test_wrong_options(run) -> None:
    assert run("download").code == 2
    assert run("frobnicate").code == 2


def test_a_reader_that_leaves_is_no_error(data: Path) -> None:
    command = f"{sys.executable} -m biglog.cli datasets list --json --data {data} | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (5_000_000, "4.8 MiB"),
        (3 * 2**40, "3.0 TiB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


# -- all real data --


@needs_data
def test_the_shared_data(run) -> None:
    rows = {row["domain"]: row["local"] for row in parsed(run("list", "--data", DATA, "--json"))}
    assert {name for name, local in rows.items() if not local["logs"]} == {"Android", "Spark"}
    assert len(rows["Hadoop"]["logs"]) == 978
    reports = parsed(
        run("verify", "Apache", "HPC", "Linux", "Proxifier", "--data", DATA, "--lines", "--json")
    )
    assert {report["domain"]: report["complete"] for report in reports} == dict.fromkeys(
        ("Apache", "HPC", "Linux", "Proxifier"), True
    )
