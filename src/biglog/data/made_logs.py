"""Logs made of log statements: lines whose templates are known exactly, in thousands of wordings.

A made log has the statements of one project, some often and most rarely as in logs, each filled with values.
A place mostly has values of one kind; now and then always the same one. The values are strings of no log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from biglog.data.values import WILDCARD, words_of
from biglog.errors import InputError

STATEMENTS = 70
"""Statements of a made log, at most."""

FEWEST = 40
"""Projects with fewer statements make no log."""

_LINES = 500
_MOST_LINES = 60
_FIXED = 0.15
_LENGTHS = (8, 250)
_WORDY = "[A-Za-z]{3}"


@dataclass(frozen=True)
class MadeLog:
    """A log and its truth.

    Attributes:
        project: Whose statements it has.
        contents: Contents of its lines.
        templates: Template of each line.
    """

    project: str
    contents: list[str]
    templates: list[str]


def made_logs(statements: pl.DataFrame, count: int, seed: int = 0) -> list[MadeLog]:
    """Makes logs, each of another project.

    Args:
        statements: Columns project and template.
        count: How many logs; fewer where there are fewer projects.
        seed: Decides projects, statements and values.

    Raises:
        InputError: No project has enough statements.
    """
    rng = np.random.default_rng(seed)
    told = statements.unique(["project", "template"], maintain_order=True).filter(
        pl.col("template").str.len_chars().is_between(*_LENGTHS) & pl.col("template").str.contains(_WORDY)
    )
    projects = told.group_by("project").agg(pl.col("template").sort()).sort("project")
    projects = projects.filter(pl.col("template").list.len() >= FEWEST)
    if not len(projects):
        raise InputError(
            f"no project has {FEWEST} log statements", remedy="Give a larger table of statements"
        )
    words = words_of(told["template"].to_list())
    chosen = rng.choice(len(projects), size=min(count, len(projects)), replace=False)
    rows = projects[np.sort(chosen).tolist()].to_dicts()
    return [_made(row["project"], row["template"], words, rng) for row in rows]


def _made(project: str, templates: Sequence[str], words: Sequence[str], rng: np.random.Generator) -> MadeLog:
    chosen = rng.choice(len(templates), size=min(STATEMENTS, len(templates)), replace=False)
    often = rng.pareto(0.9, size=len(chosen)) + 0.3
    counts = np.clip(often / often.sum() * _LINES, 1, _MOST_LINES).astype(int)
    log = MadeLog(project, [], [])
    for template, count in zip((templates[int(row)] for row in chosen), counts.tolist(), strict=True):
        parts = template.split(WILDCARD)
        draws = [_kind(words, rng) for _ in parts[1:]]
        fixed = [draw() if rng.random() < _FIXED else None for draw in draws]
        for _ in range(count):
            values = [draw() if one is None else one for draw, one in zip(draws, fixed, strict=True)]
            filled = zip(["", *values], parts, strict=True)
            log.contents.append("".join(value + part for value, part in filled))
            log.templates.append(template)
    return log


def _kind(words: Sequence[str], rng: np.random.Generator) -> Callable[[], str]:
    """Draws a kind of value, and returns what draws values of it."""

    def number(least: int, most: int) -> int:
        return int(rng.integers(least, most))

    def word() -> str:
        return words[number(0, len(words))]

    def several(least: int, most: int) -> list[str]:
        return [word() for _ in range(number(least, most))]

    def address() -> str:
        return ".".join(str(number(1, 255)) for _ in range(4))

    def identifier() -> str:
        tail = f"{number(0, 65535):04x}-{number(0, 65535):04x}-{number(0, 65535):04x}-{number(0, 2**40):012x}"
        return f"{number(0, 2**31):08x}-{tail}"

    def small_or_large() -> str:
        return str(number(0, 10 ** number(1, 7)))

    kinds: tuple[tuple[int, Callable[[], str]], ...] = (
        (6, small_or_large),
        (1, lambda: f"{number(0, 1000)}.{number(0, 999)}"),
        (1, lambda: f"0x{number(0, 2**31):x}"),
        (1, address),
        (1, lambda: f"{address()}:{number(1, 65000)}"),
        (1, lambda: "/" + "/".join(several(1, 4)).lower()),
        (1, identifier),
        (2, word),
        (1, lambda: word().lower()),
        (1, lambda: "".join(part.capitalize() for part in several(2, 4))),
        (1, lambda: ".".join(several(2, 5)).lower()),
        (1, lambda: f"{word().lower()}_{number(0, 1000)}"),
        (1, lambda: f"{word().lower()}-{number(0, 100)}.{word().lower()}.com"),
        (1, lambda: ("true", "false")[number(0, 2)]),
        (1, lambda: word().upper()),
        (1, lambda: f"[{', '.join(several(0, 3))}]"),
        (1, lambda: " ".join(several(1, 4)).lower()),
        (1, lambda: "" if rng.random() < 0.3 else f"{word()}:{number(0, 999)}"),
    )
    shares = np.array([weight for weight, _ in kinds], dtype=np.float64)
    return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))][1]
