"""What a column of tokens looks like: the numbers from which constant is told from variable.

A *node* is a set of forms with equally many tokens, a *column* the tokens at one place of them. Numbers are
about the values in the column (how many, how even, of which letters), about the rest of the line (does it
stay the same where the value changes?), about the neighbours, about what log statements say of these words,
and about the texts under a mask. None depends on a log's own words: what is learnt on some logs holds on
others.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from biglog.tasks.parsing.forms import Forms
from biglog.tasks.parsing.lexicon import BEGIN, END, Lexicon
from biglog.tasks.parsing.tokens import ANY_MARK

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_FORMS: Final = 200
"""Forms of a node that are compared with each other."""

FEATURES_VERSION: Final = 1
"""Raised when `features` says something else: judges taught by other features know nothing of these."""

_MOST_VALUES: Final = 40
_FAR: Final = 10**6
_MARK = "[" + "".join(sorted(ANY_MARK)) + "]"
_SHAPES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"[A-Za-z_]+[-._#@/]+{_MARK}+",
        rf"[A-Za-z_]+{_MARK}+",
        rf"{_MARK}+[A-Za-z%]+",
        rf"[A-Za-z]+[-_][A-Za-z]+.*{_MARK}.*",
        rf"{_MARK}([-./_x]{_MARK})+",
        r".*\.\.\.+.*",
        r".*[a-z]\.[a-z]+\.[A-Za-z].*",
        r"[A-Za-z]+\.[A-Za-z]{1,4}",
        r"[A-Z][a-z]+([A-Z][a-z]+)+",
        r"[A-Z_]+",
        r"-?\d+",
    )
)
_CLOSED = frozenset(
    ("0", "-", "true", "false", "null", "None", "NULL", "True", "False", "yes", "no", "on", "off")
)
_NEIGHBOURS = ("=", ":", "(", "[", '"', "'", ","), ("=", ":", ")", "]", '"', "'", ",")


@dataclass(frozen=True)
class Node:
    """Forms with equally many tokens, as a table.

    Attributes:
        forms: Their numbers.
        codes: The tokens of each column numbered by their text, shape (forms, columns).
        lines: How many lines have one of these forms.
    """

    forms: tuple[int, ...]
    codes: Codes
    lines: int

    @classmethod
    def of(cls, forms: Forms, numbers: Sequence[int]) -> Node:
        """Reads the tokens of some forms."""
        rows = [forms.words[form] for form in numbers]
        columns = []
        for column in zip(*rows, strict=True):
            known: dict[str, int] = {}
            columns.append([known.setdefault(text, len(known)) for text in column])
        codes = np.array(columns, dtype=np.int64).reshape(-1, len(rows)).T
        return cls(tuple(numbers), codes, int(forms.lines[list(numbers)].sum()))

    @cached_property
    def varied(self) -> list[int]:
        """The columns that have more than one value."""
        if not self.codes.size:
            return []
        return np.flatnonzero((self.codes != self.codes[0]).any(axis=0)).tolist()

    def divided(self, column: int, together: Container[int] = ()) -> list[list[int]]:
        """Returns the forms of each value of a column; of some values, all forms together."""
        parts: dict[int, list[int]] = defaultdict(list)
        for form, value in zip(self.forms, self.codes[:, column].tolist(), strict=True):
            parts[-1 if value in together else value].append(form)
        return list(parts.values())

    @cached_property
    def apart(self) -> Codes:
        """In how many columns each two of the first `MOST_FORMS` forms differ."""
        table = self.codes[:MOST_FORMS, self.varied]
        return sum(
            (column[:, None] != column[None, :] for column in table.T),
            start=np.zeros((len(table), len(table)), dtype=np.int64),
        )


def features(forms: Forms, lexicon: Lexicon, node: Node, column: int) -> list[float]:
    """Describes a column.

    Args:
        forms: Of the log.
        lexicon: Of log statements.
        node: Whose column.
        column: Which column.

    Returns:
        Numbers, always equally many in the same order.
    """
    counted = Counter(forms.words[form][column] for form in node.forms)
    some = list(counted)[:_MOST_VALUES]
    row = forms.words[node.forms[0]]
    before = row[column - 1] if column else BEGIN
    after = row[column + 1] if column + 1 < len(row) else END
    letters, _, most_letters, spread = _summary([_letters(text) for text in some])
    lexical, least, most = _summary([lexicon.features(text, before, after) for text in some])[:3]
    known = [forms.frequency[text] for text in some]
    return [
        *_counts(forms, node, column, counted),
        column,
        len(row),
        column / len(row),
        float(column == 0),
        *letters,
        *most_letters,
        *spread[:4],
        *lexical,
        *least[:3],
        *most[:3],
        *_rest(node, column),
        sum(known) / len(known) / len(forms.texts),
        max(known) / len(forms.texts),
        np.log(max(1, min(known))),
        *(float(before == sign) for sign in (*_NEIGHBOURS[0], BEGIN)),
        *(float(after == sign) for sign in (*_NEIGHBOURS[1], END)),
        float(before[:1] in ANY_MARK),
        float(after[:1] in ANY_MARK),
        *_under_masks(forms, node, column),
        *_summary([_shape(text) for text in some[:10]])[0],
        float("" in some),
        float(some == [""]),
    ]


def _summary(rows: Sequence[Sequence[float]]) -> tuple[Sequence[float], ...]:
    """Mean, least, most and standard deviation of each place of some rows; most often there is one row."""
    if len(rows) == 1:
        return rows[0], rows[0], rows[0], [0.0] * len(rows[0])
    table = np.array(rows)
    return table.mean(axis=0), table.min(axis=0), table.max(axis=0), table.std(axis=0)


def _counts(forms: Forms, node: Node, column: int, counted: Counter[str]) -> list[float]:
    """How many values there are, and how evenly, by forms and by lines."""
    size = len(node.forms)
    if len(counted) == 1:
        return [size, np.log(size), np.log(node.lines), 1, 0.0, 1 / size, 0.0, 0.0, 1.0, 1.0, 1.0]
    by_line: Counter[str] = Counter()
    for form in node.forms:
        by_line[forms.words[form][column]] += int(forms.lines[form])
    of_forms = np.array(list(counted.values())) / size
    of_lines = np.array(list(by_line.values())) / node.lines
    return [
        size,
        np.log(size),
        np.log(node.lines),
        len(counted),
        np.log(len(counted)),
        len(counted) / size,
        -(of_forms * np.log(of_forms)).sum(),
        -(of_lines * np.log(of_lines)).sum(),
        of_forms.max(),
        of_lines.max(),
        of_forms.min(),
    ]


@lru_cache(1 << 16)
def _letters(text: str) -> list[float]:
    """What a token is made of."""
    if not text:
        return [0.0] * 16
    marks = sum(character in ANY_MARK for character in text)
    letters = sum(character.isalpha() and character not in ANY_MARK for character in text)
    digits = sum(character.isdigit() for character in text)
    sign = len(text) == 1 and not text.isalnum() and not marks
    inner = len(text) > 1
    humps = any(a.islower() and b.isupper() for a, b in itertools.pairwise(text))
    return [
        float(sign),
        float(marks == len(text)),
        float(0 < marks < len(text)),
        len(text),
        letters / len(text),
        digits / len(text),
        float(text.islower()),
        float(text.isupper()),
        float(text[0].isupper() and text[1:].islower()),
        float(humps),
        *(float(inner and part in text) for part in "._-/"),
        float(any(part in text for part in "@$*")),
        float(text in _CLOSED),
    ]


@lru_cache(1 << 16)
def _shape(text: str) -> list[float]:
    marks = sum(character in ANY_MARK for character in text)
    letters = sum(character.isalpha() and character not in ANY_MARK for character in text)
    return [*(float(shape.fullmatch(text) is not None) for shape in _SHAPES), marks, letters]


def _rest(node: Node, column: int) -> list[float]:
    """What the rest of the line does where the value of a column changes, and where it does not."""
    varied, width = len(node.varied), node.codes.shape[1]
    own = node.codes[:MOST_FORMS, column]
    if (own == own[0]).all():
        return [-1.0] * 9 + [varied, -1.0, -1.0, -1.0]
    differs = own[:, None] != own[None, :]
    apart = node.apart - differs
    nearest = np.where(differs, apart, _FAR).min(axis=1)
    alike = ~differs
    np.fill_diagonal(alike, False)
    same = np.where(alike, apart, _FAR).min(axis=1)
    same = same[same < _FAR]
    most = int((apart == 0).sum(axis=1).max())
    table = node.codes[:MOST_FORMS, node.varied]
    left = [
        int((part != part[0]).any(axis=0).sum())
        for part in (table[own == value] for value in np.unique(own))
        if len(part) > 1
    ]
    return [
        nearest.min(),
        nearest.mean(),
        (nearest == 0).mean(),
        float(np.median(nearest)),
        most,
        np.log(most),
        most / len(np.unique(own)),
        same.mean() if len(same) else -1.0,
        (same == 0).mean() if len(same) else -1.0,
        varied,
        varied / width,
        float(np.mean(left)) if left else -1.0,
        len(left),
    ]


def _under_masks(forms: Forms, node: Node, column: int) -> list[float]:
    """The texts that a column's tokens stand for: how many, how even, of what."""
    seen: Counter[str] = Counter()
    for form in node.forms[:MOST_FORMS]:
        seen.update(forms.raw[form][column])
    total = max(1, seen.total())
    some = list(seen)[:20] or [""]
    single = len(seen) <= 1
    return [
        len(seen),
        len(seen) / total,
        max(seen.values(), default=0) / total,
        float(single),
        float(single) * np.log(total),
        float(single) * np.log(node.lines),
        *_summary([_made_of(text) for text in some])[0],
    ]


@lru_cache(1 << 16)
def _made_of(text: str) -> tuple[float, ...]:
    return (
        len(text),
        sum(map(str.isdigit, text)) / max(1, len(text)),
        sum(map(str.isalpha, text)) / max(1, len(text)),
        *(text.count(sign) for sign in "./-:"),
        float(text.isdigit()),
    )
