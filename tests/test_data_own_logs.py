"""A user's own logs as datasets: the same rows as `read_logs` gives, kept until a file changes."""

import os
from pathlib import Path

import datasets
import polars as pl
import pytest
from data_path import LINES

import biglog
from biglog.data.loading import load_logs
from biglog.data.schema import features
from biglog.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three logs, one of them of lines that belong to sessions."""
    made = tmp_path / "logs"
    made.mkdir()
    for name in ("BGL", "HDFS", "Linux"):
        (made / f"{name}.log").write_bytes((LINES / f"{name}.log").read_bytes())
    return made


def frame(rows: datasets.Dataset) -> pl.DataFrame:
    return pl.from_arrow(rows.data.table.combine_chunks())


def test_rows_are_those_of_read_logs(folder: Path):
    rows = load_logs(folder)
    assert rows.features == features("lines")
    read = biglog.read_logs(folder).read()
    got = frame(rows)
    for name in ("line_number", "timestamp", "level", "component", "pid", "host", "label", "content"):
        assert got[name].to_list() == read[name].to_list(), name
    assert got["normal_form"].to_list() == biglog.normal_forms(read["content"]).to_list()
    assert got["line_id"].to_list() == list(range(15))
    assert [Path(name).name for name in got["source"].unique(maintain_order=True)] == [
        "BGL.log",
        "HDFS.log",
        "Linux.log",
    ]


def test_streaming_gives_the_same_rows(folder: Path):
    for options in ({}, {"window_lines": 4, "stride_lines": 2}):
        streamed = load_logs(folder, streaming=True, **options)
        assert isinstance(streamed, datasets.IterableDataset)
        assert list(streamed) == list(load_logs(folder, **options))


def test_windows_by_count_and_by_time(folder: Path):
    lines = load_logs(folder / "BGL.log")
    by_count = load_logs(folder / "BGL.log", window_lines=2)
    assert by_count["line_ids"][:] == [[0, 1], [2, 3], [4]]
    assert by_count["contents"][0] == lines["content"][:2]
    assert by_count["grouping"][0] == "count:2/2"
    by_time = load_logs(folder / "BGL.log", window_seconds=3600)
    assert [line for ids in by_time["line_ids"] for line in ids] == list(range(5))
    spans = [(row["end"] - row["start"]).total_seconds() for row in by_time]
    assert max(spans) < 3600


def test_sessions_by_pattern_and_by_column(folder: Path):
    pattern = r"(blk_-?[0-9]+)"
    sessions = load_logs(folder / "HDFS.log", session_pattern=pattern)
    contents = load_logs(folder / "HDFS.log")["content"][:]
    wanted = {}
    for number, content in enumerate(contents):
        for (name,) in (
            pl.Series([content]).str.extract_all(pattern).explode().unique().to_frame().iter_rows()
        ):
            wanted.setdefault(name, []).append(number)
    assert dict(zip(sessions["group_id"], sessions["line_ids"], strict=True)) == wanted
    hosts = load_logs(folder / "BGL.log", session_column="host")
    assert sorted(hosts["group_id"]) == sorted(set(load_logs(folder / "BGL.log")["host"]))


def test_nothing_old_answers_for_a_file_that_changed(folder: Path):
    log = folder / "BGL.log"
    before = load_logs(log)
    assert load_logs(log).cache_files == before.cache_files
    stat = log.stat()
    text = log.read_bytes()
    log.write_bytes(text.replace(b"instruction", b"Instruction"))
    # Neither size nor time tell: the content does.
    os.utime(log, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert log.stat().st_size == stat.st_size
    after = load_logs(log)
    assert after.cache_files != before.cache_files
    assert after["content"][0] == before["content"][0].replace("instruction", "Instruction")
    log.write_bytes(text)
    assert load_logs(log).cache_files == before.cache_files


def test_options_are_part_of_the_key(folder: Path):
    plain = load_logs(folder / "BGL.log", layout="<Content>")
    known = load_logs(folder / "BGL.log")
    assert plain["content"][0] != known["content"][0]


def test_bad_input(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read twice"):
        load_logs("-")
    with pytest.raises(InputError, match=r"nowhere\.log"):
        load_logs(tmp_path / "nowhere.log")
    with pytest.raises(InputError, match="more than one way"):
        load_logs(folder, window_lines=2, window_seconds=3)
    binary = tmp_path / "program"
    binary.write_bytes(b"\x7fELF" + b"\0" * 100)
    with pytest.raises(InputError, match="this is a program"):
        load_logs(binary)
