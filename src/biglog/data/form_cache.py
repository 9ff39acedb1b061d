"""Counts of a source's normal forms, kept for the next run: folds and seeds read the same files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from biglog._version import __version__
from biglog.data.kept_files import keep
from biglog.data.sources import Source
from biglog.data.tallies import COUNTS
from biglog.logs.masking import MASKING_VERSION


def count_source(source: Source, cache_folder: Path | None = None) -> pl.DataFrame:
    """Counts a source's normal forms, or takes the counts of an earlier time.

    They are kept under a digest of the file's bytes, of the range of lines and of the code that reads and
    masks them. A kept file that is damaged is counted anew.

    Args:
        source: What to count.
        cache_folder: Where counts are kept; None keeps none.

    Returns:
        What `Source.count` returns.

    Raises:
        InputError: The source cannot be read.
        OutputError: The folder cannot be written.
    """
    if cache_folder is None:
        return source.count()
    kept = cache_folder / f"{_key(source)}.parquet"
    counts = _read(kept)
    if counts is None:
        counts = source.count()
        table = counts.to_arrow()
        keep(kept, lambda to: pq.write_table(table, to, compression="zstd", write_page_checksum=True))
    return counts


def _key(source: Source) -> str:
    kind = "table" if source.is_table else source.path.suffix
    parts = (source.sha256, kind, source.first, source.last, MASKING_VERSION, __version__, _code_digest())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


@cache
def _code_digest() -> str:
    """Digest of the code that reads logs: between two versions it changes what a line's content is."""
    import biglog.logs

    digest, folder = hashlib.sha256(), Path(biglog.logs.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> pl.DataFrame | None:
    if not path.is_file():
        return None
    try:
        frame = pl.from_arrow(pq.read_table(path, page_checksum_verification=True))
    except (OSError, pa.ArrowException):
        return None
    return frame if isinstance(frame, pl.DataFrame) and frame.schema == COUNTS else None
