"""From files, pipes and streams to runs of whole lines, in bounded memory.

A source is opened, looked at (gzip, encoding, binary), read in blocks and cut after its last line end.
Nothing is lost: bytes that are no text are kept beside the line they stand in, and a line beyond the bound
comes in pieces.
"""

from __future__ import annotations

import codecs
import contextlib
import glob
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from biglog.errors import InputError

SNIFF_BYTES: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 1 << 20
_CONTROLS: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_CONTROL_PATTERN: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNPACK: Final = "Unpack it first, or pipe it in: {0} FILE | biglog analyze -"
_MAGIC: Final = (
    (b"BZh", "a bzip2 archive", _UNPACK.format("bzip2 -dc")),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK.format("xz -dc")),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK.format("zstd -dc")),
    (b"PK\x03\x04", "a zip archive", _UNPACK.format("unzip -p")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK.format("7z x -so")),
    (b"ElfFile\x00", "a Windows event log", "Export it as text first (Event Viewer, or wevtutil)"),
    (b"LPKSHHRH", "a systemd journal", "Export it first: journalctl --file FILE | biglog analyze -"),
    (b"\x7fELF", "a program", "Give the log that it writes"),
    (b"\x89PNG", "an image", "Give a text log"),
    (b"%PDF-", "a PDF document", "Give a text log"),
    (b"PAR1", "a Parquet table", "Give a text log"),
    (b"SQLite format 3\x00", "a database", "Give a text log"),
    (
        codecs.BOM_UTF32_LE,
        "UTF-32 text",
        "Convert it first: iconv -f UTF-32 -t UTF-8 FILE | biglog analyze -",
    ),
    (
        codecs.BOM_UTF32_BE,
        "UTF-32 text",
        "Convert it first: iconv -f UTF-32 -t UTF-8 FILE | biglog analyze -",
    ),
)

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


@dataclass(frozen=True)
class Run:
    """Consecutive lines of one source.

    Attributes:
        lines: The lines without their ends, as text.
        raw: Bytes of the lines that could not be decoded, by position in `lines`.
        bytes: Length in the (unpacked) source, line ends included.
        control_lines: Lines that hold control characters other than tab and carriage return.
        continues: Whether the first line is a further piece of the last line of the run before.
    """

    lines: pl.Series
    raw: dict[int, bytes]
    bytes: int
    control_lines: int
    continues: bool


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
        encoding, mark = _sniff(head, self.source.name)
        cutter = _Cutter(encoding, max_line_bytes)
        size = mark
        for block in _evenly(head[mark:], blocks, max(1, batch_bytes)):
            for piece, continues in cutter.feed(block):
                yield _decode(piece, encoding, continues, size)
                size = 0
        for piece, continues in cutter.finish():
            yield _decode(piece, encoding, continues, size)
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
        return [Source("stdin", stream=sys.stdin.buffer)]
    if not _exists(text) and glob.has_magic(text):
        paths = sorted(path for path in _glob(text) if not Path(path).is_dir())
        if not paths:
            raise InputError(
                "no file matches this pattern", where=text, remedy="Check the pattern, or quote it"
            )
        return [_file_source(path) for path in paths]
    return [_file_source(text)]


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
    return Source(text, path=path)


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


def _sniff(first: bytes, name: str) -> tuple[str, int]:
    """Encoding of a text and length of its byte order mark.

    Raises:
        InputError: The bytes are of a known binary kind, or mostly no text.
    """
    for magic, what, remedy in _MAGIC:
        if first.startswith(magic):
            raise InputError(f"this is {what}, not a text log", where=name, remedy=remedy)
    for mark, marked in _BOMS:
        if first.startswith(mark):
            return marked, len(mark)
    head = first[:SNIFF_BYTES]
    encoding = _utf16_without_mark(head)
    if encoding is None and _is_binary(head):
        raise InputError(
            "this is a binary file, not a text log", where=name, remedy="Give a text log (UTF-8 or UTF-16)"
        )
    return encoding or "utf-8", 0


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 by its zero bytes: Latin text has one in every unit, always on the same side."""
    units = len(head) // 2
    if units < 4:
        return None
    even, odd = head[0 : 2 * units : 2].count(0), head[1 : 2 * units : 2].count(0)
    if odd > 0.6 * units and even < 0.05 * units:
        return "utf-16-le"
    if even > 0.6 * units and odd < 0.05 * units:
        return "utf-16-be"
    return None


def _is_binary(head: bytes) -> bool:
    """Over a twentieth control bytes. NULs alone do not count: a rotated sparse log may begin with
    thousands."""
    text = head.translate(None, b"\x00")
    if not text:
        return bool(head)
    return (len(text) - len(text.translate(None, _CONTROLS.replace(b"\x1b", b"")))) > 0.05 * len(text)


class _Cutter:
    """Cuts blocks after line ends, and lines over the bound into pieces."""

    def __init__(self, encoding: str, bound: int) -> None:
        self.newline = "\n".encode(encoding)
        self.wide = len(self.newline) == 2
        self.big_endian = encoding == "utf-16-be"
        self.bound = max(bound, 16)
        self.pending = b""
        self.continues = False

    def feed(self, block: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take a block in; yield what is complete, each with whether it continues a cut line."""
        self.pending += block
        cut = self._last_end(self.pending)
        if cut:
            complete, self.pending = self.pending[:cut], self.pending[cut:]
            yield from self._bounded(complete)
        yield from self._pieces()

    def finish(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the last line if it has no end."""
        yield from self._pieces()
        if self.pending:
            yield self.pending, self.continues

    def _bounded(self, complete: bytes) -> Iterator[tuple[bytes, bool]]:
        if len(complete) <= self.bound:
            yield complete, self.continues
            self.continues = False
            return
        start = at = 0
        while at < len(complete):
            end = self._next_end(complete, at)
            if end - at > self.bound:
                if at > start:
                    yield complete[start:at], self.continues
                    self.continues = False
                tail, self.pending = self.pending, complete[at:end]
                yield from self._pieces()
                yield self.pending, self.continues
                self.pending, self.continues = tail, False
                start = end
            at = end
        if start < len(complete):
            yield complete[start:], self.continues
            self.continues = False

    def _pieces(self) -> Iterator[tuple[bytes, bool]]:
        while len(self.pending) > self.bound + len(self.newline) * 2:
            size = self._character_end(self.pending, self.bound)
            piece, self.pending = self.pending[:size], self.pending[size:]
            yield piece, self.continues
            self.continues = True

    def _last_end(self, data: bytes) -> int:
        at = data.rfind(self.newline)
        while self.wide and at > 0 and at % 2:
            at = data.rfind(self.newline, 0, at + 1)
        return at + len(self.newline) if at >= 0 and not (self.wide and at % 2) else 0

    def _next_end(self, data: bytes, start: int) -> int:
        at = data.find(self.newline, start)
        while self.wide and at >= 0 and at % 2:
            at = data.find(self.newline, at + 1)
        return len(data) if at < 0 else at + len(self.newline)

    def _character_end(self, data: bytes, size: int) -> int:
        """The largest cut up to `size` that splits neither a character nor a line end."""
        if self.wide:
            size -= size % 2
            high = data[size - 2 if self.big_endian else size - 1]
            return (
                size - 2 if 0xD8 <= high <= 0xDB or data[size - 2 : size] in (b"\r\x00", b"\x00\r") else size
            )
        back = next((k for k in range(4) if data[size - k] & 0xC0 != 0x80), 0)
        size -= back
        return size - 1 if data[size - 1 : size] == b"\r" else size


def _decode(piece: bytes, encoding: str, continues: bool, extra_bytes: int) -> Run:
    raw: dict[int, bytes] = {}
    try:
        text = piece.decode(encoding)
    except UnicodeDecodeError:
        text, raw = _decode_damaged(piece, encoding)
    else:
        if "\r" in text:
            text = text.replace("\r\n", "\n")
    lines = pl.Series("line", [text]).str.split("\n").explode()
    if text.endswith("\n"):
        lines = lines.head(len(lines) - 1)
    clean = encoding == "utf-8" and len(piece) == len(piece.translate(None, _CONTROLS))
    controls = 0 if clean else int(lines.str.contains(_CONTROL_PATTERN).sum())
    return Run(lines, raw, len(piece) + extra_bytes, controls, continues)


def _decode_damaged(piece: bytes, encoding: str) -> tuple[str, dict[int, bytes]]:
    """Text with U+FFFD for what is no text, and the bytes of those lines."""
    handler = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    dangling = piece[len(piece) - len(piece) % 2 :] if encoding != "utf-8" else b""
    text = piece[: len(piece) - len(dangling)].decode(encoding, handler).replace("\r\n", "\n")
    lines = text.split("\n")
    raw: dict[int, bytes] = {}
    for index, line in enumerate(lines):
        if not line.isascii() and _SURROGATES.search(line):
            raw[index] = line.encode(encoding, handler)
            lines[index] = raw[index].decode(encoding, "replace")
    if dangling:
        last = len(lines) - 1
        raw[last] = raw.get(last, lines[last].encode(encoding)) + dangling
        lines[last] += "\ufffd"
    return "\n".join(lines), raw
