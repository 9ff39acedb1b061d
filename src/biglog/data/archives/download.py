"""The published archives: downloaded once, checked ever after.

Beside the archives stands `checksums.json`: for each its SHA-256, size, address, ETag and the date of its
first download. A file whose checksum is wrong is never used: it is set aside as `<name>.bad`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from biglog.data.archives.catalog import ARCHIVES, Archive, domain, find_files
from biglog.data.archives.published import CITATION, METADATA_URL, NOTICE, RECORD_URL
from biglog.data.archives.transfer import Progress, Transferred, fetch, fetch_json, forget
from biglog.errors import InputError, OutputError
from biglog.logs.sources.expand import OpenLog, expand, open_logs

CHECKSUMS: Final = "checksums.json"
URL_VARIABLE: Final = "BIGLOG_LOGHUB_URL"

_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Published:
    """What the record's metadata say of an archive.

    Attributes:
        md5: Its checksum.
        size: Its bytes, if stated.
    """

    md5: str
    size: int | None


@dataclass(frozen=True)
class FileReport:
    """One file as it is now.

    Attributes:
        name: Its path relative to the folder.
        size: Bytes on disk.
        sha256: Of the file as it is now.
        recorded: SHA-256 at its first download, or None for a file that was not downloaded here.
    """

    name: str
    size: int
    sha256: str
    recorded: str | None

    @property
    def changed(self) -> bool:
        """Whether it is another file than was downloaded."""
        return self.recorded is not None and self.recorded != self.sha256


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        domain: The domain.
        files: The archive, or the loose logs where there is none.
        lines: Lines counted, or None where they were not.
        logs: Logs they were counted in.
        published_lines: Lines of the whole archive, as published.
    """

    domain: str
    files: tuple[FileReport, ...]
    lines: int | None
    logs: int
    published_lines: int

    @property
    def complete(self) -> bool | None:
        """Whether all published lines are there; None where they were not counted.

        Loghub counts line ends, and a log may lack its last one.
        """
        if self.lines is None:
            return None
        return self.published_lines <= self.lines <= self.published_lines + self.logs

    @property
    def ok(self) -> bool:
        """Whether no file has changed."""
        return not any(file.changed for file in self.files)


def download(
    domain_name: str,
    folder: str | Path,
    *,
    url: str | None = None,
    progress: Progress | None = None,
    backoff_seconds: float = 1.0,
) -> Path:
    """Downloads the archive of a domain, or the rest of it, and checks it.

    An archive that is there already is checked, not fetched again. Loghub's notice is put beside it.

    Args:
        domain_name: Name of the domain, in any case.
        folder: Where to; made if it is missing.
        url: Address of the record, where archives are at `<url>/files/<archive>`; by default the variable
            BIGLOG_LOGHUB_URL, else zenodo.org.
        progress: Called with the bytes that are there and the bytes of all, if known.
        backoff_seconds: Wait before the second attempt of a transfer; it doubles.

    Returns:
        The archive.

    Raises:
        InputError: The domain is unknown; the archive cannot be had; its checksum is not the one published,
            or not the one of its first download.
        OutputError: It cannot be written, or there is no space.
    """
    archive, folder = ARCHIVES[domain(domain_name).name], Path(folder)
    record = (url or os.environ.get(URL_VARIABLE) or RECORD_URL).rstrip("/")
    _make_folder(folder)
    target = folder / archive.name
    if target.exists():
        _check_present(archive, target)
        return target
    published = published_checksum(archive, record)
    file = fetch(
        f"{record}/files/{archive.name}?download=1",
        folder / f"{archive.name}.part",
        size=published.size if published else None,
        progress=progress,
        backoff_seconds=backoff_seconds,
        remedy=f"Without a network, fetch {archive.url} elsewhere and put it into {folder}, or set"
        " BIGLOG_DATA to a folder that has it",
    )
    _check_arrived(archive, file, published, checksums(folder).get(archive.name))
    _keep(archive, file, target)
    return target


def verify(
    domain_name: str, folder: str | Path, *, lines: bool = False, progress: Progress | None = None
) -> VerifyReport:
    """Hashes the files of a domain anew and compares them with what was recorded at download.

    Args:
        domain_name: Name of the domain, in any case.
        folder: Where they are.
        lines: Count the lines too.
        progress: Called with the bytes hashed so far and the bytes of all.

    Raises:
        InputError: The domain is unknown, nothing of it is there, or a file cannot be read.
    """
    found = find_files(domain_name, folder)
    recorded = checksums(found.root)
    names = dict.fromkeys(log.partition("::")[0] for log in found.logs)
    paths = [Path(name) for name in names] or list(found.samples)
    total, done = sum(path.stat().st_size for path in paths), 0
    reports = []
    for path in paths:
        sha256 = _sha256(path, progress and _shifted(progress, done, total))
        size = path.stat().st_size
        done += size
        name = found.relative(path)
        reports.append(FileReport(name, size, sha256, recorded.get(name, {}).get("sha256")))
    counts = [_count_lines(log) for log in open_logs(expand(found.logs))] if lines and found.logs else []
    counted = sum(counts) if lines else None
    return VerifyReport(found.domain, tuple(reports), counted, len(counts), ARCHIVES[found.domain].lines)


def checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns what is recorded about the archives in a folder, by file name.

    Raises:
        InputError: The record is damaged.
    """
    path = folder / CHECKSUMS
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        remedy = "Remove it if you trust the files beside it"
        raise InputError(
            f"the record of checksums cannot be read ({error})", where=path, remedy=remedy
        ) from error
    if not isinstance(records, dict) or not all(isinstance(row, dict) for row in records.values()):
        raise InputError("not a record of checksums", where=path, remedy="Remove it if you trust the files")
    return records


def published_checksum(archive: Archive, record: str = RECORD_URL) -> Published | None:
    """Returns what the record's metadata say of an archive; None where they cannot be had or don't tell."""
    metadata = METADATA_URL if record == RECORD_URL else record.replace("/records/", "/api/records/")
    answer = fetch_json(metadata) if metadata != record else None
    files = answer.get("files") if isinstance(answer, dict) else None
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and file.get("key") == archive.name:
            kind, _, digest = str(file.get("checksum", "")).partition(":")
            size = file.get("size")
            if kind == "md5" and digest:
                return Published(digest.lower(), size if isinstance(size, int) else None)
    return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder cannot be made ({error.strerror})", where=folder, remedy="Name another one"
        ) from error


def _check_present(archive: Archive, target: Path) -> None:
    """An archive that is there: as recorded, or put there by hand and recorded now."""
    digest, size = _sha256(target), target.stat().st_size
    recorded = checksums(target.parent).get(archive.name)
    if recorded is None:
        _check_kind(archive, target)
        # A folder that cannot be written to is a collection that somebody else keeps.
        with suppress(OutputError):
            _record(target, {"sha256": digest, "size": size, "url": None, "etag": None})
    elif recorded.get("sha256") != digest:
        raise InputError(
            f"wrong checksum: SHA-256 {digest}, but {recorded.get('sha256')} when it was downloaded",
            where=target,
            remedy="It was changed since: move it away and download it again",
        )


def _check_arrived(
    archive: Archive, file: Transferred, published: Published | None, recorded: dict[str, Any] | None
) -> None:
    problem = ""
    if published and published.md5 != file.md5:
        problem = f"wrong checksum: MD5 {file.md5}, but {published.md5} is published"
    elif recorded and recorded.get("sha256") != file.sha256:
        problem = f"wrong checksum: SHA-256 {file.sha256}, but {recorded.get('sha256')} at its first download"
    if problem:
        bad = _set_aside(file.path, archive.name)
        remedy = f"It is kept as {bad.name}; download it again"
        if recorded and not published:
            remedy += f", or remove its entry from {CHECKSUMS} if a new version was published"
        raise InputError(problem, where=file.url, remedy=remedy)
    try:
        _check_kind(archive, file.path)
    except InputError as error:
        bad = _set_aside(file.path, archive.name)
        remedy = f"It is kept as {bad.name}: perhaps a page of a proxy came in its place; download it again"
        raise InputError(error.problem, where=file.url, remedy=remedy) from error


def _check_kind(archive: Archive, path: Path) -> None:
    """Whether a file is an archive of its kind at all."""
    is_zip = archive.name.endswith(".zip")
    with path.open("rb") as stream:
        right = zipfile.is_zipfile(stream) if is_zip else stream.read(2) == b"\x1f\x8b"
    if not right:
        kind = "zip" if is_zip else "gzip"
        raise InputError(f"this is no {kind} file", where=path, remedy="Fetch it again")


def _set_aside(part: Path, name: str) -> Path:
    bad = part.with_name(f"{name}.bad")
    part.replace(bad)
    forget(part)
    return bad


def _keep(archive: Archive, file: Transferred, target: Path) -> None:
    """Records the checksum first: were it the other way round, a stop between would lose it."""
    _record(target, {"sha256": file.sha256, "size": file.size, "url": file.url, "etag": file.etag})
    for name, text in (("LOGHUB_LICENSE", NOTICE), ("LOGHUB_CITATION.bib", CITATION)):
        if not (target.parent / name).exists():
            _write(target.parent / name, text)
    try:
        file.path.replace(target)
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", where=target) from error
    forget(file.path)


def _record(target: Path, row: dict[str, Any]) -> None:
    """Adds one archive to the record; other processes may be adding others."""
    with _locked(target.parent):
        records = checksums(target.parent)
        first = records.get(target.name, {}).get("first_download", datetime.now(UTC).date().isoformat())
        records[target.name] = {**row, "first_download": first}
        _write(target.parent / CHECKSUMS, json.dumps(records, indent=2, sort_keys=True) + "\n")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot be written ({error.strerror})", where=path) from error


def _sha256(path: Path, progress: Progress | None = None) -> str:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                done += len(block)
                if progress:
                    progress(done, total)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, remedy="Check its mode") from error
    return digest.hexdigest()


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def _count_lines(log: OpenLog) -> int:
    runs = log.runs(batch_bytes=8 << 20, max_line_bytes=1 << 20)
    return sum(len(run.lines) - run.continues for run in runs)
