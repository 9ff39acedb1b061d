"""Members of a tar, one by one as it streams by, without unpacking anything to disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from biglog.logs.sources.archives import (
    MAX_MEMBERS,
    Skipped,
    check_target,
    checked_name,
    hidden,
    selects,
    too_many,
)
from biglog.logs.sources.compression import Feed, RefusedError

MAX_HEADER: Final = 1 << 20
"""Bytes that the long name or the attributes of a member may have."""

_UNIT: Final = 512
_ATTRIBUTE: Final = re.compile(rb"(\d{1,7}) ([^=]+)=")


@dataclass(frozen=True)
class TarMember:
    """A member of a tar.

    Attributes:
        name: Its name in the archive.
        written: When it was written last, if the archive knows.
    """

    name: str
    written: datetime | None


def is_tar(head: bytes) -> bool:
    """Whether these first 512 bytes are the header of a tar's first member."""
    return len(head) >= _UNIT and head[0] != 0 and _checksum_holds(head)


class TarBody:
    """The bytes of a tar member.

    Args:
        feed: The archive, at the member's first byte.
        size: Bytes of the member.

    Attributes:
        damage: Set when the archive ends within the member.
    """

    def __init__(self, feed: Feed, size: int) -> None:
        self.damage = ""
        self._feed, self._left = feed, size
        self._padding = -size % _UNIT

    def __iter__(self) -> Iterator[bytes]:
        """The bytes in pieces."""
        for piece in self._feed.take(self._left):
            self._left -= len(piece)
            yield piece
        if self._left:
            self.damage = "it ends too early"

    def finish(self) -> bool:
        """Pass over what was not read; whether the archive goes on."""
        for _ in self:
            pass
        for _ in self._feed.take(self._padding):
            pass
        self._padding = 0
        return not self.damage


def tar_members(
    feed: Feed, archive: str, pattern: str | None, skipped: list[Skipped]
) -> Iterator[tuple[TarMember, TarBody]]:
    """The members of a tar in their order; each is to be read before the next is asked for.

    Args:
        feed: The (unpacked) archive.
        archive: What errors call it.
        pattern: Which members are meant, as in `selects`.
        skipped: Takes what is left out: hidden files, links, devices, sparse files, and what follows damage.

    Raises:
        RefusedError: A name or a link leaves the archive, a header is too long, or there are too many
            members.
    """
    last = ""
    for count, header in enumerate(_tar_headers(feed, archive, skipped)):
        if count >= MAX_MEMBERS:
            raise too_many(archive)
        name = checked_name(header.name, archive)
        if header.kind in "12":
            check_target(name, header.link, archive, beside=header.kind == "2")
        wanted = header.kind != "5" and selects(pattern, name)[0]
        reason = header.unread or (hidden(name) if pattern != name else "")
        body = TarBody(feed, header.size)
        if wanted and reason:
            skipped.append(Skipped(f"{archive}::{name}", reason))
        elif wanted:
            yield TarMember(name, header.written), body
        last = name
        if not body.finish():
            skipped.append(Skipped(archive, f"it ends within {last}: what follows is missing"))
            return


@dataclass
class _Header:
    """What a tar says of a member; later headers may override earlier ones."""

    name: str
    link: str
    kind: str
    size: int
    written: datetime | None
    sparse: bool = False

    @property
    def unread(self) -> str:
        """Why it cannot be read as a log, or nothing."""
        if self.sparse or self.kind == "S":
            return "a sparse file"
        return {"1": "a link", "2": "a link"}.get(self.kind, "" if self.kind in "07" else "no regular file")


def _tar_headers(feed: Feed, archive: str, skipped: list[Skipped]) -> Iterator[_Header]:
    """Headers of members, with the long names and attributes before them; bodies are left to the caller."""
    common: dict[str, str] = {}
    own: dict[str, str] = {}
    last = "the beginning"
    while block := _tar_block(feed):
        if len(block) < _UNIT or not _checksum_holds(block):
            skipped.append(Skipped(archive, f"damaged after {last}: what follows cannot be read"))
            return
        header = _parsed(block)
        if header.kind in "LKxgX":
            text = _tar_text(feed, header, archive)
            if header.kind in "LK":
                key = "path" if header.kind == "L" else "linkpath"
                own[key] = text.rstrip(b"\x00").decode("utf-8", "replace")
            else:
                (common if header.kind == "g" else own).update(_attributes(text))
            continue
        _apply(header, common | own)
        if header.kind == "S":
            _skip_sparse_map(feed, block)
        own = {}
        last = header.name
        yield header


def _tar_block(feed: Feed) -> bytes:
    """The next header; blocks of zeros, which end an archive, may be followed by another archive."""
    if feed.peek(1) == b"\x00":
        feed.skip_zeros()
    return b"".join(feed.take(_UNIT))


def _checksum_holds(block: bytes) -> bool:
    try:
        stated = int(block[148:156].strip(b" \x00") or b"0", 8)
    except ValueError:
        return False
    others = block[:148] + b" " * 8 + block[156:_UNIT]
    return stated in (sum(others), sum(others) - 256 * sum(byte > 127 for byte in others))


def _parsed(block: bytes) -> _Header:
    name, prefix = _text(block[:100]), _text(block[345:500])
    if prefix and block[257:263] == b"ustar\x00":
        name = f"{prefix}/{name}"
    kind = chr(block[156]) if block[156] else "0"
    if kind == "0" and name.endswith("/"):
        kind = "5"
    size = 0 if kind in "123456" else _number(block[124:136])
    return _Header(name, _text(block[157:257]), kind, size, _time(_number(block[136:148])))


def _text(field: bytes) -> str:
    return field.partition(b"\x00")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """A number as octal digits or, with its first bit set, as bytes."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else 0
    with suppress(ValueError):
        return max(0, int(field.strip(b" \x00") or b"0", 8))
    return 0


def _time(seconds: float) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    return None


def _tar_text(feed: Feed, header: _Header, archive: str) -> bytes:
    if header.size > MAX_HEADER:
        problem = f"a member has a header of {header.size} bytes, at most {MAX_HEADER} are sensible"
        raise RefusedError(problem, where=archive, remedy="Fetch or pack the archive again")
    return b"".join(feed.take(header.size + -header.size % _UNIT))[: header.size]


def _attributes(text: bytes) -> Iterator[tuple[str, str]]:
    """Attributes of a pax header: `LENGTH KEY=VALUE` and a line end each."""
    at = 0
    while match := _ATTRIBUTE.match(text, at):
        end = at + int(match[1])
        if end <= match.end() or end > len(text):
            return
        yield match[2].decode("utf-8", "replace"), text[match.end() : end - 1].decode("utf-8", "replace")
        at = end


def _apply(header: _Header, attributes: dict[str, str]) -> None:
    header.name = attributes.get("GNU.sparse.name") or attributes.get("path") or header.name
    header.link = attributes.get("linkpath") or header.link
    header.sparse = any(key.startswith("GNU.sparse") for key in attributes)
    if header.kind not in "123456" and attributes.get("size", "").isdecimal():
        header.size = int(attributes["size"])
    with suppress(ValueError):
        header.written = _time(float(attributes.get("mtime", "")))


def _skip_sparse_map(feed: Feed, block: bytes) -> None:
    more = block[482]
    while more and len(further := b"".join(feed.take(_UNIT))) == _UNIT:
        more = further[504]
