"""Logs as `datasets` builders: the sixteen domains from their archives or a local folder, and a user's own.

`Loghub` builds a table as `biglog datasets build` does, and serves it from there: as Arrow files in the cache
of `datasets`, or streamed. `Logs` reads logs of which nothing is known beforehand. What they write lies under
a key that the contents of the source files enter: nothing old ever answers for files that have changed.

`open`, `Path` and `os.path` have no place in this module: `datasets` replaces them wherever a builder is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key

from biglog.data.archives.catalog import CITATION, LICENCE, REPOSITORY_URL, default_folder
from biglog.data.own import OwnLogs, own_tables
from biglog.data.prepared import Piece, content_key, pieces, prepared_table, read_piece
from biglog.data.schema import GROUPINGS, TABLES, features
from biglog.data.tables.built import config_name
from biglog.logs.domains import DOMAINS

__all__ = ["Loghub", "LoghubConfig", "Logs", "LogsConfig"]


@dataclass(eq=False)
class LoghubConfig(datasets.BuilderConfig):
    """One table of one domain; options that are None take the build's own values.

    Attributes:
        data_dir: Where the logs are.
        domain: Loghub's name of the domain.
        table: ``lines``, ``templates``, ``windows`` or ``failures``.
        window_lines: Lines a window (windows).
        stride_lines: Lines from the beginning of one window to that of the next (windows).
        window_seconds: Length of a window in time (windows).
        stride_seconds: Seconds from the beginning of one window to that of the next (windows).
        session: Whether windows are sessions (windows).
        history_seconds: What a predictor sees (failures).
        horizon_seconds: How far a label reaches (failures).
        content_key: Digest of the source files, the options and the code's versions; the builder sets it.
    """

    data_dir: str | None = None
    domain: str = ""
    table: str = "lines"
    window_lines: int | None = None
    stride_lines: int | None = None
    window_seconds: float | None = None
    stride_seconds: float | None = None
    session: bool | None = None
    history_seconds: float | None = None
    horizon_seconds: float | None = None
    content_key: str = ""

    @property
    def options(self) -> dict[str, float]:
        """How the lines of this table are grouped, as far as it was said."""
        named = {name: getattr(self, name) for name in GROUPINGS.get(self.table, ())}
        return {name: value for name, value in named.items() if value is not None}

    def create_config_id(
        self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None
    ) -> str:
        """Returns the name of the folder in the cache: by content, wherever the files lie."""
        folder = str(self.data_dir or default_folder())
        self.data_dir = folder
        self.content_key = content_key(self.domain, self.table, folder, self.options)
        return super().create_config_id({"content_key": self.content_key}, custom_features)


class Loghub(datasets.ArrowBasedBuilder):
    """Tables of the sixteen domains.

    A configuration is named as in a repository on the Hub (`config_name`). `data_dir` is a folder that
    `biglog.data.archives.catalog.find_files` knows; without it BIGLOG_DATA, or where downloads go. Options of
    grouping are those of `LoghubConfig`.

    The table is built, in bounded memory, when the builder is asked for its splits; only then are the first
    rows there, streaming or not, as the splits are cut in order of time. `num_proc` processes read the
    sources, and as many write the cache.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = LoghubConfig
    BUILDER_CONFIGS = [  # noqa: RUF012  # `datasets` reads a list here
        LoghubConfig(
            name=config_name(domain, table), version=datasets.Version("1.0.0"), domain=domain, table=table
        )
        for domain in DOMAINS
        for table in TABLES
    ]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=f"The {self.config.table} of {self.config.domain}, of Loghub.",
            citation=CITATION,
            homepage=REPOSITORY_URL,
            license=LICENCE,
            features=features(self.config.table),
        )

    def _make_split_generators_kwargs(self, prepare_split_kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"num_proc": prepare_split_kwargs.get("num_proc")}

    def _split_generators(
        self, dl_manager: Any, num_proc: int | None = None
    ) -> list[datasets.SplitGenerator]:
        config = self.config
        table = prepared_table(
            f"{self._cache_dir_root}/{self.name}-tables",
            config.content_key,
            config.domain,
            config.table,
            config.data_dir,
            processes=num_proc,
            options=config.options,
        )
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"pieces": parts})
            for split, parts in pieces(table).items()
        ]

    def _generate_tables(self, pieces: list[Piece]) -> Iterator[tuple[Key, pa.Table]]:
        for number, piece in enumerate(pieces):
            for batch, table in enumerate(read_piece(piece)):
                yield Key(number, batch), table


@dataclass(eq=False)
class LogsConfig(datasets.BuilderConfig):
    """A user's own logs.

    Attributes:
        logs: Which, and how they are read.
        content_key: Digest of the files, the options and the code's versions; the builder sets it.
    """

    name: str = "logs"
    logs: OwnLogs | None = None
    content_key: str = ""

    def create_config_id(
        self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None
    ) -> str:
        """Returns the name of the folder in the cache: by content."""
        self.content_key = "" if self.logs is None else self.logs.key
        return super().create_config_id({"content_key": self.content_key}, custom_features)


class Logs(datasets.ArrowBasedBuilder):
    """Any logs as a table of lines, or of windows: one split, ``train``, in the order of reading.

    Streaming, lines come as they are read; of windows, the lines are read to the end first.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = LogsConfig

    def _info(self) -> datasets.DatasetInfo:
        table = "lines" if self.config.logs is None else self.config.logs.table
        return datasets.DatasetInfo(description=f"Logs as {table}.", features=features(table))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name="train", gen_kwargs={"logs": self.config.logs})]

    def _generate_tables(self, logs: OwnLogs) -> Iterator[tuple[Key, pa.Table]]:
        for batch, table in enumerate(own_tables(logs)):
            yield Key(0, batch), table
