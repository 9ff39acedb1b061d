"""What a task asks, told by its file of metadata."""

from __future__ import annotations


def descriptions() -> dict[str, str]:
    """Returns what each task asks, by its identifier, for tasks that say so."""
    return {}
