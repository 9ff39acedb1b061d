"""Results that a leaderboard is made of, found in files and folders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from biglog.errors import InputError
from biglog.evaluation.leaderboard.checks import check_shown
from biglog.evaluation.results import ModelResults, read_results


@dataclass(frozen=True)
class Entry:
    """Results of a model, and where they are from.

    Attributes:
        results: The model's results.
        path: The file, if it is one here.
        url: Its address, if it is on a Hub.
    """

    results: ModelResults
    path: Path | None = None
    url: str = ""

    @property
    def origin(self) -> str:
        """Where it is from, for messages."""
        return str(self.path) if self.path is not None else self.url or self.results.name


def collect(sources: Iterable[str | Path]) -> list[Entry]:
    """Reads results.

    Args:
        sources: JSON files, or folders that hold them (their own `*.json`, not those of folders below).

    Returns:
        One entry a file, by name of the model.

    Raises:
        InputError: There is no such file, a folder holds none, or a field is wrong; the message names it.
    """
    files = dict.fromkeys(file.resolve() for source in sources for file in _files(Path(source).expanduser()))
    return sorted(map(read_entry, files), key=lambda one: one.results.name)


def read_entry(file: Path) -> Entry:
    """Reads a file of results, and checks it as a leaderboard wants it.

    Args:
        file: The JSON file.

    Raises:
        InputError: It cannot be read, or a field is wrong; the message names it.
    """
    return Entry(check_shown(read_results(file), file), path=file)


def check_names(entries: Sequence[Entry]) -> None:
    """Checks that no two entries are called the same: their rows could not be told apart.

    Raises:
        InputError: Two are; the message names both places.
    """
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.results.name, entry)
        if other is not entry:
            raise InputError(
                f"name is {entry.results.name!r}, as in {other.origin}",
                where=entry.origin,
                remedy="Give each model a name of its own",
            )


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError("there is no such file or folder", where=source, remedy="Name a result or a folder")
    found = sorted(source.glob("*.json"))
    if not found:
        raise InputError(
            "this folder holds no results (*.json)", where=source, remedy="Write one by `biglog evaluate`"
        )
    return found
