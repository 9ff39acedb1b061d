"""Tables and numbers as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Result: TypeAlias = dict[str, Any]
"""What a result file holds."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """Returns a table whose numbers are flush right.

    Args:
        head: Titles.
        rows: Cells; a bar in one is escaped.
        texts: Columns from the left that are text.
    """
    rule = [*("---" for _ in head[:texts]), *("---:" for _ in head[texts:])]
    lines = [head, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def joined(items: Sequence[str]) -> str:
    """Returns a list as it is read out: commas, and `and` before the last."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def origin(file: str, result: Result) -> str:
    """Returns one line on where a result comes from: its file, hardware, commit and day, as far as it says.

    Args:
        file: Name of the result file.
        result: Its content.
    """
    hardware = result.get("hardware") or {}
    git = result.get("git") or result.get("code") or {}
    commit = result.get("commit") or git.get("commit")
    parts = [f"`results/{file}`"]
    if hardware.get("processor"):
        parts.append(f"{hardware['processor']}, {hardware.get('cores')} cores")
    if commit:
        parts.append(f"code at `{commit[:12]}`")
    if result.get("finished"):
        parts.append(str(result["finished"])[:10])
    return "<sub>" + " · ".join(parts) + "</sub>"
