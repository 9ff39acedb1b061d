r"""Headers of words with single spaces between them, read without a regex.

Where a layout begins with fields that hold no space, the spaces of a line say where they stand, and each
field is checked by itself: many bytes at a time where it is a run of digits, of capitals or of anything but
one character, else by its own regex on the few distinct values it has. A line that looks otherwise in any
way (two spaces, a field that does not fit, an end in the middle) is left to the regex of the whole header.
So what is read here is what that regex would read: a field without spaces between two spaces matches in one
way only.

What follows the words (an optional `(<Component>(\[<Pid>\])?: )?`, a thread's name with spaces) has a regex
of its own, which starts where they end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from biglog.logs.formats.columns import REACH, Buffer, Flags, Integers, Marks, Stretches, first_bit, stretches
from biglog.logs.timestamps import Stamps, TimestampFormat

ANY: Final = "[^ ]+"
_SPACE: Final = ord(" ")
_ONE: Final = np.uint64(1)
_RANGES: Final = {"[0-9]+": (ord("0"), ord("9")), "[A-Z]+": (ord("A"), ord("Z"))}
_ALL_BUT: Final = re.compile(r"\[\^ ([!-,./:-Z_a-z])\]\+")
# After a timestamp and a space these may be its zone, or the next field: the regex knows.
_ZONE_BEGINS: Final = tuple(b"Z+-")
# With fewer words than these, taking them out costs more than a shorter regex saves.
_MANY: Final = 6
# If most lines look otherwise, looking twice at each is a waste.
_ENOUGH: Final = 0.5

_LITERAL: Final = r"(?:[A-Za-z0-9:,=@_-]|\\[\[\]().|])*"
_WORD: Final = re.compile(rf"({_LITERAL})<([A-Za-z_][A-Za-z0-9_]*)>({_LITERAL})")
# Character classes (none with a space or an escape), escaped points and plain letters, with quantifiers.
_SPACELESS: Final = re.compile(
    r"(?:(?:\[\^ [^\]\\\[]*\]|\[[^\]^ \\\[][^\] \\\[]*\]|\\\.|[A-Za-z0-9_-])"
    r"(?:[+*?]|\{[0-9]+(?:,[0-9]*)?\})?)+"
)


@dataclass(frozen=True)
class Word:
    """What stands between two spaces: a field, perhaps between literals.

    Attributes:
        pattern: Rust regex of the field; it matches no space. None for a part of the timestamp.
        column: Column that the field fills, or "".
        before: Literal before the field.
        after: Literal after the field.
    """

    pattern: str | None
    column: str = ""
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True)
class Plan:
    """How to read the beginning of a header.

    Attributes:
        words: Its words, one space after each.
        stamp: First and last word of the timestamp, or None if it has none.
        form: How the timestamp is written.
        rest: Notation of what follows the words before the content, "" if nothing does.
    """

    words: tuple[Word, ...]
    stamp: tuple[int, int] | None
    form: TimestampFormat | None
    rest: str


@dataclass(frozen=True)
class Found:
    """What the words of lines hold.

    Attributes:
        good: Whether a line begins as planned; shape (rows,). Nothing else holds for other lines.
        fields: Fields by column.
        stamps: The timestamps if the plan has any and all lines are good.
        rest: Each line without these words and the space after them; shape (rows,).
    """

    good: Flags
    fields: dict[str, Stretches]
    stamps: Stamps | None
    rest: Stretches


def plan_words(
    head: str,
    field: Callable[[str], tuple[str, str]],
    time: tuple[str, str],
    form: TimestampFormat | None,
) -> Plan | None:
    """The longest beginning of a header that consists of plain words.

    Args:
        head: Notation of the header, without the content.
        field: Regex and column of a field by its name.
        time: First and last field of the timestamp.
        form: How the timestamp is written, if there is one.

    Returns:
        The plan; None if the header has its timestamp later, or so few words that its regex is as fast.
    """
    words: list[Word] = []
    stamp: tuple[int, int] | None = None
    rest = head
    while (parts := _next_word(rest)) is not None:
        (before, name, after), following = parts
        if name == time[0] and form is not None:
            found = _stamp_words(rest, time, form)
            if found is None:
                break
            stamp_words, rest = found
            stamp = (len(words), len(words) + len(stamp_words) - 1)
            words += stamp_words
            continue
        pattern, column = field(name)
        if not _SPACELESS.fullmatch(pattern):
            break
        words.append(Word(pattern, column, _plain(before), _plain(after)))
        rest = following
    timed = form is not None and f"<{time[0]}>" in head
    worth = words and (not rest or len(words) >= _MANY)
    return Plan(tuple(words), stamp, form, rest) if worth and (stamp or not timed) else None


def _next_word(notation: str) -> tuple[tuple[str, str, str], str] | None:
    """Literal, field name and literal of the first word, and what follows its spaces."""
    word, space, rest = notation.partition(" ")
    match = _WORD.fullmatch(word)
    # Where a notation has several spaces, so have lines.
    if match is None or not space or rest.startswith(" "):
        return None
    before, name, after = match.groups()
    return (before, name, after), rest


def _stamp_words(
    notation: str, time: tuple[str, str], form: TimestampFormat
) -> tuple[list[Word], str] | None:
    """Words of a timestamp, and what follows them; None where their number is not certain."""
    stretch = notation[: notation.index(f"<{time[1]}>")]
    fields, count = stretch.count(" ") + 1, form.strptime.count(" ") + 1
    if fields != count and (fields != 1 or form.zoned):
        return None
    named = notation.split(" ", fields)
    first, last = _WORD.fullmatch(named[0]), _WORD.fullmatch(named[fields - 1])
    if len(named) <= fields or first is None or last is None:
        return None
    if fields > 1 and (first[3] or last[1]):
        return None
    words = [Word(None) for _ in range(count)]
    words[0] = Word(None, before=_plain(first[1]))
    words[-1] = Word(None, before=words[-1].before, after=_plain(last[3]))
    return words, named[fields]


def _plain(literal: str) -> bytes:
    return literal.replace("\\", "").encode()


def read_words(plan: Plan, lines: pl.Series) -> Found | None:
    """Take the words of a plan out of lines.

    Args:
        plan: What to look for.
        lines: Strings, none of them null; shape (rows,).

    Returns:
        What was found; None where most lines begin otherwise, or where their bytes are out of reach.
    """
    text = stretches(lines)
    if text is None:
        return None
    places, start, good = _places(text, len(plan.words), closing=not plan.rest)
    if np.count_nonzero(good) < _ENOUGH * len(good):
        return None
    fields = [_field(text.buffer, place, word, good) for place, word in zip(places, plan.words, strict=True)]
    for word, field in zip(plan.words, fields, strict=True):
        good &= _check(word, field)
    columns = {word.column: field for word, field in zip(plan.words, fields, strict=True) if word.column}
    stamps = None
    if plan.stamp is not None and plan.form is not None:
        first, last = plan.stamp
        columns["timestamp"] = Stretches(text.buffer, fields[first].starts, fields[last].ends)
        stamps = _stamps(columns["timestamp"], plan.form, good)
    rest = Stretches(text.buffer, start, text.ends)
    if good.all():
        return Found(good, columns, stamps, rest)
    return Found(good, {name: field.where(good) for name, field in columns.items()}, None, rest.where(good))


def _places(text: Stretches, count: int, *, closing: bool) -> tuple[list[Stretches], Integers, Flags]:
    """The first words of every line, where the text after them starts, and whether they are all there.

    Args:
        text: The lines.
        count: How many words.
        closing: Whether the line may end after the last one.
    """
    spaces = Marks(text.buffer, _SPACE)
    places, good = [], np.ones(len(text.starts), dtype=np.bool_)
    start, end, base = text.starts, text.starts, text.starts
    ahead = spaces.after(base)
    for number in range(count):
        if not ahead.all():
            # Some line has no further space within reach of where its look-ahead began.
            base, ahead = start, spaces.after(start)
        end, known = base + first_bit(ahead), ahead != 0
        if closing and number == count - 1:
            known |= text.ends <= base + REACH
            end = np.minimum(end, text.ends)
        # Where two spaces follow each other, or the line begins with one, there is an empty word.
        good &= known & (end > start)
        places.append(Stretches(text.buffer, start, end))
        start, ahead = end + 1, ahead & (ahead - _ONE)
    good &= end <= text.ends if closing else end < text.ends
    start = np.minimum(start, text.ends)
    return places, start, good & ((text.buffer[start] != _SPACE) | (start == text.ends))


def _field(buffer: Buffer, place: Stretches, word: Word, good: Flags) -> Stretches:
    """A word without its literals; lines where it lacks them are not good any more."""
    if not good.all():
        place = place.where(good)
    if not word.before and not word.after:
        return place
    starts, ends = place.starts + len(word.before), place.ends - len(word.after)
    good &= ends >= starts
    for at, byte in enumerate(word.before):
        good &= buffer[place.starts + at] == byte
    for at, byte in enumerate(word.after):
        good &= buffer[ends + at] == byte
    field = Stretches(buffer, starts, ends)
    return field if good.all() else field.where(good)


def _check(word: Word, field: Stretches) -> Flags | np.bool_:
    """Whether each line's field fits."""
    if word.pattern is None or word.pattern == ANY:
        # A word without literals has bytes.
        return field.lengths > 0 if word.before or word.after else np.True_
    if word.pattern in _RANGES:
        return field.within(*_RANGES[word.pattern])
    if but := _ALL_BUT.fullmatch(word.pattern):
        return field.without(ord(but[1]))
    return _fits(field.strings, word.pattern)


def _fits(values: pl.Series, pattern: str) -> Flags:
    """Whether each value is matched as a whole; each distinct value is looked at once."""
    distinct = values.unique()
    fits = distinct.str.contains(f"^(?:{pattern})$")
    if fits.all():
        return np.ones(len(values), dtype=np.bool_)
    return values.is_in(distinct.filter(fits).implode()).to_numpy()


def _stamps(place: Stretches, form: TimestampFormat, good: Flags) -> Stamps:
    """The timestamps of good lines; lines with something else in their place are not good any more."""
    if form.zoned:
        following = place.buffer[place.ends + 1]
        for byte in _ZONE_BEGINS:
            good &= following != byte
    if not good.all():
        place = Stretches(place.buffer, place.starts[good], place.ends[good])
    stamps = Stamps.at(place, form)
    good[good] = stamps.matches()
    return stamps
