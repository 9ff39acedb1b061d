"""Built tables as they lie on disk, checked: domains, their tables, splits and Parquet shards."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from biglog.data.schema import SCHEMAS, SPLITS
from biglog.errors import InputError

RECORD: Final = "build.json"
_SHARD = re.compile(r"(?P<split>[a-z]+)-\d{5}-of-\d{5}\.parquet")
_AGAIN: Final = "Build the domain again"


def config_name(domain: str, table: str = "lines") -> str:
    """Returns what a table is called where there are several, as on the Hub: ``HDFS``, ``HDFS-windows``.

    The table of statements, which is of no domain, lies in a folder of its own name and is ``statements``.
    """
    return domain if table in ("lines", domain) else f"{domain}-{table}"


@dataclass(frozen=True)
class BuiltSplit:
    """One split of a table.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        shards: Its Parquet files, in order.
        rows: Rows of all of them.
        row_groups: Row groups of each shard.
        bytes: Size of the shards on disk.
        uncompressed_bytes: Size of their columns, unpacked.
    """

    name: str
    shards: tuple[Path, ...]
    rows: int
    row_groups: tuple[int, ...]
    bytes: int
    uncompressed_bytes: int


@dataclass(frozen=True)
class BuiltTable:
    """One table of a domain.

    Attributes:
        name: ``lines``, ``templates``, ``windows``, ``failures`` or ``statements``.
        splits: Its splits, train first.
    """

    name: str
    splits: tuple[BuiltSplit, ...]

    @property
    def shards(self) -> tuple[Path, ...]:
        """The Parquet files of all splits."""
        return tuple(shard for split in self.splits for shard in split.shards)

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(split.rows for split in self.splits)


@dataclass(frozen=True)
class BuiltDomain:
    """What was built of one domain.

    Attributes:
        folder: Where it lies.
        tables: Its tables, lines first.
    """

    folder: Path
    tables: tuple[BuiltTable, ...]

    @property
    def name(self) -> str:
        """Loghub's name of the domain."""
        return self.folder.name

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the build wrote about itself, ``build.json``.

        Raises:
            InputError: It cannot be read.
        """
        path = self.folder / RECORD
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"the build's record cannot be read ({error})", where=path, remedy=_AGAIN
            ) from error
        if not isinstance(record, dict):
            raise InputError("the build's record is no JSON object", where=path, remedy=_AGAIN)
        return record


def find_domains(build_dir: str | Path) -> list[BuiltDomain]:
    """Finds the domains that a build has written, and checks that they are whole.

    Args:
        build_dir: What `biglog datasets build` wrote: ``<domain>/<table>/<split>-*.parquet``, with a
            ``<domain>/build.json``.

    Returns:
        The domains by name.

    Raises:
        InputError: There is none, or one lacks its record or a shard, or a shard is damaged.
    """
    folder = Path(build_dir).expanduser()
    built = sorted(path.parent for path in folder.glob(f"*/{RECORD}"))
    begun = sorted({path.parent.parent for path in folder.glob("*/*/*.parquet")} - set(built))
    begun = [path for path in begun if not path.name.startswith(".")]
    if begun:
        raise InputError(
            f"the build of {begun[0].name} is not finished: it has no {RECORD}",
            where=begun[0],
            remedy=_AGAIN,
        )
    if not built:
        raise InputError(
            "there are no built tables here",
            where=folder,
            remedy="Give the folder that `biglog datasets build --out` wrote",
        )
    return [find_domain(path) for path in built]


def find_domain(folder: Path) -> BuiltDomain:
    """Finds the tables of one domain, and checks that they are whole.

    Args:
        folder: The domain's folder in a build.

    Raises:
        InputError: There is none, or a shard is missing, damaged or has other columns.
    """
    tables = tuple(_table(folder / name) for name in SCHEMAS if (folder / name).is_dir())
    if not tables:
        raise InputError("no table was built here", where=folder, remedy=_AGAIN)
    return BuiltDomain(folder, tables)


def _table(folder: Path) -> BuiltTable:
    shards: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")):
        match = _SHARD.fullmatch(path.name)
        if match is None or match["split"] not in SPLITS:
            raise InputError(
                "this is no shard of a table", where=path, remedy="Take it away, or build the domain again"
            )
        shards.setdefault(match["split"], []).append(path)
    if not shards:
        raise InputError("the table has no shard", where=folder, remedy=_AGAIN)
    return BuiltTable(folder.name, tuple(_split(name, shards[name]) for name in SPLITS if name in shards))


def _split(name: str, shards: list[Path]) -> BuiltSplit:
    wanted = [f"{name}-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
    if [path.name for path in shards] != wanted:
        raise InputError(
            f"shards of the split {name!r} are missing, or left from another build",
            where=shards[0].parent,
            remedy=_AGAIN,
        )
    footers = [_footer(path) for path in shards]
    groups = [footer.row_group(i) for footer in footers for i in range(footer.num_row_groups)]
    return BuiltSplit(
        name,
        tuple(shards),
        sum(footer.num_rows for footer in footers),
        tuple(footer.num_row_groups for footer in footers),
        sum(path.stat().st_size for path in shards),
        sum(group.total_byte_size for group in groups),
    )


def _footer(path: Path) -> pq.FileMetaData:
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"this shard is damaged or cut short ({error})", where=path, remedy=_AGAIN
        ) from error
    if not footer.schema.to_arrow_schema().equals(SCHEMAS[path.parent.name]):
        raise InputError(
            f"this shard has other columns than a table of {path.parent.name}", where=path, remedy=_AGAIN
        )
    return footer
