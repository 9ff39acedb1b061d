"""A corpus on disk: the same as in memory, and read in bounded memory by any number of processes."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from data_path import LINES
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from biglog.data.corpus import build_corpus
from biglog.data.shard_stream import Blocks, FormRow, ShardedRows, ShardStream
from biglog.data.shards import ShardedCorpus, Shards, write_shards
from biglog.errors import InputError, OutputError
from biglog.tokenizer import train_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.pretrain import pretrain

WORDS = ("opened", "closed", "failed", "lost", "found", "sent", "read", "denied", "moved", "copied")
KEPT = {"exclude": ["seen=extra.log#1-5"], "leave_out": ["tiny"], "held_out_share": 0.2}
SOURCES = ["large=large.log", "small=small.log", "tiny=tiny.log"]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Domains of 300, 40 and 5 distinct forms, some of which they share."""
    folder = tmp_path_factory.mktemp("logs")
    texts = [f"{a} {b} by unit {c}" for a in WORDS for b in WORDS for c in ("left", "right", "middle")]
    for name, lines in (
        ("large", texts + texts[:50]),
        ("small", [f"disk {text}" for text in texts[:40]] + texts[:3]),
        ("tiny", [*texts[:4], "tiny alone"]),
        ("extra", texts[100:110]),
    ):
        (folder / f"{name}.log").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def folder(logs, tmp_path_factory):
    place = tmp_path_factory.mktemp("shards") / "corpus"
    # So little is held while counting that each source is written down many times.
    write_shards(SOURCES, place, data_root=logs, partitions=3, state_forms=20, **KEPT)
    return place


@pytest.fixture(scope="module")
def shards(folder):
    return Shards.open(folder)


@pytest.fixture(scope="module")
def rows(folder):
    """What there is to train on."""
    return sorted(FormRow(*row) for row in ShardedCorpus.sampled(folder).train.iter_rows())


def test_shards_hold_the_corpus_that_memory_would(logs, folder):
    corpus = build_corpus(SOURCES, data_root=logs, **KEPT)
    sharded = ShardedCorpus.sampled(folder)
    for name in ("train", "held_out", "left_out"):
        assert getattr(sharded, name).equals(getattr(corpus, name)), name
    told, wanted = sharded.record(), corpus.record()
    for name in ("sources", "exclusions", "domains", "left_out", "train_normal_forms"):
        assert told[name] == wanted[name], name
    assert [e["remaining"] for e in told["exclusions"]] == [0, 0]
    assert [e["dropped"] for e in told["exclusions"]] == [5, 4]


def test_a_second_writing_gives_the_same_shards(logs, folder, tmp_path):
    write_shards(SOURCES, tmp_path / "again", data_root=logs, partitions=3, **KEPT)
    for path in sorted(folder.rglob("*.parquet")):
        assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert (tmp_path / "again/corpus.json").read_text() == (folder / "corpus.json").read_text()
    assert not list(tmp_path.glob(".again*"))


@settings(max_examples=12)
@given(
    seed=st.integers(0, 99),
    epoch=st.integers(0, 3),
    world=st.integers(1, 5),
    block=st.sampled_from([1, 7, 64, 10_000]),
)
def test_processes_take_disjoint_rows_and_together_all(shards, rows, seed, epoch, world, block):
    how = {"seed": seed, "epoch": epoch, "block_forms": block}
    parts = [list(ShardStream(shards, rank=rank, world=world, **how)) for rank in range(world)]
    assert sorted(row for part in parts for row in part) == rows
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    whole = list(ShardStream(shards, **how))
    assert all(part == whole[rank::world] for rank, part in enumerate(parts))


@settings(max_examples=12)
@given(
    seed=st.integers(0, 99),
    skip=st.integers(0, 400),
    rank=st.integers(0, 2),
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_a_stream_goes_on_at_any_row(shards, seed, skip, rank, temperature):
    how = {"seed": seed, "rank": rank, "world": 3, "block_forms": 32, "temperature": temperature}
    assert list(ShardStream(shards, skip=skip, **how)) == list(ShardStream(shards, **how))[skip:]


def test_the_order_is_shuffled_by_seed_and_epoch_and_mixes_domains(shards):
    orders = [
        tuple(ShardStream(shards, seed=seed, epoch=epoch, block_forms=50))
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert len(set(orders)) == 3
    assert list(orders[0]) != sorted(orders[0])
    share = Counter(row.domain for row in orders[0])["small"] / len(orders[0])
    for at in range(0, len(orders[0]) - 50, 50):
        assert Counter(row.domain for row in orders[0][at : at + 50])["small"] == pytest.approx(
            50 * share, abs=6
        )


def test_workers_of_a_loader_share_out_the_rows_of_their_process(shards, rows):
    loaders = [
        DataLoader(ShardStream(shards, rank=rank, world=2, block_forms=64), batch_size=None, num_workers=2)
        for rank in range(2)
    ]
    assert sorted(FormRow(*row) for loader in loaders for row in loader) == rows


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_domains_get_their_share_whatever_their_size(shards, temperature):
    forms = {row["domain"]: row["forms"] for row in shards.record["domains"]}
    weights = np.array([size**temperature for size in forms.values()])
    wanted = dict(zip(forms, weights / weights.sum() * sum(forms.values()), strict=True))
    blocks = Blocks(shards, temperature=temperature, block_forms=40)
    assert blocks.rows == sum(forms.values())
    drawn = Counter(row.domain for row in ShardStream(shards, temperature=temperature, block_forms=40))
    assert all(abs(drawn[domain] - wanted[domain]) <= 1 for domain in forms)
    # What a small domain gets too much comes from all of its rows, as evenly as can be.
    epochs = [ShardStream(shards, temperature=temperature, epoch=epoch, block_forms=40) for epoch in range(4)]
    times = Counter(row.normal_form for rows in epochs for row in rows if row.domain == "small")
    assert max(times.values()) - min(times.values()) <= 1


def test_rows_to_train_on_are_functions_of_their_number(shards, folder):
    tokenizer = train_tokenizer(ShardedCorpus.sampled(folder).train["normal_form"].to_list(), vocab_size=300)

    def rows(count):
        return ShardedRows(shards, tokenizer, rows=count, row_length=64, seed=3, block_forms=50)

    def ids(row):
        return np.concatenate(row["segments"]).tolist()

    straight, jumping = rows(60), rows(200)
    first = [straight[i] for i in range(60)]
    order = np.random.default_rng(0).permutation(60)
    assert all(ids(jumping[int(i)]) == ids(first[int(i)]) for i in order)
    assert [row["draw"] for row in first] == list(range(60))
    assert all(len(ids(row)) <= 64 for row in first)
    # Rows go through the blocks: in an epoch most forms come up.
    seen = {tuple(segment) for row in first for segment in row["segments"]}
    assert len(seen) > 0.5 * len(ShardedCorpus.sampled(folder).train)
    with pytest.raises(IndexError):
        straight[60]
    with pytest.raises(InputError, match="Raise row_length"):
        ShardedRows(shards, tokenizer, rows=1, row_length=4, seed=0)[0]


def test_a_run_trains_on_shards_and_resumes(folder, tmp_path):
    def run(output, **how):
        settings = {
            "train_data": [f"shards:{folder}"],
            "output_path": str(output),
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "intermediate_size": 16,
            "vocab_size": 200,
            "row_length": 64,
            "batch_size": 2,
            "save_steps": 3,
            "logging_steps": 1,
            "max_steps": 6,
            "use_cpu": True,
        }
        return pretrain(PretrainArguments(**PretrainArguments.from_mapping(settings | how).to_dict()))

    record = run(tmp_path / "straight")
    assert record["data"]["exclusions"] == Shards.open(folder).record["exclusions"]
    assert any(domain.startswith("left_out/") for domain in record["evaluation"]["domains"])
    assert record["training"]["steps"] == 6
    run(tmp_path / "resumed")
    (tmp_path / "resumed/record.json").unlink()
    for path in (tmp_path / "resumed/checkpoint-6").iterdir():
        path.unlink()
    resumed = run(tmp_path / "resumed", resume=True)
    assert [p["loss"] for p in resumed["curve"]] == [p["loss"] for p in record["curve"]]


class TestBadInput:
    def test_a_folder_that_is_there_is_not_written_over(self, logs, folder):
        with pytest.raises(OutputError, match="there already"):
            write_shards(SOURCES, folder, data_root=logs)

    def test_nothing_left_leaves_nothing_behind(self, logs, tmp_path):
        with pytest.raises(InputError, match="holds every normal form"):
            write_shards(
                ["tiny=tiny.log"], tmp_path / "out", data_root=logs, exclude=["large.log", "tiny.log"]
            )
        with pytest.raises(InputError, match="no such file"):
            write_shards(["gone.log"], tmp_path / "out", data_root=logs)
        assert not list(tmp_path.iterdir())

    def test_shards_that_are_not_whole(self, logs, tmp_path):
        write_shards(SOURCES, tmp_path / "out", data_root=logs, partitions=2)
        shard = next((tmp_path / "out/train").rglob("*.parquet"))
        whole = shard.read_bytes()
        shard.write_bytes(whole[:-20])
        with pytest.raises(InputError, match=r"damaged or cut short.*Write the shards again"):
            Shards.open(tmp_path / "out")
        pl.read_parquet(whole).head(1).write_parquet(shard)
        with pytest.raises(InputError, match="has 1 rows, not"):
            Shards.open(tmp_path / "out")
        record = json.loads((tmp_path / "out/corpus.json").read_text())
        for change, message in (
            ({"masking_version": "0"}, "masking version 0"),
            ({"schema": "x"}, "no record of"),
        ):
            (tmp_path / "out/corpus.json").write_text(json.dumps(record | change))
            with pytest.raises(InputError, match=message):
                Shards.open(tmp_path / "out")
        with pytest.raises(InputError, match="no shards of a corpus here"):
            Shards.open(LINES)

    def test_what_is_decided_when_shards_are_written_cannot_be_asked_for_later(self, folder):
        for change, message in (
            ({"leave_out": ["large"]}, "leave_out cannot be given with shards"),
            ({"train_data": [f"shards:{folder}", "x.log"]}, "shards are a whole corpus"),
        ):
            arguments = {"train_data": [f"shards:{folder}"], "output_path": str(folder.parent / "run")}
            with pytest.raises(InputError, match=message):
                pretrain(PretrainArguments.from_mapping(arguments | change))

    def test_processes_and_rows_that_are_none(self, shards):
        with pytest.raises(InputError, match="no process 2 of 2"):
            ShardStream(shards, rank=2, world=2)
        with pytest.raises(InputError, match="cannot be skipped"):
            ShardStream(shards, skip=-1)
