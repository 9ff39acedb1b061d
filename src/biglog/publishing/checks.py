"""What must hold of a folder before any of it is sent: nothing that runs code, nothing of this machine."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from biglog.errors import InputError

PICKLED: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt")

_MAGIC: Final = re.compile(rb"\x80[\x02-\x05]")
_CONTENT: Final = frozenset({"forms", "kept_forms", "accepted", "events", "components", "templates", "vocab"})
"""Fields that hold text of logs, in which a path is no place of this machine."""

_UNREAD: Final = ("tokenizer.json", "vocab.json")


class Place(NamedTuple):
    """A path of this machine in a file that is to be sent.

    Attributes:
        file: The file.
        field: Where in it.
        value: The path.
    """

    file: Path
    field: str
    value: str


def check_no_pickles(folder: Path, source: Path | None = None) -> None:
    """Checks that no file runs code when it is loaded.

    Args:
        folder: What is to be sent.
        source: Where it was copied from, for messages.

    Raises:
        InputError: A file is a pickle, or holds one.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file() and _is_pickle(path):
            raise InputError(
                "this is a pickle, which runs code when it is loaded",
                where=(source or folder) / path.relative_to(folder),
                remedy="Save it as safetensors, or remove it",
            )


def check_no_places(folder: Path, names: Sequence[str] | None = None, source: Path | None = None) -> None:
    """Checks that no JSON file names a path of this machine.

    Args:
        folder: What is to be sent.
        names: Files of it that are sent; None is all, in folders below, too.
        source: Where it was copied from, for messages.

    Raises:
        InputError: One does; the message names the field.
    """
    for place in places(folder, names):
        raise InputError(
            f"{place.field} is {place.value!r}, a path of this machine, which says nothing to others",
            where=(source or folder) / place.file.relative_to(folder),
            remedy="Give --base for what it stands on; --hide-paths keeps only the last part of others",
        )


def places(folder: Path, names: Sequence[str] | None = None) -> Iterator[Place]:
    """Yields the paths of this machine in JSON files.

    Args:
        folder: What is to be sent.
        names: As of `check_no_places`.
    """
    for path in sorted(folder.rglob("*.json")):
        sent = names is None or path.relative_to(folder).as_posix() in names
        if sent and path.name not in _UNREAD:
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"this is no JSON: {error}", where=path, remedy="Save it again") from error
            yield from (Place(path, field, value) for field, value in _texts(told, "") if _is_place(value))


def _texts(told: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(told, str):
        yield field, told
    elif isinstance(told, dict):
        for name, value in told.items():
            if name not in _CONTENT:
                yield from _texts(value, f"{field}.{name}" if field else str(name))
    elif isinstance(told, list):
        for at, value in enumerate(told):
            yield from _texts(value, f"{field}[{at}]")


def _is_place(text: str) -> bool:
    """Whether a text is an absolute path whose first folder is one of this machine."""
    if "\n" in text or len(text) > 4096:
        return False
    path = Path(text)
    if text.startswith("~/") or re.match(r"[A-Za-z]:\\", text):
        return True
    return path.is_absolute() and len(path.parts) > 2 and Path(*path.parts[:2]).is_dir()


def _is_pickle(path: Path) -> bool:
    if path.suffix in PICKLED:
        return True
    with path.open("rb") as file:
        head = file.read(4)
    if _MAGIC.match(head):
        return True
    if head[:2] != b"PK" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as packed:
        return any(name.endswith((".pkl", ".pickle")) for name in packed.namelist())
