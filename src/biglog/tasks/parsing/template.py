"""A template: text with `<*>` for values, which finds its values in a content and puts them back.

Finding goes literal by literal, each where it first stands, which finds what a regular expression with `.*?`
for `<*>` would, in time that grows with the content alone. Runs of blanks count as one, and terminal colours
as nothing, as in normal forms; they stay in what is put back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import polars as pl

from biglog.errors import InputError

WILDCARD: Final = "<*>"

Spans = list[tuple[int, int]]
"""First offset and offset behind the last character of each value, in order."""

# What the masks call a blank; both dialects read it alike.
_BLANK = r"[ \t\n\r\x0b\x0c]"
_COLOUR = r"\x1b\[[0-9;]*[A-Za-z]"
IRREGULAR: Final = rf"\x1b|{_BLANK}{{2}}|[\t\n\r\x0b\x0c]|^ | $"
"""Finds contents that are not as `fold` leaves them, in Python's dialect and in Polars'."""

_FOLDED = re.compile(rf"(?P<colour>{_COLOUR})|(?P<blank>{_BLANK}+)|[^ \t\n\r\x0b\x0c\x1b]+|\x1b")
_IS_IRREGULAR = re.compile(IRREGULAR)


def event_id(template: str) -> str:
    """Returns the identity of a template: it depends on nothing but the template's text."""
    return hashlib.sha256(template.encode("utf-8", "replace")).hexdigest()[:12]


@dataclass(frozen=True)
class Template:
    """A template.

    Attributes:
        text: Constant text with `<*>` for values.
    """

    text: str

    @cached_property
    def parts(self) -> list[str]:
        """The constant text before, between and behind the values; one more than there are values."""
        return self.text.split(WILDCARD)

    @property
    def event_id(self) -> str:
        """The identity of the event that has this template."""
        return event_id(self.text)

    def format(self, values: Sequence[str]) -> str:
        """Puts values in their places.

        Args:
            values: As many as there are `<*>`.

        Raises:
            InputError: There are more or fewer of them.
        """
        if len(values) != len(self.parts) - 1:
            remedy = "Give one value for each <*>"
            places = len(self.parts) - 1
            raise InputError(f"{len(values)} values for {places} places in {self.text!r}", remedy=remedy)
        return self.parts[0] + "".join(
            value + part for value, part in zip(values, self.parts[1:], strict=True)
        )

    def spans(self, content: str) -> Spans | None:
        """Finds the values in a content.

        Args:
            content: The content.

        Returns:
            Where they stand, or None where the content is no instance of this template.
        """
        if _IS_IRREGULAR.search(content) is None:
            return _find(self._folded, content)
        folded, offsets = _fold(content)
        found = _find(self._folded, folded)
        if found is None:
            # An empty value stands between two blanks, or behind the last.
            return _find(self._folded, content)
        return [
            (offsets[start], offsets[end - 1] + 1 if end > start else offsets[start]) for start, end in found
        ]

    @cached_property
    def _folded(self) -> list[str]:
        return fold(self.text).split(WILDCARD)


def has_text(template: str) -> bool:
    """Whether a template has anything constant but blanks: otherwise it says nothing of a line."""
    return bool(template.replace(WILDCARD, "").strip())


def fold(text: str) -> str:
    """Returns a text with runs of blanks as one, without outer ones and without terminal colours."""
    return _fold(text)[0]


def fold_all(contents: pl.Series) -> pl.Series:
    """As `fold`, of a column: dtype String without null, shape (lines,)."""
    rows = contents.str.contains(IRREGULAR).arg_true()
    if not len(rows):
        return contents
    irregular = contents.gather(rows).str.replace_all(_COLOUR, "").str.replace_all(rf"{_BLANK}+", " ")
    # `scatter` changes the series that it is asked of.
    return contents.clone().scatter(rows, irregular.str.strip_chars(" "))


def of_spans(content: str, spans: Spans) -> tuple[str, Spans]:
    """Writes the template of one content by where its values stand.

    Args:
        content: The content.
        spans: Of values, in order, none overlapping another.

    Returns:
        The template, and its spans: those given and one for each `<*>` that the content itself has, so that
        the template with the values in place is the content.
    """
    parts, every, at = [], [], 0
    for start, end in [*spans, (len(content), len(content))]:
        literal = content[at:start]
        every += [(at + m.start(), at + m.end()) for m in re.finditer(re.escape(WILDCARD), literal)]
        parts.append(literal)
        every.append((start, end))
        at = end
    return WILDCARD.join(parts), every[:-1]


def _find(parts: Sequence[str], content: str) -> Spans | None:
    if len(parts) == 1:
        return [] if content == parts[0] else None
    if not content.startswith(parts[0]):
        return None
    found, at = [], len(parts[0])
    for part in parts[1:-1]:
        end = content.find(part, at)
        if end < 0:
            return None
        found.append((at, end))
        at = end + len(part)
    end = len(content) - len(parts[-1])
    if end < at or not content.endswith(parts[-1]):
        return None
    return [*found, (at, end)]


def _fold(content: str) -> tuple[str, list[int]]:
    """The content with blanks folded, outer ones and colours removed; where each of its characters stood."""
    text: list[str] = []
    offsets: list[int] = []
    blank: int | None = None
    for match in _FOLDED.finditer(content):
        if match.lastgroup == "colour":
            continue
        if match.lastgroup == "blank":
            blank = match.start() if blank is None and text else blank
            continue
        if blank is not None:
            text.append(" ")
            offsets.append(blank)
            blank = None
        text.append(match.group())
        offsets += range(match.start(), match.end())
    return "".join(text), [*offsets, len(content) if blank is None else blank]
