"""Files that are kept for other runs: written under another name and renamed, so that none is half there."""

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
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(place)
    except OSError as error:
        remedy = "Check corpus_cache and the space there, or leave it out"
        raise OutputError(f"cannot write ({error})", where=place, remedy=remedy) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
