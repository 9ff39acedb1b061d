"""The checkpoints that travel inside the package, each laid out as a Hub model repository."""

from __future__ import annotations

from pathlib import Path

from biglog.errors import CheckpointError

DEFAULT_CHECKPOINT = "biglog-mini"


def checkpoint_path(name: str = DEFAULT_CHECKPOINT) -> Path:
    """Returns the folder of an embedded checkpoint.

    Args:
        name: Name of an embedded checkpoint.

    Raises:
        CheckpointError: No checkpoint of that name is embedded.
    """
    root = Path(__file__).parent
    folder = root / name
    if not (folder / "config.json").is_file():
        known = ", ".join(sorted(p.parent.name for p in root.glob("*/config.json"))) or "none"
        remedy = f"Embedded here: {known}; or give a folder or Hub id"
        raise CheckpointError(f"no embedded checkpoint is called {name!r}", remedy=remedy)
    return folder
