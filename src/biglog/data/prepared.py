"""Built tables kept for the next load, under keys that the contents of their source files enter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from biglog._version import __version__
from biglog.data.archives.catalog import DomainFiles, find_files
from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS
from biglog.data.tables.build import build
from biglog.data.tables.built import RECORD, BuiltDomain, BuiltTable, find_domain
from biglog.logs.masking import MASKING_VERSION

Piece = tuple[str, int]
"""A shard's path and the number of a row group in it: the smallest thing that processes share out."""


def content_key(domain: str, table: str, folder: str | Path, options: Mapping[str, object]) -> str:
    """Returns a digest of all that a table is made of: files, options, and the code's versions.

    Every file is read whole, at the disk's speed: size and time of a file do not tell what is in it.

    Args:
        domain: Name of the domain.
        table: Name of the table.
        folder: Where the logs are (see `biglog.data.archives.catalog.find_files`).
        options: How lines are grouped.

    Returns:
        32 hexadecimal digits. Where the folder lies does not enter, names and contents of its files do.

    Raises:
        InputError: The folder has nothing of the domain.
    """
    files = find_files(domain, folder)
    made_of = {
        "domain": domain,
        "table": table,
        "columns": str(SCHEMAS[table]),
        "options": dict(options),
        "versions": [__version__, MASKING_VERSION],
        "logs": [files.relative(log) for log in files.logs],
        "files": _digests(files),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def _digests(files: DomainFiles) -> dict[str, str]:
    """SHA-256 of every file of a domain on disk, by its relative name; of an archive, of the archive."""
    named = [*files.logs, *files.samples, *files.labels, *files.ground_truth.values(), *files.failures]
    paths = sorted({Path(str(name).partition("::")[0]) for name in named})
    # Hashing lets go of the interpreter's lock.
    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(map(files.relative, paths), pool.map(_sha256, paths), strict=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepared_table(
    root: str | Path,
    key: str,
    domain: str,
    table: str,
    folder: str | Path,
    *,
    processes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> BuiltTable:
    """Returns a built table, and builds it if it is not kept yet.

    Several processes may ask at the same time: one builds, the others wait.

    Args:
        root: The folder in which tables are kept.
        key: What `content_key` says.
        domain: Name of the domain.
        table: Name of the table.
        folder: Where the logs are.
        processes: Processes that build; None is one.
        options: How lines are grouped.

    Raises:
        InputError: The logs cannot be read, or the domain has no such table.
        OutputError: The cache cannot be written.
    """
    place = Path(root) / key
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        if not (place / domain / RECORD).is_file():
            build(
                domain,
                folder,
                place,
                tables=(table,),
                executor=LocalExecutor(processes or 1),
                **(options or {}),
            )
        found: BuiltDomain = find_domain(place / domain)
    return next(one for one in found.tables if one.name == table)


def pieces(table: BuiltTable) -> dict[str, list[Piece]]:
    """Returns what each split consists of, in order; a split without rows is none to `datasets`."""
    return {
        split.name: [
            (str(path), group)
            for path, groups in zip(split.shards, split.row_groups, strict=True)
            for group in range(groups)
        ]
        for split in table.splits
        if split.rows
    }


def read_piece(piece: Piece) -> Iterator[pa.Table]:
    """Yields the rows of a piece."""
    path, group = piece
    with pq.ParquetFile(path) as file:
        yield file.read_row_group(group)
