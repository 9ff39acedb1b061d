"""Parquet shards of a table: always the same bytes for the same rows.

Row groups have a fixed number of rows whatever the batches in which rows arrive, and nothing is written that
depends on when or where: a second build makes the same files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.schema import SCHEMAS, conform
from biglog.errors import OutputError

ROW_GROUP_ROWS: Final = {
    "lines": 1 << 16,
    "templates": 1 << 16,
    "windows": 1 << 10,
    "failures": 1 << 10,
    "statements": 1 << 16,
}
"""Rows of a row group, by table: rows that hold whole groups of lines are larger."""

ZSTD_LEVEL: Final = 3
# Arrow counts the bytes of a string column in 32 bits.
_MOST_BYTES: Final = 1 << 30


def shard_name(split: str, number: int, count: int) -> str:
    """The name of a shard, such as `train-00000-of-00003.parquet`."""
    return f"{split}-{number:05}-of-{count:05}.parquet"


class ShardWriter:
    """Writes one shard, as a context manager.

    The file bears its name only when it is whole.

    Args:
        path: The shard.
        table: Which table it belongs to.

    Attributes:
        rows: Rows written so far.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, table: str) -> None:
        self.rows = 0
        self._path, self._table = path, table
        self._partial = path.with_name(f".{path.name}.tmp")
        self._waiting: list[pl.DataFrame] = []
        self._size = ROW_GROUP_ROWS[table]

    def __enter__(self) -> ShardWriter:
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._partial, SCHEMAS[self._table], compression="zstd", compression_level=ZSTD_LEVEL
            )
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Appends rows.

        Args:
            frame: Has the table's columns, in any order.
        """
        self._waiting.append(frame.select(SCHEMAS[self._table].names))
        if sum(map(len, self._waiting)) >= self._size:
            rows = pl.concat(self._waiting)
            whole = len(rows) - len(rows) % self._size
            self._write(rows.head(whole))
            self._waiting = [rows.slice(whole)]

    @property
    def bytes(self) -> int:
        """Size of the file so far, without the rows that wait for their row group to be full."""
        return self._partial.stat().st_size

    def _write(self, rows: pl.DataFrame) -> None:
        with _writing(self._path):
            for at in range(0, len(rows), self._size):
                for piece in _bounded(rows.slice(at, self._size)):
                    self._writer.write_table(conform(piece, self._table), row_group_size=self._size)
        self.rows += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write(pl.concat(self._waiting) if self._waiting else pl.DataFrame())
            with _writing(self._path):
                self._writer.close()
                if kind is None:
                    self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)


class RollingWriter:
    """Writes as many shards as it takes, as a context manager. The next is begun when one is large enough.

    Args:
        folder: Where they go.
        stem: What their names begin with; their number follows.
        table: Which table they belong to.
        shard_bytes: Size at which the next shard is begun.

    Attributes:
        paths: The shards, in order.
    """

    def __init__(self, folder: Path, stem: str, table: str, shard_bytes: int) -> None:
        self.paths: list[Path] = []
        self._folder, self._stem, self._table = folder, stem, table
        self._shard_bytes = shard_bytes
        self._open = ExitStack()
        self._writer: ShardWriter | None = None

    def __enter__(self) -> RollingWriter:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Appends rows.

        Args:
            frame: Has the table's columns, in any order.
        """
        if self._writer is None:
            self.paths.append(self._folder / f"{self._stem}-{len(self.paths):05}.parquet")
            self._writer = self._open.enter_context(ShardWriter(self.paths[-1], self._table))
        self._writer.write(frame)
        if self._writer.bytes >= self._shard_bytes:
            self._open.close()
            self._writer = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says which file could not be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write ({error})", where=path, remedy="Check folder and space") from error


def _bounded(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in pieces that an Arrow table can hold."""
    if len(rows) > 1 and rows.estimated_size() > _MOST_BYTES:
        yield from _bounded(rows.head(len(rows) // 2))
        yield from _bounded(rows.slice(len(rows) // 2))
    else:
        yield rows


def read_batches(paths: Iterable[Path], columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Reads shards row group by row group.

    Args:
        paths: Shards in order.
        columns: Which columns; None for all.

    Yields:
        The rows in order.
    """
    for path in paths:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield _frame(file.read_row_group(number, columns=columns))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
