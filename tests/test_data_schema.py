"""Columns of the tables, and shards: the same bytes for the same rows, whole or not at all."""

from itertools import pairwise

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_path import LINES
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.schema import SCHEMAS, TABLES, conform, features
from biglog.data.tables.parquet import ROW_GROUP_ROWS, RollingWriter, ShardWriter, read_batches, shard_name
from biglog.errors import OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs


def lines(count=80):
    rows = read_logs(sorted(LINES.glob("*.log"))).read()
    rows = pl.concat([rows] * -(-count // len(rows))).head(count)
    return rows.with_columns(
        pl.int_range(len(rows), dtype=pl.Int64).alias("line_id"),
        normal_forms(rows["content"]).alias("normal_form"),
        session_id=pl.lit(None, dtype=pl.String),
        is_anomaly=pl.lit(None, dtype=pl.Boolean),
    )


def write(path, frames):
    with ShardWriter(path, "lines") as writer:
        for frame in frames:
            writer.write(frame)
    return path.read_bytes()


@pytest.mark.parametrize("table", TABLES)
def test_datasets_reads_the_schema_back(table, tmp_path):
    assert features(table).arrow_schema.equals(SCHEMAS[table])
    with ShardWriter(tmp_path / "empty.parquet", table):
        pass
    assert pq.read_schema(tmp_path / "empty.parquet").equals(SCHEMAS[table])
    assert pq.read_metadata(tmp_path / "empty.parquet").num_rows == 0


def test_rows_come_back_as_they_were(tmp_path):
    frame = lines()
    write(tmp_path / shard_name("train", 0, 1), [frame])
    path = str(tmp_path / "train-00000-of-00001.parquet")
    back = load_dataset("parquet", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert back.features == features("lines")
    wanted = conform(frame, "lines")
    assert back.data.table.combine_chunks().cast(SCHEMAS["lines"]).equals(wanted.combine_chunks())


def test_columns_in_any_order_others_left_out():
    frame = lines()
    assert "raw_bytes" in frame.columns
    table = conform(frame.select(reversed(frame.columns)), "lines")
    assert isinstance(table, pa.Table)
    assert table.schema.equals(SCHEMAS["lines"])


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 70_000), max_size=6))
def test_bytes_do_not_depend_on_the_batches(cuts, tmp_path_factory):
    folder, frame = tmp_path_factory.mktemp("shards"), lines(70_000)
    bounds = [0, *sorted(cuts), len(frame)]
    parts = [frame.slice(low, high - low) for low, high in pairwise(bounds)]
    assert write(folder / "a.parquet", [frame]) == write(folder / "b.parquet", parts)
    sizes = [len(batch) for batch in read_batches([folder / "b.parquet"])]
    assert sizes == [ROW_GROUP_ROWS["lines"], 70_000 - ROW_GROUP_ROWS["lines"]]


def test_a_shard_is_followed_by_the_next(tmp_path):
    frame = lines(300_000)
    with RollingWriter(tmp_path, "train", "lines", 1) as writer:
        for at in range(0, len(frame), 100_000):
            writer.write(frame.slice(at, 100_000))
    assert [path.name for path in writer.paths] == [f"train-{n:05}.parquet" for n in range(len(writer.paths))]
    assert len(writer.paths) > 1
    assert pl.concat(read_batches(writer.paths))["line_id"].to_list() == list(range(300_000))


def test_an_error_leaves_no_shard(tmp_path):
    def frames():
        yield lines()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "a.parquet", frames())
    assert list(tmp_path.iterdir()) == []
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*a\.parquet|a\.parquet.*cannot write"):
        write(blocked / "a.parquet", [lines()])
