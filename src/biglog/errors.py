"""Errors a user can act on: each names the place and the remedy; the command line shows no traceback."""

from __future__ import annotations

from pathlib import Path


class BigLogError(Exception):
    """Base of all errors that BigLog raises on purpose; the command line prints it and exits with 2.

    Args:
        problem: What is wrong, in one sentence without a full stop.
        where: The file (or source) at fault, if there is one.
        line: 1-based line number in that file, if it is known.
        remedy: What the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | Path | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.where, self.line, self.remedy = problem, where, line, remedy
        place = "" if where is None else f"{where}: " if line is None else f"{where}:{line}: "
        super().__init__(f"{place}{problem}" + (f". {remedy}" if remedy else ""))


class InputError(BigLogError):
    """A log, a file or an argument cannot be used as it is."""


class CheckpointError(BigLogError):
    """A checkpoint is missing, damaged, or of another kind than asked for."""


class OutputError(BigLogError):
    """A result cannot be written (disk full, no permission, a folder in the way)."""
