"""What zip and tar archives have in common: which members are meant, and which archives are refused.

An archive that holds what no honest archive of logs does is refused: names and links that lead out of it,
encrypted members, members that unpack without end or lie about their size, or too many of them.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from biglog.logs.sources.compression import RefusedError

MAX_MEMBERS: Final = 100_000
"""Members that an archive may have."""

_DRIVE: Final = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Skipped:
    """Something in a folder or an archive that was not read.

    Attributes:
        name: What it is called, as sources are.
        reason: Why it was left out.
    """

    name: str
    reason: str


def selects(pattern: str | None, member: str) -> tuple[bool, str | None]:
    """Whether a pattern means a member, and the pattern that is left for the members in it.

    Args:
        pattern: As in `fnmatch` (`*` also matches `/`); what follows `::` is meant for an archive in the
            archive; None means every member.
        member: Name of the member.
    """
    if pattern is None or pattern == member or fnmatchcase(member, pattern):
        return True, None
    outer, _, inner = pattern.partition("::")
    return bool(inner) and (outer == member or fnmatchcase(member, outer)), inner


def checked_name(name: str, archive: str) -> str:
    """A member's name without `./` before it.

    Raises:
        RefusedError: The name leads out of the archive.
    """
    parts = re.split(r"[/\\]", name)
    if not parts[0] or _DRIVE.match(name) or ".." in parts:
        raise RefusedError(
            f"the member {name!r} has a name that leads out of the archive",
            where=archive,
            remedy="Such an archive may do harm: if you trust it, unpack it and name its files",
        )
    return "/".join(part for part in name.split("/") if part != ".").encode("utf-8", "replace").decode()


def hidden(name: str) -> str:
    """Why a member's name alone says that it is no log, or an empty string."""
    parts = name.split("/")
    if "__MACOSX" in parts[:-1]:
        return "metadata of macOS"
    return "a hidden file" if any(part.startswith(".") for part in parts) else ""


def check_target(name: str, target: str, archive: str, *, beside: bool) -> None:
    """Refuse a link that leads out of the archive.

    Args:
        name: The member that is a link.
        target: What it leads to.
        archive: What errors call the archive.
        beside: Whether the target counts from the link's own folder rather than from the archive's root.

    Raises:
        RefusedError: It leads out of the archive.
    """
    path = posixpath.join(posixpath.dirname(name), target) if beside else target
    path = posixpath.normpath(path.replace("\\", "/"))
    if path.startswith(("/", "../")) or path == ".." or _DRIVE.match(target):
        raise RefusedError(
            f"the member {name!r} is a link that leads out of the archive",
            where=archive,
            remedy="Such an archive may do harm: if you trust it, unpack it and name its files",
        )


def too_many(archive: str) -> RefusedError:
    """The refusal of an archive with more members than `MAX_MEMBERS`."""
    return RefusedError(
        f"it has more than {MAX_MEMBERS} members", where=archive, remedy="Unpack it, and name its files"
    )
