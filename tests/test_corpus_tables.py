"""Corpora of tables of lines and of datasets; counts that are kept; sampling that balances domains."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from data_path import LINES
from hub_server import HubServer
from hub_wire import User
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st
from loghub_archives import write_archive

from biglog.data.corpus import build_corpus, count_normal_forms, sampling_weights
from biglog.data.executors import LocalExecutor
from biglog.data.form_cache import count_source
from biglog.data.sources import find_sources
from biglog.data.tables.build import build
from biglog.dataset_repository import assemble_datasets, publish_datasets
from biglog.errors import InputError, OutputError

FEW = {"held_out_share": 1e-9}
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Tables of five real lines each, and the same lines as logs."""
    place = tmp_path_factory.mktemp("built")
    for name in ("BGL", "Mac"):
        write_archive(name, place / "archives")
        build(name, place / "archives", place / "tables", tables=("lines",), executor=LocalExecutor(1))
        shutil.copy(LINES / f"{name}.log", place / "tables")
    return place / "tables"


@pytest.fixture
def tables(built, tmp_path):
    shutil.copytree(built, tmp_path / "tables")
    return tmp_path / "tables"


def forms(frame):
    return set(frame["normal_form"])


class TestTables:
    @pytest.mark.parametrize(
        "entries",
        [
            [f"{d}/lines:{split}" for d in ("BGL", "Mac") for split in SPLITS],
            [f"{d}:{split}" for d in ("BGL", "Mac") for split in SPLITS],
            ["*/lines/*.parquet"],
            ["BGL=BGL/lines/t*.parquet", "BGL=BGL/lines/validation-*.parquet", "Mac.log"],
        ],
    )
    def test_tables_give_the_corpus_of_the_logs_they_were_built_from(self, built, entries):
        raw = build_corpus(["BGL.log", "Mac.log"], data_root=built, **FEW)
        corpus = build_corpus(entries, data_root=built, **FEW)
        assert corpus.train.equals(raw.train)
        assert corpus.fingerprint == raw.fingerprint
        assert sum(source.lines for source in corpus.sources) == 10

    def test_a_folder_means_its_training_split(self, built):
        corpus = build_corpus(["Mac/lines"], data_root=built, **FEW)
        assert [(s.domain, s.file) for s in corpus.sources] == [
            ("Mac", "Mac/lines/train-00000-of-00001.parquet")
        ]

    def test_splits_are_excluded_by_name(self, built):
        corpus = build_corpus(["Mac", "BGL.log"], data_root=built, exclude=["test", "validation"], **FEW)
        names = {(e.name, e.file.rpartition("/")[2].partition("-")[0]) for e in corpus.exclusions}
        assert names == {("Mac:test", "test"), ("Mac:validation", "validation")}
        test = count_normal_forms(built / "Mac/lines/test-00000-of-00001.parquet")
        assert not forms(test) & forms(corpus.train)
        (one,) = build_corpus(["Mac", "BGL.log"], data_root=built, exclude=["Mac:test"], **FEW).exclusions
        assert (one.name, one.remaining, one.lines) == ("Mac:test", 0, test["count"].sum())

    def test_a_domain_left_out_is_left_out_with_all_its_splits(self, built):
        corpus = build_corpus(["Mac", "BGL"], data_root=built, leave_out=["Mac"], **FEW)
        assert {e.file.rpartition("/")[2].partition("-")[0] for e in corpus.exclusions} == set(SPLITS)
        assert forms(corpus.left_out) == forms(count_normal_forms(built / "Mac.log"))

    def test_a_range_of_rows(self, built):
        raw = build_corpus(["Mac.log#2-3"], data_root=built, **FEW)
        corpus = build_corpus(["Mac=Mac/lines/train-*.parquet#2-3"], data_root=built, **FEW)
        assert corpus.train.equals(raw.train)

    def test_tables_that_cannot_be_used(self, tables):
        shard = tables / "Mac/lines/train-00000-of-00001.parquet"
        rows = pq.read_table(shard)
        pq.write_table(rows.drop_columns(["normal_form"]), tables / "cut.parquet")
        with pytest.raises(
            InputError, match=r"cut\.parquet: the table has no column 'normal_form', only line_id"
        ):
            build_corpus(["cut.parquet"], data_root=tables)
        (tables / "bad.parquet").write_bytes(shard.read_bytes()[:-9])
        with pytest.raises(InputError, match=r"bad\.parquet: this table is damaged or cut short"):
            build_corpus(["bad.parquet"], data_root=tables)
        (tables / "nothing").mkdir()
        with pytest.raises(InputError, match="no such file"):
            build_corpus(["nothing"], data_root=tables)
        record = json.loads((tables / "Mac/build.json").read_text())
        (tables / "Mac/build.json").write_text(json.dumps(record | {"masking_version": "0"}))
        with pytest.raises(InputError, match="of masking version 0, this is"):
            build_corpus(["Mac"], data_root=tables)
        shard.rename(shard.with_name("train-00000-of-00002.parquet"))
        with pytest.raises(InputError, match="shards of the split 'train' are missing"):
            build_corpus(["Mac"], data_root=tables)


STREAM = """
import json
from biglog.data.corpus import build_corpus
from biglog.errors import InputError

corpus = build_corpus(["BGL=hub:acme/loghub:BGL:train"], held_out_share=1e-9)
try:
    build_corpus(["hub:acme/nothing:BGL:train"])
except InputError as error:
    print(json.dumps({"train": corpus.train.to_dicts(), "file": corpus.sources[0].file, "error": str(error)}))
"""


class TestDatasets:
    def test_a_local_dataset_gives_the_corpus_of_its_logs(self, built, tmp_path):
        assemble_datasets(only_tables(built, tmp_path), tmp_path / "repo")
        sources = [f"hub:repo:{d}:{split}" for d in ("BGL", "Mac") for split in ("train", "test")]
        corpus = build_corpus(sources, data_root=tmp_path, **FEW)
        tables = [f"{d}:{split}" for d in ("BGL", "Mac") for split in ("train", "test")]
        assert corpus.train.equals(build_corpus(tables, data_root=built, **FEW).train)
        assert [s.file for s in corpus.sources][:2] == ["hub:repo:BGL:train", "hub:repo:BGL:test"]
        assert str(tmp_path) not in json.dumps(corpus.record())
        excluded = build_corpus(
            ["hub:repo:Mac", "BGL=hub:repo:BGL"], data_root=tmp_path, exclude=["test"], **FEW
        )
        assert {e.name for e in excluded.exclusions} == {"Mac:test", "BGL:test"}

    def test_a_dataset_of_a_hub_is_streamed(self, built, tmp_path, monkeypatch):
        with HubServer({"hf_writer": User("acme")}) as server:
            monkeypatch.setattr(constants, "ENDPOINT", server.url)
            monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
            publish_datasets(only_tables(built, tmp_path), "acme/loghub", token="hf_writer")
            # The client reads its settings when it is imported, so it is another process's.
            done = subprocess.run(
                [sys.executable, "-c", STREAM],
                cwd=tmp_path,
                env=server.client_environment(tmp_path / "home", "hf_writer"),
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout.splitlines()[-1])
        wanted = build_corpus(["BGL"], data_root=built, **FEW)
        assert got["train"] == wanted.train.to_dicts()
        assert got["file"] == "hub:acme/loghub:BGL:train"
        assert "no such dataset or configuration" in got["error"]

    def test_datasets_that_cannot_be_used(self, built, tmp_path):
        assemble_datasets(only_tables(built, tmp_path), tmp_path / "repo")
        with pytest.raises(InputError, match=r"repo:Mac:validation: the dataset has no split 'validation'"):
            build_corpus(["hub:repo:BGL:train", "hub:repo:Mac:validation"], data_root=tmp_path)
        with pytest.raises(InputError, match="no such dataset or configuration"):
            build_corpus(["hub:repo:Spark:train"], data_root=tmp_path)
        with pytest.raises(InputError, match="names no dataset"):
            build_corpus(["hub::BGL"], data_root=tmp_path)
        (tmp_path / "other").mkdir()
        pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "other/train.parquet")
        with pytest.raises(
            InputError, match=r"hub:other:train: the dataset has no column 'normal_form', only text"
        ):
            build_corpus(["hub:other:train"], data_root=tmp_path)


def only_tables(built: Path, place: Path) -> Path:
    for name in ("BGL", "Mac"):
        shutil.copytree(built / name, place / "only" / name)
    return place / "only"


class TestKeptCounts:
    def test_kept_counts_answer_for_the_same_bytes_alone(self, built, tmp_path):
        kept, log = tmp_path / "kept", tmp_path / "x.log"
        shutil.copy(built / "Mac.log", log)
        (source,) = find_sources(["x.log"], tmp_path)
        wanted = source.count()
        assert count_source(source, kept).equals(wanted)
        (file,) = kept.iterdir()
        # What is kept is what answers.
        pq.write_table(wanted.with_columns(pl.col("count") + 5).to_arrow(), file, write_page_checksum=True)
        assert (
            count_source(find_sources(["x.log"], tmp_path)[0], kept)["count"].sum()
            == wanted["count"].sum() + 25
        )
        (part,) = find_sources(["x.log#1-2"], tmp_path)
        assert count_source(part, kept)["count"].sum() == 2
        with log.open("a") as stream:
            stream.write("one more wording\n")
        assert len(count_source(find_sources(["x.log"], tmp_path)[0], kept)) == len(wanted) + 1
        assert len(list(kept.iterdir())) == 3

    @pytest.mark.parametrize("how", ["cut", "flipped", "other"])
    def test_a_damaged_file_is_counted_anew(self, built, tmp_path, how):
        (source,) = find_sources(["Mac.log"], built)
        wanted = count_source(source, tmp_path)
        (file,) = tmp_path.iterdir()
        whole = bytearray(file.read_bytes())
        if how == "cut":
            whole = whole[:-30]
        elif how == "flipped":
            whole[60] ^= 0xFF
        file.write_bytes(bytes(whole))
        if how == "other":
            pl.DataFrame({"text": ["a"]}).write_parquet(file)
        assert count_source(source, tmp_path).equals(wanted)
        assert count_source(source, tmp_path).equals(wanted)
        assert [path.name for path in tmp_path.iterdir()] == [file.name]

    def test_a_corpus_is_the_same_with_and_without(self, built, tmp_path):
        how = {"data_root": built, "exclude": ["Mac.log#1-1"], "leave_out": ["BGL"]}
        sources = ["Mac", "Mac.log", "BGL.log"]
        plain = build_corpus(sources, **how, **FEW)
        for _ in range(2):
            kept = build_corpus(sources, cache_folder=tmp_path / "kept", **how, **FEW)
            assert kept.record() == plain.record()

    def test_a_folder_that_cannot_be_written(self, built, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match="Check corpus_cache"):
            build_corpus(["Mac.log"], data_root=built, cache_folder=tmp_path / "file" / "kept")


sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def corpus_of(numbers, counts=1):
    domains = [f"d{i}" for i, size in enumerate(numbers) for _ in range(size)]
    return pl.DataFrame({"domain": domains, "normal_form": map(str, range(len(domains))), "count": counts})


class TestBalance:
    @given(sizes, st.floats(0, 1))
    def test_a_domain_is_drawn_by_its_size_to_the_power_of_the_temperature(self, numbers, temperature):
        forms = corpus_of(numbers).with_columns(
            pl.Series("weight", sampling_weights(corpus_of(numbers), temperature=temperature))
        )
        drawn = forms.group_by("domain", maintain_order=True).agg(pl.col("weight").sum())["weight"].to_numpy()
        wanted = np.array(numbers, dtype=float) ** temperature
        assert drawn == pytest.approx(wanted / wanted.sum())
        assert forms["weight"].sum() == pytest.approx(1)

    @given(sizes)
    def test_temperature_0_draws_domains_alike_and_1_forms_alike(self, numbers):
        forms = corpus_of(numbers)
        equal = forms.with_columns(pl.Series("weight", sampling_weights(forms, temperature=0.0)))
        assert equal.group_by("domain").agg(pl.col("weight").sum())["weight"].to_list() == pytest.approx(
            [1 / len(numbers)] * len(numbers)
        )
        assert sampling_weights(forms, temperature=1.0) == pytest.approx(1 / len(forms))

    @given(sizes, st.floats(0, 1), st.floats(0, 1))
    def test_counts_weigh_within_a_domain_and_never_between(self, numbers, temperature, power):
        forms = corpus_of(numbers, counts=list(range(1, sum(numbers) + 1)))
        for weights in (
            sampling_weights(forms, temperature=temperature, count_power=p) for p in (0.0, power)
        ):
            shares = forms.with_columns(pl.Series("w", weights)).group_by("domain", maintain_order=True)
            wanted = np.array(numbers, dtype=float) ** temperature
            assert shares.agg(pl.col("w").sum())["w"].to_numpy() == pytest.approx(wanted / wanted.sum())


class TestBadInput:
    def test_a_log_of_blank_lines(self, tmp_path):
        (tmp_path / "blank.log").write_text("\n\n  \n")
        with pytest.raises(InputError, match="the sources hold blank lines alone"):
            build_corpus(["blank.log"], data_root=tmp_path)

    def test_an_empty_log_is_named(self, tmp_path):
        (tmp_path / "empty.log").write_text("")
        with pytest.raises(InputError, match=r"empty\.log: empty"):
            build_corpus(["empty.log"], data_root=tmp_path)

    def test_one_line_is_a_corpus(self, tmp_path):
        (tmp_path / "one.log").write_text("a single line\n")
        assert len(build_corpus(["one.log"], data_root=tmp_path, **FEW).train) == 1
