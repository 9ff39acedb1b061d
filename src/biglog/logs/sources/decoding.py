"""From blocks of bytes to lines of text, with nothing lost.

Bytes that are no text are kept beside the line they stand in, and a line beyond the bound comes in pieces.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from biglog.errors import InputError
from biglog.logs.formats.columns import split_lines

SNIFF_BYTES: Final = 1 << 16
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_CONTROL_PATTERN: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_CONTROLS: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNPACK: Final = "Unpack it first, or pipe it in: {0} FILE | biglog analyze -"
_MAGIC: Final = (
    # One layer of compression is taken off before a text is looked at; these are a second one.
    (b"\x1f\x8b", "compressed twice, the second time by gzip", _UNPACK.format("gzip -dc")),
    (b"\xfd7zXZ\x00", "compressed twice, the second time by xz", _UNPACK.format("xz -dc")),
    (b"\x28\xb5\x2f\xfd", "compressed twice, the second time by zstd", _UNPACK.format("zstd -dc")),
    (b"\x1f\x9d", "a file packed by compress", _UNPACK.format("gzip -dc")),
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


def sniff(first: bytes, name: str) -> tuple[str, int]:
    """Encoding of a text and length of its byte order mark.

    Args:
        first: The beginning of the source, `SNIFF_BYTES` or all of it.
        name: What errors call the source.

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
    """Over a twentieth control bytes; NULs do not count, a rotated sparse log may begin with thousands."""
    text = head.translate(None, b"\x00")
    if not text:
        return bool(head)
    return (len(text) - len(text.translate(None, _CONTROLS.replace(b"\x1b", b"")))) > 0.05 * len(text)


class Cutter:
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


def decode(piece: bytes, encoding: str, continues: bool, extra_bytes: int) -> Run:
    """Lines of a piece of log.

    Args:
        piece: Bytes that end with a line, or with a piece of one.
        encoding: `utf-8`, `utf-16-le` or `utf-16-be`.
        continues: Whether the piece goes on with a line begun before.
        extra_bytes: Bytes to count with it (the byte order mark).
    """
    text, raw = _valid_utf8(piece, encoding)
    lines, may_have_controls = split_lines(text)
    controls = int(lines.str.contains(_CONTROL_PATTERN).sum()) if may_have_controls else 0
    return Run(lines, raw, len(piece) + extra_bytes, controls, continues)


def _valid_utf8(piece: bytes, encoding: str) -> tuple[bytes, dict[int, bytes]]:
    """A piece as UTF-8, and the bytes of its lines that are no text by position."""
    if encoding == "utf-8" and piece.isascii():
        return piece, {}
    try:
        text = piece.decode(encoding)
    except UnicodeDecodeError:
        damaged, raw = _decode_damaged(piece, encoding)
        return damaged.encode(), raw
    return piece if encoding == "utf-8" else text.encode(), {}


def _decode_damaged(piece: bytes, encoding: str) -> tuple[str, dict[int, bytes]]:
    """Text with U+FFFD for what is no text, and the bytes of those lines without their ends."""
    handler = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    dangling = piece[len(piece) - len(piece) % 2 :] if encoding != "utf-8" else b""
    lines = piece[: len(piece) - len(dangling)].decode(encoding, handler).split("\n")
    last = len(lines) - 1
    raw: dict[int, bytes] = {}
    for index, line in enumerate(lines):
        if not line.isascii() and _SURROGATES.search(line):
            end = "\r" if index < last and line.endswith("\r") else ""
            raw[index] = line.removesuffix(end).encode(encoding, handler)
            lines[index] = raw[index].decode(encoding, "replace") + end
    if dangling:
        raw[last] = raw.get(last, lines[last].encode(encoding)) + dangling
        lines[last] += "\ufffd"
    return "\n".join(lines), raw
