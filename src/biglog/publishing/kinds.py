"""What can be published, told from what a file or folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.errors import InputError
from biglog.publishing.front_matter import front_matter

KINDS: Final = ("model", "adapter", "detector", "predictor", "parser", "dataset", "results", "space")

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
DETECTOR_CONFIG, PREDICTOR_CONFIG = "detector_config.json", "predictor_config.json"
PARSER_CONFIG = "parser_config.json"

_RESULT: Final = "biglog.result/"


def recognised(what: str | Path) -> str:
    """Returns which of `KINDS` something is.

    Args:
        what: A file, a folder, or the name of an embedded checkpoint.

    Raises:
        InputError: It is nothing that can be published, or there is no such file or folder.
    """
    path = Path(what).expanduser()
    if path.is_file():
        if is_result(path):
            return "results"
        raise InputError(
            "this file is no result of a model", where=path, remedy="Give a folder, or a result file"
        )
    if not path.is_dir():
        if str(what) == DEFAULT_CHECKPOINT:
            return "model"
        raise InputError("there is no such file or folder", where=path, remedy="Give what is to be published")
    found = _by_names(path)
    if found is None:
        raise InputError(
            "this folder holds nothing that can be published: no checkpoint (config.json), adapter "
            f"({ADAPTER_CONFIG}), detector ({DETECTOR_CONFIG}), predictor ({PREDICTOR_CONFIG}), parser "
            f"({PARSER_CONFIG}), built tables, results, or Space",
            where=path,
            remedy="Give the folder that it was saved in",
        )
    return found


def is_result(path: Path) -> bool:
    """Whether a file is a result of a model, of this version or another."""
    told = _json(path) if path.suffix == ".json" else None
    return isinstance(told, dict) and str(told.get("schema", "")).startswith(_RESULT)


def _by_names(folder: Path) -> str | None:
    names = {path.name for path in folder.iterdir()}
    for name, kind in (
        (ADAPTER_CONFIG, "adapter"),
        (DETECTOR_CONFIG, "detector"),
        (PREDICTOR_CONFIG, "predictor"),
        ("config.json", "model"),
        (PARSER_CONFIG, "parser"),
    ):
        if name in names:
            return kind
    if "README.md" in names and "sdk" in front_matter(folder / "README.md"):
        return "space"
    if any(folder.glob("*/build.json")):
        return "dataset"
    return "results" if any(map(is_result, folder.glob("*.json"))) else None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
