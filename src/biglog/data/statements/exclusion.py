"""What is left out by name: tested systems, and parts of other projects that deal with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files


@cache
def default_exclusions() -> tuple[str, ...]:
    """Returns the patterns of the systems that BigLog is scored on, from `excluded.txt`."""
    return tuple(line.lstrip("/") for line in _lines())


@cache
def is_of_tested(path: str) -> bool:
    """Whether a file deals with a tested system, as its name or that of one of its folders says.

    Args:
        path: The path of the file inside its project.
    """
    names = [_plain(name.partition(".")[0]) for name in path.split("/")]
    return any(fnmatchcase(name, line[1:]) for line in _lines() if line.startswith("/") for name in names)


@cache
def _lines() -> tuple[str, ...]:
    text = files(__package__).joinpath("excluded.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def excluded_by(project: str, patterns: Iterable[str] = ()) -> str | None:
    """Returns the pattern that leaves a project out, or None.

    Args:
        project: Its name; `apache/hadoop` and `org.apache.hadoop` are both `…-hadoop`.
        patterns: Further globs or names, beside the default ones.
    """
    name = _plain(project)
    return next(
        (one for one in (*default_exclusions(), *patterns) if fnmatchcase(name, _plain(one, keep="*?"))), None
    )


def _plain(name: str, keep: str = "") -> str:
    return re.sub(rf"[^a-z0-9{re.escape(keep)}]+", "-", name.lower()).strip("-")
