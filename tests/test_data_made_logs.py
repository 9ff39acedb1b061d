"""Logs made of log statements: every line fits its template, and a seed makes them again."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from biglog.data.made_logs import FEWEST, made_logs
from biglog.errors import InputError
from biglog.tasks.parsing.template import Template

NAMES = [f"{verb} {thing}" for verb in ("open", "shut", "lose", "find", "send") for thing in "abcdefgh"]


def table(projects: int) -> pl.DataFrame:
    rows = [(f"p{i}", f"{name}{i} of user <*> in <*> ms") for i in range(projects) for name in NAMES]
    return pl.DataFrame(rows, schema=["project", "template"], orient="row")


def test_lines_fit_their_templates() -> None:
    (log,) = made_logs(table(1), 3)
    assert log.project == "p0"
    assert len(log.contents) == len(log.templates) > len(NAMES)
    assert all(
        Template(template).spans(content) is not None
        for content, template in zip(log.contents, log.templates, strict=True)
    )
    counts = Counter(log.templates)
    assert len(counts) == len(NAMES)
    assert max(counts.values()) > 5 * min(counts.values())


def test_a_seed_makes_the_same_logs() -> None:
    assert made_logs(table(3), 2, seed=1) == made_logs(table(3).reverse(), 2, seed=1)
    assert made_logs(table(3), 2, seed=1) != made_logs(table(3), 2, seed=2)
    assert len({log.project for log in made_logs(table(3), 3)}) == 3


def test_small_projects_make_none() -> None:
    with pytest.raises(InputError, match=f"no project has {FEWEST}"):
        made_logs(table(2).head(FEWEST - 1), 1)
