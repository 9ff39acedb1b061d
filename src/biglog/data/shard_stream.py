"""A corpus on disk, read in bounded memory: as a stream of normal forms, and as rows to train on.

An epoch is cut into blocks. Each takes from every domain its share of rows, in a shuffled order of the
domain's shards, and is shuffled itself, all by a seed. What stands where is therefore known without reading:
a stream goes on at any row, and processes take rows that no other takes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info
from transformers import PreTrainedTokenizerFast

from biglog.data.collators import PackedRows, Row, Segments
from biglog.data.shards import Shards
from biglog.errors import InputError

BLOCK_FORMS: Final = 1 << 16
"""Normal forms in memory at a time: about 15 MB, and 30 MB of tokens."""

_KEPT_BLOCKS: Final = 2


class FormRow(NamedTuple):
    """A normal form of a corpus: its domain, itself, and how many lines have it."""

    domain: str
    normal_form: str
    lines: int


@dataclass(frozen=True)
class Blocks:
    """What stands where in the epochs of a corpus.

    Attributes:
        shards: The corpus.
        seed: Of the order.
        temperature: A domain with n forms gets a share of an epoch proportional to n ** temperature. An epoch
            has as many rows as the corpus: with 1 each form comes once, with less those of small domains come
            several times and those of large ones in later epochs.
        block_forms: About how many rows a block has.
        quotas: Rows of each domain in an epoch; they follow from the others.
    """

    shards: Shards
    seed: int = 0
    temperature: float = 1.0
    block_forms: int = BLOCK_FORMS
    quotas: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        files = self.shards.files()
        forms = np.array([sum(rows for _, rows in files[domain]) for domain in files], dtype=np.int64)
        if not forms.sum():
            raise InputError("there is no form to train on", where=self.shards.folder)
        shares = forms**self.temperature / (forms**self.temperature).sum()
        # Rounding the running sum keeps the total, and each share within a row.
        quotas = np.diff(np.rint(np.cumsum(np.concatenate([[0.0], shares])) * forms.sum()).astype(np.int64))
        object.__setattr__(self, "_files", files)
        object.__setattr__(self, "_forms", dict(zip(files, forms.tolist(), strict=True)))
        object.__setattr__(self, "quotas", dict(zip(files, quotas.tolist(), strict=True)))

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return sum(self.quotas.values())

    @property
    def count(self) -> int:
        """Blocks of an epoch."""
        return -(-self.rows // self.block_forms)

    def bounds(self, block: int, quota: int) -> tuple[int, int]:
        """The rows of a domain with some quota that stand in a block: first, and behind the last."""
        return quota * block // self.count, quota * (block + 1) // self.count

    def size(self, block: int) -> int:
        """Rows of a block."""
        ends = (self.bounds(block, quota) for quota in self.quotas.values())
        return sum(last - first for first, last in ends)

    def read(self, epoch: int, block: int) -> pa.Table:
        """Reads a block: columns domain, normal_form and count, shuffled.

        By Arrow, in one thread: it is called in forked workers, where Polars would wait for ever.
        """
        parts = []
        for domain, quota in self.quotas.items():
            first, last = (epoch * quota + bound for bound in self.bounds(block, quota))
            for part in self._span(domain, first, last):
                parts.append(part.append_column("domain", pa.array([domain] * len(part), pa.large_string())))
        rows = pa.concat_tables(parts).select(["domain", "normal_form", "count"])
        order = np.random.default_rng([self.seed, epoch, block]).permutation(len(rows))
        return rows.take(pa.array(order))

    def _span(self, domain: str, first: int, last: int) -> Iterator[pa.Table]:
        """Rows of a domain's endless sequence, in which its shards come again and again in new orders."""
        size: int = self.__dict__["_forms"][domain]
        while first < last:
            cycle, place = divmod(first, size)
            upto = min(size, place + last - first)
            yield from self._within(domain, cycle, place, upto)
            first += upto - place

    def _within(self, domain: str, cycle: int, first: int, last: int) -> Iterator[pa.Table]:
        files = self.__dict__["_files"][domain]
        at = 0
        for number in np.random.default_rng([self.seed, cycle, *domain.encode()]).permutation(len(files)):
            path, rows = files[int(number)]
            begin, end = max(first - at, 0), min(last - at, rows)
            if begin < end:
                yield _read_rows(path, begin, end)
            at += rows


def _read_rows(path: Path, first: int, last: int) -> pa.Table:
    """Rows of a shard; only the row groups that have some are read."""
    parts, at = [], 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            begin, end = max(first - at, 0), min(last - at, rows)
            if begin < end:
                parts.append(file.read_row_group(group, use_threads=False).slice(begin, end - begin))
            at += rows
    return pa.concat_tables(parts)


class ShardStream(IterableDataset[FormRow]):
    """The rows of an epoch, in an order that only the seed and the epoch decide.

    Processes, and the workers of a `DataLoader` in each, take rows that no other takes, and together all.

    Args:
        shards: The corpus.
        seed: Of the order.
        epoch: Which epoch, from 0.
        temperature: See `Blocks`; with 1 each form comes once.
        rank: Number of this process.
        world: How many processes there are.
        skip: Rows of this process's (and worker's) stream to leave out at the beginning; they are not read.
        block_forms: About how many rows are in memory at a time.

    Raises:
        InputError: The process has no such number, or `skip` is negative.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        seed: int = 0,
        epoch: int = 0,
        temperature: float = 1.0,
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
        block_forms: int = BLOCK_FORMS,
    ) -> None:
        if not 0 <= rank < world:
            raise InputError(f"there is no process {rank} of {world}", remedy="Processes count from 0")
        if skip < 0:
            raise InputError(f"{skip} rows cannot be skipped")
        self._blocks = Blocks(shards, seed, temperature, block_forms)
        self._epoch, self._rank, self._world, self._skip = epoch, rank, world, skip

    def __iter__(self) -> Iterator[FormRow]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self._world * workers
        wanted = self._rank * workers + number + self._skip * step
        at = 0
        for block in range(self._blocks.count):
            size = self._blocks.size(block)
            if wanted < at + size:
                rows = self._blocks.read(self._epoch, block)
                mine = rows.take(pa.array(np.arange(wanted - at, size, step)))
                columns = (column.to_pylist() for column in mine.columns)
                yield from (FormRow(*row) for row in zip(*columns, strict=True))
                wanted += len(mine) * step
            at += size


class ShardedRows(Dataset[Row]):
    """Rows to train on, packed as `PackedRows` does, each from one block of the corpus.

    A row is a function of the seed and its number alone, so runs resume and processes share out rows as they
    do with a corpus in memory.

    Args:
        shards: The corpus.
        tokenizer: Reads the normal forms.
        rows: Number of rows.
        row_length: Most tokens in a row; 0 puts one line in each row.
        seed: Of all draws.
        temperature: See `Blocks`.
        count_power: Within a domain, forms are drawn in proportion to their count to this power.
        max_length: Longer lines are cut into windows of so many tokens.
        terms: Also find where terms begin.
        block_forms: Normal forms of a block.

    Raises:
        InputError: There is no form, or a row cannot hold the longest line of a block.
    """

    def __init__(
        self,
        shards: Shards,
        tokenizer: PreTrainedTokenizerFast,
        *,
        rows: int,
        row_length: int,
        seed: int,
        temperature: float = 0.5,
        count_power: float = 0.0,
        max_length: int | None = None,
        terms: bool = False,
        block_forms: int = BLOCK_FORMS,
    ) -> None:
        self._blocks = Blocks(shards, seed, temperature, block_forms)
        self._tokenizer, self._max_length, self._terms = tokenizer, max_length, terms
        self._rows, self._row_length, self._seed = rows, row_length, seed
        self._count_power = count_power
        self._kept: OrderedDict[int, PackedRows] = OrderedDict()
        self._rows_per_block = 1
        segments, _ = self._tokenized(0)
        tokens = int(segments.lengths.sum())
        # As many rows as a block has tokens for: an epoch of rows draws as many tokens as the corpus has.
        self._rows_per_block = max(1, -(-tokens // row_length) if row_length else len(segments))

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < self._rows:
            raise IndexError(index)
        block, place = divmod(index, self._rows_per_block)
        row = self._packed(block)[place]
        row["draw"] = index
        return row

    def _packed(self, block: int) -> PackedRows:
        found = self._kept.pop(block, None)
        if found is None:
            segments, weights = self._tokenized(block)
            seed = int(np.random.SeedSequence([self._seed, block]).generate_state(1)[0])
            size = self._rows_per_block
            found = PackedRows(segments, weights, rows=size, row_length=self._row_length, seed=seed)
        self._kept[block] = found
        if len(self._kept) > _KEPT_BLOCKS:
            self._kept.popitem(last=False)
        return found

    def _tokenized(self, block: int) -> tuple[Segments, NDArray[np.float64]]:
        """A block's lines as token ids, and how likely each is drawn: domains have their shares already."""
        epoch, number = divmod(block, self._blocks.count)
        forms = self._blocks.read(epoch, number)
        lines = forms["normal_form"].to_pylist()
        segments = Segments(lines, self._tokenizer, self._max_length, terms=self._terms)
        weights = _weights(forms, self._count_power)
        return segments, (weights / np.bincount(segments.line, minlength=len(lines)).clip(1))[segments.line]


def _weights(forms: pa.Table, count_power: float) -> NDArray[np.float64]:
    """How likely each row of a block is drawn: a domain by its rows there, within it by count."""
    weights = forms["count"].to_numpy().astype(np.float64) ** count_power
    _, domain = np.unique(np.array(forms["domain"].to_pylist()), return_inverse=True)
    weights *= (np.bincount(domain) / np.bincount(domain, weights=weights))[domain]
    return weights / weights.sum()
