"""What was read of each source, kept on disk: a build that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import polars as pl

from biglog.data.schema import SCHEMAS
from biglog.data.statements.extract import TreeReport, extract
from biglog.data.statements.sources import SourceTree


def extract_once(tree: SourceTree, folder: Path | None) -> tuple[pl.DataFrame, TreeReport]:
    """Reads a source, or takes what an earlier build has read of the same bytes with the same code.

    Args:
        tree: The source. A plain folder is always read: what is in it may change.
        folder: Where to keep what was read; None keeps nothing.

    Returns:
        As `extract`.

    Raises:
        InputError: As of `extract`.
    """
    content = _content(tree) if folder is not None else None
    if folder is None or content is None:
        return extract(tree)
    told = json.dumps([content, _code(), asdict(tree.told)])
    place = folder / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.parquet"
    account = place.with_suffix(".json")
    if place.is_file() and account.is_file():
        report = TreeReport(**json.loads(account.read_text(encoding="utf-8")))
        report.source = tree.name
        return pl.read_parquet(place), report
    frame, report = extract(tree)
    folder.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".tmp")
    frame.write_parquet(partial)
    partial.replace(place)
    # Written last: it says that the table is whole.
    partial.write_text(json.dumps(asdict(report)), encoding="utf-8")
    partial.replace(account)
    return frame, report


def _content(tree: SourceTree) -> str | None:
    """What stands for the bytes of a source: of an installed package the hashes that its record lists."""
    file = tree.path if tree.distribution is None else tree.distribution / "RECORD"
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _code() -> str:
    """What stands for the code that reads: its own text, and the columns it fills."""
    digest = hashlib.sha256(str(SCHEMAS["statements"]).encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in (".py", ".txt") and path.stem not in _NOT_READING:
            digest.update(path.read_bytes())
    return digest.hexdigest()


_NOT_READING = frozenset(
    ("__init__", "build", "fetch", "kept", "near", "near_kept", "reading", "record", "splits")
)
