r"""Which contents have one normal form: a content teaches a regular expression of those that have its own.

:func:`recognize` turns a content into a pattern, in which the text that the masks leave is literal and each
masked value is any value of its class. It gives a pattern only where every content that matches has the
content's normal form. This is argued from the table :data:`biglog.logs.masking.MASKS`, as follows.

1. Contents are printable ASCII. A run of blanks is one blank to every pass behind the second, and outer
   blanks are stripped at the end.
2. No row matches a character of ``()[]{}<>|"';`` (the context of an HTTP status apart), and all of them are
   edges. A row that matches a blank is a date or a clock, which masks without its part behind the blank as
   well; or it begins with a month; or it is an HTTP status. Behind a month or the context of a status no
   value is let in, nor a clock before AM or PM, and of dates and clocks only a clock is let in at all. So the
   *chunks* between these characters and the blanks are masked each on its own, and a chunk that nothing
   varies in is masked as it was.
3. In a chunk with values, none of the rows that match more than a value may find a match, whatever the
   values are. A row is ruled out by a character that it needs: a path by its second slash, or by a slash that
   stands behind a word or before a digit; a file's name by its extension; an address or a time by its colons;
   a date or an identifier by a dash between two hexadecimal words; a longer number by a dot or a comma
   between digits. :data:`_DOUBTS` lists what leaves such a row possible.
4. What is left is words, and each value must be a word by itself, so that the edges hold whatever it is, and
   its class tells which row masks it. Digits inside a word are left to the last row if the word is not
   hexadecimal and no block's name, and begins with no digits, or with such as an underscore follows.

What is not so is not recognized, though its normal form may be as certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from biglog.logs.masking import _EXTENSIONS, _HTTP_CONTEXTS, _MONTH, _SEGMENT, Span, spans

# Of these the contents of one form may begin with different ones.
SKIPPED: Final = "0123456789.:-+[(/, "
# A content that is longer, or holds more values, makes an expression that costs more than it saves.
_LONGEST, _MOST_VALUES = 4_000, 200
_HEX_WORD_LENGTHS: Final = range(8, 41)

_H = "[0-9a-fA-F]"
# Not a lone 0: it stays.
_INTEGER = "(?:[1-9]|0[0-9])[0-9]*"
_DECIMAL = r"[0-9]+\.[0-9]+"
# A path's segments. A date with slashes ends in two that are numbers, or in a month and a number; but here
# the digits that a segment begins with go on as a word, or the segment before begins with a small letter.
_NAMED = rf"/(?:\.|[0-9]*[A-Za-z_]){_SEGMENT}*"
_NUMBERED = rf"/[a-z_.]{_SEGMENT}*/[0-9]+(?:[.~%+@=$-]{_SEGMENT}*)?"

# One character stands for a value while its neighbours are looked at.
_NUMBER, _DIGITS, _HEX, _HEX_WORD, _BLOCK, _IP, _WHOLE, _FILE, _FIXED = map(chr, range(0xE000, 0xE009))
_MARKS: Final = re.compile("([\ue000-\ue008])")

# Kinds of value that one row masks, whatever the value, where it stands by itself.
_CLASSES: Final = {
    "digits-in-word": (_DIGITS, "[0-9]{2,}"),
    "hex": (_HEX, f"0[xX]{_H}+"),
    "block-id": (_BLOCK, "blk_-?[0-9]+(?:_[0-9]+)?"),
    "ipv4": (_IP, r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),
    "uuid": (_WHOLE, f"{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}"),
    "mac": (_WHOLE, f"(?:{_H}{{2}}:){{5}}{_H}{{2}}"),
    "clock": (_WHOLE, "[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?"),
    "path": (_FILE, f"(?:{_NUMBERED}|{_NAMED}(?:{_NUMBERED}|{_NAMED}))(?:{_NUMBERED}|{_NAMED})*/?"),
}

# Values that may begin or end with a digit, be a word's part, or be all of a hexadecimal word.
_DIGIT = f"0-9{_NUMBER}{_DIGITS}{_HEX}{_HEX_WORD}{_BLOCK}{_IP}{_WHOLE}"
_WORD = f"A-Za-z_{_DIGIT}"
_HEXADECIMAL = f"a-fA-F{_DIGIT}"

_CONTEXTS = "|".join(re.escape(before) for before, _ in _HTTP_CONTEXTS)
# Where a row could match across chunks.
_ACROSS: Final = re.compile(rf"{_MONTH} [{_DIGIT}]|(?:{_CONTEXTS})[{_DIGIT}]|{_WHOLE}[.,:]* ?[AP]M")
_BETWEEN_CHUNKS: Final = re.compile(r"""[ ()\[\]{}<>|"';]""")
# What must not be found in a chunk with values.
_DOUBTS: Final = re.compile(
    "|".join(
        (
            # url, windows-path, path, relative-path, and the dates with slashes
            rf"\\|/.*[/{_FILE}]|{_FILE}.*/",
            # root-path: its slash is behind no word, and before no digit
            rf"(?<![A-Za-z0-9_{_DIGITS}])/(?![0-9{_NUMBER}{_IP}{_HEX}])",
            # file-name
            rf"\.{_EXTENSIONS}(?![A-Za-z0-9_])",
            # a path or a file's name that could begin earlier or end later
            rf"[^=:,]{_FILE}|{_FILE}[^:,]",
            # mac, ipv6
            rf"(?::[^:]*){{5}}|::[{_HEXADECIMAL}]+(?![{_WORD}])",
            # clock
            rf"[{_DIGIT}]:[{_DIGIT}]+:[{_DIGIT}]",
            # version, number, date, ipv4
            rf"[{_DIGIT}][.,][{_DIGIT}]",
            # uuid, mac, datetime, compact
            rf"(?<![{_WORD}])[{_HEXADECIMAL}]+[-+][{_HEXADECIMAL}]+(?![{_WORD}])",
            # a value with colons or dashes of its own beside another word
            rf"[^=#@*]{_WHOLE}|{_WHOLE}(?![.,:]*(?:$|[=#@*]))",
        )
    )
)
_WORDS: Final = re.compile(f"[{_WORD}]+")
_VALUE_ALONE: Final = re.compile(f"[{_NUMBER}{_HEX}{_HEX_WORD}{_BLOCK}{_IP}{_WHOLE}]")
_WITH_DIGITS: Final = re.compile(
    f"(?!blk_)(?=.*[g-zG-Z_])(?:[0-9{_DIGITS}]_|[A-Za-z_])[A-Za-z0-9_{_DIGITS}]*"
)


@dataclass(frozen=True)
class Recognizer:
    """Contents that have one normal form.

    Attributes:
        form: The normal form.
        pattern: What such a content is from its start to its end; Python and Polars read it alike.
        opening: What such contents begin with behind the characters in :data:`SKIPPED`, as far as they begin
            alike.
        closing: What they end with, as far as they end alike.
        fixed: Whether nothing varies in them but blanks.
    """

    form: str
    pattern: str
    opening: str
    closing: str
    fixed: bool


def recognize(content: str) -> Recognizer | None:
    """Returns which contents have this one's normal form, or None where that is not certain.

    Args:
        content: A content; it matches the pattern itself.
    """
    if len(content) > _LONGEST or not (content.isascii() and content.isprintable()):
        return None
    found = spans(content)
    if len(found) > _MOST_VALUES:
        return None
    for keep in (False, True):
        classes = [_class(content[span.start : span.end], span.kind, keep) for span in found]
        known = [each for each in classes if each is not None]
        marked = _with_marks(content, found, [mark for mark, _ in known]) if len(known) == len(found) else ""
        if marked and _is_certain(marked):
            return _recognizer(content, found, marked, known)
    return None


def _recognizer(content: str, found: list[Span], marked: str, known: list[tuple[str, str]]) -> Recognizer:
    literals = _MARKS.split(marked)[::2]
    escaped = [pl.escape_regex(literal).replace(" ", " +") for literal in literals]
    return Recognizer(
        form=_joined(literals, [span.token for span in found]),
        pattern=f" *{_joined(escaped, [pattern for _, pattern in known])} *",
        opening=_opening(content, found),
        closing=content[found[-1].end :] if found else content,
        fixed=all(mark == _FIXED for mark, _ in known),
    )


def _class(value: str, kind: str, keep: bool) -> tuple[str, str] | None:
    """Returns a value's mark and the pattern of its class, or None if it is of no class.

    Args:
        value: The value.
        kind: Its kind, as in the table.
        keep: Whether a value without digits is not to vary.
    """
    lasting = kind != "http-status" and not re.search("[0-9]", value)
    if lasting and keep:
        return _FIXED, pl.escape_regex(value)
    if kind == "number":
        return _number(value)
    if kind == "hex-word":
        return (_HEX_WORD, _hex_words(len(value))) if len(value) in _HEX_WORD_LENGTHS else None
    mark, pattern = _CLASSES.get(kind, ("", ""))
    if kind == "file-name" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*\.[a-z0-9]+", value):
        mark, pattern = _FILE, r"[A-Za-z_][A-Za-z0-9_-]*\." + value.rpartition(".")[2]
    if pattern and re.fullmatch(pattern, value):
        return mark, pattern
    return (_FIXED, pl.escape_regex(value)) if lasting else None


def _number(value: str) -> tuple[str, str] | None:
    """Tells apart what the rows of numbers do: a sign and a unit are those of the content that teaches."""
    parts = re.fullmatch(rf"([-+]?)(?:({_INTEGER})|{_DECIMAL})(%|[A-Za-z]*)", value)
    if parts is None:
        return None
    sign, integer, unit = parts.groups()
    return _NUMBER, ("[-+]" if sign else "") + (_INTEGER if integer else _DECIMAL) + unit


def _hex_words(length: int) -> str:
    """Hexadecimal words of one length, at least 8, that are no numbers, not even with b, B or C as a unit."""
    begun = (f"[0-9]{{{k}}}[a-fA-F]{_H}{{{length - k - 1}}}" for k in range(length - 1))
    return f"(?:{'|'.join(begun)}|[0-9]{{{length - 1}}}[ac-fADEF])"


def _with_marks(content: str, found: list[Span], marks: list[str]) -> str:
    """Puts marks in place of the values, and folds and strips blanks."""
    starts = [0, *(span.end for span in found)]
    ends = [*(span.start for span in found), len(content)]
    literals = [content[start:end] for start, end in zip(starts, ends, strict=True)]
    return re.sub(" +", " ", _joined(literals, marks)).strip(" ")


def _joined(literals: list[str], values: list[str]) -> str:
    """Puts values between literals, of which there is one more."""
    return "".join(text for pair in zip(literals, [*values, ""], strict=True) for text in pair)


def _opening(content: str, found: list[Span]) -> str:
    start = len(content) - len(content.lstrip(SKIPPED))
    next_value = min((span.start for span in found if span.end > start), default=len(content))
    return content[start:next_value]


def _is_certain(marked: str) -> bool:
    """Whether the masks treat the values alike whatever they are; ``marked`` has marks in their place."""
    return not _ACROSS.search(marked) and all(
        _chunk_is_certain(chunk) for chunk in _BETWEEN_CHUNKS.split(marked) if _MARKS.search(chunk)
    )


def _chunk_is_certain(chunk: str) -> bool:
    marks = set(_MARKS.findall(chunk))
    if _FIXED in marks:
        return len(marks) == 1
    return not _DOUBTS.search(chunk) and all(_word_is_certain(word) for word in _words_with_values(chunk))


def _words_with_values(chunk: str) -> Iterator[str]:
    return (word for word in _WORDS.findall(chunk) if _MARKS.search(word))


def _word_is_certain(word: str) -> bool:
    return bool(_VALUE_ALONE.fullmatch(word) or _WITH_DIGITS.fullmatch(word))
