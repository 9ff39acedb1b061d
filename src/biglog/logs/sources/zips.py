"""Members of a zip, found through its directory and read in any order, without unpacking anything to disk."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final

from biglog.errors import InputError
from biglog.logs.sources.archives import (
    MAX_MEMBERS,
    Skipped,
    check_target,
    checked_name,
    hidden,
    selects,
    too_many,
)
from biglog.logs.sources.compression import (
    BLOCK,
    BOMB_BYTES,
    BOMB_RATIO,
    Feed,
    Meter,
    RefusedError,
    bomb,
    inflate,
)

MAX_DIRECTORY: Final = 64 << 20
"""Bytes that the directory of a zip may have: 640 a member at the most members."""

_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_METHODS: Final = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_KEPT_DIRECTORIES: Final = 4
_DIRECTORIES: Final[dict[tuple[int, ...], tuple[tuple[str, zipfile.ZipInfo], ...]]] = {}
_DIRECTORY_ERRORS: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    struct.error,
    ValueError,
    OverflowError,
    EOFError,
    OSError,
)


@dataclass(frozen=True)
class ZipMember:
    """Where a member of a zip lies.

    Attributes:
        name: Its name in the archive.
        offset: Position of its local header in the file, in bytes.
        packed: Bytes it takes there.
        unpacked: Bytes it has, as declared.
        method: Number of its compression method.
        crc: CRC-32 of the unpacked bytes, as declared.
        marked: Whether its LZMA data have an end mark.
        written: When it was written last, if the archive knows.
    """

    name: str
    offset: int
    packed: int
    unpacked: int
    method: int
    crc: int
    marked: bool
    written: datetime | None


def is_zip(head: bytes) -> bool:
    """Whether these first bytes are those of a zip."""
    return head.startswith(_MAGIC)


def zip_members(
    stream: BinaryIO, archive: str, pattern: str | None, skipped: list[Skipped]
) -> list[ZipMember]:
    """The members of a zip, sorted by name.

    Args:
        stream: The archive; it must be seekable.
        archive: What errors call it.
        pattern: Which members are meant, as in `selects`.
        skipped: Takes what is left out: hidden files, links, and what cannot be unpacked.

    Raises:
        InputError: It is no readable zip.
        RefusedError: A name leaves the archive, a member that is meant is encrypted or unpacks to more than
            `BOMB_RATIO` times its size, members overlap, or there are too many.
    """
    found: list[ZipMember] = []
    for name, info in _directory(stream, archive):
        if info.is_dir() or not selects(pattern, name)[0]:
            continue
        whole = f"{archive}::{name}"
        if reason := _unread(info, name, pattern):
            if stat.S_ISLNK(info.external_attr >> 16):
                _check_link(stream, info, name, archive)
            skipped.append(Skipped(whole, reason))
            continue
        _check_zip_member(info, whole)
        found.append(_zip_member(info, name))
    return found


class ZipBody:
    """The unpacked bytes of a zip member.

    Args:
        stream: The archive.
        member: The member.
        name: What errors call it.
        meter: Counts what goes in and comes out.

    Attributes:
        damage: Once it has ended: what is wrong with it, or empty.
    """

    def __init__(self, stream: BinaryIO, member: ZipMember, name: str, meter: Meter) -> None:
        self.damage = ""
        self._stream, self._member, self._name, self._meter = stream, member, name, meter

    def __iter__(self) -> Iterator[bytes]:
        """The bytes in pieces.

        Raises:
            InputError: Nothing of it can be read.
            RefusedError: It has more bytes than it declares, or unpacks without end.
        """
        size = crc = 0
        try:
            for piece in inflate(self._feed(), _METHODS[self._member.method]):
                size += len(piece)
                crc = zlib.crc32(piece, crc)
                if size > self._member.unpacked:
                    problem = f"it has more than the {self._member.unpacked} bytes it declares"
                    raise RefusedError(problem, where=self._name, remedy="Pack the archive again")
                self._meter.gave(len(piece), self._name)
                yield piece
        except EOFError as error:
            self.damage = str(error)
        if not self.damage and size < self._member.unpacked:
            self.damage = "it ends too early"
        if not self.damage and crc != self._member.crc:
            self.damage = "its checksum is wrong"
        if self.damage and not size:
            remedy = "Fetch or pack the archive again"
            raise InputError(f"damaged zip member ({self.damage})", where=self._name, remedy=remedy)

    def _feed(self) -> Feed:
        header = self._at(self._member.offset, 30)
        if len(header) < 30 or header[:4] != _MAGIC[0]:
            raise EOFError("its header is missing")
        start = self._member.offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        feed = Feed(self._meter.counted(self._packed(start)))
        if _METHODS[self._member.method] == "lzma":
            # As a file of its own the stream has its size after the coder's five properties, not two before.
            properties = b"".join(feed.take(9))[4:]
            size = -1 if self._member.marked else self._member.unpacked
            feed.push(properties + struct.pack("<q", size))
        return feed

    def _packed(self, at: int) -> Iterator[bytes]:
        end = at + self._member.packed
        while at < end and (block := self._at(at, min(BLOCK, end - at))):
            at += len(block)
            yield block

    def _at(self, at: int, size: int) -> bytes:
        # Another member may have been read from the same stream since.
        self._stream.seek(at)
        return self._stream.read(size)


def _directory(stream: BinaryIO, archive: str) -> tuple[tuple[str, zipfile.ZipInfo], ...]:
    """The members of a zip by name, checked; of a file that was read lately, as they were found then.

    Whoever goes through an archive by the names of its members would else read it for each of them.
    """
    key = _identity(stream)
    known = _DIRECTORIES.get(key) if key else None
    if known is not None:
        return known
    infos = _zip_directory(stream, archive)
    _check_overlap(infos, archive)
    infos.sort(key=lambda info: (info.filename, info.header_offset))
    found = tuple((checked_name(info.filename, archive), info) for info in infos)
    if key:
        while len(_DIRECTORIES) >= _KEPT_DIRECTORIES:
            _DIRECTORIES.pop(next(iter(_DIRECTORIES)))
        _DIRECTORIES[key] = found
    return found


def _identity(stream: BinaryIO) -> tuple[int, ...]:
    """What tells one state of a file from another; empty for what is no file."""
    try:
        status = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _zip_directory(stream: BinaryIO, archive: str) -> list[zipfile.ZipInfo]:
    try:
        size = _directory_size(stream)
        if size > MAX_DIRECTORY:
            raise too_many(archive)
        with zipfile.ZipFile(stream) as opened:
            infos = opened.infolist()
    except _DIRECTORY_ERRORS as error:
        raise InputError(
            f"not a readable zip file ({error})",
            where=archive,
            remedy="Fetch it again; what is left of a damaged one may come out with `zip -FF`",
        ) from error
    if len(infos) > MAX_MEMBERS:
        raise too_many(archive)
    return infos


def _directory_size(stream: BinaryIO) -> int:
    """Length of a zip's directory in bytes: read before the directory is, which is read at once."""
    end = stream.seek(0, 2)
    start = stream.seek(max(0, end - (1 << 16) - 22))
    tail = stream.read(end - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise zipfile.BadZipFile("its end is missing")
    size: int = struct.unpack_from("<I", tail, at + 12)[0]
    if size == 0xFFFFFFFF and tail[at - 20 : at - 16] == b"PK\x06\x07":
        stream.seek(struct.unpack_from("<Q", tail, at - 12)[0])
        record = stream.read(56)
        size = struct.unpack_from("<Q", record, 40)[0]
    return size


def _check_overlap(infos: list[zipfile.ZipInfo], archive: str) -> None:
    """Members that share bytes are how a small file holds a large one many times."""
    end = -1
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            problem = f"the member {info.filename!r} overlaps another"
            raise RefusedError(problem, where=archive, remedy="Fetch or pack the archive again")
        end = info.header_offset + 30 + info.compress_size


def _unread(info: zipfile.ZipInfo, name: str, pattern: str | None) -> str:
    """Why a member cannot be read as a log, or nothing."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link"
    if pattern != name and (reason := hidden(name)):
        return reason
    return (
        "" if info.compress_type in _METHODS else f"packed by method {info.compress_type}, which is unknown"
    )


def _check_link(stream: BinaryIO, info: zipfile.ZipInfo, name: str, archive: str) -> None:
    if info.compress_type in _METHODS and not info.flag_bits & 1:
        body = ZipBody(stream, _zip_member(info, name), f"{archive}::{name}", Meter())
        target = b"".join(Feed(body).take(1 << 12)).decode("utf-8", "replace") if info.file_size else ""
        check_target(name, target, archive, beside=True)


def _check_zip_member(info: zipfile.ZipInfo, whole: str) -> None:
    if info.flag_bits & 1:
        raise RefusedError(
            "this member is encrypted", where=whole, remedy="Unpack the archive with its password first"
        )
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        raise bomb(whole)


def _zip_member(info: zipfile.ZipInfo, name: str) -> ZipMember:
    return ZipMember(
        name,
        info.header_offset,
        info.compress_size,
        info.file_size,
        info.compress_type,
        info.CRC,
        marked=bool(info.flag_bits & 2),
        written=_zip_time(info),
    )


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    """The time in UTC of the `UT` field; else the DOS time, which has no zone, as if it were UTC."""
    extra, at = info.extra, 0
    while at + 9 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 0x5455 and size >= 5 and extra[at + 4] & 1:
            return datetime.fromtimestamp(struct.unpack_from("<i", extra, at + 5)[0], UTC)
        at += 4 + size
    with suppress(ValueError):
        return datetime(*info.date_time, tzinfo=UTC) if info.date_time[0] > 1980 else None
    return None
