"""What a model's pretraining saw of a task, as the record of its run tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from biglog.data.run_facts import read_json
from biglog.errors import InputError
from biglog.evaluation.tasks.reading import Task

Ranges = list[tuple[int, float]]
"""First and last lines, counted from 1."""

_ENTRY: Final = re.compile(r"(?:(?P<name>[^=/]+)=)?(?P<path>[^#]+)(?:#(?P<first>\d+)-(?P<last>\d*))?")


def read_record(folder: Path, name: str | None = None) -> dict[str, Any] | None:
    """Reads the record of a pretraining run.

    Args:
        folder: Of the checkpoint; `record.json` is in it, or beside it if it is of the same name.
        name: Of the checkpoint, if its folder is called otherwise.

    Returns:
        The record, or None where there is none.

    Raises:
        InputError: It cannot be read.
    """
    for path in (folder / "record.json", folder.parent / "record.json"):
        if path.is_file():
            record = read_json(path)
            if path.parent == folder or record.get("name") == (name or folder.name):
                return record
    return None


def exposure(record: Mapping[str, Any] | None, task: Task) -> str:
    """Tells what a model's pretraining saw of a task.

    Args:
        record: Of the run; None where there is none, and it is taken to have seen no logs.
        task: The task.

    Returns:
        One of `biglog.evaluation.results.EXPOSURES`: `left_out` if all domains of the task were, `test` if
        tested lines were trained on, `seen` if other lines of one of its domains were, else `none`.

    Raises:
        InputError: An entry of the record cannot be read.
    """
    if record is None:
        return "none"
    if set(task.domains) <= set(record.get("held_out_domains") or ()):
        return "left_out"
    arguments = record.get("arguments") or {}
    trained = [_entry(entry) for entry in arguments.get("train_data") or ()]
    excluded = [_entry(entry) for entry in arguments.get("exclude") or ()]
    tested = [_entry(entry) for entry in task.tested]
    left_out = set(record.get("held_out_domains") or ()) | set(arguments.get("leave_out") or ())
    seen = [one for one in trained if one[0] not in left_out]
    if any(_overlap(one, tested, excluded) for one in seen):
        return "test"
    return "seen" if {name for name, _, _ in seen} & set(task.domains) else "none"


_Entry = tuple[str, str, tuple[int, float]]


def _entry(text: str) -> _Entry:
    """Domain, path and lines of `DOMAIN=path#first-last`."""
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise InputError(f"{text!r} names no log", remedy="Write DOMAIN=path, or DOMAIN=path#first-last")
    last = found["last"]
    return found["name"] or "", found["path"], (int(found["first"] or 1), int(last) if last else float("inf"))


def _overlap(trained: _Entry, tested: Sequence[_Entry], excluded: Sequence[_Entry]) -> bool:
    """Whether what was trained on has a line that is tested."""
    for _, path, lines in tested:
        if _same(trained[1], path):
            left_out = [cut for _, other, cut in excluded if _same(trained[1], other)]
            both = (max(lines[0], trained[2][0]), min(lines[1], trained[2][1]))
            if _without([both], left_out):
                return True
    return False


def _same(one: str, other: str) -> bool:
    return fnmatchcase(one, other) or fnmatchcase(other, one)


def _without(ranges: Ranges, cuts: Iterable[tuple[int, float]]) -> Ranges:
    """What is left of ranges of lines without others."""
    for first, last in cuts:
        parts = ((a, min(b, first - 1)) for a, b in ranges)
        ranges = [*parts, *((max(a, int(last) + 1), b) for a, b in ranges if last != float("inf"))]
    return [(a, b) for a, b in ranges if a <= b]
