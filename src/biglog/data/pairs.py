"""Pairs of lines of one event: what a line embedding must put side by side, and what it must keep apart.

Two sources. Log statements of source code, each filled with values twice: what is constant and what is not
is known exactly. And groups of normal forms that belong to one event, by labels or by a rule. Both are drawn
as a function of a random generator, so that a resumed run draws what it would have drawn.

Neighbours in a batch are the negatives, so a batch should hold what is hard to tell apart: statements come in
runs of neighbours in the alphabet within a project, events by domain, and a statement may bring its *twin*,
the same with one constant word changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from biglog.data.values import WILDCARD, Values, words_of
from biglog.errors import InputError

RUN = 8
"""Statements that are neighbours in the alphabet and come into a batch together."""

SAME_KIND = 0.4
"""How likely the two values of a parameter are of one kind."""


@dataclass(frozen=True)
class Pair:
    """Two lines of one event.

    Attributes:
        first: A normal form.
        second: Another of the same event, or the same where the event has but one.
        statement: Row of the statement that both were filled from; -1 if there is none, or it was changed.
    """

    first: str
    second: str
    statement: int = -1


class StatementPairs:
    """Statements filled with values, twice each.

    Args:
        statements: Columns template and project.
        twins: How likely a statement brings its twin.

    Raises:
        InputError: There is no statement.
    """

    def __init__(self, statements: pl.DataFrame, twins: float = 0.2) -> None:
        if not len(statements):
            raise InputError("no log statement to draw pairs from", remedy="Check --statements")
        self.table = statements.sort("project", "template")
        self.templates: list[str] = self.table["template"].to_list()
        self.words = words_of(self.templates)
        self.values = Values(self.words)
        self._shares, self._twins = self.values.shares, twins

    def draw(self, rng: np.random.Generator, count: int) -> list[Pair]:
        """Draws pairs.

        Args:
            rng: Decides.
            count: How many.
        """
        drawn: list[Pair] = []
        while len(drawn) < count:
            start = int(rng.integers(len(self.templates)))
            for row in range(start, min(start + RUN, len(self.templates))):
                drawn.append(Pair(*self.fill(self.templates[row], rng), statement=row))
                if rng.random() < self._twins:
                    changed = self.twin(self.templates[row], rng)
                    drawn += [Pair(*self.fill(changed, rng))] if changed else []
        return drawn[:count]

    def fill(self, template: str, rng: np.random.Generator) -> tuple[str, str]:
        """Fills the places of a template with values, twice."""
        parts = template.split(WILDCARD)
        kinds = rng.choice(len(self._shares), size=len(parts) - 1, p=self._shares)
        anew = rng.choice(len(self._shares), size=len(parts) - 1, p=self._shares)
        others = np.where(rng.random(len(kinds)) < SAME_KIND, kinds, anew)
        return self._filled(parts, kinds, rng), self._filled(parts, others, rng)

    def twin(self, template: str, rng: np.random.Generator) -> str | None:
        """Changes one constant word of a template, so that it is another event; None if there is no such
        word, or the same was drawn."""
        words = template.split(" ")
        constant = [i for i, word in enumerate(words) if WILDCARD not in word and len(word) > 1]
        if not constant:
            return None
        # What is done, the verb, mostly stands first.
        at = constant[0 if rng.random() < 0.3 else int(rng.integers(len(constant)))]
        other, way = self.words[int(rng.integers(len(self.words)))], rng.random()
        if way < 0.5:
            words[at] = other
        elif way < 0.65 and len(words) > 2:
            del words[at]
        elif way < 0.8:
            words.insert(at, other)
        else:
            words.append(other + ("=" if rng.random() < 0.5 else " ") + WILDCARD)
        changed = " ".join(words)
        return None if changed == template else changed

    def _filled(self, parts: Sequence[str], kinds: np.ndarray, rng: np.random.Generator) -> str:
        text = parts[0]
        for kind, rest in zip(kinds, parts[1:], strict=True):
            text += self.values.draw(int(kind), rng) + rest
        return text


class EventPairs:
    """Events with their normal forms, by domain.

    Args:
        events: For each domain, the normal forms of each event. Events of one form are there to be told
            apart.

    Raises:
        InputError: There is no event.
    """

    def __init__(self, events: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._events = [list(events[name]) for name in sorted(events) if len(events[name]) > 1]
        if not self._events:
            raise InputError("no events to draw pairs from")

    def draw(self, rng: np.random.Generator, count: int) -> list[Pair]:
        """Draws pairs of distinct events of one domain.

        Args:
            rng: Decides.
            count: Most pairs; fewer come where the domain has fewer events.
        """
        events = self._events[int(rng.integers(len(self._events)))]
        chosen = rng.choice(len(events), size=min(count, len(events)), replace=False)
        return [self._pair(events[int(number)], rng) for number in chosen]

    @staticmethod
    def _pair(forms: Sequence[str], rng: np.random.Generator) -> Pair:
        if len(forms) == 1:
            return Pair(forms[0], forms[0])
        one, other = rng.choice(len(forms), size=2, replace=False)
        return Pair(forms[int(one)], forms[int(other)])
