"""What a caller names, as sources: files, folders, patterns, archives and their members, pipes and streams.

`expand` lists them; `open_logs` opens them one after the other, looks into archives and leaves out what is no
text.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from biglog.errors import InputError
from biglog.logs.sources.archives import Skipped
from biglog.logs.sources.folders import files_below
from biglog.logs.sources.opening import (
    OpenLog,
    Source,
    leave_out,
    leave_out_empty,
    member_source,
    nothing_left,
    open_logs,
    stream_of,
    unreadable,
)
from biglog.logs.sources.zips import is_zip, zip_members

SourceLike = str | os.PathLike[str] | BinaryIO
__all__ = ["OpenLog", "Skipped", "Source", "SourceLike", "expand", "open_logs"]


def expand(sources: SourceLike | Iterable[SourceLike], skipped: list[Skipped] | None = None) -> list[Source]:
    """Turn what a caller names into sources, checking what can be checked before anything is read.

    Args:
        sources: A path, a folder (with all files below it), a glob pattern, `-` for standard input, a binary
            file object, or several of these. `archive::pattern` names members of an archive, where `*` also
            matches `/`. The members of zip files are listed at once, those of tar files as they stream by.
        skipped: Takes the hidden and unreadable files of folders, and the members of zip files that are no
            logs.

    Returns:
        The sources; the files of a pattern and of a folder and the members of a zip in sorted order.

    Raises:
        InputError: A file is missing or not readable; a pattern or a folder holds nothing; a zip cannot be
            read; a text stream.
        RefusedError: A zip may do harm.
    """
    left_out: list[Skipped] = [] if skipped is None else skipped
    if isinstance(sources, str | os.PathLike) or hasattr(sources, "read"):
        sources = [sources]  # type: ignore[list-item]
    found = [source for one in sources for source in _expand_one(one, left_out)]
    if not found and left_out:
        raise nothing_left(left_out)
    if not found:
        raise InputError("no log was named", remedy="Give at least one file, pattern or stream")
    return found


def _expand_one(one: SourceLike, skipped: list[Skipped]) -> list[Source]:
    if not isinstance(one, str | os.PathLike):
        return [_stream_source(one)]
    text = os.fspath(one)
    if text == "-":
        return [_standard_input()]
    if _exists(text):
        return _path_sources(text, None, skipped)
    if archive := _archive_in(text):
        select = text[len(archive) + len("::") :]
        if _exists(archive):
            return _path_sources(archive, select, skipped)
        matches = (_path_sources(path, select, skipped, of_pattern=True) for path in _glob(archive))
        return [source for sources in matches for source in sources]
    archive, _, select = text.partition("::")
    if select and not glob.has_magic(archive):
        return _path_sources(archive, select, skipped)
    if glob.has_magic(text):
        return _glob_sources(text, skipped)
    return _path_sources(text, None, skipped)


def _archive_in(text: str) -> str | None:
    """What stands before the first `::` that follows a file or a pattern which matches one."""
    at = text.find("::")
    while at > 0:
        if _exists(text[:at]) or (glob.has_magic(text[:at]) and _glob(text[:at])):
            return text[:at]
        at = text.find("::", at + 1)
    return None


def _glob_sources(pattern: str, skipped: list[Skipped]) -> list[Source]:
    found = [
        source for path in _glob(pattern) for source in _path_sources(path, None, skipped, of_pattern=True)
    ]
    if not found and not skipped:
        raise InputError(
            "no file matches this pattern", where=pattern, remedy="Check the pattern, or quote it"
        )
    # A pattern such as `**` matches a folder and what is in it.
    return list({(os.path.normpath(source.name)): source for source in reversed(found)}.values())[::-1]


def _path_sources(
    text: str, select: str | None, skipped: list[Skipped], *, of_pattern: bool = False
) -> list[Source]:
    """A file, the files of a folder, or the members of a zip."""
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(text, error) from error
    if not os.access(path, os.R_OK):
        raise unreadable(text, PermissionError())
    if not stat.S_ISDIR(mode):
        # Looking into a pipe would take away what it gives.
        found = of_pattern and select is not None
        source = Source(_printable(text), path, select=select, found=found)
        return _file_sources(source, skipped, look=stat.S_ISREG(mode))
    files = [
        Source(_printable(str(file)), file, select=select, found=True) for file in files_below(path, skipped)
    ]
    if not files and not of_pattern and not skipped:
        raise InputError(
            "there is no file in this folder", where=text, remedy="Name a folder with logs in it"
        )
    return [source for file in files for source in _file_sources(file, skipped, look=True)]


def _file_sources(source: Source, skipped: list[Skipped], *, look: bool) -> list[Source]:
    try:
        if look and is_zip(_first_bytes(source)):
            return _zip_sources(source, skipped)
    except InputError as error:
        leave_out(source, error, skipped)
        return []
    return [source]


def _zip_sources(source: Source, skipped: list[Skipped]) -> list[Source]:
    before = len(skipped)
    try:
        with stream_of(source) as stream:
            members = zip_members(stream, source.name, source.select, skipped)
    except OSError as error:
        raise unreadable(source.name, error) from error
    if not members and len(skipped) == before:
        leave_out_empty(source, skipped)
    return [member_source(source, member) for member in members]


def _printable(text: str) -> str:
    """A name that is no UTF-8 can be opened, but not put into a table or a report."""
    return os.fsencode(text).decode("utf-8", "replace")


def _standard_input() -> Source:
    if sys.stdin is None:
        raise InputError("standard input is closed", remedy="Pipe a log in, or name a file")
    return Source("stdin", stream=sys.stdin.buffer)


def _glob(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _stream_source(stream: BinaryIO) -> Source:
    name = getattr(stream, "name", None)
    label = name if isinstance(name, str) else "stream"
    if not hasattr(stream, "read"):
        raise InputError(
            f"{stream!r} is neither a path nor a stream", remedy="Give a path, a pattern or a binary file"
        )
    if isinstance(getattr(stream, "encoding", None), str):
        raise InputError(
            "the stream gives text, not bytes", where=label, remedy="Open it in binary mode ('rb')"
        )
    return Source(label, stream=stream)


def _first_bytes(source: Source) -> bytes:
    try:
        with stream_of(source) as stream:
            return stream.read(4)
    except OSError as error:
        raise unreadable(source.name, error) from error
