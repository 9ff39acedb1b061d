"""The table of templates: what log parsing is scored on, in every version that is at hand.

The versions group lines almost alike, but write variables in other ways; a score says which it was measured
on. Annotated lines are evaluation data, so all of them are `test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from biglog.data.archives.catalog import DomainFiles
from biglog.data.tables.parquet import ROW_GROUP_ROWS, RollingWriter
from biglog.errors import InputError
from biglog.logs.masking import normal_forms

COLUMNS: Final = {
    "LineId": "line_id",
    "Content": "content",
    "EventId": "event_id",
    "EventTemplate": "template",
}
"""Columns of a structured CSV, and what the table calls them."""

FULL_VERSION: Final = "loghub-2.0-full"
"""Annotations of whole logs, `<domain>_full.log_structured.csv`; those of the samples are loghub-2.0."""


@dataclass(frozen=True)
class VersionRecord:
    """What one version of the ground truth has.

    Attributes:
        version: Its name.
        file: The CSV, relative to the data folder.
        rows: Annotated lines.
        events: Distinct event identifiers.
        templates: Distinct templates.
    """

    version: str
    file: str
    rows: int
    events: int
    templates: int

    def as_dict(self) -> dict[str, Any]:
        """Returns what `build.json` says."""
        return asdict(self)


def ground_truth_files(files: DomainFiles) -> dict[str, Path]:
    """Finds the annotations of a domain.

    Args:
        files: What was found of the domain.

    Returns:
        Structured CSV by version: those of the 2k sample, then that of the whole log.
    """
    found = dict(files.ground_truth)
    name = f"{files.domain}_full.log_structured.csv"
    full = [
        path for pattern in (name, f"*/{name}", f"*/*/{name}") for path in sorted(files.root.glob(pattern))
    ]
    return {**found, FULL_VERSION: full[0]} if full else found


def read_ground_truth(path: Path, version: str) -> Iterator[pl.DataFrame]:
    """Reads a structured CSV, in bounded memory.

    Args:
        path: The file, with or without byte order mark.
        version: What the table calls it.

    Yields:
        Rows with the columns of the table of templates, in the order of the file.

    Raises:
        InputError: A column is missing, or the file is damaged.
    """
    try:
        table = pl.scan_csv(path, infer_schema=False, empty_string_is_null=False)
        missing = [column for column in COLUMNS if column not in table.collect_schema()]
        if missing:
            raise InputError(
                f"it has no column {missing[0]}", where=path, remedy=f"Columns are {', '.join(COLUMNS)}"
            )
        wanted = table.select(pl.col(column).alias(name) for column, name in COLUMNS.items())
        for batch in wanted.collect_batches(chunk_size=ROW_GROUP_ROWS["templates"], maintain_order=True):
            yield _rows(batch, version)
    except (OSError, pl.exceptions.PolarsError) as error:
        problem = str(error).splitlines()[0]
        raise InputError(
            f"it cannot be read as ground truth ({problem})", where=path, remedy="Fetch it again"
        ) from error


def _rows(batch: pl.DataFrame, version: str) -> pl.DataFrame:
    return batch.with_columns(
        pl.col("line_id").cast(pl.Int64),
        normal_forms(batch["content"]).alias("normal_form"),
        pl.lit(version).alias("ground_truth_version"),
    )


def write_templates(
    files: DomainFiles, folder: Path, shard_bytes: int
) -> tuple[list[Path], list[VersionRecord]]:
    """Writes the annotations of a domain.

    Args:
        files: What was found of the domain.
        folder: Where shards go, for now under names of their own.
        shard_bytes: About how large a shard may be.

    Returns:
        The shards in order, and what each version has; both empty where there are no annotations.

    Raises:
        InputError: A file is damaged.
        OutputError: They cannot be written.
    """
    records = []
    with RollingWriter(folder, "test", "templates", shard_bytes) as writer:
        for version, path in ground_truth_files(files).items():
            seen = [pl.DataFrame(schema={"event_id": pl.String, "template": pl.String})]
            rows = 0
            for batch in read_ground_truth(path, version):
                writer.write(batch)
                rows += len(batch)
                seen.append(batch.select("event_id", "template").unique())
            distinct = pl.concat(seen)
            counts = distinct["event_id"].n_unique(), distinct["template"].n_unique()
            records.append(VersionRecord(version, files.relative(path), rows, *counts))
    return writer.paths, records
