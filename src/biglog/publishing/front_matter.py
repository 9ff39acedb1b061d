"""The YAML at the head of a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def front_matter(path: Path) -> dict[str, Any]:
    """Returns what a card's metadata say; nothing if there are none that can be read.

    Args:
        path: The card.
    """
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    try:
        block = REGEX_YAML_BLOCK.search(path.read_text(encoding="utf-8"))
        told = yaml.safe_load(block.group(2)) if block else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return told if isinstance(told, dict) else {}
