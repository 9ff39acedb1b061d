"""Codes of the normal forms of a stream's lines, one line at a time without the cost of columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import polars as pl

from biglog.logs.form_patterns import SKIPPED, recognize
from biglog.logs.known_forms import KnownForms
from biglog.logs.masking import normal_form

MOST_FORMS: Final = 100_000
"""Normal forms that are remembered; beyond, whoever uses them says which are still needed."""

MOST_CONTENTS: Final = 50_000
"""Contents of which the form is remembered; beyond, it begins anew."""

_MOST_PATTERNS: Final = 2_000
# From so many lines on, columns are faster than one line after the other.
_BATCH = 64
# A form teaches a pattern when it was masked so often; again, from another content, at four times as often.
_OFTEN = 4
_OPENINGS, _MOST_TRIED = (16, 4), 4
_LONGEST = 1_000


class LineForms:
    """Gives codes to contents; those with one normal form have one code.

    What it gives are the normal forms of `biglog.logs.masking`; only its speed depends on what came before.
    """

    def __init__(self) -> None:
        self.forms: list[str] = []
        self._codes: dict[str, int] = {}
        self._contents: dict[str, int] = {}
        self._known = KnownForms()
        self._forget_patterns()

    def _forget_patterns(self) -> None:
        self._patterns: dict[str, list[tuple[re.Pattern[str], int]]] = {}
        self._learnt: set[str] = set()
        self._masked: Counter[int] = Counter()
        self._lessons: Counter[int] = Counter()

    def code(self, content: str) -> int:
        """Returns the code of one content."""
        code = self._contents.get(content)
        if code is not None:
            return code
        code = self._recognized(content)
        if code is None:
            code = self._code_of_form(normal_form(content))
            self._learn(content, code)
        # What is recognized by a pattern seldom comes again to the letter, and would crowd out what does.
        elif len(self._contents) >= MOST_CONTENTS // 2:
            return code
        if len(self._contents) >= MOST_CONTENTS:
            self._contents.clear()
        self._contents[content] = code
        return code

    def codes(self, contents: pl.Series) -> list[int]:
        """Returns the code of each content.

        Args:
            contents: Contents, shape (n,); null is read as the empty content.
        """
        contents = contents.cast(pl.String).fill_null("")
        if len(contents) < _BATCH:
            return [self.code(content) for content in contents.to_list()]
        numbers, forms = self._known.numbers(contents)
        codes = np.array([self._code_of_form(form) for form in forms], dtype=np.int64)
        found: list[int] = codes[numbers.to_numpy()].tolist()
        return found

    def keep(self, used: Iterable[int]) -> dict[int, int]:
        """Forgets all other forms, and returns the new code of each that is used."""
        place = {code: number for number, code in enumerate(sorted(set(used)))}
        self.restore([self.forms[code] for code in place])
        return place

    def restore(self, forms: Sequence[str]) -> None:
        """Begins anew with forms whose codes are their places."""
        self.forms = list(forms)
        self._codes = {form: code for code, form in enumerate(self.forms)}
        self._contents.clear()
        self._forget_patterns()

    def _recognized(self, content: str) -> int | None:
        if len(content) > _LONGEST:
            return None
        opening = content.lstrip(SKIPPED)
        for length in _OPENINGS:
            for pattern, code in self._patterns.get(opening[:length], ()):
                if pattern.fullmatch(content):
                    return code
        return None

    def _learn(self, content: str, code: int) -> None:
        self._masked[code] += 1
        if self._masked[code] < _OFTEN * 4 ** self._lessons[code] or len(self._learnt) >= _MOST_PATTERNS:
            return
        self._lessons[code] += 1
        known = recognize(content)
        if known is None or known.fixed or known.pattern in self._learnt:
            return
        for length in _OPENINGS:
            tried = self._patterns.setdefault(known.opening[:length], [])
            if len(known.opening) >= length and len(tried) < _MOST_TRIED:
                self._learnt.add(known.pattern)
                tried.append((re.compile(known.pattern), code))
                return

    def _code_of_form(self, form: str) -> int:
        code = self._codes.setdefault(form, len(self.forms))
        if code == len(self.forms):
            self.forms.append(form)
        return code
