"""Levels of log calls: what each framework calls them, and the six they are brought to."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical")
"""Normalised levels, least severe first."""

# Facilities differ in what they call a level, never in the order of what they have: syslog's notice lies just
# above info, JUL's config just below it, and whatever ends the process or wakes somebody up is critical.
_NAMES: Final = {
    "trace": ("trace", "finest", "finer", "silly", "all", "tracef", "v3", "v4", "v5", "vv", "vvv"),
    "debug": (
        "debug", "dbg", "deb", "fine", "verbose", "verb", "config", "v", "v1", "v2",
        "debug1", "debug2", "debug3",
    ),
    "info": ("info", "inf", "information", "informational", "notice", "note", "success", "msg", "message"),
    "warning": ("warning", "warn", "wrn"),
    "error": ("error", "err", "severe", "exception", "fail", "failure", "problem"),
    "critical": (
        "critical", "crit", "fatal", "panic", "dpanic", "alert", "emerg", "emer", "emergency", "dfatal",
        "qfatal", "abort", "die",
    ),
}  # fmt: skip
_NORMAL: Final = {name: level for level, names in _NAMES.items() for name in names}
# Of the names above, those that mean a level also within a longer name; and the suffixes of formatting.
_PLAIN: Final = (
    "trace", "finest", "debug", "dbg", "verbose", "info", "notice", "warning", "warn", "error", "err",
    "severe", "critical", "crit", "fatal", "panic", "alert", "emerg", "emergency",
)  # fmt: skip
_WORDS: Final = {
    f"{name}{suffix}": _NORMAL[name] for name in _PLAIN for suffix in ("", "f", "ln", "w", "v", "x", "s")
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def normal_level(raw: str | None) -> str | None:
    """Returns the normalised level of a level as a program writes it.

    Args:
        raw: Such as `LOG_ERR`, `warn`, `SEVERE`, `Level.FINE`; case does not matter.

    Returns:
        One of `LEVELS`, or None where the name says nothing.
    """
    if raw is None:
        return None
    name = raw.rpartition(".")[2].lower().strip("_")
    return _NORMAL.get(name) or _NORMAL.get(name.removeprefix("log_"))


def normal_levels(raw: pl.Series) -> pl.Series:
    """Returns the normalised levels of a column: `normal_level` of each distinct value.

    Args:
        raw: Levels as written, shape (rows,).
    """
    names = [name for name in raw.unique().to_list() if name is not None]
    pairs = {name: normal_level(name) for name in names}
    return raw.replace_strict(pairs, default=None, return_dtype=pl.String)


def level_in(name: str) -> tuple[str, str] | None:
    """Finds the level in the name of a function, macro or constant.

    Args:
        name: Such as `LOG_ERR`, `logWarning`, `VLOG_WARN`, `Infof`, `kError`.

    Returns:
        The normalised level and the word that says so, the last one there is; None if there is none.
    """
    found = [(_WORDS[word.lower()], word) for word in words(name) if word.lower() in _WORDS]
    return found[-1] if found else None


def words(name: str) -> list[str]:
    """Returns the words of an identifier, cut at underscores, digits and changes of case.

    Args:
        name: Such as `PMD_DRV_LOG`, `logWarning`, `ERRORF`.
    """
    return _WORD.findall(name)
