"""What a leaderboard shows of a result must be shown safely: the fields that reading a result leaves open."""

from __future__ import annotations

import math
from typing import Any, Final

from biglog.errors import InputError
from biglog.evaluation.results import ModelResults, TaskResult

TEXTS: Final = ("source", "revision", "url", "date")


def check_shown(results: ModelResults, where: object) -> ModelResults:
    """Checks fields that are linked to, printed or divided by.

    Args:
        results: As `biglog.evaluation.results.read_results` returns them.
        where: Where they are from, for messages.

    Returns:
        The same.

    Raises:
        InputError: One is of another type than it should be, or `url` is no web address; it is named.
    """
    problems = [f"{name} is no text" for name in TEXTS if not isinstance(getattr(results, name), str)]
    if not problems and results.url and not results.url.startswith(("https://", "http://")):
        problems = [f"url is {results.url!r}, and no web address"]
    for at, row in enumerate(results.results):
        problems += [f"results[{at}].{problem}" for problem in _problems(row)]
    if problems:
        raise InputError(problems[0], where=str(where), remedy="Correct the field")
    return results


def _problems(row: TaskResult) -> list[str]:
    data, seeds = row.data, row.seeds
    sums = isinstance(data, dict) and all(isinstance(one, str) for one in data.values())
    counts = isinstance(seeds, list) and seeds and all(_whole(one) for one in seeds)
    found = []
    if not sums:
        found.append("data is no object of checksums by file")
    if not counts:
        found.append("seeds is no list of integers")
    if not _whole(row.lines) or row.lines < 0:
        found.append(f"lines is {row.lines!r}, and no count")
    if not _number(row.wall_seconds) or row.wall_seconds < 0:
        found.append(f"wall_seconds is {row.wall_seconds!r}, and no time")
    if not isinstance(row.details, dict):
        found.append("details is no object")
    return found


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
