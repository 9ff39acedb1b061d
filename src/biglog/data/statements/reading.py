"""Tables of log statements read back: our own Parquet, and plain CSV of templates with a level."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.schema import SCHEMAS
from biglog.data.statements.fetch import checksum
from biglog.data.statements.levels import LEVELS, normal_levels
from biglog.errors import InputError

_NEEDED: Final = ("template", "level")
_REMEDY: Final = "Give a table that `biglog datasets statements` wrote, or a CSV with template and level"


def checksums(path: str | Path) -> dict[str, str]:
    """Returns the SHA-256 of a table of statements by name of its files: a folder has several.

    Args:
        path: As `read_statements` takes it.
    """
    place = Path(path).expanduser()
    names = {str(file.relative_to(place.parent)): file for file in _files(place)}
    return {name: checksum(file) for name, file in names.items()}


def read_statements(path: str | Path) -> pl.DataFrame:
    """Reads a table of log statements.

    Args:
        path: A Parquet file of ours, a folder of such files (the splits of the published table), or a CSV
            (plain or gzip) that has at least the columns template and level; project, licence and language
            are taken where it has them.

    Returns:
        The columns of the table `statements`, in its order. `level` is one of `LEVELS` or null, whatever the
        file calls it; `raw_level` is what the file has. What the file lacks is null (`count`: 1).

    Raises:
        InputError: The file is missing, damaged, or no such table.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError("there is no such table of statements", where=place, remedy=_REMEDY)
    files = _files(place)
    if not files:
        raise InputError("there is no Parquet file in this folder", where=place, remedy=_REMEDY)
    return pl.concat([_conformed(_read(file), file) for file in files])


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.parquet")) if place.is_dir() else [place]


def _read(file: Path) -> pl.DataFrame:
    try:
        if file.suffix == ".parquet":
            frame = pl.from_arrow(pq.read_table(file))
            assert isinstance(frame, pl.DataFrame)
            return frame
        data = file.read_bytes()
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        return pl.read_csv(text, infer_schema=False)
    except (OSError, EOFError, zlib.error, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"the table of statements cannot be read ({error})", where=file, remedy=_REMEDY
        ) from error


def _conformed(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The columns of the table, with levels normalised."""
    lacking = [name for name in _NEEDED if name not in frame.columns]
    if lacking:
        raise InputError(f"it has no column {lacking[0]!r}", where=file, remedy=_REMEDY)
    raw = frame["raw_level" if "raw_level" in frame.columns else "level"].cast(pl.String)
    level = frame["level"].cast(pl.String)
    # A level of ours stays as it is: the name may have been read with more than the name to go by.
    known = pl.when(level.is_in(list(LEVELS))).then(level).otherwise(normal_levels(level))
    frame = frame.with_columns(known.alias("level"), raw.alias("raw_level"))
    wanted = pl.from_arrow(SCHEMAS["statements"].empty_table())
    assert isinstance(wanted, pl.DataFrame)
    columns = [
        (
            pl.col(name).cast(kind, strict=False)
            if name in frame.columns
            else pl.lit(None, dtype=kind).alias(name)
        )
        for name, kind in wanted.schema.items()
    ]
    return frame.select(columns).with_columns(pl.col("count").fill_null(1))
