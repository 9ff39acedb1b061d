"""Where source code comes from: folders, archives read in place, and the packages of an environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Final

from biglog.data.statements.licences import FILE, licence_of_text, npm_metadata, pom_metadata, python_metadata
from biglog.errors import InputError
from biglog.logs.sources.archives import Skipped
from biglog.logs.sources.compression import BLOCK, Feed, Meter, Unpacked, codec_of
from biglog.logs.sources.folders import files_below
from biglog.logs.sources.tars import is_tar, tar_members
from biglog.logs.sources.zips import ZipBody, is_zip, zip_members

MOST_BYTES: Final = 4 << 20
"""Bytes up to which a file is read: longer ones were written by a program."""

_TAR_HEAD: Final = 512
_REMEDY: Final = "Give a folder, a zip, wheel, jar or tar of sources, or an environment"


@dataclass(frozen=True)
class Project:
    """Whose code it is.

    Attributes:
        name: Its name; parts that are released apart share one.
        version: Its version, if it can be known.
        licence: Its licence as SPDX calls it, if it can be known.
    """

    name: str | None = None
    version: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class SourceTree:
    """The files of one project.

    Attributes:
        path: The folder or archive.
        told: What the caller knows of the project; it goes before what the files say.
        distribution: Folder of the metadata of one installed package, to which the files belong.
    """

    path: Path
    told: Project = Project()
    distribution: Path | None = None

    @property
    def name(self) -> str:
        """What reports call it."""
        return str(self.distribution or self.path)

    def files(
        self, wanted: Callable[[str], bool], skipped: list[Skipped]
    ) -> Iterator[tuple[str, bytes | None]]:
        """Reads files, in the order of their names (of a tar: in its own).

        Args:
            wanted: Tells by its path whether a file is to be read.
            skipped: Takes what is left out.

        Yields:
            Every path, with `/`, and the bytes; None where they are not wanted.

        Raises:
            InputError: It cannot be read, or is no archive that is known.
        """
        if self.distribution is not None:
            yield from self._installed(wanted)
        elif self.path.is_dir():
            for file in files_below(self.path, skipped):
                path = file.relative_to(self.path).as_posix()
                yield path, _bounded(file.read_bytes()) if wanted(path) else None
        else:
            yield from _archive_files(self.path, wanted, skipped)

    def _installed(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
        assert self.distribution is not None
        listed = PathDistribution(self.distribution).files or ()
        for file in sorted(set(map(str, listed))):
            place = self.path / file
            if file.startswith("../") or not place.is_file():
                continue
            yield file, _bounded(place.read_bytes()) if wanted(file) else None


def source_trees(sources: Sequence[str | Path | SourceTree]) -> list[SourceTree]:
    """Turns what a caller names into projects.

    Args:
        sources: Folders, archives, environments (a folder with `pyvenv.cfg`, or `site-packages`), or what was
            made of them already.

    Returns:
        A tree a folder or archive, and one a package of an environment, by name.

    Raises:
        InputError: Something does not exist, or there is nothing.
    """
    found = [tree for source in sources for tree in _trees(source)]
    if not found:
        raise InputError("no source was named", remedy=_REMEDY)
    return found


def _trees(source: str | Path | SourceTree) -> list[SourceTree]:
    if isinstance(source, SourceTree):
        return [source]
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError("there is no such source", where=path, remedy=_REMEDY)
    if (path / "pyvenv.cfg").is_file():
        return [tree for inner in sorted(path.glob("lib*/python*/site-packages")) for tree in _trees(inner)]
    installed = sorted(path.glob("*.dist-info")) if path.is_dir() else []
    return [SourceTree(path, distribution=one) for one in installed] or [SourceTree(path)]


def _bounded(data: bytes) -> bytes:
    return data if len(data) <= MOST_BYTES else b""


def _archive_files(
    path: Path, wanted: Callable[[str], bool], skipped: list[Skipped]
) -> Iterator[tuple[str, bytes | None]]:
    """The members of an archive; nothing is unpacked to disk."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
            if is_zip(head):
                for member in zip_members(stream, str(path), None, skipped):
                    body = ZipBody(stream, member, f"{path}::{member.name}", Meter())
                    take = wanted(member.name) and member.unpacked <= MOST_BYTES
                    yield member.name, b"".join(body) if take else None
                return
            stream.seek(0)
            meter = Meter()
            feed = Feed(meter.counted(iter(lambda: stream.read(BLOCK), b"")))
            while codec := codec_of(feed.peek(16)):
                feed = Feed(Unpacked(feed, codec, str(path), meter))
            if not is_tar(feed.peek(_TAR_HEAD)):
                raise InputError("this is neither a folder nor a zip or tar", where=path, remedy=_REMEDY)
            for inside, bytes_of in tar_members(feed, str(path), None, skipped):
                yield inside.name, _bounded(b"".join(bytes_of)) if wanted(inside.name) else None
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", where=path, remedy=_REMEDY) from error


class Metadata:
    """Learns from a project's own files whose they are.

    Args:
        tree: The files.
    """

    _READERS: Final = (
        (re.compile(r"(?:[^/]+/)?(?:[^/]+\.dist-info/METADATA|PKG-INFO)"), python_metadata),
        (re.compile(r"(?:package/|[^/]+/)?package\.json"), npm_metadata),
        (re.compile(r"(?:[^/]+/)?pom\.xml|META-INF/maven/[^/]+/[^/]+/pom\.xml"), pom_metadata),
    )

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._told: list[tuple[int, Project]] = []
        self._licences: list[tuple[int, str, str | None]] = []

    @classmethod
    def wants(cls, path: str) -> bool:
        """Whether a file tells something about the project.

        Args:
            path: Its path.
        """
        return FILE.fullmatch(path) is not None or any(one.fullmatch(path) for one, _ in cls._READERS)

    def read(self, path: str, data: bytes) -> None:
        """Takes in a file that `wants` chose.

        Args:
            path: Its path.
            data: Its bytes.
        """
        text = data.decode("utf-8", "replace")
        for rank, (pattern, reader) in enumerate(self._READERS):
            if pattern.fullmatch(path):
                self._told.append((rank, Project(*reader(text))))
                return
        self._licences.append((path.count("/"), path, licence_of_text(text)))

    def project(self) -> Project:
        """What is known once all files were seen: told by the caller, by metadata, by files, by the path."""
        sources = [self._tree.told, *(project for _, project in sorted(self._told, key=lambda one: one[0]))]
        stem, version = _from_path(self._tree.path)
        by_text = next((spdx for _, _, spdx in sorted(self._licences, key=lambda one: one[:2]) if spdx), None)
        sources.append(Project(stem, version, by_text))
        return Project(
            *(
                next((value for one in sources if (value := getattr(one, field))), None)
                for field in ("name", "version", "licence")
            )
        )


def _from_path(path: Path) -> tuple[str, str | None]:
    """Name and version that the name of a folder or an archive tells: `celery-5.4.0.tar.gz`."""
    stem = re.sub(r"(?:\.orig)?\.(?:tar\.\w+|tgz|tbz2|txz|zip|whl|jar|tar)$", "", path.absolute().name)
    match = re.fullmatch(r"(?P<name>.+?)[-_]v?(?P<version>\d[\w.+]*)(?:-sources|-py\S*|-cp\S*)?", stem)
    return (match["name"], match["version"]) if match else (stem.removesuffix("-sources"), None)
