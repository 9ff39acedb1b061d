"""Rows to files: Parquet, CSV or JSON lines, whole or not at all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.errors import InputError, OutputError

SUFFIXES: Final = (".parquet", ".csv", ".jsonl", ".ndjson")
STANDARD_OUTPUT: Final = Path("-")
_TEXT_TIME: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"

Write = Callable[[pl.DataFrame], None]


def check_suffix(out: Path | None) -> None:
    """Checks that it is clear how a file is to be written.

    Raises:
        InputError: It is not.
    """
    if out is not None and out != STANDARD_OUTPUT and out.suffix not in SUFFIXES:
        raise InputError(
            "what to write is not clear from this name",
            where=out,
            remedy=f"End it in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}",
        )


@contextmanager
def writing_rows(out: Path | None) -> Iterator[Write]:
    """Gives what writes frames; a file appears whole or not at all.

    Args:
        out: File to write, by its suffix Parquet, CSV or JSON lines; ``-`` is standard output, JSON lines;
            None writes nothing.

    Raises:
        InputError: The suffix is not known.
        OutputError: The file cannot be written; nothing half-written stays behind.
    """
    check_suffix(out)
    if out is None:
        yield lambda frame: None
        return
    if out == STANDARD_OUTPUT:
        yield lambda frame: _write_text(frame, sys.stdout.buffer, "jsonl", first=False)
        return
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        if out.suffix == ".parquet":
            writer = _Parquet(temporary)
            yield writer.write
            writer.close()
        else:
            with temporary.open("wb") as file:
                kind = out.suffix.removeprefix(".")
                yield lambda frame: _write_text(frame, file, kind, first=file.tell() == 0)
        temporary.replace(out)
    except OSError as error:
        raise OutputError(
            f"it cannot be written ({error.strerror or error})", where=out, remedy="Check folder and space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_text(frame: pl.DataFrame, file: BinaryIO, kind: str, *, first: bool) -> None:
    text = frame.with_columns(cs.temporal().dt.strftime(_TEXT_TIME), cs.binary().bin.encode("base64"))
    # Not straight into the file: Polars does not say which error stopped it, such as a closed pipe.
    data = io.BytesIO()
    if kind == "csv":
        text.with_columns(_as_json(name) for name in text.select(cs.list()).columns).write_csv(
            data, include_header=first
        )
    else:
        text.write_ndjson(data)
    file.write(data.getbuffer())
    file.flush()


def _as_json(name: str) -> pl.Expr:
    """A column of lists as JSON texts: a CSV file has no lists."""
    wrapped = pl.struct(pl.col(name).alias("x")).struct.json_encode()
    return wrapped.str.slice(5, wrapped.str.len_chars() - 6).alias(name)


class _Parquet:
    """A Parquet file that is begun with the first frame: its columns are known then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
