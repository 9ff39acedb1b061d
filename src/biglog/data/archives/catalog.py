"""What there is of the sixteen domains, and where it lies in a folder.

A folder may hold the published archives as they are (read in place), their unpacked files, or a collection
with `raw/<domain>`, `anomaly/<domain>` and `loghub_2k/<domain>`. File names decide what a file is: the
patterns are in the domain's row.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl

from biglog.data.archives.labels import read_session_labels
from biglog.data.archives.published import (
    ARCHIVES,
    CITATION,
    LICENCE,
    METADATA_URL,
    NOTICE,
    RECORD_URL,
    REPOSITORY_URL,
    Archive,
)
from biglog.errors import InputError
from biglog.logs.domains import DOMAINS, Domain, LogFiles

__all__ = [
    "ARCHIVES",
    "CITATION",
    "LICENCE",
    "METADATA_URL",
    "NOTICE",
    "RECORD_URL",
    "REPOSITORY_URL",
    "Archive",
    "DomainFiles",
    "default_folder",
    "domain",
    "find_files",
    "session_labels",
    "session_of_source",
]

GROUND_TRUTH_VERSIONS: Final = {
    "original": "{name}_2k.log_structured.csv",
    "logparser-corrected": "{name}_2k.log_structured_corrected.csv",
    "loghub-2.0": "loghub2/{name}_2k.log_structured_corrected.csv",
}
"""Versions of the ground truth of the 2k samples, and the end of the path each is known by."""

_COMPRESSIONS: Final = (".gz", ".bz2", ".xz", ".zst")
# `preprocessed/anomaly_label.csv` and `application_.../container_....log` lie one folder deep in the
# archives, and an archive may have been unpacked into a folder of its own.
_DEPTH: Final = 2
_MOST_FILES: Final = 200_000


@dataclass(frozen=True)
class DomainFiles:
    """The files of one domain in a folder.

    Attributes:
        domain: Its name.
        root: The folder that was searched.
        logs: Raw logs in a fixed order, without the 2k samples, as `read_logs` takes them: paths, members
            of a zip (`Hadoop.zip::application_.../container_....log`), or all logs of a tar
            (`Linux.tar.gz::*.log`).
        samples: The samples of 2,000 lines.
        labels: Labels of sessions: paths or members of archives, the most complete first.
        ground_truth: Structured CSV of the sample by `ground_truth_version`.
        failures: Failures that can be predicted, with their times.
        unused: Logs that are left out because an archive in the folder holds the same lines.
    """

    domain: str
    root: Path
    logs: tuple[str, ...] = ()
    samples: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()
    ground_truth: dict[str, Path] = field(default_factory=dict)
    failures: tuple[Path, ...] = ()
    unused: tuple[str, ...] = ()

    def relative(self, source: str | os.PathLike[str]) -> str:
        """Returns how tables name a source: its path relative to the folder, with `/`, members after `::`."""
        path, mark, member = os.fspath(source).partition("::")
        inside = Path(path).is_relative_to(self.root)
        name = Path(path).relative_to(self.root).as_posix() if inside else Path(path).name
        return f"{name}{mark}{member}"

    def kind(self, log: str | os.PathLike[str]) -> LogFiles | None:
        """Returns the row that a log is of: whose it is, and its year; None if no row of the domain fits."""
        name = _bare(os.fspath(log))
        return next((row for row in DOMAINS[self.domain].logs if _fits(name, row.pattern)), None)

    def year(self, log: str | os.PathLike[str]) -> int | None:
        """Returns the year of a log's first line where its timestamps have none; None if it isn't known."""
        row = self.kind(log)
        own = DOMAINS[self.domain].year
        return own if row is None or (row.origin == "Loghub" and row.year is None) else row.year

    @property
    def overlapping(self) -> dict[str, tuple[str, ...]]:
        """Logs that hold lines of other logs here, and which: counted together, those lines count twice."""
        found = {}
        for log in self.logs:
            row = self.kind(log)
            patterns = row.shares_lines_with if row else ()
            others = [one for one in self.logs for pattern in patterns if _fits(_bare(one), pattern)]
            if others:
                found[log] = tuple(others)
        return found


def domain(name: str) -> Domain:
    """Finds a domain by its name in any case, or by its archive's (`SSH`, `HDFS_v1`).

    Raises:
        InputError: There is none of that name; the message names the nearest.
    """
    known = {key.lower(): key for key in DOMAINS}
    known |= {_stem(archive.name).lower(): key for key, archive in ARCHIVES.items()}
    if (found := known.get(name.strip().lower())) is not None:
        return DOMAINS[found]
    near = dict.fromkeys(known[key] for key in get_close_matches(name.lower(), known, n=2, cutoff=0.6))
    remedy = f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(DOMAINS)}"
    raise InputError(f"unknown domain {name!r}", remedy=remedy)


def default_folder() -> Path:
    """Returns where logs are looked for and downloaded to: BIGLOG_DATA, or the user's cache."""
    if set_by_user := os.environ.get("BIGLOG_DATA"):
        return Path(set_by_user)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "biglog" / "loghub"


def find_files(domain_name: str, folder: str | Path | None = None) -> DomainFiles:
    """Finds the files of a domain.

    Where the published archive itself is there, it is read in place, and loose logs of Loghub are left out:
    it holds their lines.

    Args:
        domain_name: Name of the domain, in any case.
        folder: A folder with archives, with the unpacked files of one, or a collection (see above); None for
            `default_folder`.

    Returns:
        What was found; `logs` is empty where there is only a sample.

    Raises:
        InputError: The domain is unknown, the folder is none, or it holds nothing of the domain.
    """
    row = domain(domain_name)
    root = default_folder() if folder is None else Path(folder)
    if not root.is_dir():
        problem = "this is no folder" if root.exists() else "no such folder"
        raise InputError(problem, where=root, remedy=offline_remedy(row.name, root))
    places = _places(row, root)
    files = list(dict.fromkeys(path for place in places for path in _walk(place)))
    archive = _find_archive(row, [root, *places])
    found = _sorted_out(row, root, files, archive)
    if not (found.logs or found.samples or found.labels or found.failures):
        raise InputError(f"no logs of {row.name}", where=root, remedy=offline_remedy(row.name, root))
    return found


def offline_remedy(name: str, folder: Path) -> str:
    """Returns how a user gets a domain's logs, with or without a network on this machine."""
    archive = ARCHIVES[name]
    return (
        f"Run `biglog datasets download {name} --to {folder}`; without a network, fetch {archive.url}"
        f" elsewhere and put {archive.name} into the folder, or set BIGLOG_DATA to a folder that has it"
    )


def session_labels(files: DomainFiles) -> pl.DataFrame:
    """Labels of the sessions of a domain: HDFS blocks, Hadoop applications, OpenStack instances.

    Returns:
        Columns session_id, label and is_anomaly, one row a session, sorted. For OpenStack only the anomalies
        are listed: `Domain.unnamed_label` is that of all others. Empty where the domain has no such labels or
        their files are not there.

    Raises:
        InputError: A file cannot be read, is laid out in a way that is not known, or contradicts another.
    """
    return read_session_labels(DOMAINS[files.domain], files.labels)


def session_of_source(domain_name: str, source_name: str) -> str | None:
    """Returns the session that a log belongs to as a whole, told by its path; None where the path tells none.

    So it is in Hadoop and Spark, where the logs of an application's containers lie in its folder.
    """
    pattern = domain(domain_name).session_path
    match = re.search(pattern, source_name) if pattern else None
    return match[1] if match else None


def _places(row: Domain, root: Path) -> list[Path]:
    """Folders of this domain in a collection; the folder itself where there is none."""
    names = dict.fromkeys((row.name, row.name.lower(), _stem(ARCHIVES[row.name].name)))
    tried = [root / parent / name for parent in ("raw", "anomaly", "loghub_2k", ".") for name in names]
    tried.append(root / "anomaly" / f"{row.name.lower()}_failures")
    # On file systems that ignore case two names are one folder.
    unique = {path.resolve(): path for path in reversed(tried) if path.is_dir()}
    return list(reversed(unique.values())) or [root]


def _walk(place: Path) -> Iterator[Path]:
    """Files below a folder, sorted, a few levels deep."""
    count = 0
    for parent, folders, names in os.walk(place):
        depth = len(Path(parent).relative_to(place).parts)
        folders[:] = sorted(folders) if depth < _DEPTH else []
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                problem = f"more than {_MOST_FILES:,} files"
                raise InputError(problem, where=place, remedy="Name the folder that holds the logs")
            yield Path(parent) / name


def _find_archive(row: Domain, places: list[Path]) -> Path | None:
    name = ARCHIVES[row.name].name
    return next((place / name for place in places if (place / name).is_file()), None)


def _sorted_out(row: Domain, root: Path, files: list[Path], archive: Path | None) -> DomainFiles:
    texts = [str(path) for path in files]
    samples = tuple(path for path in files if _bare(path.name) == f"{row.name}_2k.log")
    loose = _in_order(row, [text for text in texts if Path(text) not in samples])
    labels = [text for pattern in row.label_files for text in texts if _fits(_bare(text), pattern)]
    unused: tuple[str, ...] = ()
    logs = [text for text, _ in loose]
    if archive is not None:
        unused = tuple(text for text, kind in loose if kind.origin == "Loghub")
        inside, inside_labels = _contents(row, archive)
        logs = inside + [text for text, kind in loose if kind.origin != "Loghub"]
        labels += inside_labels
    return DomainFiles(
        row.name,
        root,
        tuple(logs),
        samples,
        tuple(labels),
        _ground_truth(row, files),
        tuple(Path(text) for text in texts for pattern in row.failure_files if _fits(_bare(text), pattern)),
        unused,
    )


def _in_order(row: Domain, texts: list[str]) -> list[tuple[str, LogFiles]]:
    """The logs among some files with the row each is of, in the order of the rows."""
    kinds = {
        text: next((kind for kind in row.logs if _fits(_bare(text), kind.pattern)), None) for text in texts
    }
    return [(text, kind) for kind in row.logs for text in sorted(texts) if kinds[text] is kind]


def _contents(row: Domain, archive: Path) -> tuple[list[str], list[str]]:
    """Logs and labels inside an archive. A tar is not listed: that would cost reading all of it."""
    if archive.suffix != ".zip":
        exact = [pattern for pattern in row.label_files if "*" not in pattern]
        return [f"{archive}::*.log"], [f"{archive}::{name}" for name in exact]
    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(name for name in opened.namelist() if _is_file(name))
    except (OSError, zipfile.BadZipFile) as error:
        remedy = f"Remove it and run `biglog datasets download {row.name} --to {archive.parent}`"
        raise InputError(f"not a readable zip file ({error})", where=archive, remedy=remedy) from error
    logs = [f"{archive}::{name}" for name in names if name.endswith(".log")]
    labels = [name for pattern in row.label_files for name in names if _fits(name, pattern)]
    return logs, [f"{archive}::{name}" for name in labels]


def _is_file(member: str) -> bool:
    """Whether a member of a zip is a file of the data, not what a Mac keeps beside each."""
    return not member.endswith("/") and not PurePosixPath(member).name.startswith("._")


def _ground_truth(row: Domain, files: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for version, ending in GROUND_TRUTH_VERSIONS.items():
        wanted = tuple(ending.format(name=row.name).split("/"))
        for path in files:
            # The two corrected versions have one name: the folder tells them apart.
            in_loghub2 = path.parent.name == "loghub2"
            if path.parts[-len(wanted) :] == wanted and in_loghub2 == (version == "loghub-2.0"):
                found.setdefault(version, path)
    return found


def _bare(text: str) -> str:
    """A path, or the member of an archive, with `/` and without the suffix of a compression."""
    name = text.rpartition("::")[2].replace(os.sep, "/")
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix in _COMPRESSIONS else name


def _fits(name: str, pattern: str) -> bool:
    """Whether as many last parts of a path as a pattern has match it, in any case."""
    parts, wanted = name.lower().split("/"), pattern.lower().split("/")
    tail = parts[-len(wanted) :]
    return len(tail) == len(wanted) and all(map(fnmatchcase, tail, wanted))


def _stem(name: str) -> str:
    return name.removesuffix(".zip").removesuffix(".tar.gz")
