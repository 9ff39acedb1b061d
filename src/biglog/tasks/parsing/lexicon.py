"""What log statements of source code say of words: which are constant, and between which a value stands."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from biglog.tasks.parsing.template import WILDCARD
from biglog.tasks.parsing.tokens import TOKEN

_VALUE = "\ue000"
_WORD = re.compile(r"[A-Za-z]+")
BEGIN, END = "^", "$"
"""Stand for what is before the first and after the last token."""

FEATURES = 7


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
        known = [math.log1p(self.words[word.lower()]) for word in _WORD.findall(token)]
        before, after = before.lower(), after.lower()
        return (
            min(known, default=-1.0),
            sum(known) / len(known) if known else -1.0,
            math.log1p(self.tokens[token]),
            (self.values_before[before] + 0.3) / (self.before[before] + 1),
            math.log1p(self.before[before]),
            (self.values_after[after] + 0.3) / (self.after[after] + 1),
            math.log1p(self.after[after]),
        )
