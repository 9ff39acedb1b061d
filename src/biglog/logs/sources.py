"""From files, pipes and streams to runs of whole lines, in bounded memory.

A source is opened, unpacked if it is gzip, and read in blocks of even size; `decoding` makes lines of them.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from biglog.errors import InputError
from biglog.logs.decoding import SNIFF_BYTES, Cutter, Run, decode, sniff

_GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 1 << 20
SourceLike = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Source:
    """A place to read a log from.

    Attributes:
        name: What reports call it.
        path: The file, or None for a stream.
        stream: The binary stream, or None for a file.
    """

    name: str
    path: Path | None = None
    stream: BinaryIO | None = None


@dataclass
class OpenLog:
    """An open source: what is known of it, and its runs of lines.

    Attributes:
        source: Where it comes from.
        written: When its text was last written.
        truncated: Set while reading, when compressed data end early or are damaged.
    """

    source: Source
    written: datetime = field(default_factory=lambda: datetime.now(UTC))
    truncated: bool = False

    def runs(self, batch_bytes: int, max_line_bytes: int) -> Iterator[Run]:
        """Read the source from beginning to end.

        Args:
            batch_bytes: About how many bytes a run has.
            max_line_bytes: Longer lines come in pieces of at most this length.

        Yields:
            Runs in order; none for an empty source.

        Raises:
            InputError: The source is missing, unreadable, a folder or no text.
        """
        stream = self._open()
        try:
            yield from self._runs(stream, batch_bytes, max_line_bytes)
        except OSError as error:
            raise _unreadable(self.source.name, error) from error
        finally:
            if self.source.stream is None:
                stream.close()

    def _open(self) -> BinaryIO:
        if self.source.path is None:
            assert self.source.stream is not None
            return self.source.stream
        try:
            stream = self.source.path.open("rb")
            self.written = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
        except OSError as error:
            raise _unreadable(self.source.name, error) from error
        return stream

    def _runs(self, stream: BinaryIO, batch_bytes: int, max_line_bytes: int) -> Iterator[Run]:
        blocks = self._blocks(stream)
        head = _gather(blocks, SNIFF_BYTES)
        encoding, mark = sniff(head, self.source.name)
        cutter = Cutter(encoding, max_line_bytes)
        size = mark
        for block in _evenly(head[mark:], blocks, max(1, batch_bytes)):
            for piece, continues in cutter.feed(block):
                yield decode(piece, encoding, continues, size)
                size = 0
        for piece, continues in cutter.finish():
            yield decode(piece, encoding, continues, size)
            size = 0

    def _blocks(self, stream: BinaryIO) -> Iterator[bytes]:
        head = _read(stream, SNIFF_BYTES, self.source.name)
        if head.startswith(_GZIP):
            seconds = int.from_bytes(head[4:8], "little")
            if seconds:
                self.written = datetime.fromtimestamp(seconds, UTC)
            yield from self._gunzip(stream, head)
            return
        while head:
            yield head
            head = stream.read(_BLOCK)

    def _gunzip(self, stream: BinaryIO, data: bytes) -> Iterator[bytes]:
        """Members of a gzip file, one after the other; damage ends it and is remembered, not raised."""
        got_any, problem = False, ""
        engine = zlib.decompressobj(wbits=31)
        while data and not problem:
            before = engine.copy()
            try:
                pieces: Iterable[bytes] = [engine.decompress(data, _BLOCK)]
            except zlib.error as error:
                pieces, problem = _salvage(before, data), str(error)
            for piece in filter(None, pieces):
                got_any = True
                yield piece
            if engine.eof:
                data = _next_member(stream, engine.unused_data)
                engine = zlib.decompressobj(wbits=31)
            elif not problem:
                data = engine.unconsumed_tail or stream.read(_BLOCK)
                problem = "" if data else "it ends too early"
        if problem and not got_any:
            remedy = "Fetch or compress it again"
            raise InputError(f"damaged gzip file ({problem})", where=self.source.name, remedy=remedy)
        self.truncated = bool(problem)


def expand(sources: SourceLike | Iterable[SourceLike]) -> list[Source]:
    """Turn what a caller names into sources, checking what can be checked before anything is read.

    Args:
        sources: A path, a glob pattern, `-` for standard input, a binary file object, or several of these.

    Returns:
        The sources; the files of a pattern in sorted order.

    Raises:
        InputError: A file is missing, a folder, or not readable; a pattern that matches nothing; a text
            stream.
    """
    if isinstance(sources, str | os.PathLike) or hasattr(sources, "read"):
        sources = [sources]  # type: ignore[list-item]
    found = [source for one in sources for source in _expand_one(one)]
    if not found:
        raise InputError("no log was named", remedy="Give at least one file, pattern or stream")
    return found


def _expand_one(one: SourceLike) -> list[Source]:
    if not isinstance(one, str | os.PathLike):
        return [_stream_source(one)]
    text = os.fspath(one)
    if text == "-":
        return [_standard_input()]
    if not _exists(text) and glob.has_magic(text):
        paths = sorted(path for path in _glob(text) if not Path(path).is_dir())
        if not paths:
            raise InputError(
                "no file matches this pattern", where=text, remedy="Check the pattern, or quote it"
            )
        return [_file_source(path) for path in paths]
    return [_file_source(text)]


def _standard_input() -> Source:
    if sys.stdin is None:
        raise InputError("standard input is closed", remedy="Pipe a log in, or name a file")
    return Source("stdin", stream=sys.stdin.buffer)


def _glob(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _file_source(text: str) -> Source:
    path = Path(text)
    try:
        is_folder = path.is_dir()
        os.stat(path)  # noqa: PTH116 - is_dir hides why a path cannot be looked at
    except (OSError, ValueError) as error:
        raise _unreadable(text, error) from error
    if is_folder:
        raise _unreadable(text, IsADirectoryError())
    if not os.access(path, os.R_OK):
        raise _unreadable(text, PermissionError())
    # A name that is no UTF-8 can be opened, but not put into a table or a report.
    return Source(os.fsencode(text).decode("utf-8", "replace"), path=path)


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


def _unreadable(name: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", where=name, remedy="Check the path")
    if isinstance(error, IsADirectoryError):
        pattern = str(Path(name) / "*.log")
        return InputError(
            "this is a folder", where=name, remedy=f"Name its files with a pattern: '{pattern}'"
        )
    if isinstance(error, PermissionError):
        return InputError(
            "no permission to read it", where=name, remedy="Change its mode, or read it as its owner"
        )
    return InputError(
        f"cannot be read ({error})", where=name, remedy="Check that the file is still there and whole"
    )


def _read(stream: BinaryIO, size: int, name: str) -> bytes:
    block = stream.read(size)
    if not isinstance(block, bytes):
        raise InputError(
            "the stream gives text, not bytes", where=name, remedy="Open it in binary mode ('rb')"
        )
    return block


def _next_member(stream: BinaryIO, rest: bytes) -> bytes:
    """What follows a member of a gzip file, without the zeros that may pad it."""
    while not (rest := rest.lstrip(b"\x00")):
        rest = stream.read(_BLOCK)
        if not rest:
            break
    return rest


def _salvage(engine: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What comes out before the damage: zlib gives nothing of a block in which it finds a mistake."""
    with contextlib.suppress(zlib.error):
        for at in range(len(data)):
            yield engine.decompress(data[at : at + 1])


def _gather(blocks: Iterator[bytes], size: int) -> bytes:
    """The next blocks together, until they have at least `size` bytes or there are no more."""
    parts: list[bytes] = []
    length = 0
    while length < size and (block := next(blocks, b"")):
        parts.append(block)
        length += len(block)
    return b"".join(parts)


def _evenly(first: bytes, blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """All bytes in blocks of `size`."""
    data = first
    while data := data + _gather(blocks, size - len(data)):
        whole = len(data) - len(data) % size or len(data)
        for at in range(0, whole, size):
            yield data[at : at + size]
        data = data[whole:]
