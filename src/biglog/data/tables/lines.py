"""The table of lines: runs in, shards out, in order of time, in bounded memory.

Runs are never merged as a whole. Exact cuts between the splits and even *slices* of the time axis are found
on the sort keys alone; each shard is then written slice by slice, whichever runs hold its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.data.schema import LINES, SPLITS
from biglog.data.tables.leakage import write_fingerprints
from biglog.data.tables.parquet import ShardWriter, shard_name
from biglog.data.tables.runs import ORDER, Run
from biglog.data.tables.splits import Histogram, histogram, shares, time_cuts

SLICE_ROWS: Final = 1 << 18
SHARD_BYTES: Final = 500_000_000
"""A shard is at most about this large."""

KINDS: Final = ("session", "content", "normal_form")
"""What the leakage report of lines compares."""

# Runs tell how large shards will be, nearly.
_MARGIN: Final = 0.8
# Rows of sources without timestamps stand behind all times.
_TIMELESS: Final = 1 << 62
Timeless = tuple[int, int]


@dataclass(frozen=True)
class Slice:
    """A stretch of the sort order.

    Attributes:
        low: Its first key.
        high: The first key behind it.
        rows: Its rows.
    """

    low: int
    high: int
    rows: int


@dataclass(frozen=True)
class Shard:
    """What one file of the table holds.

    Attributes:
        split: Its split.
        number: Its number in the split.
        count: Shards of the split.
        first_line_id: `line_id` of its first row.
        slices: What it consists of, in order.
    """

    split: str
    number: int
    count: int
    first_line_id: int
    slices: tuple[Slice, ...]

    @property
    def rows(self) -> int:
        """Its rows."""
        return sum(part.rows for part in self.slices)

    @property
    def name(self) -> str:
        """Its file name."""
        return shard_name(self.split, self.number, self.count)


@dataclass(frozen=True)
class LinesPlan:
    """Where every row goes.

    Attributes:
        shards: All shards in order.
        runs: What they are made of.
        bases: Key of the first row of each source without timestamps.
    """

    shards: tuple[Shard, ...]
    runs: tuple[Run, ...]
    bases: dict[Timeless, int]


@dataclass(frozen=True)
class ShardTask:
    """A shard to write.

    Attributes:
        shard: Which.
        plan_runs: The runs that have rows of it, with the key of their source's first row (0 with times).
        folder: Where the shard goes.
        fingerprints: Where the fingerprints of its rows go.
        sample: Parquet file with the lines of the 2k sample, or None.
    """

    shard: Shard
    plan_runs: tuple[tuple[Run, int], ...]
    folder: Path
    fingerprints: Path
    sample: Path | None = None


@dataclass
class ShardResult:
    """What was written.

    Attributes:
        split: The shard's split.
        name: Its file name.
        rows: Its rows.
        bytes: Its size.
        labelled: Rows with a label.
        anomalies: Rows that are anomalies.
        start: Earliest timestamp.
        end: Latest timestamp.
        found: Rows of the sample that it has, by content and timestamp.
        found_content: Rows of the sample whose content it has.
    """

    split: str
    name: str
    rows: int = 0
    bytes: int = 0
    labelled: int = 0
    anomalies: int = 0
    start: datetime | None = None
    end: datetime | None = None
    found: set[int] = field(default_factory=set)
    found_content: set[int] = field(default_factory=set)


def plan_lines(
    runs: Sequence[Run], *, shard_bytes: int = SHARD_BYTES, slice_rows: int = SLICE_ROWS
) -> LinesPlan:
    """Decides which rows go where.

    Args:
        runs: All runs of a domain.
        shard_bytes: About how large a shard may be.
        slice_rows: About how many rows are in memory at a time; rows of the same time are never apart.

    Returns:
        Splits of 80, 10 and 10 % in order of time, and of each source without timestamps in order of
        position, the latter behind the former; every split has at least one shard, if an empty one.
    """
    rows = sum(run.rows for run in runs)
    size = sum(run.bytes for run in runs) / max(1, rows)
    pieces: dict[str, list[Slice]] = {split: [] for split in SPLITS}
    for split, part in _timed_slices([run for run in runs if run.timeless is None], slice_rows):
        pieces[split].append(part)
    bases: dict[Timeless, int] = {}
    for split, part in _timeless_slices(runs, slice_rows, bases):
        pieces[split].append(part)
    shards: list[Shard] = []
    for split in SPLITS:
        shards += _shards(split, pieces[split], sum(shard.rows for shard in shards), size, shard_bytes)
    return LinesPlan(tuple(shards), tuple(runs), bases)


def _timed_slices(runs: Sequence[Run], slice_rows: int) -> Iterator[tuple[str, Slice]]:
    rows = sum(run.rows for run in runs)
    if not rows:
        return
    low, high = min(run.low for run in runs), max(run.high for run in runs)

    def keys(first: int, last: int) -> Iterable[NDArray[np.int64]]:
        return (_keys(run) for run in runs if run.low <= last and run.high >= first)

    first, second = time_cuts(keys, low, high, rows)
    counted = histogram(keys, low, high)
    upto = np.cumsum(counted.counts)
    bounds = ((low, 0), (first.key, first.rows), (second.key, second.rows), (high + 1, rows))
    for split, (begin, end) in zip(SPLITS, pairwise(bounds), strict=True):
        for part in _even_slices(counted, upto, begin, end, slice_rows):
            yield split, part


def _keys(run: Run) -> NDArray[np.int64]:
    if run.constant is not None:
        return np.full(run.rows, run.constant, dtype=np.int64)
    return pl.read_parquet(run.path, columns=["key"])["key"].to_numpy()


def _even_slices(
    counted: Histogram,
    upto: NDArray[np.int64],
    begin: tuple[int, int],
    end: tuple[int, int],
    slice_rows: int,
) -> Iterator[Slice]:
    """Slices between two cuts, each (key, rows before it), that end where a bin of the histogram does."""
    (key, rows), (last_key, last_rows) = begin, end
    while rows < last_rows:
        at = int(np.searchsorted(upto, min(rows + slice_rows, last_rows)))
        next_key, next_rows = counted.key(at + 1), int(upto[min(at, len(upto) - 1)])
        if next_key >= last_key:
            next_key, next_rows = last_key, last_rows
        if next_rows > rows:
            yield Slice(key, next_key, next_rows - rows)
        key, rows = next_key, next_rows


def _timeless_slices(
    runs: Sequence[Run], slice_rows: int, bases: dict[Timeless, int]
) -> Iterator[tuple[str, Slice]]:
    """Slices of the sources without timestamps, each cut by position; fills in their first keys."""
    counts: dict[Timeless, int] = {}
    for run in runs:
        if run.timeless is not None:
            counts[run.timeless] = counts.get(run.timeless, 0) + run.rows
    base = _TIMELESS
    for source, count in sorted(counts.items()):
        bases[source] = base
        for split, (begin, end) in zip(SPLITS, pairwise(shares(count)), strict=True):
            for at in range(begin, end, slice_rows):
                upto = min(at + slice_rows, end)
                yield split, Slice(base + at, base + upto, upto - at)
        base += count


def _shards(split: str, slices: list[Slice], first: int, row_bytes: float, limit: int) -> list[Shard]:
    rows = sum(part.rows for part in slices)
    wanted = max(1, -(-int(rows * row_bytes) // max(1, int(_MARGIN * limit))))
    groups: list[list[Slice]] = [[] for _ in range(wanted)]
    before = 0
    for part in slices:
        groups[min(wanted - 1, before * wanted // max(1, rows))].append(part)
        before += part.rows
    filled = [tuple(group) for group in groups if group] or [()]
    shards = []
    for number, group in enumerate(filled):
        shards.append(Shard(split, number, len(filled), first, group))
        first += shards[-1].rows
    return shards


def shard_tasks(plan: LinesPlan, folder: Path, fingerprints: Path, sample: Path | None) -> list[ShardTask]:
    """Makes a plan into tasks.

    Args:
        plan: The plan.
        folder: Where the shards go.
        fingerprints: Where fingerprints go.
        sample: Parquet file with the lines of the 2k sample, or None.
    """
    placed = [(run, _base(run, plan.bases)) for run in plan.runs]
    tasks = []
    for shard in plan.shards:
        mine = tuple(pair for pair in placed if any(_meets(*pair, part) for part in shard.slices))
        target = fingerprints / shard.name
        tasks.append(ShardTask(shard, mine, folder, target, sample))
    return tasks


def _base(run: Run, bases: dict[Timeless, int]) -> int:
    return 0 if run.timeless is None else bases[run.timeless]


def _meets(run: Run, base: int, part: Slice) -> bool:
    return run.low + base < part.high and run.high + base >= part.low


def write_lines(task: ShardTask) -> ShardResult:
    """Writes a shard of the table of lines and the fingerprints of its rows.

    Raises:
        OutputError: It cannot be written.
    """
    shard = task.shard
    result = ShardResult(shard.split, shard.name)
    sample = None if task.sample is None else pl.read_parquet(task.sample)
    with (
        ShardWriter(task.folder / shard.name, "lines") as writer,
        write_fingerprints(task.fingerprints, KINDS) as prints,
    ):
        for part in shard.slices:
            rows = _gather(task, part, shard.first_line_id + result.rows)
            writer.write(rows)
            prints.write(rows.select("content", "normal_form", session="session_id"))
            _count(result, rows, sample)
    result.bytes = (task.folder / shard.name).stat().st_size
    return result


def _gather(task: ShardTask, part: Slice, first_line_id: int) -> pl.DataFrame:
    """The rows of a slice in order, from all runs that have some."""
    within = (pl.col("key") >= part.low) & (pl.col("key") < part.high)
    runs = [(run, base) for run, base in task.plan_runs if _meets(run, base, part)]
    rows = pl.concat([run.scan(base).filter(within).collect() for run, base in runs]).sort(ORDER)
    if len(rows) != part.rows:
        raise AssertionError(f"{part} has {len(rows)} rows")
    numbers = pl.int_range(first_line_id, first_line_id + len(rows), dtype=pl.Int64)
    return rows.select(numbers.alias("line_id"), *LINES.names[1:])


def _count(result: ShardResult, rows: pl.DataFrame, sample: pl.DataFrame | None) -> None:
    result.rows += len(rows)
    result.labelled += len(rows) - rows["is_anomaly"].null_count()
    result.anomalies += int(rows["is_anomaly"].sum())
    start, end = rows["timestamp"].min(), rows["timestamp"].max()
    if isinstance(start, datetime) and isinstance(end, datetime):
        result.start, result.end = min(result.start or start, start), max(result.end or end, end)
    if sample is not None:
        same = sample.join(rows, on="content", how="semi")
        result.found_content.update(same["sample_row"])
        exact = same.join(rows, on=["content", "timestamp"], how="semi", nulls_equal=True)
        result.found.update(exact["sample_row"])
