"""Tables of the domains straight from archives: the rows of `read_logs`, streamed or not, kept by content."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import datasets
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from file_server import FileServer
from loghub_archives import archive_bytes, write_archive
from torch.utils.data import DataLoader

import biglog
from biglog import load_loghub
from biglog.data.archives.published import ARCHIVES
from biglog.data.loghub import Loghub
from biglog.data.schema import SCHEMAS, features
from biglog.errors import InputError, OutputError

SMALL = {"window_lines": 2, "stride_lines": 1}  # more windows than a row group has


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and no data but what it names."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user cache"))
    monkeypatch.delenv("BIGLOG_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A longer log of BGL (the same minutes again and again), and the archive of HDFS."""
    made = tmp_path / "logs"
    made.mkdir()
    (made / "BGL.log").write_bytes((LINES / "BGL.log").read_bytes() * 600)
    write_archive("HDFS", made)
    return made


def frame(rows: datasets.Dataset) -> pl.DataFrame:
    return pl.from_arrow(rows.data.table.combine_chunks())


def built(cache: Path) -> list[Path]:
    return sorted(cache.glob("loghub-tables/*/*/build.json"))


def test_rows_are_those_of_read_logs_in_order_of_time(folder: Path):
    loaded = load_loghub("bgl", data_dir=folder)
    assert list(loaded) == ["train", "validation", "test"] or list(loaded) == ["train", "test"]
    assert all(rows.features == features("lines") for rows in loaded.values())
    got = pl.concat([frame(rows) for rows in loaded.values()])
    assert got["line_id"].to_list() == list(range(3_000))
    names = ["timestamp", "line_number", "content", "level", "component", "host", "label"]
    read = biglog.read_logs(folder / "BGL.log").read().select(names)
    assert got.select(names).equals(read.sort("timestamp", "line_number", maintain_order=True))
    assert got["normal_form"].to_list() == biglog.normal_forms(got["content"]).to_list()
    assert got["source"].unique().to_list() == ["BGL.log"]


@pytest.mark.parametrize(
    ("table", "options"),
    [("lines", {}), ("windows", {"window_lines": 4, "stride_lines": 2}), ("windows", {"session": True})],
)
def test_streaming_gives_the_same_rows(folder: Path, table: str, options: dict):
    kept = load_loghub("BGL", table, data_dir=folder, **options)
    streamed = load_loghub("BGL", table, data_dir=folder, streaming=True, **options)
    assert isinstance(streamed, datasets.IterableDatasetDict)
    assert set(streamed) == set(kept)
    for split, rows in streamed.items():
        assert rows.features == kept[split].features == features(table)
        assert list(rows) == kept[split].to_list()


def test_streaming_goes_on_where_it_was(folder: Path):
    stream = load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL, streaming=True)
    assert stream.num_shards > 2
    rows = iter(stream)
    first = [next(rows) for _ in range(1_200)]
    state = stream.state_dict()
    rest = list(rows)
    again = load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL, streaming=True)
    again.load_state_dict(state)
    assert list(again) == rest
    assert len(first) + len(rest) == len(load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL))


def test_workers_of_a_loader_share_the_rows_out(folder: Path):
    stream = load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL, streaming=True)
    loader = DataLoader(stream.select_columns("group_id"), batch_size=None, num_workers=2)
    ids = [row["group_id"] for row in loader]
    assert len(ids) == len(set(ids))
    assert set(ids) == {row["group_id"] for row in stream}


def test_two_processes_write_the_same(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "another cache")
    two = load_loghub("BGL", "windows", "train", data_dir=folder, **SMALL, num_proc=2)
    assert len(two.cache_files) == 2
    assert frame(two).equals(frame(one))


def test_sessions_and_their_labels(folder: Path):
    loaded = load_loghub("HDFS", "windows", data_dir=folder)
    rows = pl.concat([frame(part) for part in loaded.values()])
    labels = dict(rows.select("group_id", "label").iter_rows())
    assert labels["blk_38865049064139660"] == "Normal"
    assert labels["blk_-6952295868487656571"] == "Anomaly"
    assert set(rows["grouping"]) == {"session"}


def test_nothing_old_answers_for_files_that_changed(folder: Path, cache: Path, tmp_path: Path):
    def load() -> datasets.Dataset:
        return load_loghub("HDFS", "windows", "train", data_dir=folder)

    before = load()
    assert load().cache_files == before.cache_files
    assert len(built(cache)) == 1
    archive = folder / "HDFS_v1.zip"
    kept = archive.read_bytes()
    with zipfile.ZipFile(io.BytesIO(kept)) as source, zipfile.ZipFile(archive, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"660,Normal", b"660,Anomaly"))
    after = load()
    assert after.cache_files != before.cache_files
    assert len(built(cache)) == 2
    wanted = {"blk_38865049064139660": True}
    assert wanted.items() <= dict(zip(after["group_id"], after["is_anomaly"], strict=True)).items()
    # As it was, and elsewhere: nothing is built again.
    archive.write_bytes(kept)
    folder.rename(tmp_path / "moved")
    again = load_loghub("HDFS", "windows", "train", data_dir=tmp_path / "moved")
    assert again.cache_files == before.cache_files
    assert len(built(cache)) == 2


def test_options_of_grouping_are_part_of_the_key(folder: Path):
    sizes = {
        lines: len(load_loghub("BGL", "windows", "train", data_dir=folder, window_lines=lines))
        for lines in (10, 20)
    }
    assert sizes[10] == 2 * sizes[20]


def test_splits_as_datasets_writes_them(folder: Path):
    loaded = load_loghub("BGL", data_dir=folder)
    some = load_loghub("BGL", split="train[:10%]", data_dir=folder)
    assert some["line_id"][:] == list(range(len(loaded["train"]) // 10))
    every = load_loghub("BGL", split="all", data_dir=folder)
    assert every["line_id"][:] == list(range(3_000))
    both = load_loghub("BGL", split="train+test", data_dir=folder)
    assert len(both) == len(loaded["train"]) + len(loaded["test"])


def test_the_builder_alone(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert {"HDFS", "HDFS-templates", "HDFS-windows", "HDFS-failures"} <= set(Loghub.builder_configs)
    assert len(Loghub.builder_configs) == 64
    monkeypatch.setenv("BIGLOG_DATA", str(folder))
    builder = Loghub(config_name="BGL-windows", window_lines=5)
    builder.download_and_prepare()
    assert builder.as_dataset("train")["grouping"][0] == "count:5/5"
    assert builder.as_dataset("train").features.arrow_schema.names == SCHEMAS["windows"].names


def test_archives_that_are_nowhere_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = ARCHIVES["Linux"].name
    with FileServer() as server:
        server.files = {archive: archive_bytes("Linux")}
        monkeypatch.setenv("BIGLOG_LOGHUB_URL", server.record)
        rows = load_loghub("Linux", split="train")
    assert rows["source"][0] == f"{archive}::Linux.log"
    assert (tmp_path / "user cache" / "biglog" / "loghub" / archive).is_file()
    # Once is enough: the server is gone.
    assert load_loghub("Linux", split="train").cache_files == rows.cache_files


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"domain": "HDSF"}, r"unknown domain 'HDSF'\. Did you mean HDFS"),
        ({"table": "line"}, r"unknown table 'line'\. Did you mean lines"),
        ({"split": "trian"}, r"unknown split 'trian'\. Did you mean train"),
        ({"split": "train+tset[:3]"}, r"unknown split 'tset'\. Did you mean test"),
        ({"table": "templates", "split": "train"}, r"unknown split 'train'\. Known are test"),
        ({"window_lines": 3}, "window_lines is for the table windows, not lines"),
        ({"table": "windows", "window_lines": 0}, "Give 1 <= stride_lines"),
        ({"table": "windows", "window_lines": 3, "session": True}, "more than one way"),
        ({"table": "templates"}, "no table of templates: there is no ground truth"),
        ({"split": "train[:10%]", "streaming": True}, "cannot be given in such a split"),
        ({"domain": "Linux"}, r"no logs of Linux.*biglog datasets download Linux"),
    ],
)
def test_requests_that_cannot_be_met(folder: Path, arguments: dict, problem: str):
    with pytest.raises(InputError, match=problem):
        load_loghub(**{"domain": "BGL", "data_dir": folder, **arguments})


def test_folder_without_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BIGLOG_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere: no such folder.*without a network, fetch https"):
        load_loghub("HDFS")


def test_cache_that_cannot_be_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file")
    with pytest.raises(OutputError, match=r"cannot be written to the cache.*HF_DATASETS_CACHE"):
        load_loghub("BGL", data_dir=folder)


TOGETHER = """
import json, sys
from biglog import load_loghub
rows = load_loghub("BGL", split="train", data_dir=sys.argv[1])
print(json.dumps([len(rows), rows.cache_files[0]["filename"]]))
"""


def test_processes_may_ask_together(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(cache))
    command = [sys.executable, "-c", TOGETHER, str(folder)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = []
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        answers.append(json.loads(out.splitlines()[-1]))
    assert answers[0] == answers[1] == answers[2]
    assert len(built(cache)) == 1


@needs_data
def test_only_the_sample_is_said():
    with pytest.warns(UserWarning, match="of Android only the 2k sample is in"):
        loaded = load_loghub("Android", data_dir=DATA)
    assert sum(map(len, loaded.values())) == 2_000
    templates = load_loghub("HDFS", "templates", "test", data_dir=DATA / "loghub_2k" / "HDFS")
    assert len(templates) == 6_000
    assert set(templates["ground_truth_version"]) == {"original", "logparser-corrected", "loghub-2.0"}
