"""What a task is called, told by its file of metadata."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml


@cache
def titles() -> dict[str, str]:
    """Returns the title of each task that has a file of metadata, by its identifier."""
    folder = files("biglog.evaluation") / "tasks"
    if not folder.is_dir():
        return {}
    told = [
        yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    ]
    return {one["id"]: one["title"] for one in told}
