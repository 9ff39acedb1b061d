"""What the commands share: their common options, JSON, and progress bars, which a terminal alone shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from biglog.errors import InputError

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Logs: paths, folders, archives, glob patterns, archive::pattern, or - for standard input.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_PACKED = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".zip", ".tar", ".tgz", ".tbz2", ".txz")


def print_json(value: Any) -> None:
    """Prints a result for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def check_writable(path: Path | None) -> None:
    """Fails before the work, not after it, where the result could not be written anyway.

    Raises:
        InputError: The path is a folder, or its folder does not exist.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError("this is a folder", where=path, remedy="Name a file to write")
    if not path.absolute().parent.is_dir():
        raise InputError(
            "its folder does not exist", where=path, remedy=f"Create {path.absolute().parent} first"
        )


@contextmanager
def reading_bar(files: list[str]) -> Iterator[Callable[[int, int], None] | None]:
    """A bar of bytes read, called with lines and bytes; with an ETA where the files' sizes are known."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    total = _total_bytes(files)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda lines, read: bar.update(task, completed=read, description=f"{lines:,} lines")


def _total_bytes(files: list[str]) -> int | None:
    """Bytes to come, where every file is a plain one; of a compressed file they are not known before."""
    paths = [Path(file) for file in files]
    if not all(path.is_file() and path.suffix not in _PACKED for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


@contextmanager
def tasks_bar() -> Iterator[Callable[[int, int], None] | None]:
    """A bar of tasks done, called with how many of how many, with an ETA."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("parts"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def bytes_bar(name: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar of bytes, called with how many of how many, with speed and ETA."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    more = (TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, *more, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def lines_bar(name: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """A bar of lines, called with how many more; with an ETA where it is known how many there are."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"))
    more = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *more, console=console, transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda lines: bar.advance(task, lines)
