"""Splits of statements: by project, so that settings can be chosen on projects never trained on."""

from __future__ import annotations

import hashlib
from typing import Final

import polars as pl

from biglog.data.schema import SPLITS

_TENTHS: Final = (8, 9, 10)


def split_of_project(project: str) -> str:
    """Returns the split that all statements of a project are in.

    It depends on the name alone (the first eight bytes of its SHA-256, modulo ten: 8 tenths train, 1
    validation, 1 test), so it is the same in every table, whatever else the table has.

    Args:
        project: Name of the project; case does not matter.
    """
    digest = hashlib.sha256(project.strip().lower().encode()).digest()
    tenth = int.from_bytes(digest[:8], "big") % 10
    return next(split for split, upto in zip(SPLITS, _TENTHS, strict=True) if tenth < upto)


def split_statements(statements: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Returns the rows of each split.

    Args:
        statements: Has a column `project`; rows without one are in train.
    """
    projects = statements["project"].fill_null("")
    splits = {name: split_of_project(name) if name else "train" for name in projects.unique().to_list()}
    of = projects.replace_strict(splits, return_dtype=pl.String)
    return {split: statements.filter(of == split) for split in SPLITS}
