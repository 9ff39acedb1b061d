"""A growing file, parsed as lines come."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.inference.parse_files import content_starts
from biglog.logs.record import read_logs
from biglog.tasks.parsing.stream import ParseStream

POLL_SECONDS: Final = 0.5
_CHUNK_BYTES = 4 << 20


def follow(
    path: Path,
    stream: ParseStream,
    *,
    layout: str | None = None,
    wait: Callable[[], bool] | None = None,
) -> Iterator[pl.DataFrame]:
    """Parses what a file has, and then what is appended to it.

    A file that becomes shorter, or is replaced by another, is read from its start. A line is read once it has
    its end.

    Args:
        path: The file, not compressed.
        stream: What parses.
        layout: Header layout; None recognises it on what the file has at first.
        wait: Called where there is nothing new; returns whether to go on. None waits `POLL_SECONDS`.

    Yields:
        Rows: line_number, timestamp, level, content, event_id, template, parameters.

    Raises:
        InputError: The file cannot be read.
    """
    wait = wait or _wait
    number = 0
    for data in _chunks(path, wait):
        if data is None:
            number = 0
            continue
        reader = read_logs(io.BytesIO(data), layout=layout)
        for batch in reader:
            frame = batch.frame
            starts = content_starts(frame).to_numpy()
            parsed = stream.parse(frame["content"], starts)
            head = frame.select(pl.col("line_number") + number, "timestamp", "level", "content")
            yield head.hstack(parsed.select("event_id", "template", "parameters"))
        if layout is None and reader.report.sources[0].confidence >= 0.5:
            layout = _sole(reader.report.sources[0].layout)
        number += reader.report.lines


def _sole(layout: str) -> str | None:
    """A layout's name; none where a source has several, or none."""
    return None if "+" in layout or layout in ("", "plain") else layout


def _wait() -> bool:
    time.sleep(POLL_SECONDS)
    return True


def _chunks(path: Path, wait: Callable[[], bool]) -> Iterator[bytes | None]:
    """Whole lines as they come; None where the file begins anew."""
    at, identity, rest = 0, None, b""
    while True:
        try:
            found = path.stat()
            if identity is not None and (found.st_ino != identity or found.st_size < at):
                at, rest = 0, b""
                yield None
            identity = found.st_ino
            with path.open("rb") as file:
                file.seek(at)
                data = file.read(_CHUNK_BYTES)
        except FileNotFoundError as error:
            # Between the old file's going and the new one's coming there is none.
            if identity is None:
                raise _unreadable(path, error) from error
            data = b""
        except OSError as error:
            raise _unreadable(path, error) from error
        at += len(data)
        lines, end, rest = (rest + data).rpartition(b"\n")
        if end:
            yield lines + end
        elif not data and not wait():
            if rest:
                yield rest
            return


def _unreadable(path: Path, error: OSError) -> InputError:
    problem = f"it cannot be read ({error.strerror or error})"
    return InputError(problem, where=path, remedy="Give a file that this user may read")
