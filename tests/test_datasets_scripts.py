"""The scripts that build and publish tables, run as users run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from data_path import DATA, needs_data
from loghub_archives import write_archive

from biglog.data.tables.built import find_domains

SCRIPTS = Path(__file__).parents[1] / "datasets_scripts"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    for name in ("HDFS", "Hadoop"):
        write_archive(name, folder)
    return folder


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ("lines", (), "Hadoop: {'train': "),
        ("windows", ("--window-lines", "2"), "Hadoop: count:2/2, {'train': "),
        ("failures", (), "Hadoop: {'train': "),
    ],
)
def test_a_table_of_a_domain(archives: Path, tmp_path: Path, table: str, options: tuple[str, ...], said: str):
    done = run(
        f"build_{table}", "hadoop", "--data", archives, "--out", tmp_path, "--processes", "1", *options
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)
    [domain] = find_domains(tmp_path)
    assert [one.name for one in domain.tables] == [table]
    assert domain.tables[0].rows > 0


def test_a_repository_of_tables(archives: Path, tmp_path: Path):
    tables, repository = tmp_path / "tables", tmp_path / "repository"
    done = run("build_lines", "HDFS", "Hadoop", "--data", archives, "--out", tables, "--processes", "1")
    assert done.returncode == 0, done.stderr
    done = run("publish", tables, "--out", repository)
    assert (done.returncode, done.stdout) == (0, f"written: {repository}\n")
    assert {path.name for path in repository.iterdir()} == {"README.md", "LICENSE", "CITATION", "data"}
    done = run("publish", tables, "--repo", "acme/loghub", "--dry-run")
    files = len([path for path in repository.rglob("*") if path.is_file()])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{files} files would be sent to ")


@needs_data
def test_the_ground_truth(tmp_path: Path):
    done = run("build_templates", "Android", "HDFS", "--data", DATA, "--out", tmp_path, "--processes", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Android: original 2000, logparser-corrected 2000 in ")
    assert [domain.tables[0].rows for domain in find_domains(tmp_path)] == [4_000, 6_000]


def test_bad_input(archives: Path, tmp_path: Path):
    done = run("build_windows", "HDFS", "Hadop", "--data", archives, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("biglog: unknown domain 'Hadop'. Did you mean Hadoop")
    assert not (tmp_path / "out").exists()
    done = run("publish", tmp_path, "--repo", "acme/loghub")
    assert done.returncode == 2
    assert "there are no built tables here" in done.stderr
