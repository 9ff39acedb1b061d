"""The tables that an adaptation learns from and is scored on: files, folders and datasets of a Hub."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from biglog.data.dataset_source import PREFIX, DatasetSplit
from biglog.errors import InputError
from biglog.training.adaptation.arguments import AdaptArguments

TEXTS: Final = {
    "sequence": ("normal_form", "content", "line", "text"),
    "mlm": ("normal_form", "content", "line", "text"),
    "window": ("normal_forms", "contents"),
    "token": ("words", "content"),
}
"""Columns that may hold the texts, by head, the first that is there."""

_KINDS: Final = (".csv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Table:
    """Rows and where they came from.

    Attributes:
        rows: Columns text, and label, where there are labels.
        text: What the column of texts is called in the source.
        source: What the source is called.
        sha256: Of the file, or of a dataset's files.
        unlabelled: Rows that were left out, since they have no label or no text.
    """

    rows: pl.DataFrame
    text: str
    source: str
    sha256: str
    unlabelled: int = 0


def read_tables(arguments: AdaptArguments) -> tuple[Table, Table]:
    """Reads what is learnt from and what is held out.

    Args:
        arguments: Of the run; they name tables, columns and the share that is held out.

    Returns:
        The two; the second has no rows where nothing is held out.

    Raises:
        InputError: A table cannot be read, a column is missing or of the wrong type, or no row is left.
    """
    if not arguments.data:
        raise InputError("data names no table", remedy="Give a .csv, .jsonl or .parquet file, or hub:...")
    table = _read(arguments, arguments.data, arguments.split)
    if arguments.eval_data is not None or arguments.eval_split is not None:
        tested = _read(arguments, arguments.eval_data or arguments.data, arguments.eval_split or "test")
        return _stripped(table), _stripped(tested)
    held = held_out(table.rows, arguments.held_out_share)
    parts = [table.rows.filter(pl.Series(mask)) for mask in (~held, held)]
    if not len(parts[0]):
        problem = f"of {len(table.rows)} rows none is left to learn from"
        raise InputError(problem, where=arguments.data, remedy="Hold out less, or give more groups")
    learnt, tested = (Table(part, table.text, table.source, table.sha256, table.unlabelled) for part in parts)
    return _stripped(learnt), _stripped(tested)


def held_out(rows: pl.DataFrame, share: float) -> np.ndarray:
    """Says which rows are held out: the last ones; of groups, whole ones, the last to begin.

    Args:
        rows: In order; a column group says what is not to be parted.
        share: Of the rows, at most.

    Returns:
        Flags, shape (rows,).
    """
    count = len(rows)
    flags = np.zeros(count, dtype=bool)
    most = int(share * count)
    if "group" not in rows.columns:
        flags[count - most :] = True
        return flags
    groups = rows.group_by("group", maintain_order=True).len()
    # From the end: groups that together have no more than their share of the rows.
    taken = np.cumsum(groups["len"].to_numpy()[::-1])[::-1] <= most
    return rows["group"].is_in(groups.filter(pl.Series(taken))["group"].implode()).to_numpy()


def _stripped(table: Table) -> Table:
    rows = table.rows.select([name for name in ("text", "label") if name in table.rows.columns])
    return Table(rows, table.text, table.source, table.sha256, table.unlabelled)


def _read(arguments: AdaptArguments, entry: str, split: str) -> Table:
    """One table, its columns by our names, its rows in order."""
    frame, digest = _rows(entry, split)
    text = arguments.text or next((n for n in TEXTS[arguments.head] if n in frame.columns), None)
    if text is None:
        known = " or ".join(TEXTS[arguments.head])
        raise _missing(f"text ({known})", frame, entry, "Name the column of texts: --text")
    named = {"text": text, "group": arguments.group, "time": arguments.time}
    if arguments.head != "mlm":
        named["label"] = arguments.label
    wanted = {ours: theirs for ours, theirs in named.items() if theirs is not None}
    for ours, theirs in wanted.items():
        if theirs not in frame.columns:
            raise _missing(theirs, frame, entry, f"Name the column: --{ours}")
    rows = frame.select(pl.col(theirs).alias(ours) for ours, theirs in wanted.items())
    if arguments.time is not None:
        rows = rows.sort(_ordered(rows["time"]), maintain_order=True)
    whole = rows.drop_nulls([name for name in ("text", "label", "group") if name in rows.columns])
    if not len(whole):
        raise InputError("there is no row with text and label", where=entry)
    return Table(whole, text, entry, digest, len(rows) - len(whole))


def _ordered(times: pl.Series) -> pl.Series:
    """Numbers as numbers, whatever wrote them as text; times as ISO 8601 are in order as text."""
    if times.dtype != pl.String:
        return times
    numbers = times.cast(pl.Float64, strict=False)
    return times if numbers.null_count() > times.null_count() else numbers


def _missing(column: str, frame: pl.DataFrame, entry: str, remedy: str) -> InputError:
    has = ", ".join(frame.columns)
    return InputError(f"there is no column {column}; it has {has}", where=entry, remedy=remedy)


def _rows(entry: str, split: str) -> tuple[pl.DataFrame, str]:
    path = Path(entry).expanduser()
    if path.is_file():
        data = path.read_bytes()
        return _parsed(path, data), hashlib.sha256(data).hexdigest()
    if not entry.startswith(PREFIX) and not Path(entry.partition(":")[0]).expanduser().is_dir():
        raise InputError(
            "there is no such table", where=entry, remedy="Give a file, a folder or hub:OWNER/NAME[:CONFIG]"
        )
    found = DatasetSplit.find(PREFIX + str(Path(entry).expanduser()).removeprefix(PREFIX), split, Path())
    if split not in found.splits:
        remedy = f"It has {', '.join(found.splits)}"
        raise InputError(f"the dataset has no split {split!r}", where=found.name, remedy=remedy)
    return _dataset(found), found.sha256


def _dataset(found: DatasetSplit) -> pl.DataFrame:
    from datasets import load_dataset

    try:
        loaded = load_dataset(found.place, found.config, split=found.split)
        frame = pl.from_arrow(loaded.data.table)
    except Exception as error:  # the Hub's client, the file system and Arrow raise a dozen kinds
        problem = f"the dataset cannot be read ({' '.join(str(error).split())})"
        raise InputError(problem, where=found.name) from error
    assert isinstance(frame, pl.DataFrame)
    return frame


def _parsed(path: Path, data: bytes) -> pl.DataFrame:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = next(reversed(suffixes[:-1] if packed else suffixes), "")
    if kind not in _KINDS:
        raise InputError("what kind of table this is is not clear", where=path, remedy=_ends(_KINDS))
    try:
        plain = io.BytesIO(gzip.decompress(data) if packed else data)
        if kind == ".parquet":
            return pl.read_parquet(plain)
        return pl.read_csv(plain, infer_schema=False) if kind == ".csv" else pl.read_ndjson(plain)
    except (OSError, EOFError, pl.exceptions.PolarsError) as error:
        problem = f"it cannot be read as {kind.removeprefix('.')} ({str(error).splitlines()[0]})"
        raise InputError(problem, where=path) from error


def _ends(kinds: Sequence[str]) -> str:
    return f"Its name should end in one of {', '.join(kinds)}, perhaps with .gz behind it"
