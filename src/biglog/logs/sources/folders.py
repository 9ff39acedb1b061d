"""The files of a folder, in a fixed order and each once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from biglog.logs.sources.archives import Skipped


def files_below(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Regular files below a folder, sorted by name at every level.

    Links to files and folders are followed unless what they lead to is read under its own name anyway.

    Args:
        folder: Where to begin.
        skipped: Takes what is left out: hidden files and folders, links, pipes, and what may not be read.
    """
    yield from _below(folder, os.path.realpath(folder), set(), skipped)


def _below(folder: Path, root: str, seen: set[tuple[int, int]], skipped: list[Skipped]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(_named(folder), error.strerror or str(error)))
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        path = folder / entry.name
        if reason := _unread(entry, root, seen):
            skipped.append(Skipped(_named(path), reason))
        elif entry.is_dir():
            yield from _below(path, root, seen, skipped)
        else:
            yield path


def _unread(entry: os.DirEntry[str], root: str, seen: set[tuple[int, int]]) -> str:
    """Why an entry is left out, or nothing."""
    if entry.name.startswith("."):
        return "hidden"
    try:
        status = entry.stat()
    except OSError as error:
        return error.strerror or str(error)
    if (status.st_dev, status.st_ino) in seen:
        return "a link to what is read anyway"
    if entry.is_symlink() and _is_within(os.path.realpath(entry.path), root):
        return "a link to what is read anyway"
    if not entry.is_dir():
        if not entry.is_file():
            return "no regular file"
        if entry.is_symlink():
            seen.add((status.st_dev, status.st_ino))
    return "" if os.access(entry.path, os.R_OK) else "no permission to read it"


def _is_within(path: str, root: str) -> bool:
    """Whether a path lies below a folder, and under no hidden name there."""
    inner = Path(path)
    return inner.is_relative_to(root) and not any(
        part.startswith(".") for part in inner.relative_to(root).parts
    )


def _named(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")
