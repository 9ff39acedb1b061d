"""What the splits of a table have in common: sessions, exact contents, normal forms, lines of the 2k sample.

A line that a model was trained on says little about it in a test. Nothing is removed here: logs repeat
themselves, and a split in order of time is what a detector meets. The report says how much is repeated.

Values are compared by 64-bit hashes (among 200 million values, two are taken for one by chance in one build
of 900), which are written down shard by shard and added up in partitions of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.schema import SPLITS

PARTITION_ROWS: Final = 20_000_000
"""Fingerprints that are added up at a time, each of some 30 bytes."""

_SCHEMA: Final = pa.schema({"kind": pa.uint8(), "hash": pa.uint64(), "rows": pa.int64()})
_SEED: Final = 1


@dataclass(frozen=True)
class Overlap:
    """What two splits share.

    Attributes:
        kind: What is compared: "session", "content", "normal_form" (lines); "group", "sequence" (windows).
        first: The earlier split.
        second: The later split.
        first_distinct: Distinct values of the earlier.
        second_distinct: Distinct values of the later.
        shared: Distinct values of both.
        second_rows: Rows of the later that have a value.
        second_rows_shared: Rows of the later whose value the earlier has too.
        share_of_second_rows: The same as a share, 0..1.
    """

    kind: str
    first: str
    second: str
    first_distinct: int
    second_distinct: int
    shared: int
    second_rows: int
    second_rows_shared: int
    share_of_second_rows: float


@dataclass(frozen=True)
class SampleFound:
    """Which lines of the domain's 2k sample, on which parsing is scored, a split has.

    Attributes:
        split: The split.
        sample_lines: Lines of the sample.
        exact: How many of them the split has, by content and timestamp.
        content: How many of them the split has the content of.
    """

    split: str
    sample_lines: int
    exact: int
    content: int


@dataclass(frozen=True)
class LeakageReport:
    """What splits share.

    Attributes:
        overlaps: Of every pair of splits and kind of value.
        sample: Of every split; empty without sample.
    """

    overlaps: tuple[Overlap, ...]
    sample: tuple[SampleFound, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns what `build.json` says."""
        return {
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "sample_2k": [asdict(found) for found in self.sample],
        }


class FingerprintWriter:
    """Writes which values the rows of a shard have, and how often. Made by `write_fingerprints`."""

    def __init__(self, writer: pq.ParquetWriter, kinds: Sequence[str]) -> None:
        self._writer, self._kinds = writer, kinds

    def write(self, frame: pl.DataFrame) -> None:
        """Takes in rows.

        Args:
            frame: Has a column for each kind, of any type that can be hashed; null is no value.
        """
        for number, kind in enumerate(self._kinds):
            hashes = frame[kind].drop_nulls().hash(_SEED).alias("hash").to_frame()
            counted = hashes.group_by("hash").agg(pl.len().cast(pl.Int64).alias("rows"))
            rows = counted.select(pl.lit(number, dtype=pl.UInt8).alias("kind"), "hash", "rows")
            self._writer.write_table(rows.to_arrow().cast(_SCHEMA))


@contextmanager
def write_fingerprints(path: Path, kinds: Sequence[str]) -> Iterator[FingerprintWriter]:
    """Opens a file of fingerprints.

    Args:
        path: The file.
        kinds: What will be compared, each a column of the rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        yield FingerprintWriter(writer, kinds)


def overlaps(
    files: Mapping[str, Sequence[Path]], kinds: Sequence[str], *, partition_rows: int = PARTITION_ROWS
) -> tuple[Overlap, ...]:
    """Compares every pair of splits.

    Args:
        files: The files of fingerprints of each split.
        kinds: What was compared, in the order in which it was written.
        partition_rows: How many fingerprints are added up at a time.

    Returns:
        One row a kind and pair, the earlier split first.
    """
    splits = [split for split in SPLITS if split in files]
    rows = sum(pq.read_metadata(path).num_rows for paths in files.values() for path in paths)
    partitions = max(1, -(-rows // partition_rows))
    sizes: list[pl.DataFrame] = []
    shared: list[pl.DataFrame] = []
    for number in range(partitions):
        part = {split: _partition(files[split], number, partitions) for split in splits}
        sizes += [_size(split, part[split]) for split in splits]
        shared += [_shared(first, second, part) for first, second in combinations(splits, 2)]
    return tuple(_overlaps(splits, kinds, pl.concat(sizes), pl.concat(shared)))


def _partition(paths: Sequence[Path], number: int, partitions: int) -> pl.DataFrame:
    rows = pl.scan_parquet(list(paths)).filter(pl.col("hash") % partitions == number)
    return rows.group_by("kind", "hash").agg(pl.col("rows").sum()).collect()


def _size(split: str, part: pl.DataFrame) -> pl.DataFrame:
    counted = part.group_by("kind").agg(pl.len().cast(pl.Int64).alias("distinct"), pl.col("rows").sum())
    return counted.select(pl.lit(split).alias("split"), "kind", "distinct", "rows")


def _shared(first: str, second: str, part: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    both = part[second].join(part[first], on=["kind", "hash"], how="semi")
    counted = _size(second, both)
    return counted.select(
        pl.lit(first).alias("first"), pl.col("split").alias("second"), "kind", "distinct", "rows"
    )


def _overlaps(
    splits: Sequence[str], kinds: Sequence[str], sizes: pl.DataFrame, shared: pl.DataFrame
) -> Iterator[Overlap]:
    size = _summed(sizes, ["split", "kind"])
    both = _summed(shared, ["first", "second", "kind"])
    for number, kind in enumerate(kinds):
        for first, second in combinations(splits, 2):
            distinct, rows = size.get((second, number), (0, 0))
            common, common_rows = both.get((first, second, number), (0, 0))
            share = round(common_rows / rows, 6) if rows else 0.0
            first_distinct = size.get((first, number), (0, 0))[0]
            yield Overlap(kind, first, second, first_distinct, distinct, common, rows, common_rows, share)


def _summed(counts: pl.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], tuple[int, int]]:
    total = counts.group_by(keys).agg(pl.col("distinct").sum(), pl.col("rows").sum())
    return {tuple(row[:-2]): (row[-2], row[-1]) for row in total.iter_rows()}
