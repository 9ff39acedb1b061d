"""The script that writes a lines table, run as users run it."""

import subprocess
import sys
from pathlib import Path

import polars as pl
from data_path import LINES

SCRIPT = Path(__file__).parents[1] / "datasets_scripts" / "build_lines.py"


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_of_all_domains(tmp_path):
    out = tmp_path / "lines.parquet"
    done = run(LINES / "*.log", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("80 lines of 16 sources")
    table = pl.read_parquet(out)
    assert len(table) == 80
    assert table["source"].n_unique() == 16
    assert table["timestamp"].null_count() == 0
    bgl = table.filter(pl.col("source").str.ends_with("BGL.log")).row(0, named=True)
    assert (bgl["line_number"], bgl["label"], bgl["level"], bgl["component"]) == (1, "-", "INFO", "KERNEL")
    assert bgl["normal_form"] == "instruction cache parity error corrected"
    assert [path.name for path in tmp_path.iterdir()] == ["lines.parquet"]


def test_bad_input_leaves_nothing_behind(tmp_path):
    bad = tmp_path / "bad.log"
    bad.write_bytes(b"\x7fELF" + b"\0" * 100)
    done = run(LINES / "BGL.log", bad, "--out", tmp_path / "lines.parquet")
    assert done.returncode == 2
    assert done.stderr.startswith(f"biglog: {bad}: this is a program")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.log"]


def test_a_folder_that_is_not_there(tmp_path):
    done = run(LINES / "BGL.log", "--out", tmp_path / "none" / "lines.parquet")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
