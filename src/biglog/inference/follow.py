"""A growing file, read as lines come, and parsed."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final, Self

import polars as pl

from biglog.errors import InputError
from biglog.inference.parse_files import content_starts
from biglog.logs.record import read_logs
from biglog.tasks.parsing.stream import ParseStream

POLL_SECONDS: Final = 0.5

SAVE_SECONDS: Final = 30.0
"""How old the saved state of a followed file becomes."""

_CHUNK_BYTES = 4 << 20


@dataclass
class Place:
    """How far a file has been read.

    Attributes:
        inode: The file's number on its device.
        offset: Bytes of it that were read.
        lines: Lines of it that were read.
    """

    inode: int = 0
    offset: int = 0
    lines: int = 0


class Interrupts:
    """Holds Ctrl-C and the signal that ends a service back to where no line is half done.

    What was told and where the file was read to belong together: an interrupt between the two would have
    lines judged twice, or never. A second one comes through at once.

    Args:
        save: Saves both; called at such places from time to time.
    """

    def __init__(self, save: Callable[[], None] | None = None) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._came = False
        self._save, self._saved = save, time.monotonic()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._come)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _come(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True

    def check(self) -> None:
        """Interrupts, if one came, and saves, if the last time was `SAVE_SECONDS` ago.

        Raises:
            KeyboardInterrupt: One came.
        """
        if self._came:
            raise KeyboardInterrupt
        if self._save is not None and time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()
            self._saved = time.monotonic()


def follow(
    path: Path,
    stream: ParseStream,
    *,
    layout: str | None = None,
    wait: Callable[[], bool] | None = None,
    place: Place | None = None,
    between: Callable[[], None] | None = None,
) -> Iterator[pl.DataFrame]:
    """Parses what a file has, and then what is appended to it.

    Args:
        path: The file, not compressed.
        stream: What parses.
        layout: See `follow_records`.
        wait: See `follow_records`.
        place: See `follow_records`.
        between: See `follow_records`.

    Yields:
        Rows: line_number, timestamp, level, content, event_id, template, parameters.

    Raises:
        InputError: The file cannot be read.
    """
    for frame in follow_records(path, layout=layout, wait=wait, place=place, between=between):
        parsed = stream.parse(frame["content"], content_starts(frame).to_numpy())
        head = frame.select("line_number", "timestamp", "level", "content")
        yield head.hstack(parsed.select("event_id", "template", "parameters"))


def follow_records(
    path: Path,
    *,
    layout: str | None = None,
    wait: Callable[[], bool] | None = None,
    place: Place | None = None,
    between: Callable[[], None] | None = None,
) -> Iterator[pl.DataFrame]:
    """Reads what a file has, and then what is appended to it.

    A file that becomes shorter, or is replaced by another, is read from its start; of the other one, what was
    left is read before. A line is read once it has its end.

    Args:
        path: The file, not compressed.
        layout: Header layout; None recognises it on what the file has at first.
        wait: Called where there is nothing new; returns whether to go on. None waits `POLL_SECONDS`.
        place: Where to begin, if the file is still the one that it is of; it is moved on with every batch.
        between: Called where all that was read has been used, and the place says so; may raise.

    Yields:
        Records, columns as `biglog.read_logs` gives them.

    Raises:
        InputError: The file cannot be read.
    """
    place = place or Place()
    for data in _chunks(path, wait or wait_a_moment, place, between or _go_on):
        reader = read_logs(io.BytesIO(data), layout=layout)
        for batch in reader:
            yield batch.frame.with_columns(pl.col("line_number") + place.lines)
        if layout is None and reader.report.sources[0].confidence >= 0.5:
            layout = _sole(reader.report.sources[0].layout)
        place.lines += reader.report.lines


def _sole(layout: str) -> str | None:
    """A layout's name; none where a source has several, or none."""
    return None if "+" in layout or layout in ("", "plain") else layout


def _go_on() -> None:
    pass


def wait_a_moment() -> bool:
    """Waits `POLL_SECONDS`, and goes on."""
    time.sleep(POLL_SECONDS)
    return True


def _chunks(
    path: Path, wait: Callable[[], bool], place: Place, between: Callable[[], None]
) -> Iterator[bytes]:
    """Whole lines as they come; the place moves on when they have been used."""
    file, rest = _opened(path, place), b""
    try:
        while True:
            between()
            data = file.read(_CHUNK_BYTES)
            lines, end, rest = (rest + data).rpartition(b"\n")
            if end:
                yield lines + end
                place.offset += len(lines) + 1
            if data:
                continue
            new = _successor(path, file)
            if new is not None:
                # What the old file had at last has no end, and none will come.
                if rest:
                    yield rest
                file, rest = new, b""
                _begin(place, file)
            elif not wait():
                if rest:
                    yield rest
                    place.offset += len(rest)
                return
    finally:
        file.close()


def _successor(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that is to be read from its start now: another of this name, or the same cut short."""
    own = os.fstat(file.fileno())
    try:
        found = path.stat()
        if os.path.samestat(own, found) and own.st_size >= file.tell():
            return None
        new = path.open("rb")
    except FileNotFoundError:
        # Between the old file's going and the new one's coming there is none.
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    file.close()
    return new


def _opened(path: Path, place: Place) -> BinaryIO:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    found = os.fstat(file.fileno())
    if found.st_ino == place.inode and found.st_size >= place.offset:
        file.seek(place.offset)
    else:
        _begin(place, file)
    return file


def _begin(place: Place, file: BinaryIO) -> None:
    place.inode, place.offset, place.lines = os.fstat(file.fileno()).st_ino, 0, 0


def _unreadable(path: Path, error: OSError) -> InputError:
    problem = f"it cannot be read ({error.strerror or error})"
    return InputError(problem, where=path, remedy="Give a file that this user may read")
