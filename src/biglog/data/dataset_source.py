"""A split of a dataset with tables of lines, on a Hub or in a local folder, read as a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from biglog.errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetBuilder

PREFIX: Final = "hub:"
_COLUMN: Final = "normal_form"
_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True)
class DatasetSplit:
    """One split of one configuration.

    Attributes:
        repository: Id on a Hub, or what records call a local folder.
        place: What `datasets` loads: the id, or the folder's path.
        config: Name of the configuration, such as ``BGL``; None for the only one.
        split: Name of the split.
    """

    repository: str
    place: str
    config: str | None
    split: str

    @classmethod
    def find(cls, entry: str, split: str, root: Path) -> DatasetSplit:
        """Reads ``hub:REPOSITORY[:CONFIG]``; a repository that is a folder below `root` is that folder.

        Raises:
            InputError: The dataset cannot be found.
        """
        repository, _, config = entry.removeprefix(PREFIX).partition(":")
        if not repository:
            raise InputError(f"{entry!r} names no dataset", remedy="Write hub:OWNER/NAME:CONFIG:SPLIT")
        local = root / repository
        place, name = (str(local), local.name) if local.is_dir() else (repository, repository)
        found = cls(name, place, config or None, split)
        _ = found.splits
        return found

    @property
    def name(self) -> str:
        """What records call it."""
        return PREFIX + ":".join(filter(None, (self.repository, self.config, self.split)))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits of the configuration."""
        return tuple(map(str, self._builder.config.data_files))

    @property
    def sha256(self) -> str:
        """Of the names of the split's files: on a Hub these carry the commit. Of local files, of their
        digests."""
        digests = [_digest(file) for file in self._files]
        return hashlib.sha256(json.dumps(digests).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of local files; 0 on a Hub."""
        return sum(Path(file).stat().st_size for file in self._files if Path(file).is_file())

    def normal_forms(self) -> Iterator[pl.Series]:
        """Yields the normal forms of the rows in order; only their column is read.

        Raises:
            InputError: There is no such split or no such column, or the stream breaks off.
        """
        if self.split not in self.splits:
            raise InputError(
                f"the dataset has no split {self.split!r}",
                where=self.name,
                remedy=f"It has {', '.join(self.splits)}",
            )
        try:
            rows = self._builder.as_streaming_dataset(self.split)
            self._check_columns(rows)
            for batch in rows.select_columns([_COLUMN]).with_format("arrow").iter(_BATCH_ROWS):
                yield pl.Series(batch.column(_COLUMN))
        except InputError:
            raise
        except Exception as error:  # the client, the file system and Arrow have each their own
            raise InputError(
                f"the dataset cannot be read ({_one_line(error)})", where=self.name, remedy="Try again later"
            ) from error

    def _check_columns(self, rows: Any) -> None:
        names = list(rows.features or rows.column_names or [])
        if _COLUMN not in names:
            raise InputError(
                f"the dataset has no column {_COLUMN!r}, only {', '.join(names)}",
                where=self.name,
                remedy="Give a configuration with a table of lines",
            )

    @property
    def _builder(self) -> DatasetBuilder:
        return _find_builder(self.place, self.config)

    @property
    def _files(self) -> list[str]:
        return [str(file) for file in self._builder.config.data_files[self.split]]


@lru_cache(maxsize=64)
def _find_builder(place: str, config: str | None) -> DatasetBuilder:
    from datasets import load_dataset_builder

    try:
        found: DatasetBuilder = load_dataset_builder(place, config)
    except Exception as error:  # the Hub's client and `datasets` raise a dozen kinds
        raise InputError(
            f"no such dataset or configuration ({_one_line(error)})",
            where=f"{place}:{config}" if config else place,
            remedy="Check its name, and that the Hub can be reached",
        ) from error
    if not getattr(found.config, "data_files", None):
        raise InputError("the dataset has no data files", where=place, remedy="Give one with Parquet files")
    return found


def _digest(file: str) -> str:
    if not Path(file).is_file():
        return file
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
