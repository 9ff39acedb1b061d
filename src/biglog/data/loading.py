"""Logs as datasets: `load_loghub` for the sixteen domains, `load_logs` for a user's own."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from biglog.data.archives.catalog import default_folder, find_files
from biglog.data.archives.catalog import domain as catalog_domain
from biglog.data.archives.download import download
from biglog.data.schema import GROUPINGS, SPLITS, TABLES
from biglog.errors import BigLogError, InputError, OutputError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, DatasetDict, IterableDataset, IterableDatasetDict

    Loaded: TypeAlias = Dataset | DatasetDict | IterableDataset | IterableDatasetDict


def load_loghub(
    domain: str,
    table: str = "lines",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    window_lines: int | None = None,
    stride_lines: int | None = None,
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
    session: bool | None = None,
    history_seconds: float | None = None,
    horizon_seconds: float | None = None,
) -> Loaded:
    """Loads a table of one of the sixteen domains, straight from the original archives or a local folder.

    The table is built once, in bounded memory, and kept in the cache of `datasets` until a source file, an
    option or the code changes.

    Args:
        domain: Name of the domain, in any case.
        table: ``lines``, ``templates``, ``windows`` or ``failures``.
        split: ``train``, ``validation`` or ``test``, or anything that `datasets` makes of them
            (``train[:10%]``, ``train+test``); None is all, by name. Templates have ``test`` alone.
        data_dir: A folder with the domain's archive, its unpacked files, or a collection of domains; None is
            BIGLOG_DATA or the cache, into which the archive is downloaded if it is not there.
        streaming: Read rows as they are asked for, rather than write Arrow files to the cache first.
        num_proc: Processes that build the table; None is one.
        window_lines: Lines a window (windows).
        stride_lines: Lines from the beginning of one window to that of the next (windows).
        window_seconds: Length of a window in time (windows).
        stride_seconds: Seconds from the beginning of one window to that of the next (windows).
        session: Whether windows are sessions (windows); None leaves it to the domain and the other options.
        history_seconds: Time that a predictor sees, in seconds (failures).
        horizon_seconds: Time that a label reaches into the future, in seconds (failures).

    Returns:
        The rows of the split as a `Dataset` (`IterableDataset` when streaming), or a dictionary of all
        splits; columns as in `biglog.data.schema`.

    Raises:
        InputError: The domain, the table or the split is unknown, an option is for another table, there are
            no logs, or they cannot be read.
        OutputError: The cache cannot be written.
    """
    name, options = _checked(
        domain,
        table,
        split,
        {
            "window_lines": window_lines,
            "stride_lines": stride_lines,
            "window_seconds": window_seconds,
            "stride_seconds": stride_seconds,
            "session": session,
            "history_seconds": history_seconds,
            "horizon_seconds": horizon_seconds,
        },
    )
    folder = find_or_download(name, table, data_dir)

    from biglog.data.loghub import Loghub
    from biglog.data.tables.built import config_name

    with _clear_errors(f"the {table} of {name}"):
        builder = Loghub(config_name=config_name(name, table), data_dir=str(folder), **options)
        return _load(builder, split, streaming, num_proc)


def load_logs(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    layout: str | None = None,
    join: bool = False,
    session_column: str | None = None,
    session_pattern: str | None = None,
    window_lines: int | None = None,
    stride_lines: int | None = None,
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
    streaming: bool = False,
) -> Dataset | IterableDataset:
    """Loads any logs as a table of lines, or of windows if a way to group lines is given.

    Rows are in the order of reading, in bounded memory. They are kept in the cache of `datasets` until a file
    or an option changes.

    Args:
        paths: A file, a folder, a pattern, `archive::pattern`, or several of these (see `read_logs`).
        layout: Layout of all of them; None recognises each one's.
        join: Whether lines without header (stack traces) are joined to the record before them.
        session_column: Column whose value tells sessions (``pid``, ``host``, ...).
        session_pattern: Regex with one group that finds the identifiers of sessions in the content.
        window_lines: Lines a window.
        stride_lines: Lines from the beginning of one window to that of the next.
        window_seconds: Length of a window in time.
        stride_seconds: Seconds from the beginning of one window to that of the next.
        streaming: Read rows as they are asked for, rather than write Arrow files to the cache first.

    Returns:
        The rows as a `Dataset` (`IterableDataset` when streaming); columns as those of the tables lines and
        windows in `biglog.data.schema`.

    Raises:
        InputError: A source is missing, a stream, or cannot be read; options contradict each other.
        OutputError: The cache cannot be written.
    """
    from biglog.data.loghub import Logs
    from biglog.data.own import OwnLogs, as_sources

    logs = OwnLogs(
        as_sources(paths),
        layout,
        join,
        session_column,
        session_pattern,
        window_lines,
        stride_lines,
        window_seconds,
        stride_seconds,
    )
    if logs.table == "windows":
        _ = logs.grouping  # options that contradict each other are told before anything is read
    with _clear_errors("the table of these logs"):
        return _load(Logs(logs=logs), "train", streaming, None)


def _load(builder: DatasetBuilder, split: str | None, streaming: bool, num_proc: int | None) -> Loaded:
    """Loads what a builder makes; a split without rows is no split to `datasets`."""
    if streaming:
        return builder.as_streaming_dataset(split)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split)


def find_or_download(name: str, table: str, data_dir: str | Path | None) -> Path:
    """Returns the folder with a domain's logs; those that are nowhere are downloaded.

    It warns where there is only the sample of 2,000 lines.

    Args:
        name: Name of the domain.
        table: Name of the table.
        data_dir: The folder that must have them; None is BIGLOG_DATA, or the cache.

    Raises:
        InputError: `data_dir`, or BIGLOG_DATA, has none.
        OutputError: They cannot be downloaded.
    """
    folder = default_folder() if data_dir is None else Path(data_dir)
    try:
        found = find_files(name, folder)
    except InputError:
        if data_dir is not None or os.environ.get("BIGLOG_DATA"):
            raise
        download(name, folder)
        found = find_files(name, folder)
    if not found.logs and table != "templates":
        warnings.warn(f"of {name} only the 2k sample is in {folder}", stacklevel=3)
    return folder


def _checked(
    domain: str, table: str, split: str | None, options: dict[str, float | None]
) -> tuple[str, dict[str, float]]:
    """Returns the domain's name and the options that were given, or says what is wrong with the request."""
    name = catalog_domain(domain).name
    _known("table", table, TABLES)
    if split is not None:
        for part in _names(str(split)):
            _known("split", part, ("test", "all") if table == "templates" else (*SPLITS, "all"))
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        homes = [home for home, keys in GROUPINGS.items() if key in keys]
        if table not in homes:
            raise InputError(f"{key} is for the table {homes[0]}, not {table}", remedy=f"Leave {key} out")
    return name, given


def _names(split: str) -> list[str]:
    """Returns the splits that an instruction such as ``train[:10%]+test`` names."""
    return [re.sub(r"\[.*?\].*", "", part).strip() for part in split.split("+")]


def _known(kind: str, name: str, names: Sequence[str]) -> None:
    if name in names:
        return
    near = get_close_matches(name, names, n=2, cutoff=0.4)
    remedy = f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(names)}"
    raise InputError(f"unknown {kind} {name!r}", remedy=remedy)


@contextmanager
def _clear_errors(what: str) -> Iterator[None]:
    """Turns what `datasets` raises into errors that say what to do."""
    from datasets.exceptions import DatasetsError

    try:
        yield
    except BigLogError:
        raise
    except DatasetsError as error:
        if isinstance(error.__cause__, BigLogError):
            raise error.__cause__ from error
        raise OutputError(
            f"{what} cannot be written to the cache ({error.__cause__ or error})",
            remedy="Free some space, or set HF_DATASETS_CACHE to another place",
        ) from error
    except OSError as error:
        raise OutputError(
            f"{what} cannot be written to the cache ({error})",
            remedy="Free some space, or set HF_DATASETS_CACHE to another place",
        ) from error
    except ValueError as error:
        raise InputError(
            f"{what} cannot be given in such a split ({' '.join(str(error).split())})",
            remedy="Ask for a split that has rows; streaming gives whole splits alone",
        ) from error
