"""A leaderboard's folder, checked before it is published as a static Space."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from biglog.errors import InputError
from biglog.leaderboard_page import CARD, DATA, PAGE, RESULTS, SCHEMA
from biglog.publishing.checks import check_no_pickles, check_no_places
from biglog.publishing.front_matter import front_matter

_REMEDY: Final = "Write it by `biglog leaderboard ... --space FOLDER`"


def lay_out_space(source: Path, folder: Path) -> list[str]:
    """Copies a leaderboard's folder into an empty one, and checks it.

    Args:
        source: As `biglog leaderboard --space` wrote it.
        folder: Where to; it is empty.

    Returns:
        Names of files and folders that stay here.

    Raises:
        InputError: It is no static Space, or of another version; or a file is a pickle or names a path of
            this machine.
    """
    if front_matter(source / CARD).get("sdk") != "static":
        raise InputError("the card does not say `sdk: static`", where=source / CARD, remedy=_REMEDY)
    for name in (PAGE, DATA):
        if not (source / name).is_file():
            raise InputError(f"the Space lacks {name}", where=source, remedy=_REMEDY)
    try:
        told = json.loads((source / DATA).read_text(encoding="utf-8"))
        schema = told.get("schema")
    except (ValueError, AttributeError) as error:
        raise InputError(f"it cannot be read: {error}", where=source / DATA, remedy=_REMEDY) from error
    if schema != SCHEMA:
        problem = f"schema is {schema!r}, and this version publishes {SCHEMA!r}"
        raise InputError(problem, where=source / DATA, remedy=_REMEDY)
    for name in (CARD, PAGE, DATA):
        shutil.copyfile(source / name, folder / name)
    if (source / RESULTS).is_dir():
        shutil.copytree(source / RESULTS, folder / RESULTS)
    check_no_pickles(folder, source)
    check_no_places(folder, source=source)
    return sorted({path.name for path in source.iterdir()} - {CARD, PAGE, DATA, RESULTS})
