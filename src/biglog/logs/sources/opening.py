"""Open sources: unpacked, looked into if they are archives, and cut into runs of lines, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from biglog.errors import InputError
from biglog.logs.sources.archives import Skipped, selects
from biglog.logs.sources.compression import BLOCK, Feed, Meter, RefusedError, Unpacked, codec_of
from biglog.logs.sources.decoding import SNIFF_BYTES, Cutter, Run, decode, sniff
from biglog.logs.sources.encodings import SINGLE_BYTE, is_single_byte, to_utf8
from biglog.logs.sources.octets import OctetCutter, is_octet_counted
from biglog.logs.sources.tars import TarMember, is_tar, tar_members
from biglog.logs.sources.zips import ZipBody, ZipMember, is_zip, zip_members

MAX_NESTED_ZIP: Final = 64 << 20
"""Bytes that a zip within an archive may have: it is held in memory, as a zip is read from its end."""


@dataclass(frozen=True)
class Source:
    """A place to read a log from.

    Attributes:
        name: What reports call it; members of archives as `archive.zip::folder/member.log`.
        path: The file, or None for a stream.
        stream: The binary stream, or None for a file.
        member: Where it lies in the zip that `path` or `stream` is.
        select: Which members of the archive that it is are meant (see `archives.selects`); None means all.
        found: Whether it was found in a folder or an archive rather than named: then what is no text is left
            out.
    """

    name: str
    path: Path | None = None
    stream: BinaryIO | None = None
    member: ZipMember | None = None
    select: str | None = None
    found: bool = False


class _Layer(Protocol):
    """Something that bytes come through, and that may be damaged."""

    damage: str


@dataclass
class _Bytes:
    """The bytes of an open source, and what they come through."""

    feed: Feed
    written: datetime
    meter: Meter
    close: Callable[[], None]
    layers: list[_Layer] = field(default_factory=list)


class OpenLog:
    """An open source: what is known of it, and its runs of lines.

    Args:
        source: Where it comes from.

    Attributes:
        source: Where it comes from.
        written: When its text was last written.
        encoding: `utf-8` (also with a byte order mark), `utf-16-le`, `utf-16-be` or `cp1252`; known from the
            first run on, but a text that begins in ASCII is `utf-8` until its first other bytes.
        truncated: Set while reading, when compressed data end early or are damaged.
    """

    def __init__(self, source: Source, _content: _Bytes | None = None) -> None:
        self.source, self._content = source, _content
        self.written = _content.written if _content else datetime.now(UTC)
        self.encoding, self.truncated = "", False
        self._mark = 0

    def runs(self, batch_bytes: int, max_line_bytes: int) -> Iterator[Run]:
        """Read the source from beginning to end.

        Args:
            batch_bytes: About how many bytes a run has.
            max_line_bytes: Longer lines come in pieces of at most this length.

        Yields:
            Runs in order; none for an empty source.

        Raises:
            InputError: The source is missing, unreadable, a folder, an archive or no text.
        """
        content = self._opened_content()
        with closing(content):
            self._begin(content)
            yield from self._runs(content.feed, max(1, batch_bytes), max_line_bytes)
            self.truncated = any(layer.damage for layer in content.layers)

    def blocks(self) -> Iterator[bytes]:
        """Read the source as the bytes that it unpacks to, instead of as lines.

        Raises:
            InputError: As of `runs`, but for what is no text.
        """
        content = self._opened_content()
        with closing(content):
            yield from content.feed
            self.truncated = any(layer.damage for layer in content.layers)

    def _opened_content(self) -> _Bytes:
        if self._content is None:
            self._content = _unpacked(_opened(self.source), self.source)
            if kind := _archive_kind(self._content):
                self._content.close()
                problem = f"this is a {kind} archive, not a log"
                raise InputError(problem, where=self.source.name, remedy="Read it with read_logs")
        return self._content

    def _begin(self, content: _Bytes) -> None:
        """Look at the first bytes."""
        if not self.encoding:
            self.encoding, self._mark = sniff(content.feed.peek(SNIFF_BYTES), self.source.name)
            self.written = content.written

    def _runs(self, feed: Feed, batch_bytes: int, max_line_bytes: int) -> Iterator[Run]:
        head = feed.peek(SNIFF_BYTES)[self._mark :]
        for _ in feed.take(self._mark):
            pass
        if self.encoding == "utf-8" and is_octet_counted(head, complete=len(head) < SNIFF_BYTES - self._mark):
            octets = OctetCutter(max_line_bytes)
            for block in _evenly(feed, batch_bytes):
                yield from octets.feed(block)
            yield from octets.finish()
            return
        # Before there was Unix, and in what redraws one line, a carriage return ends lines.
        carriage_returns = b"\r" in head[:-1] and b"\n" not in head and not self.encoding.startswith("utf-16")
        yield from self._lines(feed, batch_bytes, max_line_bytes, carriage_returns)

    def _lines(
        self, feed: Feed, batch_bytes: int, max_line_bytes: int, carriage_returns: bool
    ) -> Iterator[Run]:
        cutter = Cutter(self.encoding, max_line_bytes)
        size, decided = self._mark, self.encoding != "utf-8" or self._mark > 0
        for block in _evenly(feed, batch_bytes):
            if not decided and not block.isascii():
                # The first block is looked at together with the whole head, however small blocks are.
                decided = True
                sample = block + feed.peek(SNIFF_BYTES) if len(block) < SNIFF_BYTES else block
                self.encoding = SINGLE_BYTE if is_single_byte(cutter.pending + sample) else self.encoding
            if carriage_returns:
                block = block.replace(b"\r", b"\n")
            for piece, continues in cutter.feed(block):
                yield self._run(piece, continues, size)
                size = 0
        for piece, continues in cutter.finish():
            yield self._run(piece, continues, size)
            size = 0

    def _run(self, piece: bytes, continues: bool, extra_bytes: int) -> Run:
        if self.encoding != SINGLE_BYTE:
            return decode(piece, self.encoding, continues, extra_bytes)
        text = to_utf8(piece)
        return decode(text, "utf-8", continues, extra_bytes + len(piece) - len(text))


def open_logs(sources: Iterable[Source], skipped: list[Skipped] | None = None) -> Iterator[OpenLog]:
    """Open sources one after the other, and the members of archives among them; each is read before the next.

    Args:
        sources: What `expand` returned.
        skipped: Takes what is found in archives and folders and left out: binary files, links, damaged
            members.

    Raises:
        InputError: A source cannot be read; no member is meant by a pattern; or nothing is a text log.
        RefusedError: An archive may do harm, or archives are nested deeper than one in another.
    """
    left_out: list[Skipped] = [] if skipped is None else skipped
    any_log = False
    for source in sources:
        try:
            content = _unpacked(_opened(source), source)
        except InputError as error:
            leave_out(source, error, left_out)
            continue
        with closing(content):
            for log in _logs_in(source, content, left_out, 1 if source.member else 0):
                any_log = True
                yield log
    if not any_log and left_out:
        raise nothing_left(left_out)


def leave_out(source: Source, error: InputError, skipped: list[Skipped]) -> None:
    """What was merely found in a folder or an archive, and is no log, is left out and reported.

    Args:
        source: What could not be read.
        error: Why; to be called where it is handled.
        skipped: Takes the source and the reason.

    Raises:
        InputError: The error, where the source was named by the caller, or may do harm.
    """
    if isinstance(error, RefusedError) or not source.found:
        raise error
    skipped.append(Skipped(source.name, error.problem))


def _logs_in(source: Source, content: _Bytes, skipped: list[Skipped], depth: int) -> Iterator[OpenLog]:
    """The logs of an open source: itself, or the members of the archive that it is."""
    kind = _archive_kind(content)
    if kind and depth > 1:
        problem = "archives in archives in archives are not read"
        raise RefusedError(problem, where=source.name, remedy="Unpack the outer one, and name its members")
    if kind == "zip":
        yield from _zip_logs(source, content, skipped, depth)
    elif kind == "tar":
        yield from _tar_logs(source, content, skipped, depth)
    elif source.select is not None:
        if not source.found:
            remedy = "What stands after `::` names members of an archive"
            raise InputError("not a readable zip or tar archive", where=source.name, remedy=remedy)
    else:
        log = OpenLog(source, content)
        try:
            log._begin(content)
        except InputError as error:
            leave_out(source, error, skipped)
            return
        yield log


def _tar_logs(source: Source, content: _Bytes, skipped: list[Skipped], depth: int) -> Iterator[OpenLog]:
    before, matched = len(skipped), False
    for member, body in tar_members(content.feed, source.name, source.select, skipped):
        matched = True
        inner = _in_tar(source, member)
        layers = [*content.layers, body]
        inside = _Bytes(Feed(body), member.written or content.written, content.meter, lambda: None, layers)
        yield from _guarded(inner, inside, skipped, depth + 1)
    for layer in content.layers:
        if layer.damage:
            skipped.append(Skipped(source.name, f"{layer.damage}: what follows is missing"))
    if not matched and len(skipped) == before:
        leave_out_empty(source, skipped)


def _in_tar(archive: Source, member: TarMember) -> Source:
    _, inner = selects(archive.select, member.name)
    found = archive.found or archive.select != member.name
    return Source(f"{archive.name}::{member.name}", select=inner, found=found)


def _zip_logs(source: Source, content: _Bytes, skipped: list[Skipped], depth: int) -> Iterator[OpenLog]:
    """Members of a zip that is a stream, or lies in another archive; zip files were expanded before."""
    stream = source.stream
    if depth or content.layers:
        data = b"".join(content.feed.take(MAX_NESTED_ZIP + 1))
        if len(data) > MAX_NESTED_ZIP:
            problem = f"a zip of more than {MAX_NESTED_ZIP >> 20} MiB that is packed itself is not read"
            raise RefusedError(problem, where=source.name, remedy="Unpack it, and name the zip within")
        stream = BytesIO(data)
    elif stream is None or not _seekable(stream):
        problem = "a zip cannot be read from a pipe, for its directory stands at its end"
        remedy = "Save it to a file, or pipe its members in: unzip -p FILE | biglog analyze -"
        raise InputError(problem, where=source.name, remedy=remedy)
    outer = Source(source.name, stream=stream, select=source.select, found=source.found)
    before = len(skipped)
    members = zip_members(stream, outer.name, outer.select, skipped)
    for member in members:
        inner = member_source(outer, member)
        body = ZipBody(stream, member, inner.name, meter := Meter(outer=content.meter if depth else None))
        inside = _Bytes(Feed(body), member.written or content.written, meter, lambda: None, [body])
        yield from _guarded(inner, inside, skipped, depth + 1)
    if not members and len(skipped) == before:
        leave_out_empty(source, skipped)


def _guarded(source: Source, content: _Bytes, skipped: list[Skipped], depth: int) -> Iterator[OpenLog]:
    """The logs of a member, or why it has none."""
    try:
        content = _unpacked(content, source)
    except InputError as error:
        leave_out(source, error, skipped)
        return
    yield from _logs_in(source, content, skipped, depth)


def _opened(source: Source) -> _Bytes:
    meter = Meter()
    try:
        stream = stream_of(source)
        written = datetime.now(UTC)
        if source.path is not None:
            written = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
    except (OSError, ValueError) as error:
        raise unreadable(source.name, error) from error
    close = (lambda: None) if source.stream is not None else stream.close
    if source.member is None:
        return _Bytes(Feed(meter.counted(_blocks(stream, source.name))), written, meter, close)
    body = ZipBody(stream, source.member, source.name, meter)
    return _Bytes(Feed(body), source.member.written or written, meter, close, [body])


def _unpacked(content: _Bytes, source: Source) -> _Bytes:
    """The same bytes, decompressed if they are compressed."""
    try:
        head = content.feed.peek(16)
        if codec := codec_of(head):
            seconds = int.from_bytes(head[4:8], "little") if codec == "gzip" else 0
            if seconds:
                content.written = datetime.fromtimestamp(seconds, UTC)
            unpacked = Unpacked(content.feed, codec, source.name, content.meter, len(content.layers))
            content.feed = Feed(unpacked)
            content.layers = [*content.layers, unpacked]
            content.feed.peek(1)
    except BaseException:
        content.close()
        raise
    return content


def _archive_kind(content: _Bytes) -> str:
    head = content.feed.peek(512)
    return "zip" if is_zip(head) else "tar" if is_tar(head) else ""


def stream_of(source: Source) -> BinaryIO:
    """The stream of a source, or its file opened.

    Raises:
        OSError: It cannot be opened.
    """
    if source.path is None:
        assert source.stream is not None
        return source.stream
    return source.path.open("rb")


def _blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of a stream as it gives them."""
    size = SNIFF_BYTES
    while True:
        try:
            block = stream.read(size)
        except (OSError, ValueError) as error:
            raise unreadable(name, error) from error
        if not isinstance(block, bytes):
            raise InputError(
                "the stream gives text, not bytes", where=name, remedy="Open it in binary mode ('rb')"
            )
        if not block:
            return
        yield block
        size = BLOCK


def _seekable(stream: BinaryIO) -> bool:
    try:
        return stream.seekable()
    except (AttributeError, OSError, ValueError):
        return False


def _evenly(feed: Feed, size: int) -> Iterator[bytes]:
    """All bytes in blocks of `size`."""
    while block := b"".join(feed.take(size)):
        yield block


def member_source(archive: Source, member: ZipMember) -> Source:
    """A member of a zip as a source."""
    name = f"{archive.name}::{member.name}"
    found = archive.found or archive.select != member.name
    _, inner = selects(archive.select, member.name)
    return Source(name, archive.path, archive.stream, member, inner, found)


def unreadable(name: str, error: OSError | ValueError) -> InputError:
    """What is wrong with a source that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", where=name, remedy="Check the path")
    if isinstance(error, IsADirectoryError):
        return InputError("this is a folder", where=name, remedy="Read it with read_logs, or name its files")
    if isinstance(error, PermissionError):
        return InputError(
            "no permission to read it", where=name, remedy="Change its mode, or read it as its owner"
        )
    return InputError(
        f"cannot be read ({error})", where=name, remedy="Check that the file is still there and whole"
    )


def leave_out_empty(archive: Source, skipped: list[Skipped]) -> None:
    """Report an archive that has no file, or none that is meant; the one that was named is an error.

    Raises:
        InputError: It was named.
    """
    problem, remedy = "there is no file in this archive", "Check the archive"
    if archive.select is not None:
        problem, remedy = f"no member matches {archive.select!r}", "Check the pattern; `*` matches all"
    if not archive.found:
        raise InputError(problem, where=archive.name, remedy=remedy)
    skipped.append(Skipped(archive.name, problem))


def nothing_left(skipped: list[Skipped]) -> InputError:
    """What is wrong when all that was named is left out."""
    first = skipped[0]
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return InputError(
        f"it was left out ({first.reason}){more}, and no text log remains",
        where=first.name,
        remedy="Name a text log",
    )
