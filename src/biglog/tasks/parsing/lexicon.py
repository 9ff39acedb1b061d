"""What log statements of source code say of words: which are constant, and between which a value stands."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from biglog.tasks.parsing.template import WILDCARD
from biglog.tasks.parsing.tokens import TOKEN

_VALUE = "\ue000"
_WORD = re.compile(r"[A-Za-z]+")
BEGIN, END = "^", "$"
"""Stand for what is before the first and after the last token."""

FEATURES = 7
_MOST_REMEMBERED = 1 << 16


@dataclass
class Lexicon:
    """Counts over templates.

    Attributes:
        words: How often a word is constant, in lower case.
        tokens: How often a token is constant, as it is written.
        before: Tokens by what stands before them, in lower case.
        values_before: Those of them that are values.
        after: Tokens by what stands after them, in lower case.
        values_after: Those of them that are values.
    """

    words: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    values_before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    values_after: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, templates: Iterable[str], least: int = 1) -> Lexicon:
        """Counts templates.

        Args:
            templates: Texts with `<*>` for values.
            least: What was counted less often is forgotten.
        """
        found = cls()
        for template in templates:
            found._add(TOKEN.findall(template.replace(WILDCARD, _VALUE)))
        return cls(*(Counter({k: n for k, n in c.items() if n >= least}) for c in vars(found).values()))

    def _add(self, tokens: list[str]) -> None:
        around = [BEGIN, *(token.lower() for token in tokens), END]
        for place, token in enumerate(tokens):
            before, after = around[place], around[place + 2]
            self.before[before] += 1
            self.after[after] += 1
            if _VALUE in token:
                self.values_before[before] += 1
                self.values_after[after] += 1
            else:
                self.words.update(word.lower() for word in _WORD.findall(token))
                self.tokens[token] += 1

    def features(self, token: str, before: str, after: str) -> tuple[float, ...]:
        """What is known of a token and its neighbours, `FEATURES` numbers; -1 for a token without words."""
        return (*self._of_token(token), *self._side(before, "before"), *self._side(after, "after"))

    @cached_property
    def _remembered(self) -> dict[tuple[str, str], tuple[float, ...]]:
        """What was asked before: a partition asks the same tokens round after round."""
        return {}

    def _of_token(self, token: str) -> tuple[float, ...]:
        found = self._remembered.get((token, ""))
        if found is None:
            known = [math.log1p(self.words[word.lower()]) for word in _WORD.findall(token)]
            mean = sum(known) / len(known) if known else -1.0
            found = (min(known, default=-1.0), mean, math.log1p(self.tokens[token]))
            self._remember((token, ""), found)
        return found

    def _side(self, token: str, side: Literal["before", "after"]) -> tuple[float, ...]:
        found = self._remembered.get((token, side))
        if found is None:
            every, values = (
                (self.before, self.values_before) if side == "before" else (self.after, self.values_after)
            )
            count = every[token.lower()]
            found = ((values[token.lower()] + 0.3) / (count + 1), math.log1p(count))
            self._remember((token, side), found)
        return found

    def _remember(self, key: tuple[str, str], found: tuple[float, ...]) -> None:
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = found
