"""A normal form in tokens: what can be constant or variable as a whole.

Tokens are words as blanks and punctuation divide them; dots, dashes, slashes and underscores stay inside,
since names are made with them. A mask token inside a word stays part of it, written as one character, its
*mark*: `node-[NUM]` is one token. Where a value would stand and none does, as in `()` and in `user= `, there
is an empty token, since nothing is a value too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from biglog.logs.masking import MASK_TOKENS

MARKS: Final = {token: chr(0xE001 + number) for number, token in enumerate(MASK_TOKENS)}
"""The mark of each mask token: a character that no text has on purpose."""

STATUS: Final = "\ue000"
"""Mark of an HTTP status, of which the masks leave the class, such as `4xx`."""

MASKED: Final = "\ue0ff"
"""Stands for a token that a user's mask covers, in `Forms.words`."""

CUT: Final = "\ue0fe"
"""Stands at the end of a form for what is not looked at: it is a value."""

VALUE_MARKS: Final = frozenset(MARKS.values())
"""Marks under which a value was seen."""

ANY_MARK: Final = VALUE_MARKS | {STATUS, MASKED, CUT}
PUNCTUATION: Final = frozenset("=:,;()[]{}\"'<>|#.!?")
"""Tokens that are never values."""

_MASKED = re.compile("|".join(map(re.escape, MASK_TOKENS)) + r"|(?<![A-Za-z0-9_])[1-5]xx(?![A-Za-z0-9_])")
TOKEN: Final = re.compile(r"""[^\s=:,;()\[\]{}"'<>|#]+|[=:,;()\[\]{}"'<>|#]""")
_CLOSING = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
_ENDS_VALUE = frozenset(",;)]}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a normal form.

    Attributes:
        start: Offset of its first character in the normal form.
        end: Offset behind its last character; equal to `start` for an empty token.
        text: The token with marks for mask tokens.
    """

    start: int
    end: int
    text: str

    @property
    def has_mark(self) -> bool:
        """Whether a mask token is in it."""
        return not ANY_MARK.isdisjoint(self.text)


def read_tokens(form: str) -> list[Token]:
    """Divides a normal form into tokens.

    Args:
        form: The normal form.

    Returns:
        Tokens in order. What stands between them is blank.
    """
    body = form.removesuffix(CUT)
    marked, offsets = _marked(body)
    found: list[Token] = []
    for match in TOKEN.finditer(marked):
        start, text = match.start(), match.group()
        # Full stops at the end are punctuation, those inside a name are not.
        word = text.rstrip(".!?") or text[0]
        for at, part in _apart(start, word, text):
            found.append(Token(offsets[at], offsets[at + len(part)], part))
    return _with_empty(found) + ([Token(len(body), len(form), CUT)] if body != form else [])


def _marked(form: str) -> tuple[str, list[int]]:
    """The form with marks for mask tokens; the offset in the form of each of its characters, and the end."""
    text: list[str] = []
    offsets: list[int] = []
    at = 0
    for match in _MASKED.finditer(form):
        text.append(form[at : match.start()].translate(_STRAY))
        offsets += range(at, match.start())
        text.append(MARKS.get(match.group(), STATUS))
        offsets.append(match.start())
        at = match.end()
    text.append(form[at:].translate(_STRAY))
    offsets += range(at, len(form) + 1)
    return "".join(text), offsets


_STRAY = dict.fromkeys(map(ord, ANY_MARK), "\ufffd")


def _apart(start: int, word: str, text: str) -> list[tuple[int, str]]:
    rest = text[len(word) :]
    return [(start, word), *((start + len(word) + i, stop) for i, stop in enumerate(rest))]


def _with_empty(tokens: list[Token]) -> list[Token]:
    """Puts an empty token where a value is missing."""
    found: list[Token] = []
    for token in tokens:
        if found:
            last, gap = found[-1], token.start - found[-1].end
            bracketed = gap == 0 and _CLOSING.get(last.text) == token.text
            unassigned = last.text == "=" and (gap > 0 or token.text in _ENDS_VALUE)
            if bracketed or unassigned:
                found.append(Token(last.end, last.end, ""))
        found.append(token)
    if found and found[-1].text == "=":
        found.append(Token(found[-1].end, found[-1].end, ""))
    return found
