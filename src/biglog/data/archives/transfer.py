"""One file over HTTP: streamed to `<name>.part`, gone on with where it broke off, hashed on the way.

What is remembered between calls (address, ETag, size) is in `<name>.part.json`. A server that ignores
`Range`, or whose file has changed meanwhile, makes the transfer start anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx2 as httpx

from biglog.errors import InputError, OutputError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes of the whole file, if known."""

_CHUNK: Final = 1 << 20
_TIMEOUT: Final = httpx.Timeout(30.0, connect=15.0)
_FRUITLESS: Final = 5  # attempts in a row that bring no further byte
_MOST_ATTEMPTS: Final = 1000
_LONGEST_WAIT: Final = 60.0
_SPARE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Transferred:
    """A file that arrived whole.

    Attributes:
        path: Where it is; still under its `.part` name.
        size: Bytes.
        sha256: Of its bytes, in hexadecimal.
        md5: Likewise.
        url: Where it came from.
        etag: The server's tag, if it gave one.
    """

    path: Path
    size: int
    sha256: str
    md5: str
    url: str
    etag: str | None


class _AgainError(Exception):
    """An attempt failed in a way that another may not.

    Args:
        problem: What happened.
        wait: Seconds that the server asks to wait, or None.
    """

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


@dataclass
class _Part:
    """The part of a file that is there, with its checksums."""

    path: Path
    url: str
    stream: BinaryIO
    etag: str | None = None
    total: int | None = None
    position: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)
    md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))

    @property
    def notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def recall(self) -> None:
        """Takes up what an earlier call left, if it is of the same address."""
        try:
            notes = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            notes = {}
        if not isinstance(notes, dict) or notes.get("url") != self.url:
            self.restart()
            return
        self.etag, self.total = notes.get("etag"), notes.get("size")
        self.stream.seek(0)
        while piece := self.stream.read(_CHUNK):
            self._hash(piece)

    def restart(self) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.position, self.etag, self.total = 0, None, None
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def remember(self, etag: str | None, total: int | None) -> None:
        self.etag, self.total = etag, total
        temporary = self.notes.with_name(f"{self.notes.name}.tmp")
        temporary.write_text(json.dumps({"url": self.url, "etag": etag, "size": total}))
        temporary.replace(self.notes)

    def add(self, piece: bytes) -> None:
        self.stream.write(piece)
        self._hash(piece)

    def _hash(self, piece: bytes) -> None:
        self.sha256.update(piece)
        self.md5.update(piece)
        self.position += len(piece)


def fetch(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    backoff_seconds: float = 1.0,
    remedy: str = "",
) -> Transferred:
    """Fetches a file, or the rest of it.

    Args:
        url: Its address.
        part: Where it is written; what an earlier call left there is kept and gone on with.
        size: Its size in bytes, where that is published.
        progress: Called as bytes arrive.
        backoff_seconds: Wait before the second attempt; it doubles up to a minute, and a server's Retry-After
            goes before it.
        remedy: What errors advise where the file cannot be had over the network.

    Raises:
        InputError: It does not exist, the server refuses or cannot be reached, or the transfer broke off too
            often.
        OutputError: It cannot be written, there is no space for it, or another process is writing it.
    """
    with _opened(part) as stream:
        file = _Part(part, url, stream)
        with _disk(file):
            file.recall()
            _attempts(file, size, progress, backoff_seconds, remedy)
        return Transferred(part, file.position, file.sha256.hexdigest(), file.md5.hexdigest(), url, file.etag)


def forget(part: Path) -> None:
    """Removes what a finished transfer remembered."""
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def fetch_json(url: str, timeout_seconds: float = 15.0) -> Any:
    """Fetches a small JSON document; None where it cannot be had."""
    try:
        with httpx.Client(timeout=timeout_seconds, follow_redirects=True) as client:
            answer = client.get(url, headers={"Accept": "application/json"})
            return answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None


@contextmanager
def _opened(part: Path) -> Iterator[BinaryIO]:
    try:
        # Not "a": on a restart writing must go on at the beginning.
        stream = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})", where=part, remedy="Name another folder"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            problem = "another process is downloading this file"
            raise OutputError(problem, where=part, remedy="Wait until it has finished") from error
        yield stream


@contextmanager
def _disk(file: _Part) -> Iterator[None]:
    try:
        yield
        file.stream.flush()
        os.fsync(file.stream.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(file) from error
        raise OutputError(f"cannot be written ({error.strerror or error})", where=file.path) from error


def _no_space(file: _Part) -> OutputError:
    need = f"{file.total:,} bytes are needed" if file.total else f"{file.position:,} bytes were written"
    with suppress(OSError):
        need += f", {shutil.disk_usage(file.path.parent).free:,} are free"
    remedy = "Free space and call again: it goes on where it stopped; or name a folder on another disk"
    return OutputError(f"no space left ({need})", where=file.path, remedy=remedy)


def _attempts(
    file: _Part, size: int | None, progress: Progress | None, backoff_seconds: float, remedy: str
) -> None:
    fruitless, problem = 0, ""
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        for _ in range(_MOST_ATTEMPTS):
            before = file.position
            try:
                _attempt(client, file, size, progress, remedy)
                return
            except (_AgainError, httpx.TransportError) as error:
                problem = str(error) or type(error).__name__
                fruitless = 0 if file.position > before else fruitless + 1
                if fruitless >= _FRUITLESS:
                    break
                wait = error.wait if isinstance(error, _AgainError) else None
                delay = backoff_seconds * 2**fruitless if wait is None else wait
                time.sleep(min(delay, _LONGEST_WAIT))
            except httpx.InvalidURL as error:
                raise InputError(f"no address ({error})", where=file.url, remedy=remedy) from error
    if not file.position:
        raise InputError(f"cannot be reached ({problem})", where=file.url, remedy=remedy)
    there = f"{file.position:,}" + (f" of {file.total:,}" if file.total else "")
    raise InputError(
        f"the download broke off after {there} bytes ({problem})",
        where=file.url,
        remedy=f"Call again: it goes on where it stopped. {remedy}",
    )


def _attempt(
    client: httpx.Client, file: _Part, size: int | None, progress: Progress | None, remedy: str
) -> None:
    # What counts are the published bytes: no compression on the way, and none taken off.
    headers = {"Accept-Encoding": "identity"}
    if file.position:
        headers["Range"] = f"bytes={file.position}-"
        # A weak tag promises nothing about single bytes.
        if file.etag and not file.etag.startswith("W/"):
            headers["If-Range"] = file.etag
    with client.stream("GET", file.url, headers=headers) as answer:
        if answer.status_code == 416 and file.position:
            if _length_in(answer) == file.position:
                return
            file.restart()
            raise _AgainError("the server's file is shorter than the part that is here", wait=0.0)
        _check_status(answer, file.url, remedy)
        _place(file, answer, size)
        # In pieces as they come: larger ones would be lost with the connection.
        for piece in answer.iter_raw():
            file.add(piece)
            if progress:
                progress(file.position, file.total)
    if file.total is not None and file.position != file.total:
        problem = f"{file.position:,} bytes arrived, {file.total:,} were announced"
        if file.position > file.total:
            file.restart()
        raise _AgainError(problem)


def _check_status(answer: httpx.Response, url: str, remedy: str) -> None:
    code = answer.status_code
    if code in (200, 206):
        return
    problem = f"the server answers {code} {answer.reason_phrase}".strip()
    if code in (408, 425, 429) or code >= 500:
        asked = answer.headers.get("Retry-After", "")
        raise _AgainError(problem, wait=float(asked) if asked.isdecimal() else None)
    raise InputError(problem, where=url, remedy=remedy)


def _place(file: _Part, answer: httpx.Response, size: int | None) -> None:
    """Makes ready to write what the answer holds: the rest, or the whole from the beginning."""
    etag = answer.headers.get("ETag")
    total = _length_in(answer)
    if answer.status_code == 206:
        first = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        same = first is not None and int(first[1]) == file.position
        # Without If-Range (no strong tag) another length or tag is all that tells of another file.
        changed = (file.total, total) if None not in (file.total, total) else (0, 0)
        if not same or changed[0] != changed[1] or (file.etag and etag and etag != file.etag):
            file.restart()
            raise _AgainError("the server's file has changed meanwhile", wait=0.0)
    else:
        file.restart()
    file.stream.seek(file.position)
    file.remember(etag or file.etag, total if total is not None else (file.total or size))
    _check_space(file)


def _check_space(file: _Part) -> None:
    missing = (file.total or 0) - file.position
    if missing > 0 and shutil.disk_usage(file.path.parent).free < missing + _SPARE_BYTES:
        raise _no_space(file)


def _length_in(answer: httpx.Response) -> int | None:
    """Bytes of the whole file as the answer tells, or None."""
    if answer.status_code in (206, 416):
        match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None
