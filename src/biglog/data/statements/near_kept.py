"""Which statements are near to tested forms, kept on disk: the seeds of a fold ask the same again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import polars as pl

from biglog.data.kept_files import keep
from biglog.data.statements import near


def drop_near_once(
    statements: pl.DataFrame, forms: pl.Series, folder: Path | None
) -> tuple[pl.DataFrame, near.NearReport]:
    """Drops statements near to a form, or takes what an earlier run found of the same texts.

    Args:
        statements: Has a column `template`.
        forms: As of `near.drop_near`.
        folder: Where to keep what was found; None keeps nothing. A kept file that is damaged counts for none.

    Returns:
        As `near.drop_near`.

    Raises:
        OutputError: The folder cannot be written.
    """
    if folder is None:
        return near.drop_near(statements, forms)
    place = folder / f"near-{_key(statements['template'], forms)}.json"
    known = _read(place, len(statements))
    if known is not None:
        kept = pl.Series(known[0], dtype=pl.UInt32)
        return statements[kept], known[1]
    numbered = statements.with_row_index("statement")
    left, report = near.drop_near(numbered, forms)
    told = json.dumps({"kept": left["statement"].to_list(), "report": asdict(report)})
    keep(place, lambda to: to.write_text(told, encoding="utf-8"))
    return left.drop("statement"), report


def _key(templates: pl.Series, forms: pl.Series) -> str:
    digest = hashlib.sha256(Path(near.__file__).read_bytes())
    for text in (*templates, None, *sorted(set(forms))):
        digest.update(b"\0" if text is None else json.dumps(text).encode())
    return digest.hexdigest()[:32]


def _read(place: Path, rows: int) -> tuple[list[int], near.NearReport] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        kept, report = [int(row) for row in found["kept"]], near.NearReport(**found["report"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = report.rows == rows and report.kept == len(kept) and all(0 <= row < rows for row in kept)
    return (kept, report) if whole else None
