"""Packages of source code fetched by their registries' own clients, as a pinned list says, and checked."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from biglog.data.statements.sources import Project, SourceTree
from biglog.errors import InputError, OutputError

_SECONDS: Final = 600
_WHEEL: Final = "--only-binary :all: --platform any --python-version 3.11 --implementation py --abi none"


@dataclass(frozen=True)
class Package:
    """A row of the list.

    Attributes:
        kind: `wheel` or `sdist` (pip), `npm`, or `debian` (apt-get, which needs a `deb-src` line).
        name: What the registry calls it.
        version: The exact version.
        project: Whose it is: packages of one project share it.
        licence: As SPDX calls it.
        file: Name of the archive.
        sha256: Its checksum.
    """

    kind: str
    name: str
    version: str
    project: str
    licence: str
    file: str
    sha256: str


def read_packages(path: str | Path) -> list[Package]:
    """Reads a list of packages: a CSV with the columns of `Package`.

    Args:
        path: The list.

    Raises:
        InputError: It is missing, or a row lacks something.
    """
    names = [field.name for field in fields(Package)]
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list cannot be read ({error})", where=path, remedy="Name a CSV") from error
    for number, row in enumerate(rows, 1):
        if lacking := [name for name in names if not row.get(name)]:
            raise InputError(
                f"row {number} has no {lacking[0]}", where=path, remedy=f"Columns are {', '.join(names)}"
            )
        if row["kind"] not in _CLIENTS:
            raise InputError(
                f"row {number}: unknown kind {row['kind']!r}",
                where=path,
                remedy=f"Kinds are {', '.join(_CLIENTS)}",
            )
    return [Package(**{name: row[name] for name in names}) for row in rows]


def fetch(
    packages: Iterable[Package], folder: str | Path, progress: Callable[[int, int], None] | None = None
) -> list[SourceTree]:
    """Fetches packages that are not in a folder yet, and checks all of them.

    Args:
        packages: What to fetch.
        folder: Where archives are kept; it is created.
        progress: Called with packages done, and how many there are.

    Returns:
        What to extract statements from, in the order of the packages.

    Raises:
        OutputError: A client is missing or fails, or an archive has another checksum than the list says.
    """
    place, rows = Path(folder).expanduser(), list(packages)
    place.mkdir(parents=True, exist_ok=True)
    trees = []
    for number, package in enumerate(rows):
        path = place / package.file
        if not path.is_file():
            _download(package, path)
        found = checksum(path)
        if found != package.sha256:
            raise OutputError(
                f"wrong checksum: the list says {package.sha256[:12]}…, and it is {found[:12]}…",
                where=path,
                remedy="Delete it and fetch again; if it stays so, do not trust it",
            )
        trees.append(SourceTree(path, Project(package.project, package.version, package.licence)))
        if progress is not None:
            progress(number + 1, len(rows))
    return trees


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file.

    Args:
        path: The file.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(package: Package, path: Path) -> None:
    """Runs the registry's client in a folder of its own, and takes the archive from there."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as scratch:
        command = _CLIENTS[package.kind](package)
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutputError(
                f"{package.name} cannot be fetched ({error})",
                remedy=f"Install {command[0]}, or see that its registry can be reached",
            ) from error
        got = Path(scratch) / package.file
        if done.returncode or not got.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            problem = f"{package.name} {package.version} cannot be fetched by {command[0]}: {said[-1]}"
            raise OutputError(problem, remedy="See that its registry can be reached")
        shutil.move(got, path)


def _pip(package: Package) -> Sequence[str]:
    options = _WHEEL.split() if package.kind == "wheel" else ["--no-binary", ":all:"]
    named = f"{package.name}=={package.version}"
    return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, named]


def _npm(package: Package) -> Sequence[str]:
    return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]


def _apt(package: Package) -> Sequence[str]:
    return ["apt-get", "source", "--download-only", f"{package.name}={package.version}"]


_CLIENTS: Final[dict[str, Callable[[Package], Sequence[str]]]] = {
    "wheel": _pip,
    "sdist": _pip,
    "npm": _npm,
    "debian": _apt,
}
