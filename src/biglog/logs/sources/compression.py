"""Compressed bytes in, plain bytes out, piece by piece: gzip, bzip2, xz, lzma, zstd and lz4.

The kind is told by the first bytes, never by a name. Members and frames that follow one another are read as
one. Damage ends the output and is remembered, so that what came before it is kept.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa

from biglog.errors import InputError

BLOCK: Final = 1 << 20
"""Bytes that are asked for at a time, and the most that a decompressor gives at once."""
BOMB_RATIO: Final = 1000
"""Unpacked bytes for one packed byte that no log reaches (real ones: 10 to 200)."""
BOMB_BYTES: Final = 64 << 20
"""Unpacked bytes up to which any ratio is let through."""
MEMORY_LIMIT: Final = 256 << 20
"""Memory an xz or lzma decoder may ask for; its strongest preset asks for 65 MiB."""

_LZMA_ALONE: Final = re.compile(rb"\x5d\x00\x00[\x01-\x80]\x00(?:\xff{8}|.{5}\x00{3})", re.DOTALL)
_BZIP2: Final = (b"1AY&SY", b"\x17rE8P\x90")
_ZSTD_SKIPPABLE: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_FIRST_BITE: Final = 1 << 12


class RefusedError(InputError):
    """Something that may do harm: none of it is read."""


class Feed:
    """Bytes on demand from an iterator of blocks, with a look ahead.

    Args:
        blocks: The bytes; empty blocks are passed over.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._pieces: deque[memoryview] = deque()

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or all that are left; they stay to be read."""
        length = sum(len(piece) for piece in self._pieces)
        while length < size and (block := self._next()):
            self._pieces.append(block)
            length += len(block)
        if len(self._pieces) > 1 and len(self._pieces[0]) < size:
            self._pieces = deque([memoryview(b"".join(self._pieces))])
        return bytes(self._pieces[0][:size]) if self._pieces else b""

    def read(self, size: int = BLOCK) -> bytes:
        """Some of the next bytes, at most `size`; none only at the end."""
        piece = self._pieces.popleft() if self._pieces else self._next()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        return bytes(piece)

    def push(self, data: bytes) -> None:
        """Give bytes back, to be read next."""
        if data:
            self._pieces.appendleft(memoryview(data))

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces, fewer if there are no more."""
        while size and (piece := self.read(min(size, BLOCK))):
            size -= len(piece)
            yield piece

    def skip_zeros(self) -> int:
        """Pass over NUL bytes; their number."""
        skipped = 0
        while piece := self.read():
            rest = piece.lstrip(b"\x00")
            skipped += len(piece) - len(rest)
            if rest:
                self.push(rest)
                break
        return skipped

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def _next(self) -> memoryview:
        return memoryview(next((block for block in self._blocks if block), b""))


@dataclass
class Meter:
    """How much was taken from a file and how much came out of it, to refuse what unpacks without end.

    Attributes:
        packed: Bytes taken from the outermost file (of a zip: for this member).
        unpacked: Bytes that came out, by how many layers deep they lie.
        outer: That of the archive whose member has this one.
    """

    packed: int = 0
    unpacked: dict[int, int] = field(default_factory=dict)
    outer: Meter | None = None

    def counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks, counted as packed."""
        for block in blocks:
            self.packed += len(block)
            yield block

    def gave(self, size: int, name: str, depth: int = 0) -> None:
        """Count bytes that came out.

        Raises:
            RefusedError: They are more than `BOMB_RATIO` times what went in, and more than `BOMB_BYTES`.
        """
        total = self.unpacked[depth] = self.unpacked.get(depth, 0) + size
        if total > max(BOMB_BYTES, BOMB_RATIO * self.packed):
            raise bomb(name)
        if self.outer is not None:
            # Its own layers are counted from 0 on.
            self.outer.gave(size, name, -1 - depth)


def bomb(name: str) -> RefusedError:
    """The refusal of something that unpacks to far more than any log does."""
    return RefusedError(
        f"it unpacks to more than {BOMB_RATIO} times its size, which no log does",
        where=name,
        remedy="Unpack it yourself if you trust it, and name the unpacked file",
    )


class Unpacked:
    """The bytes of one compressed source, in pieces of at most `BLOCK` bytes.

    Args:
        feed: The packed bytes.
        codec: Their kind, as `codec_of` tells it.
        name: What errors call the source.
        meter: Counts what comes out.
        depth: How many layers deep the source lies.

    Attributes:
        damage: Once it has ended: what ended it too early, or empty.
    """

    def __init__(self, feed: Feed, codec: str, name: str, meter: Meter, depth: int = 0) -> None:
        self.codec, self.name, self.damage = codec, name, ""
        self._feed, self._meter, self._depth = feed, meter, depth

    def __iter__(self) -> Iterator[bytes]:
        """The pieces.

        Raises:
            InputError: Nothing can be read of it.
            RefusedError: It unpacks without end.
        """
        got_any = False
        try:
            for piece in _CODECS[self.codec](self._feed):
                if piece:
                    got_any = True
                    self._meter.gave(len(piece), self.name, self._depth)
                    yield piece
        except _DamageError as error:
            self.damage = str(error)
        if self.damage and not got_any:
            problem = f"damaged {self.codec} file ({self.damage})"
            raise InputError(problem, where=self.name, remedy="Fetch or compress it again")


def codec_of(head: bytes) -> str | None:
    """The kind of compression that these first bytes (16 are enough) speak for, or None."""
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and len(head) > 3:
        block = head[4:10]
        return "bzip2" if any(known.startswith(block) for known in _BZIP2) else None
    if _ZSTD_SKIPPABLE.match(head):
        return "zstd"
    return "lzma" if _LZMA_ALONE.match(head) else None


def inflate(feed: Feed, codec: str) -> Iterator[bytes]:
    """Raw compressed data as a zip member has them: one stream, no container.

    Args:
        feed: The packed bytes.
        codec: `deflate`, `bzip2`, `zstd` or `stored`.

    Raises:
        EOFError: The data are damaged; what came before has been yielded.
    """
    try:
        if codec == "stored":
            yield from feed
        elif codec == "deflate":
            yield from _member(_Inflater(-zlib.MAX_WBITS), feed)
        else:
            yield from _CODECS[codec](feed)
    except _DamageError as error:
        raise EOFError(str(error)) from error


class _DamageError(Exception):
    """Compressed data end early or make no sense."""


class _Engine(Protocol):
    """What bz2 and lzma decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Inflater:
    """zlib with the interface of the other two; of a damaged block it saves what comes before the damage."""

    def __init__(self, wbits: int) -> None:
        self._engine = zlib.decompressobj(wbits)
        self.problem = ""

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self._engine.unconsumed_tail + data
        before = self._engine.copy()
        try:
            return self._engine.decompress(data, max_length)
        except zlib.error as error:
            self.problem = str(error)
            return b"".join(_salvage(before, data, max_length))


def _salvage(engine: zlib._Decompress, data: bytes, size: int) -> Iterator[bytes]:
    """What comes out before the damage: zlib gives nothing of a block in which it finds a mistake."""
    with contextlib.suppress(zlib.error):
        for at in range(len(data)):
            while (piece := engine.decompress(data[at : at + 1], size)) or engine.unconsumed_tail:
                yield piece
                if not engine.unconsumed_tail:
                    break


def _member(engine: _Engine | _Inflater, feed: Feed) -> Iterator[bytes]:
    """One member; what follows it is given back."""
    bite = _FIRST_BITE
    while not engine.eof:
        data = feed.read(bite) if engine.needs_input else b""
        if not data and engine.needs_input:
            raise _DamageError("it ends too early")
        bite = min(2 * bite, BLOCK >> 4)
        try:
            yield engine.decompress(data, BLOCK >> 4)
        except (OSError, EOFError, ValueError, lzma.LZMAError, MemoryError) as error:
            raise _DamageError(str(error) or type(error).__name__) from error
        if problem := getattr(engine, "problem", ""):
            raise _DamageError(problem)
    feed.push(engine.unused_data)


def _members(make: Callable[[], _Engine | _Inflater], feed: Feed) -> Iterator[bytes]:
    """Members one after the other, and the zeros that may pad them."""
    while True:
        yield from _member(make(), feed)
        feed.skip_zeros()
        if not feed.peek(1):
            return


def _lzma_engine() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)


class _Sips:
    """A feed as the file object that Arrow reads from, a little at a time: damage costs what was sipped."""

    closed = False

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def read(self, size: int) -> bytes:
        return self._feed.read(min(size, _FIRST_BITE))

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def _arrow(codec: str, feed: Feed) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(_Sips(feed), mode="r"), codec)
    while True:
        buffer = bytearray(BLOCK >> 4)
        try:
            size = stream.readinto(buffer)
        except OSError as error:
            # Arrow fills the buffer up to the damage but doesn't say how far; text has no NULs at its end.
            yield bytes(buffer).rstrip(b"\x00")
            raise _DamageError(str(error)) from error
        if not size:
            return
        yield bytes(memoryview(buffer)[:size])


_MAGIC: Final = {
    "gzip": b"\x1f\x8b",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x04\x22\x4d\x18",
}
_CODECS: Final[dict[str, Callable[[Feed], Iterator[bytes]]]] = {
    "gzip": lambda feed: _members(lambda: _Inflater(16 + zlib.MAX_WBITS), feed),
    "bzip2": lambda feed: _members(bz2.BZ2Decompressor, feed),
    "xz": lambda feed: _members(_lzma_engine, feed),
    "lzma": lambda feed: _members(_lzma_engine, feed),
    "zstd": lambda feed: _arrow("zstd", feed),
    "lz4": lambda feed: _arrow("lz4", feed),
}
