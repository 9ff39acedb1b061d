"""Files written under another name and renamed, so that none is half there; those kept for other runs are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from biglog.errors import OutputError


def keep(place: Path, write: Callable[[Path], object]) -> None:
    """Writes a file of `corpus_cache`.

    Args:
        place: Where it goes; its folder is made.
        write: Writes it to the path that it is given.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(error, place, _CACHE) from error
    write_whole(place, write, _CACHE)


def write_whole(place: Path, write: Callable[[Path], object], remedy: str = "Check folder and space") -> None:
    """Writes a file under another name and renames it.

    Args:
        place: Where it goes; its folder is there.
        write: Writes it to the path that it is given.
        remedy: What to do if it cannot be written.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(place)
    except OSError as error:
        raise _unwritten(error, place, remedy) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _unwritten(error: OSError, place: Path, remedy: str) -> OutputError:
    return OutputError(f"it cannot be written ({error.strerror or error})", where=place, remedy=remedy)


_CACHE = "Check corpus_cache and the space there, or leave it out"
