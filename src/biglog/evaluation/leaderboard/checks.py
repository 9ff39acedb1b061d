"""What a leaderboard links to, compares or divides by, beyond what reading a result checks."""

from __future__ import annotations

from collections.abc import Iterator

from biglog.errors import InputError
from biglog.evaluation.results import ModelResults


def check_shown(results: ModelResults, where: object) -> ModelResults:
    """Checks an address, checksums, seeds and times.

    Args:
        results: As `biglog.evaluation.results.read_results` returns them.
        where: Where they are from, for messages.

    Returns:
        The same.

    Raises:
        InputError: `url` is no web address, a checksum no text, no seed is told, or a time is below 0; the
            message names the field.
    """
    for problem in _problems(results):
        raise InputError(problem, where=str(where), remedy="Correct the field")
    return results


def _problems(results: ModelResults) -> Iterator[str]:
    # What a page links to must be no script.
    if results.url and not results.url.startswith(("https://", "http://")):
        yield f"url is {results.url!r}, and no web address"
    for at, row in enumerate(results.results):
        for path, checksum in row.data.items():
            if not isinstance(checksum, str):
                yield f"results[{at}].data.{path} is {checksum!r}, and no checksum"
        if not row.seeds:
            yield f"results[{at}].seeds has no seed"
        if row.wall_seconds < 0:
            yield f"results[{at}].wall_seconds is {row.wall_seconds!r}, and no time"
